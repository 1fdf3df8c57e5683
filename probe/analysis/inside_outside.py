"""A model's output compared with what its units respond to: OS and OD.

References
----------
He et al., CVPR 2019, section 6: equations 2 and 3, Figure 7.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from ...datasets.errors import InputError
from ...datasets.files import atomic_write
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.regions import distinct_pixels, inside
from ...datasets.progress import SILENT, Progress
from ...datasets.stimuli import Stimuli
from ..runs.inputs import masks_of
from ..runs.run import Run
from ..saliency.maps import MapFolder
from ..saliency.metrics import empirical, nss
from ..statistics.bootstrap import Resamples, percentiles
from ..statistics.category_tests import CategoryTests, category_tests
from ..statistics.selectivity import groups, top_series, top_units

MEASURES = ("inner", "output", "difference")
"""Inner saliency, OS and OD."""


@dataclass(frozen=True, eq=False)
class Output:
    """The result of `output`; `write_output` writes it as files of the same names.

    Attributes
    ----------
    run : Run
    layer : str
    regions : DataFrame
        ``annotation_id, image_id, category, inner, output, empirical, difference``: a region's
        NSS by the layer's top ten units for its category (their mean), by the model's output
        and by the empirical saliency map, and the distance between the latter two.
    categories : DataFrame
        ``category, n`` and each of `MEASURES` with ``_low, _high``: means over regions, 95 %
        intervals from a bootstrap over stimuli. ``output`` is OS_c, ``difference`` OD_c.
    correlations : DataFrame
        ``measure, spearman, low, high, categories``: of inner saliency with ``output`` and with
        ``difference``, over categories; interval from the same bootstrap.
    tests : dict of CategoryTests
        By measure.
    """

    run: Run
    layer: str
    regions: pd.DataFrame
    categories: pd.DataFrame
    correlations: pd.DataFrame
    tests: dict[str, CategoryTests]


def output(
    run: Run,
    *,
    layer: str | None = None,
    maps: str | Path | None = None,
    masks: str | Path | None = None,
    root: str | Path | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Output:
    """Compare a model's output with what its units respond to.

    Parameters
    ----------
    run : Run
        Run of a saliency model that includes its ``readout``.
    layer : str, optional
        Layer whose top ten units give the inner saliency; by default the last before the readout.
    maps : Path, optional
        Folder of saliency maps to use as the output instead; the run then needs no readout.
    masks, root : Path, optional
        The mask file and the folder of its images, if they have moved since the run.
    seed : int
        Seed for the bootstrap.
    progress : Progress
        Where to report; silent by default.

    Raises
    ------
    InputError
        If the run has no readout and no maps are given, or the masks are not the run's.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> dataset = sp.load_dataset("sample")
    >>> backbone = sp.Backbone("squeezenet1_0", "random", input_size=(64, 64))
    >>> info = sp.train(dataset, sp.Recipe(epochs=1), "trained", model=backbone)
    >>> gaze = "sample/fixations.csv"
    >>> run = sp.probe("sample/masks.json", model="trained", fixations=gaze, out="run")
    >>> sp.output(run).categories.columns[:5].tolist()
    ['category', 'n', 'inner', 'inner_low', 'inner_high']
    """
    maps, masks, root = (Path(path) if path else None for path in (maps, masks, root))
    names = [known.name for known in run.layers]
    if maps is None and "readout" not in names:
        raise InputError(
            f"{run.folder}: has no readout, hence no output; probe a training folder, "
            "or name --maps"
        )
    inner_layers = [name for name in names if name != "readout"]
    if not inner_layers:
        raise InputError(f"{run.folder}: has no layer but the readout; expected another one")
    chosen = layer or inner_layers[-1]
    inner = next((known for known in run.layers if known.name == chosen), None)
    if inner is None:
        raise InputError(f"{run.folder}: no layer {chosen!r}; there are {', '.join(names)}")
    mask_set, folder, fixations = masks_of(run, masks, root)
    stimuli = Stimuli(folder, tuple(mask_set.images))
    regions = run.regions[["annotation_id", "image_id", "category", "n_fixations"]].copy()
    if maps is None:
        regions["output"] = run.scores_of("readout")[:, 0].astype(np.float64)
    else:
        wanted = set(regions["image_id"])
        kept = Stimuli(folder, tuple(stimulus for stimulus in stimuli if stimulus.id in wanted))
        map_folder = MapFolder(maps, kept)
        regions["output"] = _region_scores(regions, mask_set, fixations, map_folder, progress)
    degree = mask_set.info.salprobe.px_per_degree
    if degree is None:
        raise InputError("the mask file has no px_per_degree, which is needed to blur fixations")

    def blurred(stimulus):
        looked = fixations.of(stimulus.id)
        return empirical(looked.x, looked.y, (stimulus.height, stimulus.width), degree)

    regions["empirical"] = _region_scores(regions, mask_set, fixations, blurred, progress)
    regions["difference"] = (regions["output"] - regions["empirical"]).abs()
    regions["inner"] = np.nan
    by_category = groups(regions, run.categories, seed)
    for name, group in by_category.items():
        means = run.units[(run.units["layer"] == chosen) & (run.units["category"] == name)]
        best = top_units(means["mean"].to_numpy())
        regions.loc[group.rows, "inner"] = top_series(run.scores, inner, group, best)
    categories, correlations = _summary(regions, run.categories, seed)
    scored = regions[regions["n_fixations"] > 0]
    labels, image = scored["category"].to_numpy(str), scored["image_id"].to_numpy()
    tests = {name: category_tests(scored[name].to_numpy(), labels, image) for name in MEASURES}
    columns = [
        "annotation_id",
        "image_id",
        "category",
        "inner",
        "output",
        "empirical",
        "difference",
    ]
    return Output(run, chosen, regions[columns], categories, correlations, tests)


def write_output(result: Output, folder: Path) -> None:
    """Write the tables and tests as CSV, and ``output.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {name: getattr(result, name) for name in ("regions", "categories", "correlations")}
    for name, tests in result.tests.items():
        tables[f"tests_{name}"], tables[f"pairs_{name}"] = tests.overall, tests.pairs
    for name, table in tables.items():
        with atomic_write(folder / f"{name}.csv") as file:
            file.write(table.to_csv(index=False).encode())
    about = {"run": str(result.run.folder.resolve()), "layer": result.layer}
    with atomic_write(folder / "output.json") as file:
        file.write(json.dumps(about, indent=1).encode())


def _region_scores(
    regions: pd.DataFrame,
    masks: MaskSet,
    fixations,
    map_of: Callable,
    progress: Progress,
) -> np.ndarray:
    """Return each region's NSS under a map of its stimulus, float64 (regions,); see equation 1."""
    outlines = {region.id: region for region in masks.annotations}
    scores = np.full(len(regions), np.nan)
    with progress.task("maps of regions", regions["image_id"].nunique()) as advance:
        for number, rows in regions.groupby("image_id").indices.items():
            stimulus = masks.image(number)  # type: ignore[arg-type]
            saliency, looked = map_of(stimulus), fixations.of(stimulus.id)
            for row in rows:
                within = inside(outlines[regions["annotation_id"].iloc[row]], stimulus, looked)
                if within.any():
                    x, y = distinct_pixels(looked.x[within], looked.y[within])
                    scores[row] = nss(saliency, x, y)
            advance(1)
    return scores


def _summary(
    regions: pd.DataFrame, names: list[str], seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the categories' means and the correlations over categories, with intervals."""
    by_category = groups(regions, names, seed)
    resamples = Resamples.draw(regions["image_id"].nunique(), seed)
    rows, resampled = [], {name: [] for name in MEASURES}
    for category, group in by_category.items():
        if not len(group.rows):
            continue
        row: dict[str, Any] = {"category": category, "n": len(group.rows)}
        for name in MEASURES:
            series = regions[name].to_numpy(np.float64)[group.rows]
            row |= resamples.interval(series, group.stimulus).columns(name)
            resampled[name].append(resamples.means(series, group.stimulus))
        rows.append(row)
    table = pd.DataFrame(rows)
    correlations = []
    for name in MEASURES[1:]:
        value = _spearman(table["inner"].to_numpy()[None], table[name].to_numpy()[None])[0]
        drawn = _spearman(np.stack(resampled["inner"], 1), np.stack(resampled[name], 1))
        spearman = percentiles(value, drawn).columns("spearman", prefix=False)
        correlations.append({"measure": name, **spearman, "categories": len(table)})
    return table, pd.DataFrame(correlations)


def _spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the rank correlation of each row of two arrays, (n, categories) to (n,)."""
    x, y = (rankdata(values, axis=1, nan_policy="propagate") for values in (a, b))
    x, y = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (x, y))
    with np.errstate(invalid="ignore"):
        return (x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1))

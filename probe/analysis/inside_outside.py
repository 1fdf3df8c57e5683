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
from scipy.stats import spearmanr

from ...datasets.errors import InputError
from ...datasets.files import atomic_write
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.regions import distinct_pixels, inside
from ...datasets.progress import SILENT, Progress
from ...datasets.stimuli import Stimuli
from ...datasets.texts import csv_of
from ..runs.inputs import masks_of
from ..runs.run import Run
from ..saliency.densities import without_logarithm
from ..saliency.given import given_maps
from ..saliency.metrics import empirical, nss
from ..statistics.category_tests import (
    CategoryTests,
    category_tests,
    combined,
    combined_p,
    two_way_anova,
)
from ..statistics.clusters import mean_interval
from ..statistics.cross_fit import CrossFit
from ..statistics.selectivity import Group, groups
from .inner_saliency import HALVINGS, halved, inner_saliency

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
        NSS by ten units of the layer that other regions of its category chose (see
        `inner_saliency`), by the model's output and by the empirical saliency map, and the
        distance between the latter two.
    categories : DataFrame
        ``category, n`` and each of `MEASURES` with ``_low, _high``: means over regions with 95 %
        intervals over stimuli, that of ``inner`` cross-fitted. ``output`` is OS_c,
        ``difference`` OD_c.
    correlations : DataFrame
        ``measure, spearman, categories``: of inner saliency with ``output`` and with
        ``difference``, over categories. No interval: resampling stimuli weakens a correlation of
        categories' means, and the interval misses.
    tests : dict of CategoryTests
        By measure. Those of inner saliency are of units chosen on one half of the stimuli and
        tested on the other, combined over random halvings.
    measurements : DataFrame
        ``factor, statistic, p``: inner saliency and output as two measurements, by category; see
        `two_way_anova`. Halved and combined likewise.
    """

    run: Run
    layer: str
    regions: pd.DataFrame
    categories: pd.DataFrame
    correlations: pd.DataFrame
    tests: dict[str, CategoryTests]
    measurements: pd.DataFrame


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
        Seed for the splits and resamples.
    progress : Progress
        Where to report; silent by default.

    Raises
    ------
    InputError
        If the run has no readout and no maps are given, the masks are not the run's, or there
        are too few regions to test.

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
    degree = mask_set.info.salprobe.px_per_degree
    if degree is None:
        raise InputError("the mask file has no px_per_degree, which is needed to blur fixations")
    stimuli = Stimuli(folder, tuple(mask_set.images))
    regions = run.regions[["annotation_id", "image_id", "category", "n_fixations"]].copy()
    if maps is None:
        regions["output"] = run.scores_of("readout")[:, 0].astype(np.float64)
    else:
        wanted = set(regions["image_id"])
        kept = Stimuli(folder, tuple(stimulus for stimulus in stimuli if stimulus.id in wanted))
        map_folder = given_maps(maps, kept)
        regions["output"] = _region_scores(regions, mask_set, fixations, map_folder, progress)

    def blurred(stimulus):
        looked = fixations.of(stimulus.id)
        return empirical(looked.x, looked.y, (stimulus.height, stimulus.width), degree)

    regions["empirical"] = _region_scores(regions, mask_set, fixations, blurred, progress)
    regions["difference"] = (regions["output"] - regions["empirical"]).abs()
    by_category = groups(regions, run.categories, seed)
    scores = np.asarray(run.scores_of(chosen))
    regions["inner"], fits = inner_saliency(scores, by_category)
    categories, correlations = _summary(regions, by_category, fits)
    labels, image = regions["category"].to_numpy(str), regions["image_id"].to_numpy()
    known = (regions["n_fixations"] > 0).to_numpy()
    tests = {
        name: category_tests(regions[name].to_numpy()[known], labels[known], image[known])
        for name in MEASURES[1:]
    }
    single, two_way = [], []
    with progress.task("tests", 2 * HALVINGS) as advance:
        for rows, values in halved(scores, by_category, seed):
            if _testable(labels[rows]):
                single.append(category_tests(values, labels[rows], image[rows]))
                both = {"inner": values, "output": regions["output"].to_numpy()[rows]}
                two_way.append(two_way_anova(both, labels[rows]))
            advance(1)
    if not single:
        raise InputError(
            f"{run.folder}: too few regions to test: no half of the stimuli has two categories "
            "with two regions each"
        )
    measurements = pd.concat(two_way).groupby("factor", sort=False).median().reset_index()
    measurements["p"] = combined_p([table["p"] for table in two_way])
    tests = {"inner": combined(single), **tests}
    columns = [
        "annotation_id",
        "image_id",
        "category",
        "inner",
        "output",
        "empirical",
        "difference",
    ]
    return Output(run, chosen, regions[columns], categories, correlations, tests, measurements)


def write_output(result: Output, folder: Path) -> None:
    """Write the tables and tests as CSV, and ``output.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("regions", "categories", "correlations", "measurements")
    tables = {name: getattr(result, name) for name in names}
    for name, tests in result.tests.items():
        tables[f"tests_{name}"], tables[f"pairs_{name}"] = tests.overall, tests.pairs
    for name, table in tables.items():
        with atomic_write(folder / f"{name}.csv") as file:
            file.write(csv_of(table).encode())
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
            saliency = without_logarithm(map_of(stimulus))
            looked = fixations.of(stimulus.id)
            for row in rows:
                within = inside(outlines[regions["annotation_id"].iloc[row]], stimulus, looked)
                if within.any():
                    x, y = distinct_pixels(looked.x[within], looked.y[within])
                    scores[row] = nss(saliency, x, y)
            advance(1)
    return scores


def _testable(labels: np.ndarray) -> bool:
    return int((np.unique(labels, return_counts=True)[1] > 1).sum()) > 1


def _summary(
    regions: pd.DataFrame, by_category: dict[str, Group], fits: dict[str, CrossFit]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the categories' means with intervals, and the correlations over categories."""
    rows = []
    for category, fit in fits.items():
        group = by_category[category]
        row: dict[str, Any] = {"category": category, "n": len(group.rows)}
        row |= fit.interval.columns("inner")
        for name in MEASURES[1:]:
            series = regions[name].to_numpy(np.float64)[group.rows]
            row |= mean_interval(series, group.stimulus).columns(name)
        rows.append(row)
    table = pd.DataFrame(rows)
    known = table.dropna(subset=list(MEASURES))
    correlations = [
        {
            "measure": name,
            "spearman": float(spearmanr(known["inner"], known[name]).statistic),  # pyright: ignore
            "categories": len(known),
        }
        for name in MEASURES[1:]
    ]
    return table, pd.DataFrame(correlations)

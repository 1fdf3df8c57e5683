"""A network fine-tuned to different depths, and the effect on its units.

References
----------
He et al., CVPR 2019, section 5.2: Table 3, Figure 4; section 7: Table 6.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ...datasets.files import atomic_write, read_json, sha256
from ...datasets.interval import Interval
from ...datasets.masks.mask_set import MaskSet
from ...datasets.progress import SILENT, Progress
from ...datasets.sources.load import mask_path, root_of
from ...datasets.stimuli import Dataset
from ..analysis.compare import compare
from ..networks.device import DEFAULT_EXECUTION, Execution
from ..networks.heads import Tune
from ..networks.load import Backbone, load_trained
from ..popout.units import unit_nmm
from ..runs.probing import probe
from ..runs.resuming import check_same, make_folder
from ..runs.run import Run
from ..statistics.clusters import mean_interval, q_values
from ..training.recipe import Recipe
from ..training.split import Split, usual_split
from ..training.store import write_table
from ..training.train import train


@dataclass(frozen=True, eq=False)
class Sweep:
    """The result of `sweep`, which also writes it as CSV files of the same names.

    Attributes
    ----------
    folder : Path
    runs : dict of Run
        Runs on the layer and the readout, by what was tuned.
    model, layer : str
        The network, and the layer at which it was cut.
    categories : DataFrame
        ``tune, category, top10_mean …`` as in a run's summary (Table 3), and ``change,
        change_low, change_high, change_p, change_q``: the gain over the first step (Figure 4);
        see `compare`.
    prediction : DataFrame
        ``tune, nss, nss_low, nss_high, change, change_low, change_high``: NSS of the predicted
        maps on the test stimuli, intervals over stimuli.
    popout : DataFrame
        ``tune, nmm, nmm_low, nmm_high, nmm_crossval, readout_nmm``: NMM of the layer's units on
        search arrays (Table 6; see `unit_nmm`), and of the predicted maps; empty without arrays.
    """

    folder: Path
    runs: dict[str, Run]
    model: str
    layer: str
    categories: pd.DataFrame
    prediction: pd.DataFrame
    popout: pd.DataFrame


def sweep(
    dataset: Dataset,
    recipe: Recipe,
    tunes: Sequence[Tune],
    out: str | Path,
    masks: str | Path,
    *,
    model: str | Backbone = "vgg16",
    root: str | Path | None = None,
    popout: str | Path | None = None,
    split: Split | None = None,
    execution: Execution = DEFAULT_EXECUTION,
    progress: Progress = SILENT,
) -> Sweep:
    """Train each step from scratch, probe its last layer, and compare it with the first step.

    If interrupted, the same call resumes; finished steps are not repeated.

    Parameters
    ----------
    dataset : Dataset
    recipe : Recipe
        Its ``tune`` is replaced by each of ``tunes``.
    tunes : sequence of int or "all"
        The others are compared with the first.
    out : path
        Folder for the sweep.
    masks : path or ``osie-sr``
        Regions to probe on; those on stimuli that were trained on or validated with are left out.
    model : str or Backbone
        See `train`.
    root : path, optional
        Folder of the masks' images.
    popout : path, optional
        ``popout.json``: search arrays to score the units on.
    split : Split, optional
        By default `usual_split`.
    execution : Execution
        Batch size and precision apply to training; units are always scored in float32.
    progress : Progress
        Where to report; silent by default.

    Raises
    ------
    InputError
        As for `train` and `probe`; or if a step is given twice, or the folder holds another
        sweep.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> dataset = sp.load_dataset("sample")
    >>> drawn = sp.load_masks("sample/masks.json")
    >>> masks = sp.transfer_labels(sp.cluster(dataset), drawn, "sample")
    >>> masks.write("regions.json")
    >>> backbone = sp.Backbone("squeezenet1_0", "random", input_size=(64, 64))
    >>> swept = sp.sweep(
    ...     *(dataset, sp.Recipe(epochs=1), [0, 1], "sweep", "regions.json"),
    ...     model=backbone,
    ...     root="sample",
    ... )
    >>> list(swept.runs), swept.prediction.columns[:2].tolist()
    (['0', '1'], ['tune', 'nss'])
    """
    out, names = Path(out), [str(tune) for tune in tunes]
    if not names or len(set(names)) < len(names):
        raise InputError(f"--tune {','.join(names)}: expected different steps")
    split = split or usual_split(dataset)
    if not split.test:
        raise InputError("the split leaves no stimulus to test on")
    source = mask_path(masks)
    mask_set = MaskSet.read(source)
    folder = root_of(mask_set, root, source.parent)
    unseen = unseen_regions(mask_set, dataset, split)
    arrays = MaskSet.read(popout) if popout else None
    parameters = {"masks": sha256(source), "popout": sha256(popout) if popout else None}
    enter(out, "sweep", parameters, unseen)
    scoring = Execution(execution.device, execution.workers)
    runs, predictions, scores, cut = {}, [], [], ""
    for tune, name in zip(tunes, names, strict=True):
        progress.say(f"tune {name}")
        step = out / f"tune-{name}"
        info = train(
            dataset,
            replace(recipe, tune=tune),
            step,
            model=model,
            split=split,
            execution=execution,
            progress=progress,
        )
        cut = info.parameters.backbone.layer
        runs[name] = probe(
            out / "masks.json",
            model=str(step),
            layers=[cut, "readout"],
            root=folder,
            out=step / "run",
            execution=scoring,
            seed=recipe.seed,
            progress=progress,
        )
        predictions.append(pd.read_csv(step / "test.csv")["nss"].to_numpy())
        if arrays is not None and popout is not None:
            path = step / "popout.csv"
            if not path.exists():
                below = root_of(arrays, None, Path(popout).parent)
                nmm = unit_nmm(
                    *(arrays, below, load_trained(step), [cut, "readout"]),
                    device=execution.device,
                    progress=progress,
                )
                write_table(path, nmm.summary)
            scores.append(pd.read_csv(path).set_index("layer"))
    rows = {name: changes(runs[names[0]], run, cut, recipe.seed) for name, run in runs.items()}
    result = Sweep(
        out,
        runs,
        model if isinstance(model, str) else model.model,
        cut,
        with_q(
            pd.concat([table.assign(tune=name) for name, table in rows.items()], ignore_index=True)
        ),
        _prediction(names, predictions),
        _popout(names, scores, cut),
    )
    for name in ("categories", "prediction", "popout"):
        write_table(out / f"{name}.csv", getattr(result, name))
    return result


def unseen_regions(masks: MaskSet, dataset: Dataset, split: Split) -> MaskSet:
    """Leave out regions on stimuli that were trained on or validated with.

    Raises
    ------
    InputError
        If no region is left.
    """
    if masks.info.salprobe.dataset != dataset.name:
        return masks
    seen = {*split.train, *split.validation}
    images = {image.id for image in masks.images} - seen
    regions = {region.id for region in masks.annotations if region.image_id in images}
    if not regions:
        raise InputError("every labelled image was trained on; expected others to probe")
    return masks.subset(images, regions)


def enter(out: Path, kind: str, parameters: dict, masks: MaskSet) -> None:
    """Begin or resume a folder of several trainings: ``<kind>.json`` and ``masks.json``.

    Parameters
    ----------
    out : Path
        The folder.
    kind : str
        ``sweep`` or ``tasks``.
    parameters : dict
        Parameters that must be the same to resume.
    masks : MaskSet
        Masks to probe with.

    Raises
    ------
    InputError
        If the folder holds something else, or was begun with other parameters.
    """
    description = {"parameters": parameters}
    path = out / f"{kind}.json"
    if make_folder(out):
        with atomic_write(path) as file:
            file.write(json.dumps(description, indent=1).encode())
    elif not path.is_file():
        raise InputError(f"{out}: exists and holds no {kind}; choose another --out")
    else:
        before = read_json(path)
        check_same(out, before if isinstance(before, dict) else {}, description, ("parameters",))
    if not (out / "masks.json").exists():
        masks.write(out / "masks.json")


def changes(before: Run, after: Run, layer: str, seed: int) -> pd.DataFrame:
    """Return a run's summary of one layer, with ``change, change_low, change_high, change_p``.

    Parameters
    ----------
    before, after : Run
    layer : str
    seed : int
        Seed for `compare`, from which the change comes.
    """
    table = after.summary[after.summary["layer"] == layer].drop(columns="layer")
    compared = compare(before, after, seed)
    compared = compared[compared["layer"] == layer].set_index("category").loc[table["category"]]
    change = Interval.of(dict(compared.items()), "difference", prefix=False).columns("change")
    columns = {**change, "change_p": compared["p"]}
    return table.assign(**{name: column.to_numpy() for name, column in columns.items()})


def with_q(table: pd.DataFrame) -> pd.DataFrame:
    """Add ``change_q``: Benjamini–Hochberg's q of ``change_p`` over the table.

    A run compared with itself is no test.
    """
    itself = (table["change_low"] == 0) & (table["change_high"] == 0) & (table["change"] == 0)
    table = table.assign(change_p=table["change_p"].mask(itself))
    return table.assign(change_q=q_values(table["change_p"].to_numpy()))


def _prediction(names: list[str], predictions: list[np.ndarray]) -> pd.DataFrame:
    rows = []
    for name, values in zip(names, predictions, strict=True):
        nss = mean_interval(values).columns("nss")
        change = mean_interval(values - predictions[0]).columns("change")
        rows.append({"tune": name, **nss, **change})
    return pd.DataFrame(rows)


_POPOUT = ["tune", "nmm", "nmm_low", "nmm_high", "nmm_crossval", "readout_nmm"]


def _popout(names: list[str], scores: list[pd.DataFrame], layer: str) -> pd.DataFrame:
    rows = [
        {"tune": name, **table.loc[layer].to_dict(), "readout_nmm": table.loc["readout", "nmm"]}
        for name, table in zip(names, scores, strict=False)
    ]
    return pd.DataFrame(rows, columns=_POPOUT)

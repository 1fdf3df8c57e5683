"""A network fine-tuned to different depths, and the effect on its units.

References
----------
He et al., CVPR 2019, section 5.2: Table 3, Figure 4; section 7: Table 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ...datasets.files import check_part, sha256
from ...datasets.masks.mask_set import MaskSet
from ...datasets.progress import SILENT, Progress
from ...datasets.readers.tables import read_columns
from ...datasets.sources.load import mask_path, root_of
from ...datasets.stimuli import Dataset, Stimuli
from ..networks.device import DEFAULT_EXECUTION, Execution
from ..networks.heads import Tune
from ..networks.load import Backbone, load_trained
from ..popout.units import unit_nmm
from ..records.train_info import TrainInfo
from ..runs.images import digest
from ..runs.probing import probe
from ..runs.run import Run
from ..statistics.clusters import mean_interval
from ..training.recipe import Recipe
from ..training.split import Split, usual_split
from ..training.store import read_test, write_table
from ..training.train import train
from .trainings import CHANGE, changes, entered, read_result, unseen_regions, with_q


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

    @classmethod
    def open(cls, folder: str | Path) -> Sweep:
        """Open the folder of a finished sweep.

        Raises
        ------
        InputError
            If it holds none, it is unfinished, or a file is damaged.
        """
        folder = Path(folder)
        bounds = [f"top10_{name}" for name in ("mean", "low", "high", "crossval")]
        numbers = [*bounds, "above_threshold", *CHANGE]
        categories = read_result(folder, "sweep", "categories", ["tune", "category"], numbers)
        keys = [f"{name}{end}" for name in ("nss", "change") for end in ("", "_low", "_high")]
        prediction = read_result(folder, "sweep", "prediction", ["tune"], keys)
        popout = read_result(folder, "sweep", "popout", ["tune"], _POPOUT[1:])
        names = list(dict.fromkeys(categories["tune"]))
        steps = {name: folder / check_part(f"tune-{name}") for name in names}
        runs = {name: Run.open(step / "run") for name, step in steps.items()}
        backbone = TrainInfo.read(steps[names[0]]).parameters.backbone
        return cls(folder, runs, backbone.model, backbone.layer, categories, prediction, popout)


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
    unseen = unseen_regions(mask_set, folder, dataset, split, progress)
    arrays = MaskSet.read(popout) if popout else None
    below = root_of(arrays, None, Path(popout).parent) if arrays and popout else Path()
    contents = digest(Stimuli(below, tuple(arrays.images)), progress) if arrays else None
    parameters = {
        "masks": sha256(source),
        "popout": sha256(popout) if popout else None,
        "arrays": contents,
    }
    with entered(out, "sweep", parameters, unseen, folder, progress):
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
            predictions.append(read_test(step, split.test, numbers=["nss"])["nss"].to_numpy())
            if arrays is not None:
                path = step / "popout.csv"
                if not path.exists():
                    nmm = unit_nmm(
                        *(arrays, below, load_trained(step), [cut, "readout"]),
                        device=execution.device,
                        progress=progress,
                    )
                    write_table(path, nmm.summary)
                scores.append(_nmm(path, (cut, "readout")))
        rows = {name: changes(runs[names[0]], run, cut, recipe.seed) for name, run in runs.items()}
        steps = [table.assign(tune=name) for name, table in rows.items()]
        result = Sweep(
            out,
            runs,
            model if isinstance(model, str) else model.model,
            cut,
            with_q(pd.concat(steps, ignore_index=True)),
            _prediction(names, predictions),
            _popout(names, scores, cut),
        )
        for name in ("categories", "prediction", "popout"):
            write_table(out / f"{name}.csv", getattr(result, name))
        return result


def _prediction(names: list[str], predictions: list[np.ndarray]) -> pd.DataFrame:
    rows = []
    for name, values in zip(names, predictions, strict=True):
        nss = mean_interval(values).columns("nss")
        change = mean_interval(values - predictions[0]).columns("change")
        rows.append({"tune": name, **nss, **change})
    return pd.DataFrame(rows)


def _nmm(path: Path, layers: Sequence[str]) -> pd.DataFrame:
    """Return what was scored of a step's units, by layer."""
    table = read_columns(path, ["layer"], numbers=_POPOUT[1:-1]).set_index("layer")
    if sorted(table.index) != sorted(layers):
        raise InputError(f"{path}: expected a row for each of {', '.join(layers)}")
    return table


_POPOUT = ["tune", "nmm", "nmm_low", "nmm_high", "nmm_crossval", "readout_nmm"]


def _popout(names: list[str], scores: list[pd.DataFrame], layer: str) -> pd.DataFrame:
    rows = [
        {"tune": name, **table.loc[layer].to_dict(), "readout_nmm": table.loc["readout", "nmm"]}
        for name, table in zip(names, scores, strict=False)
    ]
    return pd.DataFrame(rows, columns=_POPOUT)

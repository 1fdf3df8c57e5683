"""Dissection: which units detect which category, by intersection over union.

References
----------
Bau, Zhou, Khosla, Oliva, Torralba, "Network dissection: quantifying interpretability of deep visual
representations", CVPR 2017.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from torch.nn import Module

from ...datasets.errors import InputError
from ...datasets.files import atomic_write, check_part, sha256
from ...datasets.masks.mask_set import MaskSet
from ...datasets.options import check_seed
from ...datasets.progress import SILENT, Progress
from ...datasets.readers.tables import read_columns
from ...datasets.sources.load import load_masks, mask_path, root_of
from ...datasets.stimuli import Stimuli
from ...datasets.texts import csv_of, printable
from ..networks.device import DEFAULT_EXECUTION, Execution, device_name, resolve_device
from ..networks.load import Backbone
from ..networks.reader import Reader
from ..records.dissection_info import DissectionInfo, DissectionParameters
from ..records.record import provenance
from ..records.run_info import Paths
from ..runs.images import check_images
from ..runs.resuming import check_same, check_same_network, locked, make_folder
from ..runs.run import Run
from ..runs.subject import absolute, masks_sha256, subject_of
from ..sources.description import Network
from .passes import BASES, Passes
from .plan import label_plan
from .state import State

QUANTILE = 0.005
"""Share of a unit's positions above its level (Bau et al. 2017)."""

DETECTS = 0.04
"""A unit detects the category of its highest intersection over union, if that is above this."""

_TABLES = {
    "units": ["layer", "unit", "category", "level", "iou"],
    "summary": [
        *("layer", "category", "detectors", "detectors_rotated"),
        *("best_unit", "best_iou", "best_iou_rotated"),
    ],
    "images": ["image_id", "sha256"],
}
_TEXTS = {"layer", "category", "sha256"}
_WHOLE = {"unit", "image_id", "detectors", "detectors_rotated"}


@dataclass(frozen=True, eq=False)
class Dissection:
    """A complete dissection, read from its folder.

    Attributes
    ----------
    folder : Path
    info : DissectionInfo
        The content of ``dissection.json``.
    """

    folder: Path
    info: DissectionInfo

    @classmethod
    def open(cls, folder: str | Path) -> Dissection:
        """Open the folder of a dissection.

        Raises
        ------
        InputError
            If there is none, it is unfinished, or a table is missing or was changed.
        """
        folder = Path(folder)
        info = DissectionInfo.read(folder)
        if info.status != "complete":
            raise InputError(f"{folder}: is unfinished; repeat its command to resume it")
        for name, expected in info.sha256.items():
            path = folder / check_part(name)
            if not path.is_file() or sha256(path) != expected:
                raise InputError(f"{path}: is missing, or not what was written (SHA-256)")
        found = cls(folder, info)
        _ = found.units, found.summary
        return found

    @cached_property
    def units(self) -> pd.DataFrame:
        """``layer, unit, category, level, iou``: each unit with each category.

        ``iou`` is NaN for categories that cover nothing.
        """
        return self._table("units")

    @cached_property
    def summary(self) -> pd.DataFrame:
        """``layer, category, detectors, detectors_rotated, best_unit, best_iou, best_iou_rotated``.

        How many units detect the category, and how many do where the layer's space is rotated at
        random; the unit with the highest intersection over union, if that is above 0, and that of
        the rotated space.
        """
        return self._table("summary")

    @cached_property
    def images(self) -> pd.DataFrame:
        """``image_id, sha256``: the contents of the image files."""
        return self._table("images")

    @property
    def detectors(self) -> pd.DataFrame:
        """``layer, unit, category, level, iou``: the units that detect a category, best first."""
        found = detectors(self.units)
        return found.sort_values("iou", ascending=False, kind="stable", ignore_index=True)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    def describe(self) -> str:
        """Describe it in one line: network, masks, number of images."""
        info, network = self.info, self.info.parameters.network()
        where = info.masks or info.dataset or "masks"
        return printable(f"{network} on {where}: {info.images} images")

    def _table(self, name: str) -> pd.DataFrame:
        columns = _TABLES[name]
        texts, whole = ([one for one in columns if one in kind] for kind in (_TEXTS, _WHOLE))
        numbers = [one for one in columns if one not in _TEXTS | _WHOLE]
        return read_columns(self.folder / f"{name}.csv", texts, whole, numbers)[columns]


def dissect(
    masks: str | Path | MaskSet,
    *,
    model: str | Backbone | Module | Network = "vgg16",
    layers: str | Sequence[str] = (),
    pre_relu: bool = False,
    root: str | Path | None = None,
    out: str | Path | None = None,
    quantile: float = QUANTILE,
    beside: Run | None = None,
    execution: Execution = DEFAULT_EXECUTION,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Dissection:
    """Find which units of a network detect which category of a mask set.

    A unit is active where its map, resized to the masks, is above its level: the value that a share
    of 0.5 % of all its positions in all stimuli exceeds. Its intersection over union with a
    category is of sums over all stimuli. It detects the category of the highest, if that is above
    0.04 (Bau et al. 2017, section 2.2).

    Parameters
    ----------
    masks : path, ``osie-sr``, or MaskSet
        Any COCO masks. Stimuli without a labelled region are left out.
    model, layers, pre_relu, root, execution, seed, progress
        See `probe`; the seed is also that of the rotations.
    out : path, optional
        The folder; by default ``runs/<masks>-<model>-dissection``. If it holds the same dissection,
        an unfinished one is resumed and a complete one returned.
    quantile : float
        The share; 0.01 in some of the authors' later programs.
    beside : Run, optional
        A run to compare with afterwards (`iou_and_nss`): refused now if it cannot be.

    Returns
    -------
    Dissection

    Raises
    ------
    InputError
        If any input is wrong.

    Notes
    -----
    Masks and maps are compared at half the network's input size (112×112 for 224×224), as there.
    Levels are exact: the highest values are kept, not a sketch of all.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> small = sp.Backbone("gabor", input_size=(64, 64))
    >>> found = sp.dissect("sample/masks.json", model=small, out="dissected")
    >>> found.units.shape
    (480, 5)
    """
    check_seed(seed)
    if not 0 < quantile < 1:
        raise InputError(f"quantile {quantile:g}: expected a number between 0 and 1")
    masks_path = None if isinstance(masks, MaskSet) else mask_path(masks)
    mask_set = masks if isinstance(masks, MaskSet) else load_masks(masks)
    folder = root_of(
        mask_set, Path(root) if root else None, masks_path.parent if masks_path else Path()
    )
    device = resolve_device(execution.device)
    subject = subject_of(model, layers, mask_set, seed=seed, pre_relu=pre_relu, progress=progress)
    height, width = subject.network.input_size
    grid = (max(1, height // 2), max(1, width // 2))
    batch_size = execution.batch_size_on(device)
    plan = label_plan(mask_set, Stimuli(folder, tuple(mask_set.images)), grid, batch_size)
    for batch in plan.batches:
        for item in batch:
            plan.stimuli.path(item.stimulus)
    stem = masks_path.stem if masks_path else mask_set.info.salprobe.dataset or "masks"
    target = Path(out) if out else Path("runs") / f"{stem}-{subject.called}-dissection"
    info = DissectionInfo(
        format=DissectionInfo.newest,
        status="running",
        **provenance(device_name(device)),
        parameters=DissectionParameters(
            **subject.identity(),
            pre_relu=pre_relu,
            precision=execution.precision,
            batch_size=batch_size,
            device=device.type,
            seed=seed,
            masks=masks_sha256(mask_set, masks_path),
            quantile=quantile,
            grid=grid,
        ),
        masks=masks_path.name if masks_path else None,
        dataset=mask_set.info.salprobe.dataset,
        paths=Paths(
            masks=absolute(masks_path),
            root=absolute(folder),
            model=absolute(subject.trained),
            weights=absolute(subject.weights),
        ),
        annotator=mask_set.info.annotator,
        layers=subject.layer_infos(),
        categories=mask_set.category_names(),
    )
    if beside is not None:
        check_comparable(Dissection(target, info), beside)
    for layer in subject.layers:
        positions = layer.height * layer.width * plan.n_stimuli
        if quantile * positions < 1:
            raise InputError(
                f"{layer.name}: {quantile:g} of its {positions} positions is less than one; "
                "expected more stimuli, or a larger --quantile"
            )
    passes = Passes(plan, subject.layers, quantile, seed)
    fresh = make_folder(target)
    if not fresh:
        DissectionInfo.read(target)  # leave other folders alone
    with locked(target):
        state = State(target)
        if (target / DissectionInfo.file_name).exists():
            before = DissectionInfo.read(target)
            check_same(target, before.content(), info.content(), ("parameters", "layers"))
            if before.status == "complete":
                state.remove()
                done = Dissection.open(target)
                known = dict(zip(done.images["image_id"], done.images["sha256"], strict=True))
                check_images(target, plan.stimuli, known, progress)
                progress.say(f"{target} is already complete; nothing to do")
                return done
            passes.restore(state)
            check_images(target, plan.stimuli, passes.images, progress)
        else:
            info.write(target)
        with Reader(subject.network, subject.layers, device, execution.precision) as reader:
            passes.run(reader, execution.workers, state, progress)
        _finish(target, passes, info)
        state.remove()
    return Dissection.open(target)


def check_comparable(dissection: Dissection, run: Run) -> None:
    """Refuse a run of another network, or without a layer or category of a dissection.

    Raises
    ------
    InputError
        The message names the first difference.
    """
    check_same_network(dissection, run)
    layers = {layer.name for layer in dissection.info.layers} & {one.name for one in run.layers}
    if not layers or not set(dissection.info.categories) & set(run.categories):
        raise InputError(f"{dissection.name} and {run.name} share no layer with a category")


def _finish(target: Path, passes: Passes, info: DissectionInfo) -> None:
    """Write the tables, and complete the record."""
    own, rotated = (_units(passes, info.categories, basis) for basis in BASES)
    images = pd.DataFrame(passes.images.items(), columns=["image_id", "sha256"])
    tables = {"units": own, "summary": summarised(own, rotated), "images": images}
    hashes = {}
    for name, table in tables.items():
        content = csv_of(table).encode()
        with atomic_write(target / f"{name}.csv") as file:
            file.write(content)
        hashes[f"{name}.csv"] = hashlib.sha256(content).hexdigest()
    areas = dict(zip(info.categories, passes.areas.tolist(), strict=True))
    outcome = {
        "status": "complete",
        "images": len(images),
        "areas": areas,
        "sha256": hashes,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    info.model_copy(update=outcome).write(target)


def _units(passes: Passes, categories: Sequence[str], basis: str) -> pd.DataFrame:
    tables = []
    for layer in passes.layers:
        key = (layer.name, basis)
        iou, n = passes.counts[key].iou(passes.areas), len(categories)
        columns = {
            "layer": layer.name,
            "unit": np.repeat(np.arange(layer.units), n),
            "category": np.tile(categories, layer.units),
            "level": np.repeat(passes.levels[key].astype(np.float64), n),
            "iou": iou.ravel(),
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def detectors(units: pd.DataFrame) -> pd.DataFrame:
    """Return each unit's row of the highest intersection over union, if it is above `DETECTS`."""
    best = units.dropna(subset=["iou"]).groupby(["layer", "unit"], sort=False)["iou"].idxmax()
    found = units.loc[best]
    return found[found["iou"] > DETECTS]


def summarised(units: pd.DataFrame, rotated: pd.DataFrame) -> pd.DataFrame:
    """Return the summary of units, beside those of the rotated spaces; see `Dissection.summary`."""
    keys = ["layer", "category"]
    rows = units.drop_duplicates(keys)[keys].set_index(keys)
    for name, table in (("", units), ("_rotated", rotated)):
        counted = detectors(table).groupby(keys, sort=False).size()
        rows[f"detectors{name}"] = counted.reindex(rows.index, fill_value=0)
        known = table.dropna(subset=["iou"])
        best = known.loc[known.groupby(keys, sort=False)["iou"].idxmax()].set_index(keys)
        if not name:
            rows["best_unit"] = best["unit"].astype(np.float64).where(best["iou"] > 0)
        rows[f"best_iou{name}"] = best["iou"]
    order = ["detectors", "detectors_rotated", "best_unit", "best_iou", "best_iou_rotated"]
    return rows[order].reset_index()

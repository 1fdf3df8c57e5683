"""Sheets of a run's units: computed one by one, and kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from ...datasets.errors import InputError
from ...datasets.files import atomic_write, read_json, sha256
from ...datasets.fixations import Fixations
from ...datasets.options import check_seed
from ...datasets.progress import SILENT, Progress
from ...datasets.stimuli import Stimuli
from ..layers.layers import Layer
from ..networks.device import DEFAULT_EXECUTION, Execution, resolve_device
from ..networks.model import Model
from ..runs.inputs import layers_of, masks_of, model_of
from ..runs.resuming import locked, make_folder
from ..runs.run import Run
from .backward import randomised
from .extent import Fields
from .sheet import Sheet, effective_side, example
from .top import Top, check_units, find_top

UnitName = tuple[str, int]
"""A layer's name, and a unit's number from 0."""


@dataclass(frozen=True)
class Contents:
    """What sheets show.

    Attributes
    ----------
    patches : int
        How many of the best stimuli.
    seed : int
        Of the shuffled weights.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    patches: int = 9
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.patches < 1:
            raise InputError(f"patches {self.patches}: expected 1 or more")


DEFAULT_CONTENTS = Contents()


def best_of(run: Run, category: str, most: int, layer: str | None = None) -> list[UnitName]:
    """Return a run's units with the highest mean NSS for a category.

    Raises
    ------
    InputError
        If the run has no such category.
    """
    best = run.best_units(category, most, layer)
    return [(str(name), int(unit)) for name, unit in zip(best["layer"], best["unit"], strict=True)]


def make_sheets(
    run: Run,
    units: Sequence[UnitName],
    folder: Path,
    draw: Callable[[Run, Sheet, Path], None],
    *,
    kind: str = "png",
    contents: Contents = DEFAULT_CONTENTS,
    masks: Path | None = None,
    root: Path | None = None,
    model: Path | None = None,
    execution: Execution = DEFAULT_EXECUTION,
    progress: Progress = SILENT,
) -> list[Path]:
    """Compute the sheets of some units and draw them; those that are there are kept.

    Parameters
    ----------
    run : Run
    units : sequence of (layer, unit)
    folder : Path
        Where the figures and their data go.
    draw : callable
        Draws a sheet into a file.
    kind : str
        Suffix of the figures: png, svg or pdf.
    contents : Contents
    masks, root, model : Path, optional
        Where the run's inputs have moved.
    execution : Execution
    progress : Progress

    Returns
    -------
    list of Path
        The figures, in the units' order.

    Raises
    ------
    InputError
        If the run lacks a layer or unit, its inputs have changed, or the folder holds something
        else.
    """
    if not units:
        raise InputError("no unit is named; expected LAYER:UNIT, or a category whose best to take")
    network = model_of(run, model, "--model")
    known = layers_of(run, network)
    wanted: dict[str, list[int]] = {}
    for layer, unit in dict.fromkeys(units):
        if layer not in known:
            raise InputError(f"{run.folder}: no layer {layer!r}; there are {', '.join(known)}")
        wanted.setdefault(layer, []).append(unit)
    for layer, own in wanted.items():
        check_units(known[layer], own)
    mask_set, images, fixations = masks_of(run, masks, root)
    scored = set(run.regions["image_id"])
    stimuli = Stimuli(images, tuple(one for one in mask_set.images if one.id in scored))
    if not make_folder(folder) and _is_foreign(folder):
        raise InputError(f"{folder}: holds something else than sheets; choose another --out")
    paths = {one: folder / f"{quote(one[0], safe='')}-{one[1]}.{kind}" for one in units}
    with locked(folder):
        marks = {one: _mark(run, one, contents) for one in units}
        left = [one for one in dict.fromkeys(units) if not _is_there(paths[one], marks[one])]
        if len(left) < len(paths):
            progress.say(f"{len(paths) - len(left)} of {len(paths)} sheets are there already")
        if left:
            job = _Job(run, network, known, stimuli, fixations, contents)
            with progress.task("sheets", len(left)) as advance:
                for sheet in job.sheets(left, execution, progress):
                    one = (sheet.layer, sheet.unit)
                    draw(run, sheet, paths[one])
                    _write(sheet, run, paths[one], marks[one])
                    advance(1)
    return [paths[one] for one in units]


@dataclass(frozen=True, eq=False)
class _Job:
    """What sheets are made of."""

    run: Run
    network: Model
    layers: dict[str, Layer]
    stimuli: Stimuli
    fixations: Fixations
    contents: Contents

    def sheets(
        self, units: Sequence[UnitName], execution: Execution, progress: Progress
    ) -> Iterator[Sheet]:
        """Yield the units' sheets."""
        wanted: dict[str, list[int]] = {}
        for layer, unit in units:
            wanted.setdefault(layer, []).append(unit)
        device = resolve_device(execution.device)
        order = [layer for name, layer in self.layers.items() if name in wanted]
        top = find_top(
            *(self.network, order, wanted, self.stimuli, self.contents.patches),
            *(device, execution.batch_size_on(device), progress),
        )
        random = randomised(self.network, self.contents.seed)
        fields = {layer.name: Fields(self.network, layer) for layer in order}
        for name, unit in units:
            yield self._sheet(self.layers[name], unit, top[name], fields[name], random)

    def _sheet(
        self,
        layer: Layer,
        unit: int,
        top: Top,
        fields: Fields,
        random: Model,
    ) -> Sheet:
        examples, gradients, notes = [], [], []
        control: Model | None = random
        for peak in top.peaks[unit]:
            place = (self.network, layer, unit, peak, fields, self.stimuli, self.fixations)
            try:
                one, gradient = example(*place, control)
            except InputError as error:
                if control is None:
                    raise
                notes.append(str(error))
                control = None
                one, gradient = example(*place, control)
            examples.append(one)
            if gradient is not None:
                gradients.append((gradient, peak))
        if top.peaks[unit][0].value <= 0:
            notes.append("does not fire on any stimulus: nothing drives it")
        effective = effective_side(*_unzipped(gradients), fields)
        return Sheet(*(layer.name, unit, top.levels[unit], fields, effective, examples, notes))


def _unzipped(pairs: Sequence[tuple[np.ndarray, Any]]) -> tuple[list[np.ndarray], list[Any]]:
    return [one for one, _ in pairs], [other for _, other in pairs]


def _is_foreign(folder: Path) -> bool:
    """Return whether a folder holds anything but sheets."""
    kinds = (".json", ".png", ".svg", ".pdf")
    names = [path for path in folder.iterdir() if not path.name.startswith(".")]
    pairs = {path.stem for path in names if path.suffix == ".json"}
    return (
        any(path.suffix not in kinds for path in names)
        or (bool(names) and not pairs)
        or ((folder / "run.json").exists())
    )


def _mark(run: Run, unit: UnitName, contents: Contents) -> dict[str, Any]:
    """Return what a sheet depends on; another of these is another sheet."""
    parameters = run.info.parameters
    return {
        "layer": unit[0],
        "unit": unit[1],
        "masks": parameters.masks,
        "fixations": parameters.fixations,
        "scores": sha256(run.folder / "scores.npy"),
        "contents": vars(contents),
        "salprobe": version("salprobe"),
    }


def _is_there(figure: Path, mark: dict[str, Any]) -> bool:
    """Return whether a sheet's figure and data are there, and were made of the same.

    Raises
    ------
    InputError
        If a sheet is there that was made of something else.
    """
    path = figure.with_name(figure.stem + ".json")
    if not path.exists():
        return False
    content = read_json(path)
    made_of = content.get("made_of") if isinstance(content, dict) else None
    if made_of is None:
        raise InputError(f"{path}: not a unit's sheet")
    if made_of != mark:
        changed = [
            key for key in mark if not isinstance(made_of, dict) or made_of.get(key) != mark[key]
        ]
        raise InputError(
            f"{path}: was made with other parameters ({', '.join(changed)}); choose another --out"
        )
    return figure.exists()


def _write(sheet: Sheet, run: Run, figure: Path, mark: dict[str, Any]) -> None:
    """Write a sheet's data beside its figure."""
    fields = sheet.fields
    own = run.units[(run.units["layer"] == sheet.layer) & (run.units["unit"] == sheet.unit)]
    content = {
        "made_of": mark,
        "run": run.name,
        "level_99": None if np.isnan(sheet.level) else sheet.level,
        "field": {
            "height": fields.size[0],
            "width": fields.size[1],
            "down": fields.step[0],
            "across": fields.step[1],
            "effective_side": None if np.isnan(sheet.effective) else sheet.effective,
        },
        "nss": {
            str(row["category"]): None if np.isnan(row["mean"]) else row["mean"]
            for row in own.to_dict("records")
        },
        "examples": [
            {
                "image_id": one.peak.stimulus.id,
                "file_name": one.peak.stimulus.file_name,
                "value": one.peak.value,
                "cell": [one.peak.row, one.peak.column],
                "box": list(one.box),
                "fixations": len(one.x),
            }
            for one in sheet.examples
        ],
        "notes": sheet.notes,
    }
    with atomic_write(figure.with_name(figure.stem + ".json")) as file:
        file.write((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())

"""Sheets of a run's units: computed one by one, and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.errors import InputError
from ...datasets.fixations import Fixations
from ...datasets.progress import SILENT, Progress
from ...datasets.stimuli import Stimuli
from ..layers.layers import Layer
from ..networks.device import DEFAULT_EXECUTION, Execution, resolve_device
from ..networks.model import Model
from ..runs.inputs import layers_of, masks_of, model_of
from ..runs.resuming import locked, make_folder
from ..runs.run import Run
from .backward import randomised
from .canvas import Canvas
from .extent import Fields
from .folder import (
    DEFAULT_CONTENTS,
    Contents,
    UnitName,
    is_foreign,
    is_there,
    mark_of,
    preference_mark,
    stem_of,
    write_data,
)
from .preferred import Maker, Shown, keep
from .sheet import Sheet, effective_side, example
from .top import Peak, Top, check_units, find_top


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
    if not make_folder(folder) and is_foreign(folder):
        raise InputError(f"{folder}: holds something else than sheets; choose another --out")
    paths = {one: folder / f"{stem_of(one)}.{kind}" for one in units}
    with locked(folder):
        marks = {one: mark_of(run, one, contents) for one in units}
        left = [one for one in dict.fromkeys(units) if not is_there(paths[one], marks[one])]
        if len(left) < len(paths):
            progress.say(f"{len(paths) - len(left)} of {len(paths)} sheets are there already")
        if left:
            job = _Job(run, network, known, stimuli, fixations, contents, folder)
            with progress.task("sheets", len(left)) as advance:
                for sheet in job.sheets(left, execution, progress):
                    one = (sheet.layer, sheet.unit)
                    draw(run, sheet, paths[one])
                    write_data(sheet, run, paths[one], marks[one])
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
    folder: Path

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
        seen = {
            layer.name: (
                Fields(self.network, layer),
                Maker(Canvas.of(self.network, layer), self.stimuli, self.contents.seed),
            )
            for layer in order
        }
        for name, unit in units:
            yield self._sheet(self.layers[name], unit, top[name], *seen[name], random, progress)

    def _sheet(
        self,
        layer: Layer,
        unit: int,
        top: Top,
        fields: Fields,
        maker: Maker,
        random: Model,
        progress: Progress,
    ) -> Sheet:
        examples, gradients, notes = [], [], []
        control: Model | None = random
        peaks = top.peaks[unit]
        for peak in peaks:
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
        if peaks[0].value <= 0:
            notes.append("does not fire on any stimulus: nothing drives it")
        return Sheet(
            *(layer.name, unit, top.levels[unit], fields),
            effective=effective_side(*_unzipped(gradients), fields),
            linear=maker.linear(unit, [peak for _, peak in gradients]),
            preferred=self._preferred(maker, unit, peaks, notes, progress),
            examples=examples,
            notes=notes,
        )

    def _preferred(
        self,
        maker: Maker,
        unit: int,
        peaks: Sequence[Peak],
        notes: list[str],
        progress: Progress,
    ) -> dict[str, Shown]:
        """Return the pictures that a unit prefers; what cannot be made is noted."""
        canvas, found = maker.canvas, {}
        name = canvas.layer.name, unit
        mark = preference_mark(self.run, name, self.contents, canvas.size)
        for method in self.contents.prefer:
            path = self.folder / f"{stem_of(name)}.{method}.json"
            try:
                found[method] = keep(
                    *(path, mark, method),
                    partial(maker.make, method, unit, peaks, progress),
                )
            except InputError as error:
                notes.append(str(error))
        return found


def _unzipped(pairs: Sequence[tuple[np.ndarray, Any]]) -> tuple[list[np.ndarray], list[Any]]:
    return [one for one, _ in pairs], [other for _, other in pairs]

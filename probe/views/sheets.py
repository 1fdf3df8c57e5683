"""A unit's sheet as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...datasets.errors import InputError
from ...datasets.interval import Interval
from ...datasets.progress import SILENT, Progress
from ...datasets.texts import figure_text, minus
from ..fields.estimates import CHANNELS
from ..inside.folder import DEFAULT_CONTENTS, Contents, UnitName
from ..inside.sheet import Example, Sheet
from ..inside.sheets import make_sheets
from ..networks.device import DEFAULT_EXECUTION, Execution
from ..runs.run import Run
from .fields.pictures import picture_of
from .overlays import save_figure
from .run import describe

_SIDE = 1.35  # of a panel, in inches
_ROWS = {
    "deconvnet": "deconvnet",
    "deconvnet random": "the same, all\nweights shuffled",
    "guided": "guided\nbackprop",
    "guided random": "the same, all\nweights shuffled",
}
_PREFERRED: dict[str, str] = {
    "maco": "activation\nmaximised,\nMACO",
    "yosinski": "the same,\nYosinski's four\nregularisers",
    "accentuation": "best stimuli,\naccentuated",
}


def unit_sheets(
    run: Run,
    units: Sequence[UnitName],
    out: str | Path | None = None,
    *,
    kind: str = "png",
    contents: Contents = DEFAULT_CONTENTS,
    masks: str | Path | None = None,
    root: str | Path | None = None,
    model: str | Path | None = None,
    execution: Execution = DEFAULT_EXECUTION,
    progress: Progress = SILENT,
) -> list[Path]:
    """Write the sheets of some units: what they respond to, where, and what drives them.

    Parameters
    ----------
    run : Run
    units : sequence of (layer, unit)
        Units are counted from 0.
    out : path, optional
        The folder; by default ``units`` in the run's folder. Sheets that are there are kept, and
        so are pictures that units prefer.
    kind : "png", "svg" or "pdf"
    contents : Contents
    masks, root, model : path, optional
        The mask file, the folder of images, and the file of weights or training folder, if they
        have moved since the run.
    execution : Execution
    progress : Progress

    Returns
    -------
    list of Path
        The figures; beside each lies a JSON file with its numbers.

    Raises
    ------
    InputError
        If the run lacks a unit, or an input is missing or not the run's.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> small = sp.Backbone("squeezenet1_0", "random", input_size=(64, 64))
    >>> gaze = "sample/fixations.csv"
    >>> run = sp.probe("sample/masks.json", model=small, fixations=gaze, out="run")
    >>> [path.name for path in sp.unit_sheets(run, [("features.3", 5)])]
    ['features.3-5.png']
    """
    if kind not in ("png", "svg", "pdf"):
        raise InputError(f"{kind}: expected png, svg or pdf")
    masks, root, model = (None if one is None else Path(one) for one in (masks, root, model))
    return make_sheets(
        run,
        units,
        Path(out) if out else run.folder / "units",
        draw_sheet,
        kind=kind,
        contents=contents,
        masks=masks,
        root=root,
        model=model,
        execution=execution,
        progress=progress,
    )


def draw_sheet(run: Run, sheet: Sheet, path: Path) -> None:
    """Draw a unit's sheet.

    Raises
    ------
    InputError
        If matplotlib does not know the file's format.
    """
    driven = list(_ROWS) if any(one.driving for one in sheet.examples) else []
    columns = max(len(sheet.examples), 4)
    shapes = [one.patch.shape for one in sheet.examples]
    tall = float(np.mean([height / width for height, width, _ in shapes]))
    heights = [_SIDE * tall] * (1 + len(driven)) + [_SIDE] * len(sheet.preferred)
    heights += [_SIDE] if sheet.linear is not None else []
    rows = len(heights)
    caption = _caption(run, sheet)
    size = (0.9 + _SIDE * columns, sum(heights) + 0.22 * rows + 0.17 * (caption.count("\n") + 2))
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(caption, fontsize=8, x=0.01, ha="left")
    axes: Any = figure.subplots(
        rows, columns, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for axis in axes.ravel():
        axis.set_axis_off()
    left = iter(axes)
    row = next(left)
    for axis, one in zip(row, sheet.examples, strict=False):
        _patch(axis, one, sheet.level)
    _name(row[0], "best stimuli,\nin the field")
    for name in driven:
        row = next(left)
        _name(row[0], _ROWS[name])
        for axis, one in zip(row, sheet.examples, strict=False):
            if name in one.driving:
                height, width, _ = one.patch.shape
                axis.imshow(_stretched(one.driving[name]), extent=(0, width, height, 0))
            else:
                axis.text(0.5, 0.5, "does not\nfire", ha="center", va="center", fontsize=7)
    for method, shown in sheet.preferred.items():
        row = next(left)
        _name(row[0], _PREFERRED[method])
        pairs = zip(row, shown.pictures, shown.responses, strict=False)
        for axis, picture, response in pairs:
            axis.imshow(_over_grey(picture))
            axis.set_title(f"{response:.4g}", fontsize=6)
    if sheet.linear is not None:
        _linear(next(left), sheet.linear)
    save_figure(figure, path)


def _linear(row: Any, field: np.ndarray) -> None:
    """Draw a linear field: as a picture, and its channels at one scale."""
    _name(row[0], "mean gradient:\nlinear field")
    row[0].imshow(picture_of(field))
    row[0].set_title("in colour", fontsize=6)
    reach = np.abs(field).max() or 1.0
    for axis, name, part in zip(row[1:], CHANNELS, field, strict=False):
        axis.imshow(part, cmap="RdBu_r", vmin=-reach, vmax=reach)
        axis.set_title(name.replace("-", "–"), fontsize=6)


def _over_grey(picture: np.ndarray) -> np.ndarray:
    """Lay a picture, (height, width, 4), over grey where its pixels did not matter."""
    opacity = picture[..., 3:] / 255
    return opacity * picture[..., :3] / 255 + (1 - opacity) * 0.5


def _caption(run: Run, sheet: Sheet) -> str:
    units = run.units[(run.units["layer"] == sheet.layer) & (run.units["unit"] == sheet.unit)]
    best = units.dropna(subset=["mean"]).sort_values("mean", ascending=False).head(3)
    scores = ", ".join(
        f"{row['category']} {_number(Interval.of(row, 'mean'))}" for row in best.to_dict("records")
    )
    height, width = sheet.fields.size
    whole = (height, width) == tuple(run.info.parameters.input_size)
    field = "the whole picture" if whole else f"{height}×{width} px"
    if not np.isnan(sheet.effective):
        field += f" (effective: {sheet.effective:.0f}×{sheet.effective:.0f})"
    lines = [
        f"{sheet.layer}, unit {sheet.unit}",
        describe(run).split("\n")[0],
        f"mean NSS: {scores or '–'}",
        f"receptive field in the network's input: {field}; outlined: above the level that 1 % of "
        "its positions exceed; dots: fixations",
        *sheet.notes,
    ]
    return "\n".join(map(figure_text, lines))


def _number(interval: Interval) -> str:
    if np.isnan(interval.low):
        return minus(f"{interval.value:.2f}")
    return minus(f"{interval.value:.2f} ± {interval.half_width:.2f}")


def _patch(axis: Any, one: Example, level: float) -> None:
    axis.imshow(one.patch)
    if min(one.map.shape) > 1 and one.map.min() < level < one.map.max():
        axis.contour(one.map, levels=[level], colors="black", linewidths=1.8)
        axis.contour(one.map, levels=[level], colors="white", linewidths=0.9)
    axis.scatter(one.x, one.y, s=2.5, c="#ff5ab4", linewidths=0)
    axis.set_xlim(-0.5, one.patch.shape[1] - 0.5)
    axis.set_ylim(one.patch.shape[0] - 0.5, -0.5)
    axis.set_title(
        f"{figure_text(Path(one.peak.stimulus.file_name).stem)}: {one.peak.value:.4g}", fontsize=6
    )


def _stretched(shown: np.ndarray) -> np.ndarray:
    """Return a projection as a picture, grey where it is zero, at the same scale up and down."""
    reach = np.quantile(np.abs(shown), 0.998)
    scaled = 0.5 + 0.5 * shown / reach if reach > 0 else np.full_like(shown, 0.5)
    return np.clip(scaled, 0, 1).transpose(1, 2, 0)


def _name(axis: Any, text: str) -> None:
    axis.text(
        *(-0.08, 0.5, text),
        transform=axis.transAxes,
        ha="right",
        va="center",
        fontsize=7,
        rotation=0,
    )

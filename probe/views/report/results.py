"""Folders of results that are not runs, recognised and read for a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Group, RenderableType

from ....datasets.errors import InputError
from ....datasets.interval import Interval
from ....datasets.readers.tables import read_columns
from ....datasets.texts import printable
from ...dissection.dissect import Dissection
from ...experiments.popout import SearchTables, is_search
from ...experiments.sweep import Sweep
from ...experiments.tasks import Tasks
from ...explain.bank import FAMILIES
from ...explain.explanation import Explanation
from ...explain.partition import column
from ...fields.shares import read_shares
from ...records.loose_info import FieldsInfo, SearchInfo
from ...records.record import Record
from ...records.train_info import TrainInfo
from ..dissection import render_dissection
from ..explain import render_explained_units, render_explanation
from ..fields.table import render_shares
from ..saliency.tables import render_search
from ..training import render_sweep, render_tasks, render_training
from .charts import Mark, Plot, Series, colours, mark
from .content import finite
from .overview import pairs_of, texts

_UNITS = 20  # of an explanation


@dataclass(frozen=True, eq=False)
class Results:
    """What a page shows of a folder of results.

    Attributes
    ----------
    kind : str
        What the results are of, in one or two words.
    folder : Path
    what : str
        One line.
    view : RenderableType
        Its tables, as in the terminal.
    record : Record or None
        How it was made.
    plots : list of Plot
    figures : list of (str, Path)
        Title and file of figures that show no stimulus.
    stimuli : list of (str, Path)
        Of those that do.
    parts : list of Path
        Folders in it that have pages of their own.
    source : Dissection or None
        What a run's pages also show of it.
    """

    kind: str
    folder: Path
    what: str
    view: RenderableType
    record: Record | None = None
    plots: list[Plot] = field(default_factory=list)
    figures: list[tuple[str, Path]] = field(default_factory=list)
    stimuli: list[tuple[str, Path]] = field(default_factory=list)
    parts: list[Path] = field(default_factory=list)
    source: Dissection | None = None

    @property
    def name(self) -> str:
        """The folder's name."""
        return printable(self.folder.resolve().name)

    def values(self) -> dict[str, Any]:
        """Return what the page's template shows of it."""
        record = self.record
        return {
            "kind": self.kind,
            "name": self.name,
            "simulated": bool(getattr(record, "simulated", False)),
            "command": printable(record.command) if record else None,
            "parameters": texts(pairs_of(record)) if record else [],
            "version": printable(record.salprobe) if record else "",
        }


def results_of(folder: Path) -> Results | None:
    """Read a folder of results; None if it holds none, or a run.

    Raises
    ------
    InputError
        If the results are unfinished or damaged.
    """
    if is_search(folder):
        return _search(folder)
    for name, read in _READERS.items():
        if (folder / name).is_file():
            return read(folder)
    return None


def _training(folder: Path) -> Results:
    info = TrainInfo.read(folder)
    if info.result is None:
        raise InputError(f"{folder}: this training is unfinished; repeat its command to resume it")
    measure = "NSS" if info.scenes is None else "balanced accuracy"
    what = f"{info.parameters.backbone.model}, tune {info.parameters.tune}: validation {measure} "
    return Results(
        "Training",
        folder,
        printable(f"{what}{info.result.validation:.3f}"),
        render_training(info),
        info,
        _curves(folder, measure),
        parts=[path for path in [folder / "run"] if (path / "run.json").is_file()],
    )


def _curves(folder: Path, measure: str) -> list[Plot]:
    """Return a training's validation by epoch, and its loss by step."""
    info, plots = TrainInfo.read(folder), []
    tables = (("epochs", "epoch", "validation", measure), ("steps", "step", "loss", "loss"))
    for name, along, value, label in tables:
        path = folder / f"{name}.csv"
        if not path.is_file():
            continue
        numbers = [value, "loss"] if name == "epochs" else [value]
        table = read_columns(path, [], ["epoch", *([along] if along != "epoch" else [])], numbers)
        every = max(1, len(table) // 400)
        rows = table.iloc[::every].reset_index(drop=True)
        places = rows["epoch"] if name == "epochs" else pd.Series(range(0, len(table), every)) + 1
        marks = [
            mark(float(place), _alone(one), f"{along} {place}, {label}")
            for place, one in zip(places, rows[value], strict=True)
        ]
        said = f"best: epoch {info.result.best_epoch}" if info.result else ""
        note = f"On the validation stimuli, after each epoch; {said}."
        note = note if name == "epochs" else "On the training stimuli, step by step."
        series = [Series(label, "#4477aa" if name == "epochs" else "#ee6677", marks)]
        title = f"Validation {label}" if name == "epochs" else "Loss"
        plots.append(Plot(title, note, "lines", along, label, series=series))
    return plots


def _alone(value: float) -> Interval:
    nan = float("nan")
    return Interval(float(value), nan, nan)


def _sweep(folder: Path) -> Results:
    found = Sweep.open(folder)
    first, *others = found.runs
    steps = [folder / f"tune-{name}" for name in found.runs]
    return Results(
        "Sweep",
        folder,
        printable(f"{found.model}, tune {', '.join(found.runs)}"),
        render_sweep(found),
        TrainInfo.read(steps[0]),
        [
            *_gains(found.categories, "tune", others, f"Gain over tune {first}"),
            _predictions(found.prediction),
        ],
        parts=steps,
    )


def _gains(table: pd.DataFrame, key: str, names: list[str], title: str) -> list[Plot]:
    """Return the plot of changes by category; none without a second run."""
    categories = list(dict.fromkeys(table["category"]))
    series = []
    palette = dict(zip(names, _shades(len(names)), strict=True))
    for name in names:
        rows = table[table[key] == name].set_index("category")
        marks = [
            mark(place, Interval.of(rows.loc[category].to_dict(), "change"), f"{name}, {category}")
            for place, category in enumerate(categories)
            if category in rows.index
        ]
        series.append(Series(printable(f"{key} {name}"), palette[name], marks))
    if not any(one.y is not None for own in series for one in own.marks):
        return []
    note = (
        "Change of the mean NSS of ten units, chosen and scored on different stimuli, with "
        "95\u00a0% intervals."
    )
    places = list(map(printable, categories))
    plot = Plot(title, note, "points", "category", "change (NSS)", places, series, level=0.0)
    return [plot]


def _shades(count: int) -> list[str]:
    """Return so many colours, from violet to yellow-green."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps["viridis"]((k + 0.5) / max(2, count + 1))) for k in range(count)]


def _predictions(table: pd.DataFrame) -> Plot:
    rows = table.to_dict("records")
    marks = [
        mark(place, Interval.of(row, "nss"), f"tune {row['tune']}")
        for place, row in enumerate(rows)
    ]
    return Plot(
        "NSS of the predicted maps",
        "On the test stimuli, with 95\u00a0% intervals over stimuli.",
        "points",
        "tune",
        "NSS",
        [str(row["tune"]) for row in rows],
        [Series("predicted maps", "#4477aa", marks)],
    )


def _tasks(folder: Path) -> Results:
    found = Tasks.open(folder)
    figure = folder / "tasks.png"
    return Results(
        "Tasks",
        folder,
        printable(f"{found.model}: pre-trained, for saliency, for scenes"),
        render_tasks(found),
        TrainInfo.read(folder / "sp"),
        _gains(found.categories, "task", ["sp", "sr"], "Change over the pre-trained network"),
        stimuli=[("Test stimuli, and the networks' mean maps", figure)] if figure.is_file() else [],
        parts=[folder / name for name in ("run-pt", "run-sp", "run-sr", "sp", "sr")],
    )


def _search(folder: Path) -> Results:
    info, found = SearchInfo.read(folder), SearchTables.open(folder)
    names = [*info.models, *info.networks]
    plots, palette = [], colours(names)
    if len(found.measures):
        features = list(dict.fromkeys(found.measures["feature"]))
        means = found.measures.groupby(["model", "feature"], sort=False)["nmm"].mean()
        series = [
            Series(
                printable(name),
                palette[name],
                [
                    mark(place, _alone(means[name, feature]), f"{name}, {feature or '–'}")
                    for place, feature in enumerate(features)
                    if (name, feature) in means.index
                ],
            )
            for name in info.models
        ]
        note = "Mean NMM of the targets by what they differ in: above 0, the target stands out."
        places = [printable(feature) or "–" for feature in features]
        plot = Plot("By feature", note, "points", "feature", "NMM", places, series, level=0.0)
        plots.append(plot)
    for name in info.networks:
        rows = found.layers[found.layers["model"] == name].to_dict("records")
        marks = []
        for place, row in enumerate(rows):
            fitted = Interval(row["nmm_crossval"], row["nmm_low"], row["nmm_high"])
            marks.append(mark(place, fitted, f"{row['layer']}, NMM"))
        note = "Mean NMM of ten units of each layer, chosen and scored on different arrays."
        places = [printable(row["layer"]) for row in rows]
        series = [Series(printable(name), palette[name], marks)]
        title = printable(f"Units of {name}")
        plots.append(Plot(title, note, "points", "layer", "NMM", places, series, level=0.0))
    what = printable(f"{', '.join(names)} on {info.arrays} arrays")
    return Results("Search arrays", folder, what, render_search(found), info, plots)


def _explanation(folder: Path) -> Results:
    found = Explanation.open(folder)
    whole = found.layers[found.layers["category"] == ""].to_dict("records")
    names = {"r2": "R²", **{f"unique_{column(one)}": f"{one}, unique" for one in FAMILIES}}
    palette = colours(names)
    series = [
        Series(
            label,
            palette[key],
            [
                mark(place, Interval.of(row, key), f"{row['layer']}, {label}")
                for place, row in enumerate(whole)
            ],
        )
        for key, label in names.items()
    ]
    note = "Mean over units, on stimuli that had no part in the fit, with 95\u00a0% intervals."
    places = [printable(row["layer"]) for row in whole]
    plot = Plot("Explained variance", note, "points", "layer", "R²", places, series, level=0.0)
    view = Group(render_explanation(found), render_explained_units(found, _UNITS))
    return Results("Explanation", folder, found.describe(), view, found.info, [plot])


def _fields(folder: Path) -> Results:
    info = FieldsInfo.read(folder)
    if not (folder / "shares.csv").is_file():
        raise InputError(f"{folder}: these fields are unfinished; repeat their command")
    table = read_shares(folder, info.networks)
    networks = {str(name): one.called() for name, one in info.networks.items()}
    sizes = {name: (layer.side, layer.block) for name, layer in info.layers.items()}
    figure = folder / "fields.png"
    return Results(
        "Receptive fields",
        folder,
        printable("; ".join(networks.values())),
        render_shares(table, networks, sizes),
        info,
        figures=[("Receptive fields", figure)] if figure.is_file() else [],
    )


def _dissection(folder: Path) -> Results:
    found = Dissection.open(folder)
    table, palette = found.summary, colours(found.info.categories)
    layers = list(dict.fromkeys(table["layer"]))
    series = []
    for category, rows in table.groupby("category", sort=False):
        if not rows["detectors"].any():
            continue
        counts = rows.set_index("layer")["detectors"]
        marks = [
            Mark(
                place,
                finite(counts[layer]),
                text=printable(f"{layer}, {category}: {counts[layer]:.0f}"),
            )
            for place, layer in enumerate(layers)
        ]
        series.append(Series(printable(category), palette[str(category)], marks))
    note = "Units whose highest IoU is that with the category, and above the level of a detector."
    places = list(map(printable, layers))
    plot = Plot("Detectors by layer", note, "lines", "layer", "units", places, series)
    view = render_dissection(found)
    return Results("Dissection", folder, found.describe(), view, found.info, [plot], source=found)


_READERS: dict[str, Callable[[Path], Results]] = {
    "sweep.json": _sweep,
    "tasks.json": _tasks,
    "train.json": _training,
    "explain.json": _explanation,
    "dissection.json": _dissection,
    "fields.json": _fields,
}
"""How a folder is read, by the record that tells it."""

"""Results review: from a run's table to units, regions and activation maps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import pandas as pd
from PIL import Image
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, Footer, OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import get_current_worker

from ...datasets.errors import InputError
from ...datasets.files import atomic_write
from ...datasets.interval import Interval
from ...datasets.masks.annotation import Annotation
from ...datasets.texts import harmless, printable
from ...probe.analysis.compare import compare
from ...probe.choices import Format
from ...probe.runs.run import Run
from ...probe.views.cells import bracketed, small
from ...probe.views.run import describe, formatted, paper_table
from ..frame.app import TextApp
from ..frame.dialogs import Choose
from ..frame.drawing import draw, warm
from ..frame.help import Keys
from ..frame.picture import Picture
from ..frame.shades import difference, plain, score, tally
from ..frame.tables import fill
from .plots import Plots
from .runs import Moved, maps, names, opened, read_search, so_far, sources, state
from .saving import save, suffix_of

MEASURES = {
    "top10_crossval": "mean NSS of 10 units, chosen and scored on different stimuli",
    "top10_mean": "as in the paper: mean NSS of the top 10 units on the stimuli that chose them",
    "above_threshold": "units whose mean NSS is above 1.5",
    "contrast": "contrast of the cross-fitted units: category less other regions of its stimuli",
    "selective": "selective units: contrast above 0, false discovery rate 5 % over the table",
    "shuffled": "position without content: the top 10 units at regions of other stimuli",
    "share": "share of the ceiling (what half of the observers predict of the others), in percent",
    "paper": "He et al. 2019, Table 2",
}

_WHOLE = ("above_threshold", "selective", "share")  # shown without decimals
_UNITS, _REGIONS = 60, 200  # rows listed at most


class ResultsReview(TextApp):
    """Reviews finished runs.

    Parameters
    ----------
    folders : sequence of Path
        Run folders. A folder that is not a finished run is reported when it is chosen.
    moved : Moved, optional
        Where the runs' inputs are now.
    """

    TITLE = "probe review"
    CSS_PATH = "review.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Keys", key_display="?", tooltip="this list"),
        Binding("q", "quit", "Quit", tooltip="quit"),
        Binding("enter", "down", "Open", tooltip="from a cell to its units, then to their regions"),
        Binding("escape,backspace", "up", "Back", key_display="esc", tooltip="back"),
        Binding("m", "measure", "Measure", tooltip="next measure"),
        Binding("w", "worst", "Worst", tooltip="the worst regions, or the best"),
        Binding("c", "compare", "Compare", tooltip="the change from another run"),
        Binding("p", "plots", "Plots", tooltip="units by layer, and their distribution"),
        Binding("e", "export", "Export", tooltip="write the table to a file"),
        Binding("s", "picture", "write the picture or the screen to a file", show=False),
        Binding("r", "runs", "Runs", tooltip="the list of runs"),
    ]

    def __init__(self, folders: Sequence[Path], moved: Moved | None = None) -> None:
        super().__init__()
        self.folders, self.moved = list(folders), moved or Moved()
        self.names = names(self.folders)
        self.run_: Run | None = None
        self.other: Run | None = None
        self.measure = "top10_crossval"
        self.layer = self.category = ""
        self.unit = 0
        self.level = "run"
        self.worst = False
        self.frame = pd.DataFrame()  # what the table shows, as data
        self.layers: list[str] = []
        self.columns: list[str] = []
        self.place = 0
        self.shown: Image.Image | None = None
        self._seen: list[tuple[str, int, int]] = []  # the folder's files when it was opened
        self._sources = lru_cache(maxsize=4)(sources)
        self._maps = lru_cache(maxsize=8)(maps)

    def compose(self) -> ComposeResult:
        """Lay out the runs, the table and the picture."""
        with Horizontal():
            yield OptionList(
                *(Option(Text(printable(name)), id=str(k)) for k, name in enumerate(self.names)),
                id="runs",
                compact=True,
            )
            with Vertical():
                yield Static(id="title")
                yield Static(id="about")
                with Horizontal():
                    yield DataTable(
                        id="table", cursor_foreground_priority="renderable", fixed_columns=1
                    )
                    yield Picture(id="picture")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Open the first run."""
        self.query_one("#picture").display = False
        self.query_one("#runs", OptionList).display = len(self.folders) > 1
        self._open(0)
        self.query_one("#table").focus()
        self.set_interval(2, self._poll)

    @on(OptionList.OptionHighlighted, "#runs")
    def choose_run(self, event: OptionList.OptionHighlighted) -> None:
        """Open the run."""
        self._open(event.option_index)

    @on(DataTable.CellSelected, "#table")
    @on(DataTable.RowSelected, "#table")
    def open_selected(self) -> None:
        """Go down, by Enter in the table or by mouse."""
        self.action_down()

    @on(OptionList.OptionSelected, "#runs")
    def leave_runs(self) -> None:
        """Return to the run's table."""
        self.query_one("#table").focus()

    @on(DataTable.RowHighlighted, "#table")
    def choose_region(self) -> None:
        """Show the region's stimulus and the unit's map."""
        if self.level == "regions":
            self._look()

    def action_down(self) -> None:
        """Go from the table to units, or from a unit to regions."""
        table = self.query_one("#table", DataTable)
        if self.run_ is None or not table.row_count:
            return
        if self.level == "run":
            row, column = table.cursor_coordinate
            if column == 0:
                return
            self.layer, self.category = self.layers[row], self.columns[column - 1]
            self._units()
        elif self.level == "units":
            self.unit = int(self.frame["unit"].iloc[table.cursor_row])
            self._regions()

    def action_up(self) -> None:
        """Go back one level."""
        if self.level == "regions":
            self._units()
        elif self.level == "units" or self.other is not None:
            self.other = None
            self._table()

    def action_measure(self) -> None:
        """Show the next measure."""
        names = list(MEASURES)
        self.measure = names[(names.index(self.measure) + 1) % len(names)]
        if self.run_ is not None and self.measure == "paper" and paper_table(self.run_) is None:
            self.measure = names[0]
        self.other = None
        self._table()

    def action_worst(self) -> None:
        """Switch between the regions where the unit scores best and worst."""
        self.worst = not self.worst
        if self.level == "regions":
            self._regions()

    def action_compare(self) -> None:
        """Choose a run, and show the change from it to this one."""
        others = {
            str(k): self.names[k]
            for k, folder in enumerate(self.folders)
            if self.run_ is None or folder != self.run_.folder
        }
        if not others:
            self.notify("no other run is open; name it on the command line", severity="warning")
            return

        def done(answer: str | None) -> None:
            if answer is None:
                return
            try:
                self.other = opened(self.folders[int(answer)])
                self._table()
            except InputError as error:
                self.other = None
                self.notify(str(error), severity="warning")

        self.push_screen(Choose("Change from which run?", others), done)

    def action_export(self) -> None:
        """Write the table shown as .csv, .md, .tex or .json, by the file's suffix."""
        kinds: dict[str, Format] = {".csv": "csv", ".md": "md", ".tex": "latex", ".json": "json"}
        frame = self.frame

        def write(path: Path) -> None:
            kind = kinds[suffix_of(path, tuple(kinds))]
            with atomic_write(path) as file:
                file.write((formatted(frame, kind) + "\n").encode())

        what = self.level if self.level != "run" else "change" if self.other else self.measure
        name = f"{self.folders[self.place].resolve().name}-{what}.csv"
        save(self, f"Write the table to ({', '.join(kinds)})", name, write)

    def action_plots(self) -> None:
        """Plot units above the threshold by layer, and the distribution of a layer's units."""
        if self.run_ is None:
            return
        category, layer = self.category, self.layer
        if self.level == "run":
            row, column = self.query_one("#table", DataTable).cursor_coordinate
            layer, category = self.layers[row], self.columns[max(0, column - 1)]
        self.push_screen(Plots(self.run_, category, layer))

    def action_picture(self) -> None:
        """Write the stimulus with the map as PNG, or the screen as SVG, by the file's suffix."""
        screen, picture = self.export_screenshot(), self.shown if self.level == "regions" else None

        def write(path: Path) -> None:
            suffix = suffix_of(path, (".png", ".svg") if picture else (".svg",))
            with atomic_write(path) as file:
                if suffix == ".svg" or picture is None:
                    file.write(screen.encode())
                else:
                    picture.save(file, format="PNG")

        if picture is None:
            save(self, "Write the screen to (.svg)", "screen.svg", write)
        else:
            name = f"{self.layer}-{self.unit}.png".replace("/", "_")
            save(self, "Write the picture to (.png), or the screen to (.svg)", name, write)

    def action_runs(self) -> None:
        """Go to the list of runs."""
        runs = self.query_one("#runs", OptionList)
        runs.display = True
        runs.focus()

    def action_help(self) -> None:
        """Show all keys."""
        self.push_screen(Keys(self.BINDINGS))

    def _open(self, place: int) -> None:
        folder = self.folders[place]
        if self.run_ is not None and self.run_.folder == folder:
            return
        self.run_, self.other, self.level, self.place = None, None, "run", place
        self._seen = state(folder)
        try:
            search = read_search(folder)
            if search is not None:
                self._search(*search)
                return
            self.run_ = opened(folder)
            self._table()
        except InputError as error:
            self.query_one("#table", DataTable).clear(columns=True)
            self.query_one("#picture").display = False
            self._say(str(error), so_far(folder))

    def _poll(self) -> None:
        """Reopen a run that was not finished or not whole, once its files have changed."""
        if (
            self.run_ is None
            and self.level == "run"
            and state(self.folders[self.place]) != self._seen
        ):
            self._open(self.place)

    def _search(self, frame: pd.DataFrame, what: str) -> None:
        """Show the results of `probe popout` by feature."""
        self.run_, self.level, self.frame = None, "popout", frame
        first, *others = map(str, frame.columns)
        rows = [
            [Text(printable(row[0])), *(score(value) for value in row[1:])]
            for row in frame.itertuples(index=False)
        ]
        self._fill([first, *others], rows)
        self._say(what)

    def _table(self) -> None:
        """Show layers × categories: a measure, or its change from another run."""
        if self.run_ is None:
            return
        self.level = "run"
        try:
            rows, what = self._measured() if self.other is None else self._compared(self.other)
        except InputError as error:
            self.other = None
            self.notify(str(error), severity="warning")
            return
        self._fill(["layer", *self.columns], rows, cursor="cell")
        if self.layer in self.layers and self.category in self.columns:
            row, column = self.layers.index(self.layer), 1 + self.columns.index(self.category)
            self.query_one("#table", DataTable).move_cursor(row=row, column=column)
        self._say(what, describe(self.run_))

    def _measured(self) -> tuple[list[list[Text]], str]:
        """Return the rows of a measure, and its description."""
        run = self._run()
        paper = paper_table(run) if self.measure == "paper" else None
        if paper is not None:
            table = paper
        elif self.measure == "share":
            table = 100 * run.shares()
        else:
            table = run.table(self.measure)
        self.layers, self.columns = list(map(str, table.index)), list(map(str, table.columns))
        self.frame = table.reset_index(names="layer")
        cell = tally if self.measure in _WHOLE else score
        rows = [
            [Text(printable(layer)), *map(cell, row)]
            for layer, row in zip(self.layers, table.to_numpy(float).tolist(), strict=True)
        ]
        return rows, MEASURES[self.measure]

    def _compared(self, earlier: Run) -> tuple[list[list[Text]], str]:
        """Return each layer's rows (after, before, change), and their description."""
        self.frame = compare(earlier, self._run())
        self.columns = list(dict.fromkeys(self.frame["category"]))
        self.layers, rows = [], []
        for layer, part in reversed(list(self.frame.groupby("layer", sort=False))):
            self.layers += [str(layer)] * 3
            both = [list(map(score, part[name].tolist())) for name in ("after", "before")]
            change = [
                difference(*values) for values in part[["difference", "q"]].itertuples(index=False)
            ]
            rows += [
                [Text(printable(layer)), *both[0]],
                [Text("  before", style="dim"), *both[1]],
                [Text("  change", style="dim"), *change],
            ]
        name = self.names[self.folders.index(earlier.folder)]
        return rows, (
            f"mean NSS of 10 cross-fitted units, before: {name}; change bold: not 0, false "
            "discovery rate 5 %"
        )

    def _units(self) -> None:
        """Show a layer's units for a category, best first, with intervals for these so chosen."""
        run = self._run()
        self.level = "units"
        self.frame = run.best_units(self.category, _UNITS, self.layer).drop(columns="layer")
        named = ["name"] if "name" in self.frame else []
        rows = [
            [
                plain(row["unit"]),
                *(plain(row[name]) for name in named),
                bracketed(Interval.of(row, "mean")),
                bracketed(Interval.of(row, "contrast")),
                Text(small(row["contrast_q"])),
                plain(row["shuffled"]),
            ]
            for row in self.frame.to_dict("records")
        ]
        self._fill(["unit", *named, "NSS", "contrast", "q", "shuffled"], rows)
        self._say(
            f"{self.layer}: units for {self.category}, the best first; 95 % intervals allow for "
            "the choice"
        )

    def _regions(self) -> None:
        """Show the category's regions, ordered by the unit's score."""
        run = self._run()
        self.level = "regions"
        table = run.regions.assign(nss=run.scores_of(self.layer)[:, self.unit])
        table = table[(table["category"] == self.category) & (table["n_fixations"] > 0)]
        table = table.sort_values("nss", ascending=self.worst, kind="stable").head(_REGIONS)
        self.frame = table[["annotation_id", "image_id", "nss", "n_fixations"]]
        self._fill(
            ["region", "image", "NSS", "fixations"],
            [[plain(value) for value in row] for row in self.frame.itertuples(index=False)],
        )
        order = "worst" if self.worst else "best"
        self._say(f"{self.layer}, unit {self.unit}, {self.category}: the {order} regions first")
        self.query_one("#picture").display = True
        self.query_one(Picture).say("reading the images …")
        self._look()

    def _fill(self, columns: list[str], rows: list[list[Text]], cursor: str = "row") -> None:
        table = self.query_one("#table", DataTable)
        self.query_one("#picture").display = False
        table.cursor_type = cursor  # type: ignore[assignment]
        with self.prevent(DataTable.RowHighlighted):
            headers = [
                Text(printable(name).replace(" ", "\n"), justify="right") for name in columns
            ]
            fill(table, headers, rows)
            if cursor == "cell" and rows:
                table.move_cursor(row=0, column=1)

    def _look(self) -> None:
        """Show the chosen region on its stimulus, and the unit's map once it is computed."""
        table = self.query_one("#table", DataTable)
        if not len(self.frame) or not table.row_count:
            self.query_one(Picture).say("no region of this category has fixations")
            return
        row = self.frame.iloc[min(table.cursor_row, len(self.frame) - 1)]
        self._activation(int(row["image_id"]), int(row["annotation_id"]), self.unit, self.layer)

    @work(thread=True, exclusive=True, group="activation")
    def _activation(self, image_id: int, region: int, unit: int, layer: str) -> None:
        run, worker = self._run(), get_current_worker()
        shown = self.query_one(Picture)
        try:
            stimuli, outlines, names = self._sources(run, self.moved)
            stimulus = next(image for image in stimuli if image.id == image_id)
            picture = stimuli.read(stimulus)
        except InputError as error:
            self.call_from_thread(shown.say, str(error))
            return

        def category(annotation: Annotation) -> str:
            return names[annotation.category_id]

        def drawn(image: Image.Image, size: tuple[int, int]) -> Image.Image:
            return draw(image, stimulus, [outlines[region]], category, region, size)

        def show(image: Image.Image) -> None:
            if worker.is_cancelled or not shown.is_attached:
                return
            size = (stimulus.width, stimulus.height)
            self.shown = drawn(image, size)
            shown.show(size, lambda size: drawn(image, size))

        self.call_from_thread(show, picture)
        try:
            layer_maps = self._maps(run, self.moved, layer, image_id, stimuli)
        except InputError as error:
            self.call_from_thread(self.notify, str(error), severity="warning")
            return
        self.call_from_thread(show, warm(picture, layer_maps[unit]))

    def _run(self) -> Run:
        assert self.run_ is not None
        return self.run_

    def _say(self, what: str, about: str = "") -> None:
        """Say what the table shows, and below that something about the run."""
        for place, text in (("#title", what), ("#about", about)):
            shown = self.query_one(place, Static)
            shown.update(Text(harmless(text)))
            shown.display = bool(text)

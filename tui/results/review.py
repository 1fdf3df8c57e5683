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

from ...datasets.errors import InputError
from ...datasets.texts import harmless, printable
from ...probe.runs.run import Run
from ...probe.views.run import describe, paper_table
from ..frame.app import TextApp
from ..frame.dialogs import Choose
from ..frame.help import Keys
from ..frame.picture import Picture
from ..frame.tables import fill
from .arranging import Arranging
from .contact import Contact
from .exports import Exporting, best_regions, twelve
from .levels import MEASURES, Level, compared, measured, regions, search, tabled, units
from .map_view import MapView
from .order import arranged
from .plots import Plots
from .runs import Moved, following, names, opened, read_search, runs_below, so_far, state
from .sheet import Sheet


class ResultsReview(Arranging, Exporting):
    """Reviews finished runs.

    Parameters
    ----------
    folders : sequence of Path
        Run folders. A folder that is not a finished run is reported when it is chosen.
    moved : Moved, optional
        Where the runs' inputs are now.
    watched : Path, optional
        A folder; new runs below it appear by themselves.
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
        Binding("p", "plots", "Plots", tooltip="units by layer; histograms, of all categories"),
        Binding("u", "sheet", "Sheet", tooltip="the unit's sheet: best patches, what drives it"),
        Binding("t", "contact", "Twelve", tooltip="the unit's twelve best regions, with maps"),
        Binding("v", "keep", "keep the picture beside the next ones, or no longer", show=False),
        Binding("o", "order", "sort by a column, or by a click on it", show=False),
        Binding("slash", "wanted", "filter the rows", show=False, key_display="/"),
        Binding("e", "export", "Export", tooltip="write the table to a file"),
        Binding("s", "picture", "write the picture or the screen to a file", show=False),
        Binding("S", "pictures", "write the pictures of all that is listed", show=False),
        TextApp.LOOK,
        Binding("r", "runs", "Runs", tooltip="the list of runs"),
    ]

    def __init__(
        self, folders: Sequence[Path], moved: Moved | None = None, watched: Path | None = None
    ) -> None:
        super().__init__(moved or Moved())
        self.folders, self.watched = list(folders), watched
        self.names = names(self.folders)
        self.place = 0
        self._following: Path | None = None  # the unfinished run whose table is shown
        self._so_far = lru_cache(maxsize=1)(following)
        self._seen: list[tuple[str, int, int]] = []  # the folder's files when it was opened

    @property
    def folder(self) -> Path:
        """Folder of the run shown."""
        return self.folders[self.place]

    def compose(self) -> ComposeResult:
        """Lay out the runs, the table and the picture."""
        with Horizontal():
            yield OptionList(*self._options(), id="runs", compact=True)
            with Vertical():
                yield Static(id="title")
                yield Static(id="about")
                with Horizontal():
                    yield DataTable(
                        id="table", cursor_foreground_priority="renderable", fixed_columns=1
                    )
                    yield Picture(id="kept")
                    yield MapView(self.pictures, id="picture")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Open the first run."""
        self.query_one("#picture").display = self.query_one("#kept").display = False
        self.query_one("#runs", OptionList).display = len(self.folders) > 1
        self._open(0)
        self.query_one("#table").focus()
        self.set_interval(2, self._poll)
        if self.watched is not None:
            self.set_interval(5, self.look_for_runs)

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
            self.layer, self.category = self.shown.layers[row], self.shown.columns[column]
            self.orders.pop("units", None)
            self._units()
        elif self.level == "units":
            self.unit = int(self.shown.frame["unit"].iloc[table.cursor_row])
            self.orders.pop("regions", None)
            self._regions()

    def action_up(self) -> None:
        """Go back one level."""
        if self.level == "regions":
            self._units()
            units = self.shown.frame["unit"].tolist()
            self.query_one("#table", DataTable).move_cursor(row=units.index(self.unit))
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

    def action_plots(self) -> None:
        """Plot units above the threshold by layer, and the distribution of a layer's units."""
        if self.run_ is None:
            return
        category, layer = self.category, self.layer
        if self.level == "run":
            row, column = self.query_one("#table", DataTable).cursor_coordinate
            layer, category = self.shown.layers[row], self.shown.columns[max(1, column)]
        self.push_screen(Plots(self.run_, category, layer))

    def action_sheet(self) -> None:
        """Show the sheet of the unit, made if need be."""
        table = self.query_one("#table", DataTable)
        if self.run_ is None or self.level not in ("units", "regions") or not table.row_count:
            self.notify("open a cell first, and choose a unit", severity="warning")
            return
        unit = self.unit
        if self.level == "units":
            unit = int(self.shown.frame["unit"].iloc[table.cursor_row])
        self.push_screen(Sheet(self.run_, self.layer, unit, self.moved))

    def action_contact(self) -> None:
        """Show the unit's twelve best regions side by side; of a list of regions, the first."""
        table = self.query_one("#table", DataTable)
        if self.run_ is None or self.level not in ("units", "regions") or not table.row_count:
            self.notify("open a cell first, and choose a unit", severity="warning")
            return
        unit, best = self.unit, twelve(self.shown) if self.level == "regions" else []
        if self.level == "units":
            unit = int(self.shown.frame["unit"].iloc[table.cursor_row])
            best = best_regions(self.run_, self.layer, unit, self.category, self.worst)
        title = f"{self.layer}, unit {unit}, {self.category}"
        self.push_screen(Contact(self.pictures, self.run_, self.layer, unit, best, title))

    def action_keep(self) -> None:
        """Keep the picture, to be seen beside others; or let it go."""
        kept, drawn = self.query_one("#kept", Picture), self.query_one(MapView).drawn
        if kept.display:
            kept.display = False
        elif self.level != "regions" or drawn is None:
            self.notify("open a unit first: its regions have pictures", severity="warning")
        else:
            kept.display = True
            kept.show(drawn.size, lambda size: drawn.resize(size, Image.Resampling.BILINEAR))

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
        if folder != self._following:
            self._following = None
        self._seen = state(folder)
        try:
            found = read_search(folder)
            if found is not None:
                self._fill("popout", search(*found))
                return
            self.run_ = opened(folder)
            self._table()
        except InputError as error:
            said = so_far(folder)
            if self._following != folder or not said:
                computing = f"{said}; computing their table …" if said else ""
                self._fill("run", Level(str(error), pd.DataFrame()), computing)
            if said and all(one.is_finished for one in self.workers if one.group == "so far"):
                self._follow(folder, str(error), said)

    @work(thread=True, group="so far")
    def _follow(self, folder: Path, error: str, said: str) -> None:
        """Show the table of an unfinished run, as far as it is."""
        try:
            table = self._so_far(folder, self.moved.masks).table()
        except InputError as problem:
            self.call_from_thread(
                self._show_so_far, folder, Level(error, pd.DataFrame()), f"{said}; {problem}"
            )
            return
        what = "so far: mean NSS of the top 10 units, as in the paper"
        self.call_from_thread(self._show_so_far, folder, tabled(what, table), f"{error}; {said}")

    def _show_so_far(self, folder: Path, shown: Level, about: str) -> None:
        if self.run_ is None and self.folder == folder:  # no other run was opened meanwhile
            table, again = self.query_one("#table", DataTable), self._following == folder
            row, column = table.cursor_coordinate
            self._following = folder
            self._fill("run", shown, about)
            if again:
                table.move_cursor(row=row, column=column)

    def _poll(self) -> None:
        """Reopen a run that was not finished or not whole, once its files have changed."""
        if (
            self.run_ is None
            and self.level == "run"
            and state(self.folders[self.place]) != self._seen
        ):
            self._open(self.place)

    @work(thread=True, exclusive=True, group="runs")
    def look_for_runs(self) -> None:
        """List the runs that are new below the watched folder."""
        if self.watched is not None:
            self.call_from_thread(self._add, runs_below(self.watched))

    def _add(self, found: Sequence[Path]) -> None:
        new = [folder for folder in found if folder not in self.folders]
        if not new:
            return
        self.folders += new
        self.names = names(self.folders)
        runs = self.query_one("#runs", OptionList)
        with self.prevent(OptionList.OptionHighlighted):
            runs.clear_options()
            runs.add_options(self._options())
            runs.highlighted = self.place
        runs.display = True
        self.notify(f"new: {', '.join(self.names[-len(new) :])}")

    def _options(self) -> list[Option]:
        return [Option(Text(printable(name)), id=str(k)) for k, name in enumerate(self.names)]

    def _table(self) -> None:
        """Show layers × categories: a measure, or its change from another run."""
        if self.run_ is None:
            return
        try:
            if self.other is None:
                shown = measured(self.run_, self.measure)
            else:
                name = self.names[self.folders.index(self.other.folder)]
                shown = compared(self.other, self.run_, name)
        except InputError as error:
            self.other = None
            self.notify(str(error), severity="warning")
            return
        self._fill("run", shown, describe(self.run_))
        if self.layer in shown.layers and self.category in shown.columns:
            row, column = shown.layers.index(self.layer), shown.columns.index(self.category)
            self.query_one("#table", DataTable).move_cursor(row=row, column=column)

    def again(self) -> None:
        """Show the level anew."""
        if self.level == "regions":
            self._regions()
        else:
            self._fill(self.level, *self.whole[1:])

    def _units(self) -> None:
        self._fill("units", units(self._run(), self.layer, self.category))

    def _regions(self) -> None:
        shown = regions(self._run(), self.layer, self.unit, self.category, self.worst)
        self._fill("regions", shown)
        self.query_one("#picture").display = True
        self.query_one(MapView).say("reading the images …")
        self._look()

    def _fill(self, level: str, shown: Level, about: str = "") -> None:
        """Show a level, sorted and filtered as before."""
        kind = "change" if level == "run" and self.other is not None else level
        self.whole = kind, shown, about
        if kind in self.orders:
            try:
                shown = arranged(shown, self.orders[kind])
            except InputError:  # another measure has other columns
                del self.orders[kind]
        self.level, self.shown = level, shown
        table = self.query_one("#table", DataTable)
        self.query_one("#picture").display = False
        if level != "regions":
            self.query_one("#kept").display = False
        table.cursor_type = "cell" if level == "run" else "row"
        with self.prevent(DataTable.RowHighlighted):
            headers = [Text(printable(name).replace(" ", "\n")) for name in shown.columns]
            for header, cell in zip(headers, shown.rows[0] if shown.rows else (), strict=False):
                header.justify = cell.justify
            fill(table, headers, shown.rows)
            if level == "run" and shown.rows:
                table.move_cursor(row=0, column=1)
        self._say(shown.what, about)

    def _look(self) -> None:
        """Show the chosen region on its stimulus, and the unit's map once it is computed."""
        table, view = self.query_one("#table", DataTable), self.query_one(MapView)
        if not table.row_count:
            view.say("no region of this category has fixations, or passes the filter")
            return
        frame = self.shown.frame
        row = frame.iloc[min(table.cursor_row, len(frame) - 1)]
        numbers = int(row["image_id"]), int(row["annotation_id"])
        view.look(self._run(), self.layer, self.unit, *numbers)

    def _run(self) -> Run:
        assert self.run_ is not None
        return self.run_

    def _say(self, what: str, about: str = "") -> None:
        """Say what the table shows, and below that something about the run."""
        for place, text in (("#title", what), ("#about", about)):
            shown = self.query_one(place, Static)
            shown.update(Text(harmless(text)))
            shown.display = bool(text)

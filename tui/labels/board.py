"""The board: labels by category, and a category's regions side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import ClassVar

from PIL import Image
from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import ModalScreen
from textual.widgets import DataTable, Static
from textual.worker import get_current_worker

from ...annotate.review.editing import Edit
from ...annotate.review.journal import Review
from ...datasets.categories import COLOURS, UNLABELLED
from ...datasets.errors import InputError
from ...datasets.stimuli import Stimuli
from ...datasets.texts import printable
from ..frame.drawing import around, draw
from ..frame.mosaic import Mosaic
from ..frame.picker import Pick
from ..frame.shades import legible
from ..frame.tables import fill

_KEYS = "enter open · space mark · 1…= l label all marked · u r undo, redo · esc back"
_SIZE = (160, 120)  # pixels of a thumbnail
_BAR = 8


class Board(ModalScreen[int | None]):
    """Shows the categories; those regions that are marked get a label together.

    The answer is the region that was opened, or None.

    Parameters
    ----------
    review : Review
    stimuli : Stimuli
    keys : mapping
        From keys to names of categories.
    changed : callable
        Is called after an edit.
    """

    DEFAULT_CSS = """
    Board { background: $surface; }
    Board #tally { width: 34; height: 1fr; }
    Board Mosaic { width: 1fr; height: 1fr; }
    Board #said, Board #how { height: 1; background: $panel; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "back", "Back"),
        Binding("enter", "open", "Open", priority=True),
        Binding("tab", "turn", "Turn", priority=True),
        Binding("u", "undo", "Undo"),
        Binding("r", "redo", "Redo"),
        Binding("l", "pick", "Pick"),
        Binding("backspace", "label('unlabelled')", "Remove"),
    ]

    def __init__(
        self,
        review: Review,
        stimuli: Stimuli,
        keys: Mapping[str, str],
        changed: Callable[[], None],
    ) -> None:
        super().__init__()
        self._review, self._stimuli, self._keys, self._changed = review, stimuli, keys, changed
        self._category = ""
        self._numbers: list[int] = []
        self._thumbnail = lru_cache(maxsize=600)(self._drawn)
        self._picture = lru_cache(maxsize=4)(self._read)

    def compose(self) -> ComposeResult:
        """Lay out the categories and the thumbnails."""
        yield Static(id="said")
        with Horizontal():
            yield DataTable(id="tally", cursor_type="row")
            yield Mosaic()
        yield Static(Text(_KEYS), id="how")

    def on_mount(self) -> None:
        """Count, and show the first category."""
        self._count()

    def on_key(self, event: events.Key) -> None:
        """Label what is marked if the key is a category's."""
        if event.character is not None and event.character in self._keys:
            event.stop()
            self.action_label(self._keys[event.character])

    @on(DataTable.RowHighlighted, "#tally")
    def choose(self, event: DataTable.RowHighlighted) -> None:
        """Show the category's regions."""
        category = event.row_key.value or ""
        if category != self._category:
            self._category = category
            self._fill()

    @on(Mosaic.Wanted)
    def load(self, event: Mosaic.Wanted) -> None:
        """Draw the thumbnails that came into sight."""
        self._load([(place, self._numbers[place]) for place in event.places])

    def action_turn(self) -> None:
        """Go from the categories to the thumbnails, or back."""
        table, mosaic = self.query_one(DataTable), self.query_one(Mosaic)
        (table if mosaic.has_focus else mosaic).focus()

    def action_back(self) -> None:
        """Go back to the categories, then to the review."""
        if self.query_one(Mosaic).has_focus:
            self.query_one(DataTable).focus()
        else:
            self.dismiss(None)

    def action_open(self) -> None:
        """Go from a category to its thumbnails, or from one of these to the review."""
        mosaic = self.query_one(Mosaic)
        if not mosaic.has_focus:
            mosaic.focus()
        elif self._numbers:
            self.dismiss(self._numbers[mosaic.place])

    def action_label(self, category: str) -> None:
        """Give the marked regions a category, or else the current one."""
        mosaic = self.query_one(Mosaic)
        if not self._numbers or not mosaic.has_focus:
            return
        places = sorted(mosaic.marked) or [mosaic.place]
        numbers = [self._numbers[place] for place in places]
        what = f"region {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} regions"
        self._do(
            lambda: self._review.do(self._review.editor.label_all(numbers, category)),
            f"{what}: {category}",
        )

    def action_pick(self) -> None:
        """Label by a few letters of the category's name."""

        def picked(category: str | None) -> None:
            if category is not None:
                self.action_label(category)

        names = [name for name in self._review.editor.categories if name != UNLABELLED]
        self.app.push_screen(Pick("Category", names), picked)

    def action_undo(self) -> None:
        """Undo the latest edit."""
        self._step(self._review.undo, "undo")

    def action_redo(self) -> None:
        """Redo the edit undone last."""
        self._step(self._review.redo, "redo")

    def _step(self, step: Callable[[], Edit | None], name: str) -> None:
        edit: list[Edit | None] = []
        self._do(lambda: edit.append(step()), name)
        if edit and edit[0] is not None:
            self._count(f"{name}: {edit[0].what}, {len(edit[0].before)} regions")
        elif edit:
            self._count(f"nothing to {name}")

    def _do(self, make: Callable[[], object], said: str) -> None:
        try:
            make()
        except (InputError, OSError) as error:
            self.notify(printable(str(error)), severity="warning", markup=False)
            return
        self._changed()
        self._count(said)
        self._fill(self.query_one(Mosaic).place)

    def _count(self, said: str = "") -> None:
        """Show how many regions each category has."""
        editor = self._review.editor
        counts = Counter(editor.category(region) for region in editor.regions.values())
        whole = sum(counts.values())
        names = [UNLABELLED, *(name for name in editor.categories if name != UNLABELLED)]
        most = max(counts.values(), default=0) or 1
        rows, dark = [], self.app.current_theme.dark
        for name in names:
            colour = legible(COLOURS.get(name, COLOURS[UNLABELLED]), dark)
            bar = "━" * round(_BAR * counts[name] / most)
            rows.append(
                (
                    Text("■ ", style=colour) + Text(printable(name)),
                    Text(str(counts[name]), justify="right"),
                    Text(bar, style=colour),
                )
            )
        table = self.query_one(DataTable)
        row = names.index(self._category) if self._category in names else 0
        if not self._category:  # the first that has regions
            row = next((k for k, name in enumerate(names) if counts[name]), 0)
        with self.prevent(DataTable.RowHighlighted):
            fill(table, [Text("category"), Text("regions"), Text("")], rows, names)
            table.move_cursor(row=row)
        if names[row] != self._category:
            self._category = names[row]
            self._fill()
        done = whole - counts[UNLABELLED]
        share = f"{done} of {whole} labelled ({done / max(1, whole):.0%})"
        text = Text(share, style="bold", no_wrap=True, overflow="ellipsis")
        self.query_one("#said", Static).update(text.append(f"  {printable(said)}", "italic"))

    def _fill(self, place: int = 0) -> None:
        editor = self._review.editor
        self._numbers = [
            number
            for number, region in editor.regions.items()
            if editor.category(region) == self._category
        ]
        self._numbers.sort(key=lambda number: (editor.regions[number].image_id, number))
        captions = list(map(str, self._numbers))
        self.query_one(Mosaic).fill(captions, f"no region is {self._category}", place)

    @work(thread=True, exclusive=True, group="thumbnails")
    def _load(self, wanted: list[tuple[int, int]]) -> None:
        worker, mosaic = get_current_worker(), self.query_one(Mosaic)
        numbers = self._numbers
        for place, number in wanted:
            if worker.is_cancelled or not self.is_attached:
                return
            picture = self._thumbnail(number)

            def put(place: int = place, picture: Image.Image = picture) -> None:
                if numbers is self._numbers:
                    mosaic.put(place, picture)

            self.app.call_from_thread(put)

    def _drawn(self, number: int) -> Image.Image:
        """Draw a region and its surroundings; a grey tile if its image cannot be read."""
        region = self._review.editor.regions[number]
        image = self._review.editor.masks.image(region.image_id)
        picture = self._picture(region.image_id)
        if picture is None:
            return Image.new("RGB", _SIZE, "#505050")
        box = around(region, image)
        return draw(picture, image, [region], lambda _: "", {number}, _SIZE, box=box)

    def _read(self, number: int) -> Image.Image | None:
        try:
            return self._stimuli.read(self._review.editor.masks.image(number))
        except InputError:
            return None

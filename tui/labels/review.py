"""Label review: every region of a mask file, with a key for each category."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.theme import Theme
from textual.widgets import DataTable, Footer, Input, OptionList, Select, Static

from ...annotate.review.editing import Edit
from ...annotate.review.journal import Review
from ...datasets.categories import UNLABELLED
from ...datasets.masks.annotation import Annotation
from ...datasets.stimuli import Stimuli, Stimulus
from ...datasets.texts import printable
from ..frame.drawing import Box
from ..frame.help import Keys
from ..frame.picker import Pick
from ..outlines.screen import Outlines
from ..stimulus.canvas import Canvas
from . import filters, keys, queue
from .board import Board
from .images import Images
from .legend import Legend
from .regions import Regions
from .texts import head, hint, legend
from .viewing import Viewing


class LabelReview(Viewing):
    """Reviews the labels of a mask file.

    Parameters
    ----------
    review : Review
    stimuli : Stimuli
    second : mapping, optional
        From region ids to the categories that another annotator gave.
    """

    TITLE = "annotate review"
    CSS_PATH = "review.tcss"
    LATER = ("sklearn.cluster", "cv2")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (64, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (20, "-high")]
    BINDINGS: ClassVar[list[BindingType]] = keys.BINDINGS

    def __init__(
        self, review: Review, stimuli: Stimuli, second: Mapping[int, str] | None = None
    ) -> None:
        super().__init__(review, second or {})
        self.stimuli = stimuli
        self.listed = "all"
        self.image: Stimulus | None = None
        names = [
            category.name
            for category in review.editor.masks.categories
            if category.name != UNLABELLED
        ]
        self.names = names
        self.keys = dict(zip(keys.CATEGORIES, names, strict=False))

    def compose(self) -> ComposeResult:
        """Lay out the list, the picture, the table and the keys."""
        yield Static(id="head")
        with Horizontal():
            with Vertical(id="side"):
                yield Input(placeholder="search", id="search", compact=True)
                names = filters.names(self.editor, self.second)
                yield Select(
                    [(Text(printable(name)), name) for name in names],
                    allow_blank=False,
                    id="filter",
                    compact=True,
                    value="all",
                )
                yield Images(id="images", compact=True)
            with Vertical():
                yield Canvas(self.review, self.stimuli, id="picture")
                yield Regions(self.second, id="regions")
        yield Legend(self.keys, len(self.names) - len(self.keys), id="keys")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Fill the lists."""
        self.said = hint(self.editor)
        self._list()
        self.query_one(Images).focus()
        self.watch(self.query_one("#filter", Select), "expanded", self._chosen, init=False)
        self.theme_changed_signal.subscribe(self, self._dress)
        if self.review.recovered:
            self.notify(f"{self.review.recovered} edits were recovered from the journal")
        if self.review.refused:
            self.notify(f"{len(self.review.refused)} edits no longer fit", severity="warning")

    def _dress(self, theme: Theme) -> None:
        """Show another theme: a list keeps its lines as they were drawn."""
        del theme
        self._list()
        self.changed()

    def on_key(self, event: events.Key) -> None:
        """Label the selected region if the key is a category's."""
        typing = isinstance(self.focused, Input | Select) or len(self.screen_stack) > 1
        if event.character in self.keys and not typing:
            event.stop()
            self.action_label(self.keys[event.character])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave tab to what lies on top."""
        del parameters
        return action != "open" or len(self.screen_stack) == 1

    @on(OptionList.OptionHighlighted, "#images")
    def show_image(self, event: OptionList.OptionHighlighted) -> None:
        """Show the image."""
        if event.option.id is not None:
            self._show(self.editor.masks.image(int(event.option.id)))

    @on(DataTable.RowHighlighted, "#regions")
    def select_region(self, event: DataTable.RowHighlighted) -> None:
        """Select the region, whether by key or mouse."""
        if event.row_key.value and self.region != int(event.row_key.value):
            self.region = int(event.row_key.value)
            self.redraw()

    @on(Canvas.Chosen)
    def choose(self, event: Canvas.Chosen) -> None:
        """Select the region that was clicked, and say whose the fixation is."""
        self.said = event.said
        if event.region is not None:
            self._select(event.region)
        else:
            self._head()

    @on(Canvas.Boxed)
    def boxed(self, event: Canvas.Boxed) -> None:
        """Begin a new region with the box that the mouse drew."""
        self._draw(None, event.box)

    @on(Legend.Chosen)
    def label_clicked(self, event: Legend.Chosen) -> None:
        """Give the selected region the category that was clicked."""
        self.action_label(event.category)

    @on(Input.Changed, "#search")
    def search(self) -> None:
        """List the images that match."""
        self._list()

    @on(Input.Submitted, "#search")
    def end_search(self) -> None:
        """Return to the images."""
        self.query_one("#images").focus()

    @on(Select.Changed, "#filter")
    def filter(self, event: Select.Changed) -> None:
        """List the images that match."""
        if event.value != self.listed:  # the message also comes for the initial value
            self._list()

    def _chosen(self, expanded: bool) -> None:
        """Return to the images, also if the filter stays as it was."""
        if not expanded:  # the menu takes the focus first
            self.call_after_refresh(self.query_one("#images").focus)

    def action_region(self, step: int) -> None:
        """Select the next region, or after the last one the next image."""
        numbers = self.numbers()
        place = numbers.index(self.region) + step if self.region in numbers else 0
        if 0 <= place < len(numbers):
            self._select(numbers[place])
        else:
            self.action_image(step)

    def action_image(self, step: int) -> None:
        """Show the next image of the list."""
        images = self.query_one(Images)
        place = images.place + step
        if 0 <= place < images.option_count:
            self._go(place)

    def action_open(self) -> None:
        """Select the next unlabelled region, in list order."""
        if not self._seek(lambda region: self.editor.category(region) == UNLABELLED, 1):
            self.notify("every region in the list has a label")

    def action_match(self, step: int) -> None:
        """Select the next or previous region that the filter keeps, in list or queue order."""
        if self.listed == queue.NAME:
            region = queue.following(self._queue(), self.region, step)
            if region is None:
                self.notify("nothing is suggested any more")
            else:
                self.find(self.editor.regions[region].image_id, region)
                self.changed()
            return
        if not self._seek(filters.kept(self.listed, self.editor, self.second), step):
            self.notify(f"no region in the list is {self.listed} any more")

    def ahead(self) -> int | None:
        """Return the region that follows in the queue."""
        if self.listed != queue.NAME:
            return None
        region = queue.following(self._queue(), self.region, 1)
        return None if region == self.region else region

    def _queue(self) -> list[int]:
        return queue.queued(self.editor, set(self.query_one(Images).numbers))

    def action_pick(self) -> None:
        """Give the selected region a category picked by a few letters of its name."""

        def picked(category: str | None) -> None:
            if category is not None:
                self.action_label(category)

        self.push_screen(Pick("Category", self.names), picked)

    def action_draw(self) -> None:
        """Draw a new region."""
        self._draw(None)

    def action_outline(self) -> None:
        """Change the selected region's outline."""
        if self.region is not None:
            self._draw(self.region)

    def _draw(self, region: int | None, box: Box | None = None) -> None:
        if self.image is None:
            return

        def drawn(edit: Edit | None) -> None:
            if edit is not None:
                self.make(edit)

        screen = Outlines(self.review, self.stimuli, self.image, region, box)
        self.push_screen(screen, drawn)

    def action_board(self) -> None:
        """Show the categories, and their regions side by side."""

        def opened(region: int | None) -> None:
            self._list()
            if region is not None:
                self.find(self.editor.regions[region].image_id, region)
            self.changed()

        board = Board(self.review, self.stimuli, self.keys, self.save_soon)
        self.push_screen(board, opened)

    def action_search(self) -> None:
        """Search images by name."""
        self.query_one("#search").focus()

    def action_filter(self) -> None:
        """Choose which images are listed."""
        self.query_one("#filter", Select).focus()
        self.query_one("#filter", Select).action_show_overlay()

    def action_help(self) -> None:
        """Show all keys."""
        self.push_screen(Keys(self.BINDINGS, legend(self.keys)))

    # Keys act at once rather than through widget messages, which the next key might overtake.

    def _go(self, place: int, region: int | None = None) -> None:
        """Show the image at a place in the list."""
        self._show(self.editor.masks.image(self.query_one(Images).go(place)), region)

    def _seek(self, keep: Callable[[Annotation], bool], step: int) -> bool:
        """Select the next region to keep, from the current one around the list; False if none."""
        images = self.query_one(Images)
        count = images.option_count
        for k in range(count + 1 if count else 0):
            place = (images.place + step * k) % count
            regions = self.editor.of(images.at(place))[::step]
            numbers = [region.id for region in regions]
            start = numbers.index(self.region) + 1 if k == 0 and self.region in numbers else 0
            for region in filter(keep, regions[start:]):
                self._go(place, region.id)
                return True
        return False

    def _select(self, region: int) -> None:
        """Select a region of the image."""
        self.region = region
        self.query_one(Regions).select(region)
        self.redraw()

    def find(self, image: int, region: int) -> None:
        """Show a region, on an image that may not be listed."""
        if self.image is None or image != self.image.id:
            listed = self.query_one(Images).numbers
            if image in listed:
                self._go(listed.index(image), region)
            else:
                self._show(self.editor.masks.image(image), region)
        self.region = region

    def changed(self) -> None:
        """Show what an edit changed, and save once no key follows."""
        if self.image is not None:
            self._table(self.image)
            self.query_one(Images).renew(self.editor, self.image)
        self.redraw()
        self.save_soon()

    def resolved(self) -> None:
        """Show the file as it is now."""
        self._list()
        self.changed()

    def _list(self) -> None:
        """List the images that match the search and the filter."""
        images = self.query_one(Images)
        text = self.query_one("#search", Input).value.lower()
        self.listed = str(self.query_one("#filter", Select).value)
        keep = filters.kept(self.listed, self.editor, self.second)
        chosen = [
            image
            for image in self.editor.masks.images
            if text in image.file_name.lower()
            and (self.listed == "all" or any(map(keep, self.editor.of(image.id))))
        ]
        first = None
        if self.listed == queue.NAME:
            queued = queue.queued(self.editor, {image.id for image in chosen})
            order = [self.editor.regions[number].image_id for number in queued]
            chosen.sort(key=lambda image: order.index(image.id))
            first = queued[0] if queued else None
        images.fill(self.editor, chosen)
        if first is not None:
            self._go(0, first)
        elif chosen:
            self._go(chosen.index(self.image) if self.image in chosen else 0)
        else:
            self.image, self.region = None, None
            self.query_one(Regions).look(self.editor, (), None)
            none = "no image matches" if self.editor.masks.images else "this file has no images"
            self.query_one(Canvas).say(none)
        self._head()

    def _show(self, image: Stimulus, region: int | None = None) -> None:
        if image is self.image and region is None:
            return
        self.image = image
        numbers = self.numbers()
        self.region = region if region in numbers else numbers[0] if numbers else None
        self._table(image)
        self.redraw()

    def _table(self, image: Stimulus) -> None:
        numbers = self.numbers()
        if self.region not in numbers:
            self.region = numbers[0] if numbers else None
        self.query_one(Regions).look(self.editor, self.editor.of(image.id), self.region)

    def on_resize(self) -> None:
        """Fit the header to the new size."""
        if self.is_mounted:
            self._head()

    def redraw(self) -> None:
        """Show the image and its region anew."""
        if self.image is None:
            return
        self._head()
        self.query_one(Canvas).look(self.image, self.region)

    def saved(self) -> None:
        """Show that the file is saved, or is not."""
        self._head()

    def _head(self) -> None:
        selected = self.editor.regions.get(self.region or 0)
        narrow, low = self.size.width < 64, self.size.height < 20
        for shown in self.query("#head").results(Static):  # empty if a save ends after the app
            shown.update(head(self.review, selected, self.said, narrow, low))

    def numbers(self) -> list[int]:
        """Return the ids of the image's regions."""
        return [] if self.image is None else [region.id for region in self.editor.of(self.image.id)]

"""The widget that shows many pictures side by side, of which one is current and some are marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from PIL import Image, ImageDraw
from textual import events, on
from textual.binding import Binding, BindingType
from textual.message import Message

from .picture import Mark, Picture

TILE = (16, 6)
"""Cells of a picture, at least."""

_CURRENT, _MARKED, _EMPTY = "#ffffff", "#ffcc00", "#303030"
_GROUND, _MARKED_GROUND = (0, 0, 0), (255, 204, 0)


class Mosaic(Picture, can_focus=True):
    """Shows as many pictures as there is room for, a page at a time.

    Parameters
    ----------
    id : str, optional

    Attributes
    ----------
    place : int
        Which picture is current.
    marked : set of int
        Places of those that are marked.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "go(-1)", "Left", show=False),
        Binding("right", "go(1)", "Right", show=False),
        Binding("up", "down(-1)", "Up", show=False),
        Binding("down", "down(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("space", "mark", "Mark", show=False),
    ]

    class Wanted(Message):
        """Pictures came into sight that are not there yet.

        Attributes
        ----------
        mosaic : Mosaic
        places : list of int
        """

        def __init__(self, mosaic: Mosaic, places: list[int]) -> None:
            super().__init__()
            self.mosaic, self.places = mosaic, places

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.place, self.marked = 0, set[int]()
        self._captions: Sequence[str] = ()
        self._pictures: dict[int, Image.Image] = {}

    def fill(self, captions: Sequence[str], otherwise: str, place: int = 0) -> None:
        """Show other pictures, which are to be `put`, each with a caption; or a text if none."""
        self._captions, self._pictures = captions, {}
        self.marked.clear()
        self.place = max(0, min(place, len(captions) - 1))
        if captions:
            self._renew()
        else:
            self.say(otherwise)

    def put(self, place: int, picture: Image.Image) -> None:
        """Show the picture of a place."""
        self._pictures[place] = picture
        if place in self._page():
            self._renew(ask=False)

    def action_go(self, step: int) -> None:
        """Go to the next picture."""
        if 0 <= self.place + step < len(self._captions):
            self.place += step
            self._renew()

    def action_down(self, step: int) -> None:
        """Go to the next row."""
        self.action_go(step * self._grid()[0])

    def action_page(self, step: int) -> None:
        """Go to the next page."""
        columns, rows = self._grid()
        last = len(self._captions) - 1
        if last >= 0:
            self.place = max(0, min(last, self.place + step * columns * rows))
            self._renew()

    def action_mark(self) -> None:
        """Mark the picture, or no longer, and go to the next."""
        if self._captions:
            self.marked ^= {self.place}
            if self.place + 1 < len(self._captions):
                self.place += 1
            self._renew()

    @on(Picture.Pressed)
    def point(self, event: Picture.Pressed) -> None:
        """Go to the picture that was clicked."""
        event.stop()
        (columns, rows), (left, top, right, bottom) = self._grid(), event.box
        column, row = int((left + right) / 2 * columns), int((top + bottom) / 2 * rows)
        place = self._page().start + row * columns + column
        if place < len(self._captions):
            self.place = place
            self._renew()

    def on_resize(self, event: events.Resize) -> None:
        """Lay out the pictures anew."""
        super().on_resize(event)
        if self._captions:
            self._renew()

    def _grid(self) -> tuple[int, int]:
        """Return how many columns and rows of pictures there is room for."""
        return max(1, self.size.width // TILE[0]), max(1, self.size.height // TILE[1])

    def _page(self) -> range:
        """Return the places in sight."""
        columns, rows = self._grid()
        first = self.place // (columns * rows) * columns * rows
        return range(first, min(first + columns * rows, len(self._captions)))

    def _renew(self, *, ask: bool = True) -> None:
        if not self.size.width or not self.size.height:
            return
        (columns, rows), page = self._grid(), self._page()
        marks = []
        for place in page:
            row, column = divmod(place - page.start, columns)
            ground = _MARKED_GROUND if place in self.marked else _GROUND
            # In the tile's last row of cells but one, as its border is in the last one.
            x, y = (column + 0.08) / columns, (row + 1 - 1.5 / TILE[1]) / rows
            marks.append(Mark(x, y, self._captions[place], ground))
        pictures = [self._pictures.get(place) for place in page]
        current, marked = self.place - page.start, {place - page.start for place in self.marked}
        self.show(
            (self.size.width, 2 * self.size.height),
            lambda size: tiled(pictures, (columns, rows), size, current, marked),
            marks,
        )
        missing = [place for place in page if place not in self._pictures]
        if ask and missing:
            self.post_message(self.Wanted(self, missing))


def tiled(
    pictures: Sequence[Image.Image | None],
    grid: tuple[int, int],
    size: tuple[int, int],
    current: int | None = None,
    marked: set[int] | frozenset[int] = frozenset(),
) -> Image.Image:
    """Draw pictures side by side, each as large as its tile allows.

    Parameters
    ----------
    pictures : sequence of Image or None
        Row by row; None where a picture is not there yet.
    grid : (columns, rows)
    size : (width, height)
        Pixels of the whole.
    current : int, optional
        Has a white border.
    marked : set of int, optional
        Have yellow borders.
    """
    (columns, rows), shown = grid, Image.new("RGB", size)
    pen = ImageDraw.Draw(shown)
    wide = max(1, min(size[0] // columns, size[1] // rows) // 40)
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        left, top = column * size[0] // columns, row * size[1] // rows
        right, bottom = (column + 1) * size[0] // columns, (row + 1) * size[1] // rows
        box = left, top, right - 1, bottom - 1
        room = max(1, right - left - 2 * wide), max(1, bottom - top - 2 * wide)
        if picture is None:
            inner = left + wide, top + wide, right - 1 - wide, bottom - 1 - wide
            pen.rectangle(inner, fill=_EMPTY)
        else:
            scale = min(room[0] / picture.width, room[1] / picture.height)
            fitted = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
            middle = (
                left + wide + (room[0] - fitted[0]) // 2,
                top + wide + (room[1] - fitted[1]) // 2,
            )
            shown.paste(picture.resize(fitted, Image.Resampling.BILINEAR), middle)
        if place == current or place in marked:
            colour = _CURRENT if place == current else _MARKED
            pen.rectangle(box, outline=colour, width=wide)
    return shown

"""The widget that shows a picture: in pixels if the terminal can, else in half cells."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import StringIO

import numpy as np
from PIL import Image as PIL
from PIL import ImageDraw
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from ...datasets.texts import printable
from .replies import Terminal
from .shades import on

# textual-image asks the terminal on import and waits 0.1 s: later replies would be read as keys.
# A file that is not a terminal is not asked; `driver` does it instead.
_stdout, sys.__stdout__ = sys.__stdout__, StringIO()  # type: ignore[misc]
try:
    from textual_image._terminal import CellSize, get_cell_size
    from textual_image.widget import SixelImage, TGPImage
finally:
    sys.__stdout__ = _stdout  # type: ignore[misc]

_ALIKE = 4
"""Difference of a channel, of 255, that is not seen between neighbouring cells."""

Drawn = Callable[[tuple[int, int]], PIL.Image]
"""Draws the picture at a size in pixels."""


@dataclass(frozen=True)
class Mark:
    """A short text on a picture, readable at any size.

    Attributes
    ----------
    x, y : float
        Place in the picture, from 0 at its left and top to 1.
    text : str
    colour : (red, green, blue)
        Of its ground.
    """

    x: float
    y: float
    text: str
    colour: tuple[int, int, int]


class HalfCells(Widget):
    """A picture with two pixels per cell, one above the other.

    textual-image has such a widget, but it takes twice as long to show the next image.
    """

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Strip] = []

    def show(self, picture: PIL.Image, marks: Sequence[Mark] = ()) -> None:
        """Show a picture, one pixel per cell wide and two pixels per cell high, and texts on it."""
        pixels = calmed(np.asarray(picture.convert("RGB")))
        if len(pixels) % 2:
            pixels = np.concatenate([pixels, pixels[-1:]])
        cells = [
            [
                Segment("▀", _style(tuple(a), tuple(b)))
                for a, b in zip(upper.tolist(), lower.tolist(), strict=True)
            ]
            for upper, lower in zip(pixels[::2], pixels[1::2], strict=True)
        ]
        for mark in marks:
            row, style = cells[int(mark.y * len(cells))], Style.parse(on(*mark.colour))
            start = min(int(mark.x * len(row)), max(0, len(row) - len(mark.text)))
            for place, letter in enumerate(mark.text[: len(row)], start):
                row[place] = Segment(letter, style)
        before, self._rows = self._rows, [Strip(row, len(row)) for row in cells]
        changed = changes(before, self._rows)
        if changed is None:
            self.refresh()
        elif changed:
            left, top = self._corner()
            self.refresh(*(Region(left + x, top + y, width, 1) for y, x, width in changed))

    def render_line(self, y: int) -> Strip:
        """Return a line of cells, with the picture centred."""
        width, (before, top) = self.size.width, self._corner()
        row = y - top
        if not 0 <= row < len(self._rows):
            return Strip.blank(width, self.rich_style)
        strip = self._rows[row]
        after = max(0, width - strip.cell_length - before)
        blank = Strip.blank
        return Strip.join([blank(before, self.rich_style), strip, blank(after, self.rich_style)])

    def _corner(self) -> tuple[int, int]:
        """Return the cell at which the picture begins."""
        columns = self._rows[0].cell_length if self._rows else 0
        return max(0, (self.size.width - columns) // 2), (self.size.height - len(self._rows)) // 2


def calmed(pixels: np.ndarray) -> np.ndarray:
    """Return pixels, uint8 (height, width, 3), whose neighbours in a row are alike more often.

    A colour that stays as it is from cell to cell is not sent again. Six bits per channel look
    like eight here, and so does a pixel almost like the one before it.
    """
    calm = (pixels & 0xFC).astype(np.int16)
    for x in range(1, calm.shape[1]):
        alike = np.abs(calm[:, x] - calm[:, x - 1]).max(axis=1) <= _ALIKE
        calm[alike, x] = calm[alike, x - 1]
    return calm


def changes(before: Sequence[Strip], after: Sequence[Strip]) -> list[tuple[int, int, int]] | None:
    """Return row, column and width of what differs in each line; None if the size does."""
    if len(before) != len(after) or before[:1] == [] or len(before[0]) != len(after[0]):
        return None
    spans = []
    for y, (old, new) in enumerate(zip(before, after, strict=True)):
        differ = [x for x, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
        if differ:
            spans.append((y, differ[0], differ[-1] + 1 - differ[0]))
    return spans


class Picture(Container):
    """Shows what a function draws, as large as possible, keeping its proportions."""

    DEFAULT_CSS = """
    Picture { align: center middle; }
    Picture > HalfCells { width: 1fr; height: 1fr; }
    Picture > Static { width: auto; color: $text-muted; }
    """

    class Pressed(Message):
        """The mouse was pressed on the picture.

        Attributes
        ----------
        box : (left, top, right, bottom)
            The cell's place in the picture, from 0 at its left and top to 1.
        """

        def __init__(self, box: tuple[float, float, float, float]) -> None:
            super().__init__()
            self.box = box

    class Dragged(Message):
        """The mouse was moved over the picture while pressed.

        Attributes
        ----------
        start, end : (x, y)
            Places in the picture, from 0 at its left and top to 1.
        done : bool
            Whether it was released.
        """

        def __init__(
            self, start: tuple[float, float], end: tuple[float, float], done: bool
        ) -> None:
            super().__init__()
            self.start, self.end, self.done = start, end, done

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._start: tuple[int, int] | None = None  # the cell where the mouse was pressed
        self._dragged = False
        self._draw: Drawn | None = None
        self._due = False
        self._marks: Sequence[Mark] = ()
        self._cells = (1, 1)
        self._proportions = (4.0, 3.0)
        self._cell = (1, 2)  # pixels that a cell shows
        self._shown: Widget = HalfCells()
        self._text = Static()

    def compose(self) -> ComposeResult:
        """Lay out the picture and the text that may replace it."""
        yield self._shown
        yield self._text

    def on_mount(self) -> None:
        """Wait for what the terminal can do."""
        self.watch(self.app, "terminal", self._use)

    async def _use(self, terminal: Terminal) -> None:
        """Show pixels if the terminal can."""
        kind = SixelImage if terminal.sixel else TGPImage if terminal.kitty else None
        if kind is None or isinstance(self._shown, kind):
            return
        get_cell_size._result = CellSize(*terminal.cell)  # type: ignore[attr-defined]
        old, new = self._shown, kind()
        await self.mount(new)
        self._shown, self._cell = new, terminal.cell
        await old.remove()
        self._toggle(self._draw is not None)
        self._update()

    def show(
        self, proportions: tuple[float, float], draw: Drawn, marks: Sequence[Mark] = ()
    ) -> None:
        """Show a picture with proportions (width, height), redrawn whenever the size changes."""
        self._draw, self._proportions, self._marks = draw, proportions, marks
        if not self._due:  # several changes by one key are drawn once
            self._due = True
            self.call_next(self._update)

    def say(self, text: str) -> None:
        """Show a text instead of the picture."""
        self._draw = None
        self._text.update(Text(printable(text)))
        self._toggle(False)

    def on_resize(self, event: events.Resize) -> None:
        """Redraw at the new size."""
        del event
        self._update()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Note where the picture was pressed."""
        cell, (columns, rows) = self._at(event), self._cells
        inside = self._draw is not None and 0 <= cell[0] < columns and 0 <= cell[1] < rows
        self._start, self._dragged = cell if inside and event.button == 1 else None, False
        if self._start is not None:
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Say how far the mouse was dragged."""
        if self._start is not None and (self._dragged or self._at(event) != self._start):
            self._dragged = True
            self._say_dragged(event, done=False)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Say where the picture was pressed, or from where to where the mouse was dragged."""
        if self._start is None:
            return
        self.release_mouse()
        (columns, rows), (x, y) = self._cells, self._start
        if self._dragged or self._at(event) != self._start:
            self._say_dragged(event, done=True)
        else:
            box = x / columns, y / rows, (x + 1) / columns, (y + 1) / rows
            self.post_message(self.Pressed(box))
        self._start = None

    def _say_dragged(self, event: events.MouseEvent, *, done: bool) -> None:
        """Post a message: cells between, the first and last ones included."""
        assert self._start is not None
        (columns, rows), ends = self._cells, (self._start, self._at(event))
        start, end = (
            (
                min(1.0, max(0.0, (x + (x > other_x)) / columns)),
                min(1.0, max(0.0, (y + (y > other_y)) / rows)),
            )
            for (x, y), (other_x, other_y) in (ends, ends[::-1])
        )
        self.post_message(self.Dragged(start, end, done))

    def _at(self, event: events.MouseEvent) -> tuple[int, int]:
        """Return the picture's cell below the mouse."""
        (columns, rows), shown = self._cells, self._shown.region
        x = event.screen_x - shown.x - (shown.width - columns) // 2
        y = event.screen_y - shown.y - (shown.height - rows) // 2
        return int(x), int(y)

    def _update(self) -> None:
        self._due = False
        if self._draw is None or not self.size.width or not self.size.height:
            return
        width, height = self._proportions
        scale = min(self.size.width / width, 2 * self.size.height / height)
        cells = max(1, round(width * scale)), max(1, round(height * scale / 2))
        self._cells = cells
        picture = self._draw((cells[0] * self._cell[0], cells[1] * self._cell[1]))
        if isinstance(self._shown, HalfCells):
            self._shown.show(picture, self._marks)
        elif isinstance(self._shown, SixelImage | TGPImage):
            self._shown.styles.width, self._shown.styles.height = cells
            self._shown.image = _marked(picture, self._marks, self._cell[1])
        self._toggle(True)

    def _toggle(self, picture: bool) -> None:
        self._shown.display, self._text.display = picture, not picture


def _marked(picture: PIL.Image, marks: Sequence[Mark], height: int) -> PIL.Image:
    """Write texts onto a picture, not quite as high as the terminal's letters."""
    if not marks:
        return picture
    shown = picture.copy()
    pen = ImageDraw.Draw(shown)
    for mark in marks:
        place = mark.x * shown.width, mark.y * shown.height
        box = pen.textbbox(place, mark.text, font_size=0.8 * height)
        pen.rectangle(box, fill=mark.colour)
        pen.text(place, mark.text, fill=on(*mark.colour).split()[0], font_size=0.8 * height)
    return shown


@lru_cache(maxsize=100_000)
def _style(upper: tuple[int, int, int], lower: tuple[int, int, int]) -> Style:
    return Style(color=_colour(upper), bgcolor=_colour(lower))


@lru_cache(maxsize=100_000)
def _colour(pixel: tuple[int, int, int]) -> Color:
    return Color.from_rgb(*pixel)

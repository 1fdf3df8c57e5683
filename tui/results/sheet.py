"""A unit's sheet: shown, or made first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from PIL import Image
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer, Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from ...datasets.errors import InputError, reading
from ...datasets.progress import Advance
from ...datasets.texts import printable
from ...probe.inside.folder import stem_of
from ...probe.runs.run import Run
from ..frame.picture import Picture
from .runs import Moved, making

_ZOOMS = (1, 2, 4)


class Sheet(ModalScreen[None]):
    """Shows a unit's sheet; Enter makes it if it is not there.

    Parameters
    ----------
    run : Run
    layer : str
    unit : int
    moved : Moved
    """

    DEFAULT_CSS = """
    Sheet { align: center middle; }
    Sheet > Vertical {
        width: 96%; height: 96%; border: round $primary; background: $surface;
    }
    Sheet Picture { height: auto; }
    Sheet #keys { color: $text-muted; height: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,u,q", "dismiss", "Leave"),
        Binding("enter", "make", "Make", priority=True),
        Binding("z", "zoom", "Zoom", priority=True),
    ]

    def __init__(self, run: Run, layer: str, unit: int, moved: Moved) -> None:
        super().__init__()
        self._run, self._layer, self._unit, self._moved = run, layer, unit, moved
        self._zoom = 0
        self._picture: Image.Image | None = None
        self._working = False

    def compose(self) -> ComposeResult:
        """Lay out the sheet."""
        with Vertical() as frame:
            frame.border_title = printable(f"{self._layer}, unit {self._unit}")
            with ScrollableContainer():
                yield Picture()
            yield Static("z larger · arrows scroll · esc leave", id="keys")

    def on_mount(self) -> None:
        """Look for the sheet."""
        self._resize()
        self._begin(make=False)

    def on_resize(self) -> None:
        """Lay out the picture anew."""
        self._resize()

    def action_zoom(self) -> None:
        """Show the sheet larger, or as wide as the screen again."""
        self._zoom = (self._zoom + 1) % len(_ZOOMS)
        self._resize()

    def action_make(self) -> None:
        """Make the sheet if it is not there."""
        if self._picture is None and not self._working:
            self._begin(make=True)

    def _begin(self, *, make: bool) -> None:
        self._working = True
        self._say("making the sheet …" if make else "looking for the sheet …")
        self._look(make)

    @work(thread=True, exclusive=True)
    def _look(self, make: bool) -> None:
        call = self.app.call_from_thread
        try:
            with making():
                path = self._path(make)
                picture = None if path is None else _opened(path)
        except _LeftError:
            return
        except InputError as error:
            call(self._found, None, str(error))
            return
        call(self._found, picture, "no sheet of this unit yet; Enter makes it, in a minute or two")

    def _path(self, make: bool) -> Path | None:
        name = self._layer, self._unit
        path = self._run.folder / "units" / f"{stem_of(name)}.png"
        if path.is_file() or not make:
            return path if path.is_file() else None
        from ...probe.views.sheets import unit_sheets

        (made,) = unit_sheets(
            self._run,
            [name],
            masks=self._moved.masks,
            root=self._moved.root,
            model=self._moved.weights,
            progress=_Telling(self),
        )
        return made

    def _found(self, picture: Image.Image | None, otherwise: str) -> None:
        self._working = False
        self._picture = picture
        if picture is None:
            self._say(otherwise)
            return
        self._resize()
        shown = picture
        self.query_one(Picture).show(
            shown.size, lambda size: shown.resize(size, Image.Resampling.LANCZOS)
        )

    def _say(self, text: str) -> None:
        if self.is_attached:
            self.query_one(Picture).say(text)

    def _resize(self) -> None:
        """Make the picture as wide as the screen, times the zoom."""
        view, picture = self.query_one(ScrollableContainer), self.query_one(Picture)
        width = max(1, view.size.width * _ZOOMS[self._zoom])
        tall = 0.0 if self._picture is None else self._picture.height / self._picture.width
        picture.styles.width = width
        picture.styles.height = max(1, round(width * tall / 2)) if tall else "100%"


def _opened(path: Path) -> Image.Image:
    with reading(path), Image.open(path, formats=["PNG"]) as picture:
        return picture.convert("RGB")


class _LeftError(Exception):
    """Nobody waits for the sheet any more."""


class _Telling:
    """Says on the screen how far it is, and stops when that is left.

    Parameters
    ----------
    screen : Sheet
    """

    def __init__(self, screen: Sheet) -> None:
        self._screen = screen

    @contextmanager
    def task(self, text: str, total: int, *, done: int = 0) -> Iterator[Advance]:
        """Say how much of a task is done."""
        count = done

        def advance(steps: int) -> None:
            nonlocal count
            count += steps
            self.say(f"{text}: {count} of {total}")

        self.say(f"{text}: {done} of {total}")
        yield advance

    def say(self, text: str) -> None:
        """Show a line."""
        if not self._screen.is_attached:
            raise _LeftError
        self._screen.app.call_from_thread(self._screen._say, text)

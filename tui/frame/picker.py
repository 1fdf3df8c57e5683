"""A list that a few letters narrow down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.fuzzy import Matcher
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from ...datasets.texts import printable


class Pick(ModalScreen[str | None]):
    """Asks for one of many names; the answer is None if the user leaves.

    Parameters
    ----------
    title : str
    names : sequence of str
    """

    DEFAULT_CSS = """
    Pick { align: center middle; }
    Pick > Vertical {
        width: 50; max-width: 90%; height: auto; max-height: 90%; padding: 0 1;
        border: round $primary; background: $surface;
    }
    Pick OptionList { height: auto; max-height: 14; border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "dismiss", "Leave"),
        Binding("down", "step(1)", "Down", priority=True),
        Binding("up", "step(-1)", "Up", priority=True),
    ]

    def __init__(self, title: str, names: Sequence[str]) -> None:
        super().__init__()
        self._title, self._names = title, list(names)
        self._found = self._names

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        with Vertical() as frame:
            frame.border_title = printable(self._title)
            yield Input(placeholder="some of its letters")
            yield OptionList()

    def on_mount(self) -> None:
        """List all names."""
        self._list("")

    @on(Input.Changed)
    def narrow(self, event: Input.Changed) -> None:
        """List the names that match, the best first."""
        self._list(event.value)

    @on(Input.Submitted)
    def submit(self) -> None:
        """Return the highlighted name."""
        place = self.query_one(OptionList).highlighted
        if place is not None:
            self.dismiss(self._found[place])

    @on(OptionList.OptionSelected)
    def select(self, event: OptionList.OptionSelected) -> None:
        """Return the name that was clicked."""
        event.stop()
        self.dismiss(self._found[event.option_index])

    def action_step(self, step: int) -> None:
        """Highlight the next name."""
        names = self.query_one(OptionList)
        if self._found:
            names.highlighted = ((names.highlighted or 0) + step) % len(self._found)

    def _list(self, text: str) -> None:
        self._found = matching(self._names, text)
        names = self.query_one(OptionList)
        names.clear_options()
        names.add_options([Option(Text(printable(name))) for name in self._found])
        names.highlighted = 0 if self._found else None


def matching(names: Sequence[str], text: str) -> list[str]:
    """Return the names that contain a text's letters in this order, the best match first."""
    if not text.strip():
        return list(names)
    score = Matcher(text.strip()).match
    scores = {name: score(name) for name in names}
    return sorted((name for name in names if scores[name] > 0), key=lambda name: -scores[name])

"""Small questions on top of a screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ...datasets.texts import printable

_CSS = """
{0} {{ align: center middle; }}
{0} > Vertical {{
    width: 70; max-width: 90%; height: auto; padding: 1 2;
    border: round $primary; background: $surface;
}}
"""


class Ask(ModalScreen[str | None]):
    """Asks for a line of text; the answer is None if the user leaves."""

    DEFAULT_CSS = _CSS.format("Ask")
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss", "Leave")]

    def __init__(self, title: str, value: str = "") -> None:
        super().__init__()
        self._title, self._value = title, value

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        with Vertical():
            yield Static(Text(printable(self._title)))
            yield Input(self._value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Return the answer."""
        self.dismiss(event.value)


class Choose(ModalScreen[str | None]):
    """Asks for one of several choices; the answer is None if the user leaves."""

    DEFAULT_CSS = _CSS.format("Choose")
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss", "Leave")]

    def __init__(self, title: str, choices: Mapping[str, str]) -> None:
        super().__init__()
        self._title, self._choices = title, choices

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        with Vertical():
            yield Static(Text(printable(self._title)))
            choices = self._choices.items()
            yield OptionList(*(Option(Text(printable(text)), id=key) for key, text in choices))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Return the answer."""
        event.stop()
        self.dismiss(event.option.id)

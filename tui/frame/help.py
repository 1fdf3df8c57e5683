"""All keys at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, ClassVar

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static


class Keys(ModalScreen[None]):
    """Shows the keys of an app in two columns, and what else there is to know.

    Parameters
    ----------
    bindings : sequence
        The app's; those with a tooltip are described by that.
    below : renderable, optional
        Shown below them.
    """

    DEFAULT_CSS = """
    Keys { align: center middle; }
    Keys > VerticalScroll {
        width: 78; max-width: 100%; height: auto; max-height: 100%; padding: 0 1;
        border: round $primary; background: $surface;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [("escape,question_mark,q", "dismiss", "Leave")]

    def __init__(self, bindings: Sequence[Any], below: RenderableType = "") -> None:
        super().__init__()
        self._listed = [one for one in bindings if isinstance(one, Binding) and not one.system]
        self._below = below

    def compose(self) -> ComposeResult:
        """Lay out the keys."""
        with VerticalScroll():
            yield Static(_columns(self._listed))
            yield Static(self._below)


def _columns(bindings: Sequence[Binding]) -> Table:
    table = Table.grid(padding=(0, 1))
    for _ in range(2):
        table.add_column(style="bold", justify="right")
        table.add_column(ratio=1)
    half = (len(bindings) + 1) // 2
    for pair in zip_longest(bindings[:half], bindings[half:]):
        cells: list[Text] = []
        for one in pair:
            keys, what = ("", "") if one is None else (one.key_display or one.key, _what(one))
            cells += [Text(keys.replace(",", " ")), Text(what)]
        table.add_row(*cells)
    return table


def _what(binding: Binding) -> str:
    return binding.tooltip or binding.description

"""The two streams: data on stdout, everything else on stderr. Names in them are text."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from typing import Any

from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.status import Status
from rich.text import Text

from ..datasets.texts import harmless


class TextConsole(Console):
    """A console on which a string is text: no markup, no emoji codes, no escape sequences."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(self, *arguments: Any, **options: Any) -> Iterable[Segment]:
        """Render as rich does, without what a terminal would obey."""
        for text, style, control in super().render(*arguments, **options):
            yield Segment(text if control else harmless(text), style, control)


notes = TextConsole(stderr=True, soft_wrap=True)
"""Everything that is not data goes here."""


def working(text: str) -> Status:
    """Return a context that shows what is being done."""
    return notes.status(Text(harmless(text)))


def print_data(data: RenderableType) -> None:
    """Print to stdout: text on its lines, tables at least as wide as 12 categories need."""
    if isinstance(data, str):
        print(harmless(data))
        return
    width = shutil.get_terminal_size((120, 24)).columns
    TextConsole(width=max(width, 116)).print(data)

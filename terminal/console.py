"""The two streams: data on stdout, everything else on stderr."""

from __future__ import annotations

import shutil

from rich.console import Console, RenderableType

notes = Console(stderr=True, highlight=False, soft_wrap=True)
"""Everything that is not data goes here."""


def print_data(data: RenderableType) -> None:
    """Print to stdout: text unchanged, tables at least as wide as 12 categories need."""
    if isinstance(data, str):
        print(data)
        return
    width = shutil.get_terminal_size((120, 24)).columns
    Console(width=max(width, 116), highlight=False).print(data)

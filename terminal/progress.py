"""Progress bars on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..datasets.progress import Advance
from .console import notes


class TerminalProgress:
    """A `Progress` that draws a bar if stderr is a terminal, and prints messages there."""

    @contextmanager
    def task(self, text: str, total: int, *, done: int = 0) -> Iterator[Advance]:
        """Show a bar until the context ends."""
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(
            *columns, console=notes, transient=True, disable=not notes.is_terminal
        ) as bar:
            task = bar.add_task(text, total=total, completed=done)
            yield lambda steps: bar.update(task, advance=steps)

    def say(self, text: str) -> None:
        """Print a message unchanged."""
        notes.print(text)


progress = TerminalProgress()

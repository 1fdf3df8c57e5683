"""How long-running functions report progress: silently, unless the caller asks for more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Advance = Callable[[int], None]
"""Called with the number of steps done since the last call."""


class Progress(Protocol):
    """Where a long-running function reports what it does."""

    def task(self, text: str, total: int, *, done: int = 0) -> AbstractContextManager[Advance]:
        """Begin a task of ``total`` steps, ``done`` of them already done; yields an `Advance`."""
        ...

    def say(self, text: str) -> None:
        """Report something that deserves a line."""
        ...


class _Silence:
    def task(self, text: str, total: int, *, done: int = 0) -> AbstractContextManager[Advance]:
        return nullcontext(lambda steps: None)

    def say(self, text: str) -> None:
        pass


SILENT: Progress = _Silence()
"""Reports nothing."""

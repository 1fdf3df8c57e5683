"""How long functions tell where they are: in silence, unless the caller asks for more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Advance = Callable[[int], None]
"""Called with the number of steps done since the last call."""


class Progress(Protocol):
    """Where a long function reports what it does."""

    def task(self, text: str, total: int, *, done: int = 0) -> AbstractContextManager[Advance]:
        """Begin ``total`` steps, ``done`` of them before; yields what counts them."""
        ...

    def say(self, text: str) -> None:
        """Tell something worth a line."""
        ...


class _Silence:
    def task(self, text: str, total: int, *, done: int = 0) -> AbstractContextManager[Advance]:
        return nullcontext(lambda steps: None)

    def say(self, text: str) -> None:
        pass


SILENT: Progress = _Silence()
"""Reports nothing."""

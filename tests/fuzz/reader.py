"""A reader of files, and how its file is mutated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzz.mutator import Kind


@dataclass(frozen=True)
class Reader:
    """A reader and its seed: the file below a folder that is mutated, and what reads it.

    A slow one gets a share of the mutations that others get.
    """

    name: str
    file: str
    read: Callable[[Path], Any]
    share: float = 1

    @property
    def kind(self) -> Kind:
        """What the file holds besides bytes."""
        if self.file.endswith((".jsonl", ".review")):
            return "jsonl"
        return "json" if self.file.endswith(".json") else "bytes"

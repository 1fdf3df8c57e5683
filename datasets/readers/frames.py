"""Data frames of pandas and polars, read like tables of text; neither has to be imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..errors import InputError
from .text import Sheet

FRAME = Path("data frame")
"""Stands for the file in messages, whose lines are rows from 1."""


class Frame(Protocol):
    """A data frame of pandas or polars."""

    @property
    def columns(self) -> Any:
        """Names of its columns."""
        ...

    def __getitem__(self, name: Any, /) -> Any:
        """Return a column."""
        ...


@dataclass(frozen=True)
class FrameSheet(Sheet):
    """A frame as a table of text.

    Attributes
    ----------
    cells : sequence of lists of str
        Each column's, "" where missing.
    """

    cells: Sequence[list[str]] = ()

    def rows(self, columns: Sequence[int]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield each row's number, from 1, and the cells of some columns."""
        chosen = [self.cells[k] for k in columns]
        yield from enumerate(zip(*chosen, strict=True), start=1)

    def says(self, decimal_commas: bool) -> str:
        """Return in words what it is."""
        return "a data frame"


def columns_of(frame: Frame) -> dict[str, list]:
    """Return a frame's columns by name; a list column ``location`` becomes two, of x and y.

    Raises
    ------
    InputError
        If it is no frame, two columns have one name, or a location is no pair.
    """
    try:
        names = list(frame.columns)
        texts = [str(name) for name in names]
        if twice := [name for name in texts if texts.count(name) > 1]:
            raise InputError(f"{FRAME}: column {twice[0]!r} occurs twice")
        found = {str(name): frame[name].to_list() for name in names}
    except (AttributeError, TypeError) as error:
        kind = type(frame).__name__
        raise InputError(f"expected a path or a frame of pandas or polars, got {kind}") from error
    if "location" in found and not {"location_x", "location_y"} & set(found):
        pairs = [_pair(value, row) for row, value in enumerate(found.pop("location"), start=1)]
        found |= {f"location_{axis}": [pair[k] for pair in pairs] for k, axis in enumerate("xy")}
    return found


def sheet_of(columns: Mapping[str, list]) -> FrameSheet:
    """Return columns as a table of text."""
    from pandas import NA, NaT

    def cell(value: object) -> str:
        if value is None or value is NA or value is NaT:
            return ""
        if isinstance(value, float):
            if value != value:
                return ""
            return str(int(value)) if value.is_integer() else str(float(value))
        return str(value).strip()

    cells = [list(map(cell, values)) for values in columns.values()]
    return FrameSheet(FRAME, "data frame", ",", list(columns), [], 0, 0, cells)


def _pair(value: Any, row: int) -> tuple[object, object]:
    """Return x and y of a location; neither of a missing one."""
    if value is None or isinstance(value, float):  # pandas' NaN
        return None, None
    try:
        x, y = value
    except (TypeError, ValueError) as error:
        raise InputError(f"{FRAME}: line {row}: location is no pair of x and y") from error
    return x, y

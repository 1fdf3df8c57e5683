"""Sorting and filtering a table by any of its columns."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, replace

from ...datasets.errors import InputError
from .levels import Level

_COMPARED = re.compile(r"(?P<name>.+?)\s*(?P<how><=|>=|<|>|=)\s*(?P<than>[-+]?[\d.]+)")
_HOW = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}


@dataclass(frozen=True)
class Order:
    """How a table is sorted and filtered.

    Attributes
    ----------
    column : str
        Empty: as it is.
    rising : bool
        Whether the lowest come first.
    wanted : str
        A comparison such as ``NSS > 1.5``, or a text that a row must contain; empty: all rows.
    """

    column: str = ""
    rising: bool = False
    wanted: str = ""

    def by(self, column: str) -> Order:
        """Sort by a column; by the same one again, the other way round."""
        return replace(self, column=column, rising=column == self.column and not self.rising)

    def told(self) -> str:
        """Return what is to be said of it."""
        first = "lowest" if self.rising else "highest"
        parts = [f"sorted by {self.column}, {first} first"] if self.column else []
        parts += [f"filter: {self.wanted}"] if self.wanted else []
        return "; ".join(parts)


def arranged(level: Level, order: Order) -> Level:
    """Return a table sorted and filtered; NaN comes last, ties keep their order.

    Raises
    ------
    InputError
        If the table has no such column, or its rows belong together.
    """
    if order == Order():
        return level
    if not level.sources:
        raise InputError("the rows of this table belong together: it is not sorted or filtered")
    values = level.frame.reset_index(drop=True)
    places = list(values.index)
    if order.wanted:
        places = _kept(level, order.wanted)
    if order.column:
        column = values.loc[places, level.sources[_place(level, order.column)]]
        places = list(
            column.sort_values(ascending=order.rising, kind="stable", na_position="last").index
        )
    told = f"{level.what}; {order.told()}"
    rows = [level.rows[place] for place in places]
    layers = [level.layers[place] for place in places] if level.layers else []
    return replace(level, what=told, frame=values.loc[places], rows=rows, layers=layers)


def _kept(level: Level, wanted: str) -> list[int]:
    found = _COMPARED.fullmatch(wanted.strip())
    if found is None:
        text = wanted.strip().lower()
        return [
            place
            for place, row in enumerate(level.rows)
            if any(text in cell.plain.lower() for cell in row)
        ]
    values = level.frame[level.sources[_place(level, found["name"])]]
    try:
        kept = _HOW[found["how"]](values, float(found["than"]))
    except (TypeError, ValueError) as error:
        raise InputError(f"{wanted!r}: expected a column of numbers, and a number") from error
    return [place for place, keep in enumerate(kept.tolist()) if keep]


def _place(level: Level, name: str) -> int:
    names = [column.lower() for column in level.columns]
    if name.lower() not in names:
        raise InputError(f"no column {name!r}: expected one of {', '.join(level.columns)}")
    return names.index(name.lower())

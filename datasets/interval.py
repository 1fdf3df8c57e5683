"""A number with its 95 % interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class Interval(NamedTuple):
    """An estimate and the bounds of its 95 % interval.

    Attributes
    ----------
    value : float, or float64 array
    low, high : float, or float64 array
        NaN where there are too few data for an interval.

    Examples
    --------
    >>> mean = Interval(0.5, 0.25, 1.0)
    >>> mean.half_width
    0.375
    >>> mean.columns("mean")
    {'mean': 0.5, 'mean_low': 0.25, 'mean_high': 1.0}
    """

    value: Any
    low: Any
    high: Any

    @classmethod
    def of(cls, row: Mapping[Any, Any], name: str, *, prefix: bool = True) -> Interval:
        """Read an interval back from a table row; see `columns`."""
        return cls(*(row[key] for key in cls._keys(name, prefix)))

    @classmethod
    def none(cls) -> Interval:
        """Return an undefined interval: all NaN."""
        return cls(np.nan, np.nan, np.nan)

    @property
    def half_width(self) -> float:
        """Half the distance between the bounds: the number after ±."""
        return (self.high - self.low) / 2

    def columns(self, name: str, *, prefix: bool = True) -> dict[str, Any]:
        """Return the interval as table columns: ``name, name_low, name_high``.

        Parameters
        ----------
        name : str
        prefix : bool
            False for ``name, low, high``, if the table holds only one interval.
        """
        return dict(zip(self._keys(name, prefix), self, strict=True))

    @staticmethod
    def _keys(name: str, prefix: bool) -> tuple[str, str, str]:
        start = f"{name}_" if prefix else ""
        return name, f"{start}low", f"{start}high"

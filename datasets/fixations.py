"""Fixations: where, who and for how long, as one canonical type."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .errors import InputError

COLUMNS = ("image_id", "subject", "x", "y", "duration_ms")


@dataclass(frozen=True, eq=False)
class Fixations:
    """Fixations of any number of subjects on any number of stimuli, as equally long columns.

    Attributes
    ----------
    image_id : int64 array, shape (n,)
        Id of the stimulus.
    subject : int64 or str array, shape (n,)
        Who looked.
    x, y : int64 arrays, shape (n,)
        The fixated pixel, 0-based; x to the right, y downwards.
    duration_ms : float64 array, shape (n,)
        Milliseconds; NaN where unknown.

    Raises
    ------
    InputError
        If columns differ in length or type; the message names the place.
    """

    image_id: np.ndarray
    subject: np.ndarray
    x: np.ndarray
    y: np.ndarray
    duration_ms: np.ndarray

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in COLUMNS}
        if len(set(lengths.values())) > 1:
            raise InputError(f"fixations: columns differ in length: {lengths}")
        for name in ("image_id", "x", "y"):
            object.__setattr__(self, name, _integers(name, getattr(self, name)))
        subject = np.asarray(self.subject) if len(self.subject) else np.empty(0, dtype=np.int64)
        if subject.dtype.kind not in "iuUO" or any(
            not isinstance(value, str | int | np.integer) for value in subject[:1].tolist()
        ):
            raise InputError(f"fixations.subject: expected integers or texts, got {subject.dtype}")
        subject = subject.astype(str) if subject.dtype.kind in "UO" else subject.astype(np.int64)
        object.__setattr__(self, "subject", subject)
        try:
            duration = np.asarray(self.duration_ms, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"fixations.duration_ms: expected numbers: {error}") from error
        wrong = np.flatnonzero(np.isinf(duration) | (duration < 0))
        if wrong.size:
            place = f"fixations.duration_ms[{wrong[0]}]"
            raise InputError(f"{place}: expected 0 or more, got {duration[wrong[0]]}")
        object.__setattr__(self, "duration_ms", duration)

    def __len__(self) -> int:
        return len(self.x)

    @classmethod
    def from_columns(cls, columns: Mapping[str, Sequence]) -> Fixations:
        """Build from the ``fixations`` object of a mask file; ``null`` durations become NaN.

        Raises
        ------
        InputError
            If a column is missing or malformed.
        """
        if not isinstance(columns, Mapping):
            raise InputError("fixations: expected an object of columns")
        missing = [name for name in COLUMNS[:4] if name not in columns]
        if missing:
            raise InputError(f"fixations: column {missing[0]!r} is missing")
        for name in COLUMNS:
            if not isinstance(columns.get(name, ()), Sequence | np.ndarray):
                raise InputError(f"fixations.{name}: expected a list")
        duration = columns.get("duration_ms")
        if duration is None:
            duration = np.full(len(columns["x"]), np.nan)
        return cls(**{name: columns[name] for name in COLUMNS[:4]}, duration_ms=duration)  # type: ignore[arg-type]

    def to_columns(self) -> dict[str, list]:
        """Return JSON-ready columns; unknown durations become ``None``, whole ones integers."""
        duration = [
            None if np.isnan(value) else int(value) if value.is_integer() else value
            for value in self.duration_ms.tolist()
        ]
        return {name: getattr(self, name).tolist() for name in COLUMNS[:4]} | {
            "duration_ms": duration
        }

    def where(self, keep: np.ndarray) -> Fixations:
        """Return the fixations selected by a boolean or index array of shape (n,) or (m,)."""
        return Fixations(*(getattr(self, name)[keep] for name in COLUMNS))

    def of(self, image_id: int) -> Fixations:
        """Return the fixations on one stimulus, in their original order."""
        return self.where(self._rows.get(image_id, np.empty(0, dtype=np.intp)))

    def sha256(self) -> str:
        """Return the SHA-256 of all columns, as 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for name in COLUMNS:
            digest.update(json.dumps(getattr(self, name).tolist()).encode())
        return digest.hexdigest()

    @cached_property
    def _rows(self) -> dict[int, np.ndarray]:
        order = np.argsort(self.image_id, kind="stable")
        ids, starts = np.unique(self.image_id[order], return_index=True)
        return dict(zip(ids.tolist(), np.split(order, starts)[1:], strict=True))


def pixel(position: np.ndarray) -> np.ndarray:
    """Return the 0-based pixel of a continuous 0-based position: floor(position + 0.5).

    Parameters
    ----------
    position : float array
        Pixels; a whole number is the centre of a pixel. Subtract one from 1-based MATLAB
        positions first, which gives OSIE's floor(x + 0.5) - 1.
    """
    return np.floor(np.asarray(position, dtype=np.float64) + 0.5).astype(np.int64)


def _integers(name: str, values: Sequence | np.ndarray) -> np.ndarray:
    array = np.asarray(values) if len(values) else np.empty(0, dtype=np.int64)
    if array.dtype.kind not in "iuf" or array.ndim != 1:
        for index, value in enumerate(values):
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise InputError(
                    f"fixations.{name}[{index}]: expected a whole number, got {value!r:.40}"
                )
        raise InputError(f"fixations.{name}: expected a list of whole numbers")
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero(~np.isfinite(array) | (array % 1 != 0) | (abs(array) > 2**53))
    if wrong.size:
        place = f"fixations.{name}[{wrong[0]}]"
        raise InputError(f"{place}: expected a whole number, got {array[wrong[0]]:g}")
    return array.astype(np.int64)

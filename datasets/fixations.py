"""Fixations: where, who and for how long, as one canonical type."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .errors import InputError

COLUMNS = ("image_id", "subject", "x", "y", "duration_ms")
OPTIONAL = ("order", "start_ms")
"""Columns that many sources lack."""


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
    order : int64 array, shape (n,), optional
        Which fixation of the subject on the stimulus it is, from 1. By default they are in the
        order of the rows; needed where some between them were left out.
    start_ms : float64 array, shape (n,), optional
        When it began, in milliseconds from the stimulus's appearance; NaN where unknown.

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
    order: np.ndarray | None = None
    start_ms: np.ndarray | None = None

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in self.columns()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"fixations: columns differ in length: {lengths}")
        whole = ("image_id", "x", "y") if self.order is None else ("image_id", "x", "y", "order")
        for name in whole:
            object.__setattr__(self, name, _integers(name, getattr(self, name)))
        subject = np.asarray(self.subject) if len(self.subject) else np.empty(0, dtype=np.int64)
        if subject.dtype.kind not in "iuUO" or any(
            not isinstance(value, str | int | np.integer) for value in subject[:1].tolist()
        ):
            raise InputError(f"fixations.subject: expected integers or texts, got {subject.dtype}")
        subject = subject.astype(str) if subject.dtype.kind in "UO" else subject.astype(np.int64)
        object.__setattr__(self, "subject", subject)
        times = ("duration_ms",) if self.start_ms is None else ("duration_ms", "start_ms")
        for name in times:
            object.__setattr__(self, name, _milliseconds(name, getattr(self, name)))
        if self.order is not None:
            self._check_order(self.order)

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
        for name in (*COLUMNS, *OPTIONAL):
            if not isinstance(columns.get(name, ()), Sequence | np.ndarray):
                raise InputError(f"fixations.{name}: expected a list")
        duration = columns.get("duration_ms")
        if duration is None:
            duration = np.full(len(columns["x"]), np.nan)
        given: dict = {name: columns[name] for name in COLUMNS[:4]}
        given |= {name: columns[name] for name in OPTIONAL if name in columns}
        return cls(**given, duration_ms=duration)  # type: ignore[arg-type]

    def to_columns(self) -> dict[str, list]:
        """Return JSON-ready columns; unknown durations become ``None``, whole ones integers."""
        columns: dict[str, list] = {}
        for name in self.columns():
            values = getattr(self, name).tolist()
            if name.endswith("_ms"):
                values = [
                    None if np.isnan(value) else int(value) if value.is_integer() else value
                    for value in values
                ]
            columns[name] = values
        return columns

    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns that are there."""
        return COLUMNS + tuple(name for name in OPTIONAL if getattr(self, name) is not None)

    def where(self, keep: np.ndarray) -> Fixations:
        """Return the fixations selected by a boolean or index array of shape (n,) or (m,)."""
        return Fixations(**{name: getattr(self, name)[keep] for name in self.columns()})

    def leave_out(self, wrong: np.ndarray) -> Fixations:
        """Return the fixations without some (bool array, shape (n,)); the others keep their order.

        The third fixation of a scanpath stays the third if the second is left out.
        """
        if not wrong.any():
            return self
        kept = replace(self, order=self.orders()).where(~wrong)
        plain = replace(kept, order=None)
        return plain if np.array_equal(plain.orders(), kept.orders()) else kept

    def orders(self) -> np.ndarray:
        """Return which fixation of its subject on its stimulus each is, from 1, int64 (n,)."""
        if self.order is not None:
            return self.order
        first, scanpath = self._scanpaths
        rank = np.empty(len(self), dtype=np.int64)
        rank[first] = np.arange(len(self))
        starts = np.searchsorted(scanpath[first], scanpath)
        return rank - starts + 1

    def starts(self) -> np.ndarray:
        """Return when each began, in ms from the stimulus's appearance, float64 (n,).

        Where `start_ms` is unknown, the sum of the durations of the subject's earlier fixations on
        the stimulus: saccades between them take no time. NaN if one of these is unknown, or was
        left out.
        """
        if self.start_ms is not None:
            return self.start_ms
        _, scanpath = self._scanpaths
        row = np.lexsort((self.orders(), scanpath))
        lasting, path, order = self.duration_ms[row], scanpath[row], self.orders()[row]
        starts = np.empty(len(self))
        for part in np.split(np.arange(len(row)), np.flatnonzero(np.diff(path)) + 1):
            begin = np.concatenate([[0.0], np.cumsum(lasting[part])[:-1]])[: len(part)]
            complete = order[part] == np.arange(1, len(part) + 1)
            starts[row[part]] = np.where(complete, begin, np.nan)
        return starts

    def of(self, image_id: int) -> Fixations:
        """Return the fixations on one stimulus, in their original order."""
        return self.where(self._rows.get(image_id, np.empty(0, dtype=np.intp)))

    def sha256(self) -> str:
        """Return the SHA-256 of all columns but the optional, as 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for name in COLUMNS:
            digest.update(json.dumps(getattr(self, name).tolist()).encode())
        return digest.hexdigest()

    def _check_order(self, order: np.ndarray) -> None:
        _, scanpath = self._scanpaths
        if len(order) and order.min() < 1:
            place = f"fixations.order[{int(order.argmin())}]"
            raise InputError(f"{place}: expected 1 or more, got {order.min()}")
        pairs, count = np.unique(np.stack([scanpath, order]), axis=1, return_counts=True)
        if (count > 1).any():
            path, number = pairs[:, int(count.argmax())]
            row = np.flatnonzero((scanpath == path) & (order == number))[1]
            raise InputError(
                f"fixations.order[{row}]: the subject has a fixation {number} on this image already"
            )

    @cached_property
    def _scanpaths(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows scanpath by scanpath, each in its own order, and the number of each row's."""
        subject = np.unique(self.subject, return_inverse=True)[1]
        pair = np.stack([self.image_id, subject])
        scanpath = np.unique(pair, axis=1, return_inverse=True)[1].ravel()
        return np.argsort(scanpath, kind="stable"), scanpath

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


def _milliseconds(name: str, values: Sequence | np.ndarray) -> np.ndarray:
    try:
        times = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"fixations.{name}: expected numbers: {error}") from error
    wrong = np.flatnonzero(np.isinf(times) | (times < 0))
    if wrong.size:
        place = f"fixations.{name}[{wrong[0]}]"
        raise InputError(f"{place}: expected 0 or more, got {times[wrong[0]]}")
    return times


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

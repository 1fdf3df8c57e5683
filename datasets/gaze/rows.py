"""Fixations or samples as a file has them: names as written, positions in the file's own unit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..fixations import OPTIONAL
from .exports import Export

NOWHERE = (np.nan,) * 4
_OPTIONAL = (*OPTIONAL, "time_ms")
IN_IMAGE = Export(name="", marks=(), unit="image pixels")


@dataclass
class Rows:
    """Fixations, or samples, of one or more files of one form.

    Attributes
    ----------
    form : str
        Which form, with the file's name.
    said : list of str
        How it was read.
    total : int
        Rows of the file, without comments.
    export : Export
        Says the positions' unit and origin.
    places : list of (Path, int)
        File and line of each fixation.
    image, subject, eye : list of str
        "" where missing.
    x, y, duration_ms : float arrays, shape (n,)
        NaN where missing.
    shown : float array, shape (n, 4)
        Where the file says that the image was, in screen pixels: left, top, width and height;
        NaN where it does not.
    centred : bool array, shape (n,)
        Whether the first two of ``shown`` are the image's centre instead.
    screen : (width, height) or None
        Pixels, where the file says.
    screen_px_per_degree : float or None
    dropped : Counter
        Fixations without an image, by the reason, which are not among the rows.
    columns : tuple of str
        Names of the columns of x and y.
    order, start_ms : int64 and float arrays, shape (n,), optional
        See `Fixations`.
    time_ms : float array, shape (n,), optional
        When each sample was taken, by the recording's clock.
    sampled : Counter
        Of fixations that were detected: how many samples, gaps and so on there were.
    """

    form: str
    said: list[str]
    total: int
    export: Export
    places: list[tuple[Path, int]]
    image: list[str]
    subject: list[str]
    eye: list[str]
    x: np.ndarray
    y: np.ndarray
    duration_ms: np.ndarray
    shown: np.ndarray
    centred: np.ndarray
    screen: tuple[float, float] | None = None
    screen_px_per_degree: float | None = None
    dropped: Counter[str] = field(default_factory=Counter)
    columns: tuple[str, ...] = ()
    order: np.ndarray | None = None
    start_ms: np.ndarray | None = None
    time_ms: np.ndarray | None = None
    sampled: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.image)

    def where(self, keep: np.ndarray) -> Rows:
        """Return some rows, selected by a boolean array of shape (n,) or by their indices."""
        places = np.arange(len(self))[keep]
        lists = ("places", "image", "subject", "eye")
        arrays = ("x", "y", "duration_ms", "shown", "centred")
        parts = {name: [getattr(self, name)[k] for k in places] for name in lists}
        arrays += tuple(name for name in _OPTIONAL if getattr(self, name) is not None)
        parts |= {name: getattr(self, name)[places] for name in arrays}
        return Rows(**{**vars(self), **parts})


def joined(parts: Sequence[Rows], form: str) -> Rows:
    """Return the rows of several files of one form.

    Raises
    ------
    InputError
        If they differ in form, unit, or the screen, or a recording is there twice.
    """
    first = parts[0]
    for part in parts[1:]:
        where, other = part.form, first.form
        if part.export != first.export:
            raise InputError(f"{where}, but {other}: expected files of one form")
        if part.screen != first.screen:
            raise InputError(f"{where}, screen {part.screen}, but {other}, screen {first.screen}")
        if part.screen_px_per_degree != first.screen_px_per_degree:
            raise InputError(f"{where}: mixed pixels per degree: not those of {other}")
    _check_once(parts)
    said = list(dict.fromkeys(line for part in parts for line in part.said))
    dropped = sum((part.dropped for part in parts), Counter())
    sampled = sum((part.sampled for part in parts), Counter())
    total = sum(part.total for part in parts)
    rows = together(parts)
    return replace(rows, form=form, said=said, total=total, dropped=dropped, sampled=sampled)


def together(parts: Sequence[Rows]) -> Rows:
    """Return the rows of all parts, and what else the first says."""
    lists = {
        name: [one for part in parts for one in getattr(part, name)]
        for name in ("places", "image", "subject", "eye")
    }
    arrays = {}
    for name in ("x", "y", "duration_ms", "shown", "centred", *_OPTIONAL):
        values = [getattr(part, name) for part in parts]
        arrays[name] = None if any(one is None for one in values) else np.concatenate(values)
    return replace(parts[0], **lists, **arrays)


def _check_once(parts: Sequence[Rows]) -> None:
    """Refuse a recording in two files, and two recordings that only a folder tells apart."""
    seen: dict[tuple, Path] = {}
    names: dict[tuple[str, str], Path] = {}
    for part in parts:
        if not part.places:
            continue
        path = part.places[0][0]
        values = zip(part.image, part.x, part.y, part.duration_ms, strict=True)
        keys = [(image, *map(str, rest)) for image, *rest in values]
        again = [seen[key] for key in keys if key in seen]
        if len(again) > 2 and 2 * len(again) >= len(keys):
            raise InputError(
                f"{path}: has the fixations of {again[0].name} again; expected each recording once"
            )
        seen.update(dict.fromkeys(keys, path))
        who = set(part.subject)
        if len(who) == 1 and (subject := min(who)) and subject in path.stem:
            other = names.setdefault((subject, path.name), path)
            if other.parent != path.parent:
                raise InputError(
                    f"{path}: subject {subject!r:.40} is that of {other}: expected another name"
                )

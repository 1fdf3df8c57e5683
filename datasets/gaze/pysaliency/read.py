"""Reading pysaliency's fixations: scanpaths of version 0.3, fixation trains, and fixations alone.

A position is on the pixel of its whole part, as pysaliency's ``x_int``; a whole number is then the
pixel's upper left corner. Times are seconds, or, where all are whole numbers, only an order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...readers.arrays import read_hdf5_tree
from ..rows import IN_IMAGE, NOWHERE, Rows
from .files import STIMULI

_VERSIONS = {
    "ScanpathFixations": ("1.0",),
    "FixationTrains": ("1.0", "1.1", "1.2", "1.3"),
    "Fixations": ("1.0", "1.1", "1.2"),
    "FileStimuli": ("1.0", "2.0", "2.1"),
}
_DURATIONS = ("durations", "duration")
NAMES = "subject_names"
"""Attribute of our own: subjects' names, where they are not numbers."""


def read_pysaliency(path: Path) -> Rows:
    """Read a file of fixations; that of the stimuli, ``stimuli.hdf5``, lies beside it.

    Raises
    ------
    InputError
        If one is missing or malformed, or of a type or version that is not known.
    """
    attributes, data = read_hdf5_tree(path)
    kind, version = _kind(path, attributes[""], "fixations")
    if kind == "FileStimuli":
        raise InputError(f"{path}: holds stimuli, expected fixations")
    names = _names(path.with_name(STIMULI))
    try:
        columns = _flat(data) if kind == "Fixations" else _trains(kind, data)
    except (KeyError, ValueError, IndexError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: not {kind} as pysaliency writes them ({error!r:.100})"
        ) from error
    stimulus, subject, order, x, y, t, duration = columns
    n = len(x)
    if any(len(column) != n for column in columns):
        raise InputError(f"{path}: columns differ in length")
    if n and (stimulus.min() < 0 or stimulus.max() >= len(names)):
        wrong = stimulus.min() if stimulus.min() < 0 else stimulus.max()
        raise InputError(f"{path}: has a fixation on stimulus {wrong} of {len(names)}")
    known = _subject_names(path, attributes[""])
    said, start = (
        [f"pysaliency {kind} {version}; positions are on the pixel of their whole part"],
        None,
    )
    if kind != "Fixations" and (again := _repeats(stimulus, subject, order)):
        said.append(
            f"{again} times a subject looks again at a stimulus: the order of these fixations goes "
            "on from the earlier ones"
        )
    if kind != "Fixations" and not t.any():
        order = None
    elif n and np.isfinite(t).all() and t.any():
        if (t % 1 == 0).all():
            said.append("times are whole numbers: taken for an order, not for seconds")
            counted = t.astype(np.int64) - int(t.min()) + 1
            told = kind != "Fixations" and np.array_equal(counted, order)  # by the rows
            order = None if told else counted
        else:
            start, order = 1000 * t, order if kind == "Fixations" else None
            if (start < 0).any():
                said.append("times below 0 are not known")
                start = np.where(start < 0, np.nan, start)
    return Rows(
        form=f"{path}: pysaliency, {kind} {version}",
        said=said,
        total=n,
        export=IN_IMAGE,
        places=[(path, k + 1) for k in range(n)],
        image=[names[k] for k in stimulus.tolist()],
        subject=[known.get(str(who), str(who)) for who in subject],
        eye=[""] * n,
        x=x - 0.5,
        y=y - 0.5,
        duration_ms=np.round(1000 * duration, 6),
        shown=np.full((n, len(NOWHERE)), np.nan),
        centred=np.zeros(n, dtype=bool),
        columns=("x", "y"),
        order=None if order is None else _unless_repeated(stimulus, subject, order),
        start_ms=None if start is None else np.round(start, 6),
    )


def _kind(path: Path, attributes: Mapping[str, Any], what: str) -> tuple[str, str]:
    kind, version = (str(attributes.get(name)) for name in ("type", "version"))
    if "type" not in attributes:
        raise InputError(f"{path}: not a file of pysaliency's {what} (no attribute 'type')")
    if kind == "Stimuli":
        raise InputError(f"{path}: stimuli without file names; expected pysaliency's FileStimuli")
    if version not in _VERSIONS.get(kind, ()):
        raise InputError(f"{path}: {kind} {version} is not known: {_known()}")
    return kind, version


def _known() -> str:
    return ", ".join(
        f"{kind} {versions[0]} to {versions[-1]}" for kind, versions in _VERSIONS.items()
    )


def _names(path: Path) -> list[str]:
    """Return the file names of the stimuli."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; it holds the file names of the stimuli")
    attributes, data = read_hdf5_tree(path)
    kind, _ = _kind(path, attributes[""], "stimuli")
    names = data.get("filenames")
    if kind != "FileStimuli" or not isinstance(names, list):
        raise InputError(f"{path}: holds {kind} without file names, expected FileStimuli's")
    if not all(isinstance(name, str) and name for name in names):
        raise InputError(f"{path}: expected a file name for each stimulus")
    return names


def _subject_names(path: Path, attributes: Mapping[str, Any]) -> dict[str, str]:
    text = attributes.get(NAMES)
    if text is None:
        return {}
    try:
        return {str(k): str(name) for k, name in enumerate(json.loads(text))}
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: {NAMES}: {error}") from error


def _trains(kind: str, data: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
    """Return the columns of padded scanpaths: stimulus, subject, order, x, y, t, duration."""
    if kind == "ScanpathFixations":
        own, each = "scanpaths/", "scanpaths/fixation_attributes/"
        x, y, n = (data[f"{own}{name}"] for name in ("xs", "ys", "n"))
        t, lengths = data.get(f"{each}ts"), data.get(f"{own}length")
        subject = data.get(f"{own}scanpath_attributes/subject")
    else:
        each = "scanpath_fixation_attributes/"
        x, y, t, n, subject = (
            data[f"train_{name}"] for name in ("xs", "ys", "ts", "ns", "subjects")
        )
        lengths = data.get("train_lengths")
    if subject is None:
        raise ValueError("no subjects")
    if lengths is None:
        there = ~np.isnan(x)
        lengths = np.where(there.any(1), x.shape[1] - np.argmax(there[:, ::-1], axis=1), 0)
    kept = np.arange(x.shape[1]) < np.asarray(lengths)[:, None]
    duration = next((data[each + name] for name in _DURATIONS if each + name in data), None)
    scanpath, place = np.nonzero(kept)
    empty = np.full(x.shape, np.nan)
    flat = [x[kept], y[kept]]
    flat += [
        (empty if one is None else np.asarray(one, dtype=np.float64))[kept] for one in (t, duration)
    ]
    n, subject = _whole(n, "a stimulus"), _whole(subject, "a subject")
    return n[scanpath].astype(np.int64), subject[scanpath], place + 1, *flat


def _flat(data: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
    """Return the columns of fixations without their scanpaths."""
    subject = _whole(data["subject"] if "subject" in data else data["subjects"], "a subject")
    before = data["lengths"] if "lengths" in data else (~np.isnan(data["x_hist"])).sum(axis=-1)
    n = _whole(data["n"], "a stimulus").astype(np.int64)
    duration = next((data[name] for name in _DURATIONS if name in data), np.full(len(n), np.nan))
    x, y, t, duration = (
        np.asarray(one, dtype=np.float64) for one in (data["x"], data["y"], data["t"], duration)
    )
    return n, subject, np.asarray(before) + 1, x, y, t, duration


def _repeats(stimulus: np.ndarray, subject: np.ndarray, place: np.ndarray) -> int:
    """Return how many scanpaths are of a subject and stimulus that has had one."""
    first = place == 1
    pairs = np.stack([stimulus, np.unique(subject, return_inverse=True)[1]])[:, first]
    return pairs.shape[1] - np.unique(pairs, axis=1).shape[1]


def _whole(values: Any, what: str) -> np.ndarray:
    """Return whole numbers as int64; texts and others as they are, if they may be names."""
    values = np.asarray(values)
    if values.dtype.kind != "f":
        return values
    if not (np.isfinite(values) & (values % 1 == 0)).all():
        raise ValueError(f"{what} is not a whole number")
    return values.astype(np.int64)


def _unless_repeated(
    stimulus: np.ndarray, subject: np.ndarray, order: np.ndarray
) -> np.ndarray | None:
    """Return the order, unless a subject has a number twice on a stimulus: then rows tell it."""
    who = np.unique(subject, return_inverse=True)[1]
    keys = np.stack([stimulus, who, order])
    return order if np.unique(keys, axis=1).shape[1] == len(order) else None

"""Fixations detected in gaze samples by pymovements, before they are placed on stimuli."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np

from ...choices import Detection
from ...errors import InputError
from ...stimuli import Stimuli
from ..placing import check_unit, on_stimuli, shown_on, unit_of
from ..rows import Rows
from ..settings import TableFormat
from .events import LEAST_MS, METHODS, events, pymovements

_INTERVALS = (0.2, 100)  # ms between samples that an eye tracker may have
_GAP = 1.5  # of the usual interval: a sample is missing


def detected(
    samples: Rows,
    stimuli: Stimuli,
    px_per_degree: float | None,
    table_format: TableFormat,
    method: Detection,
) -> Rows:
    """Return the fixations in gaze samples, in the samples' unit.

    They are detected in each recording, which is all samples of one file, subject and eye, and in
    each presentation of an image: it ends where the image changes or the clock starts again. A
    missing sample, or one without a position, ends a fixation too. Its place is the mean of its
    samples; it begins at its first, and lasts as long as pymovements says.

    Parameters
    ----------
    samples : Rows
        Of one file, with ``time_ms``.
    stimuli : Stimuli
    px_per_degree : float or None
        Pixels of the stimuli in one degree of visual angle; needed unless positions are degrees.
    table_format : TableFormat
    method : Detection
        ``ivt``: slower than 20 degrees a second, by pymovements' velocity over five samples;
        ``idt``: width plus height of at most one degree. Both: for at least 100 ms.

    Raises
    ------
    InputError
        If pymovements or the scale is missing, or times are not sorted or in another unit.
    """
    library = pymovements()
    check_unit(samples, table_format)
    scale = _screen_px_per_degree(samples, stimuli, px_per_degree, table_format)
    position, time = np.column_stack([samples.x, samples.y]), samples.time_ms
    assert time is not None
    counts: Counter[str] = Counter(samples=len(time))
    counts["without a position"] = int(np.isnan(position).any(axis=1).sum())
    first, found = [], []
    for recording in _recordings(samples):
        interval = _interval(samples, time, recording)
        presentations = _presentations(samples, time, recording)
        counts["recordings"] += 1
        counts["presentations"] += len(presentations)
        for shown in presentations:
            runs = _runs(shown, time[shown], position[shown], interval)
            counts["gaps"] += max(len(runs) - 1, 0)
            for run in runs:
                degrees = position[run] / scale
                for begin, end, inside in events(library, degrees, interval, method):
                    first.append(run[begin])
                    place = position[run[begin:inside]].mean(axis=0)
                    times = time[run[begin]] - time[shown[0]], time[run[end]] - time[run[begin]]
                    found.append((*place, *times))
    x, y, start, duration = np.array(found, dtype=np.float64).reshape(-1, 4).T
    how = (
        f"fixations detected by pymovements {library.__version__}: {METHODS[method]} for at least "
        f"{LEAST_MS} ms, its defaults, "
    )
    degrees = "in degrees" if table_format.unit == "deg" else f"at {scale:.4g} pixels per degree"
    return replace(
        samples.where(np.array(first, dtype=np.intp)),
        **{"x": x, "y": y, "duration_ms": duration, "start_ms": start, "time_ms": None},
        said=[*samples.said, how + degrees],
        sampled=counts,
    )


def sampled_words(counts: Counter[str]) -> str:
    """Return in words what fixations were detected in."""
    return (
        f"{counts['samples']} samples, {counts['without a position']} without a position; "
        f"{counts['recordings']} recordings, {counts['presentations']} presentations of an image, "
        f"{counts['gaps']} gaps in them"
    )


def _screen_px_per_degree(
    samples: Rows, stimuli: Stimuli, px_per_degree: float | None, table_format: TableFormat
) -> float:
    """Return how many of the samples' units are in one degree of visual angle."""
    if table_format.unit == "deg":
        return 1.0
    if px_per_degree is None or not 0 < px_per_degree < math.inf:
        raise InputError(
            f"{samples.form}: thresholds are in degrees: --detect needs --px-per-degree NUMBER"
        )
    placement = table_format.placement
    if unit_of(samples, placement) == "image pixels":
        return px_per_degree
    _, once = np.unique(samples.image, return_index=True)
    ones, index, _ = on_stimuli(samples.where(once), stimuli, Counter())
    height, width = np.array([stimulus.size for stimulus in stimuli])[index].T
    shown, _, _ = shown_on(ones, width, height, placement)
    scales = shown[:, 2:] / np.column_stack([width, height])
    if np.ptp(scales) > 0.01 * scales.mean():
        raise InputError(
            f"{samples.form}: images were shown at scales of {scales.min():.4g} to "
            f"{scales.max():.4g}: --px-per-degree tells the screen's pixels per degree only if all "
            "had one"
        )
    return px_per_degree * float(scales.mean())


def _recordings(samples: Rows) -> list[np.ndarray]:
    """Return the rows of each subject and eye, in the file's order."""
    number: dict[tuple[str, str], int] = {}
    keys = zip(samples.subject, samples.eye, strict=True)
    which = np.array([number.setdefault(one, len(number)) for one in keys], dtype=np.intp)
    order = np.argsort(which, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(which[order])) + 1)


def _presentations(samples: Rows, time: np.ndarray, recording: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each presentation; the clock may start again, but not go back within."""
    time, changes = time[recording], _changes(samples, recording)
    begins = [0]
    for k in np.flatnonzero(changes | (np.diff(time) <= 0)).tolist():
        far_back = time[k] - time[k + 1] >= LEAST_MS
        again = far_back and time[k + 1] < time[begins[-1]] + LEAST_MS
        if not (changes[k] or again):
            path, line = samples.places[recording[k + 1]]
            raise InputError(
                f"{path}: line {line}: time {time[k + 1]:g} ms after {time[k]:g}: expected samples "
                "sorted by time"
            )
        begins.append(k + 1)
    return np.split(recording, begins[1:])


def _changes(samples: Rows, recording: np.ndarray) -> np.ndarray:
    """Return after which rows of a recording another image was shown, bool (n - 1,)."""
    number: dict[str, int] = {}
    images = [number.setdefault(samples.image[row], len(number)) for row in recording]
    return np.diff(images) != 0


def _interval(samples: Rows, time: np.ndarray, recording: np.ndarray) -> float:
    """Return the usual time between two samples of a recording, in ms."""
    if (unknown := ~np.isfinite(time[recording])).any():
        path, line = samples.places[recording[unknown.argmax()]]
        raise InputError(f"{path}: line {line}: a sample without a time")
    path, line = samples.places[recording[0]]
    place = f"{path}: line {line}: subject {samples.subject[recording[0]]!r:.40}"
    steps = np.diff(time[recording])[~_changes(samples, recording)]
    steps = steps[steps > 0]
    if not len(steps):
        raise InputError(f"{place}: no two samples of one image follow each other in time")
    usual = float(np.median(steps))
    least, most = _INTERVALS
    if not least <= usual <= most:
        raise InputError(
            f"{place}: a sample every {usual:.4g} ms, expected {least:g} to {most:g}: time is in "
            "another unit, which the column's name says as in time_s, time_ms or time_us"
        )
    return usual


def _runs(
    rows: np.ndarray, time: np.ndarray, position: np.ndarray, interval: float
) -> list[np.ndarray]:
    """Return the rows of each run of samples between which none is missing."""
    seen = np.flatnonzero(~np.isnan(position).any(axis=1))
    gaps = (np.diff(seen) > 1) | (np.diff(time[seen]) > _GAP * interval)
    return np.split(rows[seen], np.flatnonzero(gaps) + 1) if len(seen) else []

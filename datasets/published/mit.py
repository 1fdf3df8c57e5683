"""MIT1003 (Judd et al. 2009): raw gaze at 240 Hz on 1003 photographs; and MIT300's photographs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.ndimage import median_filter

from ..errors import InputError, reading
from ..progress import Progress
from ..readers.arrays import read_mat
from .gathered import Gathered, by_name, files_below, images_of, structs

PX_PER_DEGREE = 35.0
HZ = 240.0

SMOOTHED = 5
"""Samples of the running median that takes single jumps of the eye tracker away (21 ms)."""

FASTEST = 30.0
"""Degrees a second: what is faster is a saccade."""

NEAREST = 0.5
"""Degrees: what lies nearer is one fixation, with a drift."""

SHORTEST = 100.0
"""Milliseconds of a fixation."""


class Looks(NamedTuple):
    """Fixations that were found in raw gaze, columns of shape (n,): pixels and milliseconds."""

    x: np.ndarray
    y: np.ndarray
    start_ms: np.ndarray
    duration_ms: np.ndarray


def read_mit1003(root: Path, progress: Progress) -> Gathered:
    """Read MIT1003: ``ALLSTIMULI/*.jpeg`` and ``DATA/SUBJECT/*.mat``, anywhere below a folder.

    Raises
    ------
    InputError
        If it has no images or gaze, or a file is not MIT1003's.
    """
    found = Gathered(images_of(root, files_below(root, "*.jpeg")))
    images = {Path(name).stem: image for name, image in by_name(found.stimuli).items()}
    files = [path for path in files_below(root, "*.mat") if path.stem in images]
    if not files:
        raise InputError(f"{root}: has no gaze (DATA/SUBJECT/*.mat) on its images")
    known: dict[tuple[str, str], Path] = {}
    for path in files:
        first = known.setdefault((path.parent.name, path.stem), path)
        if first != path:
            raise InputError(f"{path}: the same subject and image as {first.relative_to(root)}")
    whole = 0
    with progress.task("reading mit1003", len(files)) as advance:
        for path in files:
            image = images[path.stem]
            looks = find_fixations(_gaze(path))
            whole += len(looks.x)
            # As the authors do: 0 is outside, and the pixel is the position rounded down.
            x, y = (np.where(one[1:] > 0, np.floor(one[1:]), np.nan) for one in (looks.x, looks.y))
            found.add(image, path.parent.name, x, y, looks.duration_ms[1:], looks.start_ms[1:])
            advance(1)
    progress.say(
        f"mit1003: {whole} fixations found in the raw gaze by salprobe's own filter "
        f"({FASTEST:g}°/s, {NEAREST:g}°, {SHORTEST:g} ms); the authors' needs MATLAB, may differ"
    )
    progress.say(f"mit1003: the first fixation of each of {len(files)} scanpaths is left out")
    if bare := len(set(images) - {path.stem for path in files}):
        progress.say(f"mit1003: {bare} images have no gaze")
    if lone := len(files_below(root, "*.mat")) - len(files):
        progress.say(f"mit1003: {lone} .mat files are of none of the images, left out")
    return found


def _gaze(path: Path) -> np.ndarray:
    """Return a file's samples as float64 (n, 2); the variable is called as the image, cut short."""
    content = read_mat(path)
    with reading(path):
        holders = [one for one in content.values() if isinstance(one, dict) and "DATA" in one]
        if len(holders) != 1:
            raise InputError(f"{path}: not MIT1003's: no structure with DATA")
        data = structs(holders[0]["DATA"])
        gaze = np.atleast_2d(np.asarray(data[0]["eyeData"] if data else (), dtype=np.float64))
        if gaze.size and (gaze.ndim != 2 or not 2 <= gaze.shape[1] <= 4):
            raise InputError(
                f"{path}: eyeData has the shape {gaze.shape}, expected samples of x, y"
            )
        return gaze[:, :2] if gaze.size else np.empty((0, 2))


def find_fixations(gaze: np.ndarray, px_per_degree: float = PX_PER_DEGREE, hz: float = HZ) -> Looks:
    """Find fixations in raw gaze.

    After the description in Judd et al. (2009) and Torralba et al. (2006): saccades are found by
    their velocity and distance, what moves less is drift within a fixation, and a fixation lies
    at the median of its samples. The description has no numbers: they are ours.

    Parameters
    ----------
    gaze : float array, shape (n, 2)
        (x, y) in pixels; negative or NaN in a blink.
    px_per_degree, hz : float

    Returns
    -------
    Looks
    """
    with np.errstate(invalid="ignore"):
        seen = np.asarray(((gaze >= 0) & np.isfinite(gaze)).all(axis=1))
    runs: list[tuple[int, int]] = []  # of samples, the end not included
    for first, last in _runs(seen):
        smooth = median_filter(gaze[first:last], size=(SMOOTHED, 1), mode="nearest")
        slow = np.asarray(_velocity(smooth, hz) <= FASTEST * px_per_degree)
        inside = [(first + a, first + b) for a, b in _runs(slow)]
        runs += _joined(gaze, inside, NEAREST * px_per_degree)
    runs = [(a, b) for a, b in runs if 1000 * (b - a) / hz >= SHORTEST]
    middles = np.array([np.median(gaze[a:b], axis=0) for a, b in runs]).reshape(-1, 2)
    times = 1000 / hz * np.array(runs, dtype=np.float64).reshape(-1, 2)
    x, y = middles.T
    return Looks(x, y, times[:, 0], times[:, 1] - times[:, 0])


def _runs(wanted: np.ndarray) -> list[tuple[int, int]]:
    """Return the (first, end) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wanted, [False]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _velocity(path: np.ndarray, hz: float) -> np.ndarray:
    """Return the speed at each sample, in pixels a second, from those before and after it."""
    if len(path) < 2:
        return np.zeros(len(path))
    return np.hypot(*np.gradient(path, axis=0).T) * hz


def _joined(gaze: np.ndarray, runs: list[tuple[int, int]], nearest: float) -> list[tuple[int, int]]:
    """Return runs with those joined that follow each other in the same place."""
    made = runs[:1]
    for _, run in pairwise(runs):
        (a, b), (c, d) = made[-1], run
        apart = np.median(gaze[c:d], axis=0) - np.median(gaze[a:b], axis=0)
        if np.hypot(*apart) < nearest:
            made[-1] = (a, d)
        else:
            made.append(run)
    return made


def read_mit300(root: Path, progress: Progress) -> Gathered:
    """Read MIT300's images, ``BenchmarkIMAGES/*.jpg``; its fixations are held out.

    Raises
    ------
    InputError
        If it has no images.
    """
    progress.say("mit300: its fixations are held out: images only")
    return Gathered(images_of(root, files_below(root, "*.jpg")))

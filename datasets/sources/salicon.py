"""SALICON (Jiang et al., CVPR 2015): MS COCO photographs with attention tracked by the mouse.

A folder may hold either of two published forms:

- a MATLAB file for each image (LSUN 2015 and 2017), ``COCO_train2014_000000000009.mat``, with
  ``image``, ``resolution`` and ``gaze``, whose ``fixations`` are 1-based (x, y);
- two files in COCO's style (SALICON's own interface), ``fixations_train2014.json`` and
  ``fixations_val2014.json``, whose ``fixations`` are 1-based (row, column).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, reading
from ..files import read_json
from ..fixations import Fixations
from ..progress import SILENT, Progress
from ..readers.arrays import read_mat
from ..stimuli import Dataset, Stimuli, Stimulus

NAME = "salicon"

PX_PER_DEGREE = 19.0
"""Unknown, as viewers sat at home: this is the Gaussian that blurs SALICON's own maps."""

_Gaze = tuple[str, tuple[int, int], list[np.ndarray]]
"""An image's name, its (height, width), and each subject's fixations as 1-based (x, y)."""


def load_salicon(root: Path, progress: Progress = SILENT) -> Dataset:
    """Load SALICON's training and validation images from a folder.

    Parameters
    ----------
    root : Path
        Images and fixations may be anywhere below it.
    progress : Progress

    Returns
    -------
    Dataset
        Image ids are COCO's, the numbers in the file names. Fixations outside their image are
        dropped.

    Raises
    ------
    InputError
        If there are no fixations, an image is missing, or a file is not SALICON's.
    """
    with reading(root):
        return _load(root, progress)


def _load(root: Path, progress: Progress) -> Dataset:
    images = {path.name: path for path in sorted(root.rglob("COCO_*.jpg"))}
    stimuli, parts = [], []
    known: dict[int, str] = {}
    for name, (height, width), subjects in _gaze(root, progress):
        if name not in images:
            raise InputError(f"{root}: has fixations on {name}, but not the image")
        number = _number(name)
        if number in known:
            raise InputError(
                f"{root}: has fixations on {name} after those on {known[number]}: one number, "
                "which those of 2015 and 2017 in one folder have, too"
            )
        known[number] = name
        file_name = images[name].relative_to(root).as_posix()
        stimuli.append(Stimulus(id=number, file_name=file_name, width=width, height=height))
        for subject, points in enumerate(subjects, start=1):
            ids = np.full(len(points), number), np.full(len(points), subject)
            parts.append(np.column_stack([*ids, points - 1]))
    table = np.concatenate(parts) if parts else np.empty((0, 4), dtype=np.int64)
    sizes = {stimulus.id: stimulus.size for stimulus in stimuli}
    limits = np.array([sizes[number] for number in table[:, 0].tolist()]).reshape(-1, 2)
    inside = ((table[:, 2:] >= 0) & (table[:, 2:] < limits[:, ::-1])).all(axis=1)
    fixations = Fixations(*table[inside].T, duration_ms=np.full(int(inside.sum()), np.nan))
    ordered = tuple(sorted(stimuli, key=lambda stimulus: stimulus.id))
    return Dataset(
        NAME, Stimuli(root, ordered), fixations, PX_PER_DEGREE, dropped=int((~inside).sum())
    )


def _gaze(root: Path, progress: Progress) -> Iterator[_Gaze]:
    tables = sorted(root.rglob("fixations_*2014*.json"))
    files = sorted(root.rglob("COCO_*.mat"))
    if tables:
        for path in tables:
            yield from _of_table(path)
    elif files:
        with progress.task("reading SALICON", len(files)) as advance:
            for path in files:
                yield _of_file(path)
                advance(1)
    else:
        raise InputError(f"{root}: no SALICON fixations (COCO_*.mat, or fixations_train2014.json)")


def _of_table(path: Path) -> Iterator[_Gaze]:
    content: Any = read_json(path)
    try:
        images = {
            image["id"]: (str(image["file_name"]), (int(image["height"]), int(image["width"])))
            for image in content["images"]
        }
        subjects: dict[int, list[np.ndarray]] = {number: [] for number in images}
        for annotation in content["annotations"]:
            rows_columns = _points(annotation["fixations"])
            subjects[annotation["image_id"]].append(rows_columns[:, ::-1])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not SALICON's fixations ({error!r})") from error
    for number, (name, size) in images.items():
        yield name, size, subjects[number]


def _of_file(path: Path) -> _Gaze:
    content = read_mat(path)
    try:
        height, width = (int(value) for value in content["resolution"])
        gaze = content["gaze"]
        gaze = [gaze] if isinstance(gaze, dict) else list(gaze)
        subjects = [_points(subject["fixations"]) for subject in gaze]
    except Exception as error:  # whatever else may be in the place of what is expected
        raise InputError(f"{path}: not SALICON's fixations ({error!r:.200})") from error
    return f"{path.stem}.jpg", (height, width), subjects


def _points(values: Any) -> np.ndarray:
    """Return points as int64 (n, 2); MATLAB drops a dimension for one point or none."""
    points = np.asarray(values, dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(points).all():
        raise ValueError("a fixation is not finite")
    return np.rint(points).astype(np.int64)


def _number(name: str) -> int:
    digits = Path(name).stem.rpartition("_")[2]
    if not (digits.isascii() and digits.isdigit()):
        raise InputError(f"{name}: expected a name such as COCO_train2014_000000000009.jpg")
    return int(digits)

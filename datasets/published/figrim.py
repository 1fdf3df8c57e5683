"""FIGRIM (Bylinskii et al. 2015): scenes in a test of memory, fillers and targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, reading
from ..progress import Progress
from ..readers.arrays import read_mat
from .gathered import Gathered, by_name, files_below, images_of, rows, structs

FILES = ("allImages_release.mat", "allImages_fillers.mat")
RESPONSES = ("hits", "false alarms", "misses", "correct rejections")


def read_figrim(root: Path, progress: Progress) -> Gathered:
    """Read FIGRIM: ``allImages_release.mat`` (targets), ``allImages_fillers.mat``, and the images.

    Fixations are those of the first time that an image was seen (encoding).

    Raises
    ------
    InputError
        If there is neither file, an image is missing, or a file is not FIGRIM's.
    """
    files = [path for name in FILES for path in files_below(root, name)]
    if not files:
        raise InputError(f"{root}: has neither {' nor '.join(FILES)}")
    found = Gathered(images_of(root, files_below(root, "*.jpg")))
    images = by_name(found.stimuli)
    again, answers = 0, np.zeros(4, dtype=np.int64)
    for path in files:
        content = read_mat(path)
        with reading(path):
            for entry in structs(content["allImages"]):
                name = str(entry["filename"])
                if name not in images:
                    raise InputError(f"{path}: {name!r:.60} is not among the images")
                for subject, seen in enumerate(structs(entry["userdata"]), start=1):
                    if np.size(seen["trial"]) == 0:
                        continue  # this subject did not see the image
                    first = rows(seen["fixations"]["enc"], 2)
                    found.add(images[name], subject, *first.T)
                    again += sum(len(_later(seen, time)) for time in ("rec", "rec2"))
                    answers += _answers(seen["SDT"])
    progress.say(
        f"figrim: fixations of the first time that an image was seen; "
        f"{again} of later times left out"
    )
    told = ", ".join(f"{n} {what}" for n, what in zip(answers, RESPONSES, strict=True))
    progress.say(f"figrim: answers (not used): {told}; subjects are numbered as in the file")
    return found


def _later(seen: dict[str, Any], time: str) -> np.ndarray:
    return rows(seen["fixations"].get(time, ()), 2)


def _answers(value: Any) -> np.ndarray:
    """Return how many of a subject's answers were of each kind, shape (4,)."""
    codes = np.atleast_1d(np.asarray(value, dtype=np.float64)).ravel()
    return np.array([int((codes == code).sum()) for code in (1, 2, 3, 4)])

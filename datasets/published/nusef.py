"""NUSEF (Ramanathan et al. 2010), public part: fixations in an eye tracker's own units."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..errors import InputError, reading
from ..progress import Progress
from ..readers.text import decoded
from ..stimuli import Stimulus
from .gathered import Gathered, by_name, files_below, images_of

TRACKER, SCREEN = (260, 280), (1024, 768)
"""(width, height) of the eye tracker's units and of the screen in pixels."""

TYPOS = {"3005_0": "3005.1", "3005_2": "3005.2"}

MASKS_ONLY = frozenset(
    [
        "1112_0",
        "1112_2",
        "1303_0",
        "1303_2",
        "3005.1",
        "3005.2",
        "7233_0",
        "7233_1",
        "7233_2",
        "9006_0",
        "9006_1",
        "9561_0",
        "9561_2",
        "9635_0",
        "9635_2",
    ]
)
"""Files among the images that show a segmentation: their photographs are not public (IAPS)."""

DURATION, X, Y, COLUMNS = 5, 8, 9, 15
"""Places of a line's columns, and how many there are."""


def read_nusef(root: Path, progress: Progress) -> Gathered:
    """Read NUSEF: ``stimuli/*.jpg`` and ``fix_data/IMAGE/*.fix``, anywhere below a folder.

    Raises
    ------
    InputError
        If it has no images or fixations, or a file is not NUSEF's.
    """
    paths = [path for path in files_below(root, "*.jpg") if path.stem not in MASKS_ONLY]
    found = Gathered(images_of(root, paths))
    images = {Path(name).stem: image for name, image in by_name(found.stimuli).items()}
    files = files_below(root, "*.fix")
    if not files:
        raise InputError(f"{root}: has no fixations (fix_data/IMAGE/*.fix)")
    hidden: set[str] = set()
    with progress.task("reading nusef", len(files)) as advance:
        for path in files:
            name = TYPOS.get(path.parent.name, path.parent.name)
            if name in images:
                with reading(path):
                    table = fixation_lines(decoded(path)[0])
                x, y = in_image(table[:, 1], table[:, 2], images[name])
                found.add(images[name], _subject(path), x, y, 1000 * table[:, 0])
            else:
                hidden.add(name)
            advance(1)
    progress.say(
        f"nusef: the tracker's {TRACKER[0]}×{TRACKER[1]} units are put on the screen, and from "
        "there on the images, which were shown as large as possible in its middle"
    )
    if hidden:
        progress.say(
            f"nusef: fixations on {len(hidden)} images that are not public (IAPS) left out"
        )
    return found


def fixation_lines(text: str) -> np.ndarray:
    """Return the fixations of a ``.fix`` file as float64 (n, 3): duration in seconds, x, y.

    Raises
    ------
    ValueError
        If it has no table, or a line has another number of columns.
    """
    _, found, rest = text.partition("COLS=")
    if not found:
        raise ValueError("has no line COLS=")
    lines = rest.partition("[Fix Segment Summary")[0].splitlines()[1:]
    table = []
    for cells in filter(None, map(str.split, lines)):
        if len(cells) != COLUMNS:
            raise ValueError(f"a line has {len(cells)} columns, expected {COLUMNS}")
        table.append([float(cells[place]) for place in (DURATION, X, Y)])
    return np.array(table, dtype=np.float64).reshape(-1, 3)


def in_image(x: np.ndarray, y: np.ndarray, image: Stimulus) -> tuple[np.ndarray, np.ndarray]:
    """Return positions in the tracker's units as pixels of an image.

    The image was scaled to the screen's height and, if then too wide, to its width, and centred.
    """
    scale = min(SCREEN[1] / image.height, SCREEN[0] / image.width)
    shown = image.width * scale, image.height * scale
    positions = []
    for value, tracker, screen, size in zip((x, y), TRACKER, SCREEN, shown, strict=True):
        positions.append((value * screen / tracker - (screen - size) / 2) / scale)
    return positions[0], positions[1]


def _subject(path: Path) -> int:
    """Return the subject's number: the two digits before the name's ``+``."""
    digits = re.search(r"([0-9]{1,2})\+", path.name)
    if digits is None:
        raise InputError(f"{path}: its name has no subject (two digits before +)")
    return int(digits[1])

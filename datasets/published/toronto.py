"""Toronto (Bruce & Tsotsos 2005): binary maps of fixations on 120 photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InputError, reading
from ..progress import Progress
from ..readers.arrays import read_mat
from .gathered import Gathered, file_below, files_below, images_of, in_number

FOLDER = "Original Image Set"


def read_toronto(root: Path, progress: Progress) -> Gathered:
    """Read Toronto: ``origfixdata.mat`` and ``Original Image Set/1.jpg`` …, below a folder.

    Raises
    ------
    InputError
        If files are missing, or the maps are not those of the images.
    """
    path = file_below(root, "origfixdata.mat")
    paths = [one for one in files_below(root, "*.jpg") if one.stem.isdecimal()]
    paths = [one for one in paths if one.parent.name == FOLDER] or paths
    found = Gathered(images_of(root, in_number(root, paths)))
    content = read_mat(path)
    with reading(path):
        maps = list(content["white"])
        if len(maps) != len(found.stimuli):
            raise InputError(f"{path}: {len(maps)} maps of {len(found.stimuli)} images")
        for image, one in zip(found.stimuli, maps, strict=True):
            if one.shape != image.size:
                shape = "×".join(map(str, reversed(one.shape)))
                expected = f"{image.width}×{image.height}"
                raise InputError(f"{path}: {image.file_name} is {expected}, its map {shape}")
            y, x = np.nonzero(one)
            found.add(image, 1, x, y)
    progress.say(
        "toronto: binary maps say neither who looked nor in which order: all count as one subject "
        "(cluster --min-subjects 1); the raw files, not in image pixels, are left out"
    )
    return found

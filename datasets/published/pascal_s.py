"""PASCAL-S (Li et al. 2014): 850 images of Pascal VOC, 12 subjects."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InputError, reading
from ..progress import Progress
from ..readers.arrays import read_hdf5_cells
from .gathered import Gathered, file_below, files_below, images_of, in_number, whole


def read_pascal_s(root: Path, progress: Progress) -> Gathered:
    """Read PASCAL-S: ``pascalFix.mat`` (HDF5) and ``imgs/pascal/1.jpg`` …, below a folder.

    Raises
    ------
    InputError
        If files are missing, or there is not one cell for each image.
    """
    path = file_below(root, "pascalFix.mat")
    paths = [one for one in files_below(root, "*.jpg") if one.stem.isdecimal()]
    paths = [one for one in paths if one.parts[-3:-1] == ("imgs", "pascal")] or paths
    found = Gathered(images_of(root, in_number(root, paths)))
    cells = read_hdf5_cells(path, "fixCell")
    with reading(path):
        if len(cells) != len(found.stimuli):
            raise InputError(f"{path}: {len(cells)} cells, but {len(found.stimuli)} images")
        for number, (image, cell) in enumerate(zip(found.stimuli, cells, strict=True), start=1):
            if cell.size == 0:
                continue
            if cell.ndim != 2 or len(cell) != 3:
                raise InputError(f"{path}: cell {number} has not the columns y, x, subject")
            y, x = cell[:2].astype(np.float64)
            found.add(image, whole(cell[2], "subject"), x - 1, y - 1)
    progress.say("pascal-s: columns are (y, x, subject), 1-based; there are no durations")
    return found

"""Koehler et al. (2014): three tasks on 800 photographs; free viewing is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InputError, reading
from ..progress import Progress
from ..readers.arrays import read_mat
from .gathered import Gathered, file_below, files_below, images_of, in_number


def read_koehler(root: Path, progress: Progress) -> Gathered:
    """Read free viewing: ``ObserverData.mat`` and ``image_r_1.jpg`` …, below a folder.

    Raises
    ------
    InputError
        If files are missing, or the file is not Koehler's.
    """
    path = file_below(root, "ObserverData.mat")
    found = Gathered(images_of(root, in_number(root, files_below(root, "image_r_*.jpg"))))
    content = read_mat(path)
    with reading(path):
        x, y = (np.asarray(content[f"freeview_{axis}"], dtype=np.float64) for axis in "xy")
        if x.ndim != 3 or x.shape != y.shape or x.shape[1] != len(found.stimuli):
            shape = "×".join(map(str, x.shape))
            raise InputError(
                f"{path}: freeview_x is {shape}, expected subjects × {len(found.stimuli)} images × "
                "fixations"
            )
        for k, image in enumerate(found.stimuli):
            for subject in range(len(x)):
                real = ~np.isnan(x[subject, k])  # rows are filled up with NaN
                found.add(image, subject + 1, x[subject, k][real] - 1, y[subject, k][real] - 1)
    progress.say("koehler: free viewing; object search and saliency search are left out")
    return found

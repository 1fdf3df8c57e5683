"""CAT2000 (Borji & Itti 2015): 20 categories of images; the training images have fixations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, reading
from ..progress import Progress
from ..readers.arrays import read_mat_map
from ..stimuli import Stimulus
from .gathered import Gathered, file_below, files_below, images_of, natural, structs


def read_cat2000(root: Path, progress: Progress) -> Gathered:
    """Read CAT2000: ``allFixData.mat`` and, beside it, ``Stimuli/CATEGORY/*.jpg``.

    Raises
    ------
    InputError
        If files are missing, or the map does not have one key for each image.
    """
    path = file_below(root, "allFixData.mat")
    folder = path.parent / "Stimuli"
    paths = [
        one
        for one in files_below(folder if folder.is_dir() else path.parent, "*.jpg")
        if "output" not in (part.lower() for part in one.relative_to(root).parts)
    ]
    found = Gathered(images_of(root, paths))
    content = read_mat_map(path, "allData")
    with reading(path):
        padding = repeats = 0
        pairs, by = _paired(list(content), found, path)
        for key, image in pairs:
            for trial in structs(content[key]):
                points = np.asarray(trial["data"], dtype=np.float64)
                points = points.reshape(-1, points.shape[-1])[:, :2] if points.size else points
                points = points.reshape(-1, 2)
                real = points[np.isfinite(points).all(axis=1)]
                padding += len(points) - len(real)
                new = np.ones(len(real), dtype=bool)
                new[1:] = (real[1:] != real[:-1]).any(axis=1)
                repeats += int((~new).sum())
                found.add(image, _subject(trial["name"]), *(real[new] - 1).T)
    progress.say(
        f"cat2000: {repeats} repeats of the same point and {padding} rows of padding left out; "
        "positions 1-based"
    )
    progress.say(f"cat2000: the fixations' keys belong to the images by {by}")
    return found


def _paired(keys: list[str], found: Gathered, path: Path) -> tuple[list[tuple[str, Stimulus]], str]:
    """Return each key with its image, by names where all say it, else by order; and by which."""
    if len(keys) != len(found.stimuli):
        raise InputError(f"{path}: {len(keys)} keys, but {len(found.stimuli)} images")
    names = {_plain("/".join(image.file_name.split("/")[-2:])): image for image in found.stimuli}
    if {_plain(key) for key in keys} == set(names):
        return [(key, names[_plain(key)]) for key in keys], "name"
    return list(zip(sorted(keys, key=natural), found.stimuli, strict=True)), "order"


def _plain(name: str) -> str:
    """Return a name without case, signs and suffix: ``Action/001.jpg`` as ``action001``."""
    return re.sub(r"[\W_]+", "", re.sub(r"\.\w+$", "", name)).lower()


def _subject(name: Any) -> str:
    """Return who looked, the third part of ``1-Action-abc.eye``."""
    parts = str(name).partition(".eye")[0].split("-")
    if len(parts) != 3:
        raise ValueError(f"{name!r:.60}: expected a name such as 1-2-abc.eye")
    return parts[2]

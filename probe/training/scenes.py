"""Which scene each stimulus shows: labels from a table or from folders."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

from ...datasets.errors import InputError
from ...datasets.stimuli import IMAGE_SUFFIXES, Stimuli
from .split import read_labels

NO_SCENE = "no scene"
"""A label that is no scene; stimuli that have it are not used."""


def read_scenes(source: Path, stimuli: Stimuli, min_images: int = 50) -> dict[int, str]:
    """Read the scenes of stimuli.

    Parameters
    ----------
    source : Path
        A table ``image, scene`` (CSV), or a folder that has a folder for each scene, with the
        images of that scene (links or empty files of the same names will do).
    stimuli : Stimuli
        Those that are not labelled are left out.
    min_images : int
        Scenes with fewer stimuli are left out, and `NO_SCENE` (section 3: 50).

    Returns
    -------
    dict
        From a stimulus's id to its scene.

    Raises
    ------
    InputError
        If a label is of no stimulus, or fewer than two scenes are left.
    """
    labels = (
        _from_folders(source, stimuli) if source.is_dir() else read_labels(source, stimuli, "scene")
    )
    counts = Counter(labels.values())
    kept = {scene for scene, count in counts.items() if count >= min_images and scene != NO_SCENE}
    if len(kept) < 2:
        raise InputError(
            f"{source}: {len(kept)} scenes have {min_images} images or more, 2 are needed "
            "(--min-images)"
        )
    return {number: scene for number, scene in labels.items() if scene in kept}


def _from_folders(folder: Path, stimuli: Stimuli) -> dict[int, str]:
    ids = {PurePosixPath(stimulus.file_name).name: stimulus.id for stimulus in stimuli}
    scenes: dict[int, str] = {}
    for path in sorted(folder.glob("*/*")):
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        number = ids.get(path.name)
        if number is None:
            raise InputError(f"{path}: is not among the stimuli in {stimuli.root}")
        if number in scenes:
            raise InputError(f"{path}: is also in {scenes[number]!r}")
        scenes[number] = path.parent.name
    if not scenes:
        raise InputError(f"{folder}: no folders of images; expected one for each scene")
    return scenes

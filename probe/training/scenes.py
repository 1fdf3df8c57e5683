"""Scene labels of stimuli, read from a table or from folders."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

from ...datasets.errors import InputError
from ...datasets.stimuli import IMAGE_SUFFIXES, Stimuli
from .split import read_labels

NO_SCENE = "no scene"
"""Label of stimuli that show no scene; they are not used."""


def read_scenes(source: Path, stimuli: Stimuli, min_images: int = 50) -> dict[int, str]:
    """Read the scenes of stimuli.

    Parameters
    ----------
    source : Path
        A table ``image, scene`` (CSV), or a folder with one folder per scene that holds its
        images (links or empty files with the same names are enough).
    stimuli : Stimuli
        Unlabelled stimuli are left out.
    min_images : int
        Scenes with fewer stimuli, and `NO_SCENE`, are left out (section 3: 50).

    Returns
    -------
    dict
        From a stimulus's id to its scene.

    Raises
    ------
    InputError
        If a label names no stimulus, or fewer than two scenes are left.
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

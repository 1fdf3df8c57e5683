"""The stimuli and fixations of a mask set as files of pysaliency's."""

from __future__ import annotations

from pathlib import Path

from ...datasets.errors import InputError
from ...datasets.gaze.pysaliency.files import FIXATIONS
from ...datasets.gaze.pysaliency.write import write_pysaliency
from ...datasets.masks.mask_set import MaskSet
from ...datasets.sources.load import fixations_of
from ...datasets.stimuli import Stimuli
from ..regions.draft import Draft


def recognises(source: Path) -> bool:
    """Return whether a path is a folder of pysaliency's files."""
    return (source / FIXATIONS).is_file()


def read(source: Path, root: Path | None = None) -> Draft:
    """Refuse: there are no regions in them.

    Raises
    ------
    InputError
    """
    del root
    raise InputError(
        f"{source}: pysaliency's files hold fixations and no regions; --fixations reads them"
    )


def write(masks: MaskSet, target: Path, root: Path | None = None) -> list[str]:
    """Write the stimuli and the fixations.

    Raises
    ------
    InputError
        If there are no fixations, an image is missing, or a file cannot be written.
    """
    if root is None:
        raise InputError("pysaliency's files name the images: --root names their folder")
    gaze = fixations_of(masks, root)
    said = write_pysaliency(target, Stimuli(root, tuple(masks.images)), gaze)
    return ["the regions and their categories", *said]

"""What the mouse points at: regions and fixations below a cell of the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...datasets.fixations import Fixations
from ...datasets.masks.annotation import Annotation
from ...datasets.masks.regions import mask_of
from ...datasets.stimuli import Stimulus
from ..frame.drawing import Box


def regions_at(regions: Sequence[Annotation], stimulus: Stimulus, cell: Box) -> list[int]:
    """Return the ids of the regions below a cell's centre, or else of those it touches.

    Parameters
    ----------
    regions : sequence of Annotation
        Of one stimulus.
    stimulus : Stimulus
    cell : Box
        In the stimulus's pixels.

    Returns
    -------
    list of int
        The smallest region first, as it may lie on a larger one.
    """
    left, top, right, bottom = (int(value) for value in cell)
    below, touched = [], []
    for region in sorted(regions, key=lambda region: region.area):
        mask = mask_of(region, stimulus)
        if mask[(top + bottom) // 2, (left + right) // 2]:
            below.append(region.id)
        elif mask[top : bottom + 1, left : right + 1].any():
            touched.append(region.id)
    return below or touched


def fixation_at(fixations: Fixations, cell: Box) -> int | None:
    """Return the place of the fixation nearest to a cell's centre, of those within a cell of it."""
    left, top, right, bottom = cell
    x = (fixations.x + 0.5 - (left + right) / 2) / (right - left)
    y = (fixations.y + 0.5 - (top + bottom) / 2) / (bottom - top)
    near = np.maximum(abs(x), abs(y))
    return int(near.argmin()) if len(near) and near.min() <= 1 else None


def described(fixations: Fixations, place: int) -> str:
    """Return whose a fixation of a stimulus is, which of theirs, and how long it was."""
    subject, duration = fixations.subject[place], fixations.duration_ms[place]
    own = fixations.subject == subject
    text = f"subject {subject}, fixation {own[: place + 1].sum()} of {own.sum()}"
    return text if np.isnan(duration) else f"{text}, {duration:.0f} ms"

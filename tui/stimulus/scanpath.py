"""Scanpaths: whose fixations follow one another, when each began, drawn with lines between."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from ...datasets.fixations import Fixations
from ..frame.drawing import Box
from ..frame.picture import Mark

USUAL_MS = 250.0
"""How long a fixation of unknown duration lasts in a replay."""

# ColorBrewer's "Set2", light enough to be seen on photographs.
_COLOURS = (
    *((102, 194, 165), (252, 141, 98), (141, 160, 203), (231, 138, 195)),
    *((166, 216, 84), (255, 217, 47), (229, 196, 148), (179, 179, 179)),
)


def ordinals(fixations: Fixations) -> np.ndarray:
    """Return of each fixation of a stimulus which of its subject's it is, from 1."""
    numbers = np.zeros(len(fixations), dtype=np.int64)
    for subject in np.unique(fixations.subject):
        own = fixations.subject == subject
        numbers[own] = np.arange(own.sum()) + 1
    return numbers


def onsets(fixations: Fixations) -> np.ndarray:
    """Return when each fixation of a stimulus begins in a replay, in ms.

    All subjects begin at once; saccades take no time, as data sets do not say how long they were.
    """
    lasts = np.where(np.isnan(fixations.duration_ms), USUAL_MS, fixations.duration_ms)
    begins = np.zeros(len(fixations))
    for subject in np.unique(fixations.subject):
        own = fixations.subject == subject
        begins[own] = np.cumsum(lasts[own]) - lasts[own]
    return begins


def told(fixations: Fixations, subject: object | None) -> str:
    """Return how many fixations there are, and how long they are together where that is known."""
    who = f"all {len(np.unique(fixations.subject))} subjects"
    if subject is not None:
        who = f"subject {subject}"
    text = f"{who}: {len(fixations)} fixations"
    whole = fixations.duration_ms.sum()
    return text if np.isnan(whole) else f"{text}, {whole / 1000:.1f} s"


def trace(picture: Image.Image, fixations: Fixations, colours: np.ndarray, box: Box) -> Image.Image:
    """Draw scanpaths on a picture: lines, and circles with an area in proportion to the duration.

    Parameters
    ----------
    picture : Image
        Shows ``box``; is left as it is.
    fixations : Fixations
    colours : uint8 array, shape (n, 3)
        Of each fixation.
    box : Box
        In the stimulus's pixels.
    """
    shown = picture.copy()
    pen, unit = ImageDraw.Draw(shown), min(shown.size) / 40
    edge = "#000000" if unit > 3 else None  # half cells have no room for one
    width = max(1, round(unit / 3))
    points = _places(fixations, box) * shown.size
    lasts = np.where(np.isnan(fixations.duration_ms), USUAL_MS, fixations.duration_ms)
    for subject in np.unique(fixations.subject):
        own = fixations.subject == subject
        colour = tuple(colours[own][0].tolist())
        if own.sum() > 1:
            pen.line([tuple(point) for point in points[own]], fill=colour, width=width)
        for point, last in zip(points[own], lasts[own], strict=True):
            reach = unit * np.sqrt(last / USUAL_MS)
            pen.ellipse([*(point - reach), *(point + reach)], outline=edge, fill=colour)
    return shown


def marks(fixations: Fixations, numbers: np.ndarray, colours: np.ndarray, box: Box) -> list[Mark]:
    """Return the fixations' numbers, each where it lies, of those inside the box.

    Parameters
    ----------
    fixations : Fixations
    numbers : int array, shape (n,)
    colours : uint8 array, shape (n, 3)
    box : Box
        In the stimulus's pixels.
    """
    rows = zip(_places(fixations, box).tolist(), numbers, colours.tolist(), strict=True)
    return [
        Mark(x, y, str(number), (red, green, blue))
        for (x, y), number, (red, green, blue) in rows
        if 0 <= x < 1 and 0 <= y < 1
    ]


def colours_of(fixations: Fixations) -> np.ndarray:
    """Return each fixation's colour, its subject's: uint8, shape (n, 3)."""
    _, place = np.unique(fixations.subject, return_inverse=True)
    return np.array(_COLOURS, dtype=np.uint8)[place % len(_COLOURS)]


def _places(fixations: Fixations, box: Box) -> np.ndarray:
    left, top, right, bottom = box
    points = np.stack([fixations.x, fixations.y], axis=1) + 0.5
    return (points - (left, top)) / (right - left, bottom - top)

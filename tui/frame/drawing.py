"""Drawing a stimulus with its regions and fixations at the size that a terminal shows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain

import numpy as np
from PIL import Image, ImageDraw

from ...datasets.categories import COLOURS, UNLABELLED
from ...datasets.fixations import Fixations
from ...datasets.masks.annotation import Annotation
from ...datasets.masks.regions import mask_of
from ...datasets.stimuli import Stimulus

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in the stimulus's pixels."""


def draw(
    picture: Image.Image,
    stimulus: Stimulus,
    regions: Sequence[Annotation],
    category: Callable[[Annotation], str],
    selected: Collection[int],
    size: tuple[int, int],
    fixations: Fixations | None = None,
    box: Box | None = None,
) -> Image.Image:
    """Draw a stimulus with outlines: those of selected regions in white, others in their colours.

    Parameters
    ----------
    picture : Image
        The stimulus's image.
    stimulus : Stimulus
    regions : sequence of Annotation
    category : callable
        From a region to its category's name.
    selected : collection of int
        Ids of regions.
    size : (width, height)
        Size of the result in pixels.
    fixations : Fixations, optional
        Drawn as dots.
    box : Box, optional
        Part of the stimulus to show; by default all of it.
    """
    left, top, right, bottom = box or (0, 0, stimulus.width, stimulus.height)
    shown = picture.resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom))
    scale = np.array([size[0] / (right - left), size[1] / (bottom - top)])
    pen, thick = ImageDraw.Draw(shown), max(1, round(min(size) / 160))
    if fixations is not None:
        for x, y in zip(fixations.x, fixations.y, strict=True):
            centre = (np.array([x, y]) + 0.5 - (left, top)) * scale
            if thick == 1:
                pen.point([*centre], fill="#ffff66")
            else:
                pen.ellipse([*(centre - thick), *(centre + thick)], fill="#ffff66")
    for region, ring in _placed(regions, stimulus, selected, (left, top), scale):
        chosen = region.id in selected
        colour = "#ffffff" if chosen else COLOURS.get(category(region), COLOURS[UNLABELLED])
        wide = thick + (chosen and thick > 1)
        if chosen or thick > 1:  # seen on white and on grey; half cells have room for one of these
            pen.line(ring, fill="#000000", width=wide + 2)
        pen.line(ring, fill=colour, width=wide)
    return shown


def framed(picture: Image.Image, frame: Box, box: Box) -> Image.Image:
    """Draw a frame on a picture that shows a box, both in the stimulus's pixels."""
    left, top, right, bottom = box
    scale = picture.width / (right - left), picture.height / (bottom - top)
    corners = (np.reshape(frame, (2, 2)) - (left, top)) * scale
    shown = picture.copy()
    ImageDraw.Draw(shown).rectangle([*corners.ravel()], outline="#ffffff")
    return shown


def warm(picture: Image.Image, saliency: np.ndarray) -> Image.Image:
    """Overlay a greyed picture with a map, whose peaks are bright yellow.

    Parameters
    ----------
    picture : Image
    saliency : float array, shape (h, w)
        Resized to the picture (bilinear), and scaled from its minimum to its maximum.
    """
    from matplotlib import colormaps

    reach = np.ptp(saliency)
    scaled = (saliency - saliency.min()) / reach if reach > 0 else np.zeros_like(saliency)
    whole = Image.fromarray((scaled * 255).astype(np.uint8)).resize(
        picture.size, Image.Resampling.BILINEAR
    )
    strength = np.asarray(whole, dtype=np.float64)[..., None] / 255
    colours = colormaps["inferno"](strength[..., 0])[..., :3] * 255
    grey = np.asarray(picture.convert("L"), dtype=np.float64)[..., None] * 0.8
    opacity = 0.15 + 0.7 * strength
    return Image.fromarray((grey * (1 - opacity) + colours * opacity).astype(np.uint8))


def around(region: Annotation, stimulus: Stimulus) -> Box:
    """Return a box around a region, with a margin and the stimulus's proportions."""
    points = np.concatenate(_rings(region, stimulus)).reshape(-1, 2)
    centre, reach = (points.min(0) + points.max(0)) / 2, np.ptp(points, axis=0)
    whole = np.array([stimulus.width, stimulus.height], dtype=float)
    half = whole * min(1.0, 1.6 * float((reach / whole).max())) / 2
    centre = np.clip(centre, half, whole - half)
    return (*map(float, centre - half), *map(float, centre + half))  # type: ignore[return-value]


def _placed(
    regions: Sequence[Annotation],
    stimulus: Stimulus,
    selected: Collection[int],
    corner: tuple[float, float],
    scale: np.ndarray,
) -> Iterator[tuple[Annotation, list[float]]]:
    """Yield regions with their closed outlines (x, y, x, y …) on a picture, selected ones last.

    All are scaled at once, as an image may have thousands.
    """
    order = sorted(regions, key=lambda region: region.id in selected)
    rings = [(region, ring) for region in order for ring in _rings(region, stimulus)]
    if not rings:
        return
    lengths = [len(ring) for _, ring in rings]
    points = np.fromiter(chain.from_iterable(ring for _, ring in rings), float, sum(lengths))
    placed = ((points.reshape(-1, 2) - corner) * scale).ravel().tolist()
    end = 0
    for (region, _), length in zip(rings, lengths, strict=True):
        start, end = end, end + length
        yield region, placed[start:end] + placed[start : start + 2]


def _rings(region: Annotation, stimulus: Stimulus) -> list[list[float]]:
    """Return a region's outlines (x, y, x, y …), those of a mask's holes too."""
    if isinstance(region.segmentation, list):
        return region.segmentation
    import cv2

    mask = mask_of(region, stimulus).astype(np.uint8)
    rings, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [(ring[:, 0] + 0.5).ravel().tolist() for ring in rings] or [[0.0, 0.0]]

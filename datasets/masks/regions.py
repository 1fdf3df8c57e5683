"""From a region's outline to its mask, and from the mask to the fixations inside."""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as coco

from ..fixations import Fixations
from ..stimuli import Stimulus
from .annotation import RLE, Annotation


def encoded(annotation: Annotation, image: Stimulus) -> Any:
    """Return a region's mask as a compressed RLE for pycocotools."""
    outline = annotation.segmentation
    polygons: Any = [outline.model_dump()] if isinstance(outline, RLE) else outline
    if not isinstance(outline, RLE) or isinstance(outline.counts, list):
        polygons = coco.frPyObjects(polygons, image.height, image.width)
    return coco.merge(polygons)


def mask_of(annotation: Annotation, image: Stimulus) -> np.ndarray:
    """Rasterise a region's outline as pycocotools does.

    Returns
    -------
    bool array, shape (height, width)
        The union of the polygons, or the decoded RLE.
    """
    return coco.decode(encoded(annotation, image)).astype(bool)


def inside(annotation: Annotation, image: Stimulus, fixations: Fixations) -> np.ndarray:
    """Return which of an image's fixations lie inside a region's mask.

    Returns
    -------
    bool array, shape (n,)
    """
    outline = annotation.segmentation
    points = np.empty((0, 2))
    if not isinstance(outline, RLE):
        points = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in outline])
    if (
        isinstance(outline, RLE)
        or (points < 0).any()
        or (points > [image.width, image.height]).any()
    ):
        return mask_of(annotation, image)[fixations.y, fixations.x]
    # Rasterise only the outline's window: moving polygons by whole pixels moves their mask.
    corner = np.floor(points.min(axis=0)).astype(int)
    width, height = np.ceil(points.max(axis=0)).astype(int) - corner + 1
    moved: Any = [(np.reshape(polygon, (-1, 2)) - corner).ravel().tolist() for polygon in outline]
    window = coco.decode(coco.merge(coco.frPyObjects(moved, int(height), int(width))))
    x, y = fixations.x - corner[0], fixations.y - corner[1]
    near = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    near[near] = window[y[near], x[near]].astype(bool)
    return near


def distinct_pixels(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct fixated pixels (x, y): two fixations on one pixel count once."""
    pixels = np.unique(np.stack([y, x], axis=1), axis=0)
    return pixels[:, 1], pixels[:, 0]

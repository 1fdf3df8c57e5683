"""From a region's outline to its mask, and from its mask to the fixations in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as coco

from .fixations import Fixations
from .masks import RLE, Annotation
from .stimuli import Stimulus


def mask_of(annotation: Annotation, image: Stimulus) -> np.ndarray:
    """Rasterise a region's outline as pycocotools does.

    Returns
    -------
    bool array, shape (height, width)
        The union of the polygons, or the decoded RLE.
    """
    outline = annotation.segmentation
    polygons: Any = [outline.model_dump()] if isinstance(outline, RLE) else outline
    if not isinstance(outline, RLE) or isinstance(outline.counts, list):
        polygons = coco.frPyObjects(polygons, image.height, image.width)
    return coco.decode(coco.merge(polygons)).astype(bool)


def inside(annotation: Annotation, image: Stimulus, fixations: Fixations) -> np.ndarray:
    """Tell which of an image's fixations lie inside a region's mask.

    Returns
    -------
    bool array, shape (n,)
    """
    return mask_of(annotation, image)[fixations.y, fixations.x]


def distinct_pixels(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct fixated pixels (x, y): two fixations on one pixel count once."""
    pixels = np.unique(np.stack([y, x], axis=1), axis=0)
    return pixels[:, 1], pixels[:, 0]

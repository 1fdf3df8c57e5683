"""Shapes of regions under review: moved, grown, simplified, cut; drawn anew or found in a box.

A shape is a geometry where the region has polygons and a mask where it has an RLE, and stays so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from ...datasets.errors import InputError
from ...datasets.fixations import Fixations
from ...datasets.masks.annotation import Annotation
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.outlines import (
    Outline,
    outline_of_mask,
    outline_of_shape,
    surface,
    surfaces,
)
from ...datasets.masks.regions import inside, mask_of
from ...datasets.stimuli import Stimulus
from ..regions.cluster import Clustering, regions_of

Shape = BaseGeometry | np.ndarray
"""Surfaces in pixels, or a mask: bool array (height, width)."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in the stimulus's pixels."""


def shape_of(region: Annotation, image: Stimulus) -> Shape:
    """Return a region's shape."""
    if isinstance(region.segmentation, list):
        return surface(region.segmentation)
    return mask_of(region, image)


def shape_of_box(box: Box, image: Stimulus) -> BaseGeometry:
    """Return a box as far as it lies on the image."""
    return surfaces(shapely.intersection(shapely.box(*box), _frame(image)))


def outline_of(shape: Shape, image: Stimulus) -> Outline:
    """Return a shape as a mask file stores it, clipped to the image and rounded to 0.01 pixels.

    Raises
    ------
    InputError
        If less than a pixel is left of it.
    """
    if isinstance(shape, np.ndarray):
        if not shape.any():
            raise InputError("nothing would be left of the outline")
        return outline_of_mask(shape)
    with np.errstate(all="ignore"):  # GEOS leaves floating-point flags set
        clipped = surfaces(shapely.set_precision(shape.intersection(_frame(image)), 0.01))
    if clipped.area < 1:
        raise InputError("nothing would be left of the outline")
    return outline_of_shape(clipped, image.height, image.width)


def bounds(shape: Shape) -> Box:
    """Return the box around a shape."""
    if isinstance(shape, np.ndarray):
        y, x = np.nonzero(shape)
        return float(x.min()), float(y.min()), float(x.max() + 1), float(y.max() + 1)
    return shape.bounds


def moved(shape: Shape, dx: int, dy: int, image: Stimulus) -> Shape:
    """Return a shape moved by whole pixels, or less where it would leave the image."""
    left, top, right, bottom = bounds(shape)
    dx = _within(dx, left, right, image.width)
    dy = _within(dy, top, bottom, image.height)
    if isinstance(shape, np.ndarray):
        return np.roll(shape, (dy, dx), axis=(0, 1))
    return affinity.translate(shape, dx, dy)


def grown(shape: Shape, by: float, image: Stimulus) -> Shape:
    """Return a shape whose edge lies further outside by some pixels; further inside if negative.

    Corners of polygons stay corners.
    """
    if isinstance(shape, np.ndarray):
        from scipy.ndimage import distance_transform_edt as distance

        outside = np.asarray(distance(~shape) if by > 0 else distance(np.pad(shape, 1)))
        return outside <= by if by > 0 else outside[1:-1, 1:-1] > -by
    with np.errstate(all="ignore"):
        wider = shapely.buffer(shape, by, join_style="mitre", mitre_limit=2.0)
        return surfaces(wider.intersection(_frame(image)))


def simplified(shape: Shape, tolerance: float) -> Shape:
    """Return a shape without details smaller than a number of pixels.

    Polygons lose points (Douglas and Peucker), masks their spikes and gaps (opening and closing).
    """
    if isinstance(shape, np.ndarray):
        import cv2

        width = 2 * round(tolerance) + 1
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
        mask = shape.astype(np.uint8)
        for step in (cv2.MORPH_OPEN, cv2.MORPH_CLOSE):
            mask = cv2.morphologyEx(mask, step, disk)
        return mask.astype(bool)
    return surfaces(shapely.simplify(shape, tolerance))


def n_points(shape: Shape) -> int | None:
    """Return how many corners a shape's polygons have; None for a mask."""
    if isinstance(shape, np.ndarray):
        return None
    rings = shapely.get_rings(shapely.get_parts(shape))
    return int(shapely.get_num_points(rings).sum() - len(rings))


def found(box: Box, image: Stimulus, masks: MaskSet, fixations: Fixations | None) -> list[dict]:
    """Cluster the fixations in a box as `cluster` does, with the settings in the file.

    Returns
    -------
    list of dict
        Entries of ``annotations`` without ids, densest first.

    Raises
    ------
    InputError
        If there are no fixations, the file does not say how many pixels a degree has, or no
        cluster has enough fixations.
    """
    if fixations is None:
        raise InputError("there are no fixations to cluster; --fixations names a table of them")
    known = masks.info.salprobe
    if known.px_per_degree is None:
        raise InputError("the file does not say how many pixels a degree has (px_per_degree)")
    settings = _clustering((known.model_extra or {}).get("clustering", {}))
    left, top, right, bottom = box
    looked = fixations.of(image.id)
    x, y = looked.x + 0.5, looked.y + 0.5
    looked = looked.where((left <= x) & (x <= right) & (top <= y) & (y <= bottom))
    regions = regions_of(image, looked, known.px_per_degree, settings) if len(looked) else []
    if not regions:
        raise InputError(
            f"the box has {len(looked)} fixations, and no cluster of {settings.min_fixations} "
            f"by {settings.min_subjects} subjects"
        )
    return regions


def united(first: Shape, second: Shape, image: Stimulus) -> Shape:
    """Return what two shapes of an image cover together; a mask if either is one."""
    if not isinstance(first, np.ndarray) and not isinstance(second, np.ndarray):
        with np.errstate(all="ignore"):
            return surfaces(shapely.union(first, second))
    return _mask(first, image) | _mask(second, image)


def halves(region: Annotation, image: Stimulus, fixations: Fixations | None) -> list[Shape]:
    """Cut a region in two, between two groups of its fixations.

    k-means finds the groups; the cut is equally far from both centres.

    Raises
    ------
    InputError
        If it has fixations on fewer than two pixels, or the cut does not leave two parts.
    """
    shape, centres = shape_of(region, image), _centres(region, image, fixations)
    parts = []
    for nearer in (centres, centres[::-1]):
        half = _half(nearer, image)
        if isinstance(shape, np.ndarray):
            y, x = np.nonzero(shape)
            kept = shapely.contains_xy(half, x + 0.5, y + 0.5)
            part = np.zeros_like(shape)
            part[y[kept], x[kept]] = True
            area = part.sum()
        else:
            part = shapely.intersection(shape, half)
            area = part.area
        if area < 1:
            raise InputError("this region cannot be cut into two parts")
        parts.append(part)
    return parts


def _centres(region: Annotation, image: Stimulus, fixations: Fixations | None) -> np.ndarray:
    from sklearn.cluster import KMeans

    if fixations is None:
        raise InputError("a region cannot be split without fixations")
    looked = fixations.of(image.id)
    looked = looked.where(inside(region, image, looked))
    points = np.stack([looked.x, looked.y], axis=1) + 0.5
    if len(np.unique(points, axis=0)) < 2:
        raise InputError("this region has too few fixations to split it")
    return KMeans(2, random_state=0).fit(points).cluster_centers_


def _half(centres: np.ndarray, image: Stimulus) -> shapely.Polygon:
    """Return the half-plane nearer to the first centre, as a polygon that covers the image."""
    a, b = centres
    middle, along = (a + b) / 2, (b - a) / np.hypot(*(b - a))
    across = np.array([-along[1], along[0]])
    reach = 4 * (image.width + image.height)
    corners = [
        middle + reach * across,
        middle - reach * across,
        middle - reach * (across + along),
        middle + reach * (across - along),
    ]
    return shapely.Polygon(corners)


def _mask(shape: Shape, image: Stimulus) -> np.ndarray:
    if isinstance(shape, np.ndarray):
        return shape
    keys = outline_of_shape(shape, image.height, image.width).to_coco()
    entry = {"id": 1, "image_id": image.id, "category_id": 1, **keys}
    return mask_of(Annotation.model_validate(entry), image)


def _clustering(recorded: Any) -> Clustering:
    try:
        return Clustering(**recorded)
    except TypeError as error:
        raise InputError(f"info.salprobe.clustering: not understood: {recorded!r:.80}") from error


def _frame(image: Stimulus) -> shapely.Polygon:
    return shapely.box(0, 0, image.width, image.height)


def _within(step: int, low: float, high: float, limit: int) -> int:
    """Return a step shortened so that low and high stay between 0 and a limit."""
    return int(np.clip(step, min(0, -np.floor(low)), max(0, limit - np.ceil(high))))

"""A region's outline as COCO stores it: segmentation, box and area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from pycocotools import mask as coco
from shapely.geometry.base import BaseGeometry


@dataclass(frozen=True)
class Outline:
    """A region's shape as a mask file stores it.

    Attributes
    ----------
    segmentation : list of list of float, or dict
        Polygons (x, y, x, y … in pixels), or a compressed RLE (``size, counts``).
    bbox : list of float
        Left, top, width, height in pixels.
    area : float
        Square pixels.
    """

    segmentation: list[list[float]] | dict[str, Any]
    bbox: list[float]
    area: float

    def to_coco(self) -> dict[str, Any]:
        """Return the keys of a COCO annotation."""
        return {"segmentation": self.segmentation, "bbox": self.bbox, "area": self.area}


def outline_of_polygons(polygons: Sequence[Sequence[float]]) -> Outline:
    """Return the outline of polygons (x, y, x, y … in pixels), which stay unchanged.

    The area is that of their union.
    """
    points = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in polygons])
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return Outline(
        segmentation=[[float(value) for value in polygon] for polygon in polygons],
        bbox=[round(float(value), 2) for value in (left, top, right - left, bottom - top)],
        area=round(float(surface(polygons).area), 2),
    )


def outline_of_mask(mask: np.ndarray) -> Outline:
    """Return the outline of a mask, bool array (height, width), as a compressed RLE.

    Holes are kept; the area is the number of pixels.
    """
    rle: Any = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return Outline(
        segmentation={"size": list(mask.shape), "counts": rle["counts"].decode("ascii")},
        bbox=[float(value) for value in coco.toBbox(rle)],
        area=float(coco.area(rle)),
    )


def outline_of_shape(shape: BaseGeometry, height: int, width: int) -> Outline:
    """Return the outline of a shape in pixels, rounded to 0.01.

    A shape with holes becomes an RLE, because COCO's polygons cannot have holes.
    """
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, shapely.Polygon)]
    outer = [_coordinates(part.exterior) for part in parts]
    holes = [_coordinates(hole) for part in parts for hole in part.interiors]
    if holes:
        return outline_of_mask(_filled(outer, height, width) & ~_filled(holes, height, width))
    left, top, right, bottom = shapely.MultiPolygon(parts).bounds
    return Outline(
        segmentation=outer,
        bbox=[round(value, 2) for value in (left, top, right - left, bottom - top)],
        area=round(sum(part.area for part in parts), 2),
    )


def surface(polygons: Sequence[Sequence[float]]) -> BaseGeometry:
    """Return the union of polygons as a valid shape, rounded to 0.01 pixels."""
    # Rounded first: GEOS fails on points that almost touch a line.
    rings = [shapely.Polygon(np.round(np.reshape(polygon, (-1, 2)), 2)) for polygon in polygons]
    with np.errstate(all="ignore"):  # GEOS leaves floating-point flags set
        return shapely.union_all([surfaces(ring) for ring in rings])


def surfaces(shape: BaseGeometry) -> BaseGeometry:
    """Return the valid surfaces of a shape, without the lines and points left by repairing it."""
    parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(shape)))
    return shapely.union_all([part for part in parts if isinstance(part, shapely.Polygon)])


def _coordinates(ring: Any) -> list[float]:
    return np.round(ring.coords[:-1], 2).ravel().tolist()


def _filled(polygons: Any, height: int, width: int) -> np.ndarray:
    return coco.decode(coco.merge(coco.frPyObjects(polygons, height, width))).astype(bool)

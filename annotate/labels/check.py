"""Everything wrong or suspicious in a mask file, and the repair of what can be repaired."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import shapely
from pycocotools import mask as coco

from ...datasets.categories import UNLABELLED
from ...datasets.errors import InputError
from ...datasets.fixations import Fixations
from ...datasets.masks.annotation import RLE, Annotation
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.outlines import outline_of_shape, surface, surfaces
from ...datasets.masks.regions import encoded, inside
from ...datasets.stimuli import Stimuli, Stimulus, image_size

OVERLAP = 0.5
"""IoU above which two regions of an image are suspicious."""


@dataclass(frozen=True)
class Problem:
    """A problem in a mask file.

    Attributes
    ----------
    severity : "error" or "warning"
        An error makes the file unusable; a warning is for a person to judge.
    kind : str
        One word, for filtering.
    place, text : str
    """

    severity: Literal["error", "warning"]
    kind: str
    place: str
    text: str


def suspicions(masks: MaskSet, fixations: Fixations | None) -> Iterator[Problem]:
    """Yield what is suspicious in a consistent mask set.

    That is: outlines that leave their image or intersect themselves, areas and boxes that do not
    fit the outline, empty masks, regions without fixations, strong overlaps, unlabelled regions.
    """
    place = {region.id: f"annotations[{i}]" for i, region in enumerate(masks.annotations)}
    names = masks.category_of()
    for region in masks.annotations:
        for kind, text in _of_outline(region, masks.image(region.image_id)):
            yield Problem("warning", kind, place[region.id], text)
        if names[region.category_id] == UNLABELLED:
            yield Problem("warning", "unlabelled", place[region.id], "has no category yet")
    for image_id, regions in masks.by_image().items():
        image = masks.image(image_id)
        if fixations is not None:
            looked = fixations.of(image_id)
            for region in regions:
                if not inside(region, image, looked).any():
                    text = "has no fixation inside, and so no score"
                    yield Problem("warning", "no-fixations", place[region.id], text)
        shapes: Any = [encoded(region, image) for region in regions]
        shared = np.triu(coco.iou(shapes, shapes, [0] * len(shapes)), 1)
        for first, second in zip(*np.nonzero(shared > OVERLAP), strict=True):
            where = f"{place[regions[first].id]} and {place[regions[second].id]}"
            text = f"overlap by {shared[first, second]:.0%} of their union"
            yield Problem("warning", "overlap", where, text)


def image_problems(stimuli: Stimuli) -> Iterator[Problem]:
    """Yield images that are missing, broken, or differ in size from the mask file."""
    for index, image in enumerate(stimuli):
        place = f"images[{index}]"
        try:
            height, width = image_size(stimuli.path(image))
        except InputError as error:
            yield Problem("error", "image", place, str(error))
            continue
        if (height, width) != image.size:
            expected = f"{image.width}×{image.height}"
            text = f"{image.file_name} is {width}×{height}, the mask file says {expected}"
            yield Problem("error", "image", place, text)


def repair(masks: MaskSet) -> tuple[MaskSet, int]:
    """Repair outlines: untangle them, clip them to their image, recompute areas and boxes.

    Returns
    -------
    MaskSet
        Regions of which nothing would be left stay unchanged.
    int
        Number of regions that changed. A repaired outline with holes becomes an RLE, because
        COCO's polygons cannot have holes.
    """
    content = masks.to_dict()
    changed = 0
    for region, entry in zip(masks.annotations, content["annotations"], strict=True):
        image = masks.image(region.image_id)
        if isinstance(region.segmentation, RLE) or not list(_of_outline(region, image)):
            continue
        frame = shapely.box(0, 0, image.width, image.height)
        with np.errstate(all="ignore"):  # GEOS leaves floating-point flags set
            shape = surfaces(shapely.intersection(surface(region.segmentation), frame))
            shape = surfaces(shapely.set_precision(shape, 0.01))
        if shape.area == 0:
            continue
        entry.update(outline_of_shape(shape, image.height, image.width).to_coco())
        changed += 1
    return MaskSet.from_dict(content), changed


def _of_outline(region: Annotation, image: Stimulus) -> Iterator[tuple[str, str]]:
    outline = region.segmentation
    if isinstance(outline, RLE):
        if coco.area(encoded(region, image)) == 0:
            yield "empty", "the mask holds no pixel"
        return
    points = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in outline])
    if (points < 0).any() or (points > [image.width, image.height]).any():
        yield "outside", "the outline leaves its image"
    crossing = [not shapely.Polygon(np.reshape(polygon, (-1, 2))).is_valid for polygon in outline]
    if any(crossing):
        yield "self-intersection", "the outline crosses or touches itself"
        return
    shape = surface(outline)
    if coco.area(encoded(region, image)) == 0:
        yield "empty", "the mask holds no pixel"
    elif abs(shape.area - region.area) > 1 + 0.01 * shape.area:
        yield "area", f"area is {region.area:g}, the outline's {shape.area:g}"
    left, top, right, bottom = shape.bounds
    box = (left, top, right - left, bottom - top)
    if len(region.bbox) != 4 or not np.allclose(region.bbox, box, atol=1):
        yield "bbox", f"bbox is {region.bbox}, the outline's {[round(value, 1) for value in box]}"

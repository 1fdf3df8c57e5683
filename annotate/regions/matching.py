"""Which regions of several files are the same: matched by overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pycocotools import mask as coco

from ...datasets.masks.annotation import Annotation
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.regions import encoded
from .draft import Region, same_outline


def match(
    first: Sequence[Annotation], second: Sequence[Annotation], image: Any, min_iou: float
) -> list[tuple[int, int, float]]:
    """Pair two files' regions of an image so that the sum of IoUs is largest.

    Parameters
    ----------
    first, second : sequence of Annotation
    image : Stimulus
    min_iou : float
        Smallest intersection over union of a pair.

    Returns
    -------
    list of (index in first, index in second, IoU)
        Only pairs of at least ``min_iou``.
    """
    from scipy.optimize import linear_sum_assignment

    if not first or not second:
        return []
    first_masks: Any = [encoded(region, image) for region in first]
    second_masks: Any = [encoded(region, image) for region in second]
    overlap = np.asarray(coco.iou(first_masks, second_masks, [0] * len(second)))
    overlap[overlap < min_iou] = 0  # otherwise two small overlaps could outweigh a large one
    pairs = zip(*linear_sum_assignment(overlap, maximize=True), strict=True)
    return [(int(i), int(j), float(overlap[i, j])) for i, j in pairs if overlap[i, j] > 0]


def grouped(
    files: Sequence[Sequence[Annotation]], image: Any, min_iou: float
) -> list[dict[int, Annotation]]:
    """Group several files' regions of an image: each is the same region in some of the files.

    Parameters
    ----------
    files : sequence of sequences of Annotation
        Each file's regions are matched with the groups so far, each known by its first file's.
    image : Stimulus
    min_iou : float

    Returns
    -------
    list of dict
        From the index of a file to its region.
    """
    groups: list[dict[int, Annotation]] = []
    for index, drawn in enumerate(files):
        known = [group[min(group)] for group in groups]
        partner = {j: i for i, j, _ in match(known, drawn, image, min_iou)}
        for j, region in enumerate(drawn):
            if j in partner:
                groups[partner[j]][index] = region
            else:
                groups.append({index: region})
    return groups


def identified(regions: Sequence[Region], base: MaskSet, min_iou: float = 0.5) -> list[Region]:
    """Give regions from another program the ids of a mask set's regions that they overlap.

    A region keeps its own id if the mask set's region of that id overlaps by ``min_iou``. The
    others get the id of the region that they overlap most, by `match`. What is left keeps its id
    only where it still touches that region, else none.

    Parameters
    ----------
    regions : sequence of Region
    base : MaskSet
    min_iou : float
        Smallest intersection over union at which regions count as the same.
    """
    result = list(regions)
    images = {image.file_name: image for image in base.images}
    of_image = base.by_image()
    for name in dict.fromkeys(region.file_name for region in regions):
        image = images.get(name)
        if image is None:
            continue
        places = [place for place, region in enumerate(regions) if region.file_name == name]
        try:
            drawn = [_annotation(regions[place], image.id) for place in places]
            free = {region.id: region for region in of_image.get(image.id, [])}
            overlap = {
                place: _iou(one, free[number], image)
                for place, one in zip(places, drawn, strict=True)
                if (number := regions[place].id) in free
            }
        except ValueError:  # another size, for example: `revise` names the place
            continue
        open_places = []
        for place, one in zip(places, drawn, strict=True):
            own = free.get(regions[place].id or 0)
            if own is not None and (
                overlap.get(place, 0) >= min_iou
                or same_outline(own, regions[place].outline, image)  # that covers no pixel
            ):
                del free[own.id]
            else:
                open_places.append((place, one))
        known = list(free.values())
        pairs = match([one for _, one in open_places], known, image, min_iou)
        found = {open_places[i][0]: known[j].id for i, j, _ in pairs}
        left = free.keys() - found.values()
        for place, _ in open_places:
            number = regions[place].id
            if place not in found and (number not in left or not overlap.get(place)):
                number = None
            result[place] = replace(regions[place], id=found.get(place, number))
    return result


def _annotation(region: Region, image_id: int) -> Annotation:
    outline = region.outline.segmentation
    return Annotation(id=1, image_id=image_id, category_id=1, segmentation=outline)  # type: ignore[arg-type]


def _iou(first: Annotation, second: Annotation, image: Any) -> float:
    one, other = encoded(first, image), encoded(second, image)
    return float(np.asarray(coco.iou([one], [other], [0]))[0, 0])

"""Which regions of several files are the same: matched by overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco

from ...datasets.masks.annotation import Annotation
from ...datasets.masks.regions import encoded


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

"""Merging several annotators' mask sets, and splitting a mask set into several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from ...datasets.categories import UNLABELLED, ids_with
from ...datasets.errors import InputError
from ...datasets.masks.mask_set import MaskSet
from ..choices import Rule
from ..regions.matching import grouped


@dataclass(frozen=True, eq=False)
class Merged:
    """Result of `merge`.

    Attributes
    ----------
    masks : MaskSet
    disputed : int
        Number of regions to which the files give different categories.
    dropped : int
        Number of regions left out because too few files have them.
    """

    masks: MaskSet
    disputed: int
    dropped: int


def merge(files: Sequence[MaskSet], rule: Rule = "majority", min_iou: float = 0.5) -> Merged:
    """Merge mask sets of the same images.

    Regions of an image that overlap by ``min_iou`` become one region, with the outline of the
    first file that has it.

    Parameters
    ----------
    files : sequence of MaskSet
        Images are matched by file name; those of the first file are kept, with its fixations.
    rule : "majority" or "first"
        ``majority`` keeps regions that at least half of the files have, with the category that
        most of them give; a tie goes to the earlier file, and the region is marked
        ``unsure``. ``first`` keeps all regions, with the category of the first file that
        labels them.
    min_iou : float
        Smallest intersection over union at which regions count as the same.

    Returns
    -------
    Merged
        Each region has ``votes``: how many files give it each category.

    Raises
    ------
    InputError
        If fewer than two files are given, the rule is unknown, a file has a category that the
        first lacks, or an image differs in size.

    Examples
    --------
    >>> import salprobe as sp
    >>> second = sp.load_masks("osie-sr-second")
    >>> merged = sp.merge([second, second])
    >>> merged.disputed, merged.dropped
    (0, 0)
    """
    if len(files) < 2:
        raise InputError("merging needs two mask files or more")
    if rule not in get_args(Rule):
        raise InputError(f"rule {rule!r}: expected {', '.join(get_args(Rule))}")
    base = files[0]
    content = base.to_dict()
    present = {category.name for masks in files for category in masks.categories}
    ids = ids_with(content["categories"], *present & {UNLABELLED})
    for masks in files[1:]:
        strange = [name for name in masks.category_names() if name not in ids]
        if strange:
            raise InputError(f"category {strange[0]!r} is not in the first mask file")
    names = [masks.category_of() for masks in files]
    images = [{image.file_name: image for image in masks.images} for masks in files]
    regions = [masks.by_image() for masks in files]
    annotations: list[dict] = []
    disputed = dropped = 0
    for image in base.images:
        holders = [k for k, known in enumerate(images) if image.file_name in known]
        if any(images[k][image.file_name].size != image.size for k in holders):
            raise InputError(f"{image.file_name} has different sizes in the mask files")
        drawn = [
            regions[k].get(known[image.file_name].id, []) if k in holders else []
            for k, known in enumerate(images)
        ]
        for group in grouped(drawn, image, min_iou):
            if rule == "majority" and 2 * len(group) < len(holders):
                dropped += 1
                continue
            votes = Counter(
                name
                for k, region in sorted(group.items())
                if (name := names[k][region.category_id]) != UNLABELLED
            )
            first = min(group)
            entry = group[first].model_dump(exclude_unset=True)
            entry |= {"id": len(annotations) + 1, "image_id": image.id, "votes": dict(votes)}
            entry["category_id"] = ids[names[first][group[first].category_id]]
            if votes:
                ranked = votes.most_common()  # ties in file order
                category = next(iter(votes)) if rule == "first" else ranked[0][0]
                entry |= {"category_id": ids[category], "label_source": "merge"}
                if rule == "majority" and len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
                    entry["unsure"] = True
                disputed += len(votes) > 1
            annotations.append(entry)
    content["annotations"] = annotations
    return Merged(MaskSet.from_dict(content), disputed, dropped)


def split_by_category(masks: MaskSet) -> dict[str, MaskSet]:
    """Return a mask set for each category that has regions, with the images that show it."""
    parts = {}
    for category in masks.categories:
        regions = [region for region in masks.annotations if region.category_id == category.id]
        if regions:
            chosen = {region.id for region in regions}
            parts[category.name] = masks.subset({region.image_id for region in regions}, chosen)
    return parts


def split_by_image(
    masks: MaskSet, shares: Mapping[str, float], seed: int = 0
) -> dict[str, MaskSet]:
    """Split images into parts so that each part gets its share of every category's regions.

    Parameters
    ----------
    masks : MaskSet
    shares : mapping
        From part names to positive numbers, which need not add up to 1.
    seed : int
        Seed for assigning images to parts.

    Raises
    ------
    InputError
        If there are fewer than two parts, a share is not positive, or there are fewer images than
        parts.

    References
    ----------
    Sechidis, Tsoumakas & Vlahavas, "On the stratification of multi-label data", ECML PKDD 2011.
    """
    if len(shares) < 2 or not all(share > 0 for share in shares.values()):
        raise InputError("a split needs two parts or more, each with a share above 0")
    if len(masks.images) < len(shares):
        raise InputError(f"{len(masks.images)} images cannot be split into {len(shares)} parts")
    names = list(shares)
    share = np.array([shares[name] for name in names])
    share = share / share.sum()
    column = {category.id: k for k, category in enumerate(masks.categories)}
    row = {image.id: k for k, image in enumerate(masks.images)}
    counts = np.zeros((len(row), len(column)))
    for region in masks.annotations:
        counts[row[region.image_id], column[region.category_id]] += 1
    wanted = share[:, None] * counts.sum(axis=0)
    room = share * len(row)
    rng = np.random.default_rng(seed)
    part = np.full(len(row), -1)
    while (part < 0).any():
        left = (counts * (part < 0)[:, None]).sum(axis=0)
        # The rarest category first, while it can still be spread evenly.
        rarest = int(np.where(left > 0, left, np.inf).argmin()) if left.any() else None
        open_images = part < 0 if rarest is None else (part < 0) & (counts[:, rarest] > 0)
        for image in rng.permutation(np.flatnonzero(open_images)):
            need = room if rarest is None else wanted[:, rarest]
            best = int(np.lexsort((rng.random(len(names)), room, need))[-1])
            part[image] = best
            wanted[best] -= counts[image]
            room[best] -= 1
    everything = {region.id for region in masks.annotations}
    chosen = [{number for number, k in row.items() if part[k] == p} for p in range(len(names))]
    return {
        name: masks.subset(image_ids, everything)
        for name, image_ids in zip(names, chosen, strict=True)
    }

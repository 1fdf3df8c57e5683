"""Carrying labels over from one mask set to another on the same images."""

from __future__ import annotations

import numpy as np

from ...datasets.categories import UNLABELLED
from ...datasets.errors import InputError
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.regions import mask_of


def transfer_labels(masks: MaskSet, labelled: MaskSet, source: str) -> MaskSet:
    """Give each unlabelled region the category that covers at least half of its mask.

    Parameters
    ----------
    masks : MaskSet
        Its unlabelled regions may get a category; all else stays unchanged.
    labelled : MaskSet
        Images are matched by file name.
    source : str
        Written to ``label_source`` of each region that gets a category.

    Returns
    -------
    MaskSet

    Raises
    ------
    InputError
        If the two share no image, an image differs in size, or ``labelled`` has a category that
        ``masks`` lacks.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> dataset = sp.load_dataset("sample")
    >>> regions = sp.cluster(dataset)
    >>> labelled = sp.transfer_labels(regions, sp.load_masks("sample/masks.json"), "by hand")
    >>> {region.label_source for region in labelled.annotations} - {None}
    {'by hand'}
    """
    ids = {category.name: category.id for category in masks.categories}
    strange = [name for name in labelled.category_names() if name not in ids]
    if strange:
        raise InputError(f"{source}: category {strange[0]!r} is not among the 12")
    names = labelled.category_of()
    images = {image.file_name: image for image in labelled.images}
    if not any(image.file_name in images for image in masks.images):
        raise InputError(f"{source}: labels none of these images")
    known = labelled.by_image()
    categories: dict[int, str] = {}
    for image_id, regions in masks.by_image().items():
        image = masks.image(image_id)
        theirs = images.get(image.file_name)
        if theirs is None:
            continue
        if theirs.size != image.size:
            raise InputError(
                f"{source}: {image.file_name} is {theirs.width}×{theirs.height} there, "
                f"{image.width}×{image.height} here"
            )
        cover: dict[str, np.ndarray] = {}
        for annotation in known.get(theirs.id, []):
            name = names[annotation.category_id]
            if name != UNLABELLED:
                mask = mask_of(annotation, theirs)
                cover[name] = cover[name] | mask if name in cover else mask
        for region in regions:
            if region.category_id != ids.get(UNLABELLED) or not cover:
                continue
            mask = mask_of(region, image)
            shares = {name: (mask & covered).sum() for name, covered in cover.items()}
            best = max(shares, key=lambda name: shares[name])
            if 2 * shares[best] >= mask.sum() > 0:
                categories[region.id] = best
    content = masks.to_dict()
    if labelled.info.annotator is not None:
        content["info"]["annotator"] = labelled.info.annotator
    for annotation in content["annotations"]:
        if annotation["id"] in categories:
            annotation["category_id"] = ids[categories[annotation["id"]]]
            annotation["label_source"] = source
    return MaskSet.from_dict(content)

"""Plain COCO, as other programs write it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ...datasets.categories import UNLABELLED
from ...datasets.errors import InputError
from ...datasets.files import atomic_write, read_json
from ...datasets.masks.annotation import RLE
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.outlines import outline_of_mask, outline_of_polygons
from ...datasets.masks.regions import mask_of
from ..regions.draft import Draft, Region

OURS = ("id", "image_id", "category_id", "segmentation", "bbox", "area")


def recognises(source: Path) -> bool:
    """Return whether a path is a COCO file."""
    if source.suffix.lower() != ".json" or not source.is_file():
        return False
    content = read_json(source)
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def read(source: Path, root: Path | None = None) -> Draft:
    """Read a COCO file, tolerating what other programs omit or write differently.

    Category ids may start at 0; areas and boxes are recomputed. Annotations without an outline
    (only a box), and polygons of fewer than three points, count as lost.

    Raises
    ------
    InputError
        If it is malformed in any other way; the message names the place.
    """
    del root
    content: Any = read_json(source)
    if not recognises(source):
        raise InputError(f"{source}: not a COCO file (images, annotations, categories)")
    draft = Draft("coco")
    cleaned, draft.lost = _cleaned(source, content)
    masks = MaskSet.from_dict(cleaned, str(source))
    names = masks.category_of()
    draft.images = {image.file_name: image for image in masks.images}
    for region in masks.annotations:
        image = masks.image(region.image_id)
        if isinstance(region.segmentation, RLE):
            outline = outline_of_mask(mask_of(region, image))
        else:
            outline = outline_of_polygons(region.segmentation)
        keys = region.model_dump(exclude_unset=True, exclude=set(OURS))
        category = names[region.category_id]
        draft.regions.append(Region(image.file_name, category, outline, region.id, keys))
    draft.categories = [
        category.name for category in sorted(masks.categories, key=lambda category: category.id)
    ]
    return draft


def write(masks: MaskSet, target: Path, root: Path | None = None) -> list[str]:
    """Write a COCO file without our own keys; an unused ``unlabelled`` is left out.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    del root
    content = masks.to_dict()
    content.pop("fixations", None)
    content["info"] = {k: v for k, v in content.get("info", {}).items() if k != "salprobe"}
    used = {region.category_id for region in masks.annotations}
    content["categories"] = [
        entry
        for entry in content["categories"]
        if entry["name"] != UNLABELLED or entry["id"] in used
    ]
    with atomic_write(target) as file:
        file.write(json.dumps(content, ensure_ascii=False).encode())
    return ["the fixations and the origin of the regions"]


def _cleaned(source: Path, content: dict) -> tuple[dict, Counter[str]]:
    """Return content that a mask set can be built from, and what had to be left out."""
    lost: Counter[str] = Counter()
    content = {key: content[key] for key in ("images", "annotations", "categories")}
    for key, entries in content.items():
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise InputError(f"{source}: {key}: expected a list of objects")
    annotations = []
    for entry in content["annotations"]:
        outline = entry.get("segmentation")
        if isinstance(outline, list) and all(isinstance(part, list) for part in outline):
            kept = [part for part in outline if len(part) >= 6]
            if len(kept) < len(outline):
                lost["a polygon of fewer than three points"] += len(outline) - len(kept)
            outline = kept
        if not outline:
            lost["an annotation without an outline"] += 1
            continue
        annotations.append({**entry, "segmentation": outline, "bbox": [], "area": 0.0})
    content["annotations"] = annotations
    if any(entry.get("id") == 0 for entry in content["categories"]):
        content["categories"] = [_shifted(entry, "id") for entry in content["categories"]]
        content["annotations"] = [_shifted(entry, "category_id") for entry in annotations]
    return content, lost


def _shifted(entry: dict, key: str) -> dict:
    number = entry.get(key)
    return {**entry, key: number + 1} if type(number) is int else entry

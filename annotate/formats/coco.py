"""Plain COCO, as other programs write it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ...datasets.categories import UNLABELLED
from ...datasets.errors import InputError
from ...datasets.files import atomic_write, read_json
from ...datasets.masks.annotation import RLE
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.outlines import outline_of_mask, outline_of_polygons
from ...datasets.masks.regions import mask_of
from ...datasets.stimuli import Stimuli, Stimulus, image_size
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

    Ids may start at 0, or be texts; areas and boxes are recomputed. Sizes that are missing are
    those of the image files, others must be the same; absolute paths become names below ``root``.
    Annotations without an outline (only a box), and polygons of fewer than three points, count as
    lost; so does Roboflow's category that stands for all others.

    Parameters
    ----------
    source : Path
    root : Path, optional
        Folder of the images.

    Raises
    ------
    InputError
        If it is malformed in any other way; the message names the place.
    """
    content: Any = read_json(source)
    if not recognises(source):
        raise InputError(f"{source}: not a COCO file (images, annotations, categories)")
    draft = Draft("coco")
    cleaned, draft.lost = _cleaned(source, content, root)
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


def _cleaned(source: Path, content: dict, root: Path | None) -> tuple[dict, Counter[str]]:
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
    content["images"] = [
        _image(f"{source}: images[{k}]", entry, root) for k, entry in enumerate(content["images"])
    ]
    used = {str(entry.get("category_id")) for entry in annotations}
    above = {entry.get("supercategory") for entry in content["categories"]}
    for entry in list(content["categories"]):
        name = entry.get("name")
        if name in above and str(entry.get("id")) not in used and above <= {name, "none", None}:
            lost[f"the category {name!r:.60}, which stands for all others"] += 1
            content["categories"].remove(entry)
    images = _numbers(f"{source}: images", content["images"], first=0)
    categories = _numbers(f"{source}: categories", content["categories"], first=1)
    regions = _numbers(f"{source}: annotations", annotations, first=1)
    places = {"image": images, "category": categories}
    content["images"] = [_with(entry, "id", images) for entry in content["images"]]
    content["categories"] = [_with(entry, "id", categories) for entry in content["categories"]]
    content["annotations"] = []
    for k, entry in enumerate(annotations):
        for what, known in places.items():
            number = entry.get(f"{what}_id")
            if known and f"{what}_id" in entry and str(number) not in known:
                place = f"{source}: annotations[{k}].{what}_id"
                raise InputError(f"{place}: no {what} has id {number!r:.60}")
            entry = _with(entry, f"{what}_id", known)
        content["annotations"].append(_with(entry, "id", regions))
    return content, lost


def _image(place: str, entry: dict, root: Path | None) -> dict:
    """Return an image's entry with a relative name and its size."""
    name = entry.get("file_name")
    if not isinstance(name, str):
        return entry
    path = PureWindowsPath(name) if "\\" in name or name[1:2] == ":" else PurePosixPath(name)
    if path.is_absolute():
        below = root is not None and Path(name).is_relative_to(root.resolve())
        name = Path(name).relative_to(root.resolve()).as_posix() if root and below else path.name
    elif isinstance(path, PureWindowsPath):
        name = path.as_posix()
    own = entry.get("extra")
    if root is not None and not (root / name).exists() and isinstance(own, dict):
        shown = own.get("name")  # Roboflow renames the pictures
        if (
            isinstance(shown, str)
            and PurePosixPath(shown).name == shown
            and (root / shown).exists()
        ):
            name = shown
    entry = {**entry, "file_name": name}
    known = bool(entry.get("width") and entry.get("height"))
    if known and (root is None or not (root / name).is_file()):
        return entry
    if root is None:
        raise InputError(f"{place}: {name!r:.80} has no size: --root names the images' folder")
    stimulus = Stimulus(id=0, file_name=name, width=1, height=1)
    height, width = image_size(Stimuli(root, (stimulus,)).path(stimulus))
    if known and (entry["width"], entry["height"]) != (width, height):
        raise InputError(  # Roboflow exports resized copies, and EXIF turns pictures
            f"{place}: {name!r:.80} is {entry['width']}×{entry['height']} here, the picture in "
            f"{root} {width}×{height}: its outlines would be elsewhere"
        )
    return {**entry, "width": width, "height": height}


def _numbers(place: str, entries: list[dict], first: int) -> dict[str, int]:
    """Return a whole number for each id, as it is if it can be, by the id as text."""
    ids = [entry.get("id") for entry in entries]
    if any(not isinstance(one, int | str) or isinstance(one, bool) for one in ids):
        return {}  # a mask set refuses it, with its place
    whole = [one for one in ids if isinstance(one, int)]
    shift = max(0, first - min(whole, default=first))
    named = len(whole) < len(ids)
    numbers = range(1, len(ids) + 1) if named else [one + shift for one in whole]
    found = dict(zip(map(str, ids), numbers, strict=True))
    if len(found) < len(ids):
        counts = Counter(map(str, ids))
        again = next(one for one in ids if counts[str(one)] > 1)
        raise InputError(f"{place}: id {again!r:.60} occurs twice")
    return found


def _with(entry: dict, key: str, numbers: dict[str, int]) -> dict:
    """Return an entry with another number for an id, if it has one."""
    number = numbers.get(str(entry.get(key)))
    return entry if number is None else {**entry, key: number}

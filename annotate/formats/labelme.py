"""labelme's folders: a JSON file for each image.

A region of several parts becomes several shapes with the same label and ``group_id``; a region
with holes becomes a shape of type ``mask``. What labelme cannot hold goes into keys named
``salprobe``, which labelme preserves.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...datasets.errors import InputError
from ...datasets.files import atomic_write, check_relative, read_json
from ...datasets.masks.annotation import RLE, Annotation
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.regions import mask_of
from ...datasets.stimuli import Stimuli, image_size, read_values
from ..regions.draft import Draft, Region, polygon_at, united

OURS = ("id", "image_id", "category_id", "segmentation", "bbox", "area")


def recognises(source: Path) -> bool:
    """Return whether a path is a labelme file or a folder of them."""
    first = next(_files(source), None)
    if first is None:
        return False
    content = read_json(first)
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def read(source: Path, root: Path | None = None) -> Draft:
    """Read a labelme file, or all labelme files of a folder.

    Parameters
    ----------
    source : Path
    root : Path, optional
        Folder of the images; by default they are next to their labelme files.

    Raises
    ------
    InputError
        If anything is malformed; the message names the file and the place in it.
    """
    draft = Draft("labelme")
    for path in _files(source):
        content = read_json(path)
        if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
            raise InputError(f"{path}: not a labelme file (no shapes)")
        _read_image(path, content, root or (source if source.is_dir() else path.parent), draft)
    if not draft.images:
        raise InputError(f"{source}: no labelme files (.json)")
    return draft


def write(masks: MaskSet, folder: Path, root: Path | None = None) -> list[str]:
    """Write a folder for labelme, whose files point to the images below ``root``.

    Returns
    -------
    list of str
        What labelme files cannot hold.

    Raises
    ------
    InputError
        If two images would share a file, an image is missing, or a region is empty.
    """
    names = masks.category_of()
    regions = masks.by_image()
    targets: dict[Path, str] = {}
    for image in masks.images:
        target = (folder / image.file_name).with_suffix(".json")
        if target in targets:
            raise InputError(f"{image.file_name} and {targets[target]} would share {target}")
        targets[target] = image.file_name
    stimuli = Stimuli(root, tuple(masks.images)) if root else None
    for image, target in zip(masks.images, targets, strict=True):
        shapes = []
        for region in regions.get(image.id, []):
            keys = region.model_dump(exclude_unset=True, exclude=set(OURS))
            common = {"label": names[region.category_id], "flags": {}, "description": ""}
            common["salprobe"] = {"id": region.id, **keys}
            parts = list(_shapes(region, image))
            group = region.id if len(parts) > 1 else None
            shapes += [{**common, "group_id": group, **part} for part in parts]
        beside = image.file_name.replace("\\", "/").rsplit("/", 1)[-1]
        if stimuli is not None:
            beside = os.path.relpath(stimuli.path(image), target.parent)
        content = {
            "version": "5.5.0",
            "flags": {},
            "shapes": shapes,
            "imagePath": beside,
            "imageData": None,
            "imageHeight": image.height,
            "imageWidth": image.width,
            "salprobe": {"id": image.id, "file_name": image.file_name},
        }
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as file:
            file.write(json.dumps(content, ensure_ascii=False, indent=1).encode())
    return ["the fixations and the origin of the regions"]


def _files(source: Path) -> Iterator[Path]:
    if source.is_dir():
        yield from sorted(source.rglob("*.json"))
    elif source.suffix.lower() == ".json":
        yield source


def _read_image(path: Path, content: dict, root: Path, draft: Draft) -> None:
    ours = content.get("salprobe")
    ours = ours if isinstance(ours, dict) else {}
    name = ours.get("file_name")
    if not isinstance(name, str):
        name = _below(path, content.get("imagePath"), root)
    try:
        check_relative(name)
    except ValueError as error:
        raise InputError(f"{path}: imagePath: {error}") from error
    height, width = content.get("imageHeight"), content.get("imageWidth")
    if width is None or height is None:
        height, width = image_size(root / name)
    number = ours.get("id")
    draft.add_image(str(path), name, height, width, number if isinstance(number, int) else 0)
    groups: dict[Any, list] = {}
    first: dict[Any, dict] = {}
    for index, shape in enumerate(content["shapes"]):
        place = f"{path}: shapes[{index}]"
        if not isinstance(shape, dict) or not isinstance(shape.get("label"), str):
            raise InputError(f"{place}: expected an object with a label")
        part = _part(place, shape, height, width)
        if part is None:
            draft.lost[f"a shape of type {shape.get('shape_type')}, which has no area"] += 1
            continue
        group = shape.get("group_id")
        if not isinstance(group, int | str | None):
            raise InputError(f"{place}.group_id: expected a number, got {group!r:.60}")
        key = (shape["label"], group) if group is not None else index
        groups.setdefault(key, []).append(part)
        first.setdefault(key, shape)
    for key, parts in groups.items():
        shape = first[key]
        keys = shape.get("salprobe")
        keys = (
            {k: v for k, v in keys.items() if k not in OURS[1:]} if isinstance(keys, dict) else {}
        )
        number = keys.pop("id", None)
        number = number if isinstance(number, int) and number > 0 else None
        if shape.get("description"):
            keys["note"] = str(shape["description"])
        outline = united(parts, height, width)
        draft.regions.append(Region(name, shape["label"], outline, number, keys))


def _below(path: Path, image_path: object, root: Path) -> str:
    """Return an image's path relative to the root, however labelme wrote it."""
    if not isinstance(image_path, str) or not image_path:
        raise InputError(f"{path}: imagePath: expected the image's path, got {image_path!r:.60}")
    if "\0" in image_path or "://" in image_path:
        raise InputError(f"{path}: imagePath: {image_path!r:.60} is not a path")
    target = Path(os.path.normpath(path.parent.absolute() / image_path.replace("\\", "/")))
    for folder in (root / "stimuli", root):
        if target.is_relative_to(folder.absolute()):
            return target.relative_to(folder.absolute()).as_posix()
    raise InputError(
        f"{path}: imagePath: {image_path!r:.60} is outside {root} (--root names the images' folder)"
    )


def _part(place: str, shape: dict, height: int, width: int) -> list[float] | np.ndarray | None:
    kind, points = shape.get("shape_type", "polygon"), shape.get("points")
    if kind == "polygon":
        return polygon_at(f"{place}.points", points)
    if kind not in ("rectangle", "circle", "mask"):
        return None
    if not isinstance(points, list) or len(points) != 2:
        raise InputError(f"{place}.points: expected two points of a {kind}")
    x1, y1, x2, y2, *_ = polygon_at(f"{place}.points", [*points, [0, 0]])
    if kind == "rectangle":
        return [x1, y1, x2, y1, x2, y2, x1, y2]
    if kind == "circle":
        radius, turns = math.hypot(x2 - x1, y2 - y1), np.linspace(0, 2 * np.pi, 64, endpoint=False)
        return (
            np.stack([x1 + radius * np.cos(turns), y1 + radius * np.sin(turns)], 1).ravel().tolist()
        )
    try:
        data = io.BytesIO(base64.b64decode(str(shape.get("mask") or ""), validate=True))
    except binascii.Error as error:
        raise InputError(f"{place}.mask: not base64") from error
    window = read_values(data, f"{place}.mask")[0] > 0
    left, top = round(min(x1, x2)), round(min(y1, y2))
    mask = np.zeros((height, width), dtype=bool)
    if left < 0 or top < 0 or left + window.shape[1] > width or top + window.shape[0] > height:
        raise InputError(f"{place}.mask: reaches beyond its image")
    mask[top : top + window.shape[0], left : left + window.shape[1]] = window
    return mask


def _shapes(region: Annotation, image: Any) -> Iterator[dict]:
    outline = region.segmentation
    if not isinstance(outline, RLE):
        for polygon in outline:
            points = np.reshape(polygon, (-1, 2)).tolist()
            yield {"shape_type": "polygon", "points": points, "mask": None}
        return
    mask = mask_of(region, image)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        raise InputError(f"region {region.id} is empty; `annotate check` lists such regions")
    top, bottom, left, right = (int(v) for v in (rows[0], rows[-1], columns[0], columns[-1]))
    window = io.BytesIO()
    Image.fromarray(mask[top : bottom + 1, left : right + 1]).save(window, format="PNG")
    yield {
        "shape_type": "mask",
        "points": [[left, top], [right, bottom]],
        "mask": base64.b64encode(window.getvalue()).decode("ascii"),
    }

"""YOLO's outlines: ``data.yaml`` with the categories, and a text file for each image.

``labels/1001.txt`` has a line for each region: the category's number, then x and y of each corner
as shares of the image's width and height.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import shapely
import yaml

from ...datasets.categories import UNLABELLED
from ...datasets.errors import InputError
from ...datasets.files import atomic_write, read_bytes
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.outlines import outline_of_polygons
from ...datasets.masks.regions import mask_of
from ...datasets.stimuli import IMAGE_SUFFIXES, image_size
from ..regions.draft import Draft, Region, polygon_at

_CATEGORIES, _LABELS = "data.yaml", "labels"
_DIGITS = 7  # 0.01 pixels of the largest image
_MOST_LINES = 100_000  # of one image


def recognises(source: Path) -> bool:
    """Return whether a path is a folder with this layout."""
    return (source / _CATEGORIES).is_file() and any(source.rglob(f"{_LABELS}/**/*.txt"))


def read(source: Path, root: Path | None = None) -> Draft:
    """Read a folder; its images, or those in ``root``, tell the sizes.

    The images of ``train/labels`` or ``labels/train`` may be in ``train/images`` or
    ``images/train``. Lines that are only a box are counted as lost.

    Parameters
    ----------
    source : Path
    root : Path, optional
        Folder of the images.

    Raises
    ------
    InputError
        If a file is malformed, or an image is missing or could be two.
    """
    draft = Draft("yolo")
    names = _categories(source / _CATEGORIES)
    draft.categories = list(dict.fromkeys(names.values()))
    where = root or source
    images: dict[str, list[Path]] = {}
    for path in sorted(where.rglob("*")):
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            images.setdefault(_key(path.relative_to(where)), []).append(path)
    for path in sorted(source.rglob(f"{_LABELS}/**/*.txt")):
        found = images.get(_key(path.relative_to(source)), [])
        if len(found) != 1:
            what = "has no image" if not found else f"may be of {found[0].name} or {found[1].name}"
            raise InputError(f"{path}: {what} in {where} (--root names the images' folder)")
        name = found[0].relative_to(where).as_posix()
        height, width = image_size(found[0])
        draft.add_image(str(path), name, height, width)
        for category, polygon in _lines(path, names, draft.lost):
            corners = np.reshape(polygon, (-1, 2)) * (width, height)
            outline = outline_of_polygons([corners.ravel().tolist()])
            draft.regions.append(Region(name, category, outline))
    return draft


def write(masks: MaskSet, folder: Path, root: Path | None = None) -> list[str]:
    """Write a folder without the images.

    Returns
    -------
    list of str
        What the format cannot hold.

    Raises
    ------
    InputError
        If two images would share a file.
    """
    del root
    names, regions = masks.category_of(), masks.by_image()
    unlabelled = any(names[region.category_id] == UNLABELLED for region in masks.annotations)
    used = [*masks.category_names(), *([UNLABELLED] if unlabelled else [])]
    numbers = {name: number for number, name in enumerate(used)}
    targets: dict[Path, str] = {}
    holes = parts = 0
    for image in masks.images:
        target = folder / _LABELS / PurePosixPath(image.file_name).with_suffix(".txt")
        if target in targets:
            raise InputError(f"{image.file_name} and {targets[target]} would share {target}")
        targets[target] = image.file_name
        lines = []
        for region in regions.get(image.id, []):
            outline = region.segmentation
            if not isinstance(outline, list):
                shape = _pixels(mask_of(region, image))
                rings = [part.exterior for part in shapely.get_parts(shape)]
                holes += sum(len(part.interiors) for part in shapely.get_parts(shape))
                outline = [np.asarray(ring.coords[:-1]).ravel().tolist() for ring in rings]
            parts += len(outline) > 1
            for polygon in outline:
                shares = np.reshape(polygon, (-1, 2)) / (image.width, image.height)
                cells = [f"{share:.{_DIGITS}g}" for share in shares.ravel()]
                lines.append(" ".join([str(numbers[names[region.category_id]]), *cells]))
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as file:
            file.write("".join(f"{line}\n" for line in lines).encode())
    content = {"path": ".", "train": "images", "val": "images", "names": dict(enumerate(used))}
    with atomic_write(folder / _CATEGORIES) as file:
        file.write(yaml.safe_dump(content, allow_unicode=True, sort_keys=False).encode())
    lost = ["the fixations, ids and notes"]
    if parts:
        lost.append(f"that parts belong together: {parts} regions of several parts")
    if holes:
        lost.append(f"{holes} holes, which are filled")
    return lost


def _key(path: Path) -> str:
    """Return what an image and its file of labels share: the path without its folder of either."""
    return "/".join(part for part in path.with_suffix("").parts if part not in (_LABELS, "images"))


def _categories(path: Path) -> dict[int, str]:
    try:
        content: Any = yaml.safe_load(read_bytes(path))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: is no YAML") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(
        type(number) is int and isinstance(name, str) and name.strip()
        for number, name in names.items()
    ):
        raise InputError(f"{path}: names: expected the categories by number")
    return {number: name.strip() for number, name in names.items()}


def _lines(path: Path, names: dict[int, str], lost: Counter[str]) -> list[tuple[str, list[float]]]:
    """Return category and outline of each line."""
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no text in UTF-8") from error
    if len(lines) > _MOST_LINES:
        raise InputError(f"{path}: {len(lines)} lines, more than can be read")
    found = []
    for number, line in enumerate(lines, 1):
        place, cells = f"{path}: line {number}", line.split()
        if not cells:
            continue
        try:
            category, *values = int(cells[0]), *map(float, cells[1:])
        except ValueError as error:
            raise InputError(f"{place}: expected numbers, got {line!r:.60}") from error
        if category not in names:
            raise InputError(f"{place}: category {category} is not in {_CATEGORIES}")
        if len(values) in (4, 5):
            lost["an annotation that is only a box"] += 1
            continue
        if len(values) % 2:
            raise InputError(f"{place}: expected x and y of each corner, got {len(values)} numbers")
        polygon = polygon_at(place, np.reshape(values, (-1, 2)).tolist())
        if min(polygon) < -0.01 or max(polygon) > 1.01:
            raise InputError(f"{place}: expected shares of the image's size, 0 to 1")
        found.append((names[category], np.clip(polygon, 0, 1).tolist()))
    return found


def _pixels(mask: np.ndarray) -> shapely.Geometry:
    """Return the surface of a mask's pixels, exact along their edges."""
    steps = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    (rows, begins), (_, ends) = np.nonzero(steps == 1), np.nonzero(steps == -1)
    return shapely.simplify(shapely.union_all(shapely.box(begins, rows, ends, rows + 1)), 0)

"""The authors' published OSIE-SR: a class map and an instance map for each image.

The layout is that of Pascal VOC, as exported by labelme: ``SegmentationClass/1001.png`` (or
``.npy``) and ``SegmentationObject/1001.png``. Instances cannot overlap. Where ``class_names.txt``
lies beside them, as labelme writes it, the classes are its lines.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ...datasets.categories import CATEGORIES
from ...datasets.errors import InputError
from ...datasets.files import atomic_write, read_bytes
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.outlines import outline_of_mask
from ...datasets.masks.regions import mask_of
from ...datasets.readers.arrays import read_npy
from ...datasets.sources.load import default_root
from ...datasets.sources.osie import OSIE
from ...datasets.stimuli import IMAGE_SUFFIXES, MOST_PIXELS, read_values, voc_palette
from ..regions.draft import Draft, Region

CLASSES = {
    1: "person head",
    10: "person part",
    16: "animal head",
    22: "animal part",
    27: "object",
    37: "text",
    46: "symbol",
    51: "vehicle",
    57: "food",
    63: "plant",
    68: "drink",
    73: "other",
}
"""The semantic values that the authors use."""

_ANNOTATOR = "the authors of OSIE-SR (He et al., CVPR 2019)"
_VOID = 255  # in an 8-bit label image, as in Pascal VOC


def recognises(source: Path) -> bool:
    """Return whether a path is a folder with this layout."""
    return (source / "SegmentationClass").is_dir() and (source / "SegmentationObject").is_dir()


def read(source: Path, root: Path | None = None) -> Draft:
    """Read a folder; each instance becomes a region with an RLE, exact to the pixel.

    Parameters
    ----------
    source : Path
    root : Path, optional
        Folder of the images, for their file names. Without it, and without OSIE in its default
        folder, names end in ``.jpg``.

    Raises
    ------
    InputError
        If a map is missing, cannot be read, differs in size or holds an unknown class.
    """
    draft = Draft("osie-sr")
    classes, instances = _maps(source / "SegmentationClass"), _maps(source / "SegmentationObject")
    if not classes:
        raise InputError(f"{source / 'SegmentationClass'}: no maps (.png, .npy)")
    for stem in classes.keys() ^ instances.keys():
        folder = "SegmentationObject" if stem in classes else "SegmentationClass"
        raise InputError(f"{source / folder}: no map of {stem}")
    named = _named_classes(source)
    is_osie = named is None and all(
        stem.isdigit() and 1001 <= int(stem) <= 1700 for stem in classes
    )
    if is_osie:
        draft.dataset, draft.annotator = OSIE.name, _ANNOTATOR
    root = root or (default_root(OSIE.name) if is_osie else None)
    names = _image_names(root) if root else {}
    for stem in classes:
        class_map, instance_map = _read_map(classes[stem]), _read_map(instances[stem])
        if class_map.shape != instance_map.shape:
            raise InputError(
                f"{instances[stem]}: {instance_map.shape[1]}×{instance_map.shape[0]} pixels, "
                f"the map of classes has {class_map.shape[1]}×{class_map.shape[0]}"
            )
        height, width = class_map.shape
        name = names.get(stem, f"{stem}.jpg")
        draft.add_image(str(classes[stem]), name, height, width)
        strange = set(np.unique(class_map).tolist()) - {0, *(named or CLASSES)}
        if strange:
            known = ", ".join(map(str, named or CLASSES))
            raise InputError(
                f"{classes[stem]}: class {min(strange)} is unknown; expected {known} or 0"
            )
        for number in np.unique(instance_map[instance_map > 0]):
            mask = instance_map == number
            values, counts = np.unique(class_map[mask & (class_map > 0)], return_counts=True)
            if not len(values):
                draft.lost["an instance without a class"] += 1
                continue
            if len(values) > 1:
                draft.lost["the rarer class of an instance with two or more"] += 1
            category = (named or CLASSES)[int(values[counts.argmax()])]
            draft.regions.append(Region(name, category, outline_of_mask(mask)))
        if ((class_map > 0) & (instance_map <= 0)).any():
            draft.lost["pixels with a class that belong to no instance"] += 1
    return draft


def _named_classes(source: Path) -> dict[int, str] | None:
    """Return the classes that a folder of labelme's names, by value; None if it names none."""
    path = source / "class_names.txt"
    if not path.is_file():
        return None
    try:
        names = [line.strip() for line in read_bytes(path).decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no text in UTF-8") from error
    names = [name for name in names if name and name != "__ignore__"]
    if len(names) < 2 or names[0] != "_background_" or len(set(names)) < len(names):
        raise InputError(f"{path}: expected _background_, then each class once")
    return dict(enumerate(names[1:], start=1))


def write(masks: MaskSet, folder: Path, root: Path | None = None) -> list[str]:
    """Write both maps of each image as label images, smaller regions on top of larger ones.

    Returns
    -------
    list of str
        What the format cannot hold.

    Raises
    ------
    InputError
        If a category is not one of the 12, or two images would share a file.
    """
    del root
    values = {name: value for value, name in CLASSES.items()}
    names, regions = masks.category_of(), masks.by_image()
    strange = [name for name in masks.category_names() if name not in CATEGORIES]
    if strange:
        raise InputError(f"category {strange[0]!r} is not among the 12 that OSIE-SR has")
    stems = [Path(image.file_name).stem for image in masks.images]
    if len(set(stems)) < len(stems):
        double = next(stem for stem in stems if stems.count(stem) > 1)
        raise InputError(f"two images are named {double}: they would share a file")
    unlabelled = covered = hidden = 0
    for image, stem in zip(masks.images, stems, strict=True):
        class_map = np.zeros((image.height, image.width), dtype=np.uint8)
        instance_map = np.zeros((image.height, image.width), dtype=np.uint16)
        shapes = []
        for region in regions.get(image.id, []):
            if names[region.category_id] in values:
                shapes.append((mask_of(region, image), values[names[region.category_id]]))
            else:
                unlabelled += 1
        shapes.sort(key=lambda shape: -shape[0].sum())
        for number, (mask, value) in enumerate(shapes, start=1):
            covered += int((instance_map[mask] > 0).sum())
            class_map[mask], instance_map[mask] = value, number
        hidden += len(shapes) - len(np.unique(instance_map[instance_map > 0]))
        _write_map(folder / "SegmentationClass" / f"{stem}.png", class_map)
        _write_map(folder / "SegmentationObject" / f"{stem}.png", instance_map)
    lost = ["the fixations, ids and outlines (masks are kept to the pixel)"]
    if unlabelled:
        lost.append(f"{unlabelled} unlabelled regions")
    if covered:
        lost.append(f"{covered} pixels where regions overlap (they go to the smaller region)")
    if hidden:
        lost.append(f"{hidden} regions that are empty or entirely covered by others")
    return lost


def _maps(folder: Path) -> dict[str, Path]:
    """Return the maps of a folder by stem; ``.npy`` takes precedence over ``.png``."""
    paths = {path.stem: path for path in sorted(folder.glob("*.png"))}
    return paths | {path.stem: path for path in sorted(folder.glob("*.npy"))}


def _read_map(path: Path) -> np.ndarray:
    if path.suffix == ".png":
        values, depth = read_values(path, str(path))
        return np.where(values == _VOID, 0, values) if depth == 8 else values
    values = read_npy(path)
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise InputError(
            f"{path}: expected whole numbers (height, width), got {values.dtype} {values.shape}"
        )
    if values.size > MOST_PIXELS:
        raise InputError(f"{path}: {values.shape[1]}×{values.shape[0]} is more than can be read")
    return np.maximum(values, 0).astype(np.int64)  # -1 is labelme's "ignore"


def _write_map(path: Path, values: np.ndarray) -> None:
    if values.max(initial=0) < _VOID:
        picture = Image.fromarray(values.astype(np.uint8), mode="P")
        picture.putpalette(voc_palette())
    else:
        picture = Image.fromarray(values)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        picture.save(file, format="PNG")


def _image_names(root: Path) -> dict[str, str]:
    names = {}
    for folder in (root, root / "stimuli"):
        if folder.is_dir():
            paths = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
            names |= {path.stem: path.name for path in sorted(paths)}
    return names

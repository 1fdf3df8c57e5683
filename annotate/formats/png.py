"""PNG masks: a folder for each image, holding a black-and-white image for each region.

``masks/1001.jpg/12.person head.png`` is region 12 of ``1001.jpg``. Overlaps, holes and parts are
exact to the pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from ...datasets.errors import InputError
from ...datasets.files import atomic_write, check_part
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.outlines import outline_of_mask
from ...datasets.masks.regions import mask_of
from ...datasets.stimuli import image_size, read_values
from ..regions.draft import Draft, Region


def recognises(source: Path) -> bool:
    """Return whether a path is a folder with this layout."""
    return any(_parts(path.name) for path in _masks(source, "**/*.png"))


def read(source: Path, root: Path | None = None) -> Draft:
    """Read a folder; pixels that are not black belong to the region.

    Parameters
    ----------
    source : Path
    root : Path, optional
        Folder of the images, for the sizes of images without regions.

    Raises
    ------
    InputError
        If a mask cannot be read, is empty, or differs in size from another of its image.
    """
    draft = Draft("png")
    folders = {path.parent for path in _masks(source, "**/*.png")}
    folders |= {path for path in source.glob("**/") if path != source and not any(path.iterdir())}
    for folder in sorted(folders):
        name = folder.relative_to(source).as_posix()
        if name == ".":
            raise InputError(f"{source}: expected a folder for each image, with its masks in it")
        for path in sorted(_masks(folder, "*.png"), key=lambda path: _parts(path.name) or (0, "")):
            parts = _parts(path.name)
            if parts is None:
                raise InputError(f"{path}: expected a name like '12.person head.png'")
            values, _ = read_values(path, str(path))
            height, width = values.shape
            if name not in draft.images:
                draft.add_image(str(path), name, height, width)
            image = draft.images[name]
            if image.size != (height, width):
                raise InputError(
                    f"{path}: {width}×{height} pixels, another mask of its image has "
                    f"{image.width}×{image.height}"
                )
            if not values.any():
                raise InputError(f"{path}: the mask is empty")
            draft.regions.append(Region(name, parts[1], outline_of_mask(values > 0), parts[0]))
        if name not in draft.images:
            if root is None:
                draft.lost["an image without regions, as its size is unknown (--root)"] += 1
            else:
                draft.add_image(str(folder), name, *image_size(root / name))
    if not draft.images:
        raise InputError(f"{source}: no masks (.png)")
    return draft


def write(masks: MaskSet, folder: Path, root: Path | None = None) -> list[str]:
    """Write a folder for each image, with a mask for each region.

    Raises
    ------
    InputError
        If a category's name cannot be part of a file name.
    """
    del root
    names, regions = masks.category_of(), masks.by_image()
    for name in names.values():
        check_part(name, "category")
    for image in masks.images:
        target = folder / image.file_name
        target.mkdir(parents=True, exist_ok=True)
        for region in regions.get(image.id, []):
            path = target / f"{region.id}.{names[region.category_id]}.png"
            with atomic_write(path) as file:
                Image.fromarray(mask_of(region, image)).save(file, format="PNG")
    return ["the fixations and outlines (masks are kept to the pixel)"]


def _masks(folder: Path, pattern: str) -> Iterator[Path]:
    return (path for path in folder.glob(pattern) if path.is_file())  # a folder may be "1.png"


def _parts(name: str) -> tuple[int, str] | None:
    number, _, rest = name.partition(".")
    category = rest.rpartition(".")[0]
    if number.isascii() and number.isdigit() and 0 < len(number) < 16 and category:
        return int(number), category
    return None

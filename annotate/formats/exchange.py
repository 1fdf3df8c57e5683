"""Importing and exporting mask sets from and to other programs' files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...datasets.categories import CATEGORIES, UNLABELLED
from ...datasets.errors import InputError, reading
from ...datasets.files import atomic_folder
from ...datasets.masks.mask_set import MaskSet
from ..choices import Format
from ..regions.draft import revise
from ..regions.matching import identified
from .registry import format_named, recognised

FOLDERS = ("labelme", "osie-sr", "png", "pysaliency", "yolo")
"""Formats that are a folder; the others are a file."""


@dataclass(frozen=True)
class Imported:
    """Result of `import_masks`.

    Attributes
    ----------
    masks : MaskSet
    format : Format
    lost : Counter
        What could not be kept, and how often.
    changes : dict of Counter, or None
        What changed on each image, if a mask set was revised.
    images : int
        Number of images in the source.
    """

    masks: MaskSet
    format: Format
    lost: Counter[str]
    changes: dict[str, Counter[str]] | None
    images: int


def import_masks(
    source: Path,
    form: Format | None = None,
    root: Path | None = None,
    rename: Mapping[str, str] | None = None,
    like: MaskSet | None = None,
) -> Imported:
    """Read another program's labelled regions.

    Parameters
    ----------
    source : Path
        A file or a folder.
    form : Format, optional
        Detected by default.
    root : Path, optional
        Folder of the images; needed if the source lacks their names or sizes.
    rename : mapping, optional
        From the source's categories to ours.
    like : MaskSet, optional
        The mask set that was exported: its images, fixations, ids and other keys are kept, and
        images that the source lacks stay unchanged. Regions are the same if they overlap; an id
        alone does not make them so.

    Raises
    ------
    InputError
        If the source is malformed, or does not fit ``like``.
    """
    if form is None:
        with reading(source):
            form = recognised(source)
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    with reading(source):
        draft = format_named(form).read(source, root)
    known = {*CATEGORIES, UNLABELLED, *(like.category_of().values() if like else ())}
    for new in {*(rename or {}).values()} - known:
        if new not in {*draft.categories, *(region.category for region in draft.regions)}:
            raise InputError(
                f"no category {new!r} to rename to; there are: {', '.join(sorted(known))}"
            )
    draft.rename(rename or {})
    with reading(source):
        if like is None:
            masks, changes = draft.masks(), None
        else:
            draft.regions = identified(draft.regions, like)
            revision = revise(like, draft)
            masks, changes = revision.masks, revision.changes
    return Imported(masks, form, draft.lost, changes, len(draft.images))


def export_masks(masks: MaskSet, target: Path, form: Format, root: Path | None = None) -> list[str]:
    """Write a mask set as another program's file or folder, completely or not at all.

    Parameters
    ----------
    masks : MaskSet
    target : Path
        File or folder to write.
    form : Format
    root : Path, optional
        Folder of the images, for formats that point to them.

    Returns
    -------
    list of str
        What the format cannot hold.

    Raises
    ------
    InputError
        If the target cannot be written, is a folder that is not empty, or the format cannot hold
        the mask set.
    """
    module = format_named(form)
    if form not in FOLDERS:
        return module.write(masks, target, root)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: exists and is not empty")
    with atomic_folder(target) as made:
        return module.write(masks, made, root)

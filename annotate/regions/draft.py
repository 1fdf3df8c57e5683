"""Regions from other programs, before they become a mask set or revise one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...datasets.categories import CATEGORIES, UNLABELLED, coco_categories, ids_with
from ...datasets.errors import InputError
from ...datasets.fixations import Fixations
from ...datasets.masks.annotation import MOST_POINTS, Annotation
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.outlines import Outline, outline_of_mask, outline_of_polygons
from ...datasets.masks.regions import inside, mask_of
from ...datasets.stimuli import MOST_PIXELS, Stimulus, numbered

SAME = 0.01
"""Pixels by which every point of an outline may move before it counts as reshaped."""


@dataclass(frozen=True)
class Region:
    """A region as another program stores it.

    Attributes
    ----------
    file_name : str
        File name of its image.
    category : str
    outline : Outline
    id : int, optional
        Our annotation id, if the file has it.
    keys : dict
        Other keys of the annotation.
    """

    file_name: str
    category: str
    outline: Outline
    id: int | None = None
    keys: dict[str, Any] = field(default_factory=dict)


@dataclass
class Draft:
    """What the reader of a format collects.

    Attributes
    ----------
    source : str
        Name of the format, for ``source`` and ``label_source``.
    images : dict of Stimulus
        By file name; an id of 0 means that one is still to be assigned.
    regions : list of Region
    lost : Counter
        What could not be kept, and how often.
    categories : list of str
        In file order, if the file defines one.
    dataset, annotator : str, optional
    """

    source: str
    images: dict[str, Stimulus] = field(default_factory=dict)
    regions: list[Region] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    categories: list[str] = field(default_factory=list)
    dataset: str | None = None
    annotator: str | None = None

    def add_image(self, place: str, name: str, height: int, width: int, number: int = 0) -> None:
        """Add an image.

        Parameters
        ----------
        place : str
            Begins error messages.
        name : str
            File name.
        height, width : int
            Pixels.
        number : int
            Id, or 0 to have one assigned.

        Raises
        ------
        InputError
            If it was added before, or its name or size is invalid.
        """
        if name in self.images:
            raise InputError(f"{place}: image {name} occurs twice")
        try:
            image = Stimulus(id=number, file_name=name, width=width, height=height)
        except ValueError as error:
            raise InputError(f"{place}: {_reason(error)}") from error
        if image.width * image.height > MOST_PIXELS:
            raise InputError(f"{place}: {width}×{height} pixels are more than can be read")
        self.images[name] = image

    def rename(self, names: Mapping[str, str]) -> None:
        """Rename categories, given a mapping from old to new names.

        Raises
        ------
        InputError
            If no region has a category that is to be renamed.
        """
        present = {region.category for region in self.regions}
        for old in names:
            if old not in present:
                known = ", ".join(sorted(present)) or "none"
                raise InputError(f"no region has the category {old!r}; there are: {known}")
        self.regions = [
            replace(region, category=names.get(region.category, region.category))
            for region in self.regions
        ]
        self.categories = [names.get(name, name) for name in self.categories]

    def masks(self) -> MaskSet:
        """Build a mask set.

        If any of the 12 categories occurs, the mask set gets these and ``unlabelled``, followed
        by any others; otherwise it gets only the others.

        Raises
        ------
        InputError
            If anything is inconsistent.
        """
        used = [region.category for region in self.regions]
        present = list(dict.fromkeys([*self.categories, *used]))
        categories = coco_categories()
        known = {entry["name"] for entry in categories}
        if present and not set(present) & set(CATEGORIES) and set(present) != {UNLABELLED}:
            categories, known = [], set()
        for name in present:
            if name not in known:
                categories.append({"id": len(categories) + 1, "name": name})
        images = list(self.images.values())
        if len({image.id for image in images} - {0}) != len(images):
            ids = numbered([image.file_name for image in images])
            images = [
                image.model_copy(update={"id": number})
                for image, number in zip(images, ids, strict=True)
            ]
        provenance = {"dataset": self.dataset} if self.dataset else {}
        annotator = {"annotator": self.annotator} if self.annotator else {}
        empty = MaskSet.from_dict(
            {
                "info": {
                    "description": f"Labelled regions from {self.source}",
                    **annotator,
                    "salprobe": {"format": 1, **provenance},
                },
                "images": [image.model_dump(exclude_unset=True) for image in images],
                "annotations": [],
                "categories": categories,
            }
        )
        return revise(empty, self).masks


@dataclass(frozen=True)
class Revision:
    """A revised mask set and what changed.

    Attributes
    ----------
    masks : MaskSet
    changes : dict of Counter
        For each changed image, how many regions were ``added``, ``removed``, ``relabelled`` and
        ``reshaped``.
    """

    masks: MaskSet
    changes: dict[str, Counter[str]]


def revise(
    base: MaskSet, draft: Draft, fixations: Fixations | None = None, **keys: Any
) -> Revision:
    """Replace the regions of the draft's images; other images stay unchanged.

    Regions are matched by id. A region that has not been reshaped keeps its outline to the last
    digit, and all its keys; for new and reshaped regions, fixations are counted again.

    Parameters
    ----------
    base : MaskSet
    draft : Draft
    fixations : Fixations, optional
        Used if ``base`` has none; without any, new and reshaped regions get no counts.
    **keys
        Set on every region that was added, relabelled or reshaped.

    Raises
    ------
    InputError
        If ``base`` lacks an image or a category, or an image differs in size.
    """
    fixations = fixations or base.fixations
    images = {image.file_name: image for image in base.images}
    for name, image in draft.images.items():
        if name not in images:
            raise InputError(f"{draft.source}: image {name} is not in the mask file")
        in_base = images[name]
        if in_base.size != image.size:
            raise InputError(
                f"{draft.source}: {name} has {image.width}×{image.height} pixels, "
                f"{in_base.width}×{in_base.height} in the mask file"
            )
    revised = {images[name].id for name in draft.images}
    content = base.to_dict()
    drawn = {region.category for region in draft.regions}
    categories = ids_with(content["categories"], *drawn & {UNLABELLED})
    known = {
        region.id: (region, entry)
        for region, entry in zip(base.annotations, content["annotations"], strict=True)
        if region.image_id in revised
    }
    taken = {region.id for region in base.annotations}
    highest = max([*taken, *(region.id or 0 for region in draft.regions)], default=0)
    entries: dict[int, list[dict]] = {number: [] for number in revised}
    changes: dict[str, Counter[str]] = {name: Counter() for name in draft.images}
    kept = set()
    for region in draft.regions:
        image = images[region.file_name]
        if region.category not in categories:
            raise InputError(
                f"{draft.source}: {region.file_name}: category {region.category!r} is not in "
                f"the mask file; --rename {region.category!r}=… maps it"
            )
        before, entry = known.get(region.id or 0, (None, {}))
        if before is None or before.image_id != image.id or before.id in kept:
            number = region.id if region.id and region.id not in taken else highest + 1
            highest = max(highest, number)
            taken.add(number)
            entry = {"id": number, "image_id": image.id, "iscrowd": 0, "source": draft.source}
            changes[image.file_name]["added"] += 1
            changed = reshaped = True
        else:
            kept.add(before.id)
            reshaped = not same_outline(before, region.outline, image)
            relabelled = before.category_id != categories[region.category]
            changes[image.file_name]["reshaped"] += reshaped
            changes[image.file_name]["relabelled"] += relabelled
            changed = reshaped or relabelled
            entry = dict(entry)
            if reshaped:
                entry.pop("n_fixations", None)
                entry.pop("n_subjects", None)
        outline = region.outline.to_coco() if reshaped else {}
        entry |= {"category_id": categories[region.category], **outline, **region.keys}
        if changed:
            entry |= keys
            if region.category != UNLABELLED:
                entry["label_source"] = draft.source
                entry.pop("suggestion", None)
        if reshaped and "n_fixations" not in entry and fixations is not None:
            entry |= gaze(entry, image, fixations)
        entries[image.id].append(entry)
    for before, _ in known.values():
        changes[base.image(before.image_id).file_name]["removed"] += before.id not in kept
    # Regions keep their places; new ones come last.
    order = {region.id: place for place, region in enumerate(base.annotations)}
    result = [entry for entry in content["annotations"] if entry["image_id"] not in revised]
    result += [entry for listed in entries.values() for entry in listed]
    result.sort(key=lambda entry: order.get(entry["id"], len(order)))
    content["annotations"] = result
    changed_images = {name: +count for name, count in changes.items() if +count}
    return Revision(MaskSet.from_dict(content, draft.source), changed_images)


def polygon_at(place: str, points: Any) -> list[float]:
    """Return a polygon's points [[x, y], …] as a flat list x, y, x, y, ….

    Raises
    ------
    InputError
        If there are fewer than three points, or one is malformed; the message names the place.
    """
    if not isinstance(points, list) or len(points) < 3:
        count = f"{len(points)} points" if isinstance(points, list) else "no points"
        raise InputError(f"{place}: polygon has {count}, needs 3")
    if len(points) > MOST_POINTS:
        raise InputError(f"{place}: polygon has {len(points)} points, more than {MOST_POINTS}")
    flat: list[float] = []
    for index, point in enumerate(points):
        if not isinstance(point, list | tuple) or len(point) != 2 or not all(map(is_finite, point)):
            raise InputError(f"{place}[{index}]: expected two numbers, got {point!r:.60}")
        flat += map(float, point)
    return flat


def is_finite(value: object) -> bool:
    """Return whether a JSON value is a number in the range of positions."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def same_outline(region: Annotation, outline: Outline, image: Stimulus) -> bool:
    """Return whether a region has an outline: polygons to within `SAME`, masks to the pixel."""
    mine, theirs = region.segmentation, outline.segmentation
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(
            len(a) == len(b) and np.abs(np.subtract(a, b)).max() < SAME
            for a, b in zip(mine, theirs, strict=True)
        )
    compared = Annotation.model_validate({**region.model_dump(), "segmentation": theirs})
    return bool((mask_of(region, image) == mask_of(compared, image)).all())


def united(parts: list[list[float] | np.ndarray], height: int, width: int) -> Outline:
    """Return the outline of parts (polygons or masks): polygons if all are, else a mask."""
    if all(isinstance(part, list) for part in parts):
        return outline_of_polygons(parts)  # type: ignore[arg-type]
    from pycocotools import mask as coco

    whole = np.zeros((height, width), dtype=bool)
    for part in parts:
        if isinstance(part, list):
            polygon: Any = [part]
            part = coco.decode(coco.merge(coco.frPyObjects(polygon, height, width))).astype(bool)
        whole |= part
    return outline_of_mask(whole)


def gaze(entry: dict, image: Stimulus, fixations: Fixations) -> dict:
    """Count the fixations and subjects inside the mask of an entry of ``annotations``.

    Returns
    -------
    dict
        ``n_fixations, n_subjects``.
    """
    # Other keys are validated with the whole file, where the message can name the place.
    keys = ("id", "image_id", "category_id", "segmentation")
    region = Annotation.model_validate({key: entry[key] for key in keys})
    looked = fixations.of(image.id)
    looked = looked.where(inside(region, image, looked))
    return {"n_fixations": len(looked), "n_subjects": len(np.unique(looked.subject))}


def _reason(error: ValueError) -> str:
    problems = getattr(error, "errors", None)
    if problems is None:
        return str(error)
    first = problems()[0]
    return f"{first['loc'][0]}: {first['msg'].removeprefix('Value error, ')}"

"""Regions that come from elsewhere, before they are a mask set or revise one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...datasets.categories import CATEGORIES, UNLABELLED, coco_categories
from ...datasets.errors import InputError
from ...datasets.fixations import Fixations
from ...datasets.masks.annotation import MOST_POINTS, Annotation
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.outlines import Outline, outline_of_mask, outline_of_polygons
from ...datasets.masks.regions import inside, mask_of
from ...datasets.stimuli import MOST_PIXELS, Stimulus, numbered

SAME = 0.01
"""Pixels: an outline whose points have all moved less is the same outline."""


@dataclass(frozen=True)
class Region:
    """One region as another program keeps it.

    Attributes
    ----------
    file_name : str
        Of its image.
    category : str
    outline : Outline
    id : int, optional
        Our annotation id, if the file carries it.
    keys : dict
        Further keys of the annotation.
    """

    file_name: str
    category: str
    outline: Outline
    id: int | None = None
    keys: dict[str, Any] = field(default_factory=dict)


@dataclass
class Draft:
    """What a reader of a format collects.

    Attributes
    ----------
    source : str
        The format, for ``source`` and ``label_source``.
    images : dict of Stimulus
        By file name; an id of 0 is one to be given.
    regions : list of Region
    lost : Counter
        What could not be kept, and how often.
    categories : list of str
        In the file's order, if it has one.
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

        Raises
        ------
        InputError
            If it is there already, or its name or size cannot be.
        """
        if name in self.images:
            raise InputError(f"{place}: image {name} is there twice")
        try:
            image = Stimulus(id=number, file_name=name, width=width, height=height)
        except ValueError as error:
            raise InputError(f"{place}: {_reason(error)}") from error
        if image.width * image.height > MOST_PIXELS:
            raise InputError(f"{place}: {width}×{height} pixels are more than can be read")
        self.images[name] = image

    def rename(self, names: Mapping[str, str]) -> None:
        """Give categories other names.

        Raises
        ------
        InputError
            If there is no category of an old name.
        """
        present = {region.category for region in self.regions}
        for old in names:
            if old not in present:
                known = ", ".join(sorted(present)) or "none"
                raise InputError(f"no region has the category {old!r}; there are: {known}")
        self.regions = [
            replace(one, category=names.get(one.category, one.category)) for one in self.regions
        ]
        self.categories = [names.get(name, name) for name in self.categories]

    def masks(self) -> MaskSet:
        """Build a mask set.

        Its categories are the 12 and ``unlabelled`` if any of the 12 occurs, with others after
        them; else the others alone.
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
            images = [one.model_copy(update={"id": i}) for one, i in zip(images, ids, strict=True)]
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
    """A revised mask set, and what changed.

    Attributes
    ----------
    masks : MaskSet
    changes : dict of Counter
        For each image that changed: how many of its regions were ``added``, ``removed``,
        ``relabelled``, ``reshaped``.
    """

    masks: MaskSet
    changes: dict[str, Counter[str]]


def revise(
    base: MaskSet, draft: Draft, fixations: Fixations | None = None, **keys: Any
) -> Revision:
    """Replace the regions of the draft's images; other images stay as they are.

    Regions are matched by their id. One whose outline has not moved keeps it to the last digit,
    and all its keys; a new or reshaped one gets its fixations counted anew.

    Parameters
    ----------
    fixations : Fixations, optional
        If not in ``base``; without any, new and reshaped regions have no counts.
    keys
        Set on every region that is added, relabelled or reshaped.

    Raises
    ------
    InputError
        If an image or a category is not in ``base``, or a size differs.
    """
    fixations = fixations or base.fixations
    images = {image.file_name: image for image in base.images}
    for name, image in draft.images.items():
        if name not in images:
            raise InputError(f"{draft.source}: image {name} is not in the mask file")
        here = images[name]
        if here.size != image.size:
            raise InputError(
                f"{draft.source}: {name} is {image.width}×{image.height} there, "
                f"{here.width}×{here.height} in the mask file"
            )
    categories = {category.name: category.id for category in base.categories}
    revised = {images[name].id for name in draft.images}
    content = base.to_dict()
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
                f"the mask file; --rename {region.category!r}=… names it anew"
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
    # In their old places; an image's new regions come after its others.
    order = {region.id: place for place, region in enumerate(base.annotations)}
    result = [entry for entry in content["annotations"] if entry["image_id"] not in revised]
    result += [entry for found in entries.values() for entry in found]
    result.sort(key=lambda entry: order.get(entry["id"], len(order)))
    content["annotations"] = result
    changed_images = {name: +count for name, count in changes.items() if +count}
    return Revision(MaskSet.from_dict(content, draft.source), changed_images)


def polygon_at(place: str, points: Any) -> list[float]:
    """Return a polygon's points, [[x, y], …], as one list x, y, x, y.

    Raises
    ------
    InputError
        If they are not at least three finite points, naming the place.
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
    """Tell whether a JSON value is a number, and one that a position can be."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def same_outline(region: Annotation, outline: Outline, image: Stimulus) -> bool:
    """Tell whether an outline is a region's own: polygons to within `SAME`, masks to the pixel."""
    mine, other = region.segmentation, outline.segmentation
    if isinstance(mine, list) and isinstance(other, list):
        return len(mine) == len(other) and all(
            len(a) == len(b) and np.abs(np.subtract(a, b)).max() < SAME
            for a, b in zip(mine, other, strict=True)
        )
    theirs = Annotation.model_validate({**region.model_dump(), "segmentation": other})
    return bool((mask_of(region, image) == mask_of(theirs, image)).all())


def united(parts: list[list[float] | np.ndarray], height: int, width: int) -> Outline:
    """Describe a region of several parts, each a polygon or a mask: polygons, or one mask."""
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
    """Count the fixations inside the mask of an entry of ``annotations``.

    Returns
    -------
    dict
        ``n_fixations, n_subjects``.
    """
    # Its other keys are checked with the whole file, which names the place.
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

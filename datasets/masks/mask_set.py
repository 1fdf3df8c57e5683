"""The mask file: COCO that any COCO viewer loads, plus our own keys (see docs/formats.md)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import (
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails

from ..categories import UNLABELLED, coco_categories
from ..errors import InputError, reading
from ..files import atomic_write, read_json
from ..fixations import Fixations
from ..stimuli import Kept, Stimulus
from ..texts import html_table, printable
from .annotation import (
    FORMAT,
    Annotation,
    Category,
    Info,
)
from .consistency import inconsistencies


class MaskSet(Kept):
    """Salient regions of many stimuli, with their categories and usually the fixations.

    Attributes
    ----------
    info : Info
    images : list of Stimulus
    annotations : list of Annotation
    categories : list of Category
    fixations : Fixations or None

    Raises
    ------
    InputError
        From `read` and `from_dict`, if anything is malformed; the message names the place.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    info: Info = Info()
    images: list[Stimulus]
    annotations: list[Annotation]
    categories: list[Category]
    fixations: (
        Annotated[
            Fixations,
            BeforeValidator(
                lambda value: (
                    value if isinstance(value, Fixations) else Fixations.from_columns(value)
                )
            ),
            PlainSerializer(Fixations.to_columns),
        ]
        | None
    ) = None

    def __repr__(self) -> str:
        return f"MaskSet({printable(self._summary())})"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        names = self.category_of()
        regions = Counter(names[region.category_id] for region in self.annotations)
        pairs = {(names[region.category_id], region.image_id) for region in self.annotations}
        images = Counter(name for name, _ in pairs)
        listed = [*self.category_names(), *([UNLABELLED] if regions[UNLABELLED] else [])]
        rows = [(name, regions[name], images[name]) for name in listed]
        return html_table(self._summary(), ("category", "regions", "images"), rows)

    def _summary(self) -> str:
        name = f"{self.info.salprobe.dataset}: " if self.info.salprobe.dataset else ""
        simulated = ", simulated fixations" if self.info.salprobe.simulated else ""
        return (
            f"{name}{len(self.annotations)} regions on {len(self.images)} images, "
            f"{len(self.category_names())} categories{simulated}"
        )

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> MaskSet:
        if not info.context:  # `diagnose` lists all problems itself
            for problem in self._inconsistencies():
                raise ValueError(problem)
        return self

    def _inconsistencies(self) -> Iterator[str]:
        return inconsistencies(
            self.info, self.images, self.annotations, self.categories, self.fixations
        )

    @classmethod
    def from_dict(cls, content: object, name: str = "masks") -> MaskSet:
        """Build from parsed JSON; ``name`` begins error messages.

        Raises
        ------
        InputError
            If anything is malformed; the message names the place.
        """
        with reading(name):
            try:
                return cls.model_validate(content)
            except ValidationError as error:
                problem = error.errors(include_url=False, include_input=False)[0]
                raise InputError(f"{name}: {_described(problem)}") from error

    @classmethod
    def read(cls, path: str | Path) -> MaskSet:
        """Read a mask file strictly.

        Raises
        ------
        InputError
            If the file cannot be read, or anything in it is malformed.
        """
        return cls.from_dict(read_json(path), str(path))

    @classmethod
    def diagnose(cls, path: str | Path) -> tuple[MaskSet | None, list[str]]:
        """Read a mask file and list everything malformed, instead of stopping at the first problem.

        Returns
        -------
        masks : MaskSet or None
            None if the structure itself is broken.
        problems : list of str
            Each begins with its place.

        Raises
        ------
        InputError
            If the file cannot be read or is not JSON.
        """
        content = read_json(path)
        with reading(path):
            try:
                masks = cls.model_validate(content, context={"diagnose": True})
            except ValidationError as error:
                problems = error.errors(include_url=False, include_input=False)
                return None, [_described(problem) for problem in problems]
            return masks, list(masks._inconsistencies())

    def to_dict(self) -> dict:
        """Return what `write` writes: only keys that were set, including unknown ones."""
        return self.model_dump(exclude_unset=True)

    def write(self, path: str | Path) -> None:
        """Write the mask file atomically.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        text = json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":"))
        with atomic_write(path) as file:
            file.write(text.encode())

    def image(self, number: int) -> Stimulus:
        """Return the image with an id.

        Raises
        ------
        KeyError
            If no image has this id.
        """
        return self._image_by_id[number]

    @cached_property
    def _image_by_id(self) -> dict[int, Stimulus]:
        return {image.id: image for image in self.images}

    def category_names(self) -> list[str]:
        """Return the category names in the order of their ids, without ``unlabelled``."""
        ordered = sorted(self.categories, key=lambda category: category.id)
        return [category.name for category in ordered if category.name != UNLABELLED]

    def category_of(self) -> dict[int, str]:
        """Return the category names by id."""
        return {category.id: category.name for category in self.categories}

    def subset(self, image_ids: Collection[int], region_ids: Collection[int]) -> MaskSet:
        """Return a mask set of some images, some of their regions, and the images' fixations."""
        content = self.to_dict()
        content["images"] = [entry for entry in content["images"] if entry["id"] in image_ids]
        content["annotations"] = [
            entry
            for entry in content["annotations"]
            if entry["id"] in region_ids and entry["image_id"] in image_ids
        ]
        if self.fixations is not None:
            on_images = np.isin(self.fixations.image_id, sorted(image_ids))
            content["fixations"] = self.fixations.where(on_images)
        return MaskSet.from_dict(content)

    def by_image(self) -> dict[int, list[Annotation]]:
        """Return the regions by image id, in the images' order, for every image with regions."""
        regions: dict[int, list[Annotation]] = {image.id: [] for image in self.images}
        for annotation in self.annotations:
            regions[annotation.image_id].append(annotation)
        return {number: listed for number, listed in regions.items() if listed}


def new_mask_set(
    images: Iterable[Stimulus],
    annotations: list[dict],
    fixations: Fixations | None,
    description: str,
    **provenance: Any,
) -> MaskSet:
    """Build a mask set with the 12 categories and ``unlabelled``.

    Parameters
    ----------
    images : iterable of Stimulus
    annotations : list of dict
        Entries of ``annotations``.
    fixations : Fixations or None
    description : str
        For ``info.description``.
    **provenance
        Keys of `Provenance`.

    Raises
    ------
    InputError
        If anything is malformed or inconsistent.
    """
    return MaskSet.from_dict(
        {
            "info": {"description": description, "salprobe": {"format": FORMAT, **provenance}},
            "licenses": [],
            "images": [image.model_dump(exclude_unset=True) for image in images],
            "annotations": annotations,
            "categories": coco_categories(),
            **({} if fixations is None else {"fixations": fixations}),
        }
    )


def _described(problem: ErrorDetails) -> str:
    parts = [part for part in problem["loc"] if part not in ("RLE", "polygons")]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    place = place.lstrip(".")
    message = problem["msg"].removeprefix("Value error, ")
    message = message.replace("Input should be", "expected").replace("Field required", "missing")
    return message if message.startswith(place) else f"{place}: {message}"

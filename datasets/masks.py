"""The mask file: plain COCO that every COCO viewer loads, plus our keys (see docs/formats.md)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PlainSerializer,
    PositiveInt,
    Tag,
    ValidationError,
    model_validator,
)

from .categories import UNLABELLED, coco_categories
from .errors import InputError
from .files import atomic_write, read_bytes
from .fixations import Fixations
from .stimuli import Stimulus

FORMAT = 1


class _Kept(BaseModel):
    """A JSON object whose unknown keys survive a read and a write."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, arbitrary_types_allowed=True)


class RLE(_Kept):
    """COCO's run-length encoding of a mask, compressed (text) or not (list)."""

    size: list[PositiveInt] = Field(min_length=2, max_length=2)
    counts: str | list[NonNegativeInt]


def _checked_polygon(polygon: Any) -> Any:
    if isinstance(polygon, list):
        if len(polygon) % 2:
            raise ValueError(f"polygon has {len(polygon)} numbers, needs an even count")
        if len(polygon) < 6:
            raise ValueError(f"polygon has {len(polygon) // 2} points, needs 3")
    return polygon


Polygon = Annotated[list[FiniteFloat], BeforeValidator(_checked_polygon)]

Outline = Annotated[
    Annotated[RLE, Tag("RLE")] | Annotated[list[Polygon], Tag("polygons")],
    Discriminator(lambda value: "RLE" if isinstance(value, dict | RLE) else "polygons"),
]


class Annotation(_Kept):
    """One salient region: its outline, its category, who looked.

    ``segmentation`` is a list of polygons (their union; x, y, x, y …) or an RLE. Coordinates
    are continuous with the origin at the image's upper left corner, as COCO has it: the pixel
    (x, y) has its centre at (x + 0.5, y + 0.5).
    """

    id: PositiveInt
    image_id: int
    category_id: int
    segmentation: Outline
    bbox: list[FiniteFloat] = Field(default=[], max_length=4)
    area: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    iscrowd: Literal[0, 1] = 0
    n_fixations: NonNegativeInt | None = None
    n_subjects: NonNegativeInt | None = None
    source: str | None = None
    label_source: str | None = None

    @model_validator(mode="after")
    def _has_an_outline(self) -> Annotation:
        if self.segmentation == []:
            raise ValueError("segmentation has no polygon")
        return self


class Category(_Kept):
    """An entry of ``categories``."""

    id: PositiveInt
    name: Annotated[str, Field(min_length=1)]


class Provenance(_Kept):
    """``info.salprobe``: where the regions come from."""

    format: PositiveInt = FORMAT
    dataset: str | None = None
    px_per_degree: Annotated[FiniteFloat, Field(gt=0)] | None = None
    simulated: bool = False


class Info(_Kept):
    """``info``, COCO's free description with our provenance in it."""

    annotator: str | None = None
    salprobe: Provenance = Provenance()


class MaskSet(_Kept):
    """Salient regions of many stimuli, with their categories and, usually, the fixations.

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
        By `read`, `from_dict`: if anything is malformed; the message names the place.
    """

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

    @model_validator(mode="after")
    def _consistent(self) -> MaskSet:
        if self.info.salprobe.format > FORMAT:
            raise ValueError(
                f"info.salprobe.format: {self.info.salprobe.format} is newer than "
                f"this salprobe reads ({FORMAT})"
            )
        for kind in ("images", "annotations", "categories"):
            _check_unique(kind, [entry.id for entry in getattr(self, kind)])
        _check_unique("images", [image.file_name for image in self.images], key="file_name")
        _check_unique("categories", [category.name for category in self.categories], key="name")
        images = {image.id: image for image in self.images}
        categories = {category.id for category in self.categories}
        for index, annotation in enumerate(self.annotations):
            place = f"annotations[{index}]"
            image = images.get(annotation.image_id)
            if image is None:
                raise ValueError(f"{place}.image_id: no image has id {annotation.image_id}")
            if annotation.category_id not in categories:
                raise ValueError(
                    f"{place}.category_id: no category has id {annotation.category_id}"
                )
            _check_outline(place, annotation.segmentation, image)
        if self.fixations is not None:
            check_inside(self.fixations, self.images)
        return self

    @classmethod
    def from_dict(cls, content: object, name: str = "masks") -> MaskSet:
        """Build from parsed JSON; ``name`` begins the messages of errors."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise InputError(f"{name}: {_first_problem(error)}") from error
        except InputError as error:
            raise InputError(f"{name}: {error}") from error

    @classmethod
    def read(cls, path: str | Path) -> MaskSet:
        """Read a mask file, strictly."""
        content = read_bytes(path)
        try:
            parsed = json.loads(content)
        except json.JSONDecodeError as error:
            place = f"line {error.lineno} column {error.colno}"
            raise InputError(f"{path}: not JSON ({place}: {error.msg})") from error
        except (UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"{path}: not JSON ({error})") from error
        return cls.from_dict(parsed, str(path))

    def to_dict(self) -> dict:
        """Return what `write` writes: only keys that were set, unknown ones included."""
        return self.model_dump(exclude_unset=True)

    def write(self, path: str | Path) -> None:
        """Write the mask file atomically."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":"))
        with atomic_write(path) as file:
            file.write(text.encode())

    def category_names(self) -> list[str]:
        """Return the categories in the order of their ids, without ``unlabelled``."""
        ordered = sorted(self.categories, key=lambda category: category.id)
        return [category.name for category in ordered if category.name != UNLABELLED]

    def category_of(self) -> dict[int, str]:
        """Return the name of each category id."""
        return {category.id: category.name for category in self.categories}

    def by_image(self) -> dict[int, list[Annotation]]:
        """Return the regions of every image that has any, in the images' order."""
        regions: dict[int, list[Annotation]] = {image.id: [] for image in self.images}
        for annotation in self.annotations:
            regions[annotation.image_id].append(annotation)
        return {number: found for number, found in regions.items() if found}


def new_mask_set(
    images: Iterable[Stimulus],
    annotations: list[dict],
    fixations: Fixations | None,
    description: str,
    **provenance: Any,
) -> MaskSet:
    """Build a mask set in the 12 categories and ``unlabelled``; see `Provenance` for the keys."""
    return MaskSet.from_dict(
        {
            "info": {"description": description, "salprobe": {"format": FORMAT, **provenance}},
            "licenses": [],
            "images": [image.model_dump() for image in images],
            "annotations": annotations,
            "categories": coco_categories(),
            **({} if fixations is None else {"fixations": fixations}),
        }
    )


def check_inside(fixations: Fixations, images: Iterable[Stimulus]) -> None:
    """Refuse fixations on unknown images or outside their image.

    Raises
    ------
    InputError
        Naming the first one.
    """
    sizes = {image.id: (image.width, image.height) for image in images}
    ids, rows = np.unique(fixations.image_id, return_inverse=True)
    unknown = [number for number in ids.tolist() if number not in sizes]
    if unknown:
        index = int(np.flatnonzero(fixations.image_id == unknown[0])[0])
        raise InputError(f"fixations.image_id[{index}]: no image has id {unknown[0]}")
    limits = np.array([sizes[number] for number in ids.tolist()], dtype=np.int64).reshape(-1, 2)
    for axis, name in enumerate(("x", "y")):
        values, limit = getattr(fixations, name), limits[rows, axis]
        outside = np.flatnonzero((values < 0) | (values >= limit))
        if outside.size:
            index = outside[0]
            raise InputError(
                f"fixations.{name}[{index}]: {values[index]} is outside the image "
                f"(0 to {limit[index] - 1})"
            )


def _check_unique(kind: str, values: list, key: str = "id") -> None:
    value, times = Counter(values).most_common(1)[0] if values else (None, 0)
    if times > 1:
        second = [index for index, other in enumerate(values) if other == value][1]
        raise ValueError(f"{kind}[{second}].{key}: {value!r} is used {times} times")


def _check_outline(place: str, outline: RLE | list[list[float]], image: Stimulus) -> None:
    if isinstance(outline, RLE):
        if outline.size != [image.height, image.width]:
            raise ValueError(
                f"{place}.segmentation.size: expected {[image.height, image.width]} "
                f"as its image, got {outline.size}"
            )
        if isinstance(outline.counts, list) and sum(outline.counts) != image.height * image.width:
            raise ValueError(
                f"{place}.segmentation.counts: cover {sum(outline.counts)} pixels, "
                f"the image has {image.height * image.width}"
            )
        return
    for polygon in outline:
        for limit, axis, values in (
            (image.width, "x", polygon[0::2]),
            (image.height, "y", polygon[1::2]),
        ):
            # Far outside is a mistake of unit, and costs unbounded memory to rasterise.
            if min(values) < -limit or max(values) > 2 * limit:
                far = min(values) if min(values) < -limit else max(values)
                raise ValueError(
                    f"{place}: polygon reaches {axis} = {far:g}, its image has 0 to {limit}"
                )


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    parts = [part for part in problem["loc"] if part not in ("RLE", "polygons")]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    place = place.lstrip(".")
    message = problem["msg"].removeprefix("Value error, ")
    message = message.replace("Input should be", "expected").replace("Field required", "missing")
    return message if message.startswith(place) else f"{place}: {message}"

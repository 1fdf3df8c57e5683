"""The parts of a mask file: regions with their outlines, categories, provenance."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveInt,
    Tag,
    model_validator,
)

FORMAT = 1
"""Of ``info.salprobe.format``: the newest that is read, and what is written."""


class _Kept(BaseModel):
    """A JSON object whose unknown keys survive a read and a write."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, arbitrary_types_allowed=True)


class RLE(_Kept):
    """COCO's run-length encoding of a mask, compressed (text) or not (list)."""

    size: list[PositiveInt] = Field(min_length=2, max_length=2)
    counts: str | list[NonNegativeInt]


MOST_POINTS = 100_000
"""Of a polygon: far more than an outline needs, far fewer than exhaust the memory."""


def _checked_polygon(polygon: Any) -> Any:
    if isinstance(polygon, list):
        if len(polygon) > 2 * MOST_POINTS:
            points = len(polygon) // 2
            raise ValueError(f"polygon has {points} points, more than {MOST_POINTS}")
        if len(polygon) % 2:
            raise ValueError(f"polygon has {len(polygon)} numbers, needs an even count")
        if len(polygon) < 6:
            raise ValueError(f"polygon has {len(polygon) // 2} points, needs 3")
    return polygon


Polygon = Annotated[list[FiniteFloat], BeforeValidator(_checked_polygon)]


Segmentation = Annotated[
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
    segmentation: Segmentation
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

"""The parts of a mask file: regions with their outlines, categories, provenance."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveInt,
    Tag,
    model_validator,
)

from ..stimuli import Kept

FORMAT = 1
"""Value of ``info.salprobe.format``: the newest version read, and the one written."""


class RLE(Kept):
    """COCO's run-length encoding of a mask, compressed (text) or uncompressed (list)."""

    size: list[PositiveInt] = Field(min_length=2, max_length=2)
    counts: str | list[NonNegativeInt]


MOST_POINTS = 100_000
"""Maximum points of a polygon: far more than an outline needs, far too few to exhaust memory."""


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


class Suggestion(Kept):
    """A category suggested for a region, for a person to confirm.

    Attributes
    ----------
    category : str
    confidence : float, optional
        0 to 1.
    source : str, optional
        What suggests it.
    """

    category: Annotated[str, Field(min_length=1)]
    confidence: Annotated[FiniteFloat, Field(ge=0, le=1)] | None = None
    source: str | None = None


class Annotation(Kept):
    """One salient region: its outline, its category, who looked.

    Attributes
    ----------
    segmentation : list of list of float, or RLE
        Polygons (their union; x, y, x, y …) or a mask. Coordinates are continuous with the
        origin at the upper left corner of the image, as in COCO: pixel (x, y) has its centre
        at (x + 0.5, y + 0.5).
    bbox : list of float
        Left, top, width, height in pixels.
    area : float
        Square pixels.
    n_fixations, n_subjects : int, optional
        Counted inside the mask.
    source, label_source : str, optional
        Where the outline and where the category come from.
    suggestion : Suggestion, optional
    note : str, optional
    unsure : bool
        Whether a reviewer doubts the category.
    disagreement : list of str or None, optional
        The categories that other mask files give the region; None where a file lacks it.
    votes : dict, optional
        Number of merged files that give the region each category.
    annotator : str, optional
        Who labelled it in Label Studio.
    label_studio_region : str, optional
        Its key in Label Studio, if it was drawn there.
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
    suggestion: Suggestion | None = None
    note: str | None = None
    unsure: bool = False
    disagreement: list[str | None] | None = None
    votes: dict[str, NonNegativeInt] | None = None
    annotator: str | None = None
    label_studio_region: str | None = None

    @model_validator(mode="after")
    def _has_an_outline(self) -> Annotation:
        if self.segmentation == []:
            raise ValueError("segmentation has no polygon")
        return self


class Category(Kept):
    """An entry of ``categories``."""

    id: PositiveInt
    name: Annotated[str, Field(min_length=1)]


class Provenance(Kept):
    """``info.salprobe``: where the regions come from."""

    format: PositiveInt = FORMAT
    dataset: str | None = None
    px_per_degree: Annotated[FiniteFloat, Field(gt=0)] | None = None
    simulated: bool = False
    label_studio: str | None = None
    """UUID of the project that the regions were pulled from."""


class Info(Kept):
    """``info``: COCO's free-form description, extended with our provenance."""

    annotator: str | None = None
    salprobe: Provenance = Provenance()

"""Consistency between the parts of a mask set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..errors import InputError
from ..fixations import Fixations
from ..stimuli import MOST_PIXELS, Stimulus
from .annotation import FORMAT, Annotation, Category, Info


def inconsistencies(
    info: Info,
    images: Sequence[Stimulus],
    annotations: Sequence[Annotation],
    categories: Sequence[Category],
    fixations: Fixations | None,
) -> Iterator[str]:
    """Yield every inconsistency between the parts of a mask set, with its place.

    Parameters
    ----------
    info : Info
    images : sequence of Stimulus
    annotations : sequence of Annotation
    categories : sequence of Category
    fixations : Fixations or None
    """
    if info.salprobe.format > FORMAT:
        yield (
            f"info.salprobe.format: {info.salprobe.format} is newer than "
            f"this salprobe reads ({FORMAT})"
        )
    parts = (("images", images), ("annotations", annotations), ("categories", categories))
    for kind, entries in parts:
        yield from _repeated(kind, "id", [entry.id for entry in entries])
    yield from _repeated("images", "file_name", [image.file_name for image in images])
    yield from _repeated("categories", "name", [category.name for category in categories])
    image_of = {image.id: image for image in images}
    too_large = {image.id for image in images if image.width * image.height > MOST_PIXELS}
    for index, image in enumerate(images):
        if image.id in too_large:
            yield f"images[{index}]: {image.width}×{image.height} pixels are more than can be read"
    category_ids = {category.id for category in categories}
    for index, annotation in enumerate(annotations):
        place = f"annotations[{index}]"
        if annotation.category_id not in category_ids:
            yield f"{place}.category_id: no category has id {annotation.category_id}"
        if annotation.image_id not in image_of:
            yield f"{place}.image_id: no image has id {annotation.image_id}"
        elif annotation.image_id not in too_large:
            yield from _wrong_outline(place, annotation, image_of[annotation.image_id])
    if fixations is not None:
        try:
            check_inside(fixations, images)
        except InputError as error:
            yield str(error)


def check_inside(fixations: Fixations, images: Iterable[Stimulus]) -> None:
    """Refuse fixations on unknown images or outside their image.

    Raises
    ------
    InputError
        The message names the first such fixation.
    """
    sizes = {image.id: image.size for image in images}
    ids, rows = np.unique(fixations.image_id, return_inverse=True)
    unknown = [number for number in ids.tolist() if number not in sizes]
    if unknown:
        index = int(np.flatnonzero(fixations.image_id == unknown[0])[0])
        raise InputError(f"fixations.image_id[{index}]: no image has id {unknown[0]}")
    limits = np.array([sizes[number] for number in ids.tolist()], dtype=np.int64).reshape(-1, 2)
    for name, axis in (("x", 1), ("y", 0)):
        values, limit = getattr(fixations, name), limits[rows, axis]
        outside = np.flatnonzero((values < 0) | (values >= limit))
        if outside.size:
            index = outside[0]
            raise InputError(
                f"fixations.{name}[{index}]: {values[index]} is outside the image "
                f"(0 to {limit[index] - 1})"
            )


def _repeated(kind: str, key: str, values: list) -> Iterator[str]:
    times = Counter(values)
    seen = set()
    for index, value in enumerate(values):
        if value in seen:
            yield f"{kind}[{index}].{key}: {value!r} is used {times[value]} times"
        seen.add(value)


def _wrong_outline(place: str, annotation: Annotation, image: Stimulus) -> Iterator[str]:
    outline = annotation.segmentation
    if not isinstance(outline, list):
        size, pixels = [image.height, image.width], image.height * image.width
        if outline.size != size:
            yield f"{place}.segmentation.size: expected {size} as its image, got {outline.size}"
        elif isinstance(outline.counts, list) and sum(outline.counts) != pixels:
            covered = sum(outline.counts)
            yield f"{place}.segmentation.counts: cover {covered} pixels, the image has {pixels}"
        elif isinstance(outline.counts, str) and not _covers(outline.counts, pixels):
            yield f"{place}.segmentation.counts: no run-length encoding of its image"
        return
    for polygon in outline:
        for limit, axis, values in (
            (image.width, "x", polygon[0::2]),
            (image.height, "y", polygon[1::2]),
        ):
            # A point far outside means a wrong unit, and rasterising it takes unbounded memory.
            if min(values) < -limit or max(values) > 2 * limit:
                far = min(values) if min(values) < -limit else max(values)
                yield f"{place}: polygon reaches {axis} = {far:g}, its image has 0 to {limit}"


def _covers(counts: str, pixels: int) -> bool:
    """Return whether a compressed run-length encoding covers an image exactly.

    pycocotools decodes one that covers less, and then compares it with another without end.
    """
    codes = np.frombuffer(counts.encode(errors="replace"), dtype=np.uint8).astype(np.int64) - 48
    if not codes.size or (codes < 0).any() or (codes > 63).any() or codes[-1] & 0x20:
        return False
    last = np.flatnonzero(codes & 0x20 == 0)  # the last of each number's characters
    first = np.concatenate([[0], last[:-1] + 1])
    if (last - first).max() > 6:  # five bits each: no run is so long
        return False
    place = np.arange(codes.size) - np.repeat(first, last - first + 1)
    runs = np.add.reduceat((codes & 0x1F) << 5 * place, first)
    runs -= np.where(codes[last] & 0x10, 1 << 5 * (last - first + 1), 0)
    for start in (1, 2):  # from the fourth on, each is the difference from the one before the last
        runs[start::2] = np.cumsum(runs[start::2])
    return bool((runs >= 0).all() and runs.sum() == pixels)

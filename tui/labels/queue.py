"""The queue of suggestions: the least certain come first."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ...annotate.review.editing import Editor

NAME = "least certain"
"""The filter that is a queue."""


def certainty(editor: Editor, number: int) -> float:
    """Return the confidence of a region's suggestion: 0 if unsaid, infinite if there is none."""
    region = editor.regions[number]
    if region.suggestion is None or editor.suggestion(region) is None:
        return float("inf")
    return region.suggestion.confidence or 0.0


def queued(editor: Editor, images: Collection[int]) -> list[int]:
    """Return the suggested regions of some images, the least certain first; ties in file order."""
    numbers = [
        number
        for number, region in editor.regions.items()
        if region.image_id in images and editor.suggestion(region) is not None
    ]
    return sorted(numbers, key=lambda number: certainty(editor, number))


def following(queue: Sequence[int], region: int | None, step: int) -> int | None:
    """Return the next region of a queue (or the previous, by -1), around it; None if it is empty.

    A region that is not in the queue is followed by its first one.
    """
    if not queue:
        return None
    if region not in queue:
        return queue[0 if step > 0 else -1]
    return queue[(queue.index(region) + step) % len(queue)]

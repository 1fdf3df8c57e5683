"""Filters of the image list: an image is listed if a filter keeps one of its regions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...annotate.review.editing import Editor
from ...datasets.categories import UNLABELLED
from ...datasets.masks.annotation import Annotation
from . import queue

FEW = 10
"""Number of fixations below which a region has few."""


def names(editor: Editor, second: Mapping[int, str]) -> list[str]:
    """Return the names of the filters."""
    kinds = ["all", UNLABELLED, "suggested", "unsure", "few fixations"]
    kinds += ["disputed", queue.NAME] if second else [queue.NAME]
    return kinds + [
        category.name for category in editor.masks.categories if category.name != UNLABELLED
    ]


def kept(name: str, editor: Editor, second: Mapping[int, str]) -> Callable[[Annotation], bool]:
    """Return a function that tells whether a filter keeps a region."""
    return {
        "all": lambda region: True,
        "suggested": lambda region: editor.suggestion(region) is not None,
        queue.NAME: lambda region: editor.suggestion(region) is not None,
        "unsure": lambda region: region.unsure,
        "disputed": lambda region: (
            second.get(region.id, editor.category(region)) != editor.category(region)
        ),
        "few fixations": lambda region: (region.n_fixations or 0) < FEW,
    }.get(name, lambda region: editor.category(region) == name)

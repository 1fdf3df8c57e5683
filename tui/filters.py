"""Which images a list shows: those with a region that a filter is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..annotate.review.editing import Editor
from ..datasets.categories import UNLABELLED
from ..datasets.masks.annotation import Annotation

FEW = 10
"""Fixations: a region with fewer is among the few."""


def names(editor: Editor, second: Mapping[int, str]) -> list[str]:
    """Return the filters' names."""
    kinds = ["all", UNLABELLED, "suggested", "unsure", "few fixations"]
    kinds += ["disputed"] if second else []
    return kinds + [one.name for one in editor.masks.categories if one.name != UNLABELLED]


def kept(name: str, editor: Editor, second: Mapping[int, str]) -> Callable[[Annotation], bool]:
    """Return which regions a filter is about."""
    return {
        "all": lambda region: True,
        "suggested": lambda region: editor.suggestion(region) is not None,
        "unsure": lambda region: region.unsure,
        "disputed": lambda region: (
            second.get(region.id, editor.category(region)) != editor.category(region)
        ),
        "few fixations": lambda region: (region.n_fixations or 0) < FEW,
    }.get(name, lambda region: editor.category(region) == name)

"""Editing regions under review: every change is an edit that can be undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from ...datasets.categories import UNLABELLED, ids_with
from ...datasets.errors import InputError
from ...datasets.fixations import Fixations
from ...datasets.masks.annotation import Annotation
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.outlines import Outline
from ...datasets.stimuli import Stimulus
from ..regions.draft import gaze
from .outlining import halves, outline_of, shape_of, united

SOURCE = "review"
"""``label_source`` of a category assigned in a review, and ``source`` of an outline drawn there."""


@dataclass(frozen=True)
class Edit:
    """Regions before and after a change.

    Attributes
    ----------
    what : str
        Description for people: ``text``, ``delete``, ``split`` …
    before, after : tuple of dict
        Entries of ``annotations``. An entry only in ``before`` is removed, one only in
        ``after`` is added.
    """

    what: str
    before: tuple[dict, ...]
    after: tuple[dict, ...]

    def reverse(self) -> Edit:
        """Return the edit that undoes this one."""
        return Edit(self.what, self.after, self.before)


class Editor:
    """A mask set's regions, and the edits made to them.

    Parameters
    ----------
    masks : MaskSet
    fixations : Fixations, optional
        Fixations on the stimuli, to count inside new outlines and to split regions by.

    Attributes
    ----------
    regions : dict of Annotation
        Current regions by id.
    done, undone : list of Edit
        Edits that can be undone and redone, latest last.
    """

    def __init__(self, masks: MaskSet, fixations: Fixations | None = None) -> None:
        self.masks, self.fixations = masks, fixations or masks.fixations
        listed = [category.model_dump() for category in masks.categories]
        self.categories = ids_with(listed, UNLABELLED)  # a label can be removed from any file
        self.names = {number: name for name, number in self.categories.items()}
        self.done: list[Edit] = []
        self.undone: list[Edit] = []
        self.regions = {region.id: region for region in masks.annotations}
        self._entries: dict[int, tuple[Annotation, dict]] = {}  # filled on demand
        self._rest: dict = {}
        self._place = {number: float(index) for index, number in enumerate(self.regions)}
        self._of: dict[int, list[int]] = {}
        for region in masks.annotations:
            self._of.setdefault(region.image_id, []).append(region.id)

    def copy(self) -> Editor:
        """Return an editor of the same regions, without the edits."""
        duplicate = copy(self)
        duplicate.regions, duplicate._place = dict(self.regions), dict(self._place)
        return duplicate

    def of(self, image_id: int) -> list[Annotation]:
        """Return an image's regions, in file order."""
        return [self.regions[number] for number in self._of.get(image_id, [])]

    def category(self, region: Annotation) -> str:
        """Return a region's category."""
        return self.names[region.category_id]

    def do(self, edit: Edit) -> None:
        """Make an edit."""
        self._replace(edit)
        self.done.append(edit)
        self.undone.clear()

    def undo(self) -> Edit | None:
        """Undo the latest edit and return it; None if there is none."""
        if not self.done:
            return None
        edit = self.done.pop()
        self._replace(edit.reverse())
        self.undone.append(edit)
        return edit

    def redo(self) -> Edit | None:
        """Redo the edit undone last and return it; None if there is none."""
        if not self.undone:
            return None
        edit = self.undone.pop()
        self._replace(edit)
        self.done.append(edit)
        return edit

    def fits(self, edit: Edit) -> bool:
        """Return whether the regions are still in the state that an edit starts from."""
        new = {entry["id"] for entry in edit.after} - {entry["id"] for entry in edit.before}
        return not new & self.regions.keys() and all(
            entry["id"] in self.regions and self._entry(entry["id"]) == entry
            for entry in edit.before
        )

    def label(self, number: int, category: str) -> Edit:
        """Return the edit that gives a region a category.

        Raises
        ------
        InputError
            If there is no such category.
        """
        if category not in self.categories:
            raise InputError(f"no category {category!r}: expected {', '.join(self.categories)}")
        entry = self._entry(number)
        after = {**entry, "category_id": self.categories[category], "label_source": SOURCE}
        if category == UNLABELLED:
            del after["label_source"]
        after.pop("suggestion", None)
        return Edit(category, (entry,), (after,))

    def label_all(self, numbers: Sequence[int], category: str) -> Edit:
        """Return the one edit that gives several regions a category.

        Raises
        ------
        InputError
            If there is no such category.
        """
        edits = [self.label(number, category) for number in numbers]
        before, after = ([getattr(edit, side)[0] for edit in edits] for side in ("before", "after"))
        return Edit(category, tuple(before), tuple(after))

    def accept(self, number: int) -> Edit:
        """Return the edit that accepts a region's suggested category.

        Raises
        ------
        InputError
            If nothing is suggested.
        """
        suggestion = self.suggestion(self.regions[number])
        if suggestion is None:
            raise InputError("nothing is suggested for this region")
        return self.label(number, suggestion)

    def suggestion(self, region: Annotation) -> str | None:
        """Return the category suggested for a region, if it is unlabelled."""
        suggestion = region.suggestion
        if suggestion is None or self.category(region) != UNLABELLED:
            return None
        return suggestion.category if suggestion.category in self.categories else None

    def set(self, number: int, key: str, value: Any) -> Edit:
        """Return the edit that sets another key of a region: ``unsure`` or ``note``."""
        entry = self._entry(number)
        return Edit(key, (entry,), ({**entry, key: value},))

    def delete(self, number: int) -> Edit:
        """Return the edit that deletes a region."""
        return Edit("delete", (self._entry(number),), ())

    def merge(self, number: int, second_number: int) -> Edit:
        """Return the edit that merges two regions of an image, keeping the first one's category."""
        first, second = self.regions[number], self.regions[second_number]
        image = self.masks.image(first.image_id)
        whole = united(shape_of(first, image), shape_of(second, image), image)
        entries = self._entry(number), self._entry(second_number)
        return Edit(
            "merge", entries, (self._reshaped(entries[0], outline_of(whole, image), image),)
        )

    def split(self, number: int) -> Edit:
        """Return the edit that cuts a region in two, between two groups of its fixations.

        Raises
        ------
        InputError
            If it has fixations on fewer than two pixels, or the cut does not leave two parts.
        """
        region = self.regions[number]
        image = self.masks.image(region.image_id)
        parts = [outline_of(part, image) for part in halves(region, image, self.fixations)]
        entry = self._entry(number)
        both = entry, {**entry, "id": self._free()}
        after = [self._reshaped(*pair, image) for pair in zip(both, parts, strict=True)]
        return Edit("split", (entry,), tuple(after))

    def reshape(self, number: int, outline: Outline) -> Edit:
        """Return the edit that gives a region another outline; its fixations are counted again."""
        entry = self._entry(number)
        image = self.masks.image(entry["image_id"])
        return Edit("outline", (entry,), (self._reshaped(entry, outline, image),))

    def add(self, image_id: int, outlines: Sequence[Mapping[str, Any]]) -> Edit:
        """Return the edit that adds unlabelled regions to an image.

        Parameters
        ----------
        image_id : int
        outlines : sequence of mapping
            Keys of COCO annotations: ``segmentation, bbox, area``, and perhaps ``n_fixations``,
            ``n_subjects`` and ``source``. Fixations are counted where they are not.
        """
        image, first = self.masks.image(image_id), self._free()
        after = []
        for number, keys in enumerate(outlines, start=first):
            entry = {"id": number, "image_id": image_id, "iscrowd": 0, "source": SOURCE, **keys}
            entry["category_id"] = self.categories[UNLABELLED]
            if "n_fixations" not in entry and self.fixations is not None:
                entry |= gaze(entry, image, self.fixations)
            after.append(entry)
        return Edit("add", (), tuple(after))

    def to_dict(self) -> dict:
        """Return the current content of the mask file."""
        if not self._rest:
            bare = self.masks.model_copy(update={"annotations": []})
            self._rest.update(bare.to_dict())
        order = sorted(self.regions, key=self._place.__getitem__)
        content = {**self._rest, "annotations": [self._entry(number) for number in order]}
        unlabelled = self.categories[UNLABELLED]
        if unlabelled not in self.masks.category_of() and any(
            region.category_id == unlabelled for region in self.regions.values()
        ):
            added = {"id": unlabelled, "name": UNLABELLED}
            content["categories"] = [*content["categories"], added]
        return content

    def _entry(self, number: int) -> dict:
        """Return a region as the file stores it; copies of the editor share this cache."""
        region = self.regions[number]
        known = self._entries.get(number)
        if known is None or known[0] is not region:
            known = region, region.model_dump(exclude_unset=True)
            self._entries[number] = known
        return known[1]

    def _replace(self, edit: Edit) -> None:
        old = [entry["id"] for entry in edit.before]
        for number in old:
            region = self.regions.pop(number)
            self._of[region.image_id].remove(number)
        anchor = self._place[old[0]] if old else float(len(self._place))
        for k, entry in enumerate(edit.after):
            region = Annotation.model_validate(entry)
            self._place.setdefault(region.id, anchor + k * 1e-6)
            self.regions[region.id], self._entries[region.id] = region, (region, entry)
            siblings = self._of.setdefault(region.image_id, [])
            siblings.append(region.id)
            siblings.sort(key=self._place.__getitem__)

    def _reshaped(self, entry: dict, outline: Outline, image: Stimulus) -> dict:
        after = {**entry, **outline.to_coco()}
        after.pop("n_fixations", None)
        after.pop("n_subjects", None)
        if self.fixations is not None:
            after |= gaze(after, image, self.fixations)
        return after

    def _free(self) -> int:
        """Return an id that no region has or had."""
        return max(self._place, default=0) + 1


def reapply(editor: Editor, edits: Sequence[Edit]) -> list[Edit]:
    """Make edits to regions that may have changed meanwhile; return those that do not fit."""
    refused = []
    for edit in edits:
        if editor.fits(edit):
            editor.do(edit)
        else:
            refused.append(edit)
    return refused

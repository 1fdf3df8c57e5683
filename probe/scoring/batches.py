"""Plans of what to score: the regions in order, in batches of stimuli."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ...datasets.categories import UNLABELLED
from ...datasets.errors import InputError
from ...datasets.files import sha256
from ...datasets.fixations import Fixations
from ...datasets.masks.annotation import Annotation
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.regions import distinct_pixels, inside, mask_of
from ...datasets.stimuli import Stimuli, Stimulus
from ..networks.model import network_input
from ..sources.description import Resize
from .ceiling import ceilings
from .nss import Pixels
from .slices import Looks, Slicing, looks_of

SHUFFLED = 3
"""Regions of the same category from other stimuli that each region's map is also scored at."""

_MASK_BATCH = 8


@dataclass(frozen=True, eq=False)
class Item:
    """A stimulus with its regions, which are consecutive rows of the scores."""

    stimulus: Stimulus
    regions: list[Annotation]
    first_row: int


@dataclass(frozen=True, eq=False)
class Loaded:
    """A stimulus ready for the network.

    Attributes
    ----------
    rgb : uint8 array, shape (height, width, 3)
        Resized to the network's input.
    pixels : list of Pixels
        The distinct fixated pixels of each region; then of `SHUFFLED` regions of other stimuli
        for each of them, if the plan has any; then those of ``looks``.
    n_fixations : list of int
        Fixations inside each region's mask.
    ceiling : list of float
        See `ceilings`.
    sha256 : str
        Of the image file.
    looks : Looks, optional
        The regions' fixations by slices, if the plan slices them.
    """

    item: Item
    rgb: np.ndarray
    pixels: list[Pixels]
    n_fixations: list[int]
    ceiling: list[float] = field(default_factory=list)
    sha256: str = ""
    looks: Looks | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """All of a run's work, in a fixed order.

    A batch holds the same stimuli regardless of the number of processes and of interruptions,
    so the scores are the same bit for bit.
    """

    masks: MaskSet
    stimuli: Stimuli
    fixations: Fixations
    batches: list[list[Item]]
    slicing: Slicing | None = None
    _fixated: dict[int, Pixels] = field(default_factory=dict, init=False, repr=False)

    @property
    def n_regions(self) -> int:
        """Number of regions: rows of the scores."""
        last = self.batches[-1][-1]
        return last.first_row + len(last.regions)

    @property
    def n_stimuli(self) -> int:
        """Number of stimuli with a labelled region."""
        return sum(len(batch) for batch in self.batches)

    def regions_table(self) -> pd.DataFrame:
        """Return ``annotation_id, image_id, category``, one row per row of the scores."""
        names = self.masks.category_of()
        rows = [
            (region.id, region.image_id, names[region.category_id])
            for batch in self.batches
            for item in batch
            for region in item.regions
        ]
        return pd.DataFrame(rows, columns=["annotation_id", "image_id", "category"])

    def load(self, item: Item, resize: Resize) -> Loaded:
        """Decode and resize one stimulus and find each region's fixated pixels.

        Raises
        ------
        InputError
            If the image is missing, broken or not of the size in the mask file.
        """
        rgb = network_input(self.stimuli.read(item.stimulus), resize)
        fixations, within = self.gaze(item)
        own = [distinct_pixels(fixations.x[k], fixations.y[k]) for k in within]
        degree = self.masks.info.salprobe.px_per_degree
        ceiling = [np.nan] * len(own)
        if degree is not None:
            ceiling = ceilings(item.stimulus, fixations, within, degree).tolist()
        shuffled = [
            pixels for region in item.regions for pixels in self._shuffled(region, item.stimulus)
        ]
        looks = None if self.slicing is None else looks_of(self.slicing, fixations, within)
        sliced = [] if looks is None else looks.slices + looks.looks
        counts, content = [int(k.sum()) for k in within], sha256(self.stimuli.path(item.stimulus))
        return Loaded(item, rgb, own + shuffled + sliced, counts, ceiling, content, looks)

    def gaze(self, item: Item) -> tuple[Fixations, list[np.ndarray]]:
        """Return the n fixations on a stimulus, and which lie inside each region, bool (n,)."""
        fixations = self.fixations.of(item.stimulus.id)
        return fixations, [inside(region, item.stimulus, fixations) for region in item.regions]

    def _shuffled(self, region: Annotation, onto: Stimulus) -> list[Pixels]:
        """Return the fixated pixels of regions of the same category, moved to this stimulus.

        The regions are drawn by the region's id; positions are relative to the stimulus's size.
        """
        found: list[Pixels] = []
        same = self._by_category[region.category_id]
        for k in np.random.default_rng(region.id).permutation(len(same)):
            stimulus, other = same[k]
            if stimulus.id == onto.id or not len((pixels := self._pixels(stimulus, other))[0]):
                continue
            x, y = pixels
            if (stimulus.width, stimulus.height) != (onto.width, onto.height):
                x, y = x * onto.width // stimulus.width, y * onto.height // stimulus.height
                x, y = distinct_pixels(x, y)
            found.append((x, y))
            if len(found) == SHUFFLED:
                break
        nothing = np.empty(0, dtype=np.int64)
        return found + [(nothing, nothing)] * (SHUFFLED - len(found))

    def _pixels(self, stimulus: Stimulus, region: Annotation) -> Pixels:
        if region.id not in self._fixated:
            fixations = self.fixations.of(stimulus.id)
            within = inside(region, stimulus, fixations)
            self._fixated[region.id] = distinct_pixels(fixations.x[within], fixations.y[within])
        return self._fixated[region.id]

    @cached_property
    def _by_category(self) -> dict[int, list[tuple[Stimulus, Annotation]]]:
        regions: dict[int, list[tuple[Stimulus, Annotation]]] = {}
        for batch in self.batches:
            for item in batch:
                for region in item.regions:
                    regions.setdefault(region.category_id, []).append((item.stimulus, region))
        return regions


@dataclass(frozen=True, eq=False)
class MaskPlan:
    """All regions of a mask set, batched; each region's pixels are its whole mask."""

    stimuli: Stimuli
    batches: list[list[Item]]

    @classmethod
    def of(cls, masks: MaskSet, root: Path) -> MaskPlan:
        """Plan every region, in the order of the images."""
        items, row = [], 0
        for image_id, regions in masks.by_image().items():
            items.append(Item(masks.image(image_id), regions, row))
            row += len(regions)
        batches = [
            items[start : start + _MASK_BATCH] for start in range(0, len(items), _MASK_BATCH)
        ]
        return cls(Stimuli(root, tuple(masks.images)), batches)

    def load(self, item: Item, resize: Resize) -> Loaded:
        """Decode and resize one stimulus and rasterise its masks.

        Raises
        ------
        InputError
            If the image is missing, broken or not of the size in the mask file.
        """
        rgb = network_input(self.stimuli.read(item.stimulus), resize)
        pixels = []
        for region in item.regions:
            y, x = np.nonzero(mask_of(region, item.stimulus))
            pixels.append((x, y))
        return Loaded(item, rgb, pixels, [len(x) for x, _ in pixels])


def make_plan(
    masks: MaskSet,
    root: Path,
    fixations: Fixations,
    batch_size: int,
    slicing: Slicing | None = None,
) -> Plan:
    """Plan the labelled regions of a mask set, in the order of its images.

    Parameters
    ----------
    masks : MaskSet
    root : Path
        Folder of the images.
    fixations : Fixations
    batch_size : int
        Stimuli per batch.
    slicing : Slicing, optional
        How fixations are sliced.

    Raises
    ------
    InputError
        If no region has a category.
    """
    items = items_of(masks)
    batches = [items[start : start + batch_size] for start in range(0, len(items), batch_size)]
    return Plan(masks, Stimuli(root, tuple(masks.images)), fixations, batches, slicing)


def items_of(masks: MaskSet) -> list[Item]:
    """Return the stimuli that have labelled regions, in the order of a run's rows.

    Raises
    ------
    InputError
        If no region has a category.
    """
    unlabelled = {c.id for c in masks.categories if c.name == UNLABELLED}
    items, row = [], 0
    for image_id, regions in masks.by_image().items():
        labelled = [region for region in regions if region.category_id not in unlabelled]
        if labelled:
            items.append(Item(masks.image(image_id), labelled, row))
            row += len(labelled)
    if not items:
        raise InputError(
            f"none of the {len(masks.annotations)} regions has a category; label them first"
        )
    return items

"""Plans of a dissection: stimuli in batches, each with its categories on a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...datasets.categories import UNLABELLED
from ...datasets.errors import InputError
from ...datasets.files import sha256
from ...datasets.masks.annotation import Annotation
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.regions import mask_of
from ...datasets.stimuli import Stimuli, Stimulus
from ..networks.model import network_input
from ..sources.description import Resize


@dataclass(frozen=True, eq=False)
class Labelled:
    """A stimulus and its regions that have a category."""

    stimulus: Stimulus
    regions: list[Annotation]


@dataclass(frozen=True, eq=False)
class LoadedLabels:
    """A stimulus ready for the network, and where its categories are.

    Attributes
    ----------
    stimulus : Stimulus
    rgb : uint8 array, shape (height, width, 3)
        Resized to the network's input.
    labels : bool array, shape (categories, grid height, grid width)
    sha256 : str
        Of the image file.
    """

    stimulus: Stimulus
    rgb: np.ndarray
    labels: np.ndarray
    sha256: str


@dataclass(frozen=True, eq=False)
class LabelPlan:
    """All stimuli of a mask set that have a labelled region, in batches, in a fixed order.

    Attributes
    ----------
    stimuli : Stimuli
    batches : list of list of Labelled
    place : dict of int
        The row of `LoadedLabels.labels` of each category, by its id.
    grid : (height, width)
    """

    stimuli: Stimuli
    batches: list[list[Labelled]]
    place: dict[int, int]
    grid: tuple[int, int]

    @property
    def n_stimuli(self) -> int:
        """Number of stimuli with a labelled region."""
        return sum(map(len, self.batches))

    def load(self, item: Labelled, resize: Resize) -> LoadedLabels:
        """Decode and resize one stimulus, and bring its masks to the grid.

        A place of the grid belongs to a category if the stimulus's pixel at its centre does.

        Raises
        ------
        InputError
            If the image is missing, broken or not of the size in the mask file.
        """
        rgb = network_input(self.stimuli.read(item.stimulus), resize)
        sides = zip(self.grid, item.stimulus.size, strict=True)
        rows, columns = (
            ((np.arange(count) + 0.5) * length / count).astype(int) for count, length in sides
        )
        labels = np.zeros((len(self.place), *self.grid), dtype=bool)
        for region in item.regions:
            mask = mask_of(region, item.stimulus)
            labels[self.place[region.category_id]] |= mask[np.ix_(rows, columns)]
        return LoadedLabels(item.stimulus, rgb, labels, sha256(self.stimuli.path(item.stimulus)))


def label_plan(
    masks: MaskSet, stimuli: Stimuli, grid: tuple[int, int], batch_size: int
) -> LabelPlan:
    """Plan the stimuli that have a labelled region, in the order of the images.

    Raises
    ------
    InputError
        If no region has a category.
    """
    ordered = sorted(masks.categories, key=lambda category: category.id)
    known = [category.id for category in ordered if category.name != UNLABELLED]
    place = {number: row for row, number in enumerate(known)}
    items = []
    for image_id, regions in masks.by_image().items():
        labelled = [region for region in regions if region.category_id in place]
        if labelled:
            items.append(Labelled(masks.image(image_id), labelled))
    if not items:
        raise InputError(
            f"none of the {len(masks.annotations)} regions has a category; label them first"
        )
    batches = [items[start : start + batch_size] for start in range(0, len(items), batch_size)]
    return LabelPlan(stimuli, batches, place, grid)

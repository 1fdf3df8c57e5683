"""Training examples: a picture, with where people looked or which scene it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...datasets.masks.regions import distinct_pixels
from ...datasets.stimuli import Dataset, Stimulus
from ..networks.model import network_input
from ..saliency.metrics import empirical
from ..sources.description import Resize
from .losses import Looked


@dataclass(frozen=True, eq=False)
class Example:
    """A stimulus ready to train on.

    Attributes
    ----------
    rgb : uint8 array, shape (height, width, 3)
        Resized to the network's input.
    looked : Looked
    scene : int
        Index of its scene; -1 if scenes are not learnt.
    """

    stimulus: Stimulus
    rgb: np.ndarray
    looked: Looked
    scene: int


class Kept:
    """Examples kept between epochs, until their pictures and maps fill a number of bytes.

    Parameters
    ----------
    limit : int
        Bytes.
    """

    def __init__(self, limit: int = 2**30) -> None:
        self._left = limit
        self._examples: dict[int, Example] = {}

    def get(self, stimulus: Stimulus) -> Example | None:
        """Return a stimulus's example if it was kept."""
        return self._examples.get(stimulus.id)

    def add(self, example: Example) -> None:
        """Keep an example if there is room."""
        density = example.looked.density
        size = example.rgb.nbytes + (0 if density is None else density.nbytes)
        if size <= self._left:  # threads may add at once: the limit need not be exact
            self._left -= size
            self._examples[example.stimulus.id] = example


@dataclass(frozen=True, eq=False)
class _Item:
    stimulus: Stimulus


@dataclass(frozen=True, eq=False)
class Lesson:
    """Batches of stimuli in a fixed order, and how each is loaded.

    Parameters
    ----------
    dataset : Dataset
    batches : list of lists
    density : bool
        Whether empirical saliency maps are made: fixations blurred by a Gaussian of one degree.
    scenes : mapping, optional
        From a stimulus's id to the index of its scene.
    kept : Kept
        Examples of earlier lessons of the same kind.
    """

    dataset: Dataset
    batches: list[list[_Item]]
    density: bool
    scenes: Mapping[int, int] | None
    kept: Kept

    def load(self, item: _Item, resize: Resize) -> Example:
        """Decode and resize one stimulus, and find its fixated pixels."""
        stimulus = item.stimulus
        if (kept := self.kept.get(stimulus)) is not None:
            return kept
        rgb = network_input(self.dataset.stimuli.read(stimulus), resize)
        fixations = self.dataset.fixations.of(stimulus.id)
        pixels = distinct_pixels(fixations.x, fixations.y)
        size = stimulus.size
        density = None
        if self.density:
            blurred = empirical(fixations.x, fixations.y, size, self.dataset.px_per_degree)
            density = torch.from_numpy((blurred / blurred.sum()).astype(np.float32))
        looked = Looked(size, pixels, density)
        scene = -1 if self.scenes is None else self.scenes[stimulus.id]
        example = Example(stimulus, rgb, looked, scene)
        self.kept.add(example)
        return example


def lesson(
    dataset: Dataset,
    batches: Sequence[Sequence[int]],
    kept: Kept,
    *,
    density: bool = False,
    scenes: Mapping[int, int] | None = None,
) -> Lesson:
    """Return batches of stimuli, given by their ids; see `Lesson`."""
    stimuli = {stimulus.id: stimulus for stimulus in dataset.stimuli}
    items = [[_Item(stimuli[number]) for number in batch] for batch in batches]
    return Lesson(dataset, items, density, scenes, kept)

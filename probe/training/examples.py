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
    """

    dataset: Dataset
    batches: list[list[_Item]]
    density: bool
    scenes: Mapping[int, int] | None

    def load(self, item: _Item, input_size: tuple[int, int]) -> Example:
        """Decode and resize one stimulus, and find its fixated pixels."""
        stimulus = item.stimulus
        rgb = network_input(self.dataset.stimuli.read(stimulus), input_size)
        fixations = self.dataset.fixations.of(stimulus.id)
        x, y = distinct_pixels(fixations.x, fixations.y)
        size = (stimulus.height, stimulus.width)
        density = None
        if self.density:
            blurred = empirical(fixations.x, fixations.y, size, self.dataset.px_per_degree)
            density = torch.from_numpy((blurred / blurred.sum()).astype(np.float32))
        looked = Looked(size, torch.from_numpy(x), torch.from_numpy(y), density)
        scene = -1 if self.scenes is None else self.scenes[stimulus.id]
        return Example(stimulus, rgb, looked, scene)


def lesson(
    dataset: Dataset,
    batches: Sequence[Sequence[int]],
    *,
    density: bool = False,
    scenes: Mapping[int, int] | None = None,
) -> Lesson:
    """Return batches of stimuli, given by their ids; see `Lesson`."""
    stimuli = {stimulus.id: stimulus for stimulus in dataset.stimuli}
    items = [[_Item(stimuli[number]) for number in batch] for batch in batches]
    return Lesson(dataset, items, density, scenes)

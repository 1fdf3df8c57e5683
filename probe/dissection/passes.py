"""The two passes over the stimuli: one finds the units' levels, one counts what lies above."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from ...datasets.errors import InputError, reading
from ...datasets.progress import Progress
from ..layers.layers import Layer
from ..networks.reader import Reader, not_finite
from ..scoring.loading import load_batches
from .overlap import Counts, Highest, rotation
from .plan import LabelPlan, LoadedLabels
from .state import State

BASES = ("units", "rotated")
"""The units as they are, and the control: the same space, rotated at random."""


@dataclass(eq=False)
class Passes:
    """A dissection's work, and how far it has come.

    Attributes
    ----------
    plan : LabelPlan
    layers : list of Layer
    quantile : float
    seed : int
        Seed of the rotations.
    counting : bool
        Whether the levels are known, and the second pass is on.
    next : int
        The first batch that this pass has not taken.
    levels : dict of float32 arrays, shape (units,)
        By layer and basis.
    counts : dict of Counts
        By layer and basis.
    areas : int64 array, shape (categories,)
        Places of the grid that each category covers.
    images : dict of str
        The SHA-256 of each image file, by its stimulus's id.
    """

    plan: LabelPlan
    layers: list[Layer]
    quantile: float
    seed: int
    counting: bool = False
    next: int = 0
    levels: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    images: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n_categories = len(self.plan.place)
        places = [(layer, basis) for layer in self.layers for basis in BASES]
        self.highest = {
            (layer.name, basis): Highest(
                layer.units, layer.height * layer.width * self.plan.n_stimuli, self.quantile
            )
            for layer, basis in places
        }
        self.counts = {
            (layer.name, basis): Counts(layer.units, n_categories) for layer, basis in places
        }
        self.areas = np.zeros(n_categories, dtype=np.int64)

    def restore(self, state: State) -> None:
        """Go on from what an interrupted command wrote.

        Raises
        ------
        InputError
            If the file is damaged or of another dissection.
        """
        arrays = state.read()
        if not arrays:
            return
        with reading(state.path):
            self.counting, self.next = bool(arrays["counting"][0]), int(arrays["next"][0])
            hashes = arrays["sha256"].tobytes().decode("ascii")
            ids = arrays["image_id"].tolist()
            self.images = {
                number: hashes[64 * k : 64 * k + 64] for k, number in enumerate(map(int, ids))
            }
            for number, key in enumerate(self.highest):
                units = len(self.counts[key].above)
                if self.counting:
                    self.levels[key] = arrays[f"level.{number}"].reshape(units)
                    self.counts[key].above[:] = arrays[f"above.{number}"]
                    self.counts[key].both[:] = arrays[f"both.{number}"]
                else:
                    values = torch.from_numpy(arrays[f"highest.{number}"].copy())
                    self.highest[key].values = values.reshape(units, -1)
            self.areas[:] = arrays["areas"]
            if not 0 <= self.next <= len(self.plan.batches):
                raise ValueError(f"batch {self.next} is not of the plan")

    def save(self, state: State) -> None:
        """Write how far the work has come."""
        hashes = "".join(self.images.values()).encode("ascii")
        arrays = {
            "counting": np.array([self.counting]),
            "next": np.array([self.next]),
            "image_id": np.array(list(self.images), dtype=np.int64),
            "sha256": np.frombuffer(hashes, dtype=np.uint8),
            "areas": self.areas,
        }
        for number, key in enumerate(self.highest):
            if self.counting:
                arrays[f"level.{number}"] = self.levels[key]
                arrays[f"above.{number}"] = self.counts[key].above
                arrays[f"both.{number}"] = self.counts[key].both
            else:
                arrays[f"highest.{number}"] = self.highest[key].values.cpu().numpy()
        state.write(arrays)

    def run(self, reader: Reader, workers: int | None, state: State, progress: Progress) -> None:
        """Do what is left of both passes.

        Raises
        ------
        InputError
            If an image cannot be read or has changed meanwhile, or an activation is not finite.
        """
        rotations = {
            layer.name: rotation(layer.units, (self.seed, number)).to(reader.device)
            for number, layer in enumerate(self.layers)
        }
        n_stimuli = self.plan.n_stimuli
        done = sum(map(len, self.plan.batches[: self.next])) + self.counting * n_stimuli
        if done:
            progress.say(f"resuming: {done} of {2 * n_stimuli} images already looked at")
        with progress.task("dissecting", 2 * n_stimuli, done=done) as advance:
            while True:
                numbers = range(self.next, len(self.plan.batches))
                loading = load_batches(
                    self.plan, numbers, reader.model.resize, reader.device, workers
                )
                for number, loaded, _ in loading:
                    self._take(loaded, reader, rotations)
                    self.next = number + 1
                    advance(len(loaded))
                    if state.due:
                        self.save(state)
                if self.counting:
                    return
                self.levels = {key: one.level().cpu().numpy() for key, one in self.highest.items()}
                self.counting, self.next = True, 0
                self.save(state)

    def _take(
        self, loaded: list[LoadedLabels], reader: Reader, rotations: dict[str, torch.Tensor]
    ) -> None:
        for one in loaded:
            if self.images.setdefault(one.stimulus.id, one.sha256) != one.sha256:
                raise InputError(f"{one.stimulus.file_name}: has changed since it was first read")
        labels = [torch.from_numpy(one.labels).to(reader.device, torch.float32) for one in loaded]

        def consume(layer: Layer, maps: torch.Tensor) -> None:
            maps = maps.float()
            _check_finite(layer.name, maps, loaded)
            turned = torch.einsum("uv,nvhw->nuhw", rotations[layer.name], maps)
            for basis, own in zip(BASES, (maps, turned), strict=True):
                key = (layer.name, basis)
                if not self.counting:
                    self.highest[key].add(own.transpose(0, 1).flatten(1))
                    continue
                level = torch.from_numpy(self.levels[key]).to(own.device)
                for stimulus_maps, where in zip(own, labels, strict=True):
                    self.counts[key].add(stimulus_maps, level, where)

        reader.read([one.rgb for one in loaded], consume)
        if self.counting:
            self.areas += sum(one.labels.sum((1, 2)) for one in loaded)


def _check_finite(layer: str, maps: torch.Tensor, loaded: list[LoadedLabels]) -> None:
    finite = maps.isfinite().all((2, 3)) if maps.ndim == 4 else maps.isfinite()
    if not finite.all():
        image, unit = (~finite).nonzero()[0].tolist()
        raise not_finite(loaded[image].stimulus.file_name, layer, unit)

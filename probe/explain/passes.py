"""The two passes over the stimuli: sums for the regressions, then their errors on other folds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from ...datasets.errors import InputError
from ...datasets.fixations import Fixations
from ...datasets.masks.annotation import Annotation
from ...datasets.masks.regions import mask_of
from ...datasets.progress import Progress
from ...datasets.stimuli import Stimuli, Stimulus
from ..layers.layers import Layer
from ..networks.model import network_input
from ..networks.reader import Reader, not_finite
from ..scoring.blur import bells
from .bank import FAMILIES, FEATURES, family, picture_features
from .cells import Grid, overlaps
from .partition import ROWS, SUBSETS, Moments
from .ridge import Sums, cross_fit
from .state import State

MOST_CELLS = 512
"""Most cells of a layer's maps that are taken from one stimulus, drawn at random."""

FOLDS = 5
"""Groups of stimuli; a unit is fitted on all but one, and judged on that one."""

_P = 1 + len(FEATURES)

Visit = Callable[[int, Stimulus, Layer, np.ndarray, np.ndarray, np.ndarray], None]
"""Called with a stimulus's number, itself, a layer, and its cells, features and units there."""


@dataclass(frozen=True, eq=False)
class Job:
    """What is explained, and on which stimuli.

    Attributes
    ----------
    stimuli : Stimuli
    folds : int array, shape (stimuli,)
    regions : mapping
        Regions by the id of their stimulus.
    categories : mapping
        The number of each category that is looked at apart, from 1, by its id.
    fixations : Fixations or None
    px_per_degree : float
    read_on : str or None
        The layer whose cells' fixations are predicted as well.
    seed : int
    folder : Path
    """

    stimuli: Stimuli
    folds: np.ndarray
    regions: Mapping[int, Sequence[Annotation]]
    categories: Mapping[int, int]
    fixations: Fixations | None
    px_per_degree: float
    read_on: str | None
    seed: int
    folder: Path

    def extra(self, layer: Layer) -> int:
        """How many targets are fitted besides the layer's units: the empirical saliency map."""
        return int(layer.name == self.read_on)


@dataclass(frozen=True, eq=False)
class Fitted:
    """The regressions of a layer.

    Attributes
    ----------
    without : list
        By fold, the coefficients of every subset of families, float64 (1 + its features, units).
    whole : float64 array, shape (1 + features, units)
    penalties : float64 array, shape (units,)
    every : Sums
        Of all stimuli.
    folds : list of Sums
    """

    without: list[list[np.ndarray]]
    whole: np.ndarray
    penalties: np.ndarray
    every: Sums
    folds: list[Sums] = field(default_factory=list)


def grid_of(layer: Layer) -> Grid:
    """Return where a layer's cells look."""
    return Grid(layer.height, layer.width, layer.registration)


@lru_cache(maxsize=1)
def subset_columns() -> list[np.ndarray]:
    """Return which features each of `SUBSETS` has, bool (features,)."""
    of_family = {name: family(name) for name in FAMILIES}
    return [np.any([of_family[name] for name in subset], axis=0) for subset in SUBSETS]


def sum_up(job: Job, reader: Reader, progress: Progress) -> State:
    """Make the first pass: the sums that the regressions need, by fold."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in reader.layers:
        targets = layer.units + job.extra(layer)
        shapes[f"xx {layer.name}"] = (FOLDS, _P, _P)
        shapes[f"xy {layer.name}"] = (FOLDS, _P, targets)
        shapes[f"yy {layer.name}"] = (FOLDS, targets)
    state = State(job.folder / "sums.partial.npy", shapes)

    def visit(
        number: int, stimulus: Stimulus, layer: Layer, cells: np.ndarray, *xy: np.ndarray
    ) -> None:
        features, units = xy
        if job.extra(layer):
            units = np.hstack([units, _looked_at(job, stimulus, layer)[cells, None]])
        fold_sums(state, layer)[job.folds[number]].add(features, units)

    _visit(job, reader, state, visit, "fitting", progress)
    state.save()
    return state


def fold_sums(state: State, layer: Layer) -> list[Sums]:
    """Return the sums of a layer, by fold, as views of a state."""
    arrays = (state[f"{name} {layer.name}"] for name in ("xx", "xy", "yy"))
    return [Sums(*parts) for parts in zip(*arrays, strict=True)]


def fit(layer: Layer, folds: list[Sums]) -> Fitted:
    """Fit a layer's units with every subset of the families."""
    folds = [Sums(one.xx, one.xy[:, : layer.units], one.yy[: layer.units]) for one in folds]
    by_subset, whole, penalties = [], np.empty(0), np.empty(0)
    for columns in subset_columns():
        without, whole, penalties = cross_fit([fold.of(columns) for fold in folds])
        by_subset.append(without)
    every = folds[0]
    for fold in folds[1:]:
        every = every + fold
    without = [list(of_fold) for of_fold in zip(*by_subset, strict=True)]
    return Fitted(without, whole, penalties, every, folds)


class Errors:
    """The second pass: what regressions of other folds leave unexplained, and its moments.

    Of each layer, all cells and those in the regions of each category are rows; units are columns,
    and the last column is the layer: the mean over its units, each divided by its own total.

    Parameters
    ----------
    job : Job
    layers : sequence of Layer
    """

    def __init__(self, job: Job, layers: Sequence[Layer]) -> None:
        self._job, self._layers = job, layers
        rows = 1 + len(job.categories)
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in layers:
            shapes[f"first {layer.name}"] = (rows, ROWS, layer.units + 1)
            shapes[f"second {layer.name}"] = (rows, ROWS, ROWS, layer.units + 1)
            shapes[f"stimuli {layer.name}"] = (rows, 1)
        shapes["layers"] = (len(job.stimuli), len(layers), ROWS)
        self.state = State(job.folder / "errors.partial.npy", shapes)

    def measure(self, reader: Reader, fitted: Mapping[str, Fitted], progress: Progress) -> None:
        """Make the pass."""
        totals = {name: one.every.total() for name, one in fitted.items()}
        means = {name: one.every.xy[0] / one.every.n for name, one in fitted.items()}
        places = {layer.name: place for place, layer in enumerate(self._layers)}
        kept = [np.flatnonzero(np.concatenate([[True], one])) for one in subset_columns()]

        def visit(
            number: int, stimulus: Stimulus, layer: Layer, cells: np.ndarray, *xy: np.ndarray
        ) -> None:
            features, units = xy
            fold = fitted[layer.name].without[self._job.folds[number]]
            weights = self._weights(stimulus, layer)[:, cells]
            off = [units - features[:, k] @ found for k, found in zip(kept, fold, strict=True)]
            off.append(units - means[layer.name])
            sums = np.stack([weights @ one**2 for one in off], 1)  # rows, ROWS, units
            total = totals[layer.name]
            scaled = np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)
            varying = max(1, np.count_nonzero(total))
            sums = np.concatenate([sums, scaled.sum(2, keepdims=True) / varying], 2)
            self.state["layers"][number, places[layer.name]] = sums[0, :, -1]
            for row in np.flatnonzero(weights.any(1)):
                self.moments(layer)[row].add(sums[row])

        _visit(self._job, reader, self.state, visit, "measuring", progress)

    def moments(self, layer: Layer) -> list[Moments]:
        """Return a layer's moments: of all cells, then of each category."""
        arrays = (self.state[f"{name} {layer.name}"] for name in ("first", "second", "stimuli"))
        return [Moments(*parts) for parts in zip(*arrays, strict=True)]

    def _weights(self, stimulus: Stimulus, layer: Layer) -> np.ndarray:
        """Return the share of each cell in the regions of each category; in all, first: 1."""
        grid = grid_of(layer)
        weights = np.zeros((1 + len(self._job.categories), grid.height * grid.width))
        weights[0] = 1
        masks: dict[int, np.ndarray] = {}
        for region in self._job.regions.get(stimulus.id, ()):
            row = self._job.categories.get(region.category_id)
            if row is not None:
                masks[row] = masks.get(row, False) | mask_of(region, stimulus)
        for row, mask in masks.items():
            inside = torch.from_numpy(mask[None]).float()
            weights[row] = grid.mean(inside).flatten().numpy()
        return weights


def _looked_at(job: Job, stimulus: Stimulus, layer: Layer) -> np.ndarray:
    """Return the empirical saliency map over a layer's cells, its mean 1; 0 without fixations."""
    if job.fixations is None:
        raise TypeError("a readout needs fixations")
    looked = job.fixations.of(stimulus.id)
    if not len(looked):
        return np.zeros(layer.height * layer.width)
    rows, columns = (
        bells(where, side, job.px_per_degree) @ overlaps(*axis, side).numpy().T
        for where, side, axis in zip(
            (looked.y, looked.x), stimulus.size, grid_of(layer).axes, strict=True
        )
    )
    saliency = (rows.T @ columns).ravel()
    return saliency / saliency.mean()


def _visit(
    job: Job, reader: Reader, state: State, visit: Visit, text: str, progress: Progress
) -> None:
    """Call a function with every stimulus's features and units that are not in a state yet."""
    if state.done:
        progress.say(f"{text}: resuming after {state.done} of {len(job.stimuli)} images")
    with progress.task(text, len(job.stimuli), done=state.done) as advance:
        for number in range(state.done, len(job.stimuli)):
            stimulus = job.stimuli[number]
            for layer, cells, features, units in observations(job, reader, stimulus):
                visit(number, stimulus, layer, cells, features, units)
            state.advance()
            advance(1)


def observations(
    job: Job, reader: Reader, stimulus: Stimulus
) -> Iterator[tuple[Layer, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield each layer with some of its cells, their features and the units' activations there.

    The arrays are int (n,), float64 (n, 1 + features) and float64 (n, units).

    Raises
    ------
    InputError
        If the picture cannot be read, or an activation is not finite.
    """
    rgb = network_input(job.stimuli.read(stimulus), reader.model.resize)
    maps: dict[str, np.ndarray] = {}
    chosen: dict[str, np.ndarray] = {}
    drawing = np.random.default_rng([job.seed, abs(stimulus.id)])

    def keep(layer: Layer, output: torch.Tensor) -> None:
        count = layer.height * layer.width
        cells = np.arange(count)
        if count > MOST_CELLS:
            cells = np.sort(drawing.choice(count, MOST_CELLS, replace=False))
        where = torch.from_numpy(cells).to(output.device)
        one = output[0].flatten(1)[:, where].T.double().cpu().numpy()
        wrong = ~np.isfinite(one).all(0)
        if wrong.any():
            raise not_finite(stimulus.file_name, layer.name, int(wrong.argmax()))
        chosen[layer.name], maps[layer.name] = cells, one

    reader.read([rgb], keep)
    picture = torch.from_numpy(rgb).to(reader.device).permute(2, 0, 1).float() / 255
    features = picture_features(picture)
    for layer in reader.layers:
        cells = chosen[layer.name]
        yield layer, cells, grid_of(layer).design(features, cells), maps[layer.name]


def fold_of(hashes: Sequence[str]) -> np.ndarray:
    """Divide pictures into folds by their contents, so that copies are in one.

    Returns
    -------
    int array, shape (pictures,)

    Raises
    ------
    InputError
        If there are fewer different pictures than folds.
    """
    distinct = {content: place for place, content in enumerate(sorted(set(hashes)))}
    if len(distinct) < FOLDS:
        raise InputError(f"{len(distinct)} different images: expected {FOLDS} or more")
    return np.array([distinct[one] % FOLDS for one in hashes])

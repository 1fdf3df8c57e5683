"""Ablation: what a saliency model predicts where its units for a category are silent.

References
----------
Bau, Zhu, Strobelt, Lapedriza, Zhou, Torralba, "Understanding the role of individual units in a deep
neural network", PNAS 117(48), 2020, section "Role of units": units are set to zero, and what is
lost is compared with what random units' absence costs. That the random ones have the same mean
activation, and that other stimuli choose the units, is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ...datasets.errors import InputError, reading
from ...datasets.files import atomic_write, sha256
from ...datasets.options import check_seed
from ...datasets.progress import SILENT, Progress
from ...datasets.readers.tables import read_columns
from ...datasets.texts import csv_of
from ..layers.layers import Layer
from ..networks.device import DEFAULT_EXECUTION, Execution, device_name, resolve_device
from ..networks.model import Model
from ..networks.reader import Reader
from ..records.ablation_info import AblationInfo, AblationParameters
from ..records.record import provenance
from ..runs.inputs import layers_of, masks_of, model_of
from ..runs.resuming import check_same, locked, make_folder
from ..runs.run import Run
from ..scoring.batches import Item, Plan, make_plan
from ..scoring.loading import load_batches
from ..scoring.scorer import Scorer
from ..statistics.clusters import means, q_values
from ..statistics.selectivity import TOP, groups, top_units
from .silencing import Silenced, random_units
from .state import State

COLUMNS = (
    *("without", "category", "n", "intact", "change", "change_low", "change_high", "random"),
    *("difference", "difference_low", "difference_high", "q"),
)
"""Of an ablation's table."""


@dataclass(frozen=True, eq=False)
class Ablation:
    """The result of `ablate`.

    Attributes
    ----------
    folder : Path
    layer : str
    table : DataFrame
        ``without, category, n, intact, change, change_low, change_high, random, difference,
        difference_low, difference_high, q``. Without the ten units for the category ``without``,
        the NSS of the predicted map in the regions of ``category`` differs by ``change`` from
        ``intact``; without as many random units of the same mean activation by ``random``.
        ``difference`` is ``change`` less ``random``, with its 95 % interval over stimuli, and
        ``q`` is the false discovery rate of its not being 0, over the table.
    """

    folder: Path
    layer: str
    table: pd.DataFrame


def ablate(
    run: Run,
    *,
    layer: str | None = None,
    draws: int = 3,
    masks: str | Path | None = None,
    root: str | Path | None = None,
    model: str | Path | None = None,
    out: str | Path | None = None,
    execution: Execution = DEFAULT_EXECUTION,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Ablation:
    """Set each category's ten units to zero, and score what the saliency model then predicts.

    The units for a category are the ten with the highest mean NSS in its regions; those that one
    half of the stimuli chooses are ablated on the other half.

    Parameters
    ----------
    run : Run
        Run of a trained saliency model.
    layer : str, optional
        The layer whose units are ablated; by default the last before the readout.
    draws : int
        For each category, sets of ten random units of the same mean activation.
    masks, root, model : path, optional
        The mask file, the folder of its images and the training, if they have moved since the run.
    out : path, optional
        The folder for the results; by default ``ablation`` in the run's folder. If it holds the
        same ablation, an unfinished one is resumed.
    execution : Execution
        Device, batch size, decoding threads.
    seed : int
        Seed for the halves and the random units.
    progress : Progress

    Returns
    -------
    Ablation

    Raises
    ------
    InputError
        If the run is not of a saliency model with a readout, its inputs have changed, or the layer
        has too few units to draw random ones.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> backbone = sp.Backbone("squeezenet1_0", "random", input_size=(64, 64))
    >>> dataset = sp.load_dataset("sample")
    >>> info = sp.train(dataset, sp.Recipe(epochs=1), "trained", model=backbone)
    >>> gaze = "sample/fixations.csv"
    >>> names = ["features.12", "readout"]
    >>> run = sp.probe(
    ...     "sample/masks.json", model="trained", layers=names, fixations=gaze, out="run"
    ... )
    >>> sp.ablate(run, draws=1).table.columns[:5].tolist()
    ['without', 'category', 'n', 'intact', 'change']
    """
    check_seed(seed)
    if draws < 1:
        raise InputError(f"draws {draws}: expected 1 or more")
    masks, root, model = (Path(path) if path else None for path in (masks, root, model))
    network = model_of(run, model, "--model")
    readout = next((one for one in network.layers() if one.name == "readout"), None)
    if readout is None:
        raise InputError(
            f"{run.folder}: has no readout, hence no output to ablate; probe a training folder"
        )
    chosen = _layer_of(run, network, layer)
    if chosen.units < 2 * TOP:
        raise InputError(
            f"{chosen.name} has {chosen.units} units; expected {2 * TOP} or more, to draw random "
            f"ones beside {TOP}"
        )
    mask_set, folder, fixations = masks_of(run, masks, root)
    device = resolve_device(execution.device)
    batch_size = execution.batch_size_on(device)
    target = Path(out) if out else run.folder / "ablation"
    parameters = run.info.parameters
    info = AblationInfo(
        format=AblationInfo.newest,
        status="running",
        **provenance(device_name(device)),
        parameters=AblationParameters(
            scores=sha256(run.folder / "scores.npy"),
            masks=parameters.masks,
            fixations=parameters.fixations,
            layer=chosen.name,
            draws=draws,
            batch_size=batch_size,
            device=device.type,
            seed=seed,
        ),
        run=str(run.folder.resolve()),
        categories=run.categories,
    )
    halves = Halves.of(run, seed)
    plan = halves.batched(make_plan(mask_set, folder, fixations, batch_size), batch_size)
    if not make_folder(target):
        AblationInfo.read(target)  # leave other folders alone
    with locked(target):
        state = State(target)
        if (target / AblationInfo.file_name).exists():
            before = AblationInfo.read(target)
            check_same(target, before.content(), info.content(), ("parameters", "categories"))
            if before.status == "complete":
                state.remove()
                progress.say(f"{target} is already complete; nothing to do")
                return Ablation(target, chosen.name, _read(target))
        else:
            info.write(target)
        job = _Job(run, network, chosen, readout, halves, plan, draws, seed)
        scores, activations = job.scores(device, execution, state, progress)
        table = changes(run, scores, draws)
        written = {"changes": table, "units": job.units(activations), "stimuli": halves.table()}
        for name, one in written.items():
            with atomic_write(target / f"{name}.csv") as file:
                file.write(csv_of(one).encode())
        info.model_copy(update={"status": "complete"}).write(target)
        state.remove()
    return Ablation(target, chosen.name, table)


def _read(target: Path) -> pd.DataFrame:
    """Read a folder's table."""
    numbers = [name for name in COLUMNS if name not in ("without", "category", "n")]
    return read_columns(target / "changes.csv", COLUMNS[:2], ["n"], numbers)[list(COLUMNS)]


def _layer_of(run: Run, network: Model, name: str | None) -> Layer:
    """Return the layer whose units are ablated."""
    inner = [one.name for one in run.layers if one.name != "readout"]
    if not inner:
        raise InputError(f"{run.folder}: has no layer but the readout; expected another one")
    wanted = name or inner[-1]
    if wanted not in inner:
        raise InputError(f"{run.folder}: no layer {wanted!r}; there are {', '.join(inner)}")
    chosen = layers_of(run, network)[wanted]
    if "#" in chosen.module:
        raise InputError(f"{wanted}: attention heads are not ablated; expected a layer of maps")
    return chosen


@dataclass(frozen=True, eq=False)
class Halves:
    """Two halves of a run's stimuli; the units that one chooses are ablated on the other.

    Attributes
    ----------
    second : dict of bool
        By a stimulus's id, whether it is in the second half.
    """

    second: dict[int, bool]

    @classmethod
    def of(cls, run: Run, seed: int) -> Halves:
        """Halve the stimuli of a run at random."""
        stimuli = np.unique(run.regions["image_id"])
        order = np.random.default_rng(seed).permutation(len(stimuli))
        return cls({int(stimuli[k]): bool(place % 2) for place, k in enumerate(order)})

    def table(self) -> pd.DataFrame:
        """Return ``image_id, half``: 1 or 2."""
        halves = [(number, 1 + half) for number, half in sorted(self.second.items())]
        return pd.DataFrame(halves, columns=["image_id", "half"])

    def batched(self, plan: Plan, batch_size: int) -> Plan:
        """Return the plan with batches of stimuli of one half each, only those that were scored."""
        items = [item for batch in plan.batches for item in batch]
        batches: list[list[Item]] = []
        for half in (False, True):
            own = [item for item in items if self.second.get(item.stimulus.id) is half]
            batches += [own[k : k + batch_size] for k in range(0, len(own), batch_size)]
        return replace(plan, batches=batches)

    def chosen(self, run: Run, layer: str) -> dict[bool, dict[str, np.ndarray]]:
        """Return each category's ten units, by the half that they are ablated on.

        Categories without a region in the other half have none.
        """
        scores = run.scores_of(layer)
        by_category = groups(run.regions, run.categories, 0, resamples=1)
        second = run.regions["image_id"].map(self.second).to_numpy(bool)
        units: dict[bool, dict[str, np.ndarray]] = {False: {}, True: {}}
        for half in units:
            for category, group in by_category.items():
                rows = group.rows[second[group.rows] != half]
                if len(rows):
                    mean = scores[rows].mean(axis=0, dtype=np.float64)
                    units[half][category] = top_units(mean)
        return units


@dataclass(frozen=True, eq=False)
class _Job:
    """What is ablated, and on what."""

    run: Run
    network: Model
    layer: Layer
    readout: Layer
    halves: Halves
    plan: Plan
    draws: int
    seed: int

    def scores(
        self, device: torch.device, execution: Execution, state: State, progress: Progress
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the readout's NSS in each region, and the units' mean activations.

        Float32 (regions, sets of units) and float64 (units,). The first column is the intact
        network's; then come, for each category, that without its units and those without random
        ones.
        """
        run, plan = self.run, self.plan
        row = {int(number): k for k, number in enumerate(run.regions["annotation_id"])}
        width = 1 + len(run.categories) * (1 + self.draws)
        shape, found = (len(run.regions), width), state.read()
        if found:
            with reading(state.path):
                activations = found["activations"].reshape(self.layer.units)
        else:
            activations = self._activations(device, execution, progress)
        sets = self._sets(activations)
        scores, first = np.full(shape, np.nan, dtype=np.float32), 0
        if found:
            with reading(state.path):
                scores, first = found["scores"].reshape(shape).copy(), int(found["next"][0])
                if not 0 <= first <= len(plan.batches):
                    raise ValueError(f"batch {first} is not of the plan")
        n_stimuli = sum(map(len, plan.batches))
        done = sum(map(len, plan.batches[:first]))
        if done:
            progress.say(f"resuming: {done} of {n_stimuli} images already scored")
        silenced = Silenced(self.network, self.layer)
        scorer = Scorer(silenced.model, [self.readout], device, "fp32")
        with progress.task("ablating", n_stimuli, done=done) as advance, scorer:
            numbers = range(first, len(plan.batches))
            loading = load_batches(plan, numbers, self.network.resize, device, execution.workers)
            for number, loaded, _ in loading:
                half = self.halves.second[loaded[0].item.stimulus.id]
                for column, units in enumerate(sets[half]):
                    if units is None:
                        continue
                    with silenced.without(units):
                        arrays = scorer.score(loaded)
                    for stimulus, values in zip(loaded, arrays, strict=True):
                        regions = stimulus.item.regions
                        for region, value in zip(regions, values[: len(regions), 0], strict=True):
                            if region.id in row:
                                scores[row[region.id], column] = value
                advance(len(loaded))
                if state.due:
                    arrays = {"scores": scores, "next": np.array([number + 1])}
                    state.write({**arrays, "activations": activations})
        return scores, activations

    def units(self, activations: np.ndarray) -> pd.DataFrame:
        """Return which units were ablated: ``half, without, set, unit, activation``.

        The half that they were ablated on, and ``chosen`` or ``random 1`` and so on.
        """
        names = ["chosen", *(f"random {draw}" for draw in range(1, self.draws + 1))]
        keys = [(category, name) for category in self.run.categories for name in names]
        rows = [
            (1 + half, *key, int(unit), activations[unit])
            for half, sets in self._sets(activations).items()
            for key, units in zip(keys, sets[1:], strict=True)
            for unit in (() if units is None else units)
        ]
        return pd.DataFrame(rows, columns=["half", "without", "set", "unit", "activation"])

    def _activations(
        self, device: torch.device, execution: Execution, progress: Progress
    ) -> np.ndarray:
        """Return each unit's mean activation over all stimuli, float64 (units,)."""
        total, count = np.zeros(self.layer.units), 0

        def consume(_layer: Layer, maps: torch.Tensor) -> None:
            nonlocal total
            total += maps.double().mean((2, 3)).sum(0).cpu().numpy()

        n_stimuli = sum(map(len, self.plan.batches))
        reader = Reader(self.network, [self.layer], device, "fp32")
        with progress.task("mean activations", n_stimuli) as advance, reader:
            numbers = range(len(self.plan.batches))
            for _, loaded, _ in load_batches(
                self.plan, numbers, self.network.resize, device, execution.workers
            ):
                reader.read([one.rgb for one in loaded], consume)
                count += len(loaded)
                advance(len(loaded))
        return total / count

    def _sets(self, activations: np.ndarray) -> dict[bool, list[np.ndarray | None]]:
        """Return the units of each column of the scores, by half; None where there are none."""
        sets: dict[bool, list[np.ndarray | None]] = {}
        for half, chosen in self.halves.chosen(self.run, self.layer.name).items():
            sets[half] = [np.empty(0, dtype=np.int64)]
            for number, category in enumerate(self.run.categories):
                units = chosen.get(category)
                sets[half].append(units)
                for draw in range(self.draws):
                    rng = np.random.default_rng((self.seed, half, number, draw))
                    sets[half].append(
                        None if units is None else random_units(units, activations, rng)
                    )
        return sets


def changes(run: Run, scores: np.ndarray, draws: int) -> pd.DataFrame:
    """Return the table of an `Ablation` from the regions' scores.

    Parameters
    ----------
    run : Run
    scores : float array, shape (regions, 1 + categories · (1 + draws))
    draws : int
    """
    intact, rest = scores[:, :1].astype(np.float64), scores[:, 1:].astype(np.float64)
    change = (rest - intact).reshape(len(scores), len(run.categories), 1 + draws)
    own, random = change[..., 0], change[..., 1:].mean(axis=-1)
    rows, p = [], []
    for category, group in groups(run.regions, run.categories, 0, resamples=1).items():
        for number, without in enumerate(run.categories):
            known = ~np.isnan(own[group.rows, number])
            at, stimulus = group.rows[known], group.stimulus[known]
            found = [means(one[at, number][:, None], stimulus) for one in (own, own - random)]
            row = {"without": without, "category": category, "n": len(at)}
            row["intact"] = float(intact[at].mean()) if len(at) else np.nan
            for name, one in zip(("change", "difference"), found, strict=True):
                row |= {key: float(bound[0]) for key, bound in one.interval.columns(name).items()}
            row["random"] = row["change"] - row["difference"]
            rows.append(row)
            p.append(float(found[1].p[0]))
    table = pd.DataFrame(rows)
    table["q"] = q_values(np.array(p))
    return (
        table[list(COLUMNS)]
        .sort_values("without", key=lambda names: names.map(run.categories.index), kind="stable")
        .reset_index(drop=True)
    )

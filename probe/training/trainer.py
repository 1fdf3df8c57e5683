"""The training loop, as one process runs it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel

from ...datasets.errors import InputError
from ...datasets.progress import SILENT, Progress
from ...datasets.stimuli import Dataset
from ..networks.device import Execution
from ..networks.heads import Headed
from ..networks.model import Model, describe
from ..scoring.loading import load_batches
from ..sources.weights import write_weights
from .examples import Example, Kept, lesson
from .frozen import Frozen
from .losses import Loss, nss
from .recipe import Recipe
from .split import Split
from .store import TrainingState, read_checkpoint, write_checkpoint, write_table

CHECKPOINT_S = 60
"""Seconds between checkpoints within an epoch."""


class Trainer:
    """Trains and evaluates a network.

    Parameters
    ----------
    dataset : Dataset
    split : Split
    recipe : Recipe
    model : Model
        Converts pictures to the network's input.
    network : Headed
        Parameters to train require gradients.
    scenes : mapping, optional
        From a stimulus's id to the index of its scene; without it, saliency is learnt.
    out : Path
        Training folder; an unfinished training in it is resumed.
    device : torch.device
    execution : Execution
        Batch size, precision, decoding threads.
    rank, world : int
        This process's number, and the number of processes.
    progress : Progress
    """

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        recipe: Recipe,
        model: Model,
        network: Headed,
        scenes: Mapping[int, int] | None,
        out: Path,
        device: torch.device,
        execution: Execution,
        rank: int = 0,
        world: int = 1,
        progress: Progress = SILENT,
    ) -> None:
        self.dataset, self.split, self.recipe, self.out = dataset, split, recipe, out
        self.model, self.scenes, self.device, self.execution = model, scenes, device, execution
        self.rank, self.world = rank, world
        self.report = progress if rank == 0 else SILENT
        self.network = network.to(device).to(memory_format=torch.channels_last)  # pyright: ignore
        self.trainable = [
            parameter for parameter in network.parameters() if parameter.requires_grad
        ]
        backbone = {id(parameter) for parameter in network.backbone.parameters()}
        parts: tuple[list, list] = ([], [])
        for parameter in self.trainable:
            parts[id(parameter) in backbone].append(parameter)
        rates = (recipe.added_rate, recipe.backbone_rate)
        self.optimizer = torch.optim.Adam(
            [{"params": part, "lr": rate} for part, rate in zip(parts, rates, strict=True)]
        )
        self.steps = -(-len(split.train) // (execution.training_batch_size * recipe.accumulate))
        total = self.steps * recipe.epochs
        factors = {
            "constant": lambda step: 1.0,
            "cosine": lambda step: 0.5 * (1 + float(np.cos(np.pi * step / total))),
        }
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, factors[recipe.schedule])
        self.state = read_checkpoint(out, network, self.optimizer, self.schedule)
        self.parallel: Any = self.network
        if world > 1:
            group = torch.distributed.new_group(backend="nccl") if device.type == "cuda" else None
            self.parallel = DistributedDataParallel(self.network, process_group=group)
        self._frozen = Frozen(self.network, model.input_size, len(split.parts()))
        self._loss, self._kept = Loss.parse(recipe.loss), Kept()
        self._about = describe(model, network, recipe.task)
        self._balance = None if scenes is None else _balance(scenes, split.train).to(device)

    def run(self) -> TrainingState:
        """Train until the last epoch, or until validation stalls.

        Raises
        ------
        InputError
            If an image cannot be read, or the loss or gradient is not finite.
        """
        state = self.state
        if state.epoch or state.step:
            self.report.say(f"resuming at epoch {state.epoch + 1}, step {state.step + 1}")
        while state.epoch < self.recipe.epochs and not self._stalled():
            self._epoch()
        return state

    def evaluate(self, ids: Sequence[int]) -> pd.DataFrame:
        """Evaluate the network on stimuli, in the order given.

        Returns
        -------
        DataFrame
            ``image_id, nss``, or ``image_id, scene, predicted`` with the scenes' indices.
        """
        mine = list(ids)[self.rank :: self.world]
        size = self.execution.training_batch_size
        batches = [mine[k : k + size] for k in range(0, len(mine), size)]
        rows: list[dict[str, Any]] = []
        self.network.eval()
        with torch.inference_mode():
            for examples in self._load(batches):
                outputs = self._forward(self.network, examples)
                for example, output in zip(examples, outputs, strict=True):
                    row: dict[str, Any] = {"image_id": example.stimulus.id}
                    if self.scenes is None:
                        row["nss"] = float(nss(output[0], example.looked))
                    else:
                        row |= {"scene": example.scene, "predicted": int(output.argmax())}
                    rows.append(row)
        if self.world > 1:
            gathered: list = [None] * self.world
            torch.distributed.all_gather_object(gathered, rows)
            rows = [row for part in gathered for row in part]
        place = {number: index for index, number in enumerate(ids)}
        rows.sort(key=lambda row: place[row["image_id"]])
        return pd.DataFrame(rows)

    def _epoch(self) -> None:
        state, recipe = self.state, self.recipe
        order = np.random.default_rng([recipe.seed, state.epoch]).permutation(self.split.train)
        size = self.execution.training_batch_size
        batches = [order[k : k + size].tolist() for k in range(0, len(order), size)]
        # All processes must take part: one with an empty share passes a stimulus of weight 0.
        shares = [batch[self.rank :: self.world] or batch[:1] for batch in batches]
        loaded = self._load(shares[state.step * recipe.accumulate :])
        saved = time.monotonic()
        text = f"epoch {state.epoch + 1} of {recipe.epochs}"
        with self.report.task(text, self.steps, done=state.step) as advance:
            self.network.train()
            while state.step < self.steps:
                first = state.step * recipe.accumulate
                self._step(batches[first : first + recipe.accumulate], loaded)
                advance(1)
                if self.rank == 0 and time.monotonic() - saved > CHECKPOINT_S:
                    self._save()
                    saved = time.monotonic()
        self._end_epoch()

    def _step(self, batches: list[list[int]], loaded: Iterator[list[Example]]) -> None:
        """Pass some batches forward and backward, and change the weights once."""
        state = self.state
        torch.manual_seed(_mixed(self.recipe.seed, state.epoch, state.step, self.rank))
        count = sum(len(batch) for batch in batches)
        total = torch.zeros((), dtype=torch.float64)
        self.optimizer.zero_grad()
        for k, batch in enumerate(batches, start=1):
            examples = next(loaded)
            weight = 1.0 if self.rank < len(batch) else 0.0
            last = k == len(batches)
            with nullcontext() if last or self.world == 1 else self.parallel.no_sync():
                loss = weight * self._losses(examples).sum()
                # DDP averages over processes; this makes it the mean over stimuli.
                (loss * self.world / count).backward()
            total += loss.detach().cpu()
        if self.world > 1:
            torch.distributed.all_reduce(total)
        mean = float(total) / count
        norm = torch.nn.utils.clip_grad_norm_(self.trainable, float("inf"))
        if not (np.isfinite(mean) and torch.isfinite(norm)):
            what = "loss" if not np.isfinite(mean) else "gradient"
            raise InputError(
                f"{self.out}: the {what} is not finite at epoch {state.epoch + 1}, batch "
                f"{state.step + 1}; the last good checkpoint is kept (a lower --rate may help)"
            )
        rate = self.schedule.get_last_lr()[0]
        self.optimizer.step()
        self.schedule.step()
        row = {"epoch": state.epoch + 1, "step": state.step + 1, "loss": mean, "rate": rate}
        state.steps.append(row)
        state.step += 1

    def _end_epoch(self) -> None:
        state = self.state
        losses = [row["loss"] for row in state.steps if row["epoch"] == state.epoch + 1]
        validation = judged(self.evaluate(self.split.validation))
        better = validation > state.best
        if better:
            state.best, state.best_epoch = validation, state.epoch
        state.epochs.append(
            {"epoch": state.epoch + 1, "loss": float(np.mean(losses)), "validation": validation}
        )
        state.epoch, state.step = state.epoch + 1, 0
        if self.rank == 0:
            for name in ("best", "last") if better else ("last",):
                write_weights(self.out / f"{name}.safetensors", self.network, self._about)
            self._save()
        measure = "NSS" if self.scenes is None else "balanced accuracy"
        self.report.say(
            f"epoch {state.epoch}: loss {np.mean(losses):.3f}, "
            f"validation {measure} {validation:.3f}" + (" (best so far)" if better else "")
        )

    def _save(self) -> None:
        state = self.state
        for name in ("steps", "epochs"):
            write_table(self.out / f"{name}.csv", pd.DataFrame(getattr(state, name)))
        write_checkpoint(self.out, state, self.network, self.optimizer, self.schedule)

    def _losses(self, examples: list[Example]) -> torch.Tensor:
        """Return each example's loss, float32 (n,)."""
        outputs = self._forward(self.parallel, examples)
        if self._balance is not None:
            scenes = torch.tensor([example.scene for example in examples], device=self.device)
            losses = F.cross_entropy(outputs.float(), scenes, reduction="none")
            return losses * self._balance[scenes]
        losses = []
        for example, output in zip(examples, outputs, strict=True):
            looked = example.looked.to(self.device)
            losses.append(self._loss(output[0], looked))
        return torch.stack(losses)

    def _forward(self, network: Any, examples: list[Example]) -> torch.Tensor:
        def images() -> torch.Tensor:
            return self.model.images(np.stack([example.rgb for example in examples]), self.device)

        ids = [example.stimulus.id for example in examples]
        bf16 = self.execution.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            return self._frozen.forward(network, ids, images)

    def _load(self, batches: list[list[int]]) -> Iterator[list[Example]]:
        density = self.scenes is None and self._loss.needs_density
        work = lesson(self.dataset, batches, self._kept, density=density, scenes=self.scenes)
        resize = self.model.resize
        if batches:
            for _, examples, _ in load_batches(
                *(work, list(range(len(batches))), resize, self.device),
                workers=self.execution.workers,
            ):
                yield examples

    def _stalled(self) -> bool:
        return self.state.epoch - self.state.best_epoch > self.recipe.patience


def judged(table: pd.DataFrame) -> float:
    """Return the mean NSS, or the balanced accuracy: the mean recall over scenes."""
    if "nss" in table:
        return float(table["nss"].mean())
    right = table["scene"] == table["predicted"]
    return float(right.groupby(table["scene"]).mean().mean())


def _balance(scenes: Mapping[int, int], train: Sequence[int]) -> torch.Tensor:
    """Return a weight for each scene that makes all count the same; 1 on average."""
    counts = np.bincount([scenes[number] for number in train])
    return torch.from_numpy((len(train) / (len(counts) * counts)).astype(np.float32))


def _mixed(*numbers: int) -> int:
    """Return one seed from several."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])

"""Training: from a recipe, a network and a dataset to a training folder.

References
----------
He et al., CVPR 2019, section 4.2 (setups I and II) and section 8 (scene recognition).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

import pandas as pd
import torch
from safetensors.torch import save

from ...datasets.errors import InputError
from ...datasets.files import atomic_write, sha256
from ...datasets.stimuli import Dataset
from ...terminal.console import notes
from ..networks.device import exact, processes, resolve_device, wait
from ..networks.heads import Headed, SaliencyModel
from ..networks.load import load_model
from ..networks.model import Model
from ..networks.trained import FORMAT, add_head, read_description
from ..networks.weights import read_state
from ..runs.provenance import provenance
from ..runs.resuming import check_same, make_folder
from .recipe import Recipe
from .split import Split, describe, stratified_split, usual_split
from .store import Progress, write_description, write_table
from .trainer import Trainer, judged


class Setting(TypedDict, total=False):
    """What is trained and where; the options of `train` that sweeps and tasks share."""

    model: str
    weights: str
    layer: str | None
    input_size: tuple[int, int] | None
    device: str
    workers: int | None


def train(
    dataset: Dataset,
    recipe: Recipe,
    out: str | Path,
    *,
    model: str = "vgg16",
    weights: str = "default",
    layer: str | None = None,
    input_size: tuple[int, int] | None = None,
    split: Split | None = None,
    scenes: Mapping[int, str] | None = None,
    device: str = "auto",
    workers: int | None = None,
) -> dict:
    """Train a network for saliency or for scene recognition.

    Killed, the same call goes on where it was, to the same weights bit for bit (float32, CPU):
    each step's randomness comes from the seed, the epoch and the step alone. Under torchrun,
    each process takes its share of every batch.

    Parameters
    ----------
    dataset : Dataset
    recipe : Recipe
    out : path
        The training folder. An unfinished training of the same parameters in it is resumed, a
        complete one left as it is.
    model, weights, input_size
        The backbone; see `load_model`.
    layer : str, optional
        Where it is cut; by default at its last block's output (VGG: conv5_3).
    split : Split, optional
        By default `usual_split`; with scenes, `stratified_split`.
    scenes : mapping, optional
        From a stimulus's id to its scene; what scene recognition learns.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    workers : int, optional
        Threads that decode images; by default one per CPU, at most 16.

    Returns
    -------
    dict
        The content of ``train.json``.

    Raises
    ------
    InputError
        For anything wrong with the input, a folder of another training, and a loss that is not
        finite: then the last good checkpoint is kept.
    """
    out = Path(out)
    if recipe.task == "scenes" and not scenes:
        raise InputError("scene recognition needs the stimuli's scenes")
    if split is None:
        split = stratified_split(scenes) if scenes else usual_split(dataset)
    _check(dataset, split, recipe, scenes)
    names = sorted(set(scenes.values())) if scenes and recipe.task == "scenes" else None
    with processes() as (rank, world):
        where = resolve_device(device)
        base = load_model(model, weights, seed=recipe.seed, input_size=input_size)
        torch.manual_seed(recipe.seed)
        network = add_head(base, layer, names)
        network.tune(recipe.tune)
        if rank == 0:
            description = _description(dataset, split, recipe, base, network, names, where)
            _begin(out, description, split, dataset)
        wait(world)
        if read_description(out)["status"] == "complete":
            return read_description(out)
        if rank == 0:
            notes.print(f"training on {describe(split)} stimuli", markup=False)
        indices = {name: index for index, name in enumerate(names or ())}
        numbers = {key: indices[one] for key, one in (scenes or {}).items()} if names else None
        with exact(where):
            trainer = Trainer(
                *(dataset, split, recipe, base, network, numbers, out, where),
                *(workers, rank, world),
            )
            state = trainer.run()
            wait(world)
            network.load_state_dict(read_state(out / "best.safetensors"))
            test = trainer.evaluate(split.test) if split.test else None
        if rank == 0:
            _complete(out, network, state, test, dataset)
        wait(world)
        return read_description(out)


def _check(
    dataset: Dataset, split: Split, recipe: Recipe, scenes: Mapping[int, str] | None
) -> None:
    stimuli = {one.id: one for one in dataset.stimuli}
    for number in split.parts():
        if recipe.task == "saliency" and not len(dataset.fixations.of(number)):
            raise InputError(f"{stimuli[number].file_name}: no fixations to learn from")
        if recipe.task == "scenes" and number not in (scenes or {}):
            raise InputError(f"{stimuli[number].file_name}: no scene to learn")
        dataset.stimuli.path(stimuli[number])  # all there, before hours of work
    if recipe.task == "scenes" and scenes:
        missing = set(scenes.values()) - {scenes[number] for number in split.train}
        if missing:
            raise InputError(f"scene {min(missing)!r}: no stimulus is left to train on")


def _description(
    dataset: Dataset,
    split: Split,
    recipe: Recipe,
    base: Model,
    network: Headed,
    scenes: list[str] | None,
    device: torch.device,
) -> dict:
    """Return ``train.json`` as training begins."""
    backbone = {
        "model": base.name,
        "weights": base.weights,
        "layer": network.layer.name,
        "input_size": list(base.input_size),
    }
    return {
        "format": FORMAT,
        "status": "running",
        **provenance(device),
        "parameters": {
            **recipe.to_dict(),
            "backbone": backbone,
            "fixations": dataset.fixations.sha256(),
            "split": split.sha256(),
            "device": device.type,
        },
        "tuned": [name for name, one in network.named_parameters() if one.requires_grad],
        "scenes": scenes,
        "dataset": dataset.name,
        "simulated": dataset.simulated,
        "px_per_degree": dataset.px_per_degree,
    }


def _begin(out: Path, description: dict, split: Split, dataset: Dataset) -> None:
    """Begin the training folder, or resume what is in it; a complete one stays as it is."""
    if not make_folder(out):
        before = read_description(out)
        check_same(out, before, description, ("parameters",))
        if before["status"] == "complete":
            notes.print(f"{out} is complete already; nothing to do", markup=False)
            return
    names = {one.id: one.file_name for one in dataset.stimuli}
    rows = [(names[number], part) for number, part in split.parts().items()]
    write_table(out / "split.csv", pd.DataFrame(rows, columns=["image", "split"]))
    write_description(out, description)


def _complete(
    out: Path, network: Headed, state: Progress, test: pd.DataFrame | None, dataset: Dataset
) -> None:
    """Write what came out, and say that training is complete."""
    description = read_description(out)
    result: dict = {
        "epochs": state.epoch,
        "best_epoch": state.best_epoch + 1,
        "validation": state.best,
    }
    if test is not None:
        result["test"] = judged(test)
        names = {one.id: one.file_name for one in dataset.stimuli}
        test.insert(1, "image", [names[number] for number in test["image_id"]])
        for column in {"scene", "predicted"}.intersection(test):
            test[column] = [description["scenes"][index] for index in test[column]]
        write_table(out / "test.csv", test)
    if isinstance(network, SaliencyModel):
        about = {"backbone": json.dumps(description["parameters"]["backbone"])}
        with atomic_write(out / "readout.safetensors") as file:
            file.write(save({"weight": network.readout.weight.detach().cpu()}, about))
    description |= {
        "status": "complete",
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "result": result,
        "sha256": {path.name: sha256(path) for path in sorted(out.glob("*.safetensors"))},
    }
    write_description(out, description)
    (out / "checkpoint.pt").unlink(missing_ok=True)

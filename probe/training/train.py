"""Training: from a recipe, a network and a dataset to a training folder.

References
----------
He et al., CVPR 2019, section 4.2 (setups I and II) and section 8 (scene recognition).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import save

from ...datasets.errors import InputError
from ...datasets.files import atomic_write, sha256
from ...datasets.progress import SILENT, Progress
from ...datasets.stimuli import Dataset, Stimuli
from ..networks.device import (
    DEFAULT_EXECUTION,
    Execution,
    device_name,
    exact,
    own_random_state,
    resolve_device,
)
from ..networks.heads import Headed, SaliencyModel
from ..networks.load import Backbone
from ..networks.model import Model
from ..networks.trainable import trainable
from ..processes import environment_number, processes
from ..records.record import provenance
from ..records.train_info import TrainInfo, TrainParameters
from ..runs.images import check_images, read_images
from ..runs.resuming import check_agreed, check_same, check_shared, locked, make_folder
from ..sources.weights import fill, read_states
from .recipe import Recipe
from .split import Split, describe, read_labels, stratified_split, usual_split
from .store import TrainingState, write_table
from .trainer import Trainer, judged


def train(
    dataset: Dataset,
    recipe: Recipe,
    out: str | Path,
    *,
    model: str | Backbone = "vgg16",
    new_readout: bool = False,
    split: Split | None = None,
    scenes: Mapping[int, str] | None = None,
    execution: Execution = DEFAULT_EXECUTION,
    progress: Progress = SILENT,
) -> TrainInfo:
    """Train a network for saliency or for scene recognition.

    If interrupted, the same call resumes and ends in the same weights bit for bit (float32,
    CPU): each step's randomness comes from the seed, the epoch and the step alone. Under
    torchrun, each process takes its share of every batch. The caller's random state is unchanged.

    Parameters
    ----------
    dataset : Dataset
    recipe : Recipe
    out : path
        The training folder. If it holds a training with the same parameters, an unfinished one
        is resumed and a complete one is left unchanged.
    model : str or Backbone
        A network's name (see `load_model`), or a `Backbone`, whose ``layer`` says where it is
        cut; by default at its last block's output (VGG: conv5_3). Training goes on from a
        training folder's network, with its readout or classifier if the task is the same.
    new_readout : bool
        Take only the cut network from a training folder, and begin with new layers on top.
    split : Split, optional
        By default `usual_split`; with scenes, `stratified_split`.
    scenes : mapping, optional
        From a stimulus's id to its scene; needed for scene recognition.
    execution : Execution
        Device, precision, batch size, decoding threads.
    progress : Progress
        Where to report; silent by default.

    Returns
    -------
    TrainInfo
        The content of ``train.json``.

    Raises
    ------
    InputError
        If any input is wrong, the folder holds another training, or the loss is not finite; in
        that case the last good checkpoint is kept.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> dataset = sp.load_dataset("sample")
    >>> backbone = sp.Backbone("squeezenet1_0", "random", input_size=(64, 64))
    >>> info = sp.train(dataset, sp.Recipe(tune=1, epochs=2), "trained", model=backbone)
    >>> info.status, info.result.epochs, info.parameters.backbone.layer
    ('complete', 2, 'features.12')
    >>> sp.load_model("trained").layers()[-1].name
    'readout'
    """
    out = Path(out)
    if recipe.task == "scenes" and not scenes:
        raise InputError("scene recognition needs the stimuli's scenes")
    with processes() as team, ExitStack() as stack:
        if split is None:
            split = stratified_split(scenes) if scenes else usual_split(dataset)
        _check(dataset, split, recipe, scenes)
        names = sorted(set(scenes.values())) if scenes and recipe.task == "scenes" else None
        backbone = Backbone(model) if isinstance(model, str) else model
        device = stack.enter_context(own_random_state(resolve_device(execution.device)))
        progress = progress if team.rank == 0 else SILENT
        base, network = trainable(backbone, recipe.seed, names, new_readout=new_readout)
        network.tune(recipe.tune)
        info = _info(dataset, split, recipe, base, network, names, device, execution)
        check_agreed(team, info.content(), ("salprobe", "versions", "parameters"))
        if team.rank == 0:
            if not make_folder(out):
                TrainInfo.read(out)  # leave other folders alone
            stack.enter_context(locked(out))
            _begin(out, info, split, dataset, progress)
        check_shared(team, out)
        if TrainInfo.read(out).status == "complete":
            return TrainInfo.read(out)
        if team.rank and not environment_number("LOCAL_RANK", 0):  # another machine's pictures
            stimuli = _stimuli(dataset, split)
            check_images(out, stimuli, _hashes(out / "split.csv", stimuli))
        team.group()
        progress.say(f"training on {describe(split)} stimuli")
        indices = {name: index for index, name in enumerate(names or ())}
        numbers = (
            {number: indices[scene] for number, scene in (scenes or {}).items()} if names else None
        )
        with exact(device):
            trainer = Trainer(
                *(dataset, split, recipe, base, network, numbers, out, device, execution),
                rank=team.rank,
                world=team.world,
                progress=progress,
            )
            state = trainer.run()
            team.wait()
            best = out / "best.safetensors"
            fill(network, read_states(best)[0][""], str(best))
            test = trainer.evaluate(split.test) if split.test else None
        if team.rank == 0:
            _complete(out, network, state, test, dataset)
        team.wait()
        return TrainInfo.read(out)


def _check(
    dataset: Dataset, split: Split, recipe: Recipe, scenes: Mapping[int, str] | None
) -> None:
    stimuli = {stimulus.id: stimulus for stimulus in dataset.stimuli}
    for number in split.parts():
        if recipe.task == "saliency" and not len(dataset.fixations.of(number)):
            raise InputError(f"{stimuli[number].file_name}: no fixations to learn from")
        if recipe.task == "scenes" and number not in (scenes or {}):
            raise InputError(f"{stimuli[number].file_name}: no scene to learn")
        dataset.stimuli.path(stimuli[number])  # fail before hours of work if one is missing
    if recipe.task == "scenes" and scenes:
        missing = set(scenes.values()) - {scenes[number] for number in split.train}
        if missing:
            raise InputError(f"scene {min(missing)!r}: no stimulus is left to train on")


def _info(
    dataset: Dataset,
    split: Split,
    recipe: Recipe,
    base: Model,
    network: Headed,
    scenes: list[str] | None,
    device: torch.device,
    execution: Execution,
) -> TrainInfo:
    """Return ``train.json`` as training begins."""
    parameters = {
        **recipe.to_dict(),
        "batch_size": execution.training_batch_size,
        "precision": execution.precision,
        "backbone": {
            "model": base.name,
            "weights": base.weights,
            "layer": network.layer.name,
            "input_size": base.input_size,
            **({"code": base.code} if base.code else {}),
        },
        **({"readout": "continued"} if network is base.network else {}),
        "fixations": dataset.fixations.sha256(),
        "split": split.sha256(),
        "device": device.type,
    }
    return TrainInfo(
        format=TrainInfo.newest,
        status="running",
        **provenance(device_name(device)),
        parameters=TrainParameters.model_validate(parameters),
        tuned=[name for name, parameter in network.named_parameters() if parameter.requires_grad],
        scenes=scenes,
        dataset=dataset.name,
        simulated=dataset.simulated,
        px_per_degree=dataset.px_per_degree,
    )


def _begin(out: Path, info: TrainInfo, split: Split, dataset: Dataset, progress: Progress) -> None:
    """Begin the training folder, or resume its training; a complete one stays unchanged."""
    parts, stimuli = split.parts(), _stimuli(dataset, split)
    table = out / "split.csv"
    if (out / TrainInfo.file_name).exists():
        before = TrainInfo.read(out)
        check_same(out, before.content(), info.content(), ("parameters",))
        before.check_files(out)
        complete = before.status == "complete"
        begun = complete or bool(before.sha256) or (out / "checkpoint.pt").exists()
        if begun:  # else it was killed before it had trained
            check_images(out, stimuli, _hashes(table, stimuli), progress)
        if complete:
            (out / "checkpoint.pt").unlink(missing_ok=True)  # of a training killed as it ended
            progress.say(f"{out} is already complete; nothing to do")
            return
        if begun:
            info.model_copy(update={"sha256": before.sha256}).write(out)
            return
    hashes = read_images(stimuli, progress)
    info.write(out)
    names = {stimulus.id: stimulus.file_name for stimulus in stimuli}
    rows = [(names[number], part, hashes[number]) for number, part in parts.items()]
    write_table(table, pd.DataFrame(rows, columns=["image", "split", "sha256"]))
    info.model_copy(update={"sha256": {table.name: sha256(table)}}).write(out)


def _stimuli(dataset: Dataset, split: Split) -> Stimuli:
    """Return the stimuli that a split names."""
    parts = split.parts()
    images = tuple(stimulus for stimulus in dataset.stimuli if stimulus.id in parts)
    return Stimuli(dataset.stimuli.root, images)


def _hashes(table: Path, stimuli: Stimuli) -> dict[int, str]:
    """Return the SHA-256 of each image as training began, by its stimulus's id."""
    try:
        return read_labels(table, stimuli, "sha256")
    except InputError as error:
        raise InputError(
            f"{table.parent}: does not record the contents of its images, so nobody knows whether "
            f"they are still the same ({error}); choose another --out"
        ) from error


def _complete(
    out: Path, network: Headed, state: TrainingState, test: pd.DataFrame | None, dataset: Dataset
) -> None:
    """Write the results and mark the training as complete."""
    info = TrainInfo.read(out)
    result: dict = {
        "epochs": state.epoch,
        "best_epoch": state.best_epoch + 1,
        "validation": state.best,
    }
    if test is not None:
        result["test"] = judged(test)
        names = {stimulus.id: stimulus.file_name for stimulus in dataset.stimuli}
        test.insert(1, "image", [names[number] for number in test["image_id"]])
        for column in {"scene", "predicted"}.intersection(test):
            test[column] = [(info.scenes or [])[index] for index in test[column]]
        write_table(out / "test.csv", test)
    if isinstance(network, SaliencyModel):
        about = {"backbone": json.dumps(info.content()["parameters"]["backbone"])}
        with atomic_write(out / "readout.safetensors") as file:
            file.write(save({"weight": network.readout.weight.detach().cpu()}, about))
    outcome = {
        "status": "complete",
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "result": result,
        "sha256": {
            path.name: sha256(path)
            for kind in ("safetensors", "csv")
            for path in sorted(out.glob(f"*.{kind}"))
        },
    }
    TrainInfo.model_validate({**info.content(), **outcome}).write(out)
    (out / "checkpoint.pt").unlink(missing_ok=True)

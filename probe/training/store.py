"""The training folder: records, weights, and the checkpoint to resume from.

``train.json`` says what is trained, on what, and with which result; ``best.safetensors`` and
``last.safetensors`` hold the whole network; ``readout.safetensors`` only the 1×1 convolution;
``split.csv`` the part of each stimulus; ``steps.csv`` and ``epochs.csv`` how it went;
``test.csv`` each test stimulus. ``checkpoint.pt`` exists only while training is unfinished.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from ...datasets.errors import InputError
from ...datasets.files import atomic_write
from ...datasets.options import check_types
from ...datasets.readers.tables import read_columns
from ...datasets.texts import csv_of
from ..sources.weights import load_tensors, reason


@dataclass
class TrainingState:
    """The progress of a training.

    Attributes
    ----------
    epoch, step : int
        The next step and its epoch, both from 0.
    best, best_epoch : float, int
        The highest validation so far, and its epoch.
    steps, epochs : lists of dict
        The rows of ``steps.csv`` and ``epochs.csv``.
    """

    epoch: int = 0
    step: int = 0
    best: float = float("-inf")
    best_epoch: int = -1
    steps: list[dict] = field(default_factory=list)
    epochs: list[dict] = field(default_factory=list)


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV, atomically."""
    with atomic_write(path) as file:
        file.write(csv_of(frame).encode())


def read_test(
    folder: Path, ids: Sequence[int], texts: Sequence[str] = (), numbers: Sequence[str] = ()
) -> pd.DataFrame:
    """Return ``image_id`` and other columns of a training's ``test.csv``.

    Parameters
    ----------
    folder : Path
    ids : sequence of int
        The test stimuli, in order.
    texts, numbers : sequence of str
        See `read_columns`.

    Raises
    ------
    InputError
        If it cannot be read, or has other stimuli.
    """
    path = folder / "test.csv"
    table = read_columns(path, texts, ["image_id"], numbers)
    if table["image_id"].tolist() != list(ids):
        raise InputError(f"{path}: expected the {len(ids)} test stimuli, in their order")
    return table[["image_id", *texts, *numbers]]


def write_checkpoint(
    folder: Path,
    state: TrainingState,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    """Write everything needed to resume a training, atomically.

    Parameters
    ----------
    folder : Path
        The training folder.
    state : TrainingState
    network : Module
    optimizer : Optimizer
    schedule : LRScheduler
    """
    content = {
        "progress": vars(state),
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with atomic_write(folder / "checkpoint.pt") as file:
        file.write(buffer.getbuffer())


def read_checkpoint(
    folder: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> TrainingState:
    """Resume from ``checkpoint.pt``; without one, start from the beginning.

    Parameters
    ----------
    folder : Path
        The training folder.
    network : Module
    optimizer : Optimizer
    schedule : LRScheduler
        These three are modified in place.

    Raises
    ------
    InputError
        If the checkpoint is damaged, or of another network.
    """
    path = folder / "checkpoint.pt"
    if not path.exists():
        return TrainingState()
    if path.is_symlink() or not path.is_file():
        raise InputError(f"{path}: expected a plain file")
    try:
        content = load_tensors(path)
        network.load_state_dict(content["network"])
        optimizer.load_state_dict(content["optimizer"])
        schedule.load_state_dict(content["schedule"])
        state = TrainingState(**content["progress"])
        check_types(state)
        return state
    except Exception as error:  # pickle, zip and state dicts raise many types
        why = f"it lacks {error}" if isinstance(error, KeyError) else reason(error)
        raise InputError(f"{path}: cannot be resumed from: {why}") from error

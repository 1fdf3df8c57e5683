"""Devices: CPU, CUDA or MPS; under torchrun, one process per GPU."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from ...datasets.errors import InputError
from ...datasets.options import check_types
from ..choices import Precision
from ..processes import environment_number


@dataclass(frozen=True)
class Execution:
    """Where and how a network runs.

    Attributes
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    workers : int or None
        Threads that decode images; by default one per CPU, at most 16.
    precision : "fp32" or "bf16"
        Precision of the forward pass (in training, also of the backward pass); scores are always
        float32.
    batch_size : int, optional
        Stimuli per forward pass; by default 4 on a CPU, whose caches hold no more, 32 on other
        devices, and 16 in training.

    Raises
    ------
    InputError
        If a value has another type or is out of range; the device is tried when it is used.
    """

    device: str = "auto"
    workers: int | None = None
    precision: Precision = "fp32"
    batch_size: int | None = None

    def __post_init__(self) -> None:
        check_types(self)
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"batch size {self.batch_size}: expected 1 or more")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"workers {self.workers}: expected 1 or more")

    def batch_size_on(self, device: torch.device) -> int:
        """Return how many stimuli a forward pass without training takes."""
        return self.batch_size or (4 if device.type == "cpu" else 32)

    @property
    def training_batch_size(self) -> int:
        """How many stimuli a step of training takes; the same on every device."""
        return self.batch_size or 16


DEFAULT_EXECUTION = Execution()


def resolve_device(name: str) -> torch.device:
    """Resolve a device name; under torchrun each process has its own GPU.

    Raises
    ------
    InputError
        If there is no such device, or it cannot be used.
    """
    if name == "auto":
        name = (
            "cuda"
            if torch.cuda.is_available()
            else "mps"
            if torch.backends.mps.is_available()
            else "cpu"
        )
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device {name!r}: expected auto, cpu, cuda, cuda:N or mps") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise InputError(f"device {name!r}: expected auto, cpu, cuda, cuda:N or mps")
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", environment_number("LOCAL_RANK", 0))
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"device {name!r} cannot be used: {reason}") from error
    return device


def device_name(device: torch.device) -> str:
    """Return the name of a device as `run.json` records it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"


@contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Use full float32 in convolutions (no TF32), and deterministic algorithms."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    ):
        yield


@contextmanager
def own_random_state(device: torch.device) -> Iterator[torch.device]:
    """Restore torch's random state afterwards, on the CPU and the device; yields the device."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield device

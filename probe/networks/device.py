"""Where a run computes: CPU, CUDA or MPS, in one process or one per GPU under torchrun."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch

from ...datasets.errors import InputError


def resolve_device(name: str) -> torch.device:
    """Resolve a device name; under torchrun each process has its own GPU."""
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
    if device.type == "cuda" and device.index is None:
        local = int(os.environ.get("LOCAL_RANK", 0))
        device = torch.device("cuda", local)
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {name!r} cannot be used: {reason}") from error
    return device


def device_name(device: torch.device) -> str:
    """Return what `run.json` calls a device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"


@contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Full float32 in convolutions (no TF32), and the same algorithm every time."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    ):
        yield


@contextmanager
def processes() -> Iterator[tuple[int, int]]:
    """Join the processes that torchrun started; yields (rank, number of processes)."""
    world = int(os.environ.get("WORLD_SIZE", 1))
    if world == 1 or not torch.distributed.is_torchelastic_launched():
        yield 0, 1
        return
    torch.distributed.init_process_group("gloo", timeout=timedelta(days=7))
    try:
        yield torch.distributed.get_rank(), world
    finally:
        torch.distributed.destroy_process_group()


def wait(world: int) -> None:
    """Wait until all processes are here."""
    if world > 1:
        torch.distributed.barrier()

"""State dicts: read without unpickling, loaded strictly, hashed."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...datasets.errors import InputError, reading


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict, unpickling nothing but tensors.

    A dict nested under ``state_dict``, ``model_state_dict`` or ``model`` is used; prefixes that
    all keys share (``module.``, ``_orig_mod.``, ``model.``, ``backbone.``) are dropped.

    Raises
    ------
    InputError
        If the file is missing or is not a state dict.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: {'is a folder' if path.is_dir() else 'no such file'}, expected weights"
        )
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        with reading(path):
            state = load_file(path)
    else:
        state = load_tensors(path)
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError(f"{path}: not a state dict (names and tensors)")
    for prefix in ("module.", "_orig_mod.", "model.", "backbone."):
        if state and all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def load_tensors(path: Path) -> Any:
    """Return what `torch.save` wrote, on the CPU: tensors, numbers and texts in lists and dicts.

    Raises
    ------
    InputError
        If it is malformed, holds anything else, or would unpack to more than the file.
    """
    with reading(path):
        if zipfile.is_zipfile(path):  # torch compresses nothing
            with zipfile.ZipFile(path) as file:
                size = sum(entry.file_size for entry in file.infolist())
            if size > path.stat().st_size:
                raise InputError(f"{path}: unpacks to {size} bytes, more than the file has")
        return torch.load(path, map_location="cpu", weights_only=True)


def fill(network: nn.Module, state: dict[str, torch.Tensor], complaint: str) -> None:
    """Load a state dict strictly; half precision is widened to float32.

    Raises
    ------
    InputError
        If keys are missing, unexpected or of another shape, or a value is not finite; the message
        begins with ``complaint``.
    """
    own = network.state_dict()
    problems = []
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    shapes = [
        f"{key} is {tuple(state[key].shape)}, expected {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    for what, keys in (("missing", missing), ("unexpected", unexpected), ("shape", shapes)):
        if keys:
            more = f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""
            problems.append(f"{what}: {keys[0]}{more}")
    if problems:
        raise InputError(f"{complaint}; {'; '.join(problems)}")
    with reading(complaint):  # tensors of odd types raise almost anything
        wrong = [key for key, value in state.items() if not torch.isfinite(value).all()]
        if wrong:
            raise InputError(f"{complaint}; {wrong[0]} is not finite")
        network.load_state_dict(state)


def state_sha256(network: nn.Module) -> str:
    """Return the SHA-256 of all parameters and buffers, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for key, value in network.state_dict().items():
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()

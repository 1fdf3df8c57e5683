"""Files of weights: read without unpickling, matched to a network, hashed, written."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from ...datasets.errors import InputError, reading
from ...datasets.files import atomic_write
from .tensorflow import SUFFIXES, tensorflow_states

State = dict[str, torch.Tensor]
"""A network's parameters and buffers by their keys."""

ABOUT = "salprobe"
"""The key of the metadata under which our files of weights say what they hold."""

_DEEPEST = 8  # dicts within dicts; a pickle may hold itself
_HEADS = ("readout.weight", "backbone.")  # our keys of a saliency model
_TRAINING_ONLY = ("mask_token",)  # what stands for hidden patches while a ViT is trained


@dataclass(frozen=True)
class Found:
    """What a file holds for a network.

    Attributes
    ----------
    state : dict
        By the network's own keys.
    extra : list of str
        Keys beside these that the network does not have.
    readout : Tensor or None
        The 1×1 convolution, shape (1, units, 1, 1), of a trained saliency model.
    layer : str or None
        The layer that it reads, if the file says so.
    """

    state: State
    extra: list[str] = field(default_factory=list)
    readout: torch.Tensor | None = None
    layer: str | None = None


def read_states(path: Path) -> tuple[dict[str, State], dict[str, Any]]:
    """Read every state dict in a file, unpickling nothing but tensors and plain containers.

    Files of TensorFlow (.pb, .index) too; see `tensorflow_states`.

    Returns
    -------
    states : dict
        By place: the keys that lead to it, joined by dots; ``""`` for the file itself.
    about : dict
        What the file says it is, if it is ours.

    Raises
    ------
    InputError
        If the file is missing or holds no state dict.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: {'is a folder' if path.is_dir() else 'no such file'}, expected weights"
        )
    about = {}
    if path.suffix in SUFFIXES:
        with reading(path):
            return tensorflow_states(path), {}
    if path.suffix == ".safetensors":
        from safetensors import safe_open

        with reading(path), safe_open(path, "pt") as file:
            content = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            about = json.loads((file.metadata() or {}).get(ABOUT, "{}"))
    else:
        content = load_tensors(path)
    states = dict(_states(content))
    if not states:
        raise InputError(f"{path}: not a state dict (names and tensors)")
    return states, about if isinstance(about, dict) else {}


def write_weights(path: Path, network: nn.Module, about: Mapping[str, Any]) -> None:
    """Write a network's weights as safetensors, atomically.

    Parameters
    ----------
    path : Path
    network : Module
    about : mapping
        What the file holds, ready for JSON: its metadata under the key ``salprobe``. One key,
        because safetensors does not keep the order of several, and a resumed training ends in the
        same bytes.
    """
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    with atomic_write(path) as file:
        file.write(save(state, {ABOUT: json.dumps(about)}))


def load_tensors(path: Path) -> Any:
    """Return what `torch.save` wrote, on the CPU: tensors, numbers and texts in plain containers.

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
    try:
        # Training scripts save their arguments beside the tensors. A Namespace holds attributes
        # and runs nothing when it is read.
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error says it
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle and zip raise many types
        raise InputError(f"{path}: not a file of weights ({reason(error)})") from error


def reason(error: Exception) -> str:
    """Say in a few words why torch did not read a file, without its advice to unpickle it."""
    text = " ".join(str(error).split())
    other = re.search(r"GLOBAL (\S+) (?:was not|whose)", text)
    if other:
        return (
            f"beside tensors it holds {other[1][:60]}, which is not unpickled; save the state dict "
            "alone"
        )
    if "weights_only" in text or text.startswith("Weights only"):
        return "it holds more than tensors, which is not unpickled; save the state dict alone"
    if text.isdecimal():  # the pickle that is none
        return "it is another kind of file"
    return text[:200] or type(error).__name__


def find(
    path: Path, own: Mapping[str, torch.Tensor], *, key: str | None, prefix: str | None
) -> Found:
    """Find a network's weights in a file.

    They may lie in dicts within dicts, and after any prefix (``module.``, ``_orig_mod.module.``,
    ``teacher.backbone.``): the place and the prefix are those that give most of the network's keys.

    Parameters
    ----------
    path : Path
    own : mapping
        The network's state dict.
    key, prefix : str, optional
        The place and the prefix, if the file holds several networks.

    Raises
    ------
    InputError
        If the file cannot be read, has nothing there, or holds several networks.
    """
    states, about = read_states(path)
    if key is not None:
        if key not in states:
            known = ", ".join(one or "the file itself" for one in states)
            raise InputError(f"{path}: --weights-key {key}: expected one of {known}")
        states = {key: states[key]}
    states = {place: _ours(state) for place, state in states.items()}
    counts = Counter(
        {
            (place, start): count
            for place, state in states.items()
            for start, count in _prefixes(state, own).items()
            if prefix in (None, start)
        }
    )
    if not counts:
        some = next(iter(next(iter(states.values()))))
        after = "" if prefix is None else f" after --weights-prefix {prefix!r}"
        raise InputError(f"{path}: expected keys such as {next(iter(own))}{after}, got {some}")
    most = max(counts.values())
    likely = [one for one, count in counts.items() if 2 * count > most]
    if len(likely) > 1:
        places = list(dict.fromkeys(place for place, _ in likely))
        option = "--weights-key" if len(places) > 1 else "--weights-prefix"
        names = places if len(places) > 1 else [start for _, start in likely]
        texts = ", ".join(name or "''" for name in names)
        raise InputError(f"{path}: holds several networks; choose one by {option}: {texts}")
    place, start = likely[0]
    state = states[place]
    under = {name.removeprefix(start): t for name, t in state.items() if name.startswith(start)}
    head = f"{start.removesuffix(_HEADS[1])}{_HEADS[0]}" if start.endswith(_HEADS[1]) else ""
    readout = state.get(head)
    return Found(
        {name: under[name] for name in own if name in under},
        [
            name
            for name, tensor in under.items()
            if name not in own and tensor.is_floating_point() and name not in _TRAINING_ONLY
        ],
        readout if _is_readout(readout) else None,
        about.get("layer"),
    )


def unfit(own: Mapping[str, torch.Tensor], state: State) -> dict[str, str]:
    """Say what a state dict lacks for a network, by key; counters and indices do not count.

    Parameters
    ----------
    own : mapping
        The network's state dict. A parameter that it has twice may be in the other once.
    state : dict
    """
    wrong, right = {}, set()
    for key, value in own.items():
        got = state.get(key)
        if got is None:
            wrong[key] = "missing"
        elif got.shape != value.shape:
            wrong[key] = f"is {tuple(got.shape)}, expected {tuple(value.shape)}"
        elif value.is_floating_point() and not got.is_floating_point():
            wrong[key] = f"holds {str(got.dtype).removeprefix('torch.')}, expected floating point"
        elif not torch.isfinite(got).all():
            wrong[key] = "is not finite"
        else:
            right.add(value.untyped_storage().data_ptr())
    return {
        key: what
        for key, what in wrong.items()
        if own[key].is_floating_point() and own[key].untyped_storage().data_ptr() not in right
    }


def fill_what_fits(own: Mapping[str, torch.Tensor], state: State, lacking: Mapping) -> None:
    """Copy a state dict into a network's; half precision is widened to float32.

    What it lacks becomes NaN, so that no number can come of it unnoticed.
    """
    for key, value in own.items():
        got = state.get(key)
        if key in lacking:
            value.fill_(torch.nan)
        elif got is not None and got.shape == value.shape:
            value.copy_(got)


def complaint(lacking: Mapping[str, str], unexpected: list[str]) -> str:
    """Say in one line what does not fit: the first missing, unexpected and misshapen key."""
    missing = [key for key, wrong in lacking.items() if wrong == "missing"]
    others = [f"{key} {wrong}" for key, wrong in lacking.items() if wrong != "missing"]
    parts = []
    for what, keys in (("missing: ", missing), ("unexpected: ", unexpected), ("", others)):
        if keys:
            more = f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""
            parts.append(f"{what}{keys[0]}{more}")
    return "; ".join(parts)


def fill(network: nn.Module, state: State, whose: str) -> None:
    """Load a state dict strictly; half precision is widened to float32.

    Raises
    ------
    InputError
        If keys are missing, unexpected or of another shape, or a value is not finite; the message
        begins with ``whose``.
    """
    unexpected = [key for key in state if key not in network.state_dict()]
    with reading(whose):  # tensors of odd types raise almost anything
        lacking = unfit(network.state_dict(), state)
        if lacking or unexpected:
            raise InputError(f"{whose}; {complaint(lacking, unexpected)}")
        fill_what_fits(network.state_dict(), state, {})


def state_sha256(network: nn.Module) -> str:
    """Return the SHA-256 of all parameters and buffers, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for key, value in network.state_dict().items():
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _states(content: object, place: str = "", depth: int = 0) -> Iterator[tuple[str, State]]:
    """Yield the dicts that hold tensors, and their places."""
    if not isinstance(content, dict) or depth > _DEEPEST:
        return
    named = {key: value for key, value in content.items() if isinstance(key, str)}
    tensors = {key: value for key, value in named.items() if isinstance(value, torch.Tensor)}
    if tensors:
        yield place, tensors
    for key, value in named.items():
        yield from _states(value, f"{place}.{key}".lstrip("."), depth + 1)


def _prefixes(state: State, own: Mapping[str, torch.Tensor]) -> Counter[str]:
    """Count, for each prefix, how many of the network's keys a state dict has after it."""
    counts: Counter[str] = Counter()
    for key in state:
        start = 0
        while True:
            if key[start:] in own:
                counts[key[:start]] += 1
            start = key.find(".", start) + 1
            if not start:
                break
    return counts


def _ours(state: State) -> State:
    """Rename the keys of He et al.'s own trained model to those that `probe train` writes.

    Its ``encoder.N`` is ``features.N`` of VGG-16, its ``decoder`` the 1×1 convolution.
    """
    head = next((key for key in state if re.fullmatch(r"(.*\.)?decoder\.weight", key)), "")
    if not head or not _is_readout(state[head]):
        return state
    start = head.removesuffix("decoder.weight")
    renamed: State = {}
    for key, value in state.items():
        layer = re.fullmatch(r"encoder\.(\d+\.(?:weight|bias))", key.removeprefix(start))
        if key != head and not (key.startswith(start) and layer):
            return state
        end = f"{_HEADS[1]}features.{layer[1]}" if layer else _HEADS[0]
        renamed[start + end] = value
    return renamed


def _is_readout(tensor: torch.Tensor | None) -> bool:
    return (
        tensor is not None and tensor.ndim == 4 and (tensor.shape[0], *tensor.shape[2:]) == (1,) * 3
    )

"""Convolutions' weights in TensorFlow's files, read without TensorFlow and running nothing.

Frozen graphs (``.pb``), SavedModels whose weights are constants (``saved_model.pb``), and
checkpoints (``.index``, with ``.data-…`` beside it). Kernels (height, width, in, out) become
torch's (out, in, height, width), and names ``scope/kernel`` and ``scope/bias`` become
``scope.weight`` and ``scope.bias``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ...datasets.errors import InputError
from ...datasets.files import LARGEST
from .wire import fields, parts, texts, varint, whole

SUFFIXES = (".pb", ".index")
"""Endings of the files that can be read."""

State = dict[str, torch.Tensor]

_TYPES = {1: np.dtype("<f4"), 2: np.dtype("<f8"), 19: np.dtype("<f2")}  # DT_FLOAT …
_KEYS = {"kernel": "weight", "weights": "weight", "bias": "bias", "biases": "bias"}
_PASSED = ("Identity", "ReadVariableOp", "Enter")  # operations that hand on their input
_MOST_HOPS = 8
_MOST_AXES = 8
_MAGIC = 0xDB4775248B80FB57  # the end of a table of LevelDB
_FOOTER = 48


def tensorflow_states(path: Path) -> dict[str, State]:
    """Return the convolutions' weights in a file of TensorFlow, by graph.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict of dict of tensor
        By the graph's name, which is empty for that of the file itself. Graphs that hold the same
        weights as one before them are left out.

    Raises
    ------
    InputError, ValueError
        If it is malformed, too large, or holds no convolution.
    """
    size = path.stat().st_size
    if size > LARGEST:
        raise InputError(f"{path}: {size} bytes, more than can be read")
    content = memoryview(path.read_bytes())
    if path.suffix == ".index":
        states = {"": _checkpoint(path, content)}
    else:
        states = {}
        for name, nodes in _graphs(content):
            state = _convolutions(nodes)
            if state and not any(_same(state, other) for other in states.values()):
                states[name] = state
    if not any(states.values()):
        raise InputError(f"{path}: holds no convolution whose weights are stored in it")
    return states


@dataclass(frozen=True)
class _Node:
    name: str
    operation: str
    inputs: list[str]
    tensor: memoryview | None


def _graphs(content: memoryview) -> Iterator[tuple[str, list[_Node]]]:
    """Yield the name and the nodes of each graph in a GraphDef or a SavedModel."""
    first = next(fields(content), None)
    saved = first is not None and first[0] == 1 and isinstance(first[1], int)
    graphs = [content]
    if saved:
        graphs = [graph for meta in parts(content, 2) for graph in parts(meta, 2)]
    for graph in graphs:
        yield "", [_node(one) for one in parts(graph, 1)]
        for library in parts(graph, 2):
            for function in parts(library, 1):
                signature = parts(function, 1)
                name = texts(signature[0], 1)[0] if signature else ""
                yield name, [_node(one) for one in parts(function, 3)]


def _node(message: memoryview) -> _Node:
    name, operation = (texts(message, number) or [""] for number in (1, 2))
    tensor = None
    if operation[0] == "Const":
        for attribute in parts(message, 5):
            if texts(attribute, 1) == ["value"]:
                tensor = next(iter(parts(parts(attribute, 2)[0], 8)), None)
    return _Node(name[0], operation[0], texts(message, 3), tensor)


def _convolutions(nodes: list[_Node]) -> State:
    """Return the kernels and biases of a graph's convolutions, by the convolutions' scopes.

    They are followed from the operations: a graph made ready for use has given constants that are
    alike, such as biases of zeros, one name.
    """
    by_name = {node.name: node for node in nodes}
    read: State = {}
    state: State = {}
    room = LARGEST // 4
    for node in nodes:
        key = {"Conv2D": "weight", "BiasAdd": "bias"}.get(node.operation)
        if key is None or len(node.inputs) < 2:
            continue
        source = _source(node.inputs[1], by_name)
        if source is not None and source.tensor is not None:
            if source.name not in read:
                read[source.name] = _as_torch(_constant(source.tensor))
                room -= read[source.name].numel()
            if room < 0:  # a few bytes may stand for many values
                raise ValueError("its constants unpack to more than can be read")
            scope = node.name.rpartition("/")[0].replace("/", ".")
            state[f"{scope}.{key}"] = read[source.name]
    return state


def _source(name: str, by_name: dict[str, _Node]) -> _Node | None:
    """Return the node that an input comes from, behind those that only hand it on."""
    for _ in range(_MOST_HOPS):
        node = by_name.get(name.partition(":")[0])
        if node is None or node.operation not in _PASSED or not node.inputs:
            return node
        name = node.inputs[0]
    return None


def _constant(message: memoryview) -> np.ndarray:
    """Return the values of a TensorProto of floating-point numbers."""
    kind = _TYPES.get(whole(message, 1))
    if kind is None:
        raise ValueError(f"a constant of the type {whole(message, 1)}, expected floating point")
    shape = _shape(parts(message, 2))
    content = b"".join(bytes(one) for one in parts(message, 4))
    if content:
        return np.frombuffer(content, kind).reshape(shape)
    listed = b"".join(bytes(one) for one in parts(message, 5))
    values = np.frombuffer(listed, np.dtype("<f4"))
    count = math.prod(shape)
    if not 0 < len(values) <= count or kind != np.dtype("<f4"):
        raise ValueError(f"a constant of {count} values that holds {len(values)}")
    # The last of the values stands for all that follow.
    return np.concatenate([values, np.repeat(values[-1:], count - len(values))]).reshape(shape)


def _shape(messages: list[memoryview]) -> tuple[int, ...]:
    """Return the shape in a TensorShapeProto."""
    sides = [whole(side, 1) for message in messages for side in parts(message, 2)]
    if len(sides) > _MOST_AXES or 4 * math.prod(sides) > LARGEST:
        raise ValueError(f"an array of {len(sides)} axes and {math.prod(sides)} values")
    return tuple(sides)


def _as_torch(values: np.ndarray) -> torch.Tensor:
    """Return weights in torch's order of axes, float32."""
    axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(values.ndim, tuple(range(values.ndim)))
    return torch.from_numpy(np.array(values.transpose(axes), np.float32, order="C"))


def _same(state: State, other: State) -> bool:
    return state.keys() == other.keys() and all(
        torch.equal(state[key], other[key]) for key in state
    )


def _checkpoint(path: Path, table: memoryview) -> State:
    """Return the kernels and biases in a checkpoint; an optimiser's variables are left out."""
    entries = dict(_entries(table))
    shards = whole(entries.get("", memoryview(b"")), 1)
    state: State = {}
    for name, entry in entries.items():
        scope, _, last = name.rpartition("/")
        kind = _TYPES.get(whole(entry, 1))
        if last not in _KEYS or kind is None:
            continue
        shape = _shape(parts(entry, 2))
        start, size = whole(entry, 4), whole(entry, 5)
        if size != math.prod(shape) * kind.itemsize:
            raise ValueError(f"{name[:60]} of {size} bytes has the shape {shape}")
        shard = path.with_suffix(f".data-{whole(entry, 3):05d}-of-{shards:05d}")
        if not shard.is_file():
            raise InputError(f"{path}: {shard.name} is not beside it")
        with shard.open("rb") as file:
            file.seek(start)
            content = file.read(size)
        key = f"{scope.replace('/', '.')}.{_KEYS[last]}"
        state[key] = _as_torch(np.frombuffer(content, kind).reshape(shape))
    return state


def _entries(table: memoryview) -> Iterator[tuple[str, memoryview]]:
    """Yield the keys and values of a table of LevelDB."""
    footer = table[-_FOOTER:]
    if len(footer) < _FOOTER or int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise ValueError("not the index of a checkpoint of TensorFlow's second format")
    place = 0
    for _ in range(2):  # the place of the metadata
        _, place = varint(footer, place)
    for _, handle in _block(table, footer[place:]):
        for key, value in _block(table, handle):
            yield key.decode(), value


def _block(table: memoryview, handle: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield a block's entries; a key names how much it shares with the one before."""
    start, place = varint(handle, 0)
    size, _ = varint(handle, place)
    if start + size >= len(table):
        raise ValueError("a block beyond the end")
    if table[start + size]:
        raise ValueError("a compressed block")
    block = table[start : start + size]
    restarts = int.from_bytes(block[-4:], "little")
    if 4 * (restarts + 1) > size:
        raise ValueError("a block without entries")
    end, place, key = size - 4 * (restarts + 1), 0, b""
    while place < end:
        shared, place = varint(block, place)
        own, place = varint(block, place)
        length, place = varint(block, place)
        if shared > len(key) or place + own + length > end:
            raise ValueError("an entry beyond its block")
        key = key[:shared] + bytes(block[place : place + own])
        yield key, block[place + own : place + own + length]
        place += own + length

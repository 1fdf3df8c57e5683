"""Layers of a network: choosing them by name, and reading their maps in a forward pass."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, get_args

import torch
from torch import nn

from ...datasets.errors import InputError
from ..records.run_info import Registration
from .attention import Query, attending
from .layouts import Reading


@dataclass(frozen=True)
class Layer:
    """One output of a network that is a stack of activation maps.

    Attributes
    ----------
    name : str
        Name shown to users: the paper's name for VGG (``conv4_3``), else the module's path, with
        ``:2`` for the second call where a module is called more than once in a forward pass.
    module : str
        Path of the module that outputs the maps; with ``#class`` or ``#mean``, of the one whose
        attention heads are the units (see `attending`).
    call : int
        Which call of the module in one forward pass, from 1.
    units, height, width : int
        Shape of the activation maps for the input size that was traced.
    layout : str
        How the module's output is laid out; see `Reading`.
    default : bool
        Whether the layer is probed when no layers are named.
    prefix, suffix : int
        Tokens before and after those that are cells of the picture.
    registration : Registration, optional
        Where the maps lie in the picture; by default they fill it.
    """

    name: str
    module: str
    call: int
    units: int
    height: int
    width: int
    layout: str
    default: bool = False
    prefix: int = 0
    suffix: int = 0
    registration: Registration | None = None

    def maps(self, output: torch.Tensor) -> torch.Tensor:
        """View the module's output as activation maps, shape (n, units, height, width)."""
        reading = Reading(self.layout, self.height, self.width, self.prefix, self.suffix)
        return reading.maps(output)


class LeftOut(NamedTuple):
    """A module whose output cannot be read as maps.

    Attributes
    ----------
    module : str
    reason : str
    default : bool
        Whether it would be probed when no layers are named.
    """

    module: str
    reason: str
    default: bool


@dataclass(frozen=True)
class Listing:
    """A network's layers in the order of its forward pass, and the modules left out."""

    layers: list[Layer]
    left_out: list[LeftOut]

    def select(self, patterns: Sequence[str]) -> list[Layer]:
        """Return the layers whose names match any pattern; see the function `select`.

        Raises
        ------
        InputError
            If a pattern matches no layer; if it matches what was left out, it says why.
        """
        for pattern in patterns:
            if not any(fnmatchcase(layer.name, pattern) for layer in self.layers):
                for one in self.unread([pattern]):
                    raise InputError(f"{one.module} gives no maps that can be read: {one.reason}")
        return select(self.layers, patterns)

    def unread(self, patterns: Sequence[str]) -> list[LeftOut]:
        """Return what was left out of the layers that match any pattern, or of the default."""
        return [
            one
            for one in self.left_out
            if any(fnmatchcase(one.module, pattern) for pattern in patterns)
            or (not patterns and one.default)
        ]


def grouped(left_out: Sequence[LeftOut]) -> list[tuple[str, int, str]]:
    """Return modules alike but for numbers, how many they are, and why they were left out.

    Where they differ in one number, all are named: ``blocks.{0,3,4}.attn#mean``.
    """
    groups: dict[tuple[str, str], list[list[str]]] = {}
    for one in left_out:
        parts = re.split(r"(\d+)", one.module)
        groups.setdefault(("*".join(parts[::2]), one.reason), []).append(parts)
    return [
        (_common(name, modules), len(modules), reason) for (name, reason), modules in groups.items()
    ]


def _common(name: str, modules: list[list[str]]) -> str:
    varying = [k for k, parts in enumerate(zip(*modules, strict=True)) if len(set(parts)) > 1]
    if len(varying) > 1:
        return name
    parts = list(modules[0])
    for k in varying:
        parts[k] = "{" + ",".join(dict.fromkeys(module[k] for module in modules)) + "}"
    return "".join(parts)


def paper_names(
    network: nn.Module, layers: list[Layer], *, pre_relu: bool, prefix: str = ""
) -> list[Layer]:
    """Name a VGG's layers as the paper does: ``conv4_3`` is that convolution after the ReLU.

    Parameters
    ----------
    network : VGG
    layers : list of Layer
        Layers from `trace`.
    pre_relu : bool
        Use the maps before the ReLU instead (after batch normalisation, if any).
    prefix : str
        Prefix of the module paths, if the VGG is part of a larger network.
    """
    traced = {layer.module: layer for layer in layers}
    named, block, number, before = [], 1, 0, ""
    for index, module in network.features.named_children():  # type: ignore[union-attr]
        path = f"{prefix}features.{index}"
        if isinstance(module, nn.Conv2d):
            number += 1
        elif isinstance(module, nn.MaxPool2d):
            block, number = block + 1, 0
        elif isinstance(module, nn.ReLU):
            layer = traced.get(before if pre_relu else path)
            if layer is None:
                break  # the network was cut before it
            shape = (layer.units, layer.height, layer.width, layer.layout)
            name = f"conv{block}_{number}"
            # Layers below conv4_1 respond to edges, not to regions (section 4.2).
            named.append(Layer(name, layer.module, 1, *shape, default=block >= 4))
        before = path
    return named


def select(layers: Sequence[Layer], patterns: str | Sequence[str]) -> list[Layer]:
    """Return the layers whose names match any pattern (``*``, ``?``), in the network's order.

    Without patterns, returns the default layers.

    Raises
    ------
    InputError
        If a pattern matches no layer.
    """
    patterns = [patterns] if isinstance(patterns, str) else patterns
    if not patterns:
        return [layer for layer in layers if layer.default] or list(layers)
    for pattern in patterns:
        if not any(fnmatchcase(layer.name, pattern) for layer in layers):
            known = ", ".join(layer.name for layer in layers[:8])
            raise InputError(f"no layer matches {pattern!r}; there are {known} … (`probe layers`)")
    return [
        layer for layer in layers if any(fnmatchcase(layer.name, pattern) for pattern in patterns)
    ]


def layer_named(layers: Sequence[Layer], name: str) -> Layer:
    """Return the layer with a given name.

    Raises
    ------
    InputError
        If no layer has this name.
    """
    for layer in layers:
        if layer.name == name:
            return layer
    known = ", ".join(layer.name for layer in layers if layer.default)
    raise InputError(f"no layer {name!r}; there are {known} … (`probe layers`)")


class _LastLayerReached(Exception):
    """Stops a forward pass whose remainder is not needed."""


@contextmanager
def reading(
    network: nn.Module, layers: Sequence[Layer]
) -> Iterator[Callable[[torch.Tensor, Callable[[Layer, torch.Tensor], None]], None]]:
    """Attach hooks to a network; yields ``forward(batch, consume)``.

    ``forward`` calls ``consume(layer, maps)`` with each layer's maps, shape (n, units, height,
    width), as soon as they are computed, and stops after the last layer. The maps are the
    network's own memory: an in-place ReLU may overwrite them after ``consume`` returns. The
    hooks are removed when the context ends, even by an exception.
    """
    wanted = {(layer.module, layer.call): layer for layer in layers}
    modules = {layer.module for layer in layers if "#" not in layer.module}
    heads = {layer.module for layer in layers}.difference(modules)
    calls: Counter[str] = Counter()
    left = 0
    mine = object()  # networks may be nested, each with its own last layer
    consumer: Callable[[Layer, torch.Tensor], None] | None = None

    def hook(name: str, output: Any) -> None:
        nonlocal left
        calls[name] += 1
        layer = wanted.get((name, calls[name]))
        if layer is None or consumer is None:
            return
        consumer(layer, layer.maps(output))
        left -= 1
        if left == 0:
            raise _LastLayerReached(mine)

    def attention(name: str, weights: Callable[[Query], torch.Tensor]) -> None:
        for query in get_args(Query):
            if f"{name}#{query}" in heads:
                hook(f"{name}#{query}", weights(query))

    def forward(batch: torch.Tensor, consume: Callable[[Layer, torch.Tensor], None]) -> None:
        nonlocal left, consumer
        calls.clear()
        left, consumer = len(wanted), consume
        try:
            with attending(network, attention) if heads else nullcontext():
                network(batch)
        except _LastLayerReached as error:
            if error.args[0] is not mine:
                raise
            return
        raise RuntimeError("the forward pass ended before all layers were reached")

    handles = [
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: hook(str(name), output)
        )
        for name in modules
    ]
    try:
        yield forward
    finally:
        for handle in handles:
            handle.remove()

"""Layers of a network: which of them give activation maps, and how to read those maps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isqrt
from typing import Any, Literal

import torch
from torch import nn
from torchvision.models.maxvit import PartitionAttentionLayer
from torchvision.models.swin_transformer import ShiftedWindowAttention
from torchvision.ops import Permute

from ...datasets.errors import InputError

Layout = Literal["NCHW", "NHWC", "tokens"]

# Inside these, tensors are windows or heads, not maps of the stimulus.
_OPAQUE = (PartitionAttentionLayer, ShiftedWindowAttention, nn.MultiheadAttention)
_CONTAINERS = (nn.Sequential, nn.ModuleList)


@dataclass(frozen=True)
class Layer:
    """One output of a network that is a stack of activation maps.

    Attributes
    ----------
    name : str
        Name shown to users: the paper's name for VGG (``conv4_3``), else the module's path, with
        ``:2`` for the second call where a module is called more than once in a forward pass.
    module : str
        Path of the module that outputs the maps.
    call : int
        Which call of the module in one forward pass, from 1.
    units, height, width : int
        Shape of the activation maps for the input size that was traced.
    layout : "NCHW", "NHWC" or "tokens"
        How the module's output is laid out.
    default : bool
        Whether the layer is probed when no layers are named.
    """

    name: str
    module: str
    call: int
    units: int
    height: int
    width: int
    layout: Layout
    default: bool = False


def trace(network: nn.Module, input_size: tuple[int, int]) -> list[Layer]:
    """List a network's layers in the order of its forward pass.

    Parameters
    ----------
    network : Module
        In evaluation mode.
    input_size : (height, width)

    Returns
    -------
    list of Layer
        The default layers are the blocks (residual, fire, inception, transformer …) and the
        activations outside blocks.

    Raises
    ------
    InputError
        If the network is a ScriptModule, does not run on an input of this size, or no output is a
        stack of maps.
    """
    if isinstance(network, torch.jit.ScriptModule):
        raise InputError(
            "the network is compiled (a ScriptModule), and the layers in it cannot be read; "
            "expected the torch.nn.Module that it was made from"
        )
    layers: list[Layer] = []
    calls: Counter[str] = Counter()
    outputs: dict[int, torch.Tensor] = {}  # kept alive, so that ids stay unique
    layout: Layout = "NCHW"
    opaque = _below(network, _OPAQUE)

    def note(name: str, module: nn.Module, output: object) -> None:
        nonlocal layout
        calls[name] += 1
        layout = _layout_after(module, layout)
        if not isinstance(output, torch.Tensor) or name in opaque or not name:
            return
        passed_through = isinstance(module, _CONTAINERS) and id(output) in outputs
        outputs[id(output)] = output
        shape = _map_shape(output, layout)
        if shape is not None and not passed_through:
            kind = "tokens" if output.ndim == 3 else layout
            layers.append(Layer(name, name, calls[name], *shape, kind))

    handles = [
        module.register_forward_hook(
            lambda module, _inputs, output, name=name: note(name, module, output)
        )
        for name, module in network.named_modules()
    ]
    parameter = next(network.parameters(), torch.empty(0))
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, *input_size, device=parameter.device))
    except Exception as error:  # the network may be anybody's code
        height, width = input_size
        reason = f"{type(error).__name__}: {error}".partition("\n")[0].removesuffix(": ")
        raise InputError(
            f"the network does not run on a {height}×{width} image: {reason}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    if not layers:
        raise InputError("no layer of the network gives activation maps")
    defaults = _default_modules(network)
    return [
        Layer(
            f"{layer.name}:{layer.call}" if calls[layer.module] > 1 else layer.name,
            *(layer.module, layer.call, layer.units, layer.height, layer.width, layer.layout),
            default=layer.module in defaults and layer.height * layer.width > 1,
        )
        for layer in layers
    ]


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
    modules = {layer.module for layer in layers}
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
        consumer(layer, as_maps(output, layer.layout))
        left -= 1
        if left == 0:
            raise _LastLayerReached(mine)

    def forward(batch: torch.Tensor, consume: Callable[[Layer, torch.Tensor], None]) -> None:
        nonlocal left, consumer
        calls.clear()
        left, consumer = len(wanted), consume
        try:
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


def as_maps(output: torch.Tensor, layout: Layout) -> torch.Tensor:
    """View a layer's output as activation maps, shape (n, units, height, width)."""
    if layout == "NCHW":
        return output
    if layout == "NHWC":
        return output.permute(0, 3, 1, 2)
    side = isqrt(output.shape[1])
    patches = output[:, output.shape[1] - side**2 :]  # the class token comes first
    return patches.transpose(1, 2).unflatten(2, (side, side))


def _map_shape(output: torch.Tensor, layout: Layout) -> tuple[int, int, int] | None:
    """Return (units, height, width), or None if an output is not a stack of maps."""
    if output.ndim == 4:
        _, *shape = output.shape
        units, height, width = shape if layout == "NCHW" else (shape[2], shape[0], shape[1])
        return (units, height, width) if height * width > 1 else None
    if output.ndim == 3 and isqrt(output.shape[1]) ** 2 in (output.shape[1], output.shape[1] - 1):
        side = isqrt(output.shape[1])
        return (output.shape[2], side, side) if side > 1 else None
    return None


def _layout_after(module: nn.Module, before: Layout) -> Layout:
    """Return the layout of 4-D tensors after a module: by its type, else unchanged."""
    if isinstance(module, nn.LayerNorm):  # torchvision's LayerNorm2d permutes on its own
        return "NCHW" if type(module).__name__ == "LayerNorm2d" else "NHWC"
    if isinstance(module, nn.Linear):
        return "NHWC"
    if isinstance(module, Permute):
        return "NHWC" if list(module.dims) == [0, 2, 3, 1] else "NCHW"
    maps = (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.AvgPool2d, PartitionAttentionLayer)
    if isinstance(module, maps):
        return "NCHW"
    return before


def _default_modules(network: nn.Module) -> set[str]:
    """Return the paths of the outermost blocks and of the activations outside them."""
    activations = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.LeakyReLU, nn.ELU)
    size = sum(1 for _ in network.modules())
    paths: set[str] = set()

    def descend(module: nn.Module, parent_path: str) -> None:
        for name, child in module.named_children():
            child_path = f"{parent_path}.{name}" if parent_path else name
            inside = sum(1 for _ in child.modules())
            block = 1 < inside < size / 2 and not isinstance(child, _CONTAINERS)
            if block or isinstance(child, activations):
                paths.add(child_path)
            else:
                descend(child, child_path)

    descend(network, "")
    return paths


def _below(network: nn.Module, kinds: tuple[type[nn.Module], ...]) -> set[str]:
    tops = [name for name, module in network.named_modules() if isinstance(module, kinds)]
    return {
        name
        for name, _ in network.named_modules()
        if any(name.startswith(f"{top}.") for top in tops)
    }

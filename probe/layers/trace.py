"""Which modules of a network give activation maps or attend, and how to read that."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeGuard

import torch
from torch import nn

from ...datasets.errors import InputError
from .attention import Query, attending, queries
from .layers import Layer, LeftOut, Listing
from .layouts import PICTURES, Reading, Size, pictures, read, second_size

_CONTAINERS = (nn.Sequential, nn.ModuleList)
_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.LeakyReLU, nn.ELU)

OTHER_CALLS = "called differently for more images or another size"
NO_TENSOR = "not a tensor, or a sparse one"

Call = tuple[str, int]
_HEADS = "#"  # after the path of a module that attends


def trace(network: nn.Module, input_size: Size) -> list[Layer]:
    """List a network's layers in the order of its forward pass; see `survey`."""
    return survey(network, input_size).layers


def survey(network: nn.Module, input_size: Size) -> Listing:
    """List a network's layers, and the modules whose output cannot be read as maps.

    Runs the network twice: on one image, and on four small ones of another size, or of the same
    where it accepts no other.

    Parameters
    ----------
    network : Module
        In evaluation mode.
    input_size : (height, width)

    Returns
    -------
    Listing
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
    shapes = _shapes(network, input_size)
    readings = _measure(network, shapes, input_size)
    defaults = _default_modules(network)
    times = Counter(module for module, _ in shapes)
    layers, left_out = [], {}
    for (module, call), shape in shapes.items():
        reading = readings.get((module, call), OTHER_CALLS)
        if isinstance(reading, str):
            name = f"{module}mean" if module.endswith(_HEADS) else module
            left_out[module] = LeftOut(name, reading, module in defaults)
        elif reading is not None:
            units = shape[reading.layout.index("C")]
            heads = module.endswith(_HEADS)
            for query in queries(reading.prefix) if heads else ("",):
                path = module + query
                layers.append(
                    Layer(
                        f"{path}:{call}" if times[module] > 1 else path,
                        *(path, call, units // 2 if heads else units),
                        *(reading.height, reading.width, reading.layout),
                        default=module in defaults,
                        prefix=reading.prefix,
                        suffix=reading.suffix,
                    )
                )
    if not layers:
        raise InputError("no layer of the network gives activation maps")
    return Listing(layers, list(left_out.values()))


def _shapes(network: nn.Module, size: Size) -> dict[Call, tuple[int, ...]]:
    """Return the outputs' shapes for one image, by module and call; not a tensor's is empty."""
    shapes: dict[Call, tuple[int, ...]] = {}
    outputs: dict[int, torch.Tensor] = {}  # kept alive, so that ids stay unique

    def note(call: Call, module: nn.Module, output: object) -> None:
        if not _dense(output):
            shapes[call] = ()
            return
        passed_through = isinstance(module, _CONTAINERS) and id(output) in outputs
        outputs[id(output)] = output
        if not passed_through:
            shapes[call] = tuple(output.shape)

    with _calls(network, note):
        _run(network, torch.zeros(1, 3, *size))
    return shapes


def _measure(
    network: nn.Module, shapes: dict[Call, tuple[int, ...]], size: Size
) -> dict[Call, Reading | str | None]:
    """Return how to read each output, or why it cannot be read, for images of a size."""
    small = second_size(size)
    try:
        readings, grows = _readings(network, shapes, size, small)
    except InputError:
        grows, readings = False, {}
    if grows and readings.keys() == shapes.keys():
        return readings
    return _readings(network, shapes, size, size)[0]


def _readings(
    network: nn.Module, shapes: dict[Call, tuple[int, ...]], size: Size, measured: Size
) -> tuple[dict[Call, Reading | str | None], bool]:
    """Return how to read each output, measured at one size, and whether any grows with it."""
    readings: dict[Call, Reading | str | None] = {}
    grows = False

    def note(call: Call, _module: nn.Module, output: object) -> None:
        nonlocal grows
        if not _dense(output):
            readings[call] = NO_TENSOR
        elif call in shapes:
            tokens = 2 if call[0].endswith(_HEADS) else None
            readings[call] = read(shapes[call], output, size, measured, tokens)
            grows |= output.numel() != PICTURES * math.prod(shapes[call])

    with _calls(network, note):
        _run(network, pictures(measured))
    return readings, grows


@contextmanager
def _calls(network: nn.Module, note: Callable[[Call, nn.Module, object], None]) -> Iterator[None]:
    """Note the output of every call of a network's modules; the hooks are removed at the end."""
    counts: Counter[str] = Counter()

    def hook(name: str, module: nn.Module, output: object) -> None:
        counts[name] += 1
        note((name, counts[name]), module, output)

    def attention(name: str, weights: Callable[[Query], torch.Tensor]) -> None:
        both = torch.cat([weights("class"), weights("mean")], 1)  # more tells the order better
        hook(name + _HEADS, network.get_submodule(name), both)

    handles = [
        module.register_forward_hook(
            lambda module, _inputs, output, name=name: hook(name, module, output)
        )
        for name, module in network.named_modules()
        if name
    ]
    try:
        with attending(network, attention):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _dense(output: object) -> TypeGuard[torch.Tensor]:
    return (
        isinstance(output, torch.Tensor) and output.layout == torch.strided and not output.is_nested
    )


def _run(network: nn.Module, images: torch.Tensor) -> None:
    device = next(network.parameters(), torch.empty(0)).device
    try:
        with torch.inference_mode():
            network(images.to(device))
    except Exception as error:  # the network may be anybody's code
        n, _, height, width = images.shape
        reason = f"{type(error).__name__}: {error}".partition("\n")[0].removesuffix(": ")
        what = f"a {height}×{width} image" if n == 1 else f"{n} images of {height}×{width}"
        raise InputError(f"the network does not run on {what}: {reason}") from error


def _default_modules(network: nn.Module) -> set[str]:
    """Return the paths of the outermost blocks and of the activations outside them."""
    size = sum(1 for _ in network.modules())
    paths: set[str] = set()

    def descend(module: nn.Module, parent_path: str) -> None:
        for name, child in module.named_children():
            child_path = f"{parent_path}.{name}" if parent_path else name
            inside = sum(1 for _ in child.modules())
            block = 1 < inside < size / 2 and not isinstance(child, _CONTAINERS)
            if block or isinstance(child, _ACTIVATIONS):
                paths.add(child_path)
            else:
                descend(child, child_path)

    descend(network, "")
    return paths

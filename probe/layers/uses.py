"""Which of a network's parameters some of its layers depend on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .layers import Layer, reading


class _Storages(TorchDispatchMode):
    """Notes the memory of every tensor that an operation takes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for value in tree_leaves((args, kwargs or {})):
            if isinstance(value, torch.Tensor) and value.layout == torch.strided:
                self.seen.add(value.untyped_storage().data_ptr())
        return func(*args, **(kwargs or {}))


def used_keys(
    network: nn.Module, layers: Sequence[Layer] | None, input_size: tuple[int, int]
) -> set[str]:
    """Return the keys of the parameters and buffers that are used up to the last of some layers.

    Parameters
    ----------
    network : Module
        On the CPU, in evaluation mode.
    layers : sequence of Layer, or None
        None for the whole forward pass.
    input_size : (height, width)
    """
    image = torch.zeros(1, 3, *input_size)
    with torch.inference_mode(), _Storages() as used:
        if layers is None:
            network(image)
        else:
            with reading(network, layers) as forward:
                forward(image, lambda _layer, _maps: None)
    return {
        key
        for key, value in network.state_dict().items()
        if value.untyped_storage().data_ptr() in used.seen
    }

"""A layer's maps before its ReLU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from ..layers.layers import Layer, reading

_IN_PLACE = (F.relu_, torch.relu_, torch.Tensor.relu_)
_RECTIFIERS = (F.relu, F.relu6, torch.relu, torch.Tensor.relu, *_IN_PLACE)
_CLIPPING = (F.hardtanh, F.hardtanh_)  # what nn.ReLU6 calls, with a least value of 0
_JOINED = (torch.cat, torch.concat, torch.concatenate)


class _BeforeRectifiers(TorchFunctionMode):
    """Remembers what every ReLU was given, also where their outputs are joined as units."""

    def __init__(self) -> None:
        super().__init__()
        # By output, and gone with it: what it was made of, and its version then.
        self.inputs: Any = WeakTensorKeyDictionary()

    def __torch_function__(
        self, func: Callable, types: Any, args: Sequence = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _RECTIFIERS or (func in _CLIPPING and _least(args, kwargs) == 0):
            given = args[0] if args else kwargs["input"]
            in_place = func in _IN_PLACE or func is F.hardtanh_
            overwritten = in_place or kwargs.get("inplace") or True in args[1:]
            before = given.clone() if overwritten else given
            output = func(*args, **kwargs)
            self._remember(output, before)
            return output
        output = func(*args, **kwargs)
        if func in _JOINED:
            parts = args[0] if args else kwargs["tensors"]
            before = [self._of(part) for part in parts]
            if any(part is not None for part in before):
                mixed = [
                    b if b is not None else part for b, part in zip(before, parts, strict=True)
                ]
                self._remember(output, func(mixed, *args[1:], **kwargs))
        return output

    def before(self, maps: torch.Tensor) -> torch.Tensor | None:
        """Return what a ReLU was given whose output has the same memory as ``maps``."""
        for output in self.inputs:
            if output.data_ptr() == maps.data_ptr() and output.numel() == maps.numel():
                return self._of(output)
        return None

    def _remember(self, output: torch.Tensor, before: torch.Tensor) -> None:
        self.inputs[output] = before, output._version

    def _of(self, output: torch.Tensor) -> torch.Tensor | None:
        """Return what was before, unless something was since written over the output."""
        before, version = self.inputs.get(output, (None, None))
        return before if output._version == version else None


def _least(args: Sequence, kwargs: dict) -> float:
    return kwargs.get("min_val", args[1] if len(args) > 1 else -1.0)


def maps_before_relu(network: nn.Module, layer: Layer, images: torch.Tensor) -> torch.Tensor:
    """Return a layer's maps before its ReLU, if it ends in one; else as they are.

    Where a layer joins the outputs of several ReLUs as its units (a fire or inception block), each
    unit is taken before its own. ReLUs may be modules or functions, and work in place.

    Parameters
    ----------
    network : Module
    layer : Layer
    images : float tensor, shape (n, 3, height, width)
        Normalised. The result can be differentiated with respect to them.

    Returns
    -------
    float tensor, shape (n, units, rows, columns)
    """
    found: list[torch.Tensor] = []
    with _BeforeRectifiers() as rectifiers, reading(network, [layer]) as forward:

        def keep(layer: Layer, maps: torch.Tensor) -> None:
            before = rectifiers.before(maps)
            found.append(maps.clone() if before is None else layer.maps(before))

        forward(images, keep)
    return found[0]

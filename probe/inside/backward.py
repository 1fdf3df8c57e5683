"""What in a picture drives a unit: deconvnet and guided backprop.

References
----------
Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014 (deconvnet).
Springenberg et al., "Striving for simplicity: the all convolutional net", ICLR workshop 2015
(guided backprop). Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018: guided backprop
hardly depends on the weights, so that of randomised weights belongs beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from ...datasets.errors import InputError
from ..layers.layers import Layer, reading
from ..networks.model import Model

Rule = Literal["gradient", "deconvnet", "guided"]
"""What passes a ReLU on the way back."""

_RULES: dict[Rule, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "gradient": lambda g, x: g * (x > 0),
    "deconvnet": lambda g, x: g.clamp_min(0),
    "guided": lambda g, x: g.clamp_min(0) * (x > 0),
}
_OTHERS = {
    *("relu6", "hardtanh", "leaky_relu", "rrelu", "prelu", "elu", "selu", "celu", "gelu", "silu"),
    *(
        "hardswish",
        "mish",
        "softplus",
        "sigmoid",
        "hardsigmoid",
        "tanh",
        "clamp",
        "clamp_min",
        "maximum",
        "threshold",
        "softmax",
        "multi_head_attention_forward",
        "scaled_dot_product_attention",
    ),
}
"""Names of other functions that are not linear; what passes them back no rule says."""
_RELUS = {torch.relu, torch.relu_, F.relu, F.relu_, torch.Tensor.relu, torch.Tensor.relu_}


class _Relu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, rule: Rule) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.rule = rule
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (x,) = ctx.saved_tensors
        return _RULES[ctx.rule](gradients[0], x), None


class Rectifying(TorchFunctionMode):
    """Every ReLU that is computed passes back what a rule says: modules, functions, in place.

    Attributes
    ----------
    count : int
        How many there were.
    other : str or None
        The name of another function that is not linear, if one was computed.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self._rule: Rule = rule
        self.count = 0
        self.other: str | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in _RELUS:
            name = getattr(func, "__name__", "").rstrip("_")
            self.other = name if name in _OTHERS else self.other
            return func(*args, **(kwargs or {}))
        self.count += 1
        x = args[0] if args else (kwargs or {})["input"]
        return _Relu.apply(x, self._rule)


def driving(
    model: Model,
    layer: Layer,
    unit: int | None,
    cell: tuple[int, int],
    image: torch.Tensor,
    rule: Rule,
) -> tuple[float, torch.Tensor]:
    """Project one cell of a unit back to the picture.

    Parameters
    ----------
    model : Model
        On the CPU.
    layer : Layer
    unit : int or None
        None for the one that is highest in this cell.
    cell : (row, column)
        All other cells are left out (Zeiler & Fergus, section 2.1).
    image : float32 tensor, shape (1, 3, height, width)
        The network's input.
    rule : Rule

    Returns
    -------
    value : float
        What the cell is, computed with the ReLUs replaced: it must be what the network gives.
    picture : float32 tensor, shape (3, height, width)
        What reaches the input from a one in that cell.

    Raises
    ------
    InputError
        If no ReLU comes before the layer, or something else that is not linear does.
    """
    image = image.detach().clone().requires_grad_(True)
    found: list[torch.Tensor] = []
    mode = Rectifying(rule)

    def look(_layer: Layer, maps: torch.Tensor) -> None:
        values = maps[0, :, cell[0], cell[1]]
        value = values.max() if unit is None else values[unit]
        (gradient,) = torch.autograd.grad(value, image, allow_unused=True)
        found.extend([value.detach(), torch.zeros_like(image) if gradient is None else gradient])

    with torch.enable_grad(), mode, reading(model.network, [layer]) as forward:
        forward(image, look)
    if rule != "gradient" and not mode.count:
        raise InputError(f"{layer.name}: no ReLU comes before it, so {rule} is not defined there")
    if rule != "gradient" and mode.other:
        raise InputError(
            f"{layer.name}: {mode.other} comes before it, so {rule}, which is of ReLUs, is not "
            "defined there"
        )
    return float(found[0]), found[1][0].detach()


def randomised(model: Model, seed: int = 0) -> Model:
    """Return a copy of a model, the numbers of each of whose parameters are shuffled.

    So they keep their distribution, and nothing that was learnt.
    """
    network = deepcopy(model.network)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for values in network.parameters():
            order = torch.randperm(values.numel(), generator=generator)
            values.copy_(values.flatten()[order].view_as(values))
    return replace(model, network=network)

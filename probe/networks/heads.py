"""Trainable networks: a backbone cut at a layer, with a readout or a scene classifier on top.

References
----------
He et al., CVPR 2019, section 4.2 (saliency model) and section 8, Figure 10 (scene recognition).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from ...datasets.errors import InputError
from ..layers.layers import Layer, reading

Tune = int | Literal["all"]
"""How many of the backbone's last convolution layers are trained."""

_WEIGHT_LAYERS = (nn.Conv2d, nn.Linear, nn.MultiheadAttention)
_POOLED, _HIDDEN = 7, 512  # sizes in the scene classifier


class Headed(nn.Module):
    """A backbone cut at a layer, with a head on its activation maps.

    Parameters
    ----------
    backbone : Module
        Modified in place: everything after the layer is removed.
    layer : Layer
        A layer of the backbone.
    input_size : (height, width)

    Notes
    -----
    The backbone always runs in evaluation mode: normalisation keeps its statistics, and dropout
    is off.
    """

    def __init__(self, backbone: nn.Module, layer: Layer, input_size: tuple[int, int]) -> None:
        super().__init__()
        self.backbone, self.layer = backbone, layer
        self.weight_layers = _cut(backbone, layer, input_size)

    def train(self, mode: bool = True) -> Headed:
        """Switch the head to training or evaluation mode; the backbone stays in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the layer's activation maps, float (n, units, height, width)."""
        seen: list[torch.Tensor] = []
        with reading(self.backbone, [self.layer]) as forward:
            forward(images, lambda _layer, maps: seen.append(maps))
        return seen[0]

    def tune(self, tune: Tune) -> None:
        """Make only the head and the last convolution layers of the backbone trainable.

        Parameters
        ----------
        tune : int or "all"
            Linear and attention layers count as convolution layers, because they are 1×1
            convolutions of the maps. ``all`` includes the parameters of normalisation.

        Raises
        ------
        InputError
            If the backbone has fewer layers up to the cut.
        """
        count = len(self.weight_layers)
        if tune != "all" and not 0 <= tune <= count:
            raise InputError(
                f"--tune {tune}: expected all, or 0 to {count}: {self.layer.name} is the last of "
                f"{count} convolution layers"
            )
        self.requires_grad_(True)
        if tune == "all":
            return
        self.backbone.requires_grad_(False)
        for name in self.weight_layers[count - tune :]:
            self.backbone.get_submodule(name).requires_grad_(True)


class SaliencyModel(Headed):
    """A backbone and a 1×1 convolution without bias that gives a saliency map (section 4.2).

    The map has the layer's size; losses and measures resize it to the stimulus (bilinear,
    half-pixel centres).
    """

    def __init__(self, backbone: nn.Module, layer: Layer, input_size: tuple[int, int]) -> None:
        super().__init__(backbone, layer, input_size)
        self.readout = nn.Conv2d(layer.units, 1, 1, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return saliency maps, float (n, 1, height, width)."""
        return self.readout(self.features(images))


class SceneModel(Headed):
    """A backbone and three fully connected layers that give a score per scene (Figure 10).

    The paper does not give the layers' sizes: here the maps are averaged to 7×7, as in
    VGG, and the hidden layers have 512 units with a dropout of one half.
    """

    def __init__(
        self, backbone: nn.Module, layer: Layer, input_size: tuple[int, int], scenes: int
    ) -> None:
        super().__init__(backbone, layer, input_size)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(_POOLED),
            nn.Flatten(),
            nn.Linear(layer.units * _POOLED**2, _HIDDEN),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(_HIDDEN, scenes),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the scenes' scores (logits), float (n, scenes)."""
        return self.classifier(self.features(images))


def last_layer(layers: list[Layer]) -> Layer:
    """Return the layer at which a backbone is cut by default: the output of its last block."""
    heads = ("classifier", "fc", "head", "heads", "avgpool")
    blocks = [
        layer for layer in layers if layer.default and layer.module.split(".")[0] not in heads
    ]
    return (blocks or layers)[-1]


def _cut(backbone: nn.Module, layer: Layer, input_size: tuple[int, int]) -> list[str]:
    """Remove everything a layer does not depend on; return its weight layers, in order."""
    order: list[str] = []

    def note(name: str) -> None:
        order.append(name)

    handles = [
        module.register_forward_pre_hook(lambda _module, _inputs, name=name: note(str(name)))
        for name, module in backbone.named_modules()
        if isinstance(module, _WEIGHT_LAYERS)
    ]
    backbone.eval().requires_grad_(True)
    seen: list[torch.Tensor] = []
    try:
        with torch.enable_grad(), reading(backbone, [layer]) as forward:
            image = torch.zeros(1, 3, *input_size)
            forward(image, lambda _layer, maps: seen.append(maps.sum()))
    finally:
        for handle in handles:
            handle.remove()
    parameters = dict(backbone.named_parameters())
    gradients = torch.autograd.grad(seen[0], list(parameters.values()), allow_unused=True)
    used = {
        name for name, gradient in zip(parameters, gradients, strict=True) if gradient is not None
    }
    _take_out(backbone, "", used)
    return [
        name
        for name in dict.fromkeys(order)
        if any(parameter.startswith(f"{name}.") for parameter in used)
    ]


def _take_out(module: nn.Module, path: str, used: set[str]) -> None:
    if isinstance(module, nn.MultiheadAttention):
        return  # it reads its children's weights itself
    for name, child in module.named_children():
        inside = [f"{path}{name}.{own}" for own, _ in child.named_parameters()]
        if inside and not used.intersection(inside):
            setattr(module, name, nn.Identity())
        else:
            _take_out(child, f"{path}{name}.", used)

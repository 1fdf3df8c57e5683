"""A stimulus's activation maps, all units of one layer."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from .layers import Layer, reading
from .model import Model


def activation(model: Model, layer: Layer, picture: Image.Image) -> np.ndarray:
    """Return a layer's activation maps of one picture, float32 (units, height, width).

    Computed on the CPU; the picture is resized to the network's input, as in scoring.
    """
    height, width = model.input_size
    rgb = np.array(picture.resize((width, height), Image.Resampling.BILINEAR))
    seen: list[torch.Tensor] = []
    with torch.inference_mode(), reading(model.network.cpu(), [layer]) as forward:
        forward(model.images(rgb[None]), lambda _layer, maps: seen.append(maps[0].clone()))
    return seen[0].float().numpy()


def resized(saliency: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize one map to a stimulus: float32 (height, width), bilinear, half-pixel centres."""
    return F.interpolate(saliency[None, None].float(), size, mode="bilinear")[0, 0]

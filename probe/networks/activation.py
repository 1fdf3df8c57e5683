"""A stimulus's activation maps, all units of one layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from ..layers.layers import Layer, reading
from ..records.run_info import Registration
from .model import Model, network_input


def activation(model: Model, layer: Layer, picture: Image.Image) -> np.ndarray:
    """Return a layer's activation maps of one picture.

    Computed on the network's device: the CPU, unless the caller moved it.

    Parameters
    ----------
    model : Model
    layer : Layer
        A layer of the model; with a registration, its maps are resampled to fill the picture.
    picture : Image
        RGB; resized to the network's input as in scoring.

    Returns
    -------
    float32 array, shape (units, height, width)

    Examples
    --------
    >>> import salprobe as sp
    >>> from PIL import Image
    >>> model = sp.load_model("gabor", input_size=(64, 96))
    >>> sp.activation(model, model.layer("log_gabor"), Image.new("RGB", (120, 80))).shape
    (24, 64, 96)
    """
    return activations(model, [layer], picture)[layer.name]


def activations(
    model: Model, layers: Sequence[Layer], picture: Image.Image
) -> dict[str, np.ndarray]:
    """Return several layers' activation maps of one picture, by the layers' names.

    As `activation`, in one forward pass.
    """
    device = next(model.network.parameters(), torch.empty(0)).device
    images = model.images(network_input(picture, model.resize)[None], device)
    maps: dict[str, np.ndarray] = {}

    def keep(layer: Layer, output: torch.Tensor) -> None:
        one = output[:1].float()
        if layer.registration is not None:
            one = placed(one, layer.registration)
        maps[layer.name] = one[0].cpu().numpy().copy()

    with torch.inference_mode(), reading(model.network, layers) as forward:
        forward(images, keep)
    return maps


def placed(maps: torch.Tensor, registration: Registration) -> torch.Tensor:
    """Resample maps, (n, units, height, width), so that they fill the picture (bilinear)."""
    places = []
    for cells, (start, step) in zip(maps.shape[2:], registration.axes(), strict=True):
        centres = (torch.arange(cells, device=maps.device) + 0.5) / cells
        places.append(2 * (centres - start) / (step * cells) - 1)
    rows, columns = torch.meshgrid(*places, indexing="ij")
    grid = torch.stack([columns, rows], -1).expand(len(maps), -1, -1, -1)
    return F.grid_sample(maps, grid, padding_mode="border", align_corners=False)


def resized(saliency: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize one map to a stimulus: float32 (height, width), bilinear, half-pixel centres."""
    return F.interpolate(saliency[None, None].float(), size, mode="bilinear")[0, 0]

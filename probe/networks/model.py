"""A network ready to run, and how to feed it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn

from ...datasets.errors import InputError
from ..records.record import Weights
from .heads import Headed
from .layers import Layer, Listing, layer_named, paper_names
from .trace import survey

IMAGENET_MEAN = (0.485, 0.456, 0.406)


IMAGENET_SD = (0.229, 0.224, 0.225)


def network_input(picture: Image.Image, input_size: tuple[int, int]) -> np.ndarray:
    """Resize a stimulus to a network's input.

    The aspect ratio is not kept, as in the paper. Pillow's bilinear filter averages when it
    shrinks.

    Parameters
    ----------
    picture : Image
        RGB.
    input_size : (height, width)

    Returns
    -------
    uint8 array, shape (height, width, 3)
    """
    height, width = input_size
    return np.array(picture.resize((width, height), Image.Resampling.BILINEAR))


@dataclass(frozen=True, eq=False)
class Model:
    """A network ready to run, and how to feed it.

    Attributes
    ----------
    name : str
    network : Module
        In evaluation mode, float32.
    weights : Weights
    input_size : (height, width)
    mean, sd : tuple of 3 floats
        Normalisation of RGB in 0 to 1.
    unit_names : dict
        Names of the units by layer, for layers whose units have names.
    code : str or None
        SHA-256 of the source of the factory's module, if a factory made the network.
    """

    name: str
    network: nn.Module
    weights: Weights
    input_size: tuple[int, int]
    mean: tuple[float, ...] = IMAGENET_MEAN
    sd: tuple[float, ...] = IMAGENET_SD
    unit_names: dict[str, list[str]] = field(default_factory=dict)
    code: str | None = None

    def layers(self, *, pre_relu: bool = False) -> list[Layer]:
        """List the network's layers; see `listing`."""
        return self.listing(pre_relu=pre_relu).layers

    def listing(self, *, pre_relu: bool = False) -> Listing:
        """List the network's layers and what was left out; see `survey`, for VGG `paper_names`.

        The map of a trained saliency model is its layer ``readout``, with one unit.

        Raises
        ------
        InputError
            If the network does not run on its input size, or ``pre_relu`` is set and it is not
            a VGG.
        """
        found = survey(self.network, self.input_size)
        layers, left_out = found.layers, found.left_out
        backbone, prefix, readout = self.network, "", []
        if isinstance(self.network, Headed):
            backbone, prefix = self.network.backbone, "backbone."
            readout = [replace(layer, default=True) for layer in layers if layer.name == "readout"]
            layers = [
                replace(layer, name=layer.name.removeprefix(prefix))
                for layer in layers
                if layer.name.startswith(prefix)
            ]
            left_out = [
                one._replace(module=one.module.removeprefix(prefix))
                for one in left_out
                if one.module.startswith(prefix)
            ]
        if isinstance(backbone, torchvision.models.VGG):
            layers = paper_names(backbone, layers, pre_relu=pre_relu, prefix=prefix)
            return Listing(layers + readout, [])
        if pre_relu:
            raise InputError(
                "--pre-relu is for VGG's names; for other models name the module itself in --layers"
            )
        return Listing(layers + readout, left_out)

    def layer(self, name: str) -> Layer:
        """Return one of the network's layers.

        Raises
        ------
        InputError
            If no layer has this name.
        """
        return layer_named(self.layers(), name)

    def images(self, rgb: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
        """Convert pictures to the network's input.

        Parameters
        ----------
        rgb : uint8 array, shape (n, height, width, 3)

        Returns
        -------
        float32 tensor, shape (n, 3, height, width)
            Normalised; channels last in memory.
        """
        pixels = torch.from_numpy(rgb).to(device).permute(0, 3, 1, 2).float() / 255
        mean, sd = (
            torch.tensor(values, device=device)[:, None, None] for values in (self.mean, self.sd)
        )
        return ((pixels - mean) / sd).contiguous(memory_format=torch.channels_last)

"""A network ready to run, and how to feed it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn

from ...datasets.errors import InputError
from ..choices import Interpolation
from ..layers.layers import Layer, Listing, layer_named, paper_names
from ..layers.trace import survey
from ..layers.uses import used_keys
from ..records.record import Weights
from ..sources.description import IMAGENET_MEAN, IMAGENET_SD, Resize
from ..sources.weights import complaint
from .heads import Headed, SaliencyModel, SceneModel, last_layer


def network_input(picture: Image.Image, resize: Resize) -> np.ndarray:
    """Resize a stimulus to a network's input.

    The whole stimulus, so that maps cover it; the aspect ratio is not kept, as in the paper.
    Pillow's filters average when they shrink.

    Parameters
    ----------
    picture : Image
        RGB.
    resize : Resize

    Returns
    -------
    uint8 array, shape (height, width, 3)
    """
    height, width = resize.size
    filters = Image.Resampling[resize.interpolation.upper()]
    return np.array(picture.resize((width, height), filters))


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
        Normalisation of RGB in 0 to ``range``.
    unit_names : dict
        Names of the units by layer, for layers whose units have names.
    code : str or None
        SHA-256 of the source of the factory's module, if a factory made the network; of its class,
        if it is a Module that was passed.
    range : float
        What white is before normalisation: 1, or 255.
    interpolation : Interpolation
        How pictures are resized.
    centre_bias : str or None
        SHA-256 of the centre bias that the network is given, if any.
    px_per_degree : float or None
        The resolution that the network expects; see `at_scale`.
    lacking : dict
        What is wrong with its file of weights, by key; these parameters are NaN. See `check`.
    """

    name: str
    network: nn.Module
    weights: Weights
    input_size: tuple[int, int]
    mean: tuple[float, ...] = IMAGENET_MEAN
    sd: tuple[float, ...] = IMAGENET_SD
    unit_names: dict[str, list[str]] = field(default_factory=dict)
    code: str | None = None
    range: float = 1.0
    interpolation: Interpolation = "bilinear"
    centre_bias: str | None = None
    px_per_degree: float | None = None
    lacking: dict[str, str] = field(default_factory=dict)

    @property
    def resize(self) -> Resize:
        """What pictures are resized to."""
        return Resize(self.input_size, self.interpolation)

    def at_scale(self, sizes: Iterable[tuple[int, int]], px_per_degree: float | None) -> Model:
        """Return the model with the input size that shows stimuli at the expected resolution.

        Unchanged if the model expects none.

        Parameters
        ----------
        sizes : iterable of (height, width)
            Sizes of the stimuli in pixels; the commonest counts.
        px_per_degree : float, optional
            Their resolution.

        Raises
        ------
        InputError
            If the stimuli's resolution is unknown.
        """
        if self.px_per_degree is None:
            return self
        if px_per_degree is None:
            raise InputError(
                f"{self.name}: expects {self.px_per_degree:g} pixels per degree, and those of the "
                "stimuli are unknown; give --px-per-degree or --input-size"
            )
        scale = self.px_per_degree / px_per_degree
        size = Counter(sizes).most_common(1)[0][0]
        height, width = (max(1, round(side * scale)) for side in size)
        return replace(self, input_size=(height, width))

    def check(self, layers: Sequence[Layer] | None = None) -> None:
        """Refuse layers that depend on weights which the file does not have.

        Parameters
        ----------
        layers : sequence of Layer, optional
            By default the network's output.

        Raises
        ------
        InputError
            If a key is missing, of another shape or not finite; the message names it.
        """
        if not self.lacking:
            return
        used = used_keys(self.network, layers, self.input_size)
        wrong = {key: what for key, what in self.lacking.items() if key in used}
        if wrong:
            end = f"up to {layers[-1].name}" if layers else "as a whole"
            raise InputError(
                f"{self.weights.file}: weights do not fit {self.name} {end}; {complaint(wrong, [])}"
            )

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
            If no layer has this name, or the file of weights lacks some that it needs.
        """
        found = layer_named(self.layers(), name)
        self.check([found])
        return found

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
        pixels = torch.from_numpy(rgb)
        if torch.device(device).type == "cuda":
            pixels = pixels.pin_memory()  # else the copy makes the host wait for the device
        pixels = pixels.to(device, non_blocking=True).permute(0, 3, 1, 2).float()
        pixels = pixels / (255 / self.range)
        mean, sd = (
            torch.tensor(values, device=device)[:, None, None] for values in (self.mean, self.sd)
        )
        return ((pixels - mean) / sd).contiguous(memory_format=torch.channels_last)


def add_head(model: Model, layer: str | None, scenes: list[str] | None) -> Headed:
    """Cut a network at a layer and add a head to train.

    Parameters
    ----------
    model : Model
        Its network is modified in place.
    layer : str, optional
        By default the output of the last block.
    scenes : list of str, optional
        Scenes to recognise; without them, the head predicts saliency.

    Raises
    ------
    InputError
        If no layer has this name.
    """
    layers = model.layers()
    chosen = layer_named(layers, layer) if layer else last_layer(layers)
    if scenes is None:
        return SaliencyModel(model.network, chosen, model.input_size)
    return SceneModel(model.network, chosen, model.input_size, len(scenes))


def describe(model: Model, network: Headed, task: str) -> dict[str, Any]:
    """Say what a file of a trained network's weights holds, ready for JSON.

    Parameters
    ----------
    model : Model
        The network that was cut.
    network : Headed
    task : str
    """
    head = "readout" if isinstance(network, SaliencyModel) else "classifier"
    return {
        "salprobe": version("salprobe"),
        "task": task,
        "model": model.name,
        "layer": network.layer.name,
        "input_size": list(model.input_size),
        "mean": list(model.mean),
        "sd": list(model.sd),
        "range": model.range,
        "interpolation": model.interpolation,
        "keys": {"backbone": "backbone.", "head": f"{head}."},
    }

"""Activation maps rebuilt from features, and saliency models made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from ...datasets.errors import InputError
from ...datasets.files import sha256
from ...datasets.stimuli import Stimuli, Stimulus
from ..layers.layers import Layer
from ..networks.activation import placed, resized
from ..networks.model import Model, network_input
from ..records.record import MOST_INPUT
from ..runs.inputs import layers_of, model_of
from ..sources.description import Resize
from .bank import picture_features
from .explanation import Explanation
from .passes import grid_of


def folder_of(name: str) -> Path:
    """Return the folder that such a name names."""
    return Path(name.partition(":")[2])


def rebuilt(features: torch.Tensor, layer: Layer, coefficients: np.ndarray) -> torch.Tensor:
    """Return maps rebuilt from a picture's features.

    Parameters
    ----------
    features : float32 tensor, shape (features, height, width)
        See `picture_features`.
    layer : Layer
    coefficients : float64 array, shape (1 + features, n)

    Returns
    -------
    float32 tensor, shape (n, layer's height, layer's width)
    """
    cells = np.arange(layer.height * layer.width)
    maps = grid_of(layer).design(features, cells) @ coefficients
    return torch.from_numpy(maps.T.reshape(-1, layer.height, layer.width)).float()


class Rebuilt(nn.Module):
    """A network in which rebuilt maps take the place of some layers' own.

    Parameters
    ----------
    model : Model
        The network itself, and how it is fed.
    layers : sequence of Layer
    coefficients : mapping
        Those of each layer, by its name.

    Raises
    ------
    InputError
        If a layer's units are attention heads, which no later layer reads as maps.
    """

    def __init__(
        self, model: Model, layers: list[Layer], coefficients: Mapping[str, np.ndarray]
    ) -> None:
        super().__init__()
        for layer in layers:
            if "#" in layer.module:
                raise InputError(f"{layer.name}: maps of attention cannot be put in their place")
        self.network, self._layers, self._coefficients = model.network, layers, coefficients
        self._mean, self._sd = (torch.tensor(one)[:, None, None] for one in (model.mean, model.sd))
        self._range = model.range

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the network's output for one picture, (1, 3, height, width)."""
        rgb = (images[0] * self._sd + self._mean) / self._range
        features = picture_features(rgb.contiguous())
        wanted = {(layer.module, layer.call): layer for layer in self._layers}
        calls: Counter[str] = Counter()

        def put(name: str, output: torch.Tensor) -> torch.Tensor | None:
            calls[name] += 1
            layer = wanted.get((name, calls[name]))
            if layer is None:
                return None
            instead = output.clone()
            maps = rebuilt(features, layer, self._coefficients[layer.name])
            layer.maps(instead).copy_(maps[None])
            return instead

        with ExitStack() as stack:
            for name in {layer.module for layer in self._layers}:

                def hook(_module: nn.Module, _inputs: Any, output: Any, name: str = name) -> Any:
                    return put(name, output)

                handle = self.network.get_submodule(name).register_forward_hook(hook)
                stack.callback(handle.remove)
            return self.network(images)


def explained_model(explanation: Explanation) -> Model:
    """Return an explanation's network, with rebuilt maps in the place of all explained layers.

    What the layers do not reach is the network's own: its readout or decoder.

    Raises
    ------
    InputError
        If the network is missing or not the one that was explained, or no layer but its readout
        was explained.
    """
    model = model_of(explanation, None, "probe explain")
    layers = [one for one in layers_of(explanation, model).values() if one.name != "readout"]
    if not layers:
        raise InputError(f"{explanation.folder}: no layer before the readout is explained")
    coefficients = {layer.name: explanation.coefficients_of(layer.name) for layer in layers}
    network = Rebuilt(model, layers, coefficients).eval()
    return replace(model, network=network, name=str(explanation.folder))


def readout_function(
    explanation: Explanation, column: str = "weight"
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from pictures to the maps of a readout on rebuilt maps.

    Pictures are uint8 (height, width, 3), maps float32 (height, width).

    Parameters
    ----------
    explanation : Explanation
    column : str
        Which weights: ``weight``, or ``without_k`` for those fitted without fold k.

    Raises
    ------
    InputError
        If the explanation has no readout, or its files do not belong together.
    """
    table, name = explanation.readout, explanation.info.readout
    known = {one.name: one for one in explanation.info.layers}.get(str(name))
    cells = (known.height or 0) * (known.width or 0) if known else 0
    if known is None or not 0 < cells <= MOST_INPUT or len(table) != known.units + 1:
        raise InputError(f"{explanation.folder}: its readout does not belong to explain.json")
    layer = Layer(known.name, "", 1, known.units, known.height or 0, known.width or 0, "NCHW")
    layer = replace(layer, registration=known.registration)
    weights = table[column].to_numpy()
    rebuild = explanation.coefficients_of(layer.name)
    combined = rebuild @ weights[1:, None]
    combined[0] += weights[0]
    parameters = explanation.info.parameters
    resize = Resize(parameters.input_size, parameters.interpolation)

    def predict(picture: np.ndarray) -> np.ndarray:
        rgb = torch.from_numpy(network_input(Image.fromarray(picture), resize))
        saliency = rebuilt(picture_features(rgb.permute(2, 0, 1).float() / 255), layer, combined)
        if layer.registration is not None:
            saliency = placed(saliency[None], layer.registration)[0]
        return resized(saliency[0], picture.shape[:2]).numpy()

    return predict


def readout_maps(name: str, stimuli: Stimuli) -> Callable[[Stimulus, np.ndarray], np.ndarray]:
    """Return the function from stimuli and their pictures to the maps of a readout.

    A picture that the readout was fitted on gets the weights that were fitted without its fold.

    Raises
    ------
    InputError
        See `readout_function`.
    """
    explanation = Explanation.open(folder_of(name))
    images = explanation.images
    folds = dict(zip(images["sha256"], images["fold"], strict=True))
    whole = readout_function(explanation)
    without = [
        readout_function(explanation, f"without_{fold}")
        for fold in range(explanation.info.parameters.folds)
    ]

    def predict(stimulus: Stimulus, picture: np.ndarray) -> np.ndarray:
        fold = folds.get(sha256(stimuli.path(stimulus)))
        if fold is not None and not 0 <= fold < len(without):
            raise InputError(f"{explanation.folder}: images.csv: there is no fold {fold}")
        return (whole if fold is None else without[fold])(picture)

    return predict

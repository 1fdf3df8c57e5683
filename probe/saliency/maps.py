"""Saliency maps from models by name, a trained network or a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ...datasets.errors import InputError
from ...datasets.stimuli import (
    Dataset,
    Stimuli,
    Stimulus,
)
from ..architectures.named import ARCHITECTURES
from ..architectures.saliency_network import SaliencyNetwork
from ..explain.explanation import Explanation
from ..explain.rebuilt import explained_model, folder_of, readout_function, readout_maps
from ..networks.activation import resized
from ..networks.heads import SaliencyModel
from ..networks.load import is_training, load_model, load_trained
from ..networks.model import Model, network_input
from ..sources.factory import from_factory
from ..sources.libraries import READOUT, is_explained, is_factory
from .classical.models import MODELS
from .densities import is_log_density
from .given import checked_map
from .observers import CentreBias, Human

MapOf = Callable[[Stimulus], np.ndarray]
"""From a stimulus to its saliency map, float64 (height, width)."""

OBSERVERS: dict[str, Callable[[Dataset], MapOf]] = {"human": Human, "centre": CentreBias}
"""The models that are made of a dataset's fixations, by the names that commands use."""

_ARRAYS = (".npy", ".mat", ".h5", ".hdf5")


def saliency_map(model: str, rgb: np.ndarray, weights: str | Path | None = None) -> np.ndarray:
    """Return a saliency model's map of a picture, as the model puts it out.

    Parameters
    ----------
    model : str
        A classical model (``gbvs``, ``itti``, ``bms``, ``spectral`` …), a saliency network
        (``unisal``, ``msinet`` …), a folder that `probe train` made, ``explained:DIR`` or
        ``explained-readout:DIR`` with a folder that `probe explain` made, or
        ``package.module:factory``.
    rgb : uint8 array, shape (height, width, 3)
    weights : path, optional
        A network's file of weights, or ``random``.

    Returns
    -------
    float64 array, shape (height, width)

    Raises
    ------
    InputError
        If there is no such model, or the picture or the map is malformed.

    Examples
    --------
    >>> import numpy as np, salprobe as sp
    >>> picture = np.zeros((60, 80, 3), np.uint8)
    >>> picture[20:30, 50:60] = 255
    >>> saliency = sp.saliency_map("bms", picture)
    >>> saliency.shape, bool(saliency[25, 55] > saliency[45, 20])
    ((60, 80), True)
    """
    function = model_function(model, weights)
    if function is None:
        raise InputError(f"{model}: not a saliency model; expected {', '.join(MODELS)} …")
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise InputError(
            f"expected a picture, uint8 (height, width, 3), got {rgb.dtype} {rgb.shape}"
        )
    saliency = np.asarray(function(rgb), dtype=np.float64)
    if saliency.shape != rgb.shape[:2] or not np.isfinite(saliency).all():
        raise InputError(f"{model}: expected a finite map of {rgb.shape[:2]}, got {saliency.shape}")
    return saliency


def maps_of(
    names: Sequence[str],
    stimuli: Stimuli,
    dataset: Dataset | None = None,
    weights: Mapping[str, str | Path] = {},
    px_per_degree: float | None = None,
    *,
    weights_key: str | None = None,
    weights_prefix: str | None = None,
) -> dict[str, MapOf]:
    """Return the maps of saliency models by name.

    Parameters
    ----------
    names : sequence of str
        As for `saliency_map`; also ``human`` and ``centre``, and a network that returns one map:
        of a factory, or any that `load_model` knows with a file of weights that has a readout.
    stimuli : Stimuli
    dataset : Dataset, optional
        The fixations that ``human`` and ``centre`` are made of.
    weights : mapping of path
        Files of weights, or ``random``, by the names of networks.
    px_per_degree : float, optional
        The pictures' resolution, for networks that expect one; by default the dataset's.
    weights_key, weights_prefix : str, optional
        Where in these files the network is; see `load_model`.

    Raises
    ------
    InputError
        If there is no such model, a name is given twice or none at all, or weights are given to
        what has none.
    """
    if not weights and (weights_key, weights_prefix) != (None, None):
        raise InputError("--weights-key and --weights-prefix are for --weights NAME=FILE")
    if not names:
        raise InputError("no model is named; expected --models")
    if len(set(names)) < len(names):
        raise InputError(f"a model is given twice among {', '.join(names)}")
    for name in weights:
        if name not in names:
            raise InputError(f"--weights {name}={weights[name]}: no such model in --models")
    models: dict[str, MapOf] = {}
    scale = px_per_degree or (None if dataset is None else dataset.px_per_degree)
    for name in names:
        if name in OBSERVERS:
            if name in weights:
                raise InputError(f"{name} has no weights; expected no --weights")
            if dataset is None:
                raise InputError(f"{name}: is made of fixations; expected a dataset that has some")
            models[name] = OBSERVERS[name](dataset)
            continue
        if name.startswith(READOUT) and name not in weights:
            models[name] = _of_stimuli(name, readout_maps(name, stimuli), stimuli)
            continue
        place = (weights_key, weights_prefix) if name in weights else (None, None)
        function = model_function(name, weights.get(name), place, scale)
        if function is None:
            known = ", ".join([*MODELS, *OBSERVERS])
            raise InputError(f"{name}: not a saliency model; expected {known} …")
        models[name] = from_function(name, function, stimuli)
    return models


def from_function(name: str, function: Callable[[np.ndarray], Any], stimuli: Stimuli) -> MapOf:
    """Return a function's maps; it takes RGB pictures, uint8 (height, width, 3).

    The result raises `InputError` if a picture cannot be read, or the function's map is not
    finite or not of two dimensions.
    """
    return _of_stimuli(name, lambda _stimulus, picture: function(picture), stimuli)


def _of_stimuli(
    name: str, function: Callable[[Stimulus, np.ndarray], Any], stimuli: Stimuli
) -> MapOf:
    """Return the maps of a function that also takes the stimulus; see `from_function`."""

    def map_of(stimulus: Stimulus) -> np.ndarray:
        picture, place = np.asarray(stimuli.read(stimulus)), f"{name}: {stimulus.file_name}"
        try:
            saliency = np.asarray(function(stimulus, picture), dtype=np.float64)
        except InputError as error:
            raise InputError(f"{place}: {error}") from error
        return checked_map(place, saliency, stimulus)[0]

    return map_of


def model_function(
    name: str,
    weights: str | Path | None = None,
    place: tuple[str | None, str | None] = (None, None),
    px_per_degree: float | None = None,
    seed: int = 0,
) -> Callable[[np.ndarray], Any] | None:
    """Return the function from pictures to maps of what `function_named` or `load_model` knows.

    A network counts if it is a saliency network, a factory's, or has a file of weights. None if
    there is no such model.

    Raises
    ------
    InputError
        As they, or as `network_maps`.
    """
    function = function_named(name, weights, place)
    if function is None and (":" in name or name in ARCHITECTURES or weights is not None):
        network = load_model(
            *(name, "default" if weights is None else str(weights)),
            seed=seed,
            weights_key=place[0],
            weights_prefix=place[1],
        )
        function = network_maps(network, px_per_degree)
    return function


def function_named(
    name: str,
    weights: str | Path | None = None,
    place: tuple[str | None, str | None] = (None, None),
) -> Callable[[np.ndarray], Any] | None:
    """Return the function from pictures to saliency maps that a name stands for, or None.

    A classical model, what ``module:factory`` returns, an explanation (``explained:DIR``, the
    network itself with rebuilt maps; ``explained-readout:DIR``, the readout fitted on them), or the
    network of a training folder, with a file of weights if given, and the network's key and prefix
    in it. A network of another kind gives None.

    Raises
    ------
    InputError
        As `predictor`, if the factory fails, or if weights are given to what has none.
    """
    if name in MODELS or is_explained(name):
        if weights is not None:
            raise InputError(f"{name} has no weights; expected no --weights")
        return MODELS[name] if name in MODELS else _explained(name)
    if is_training(name) and (Path(name) / "train.json").is_file():
        return predictor(Path(name), "default" if weights is None else str(weights), place)
    if not is_factory(name):
        return None
    product = from_factory(name)
    if not callable(product) or hasattr(product, "state_dict"):
        return None
    if weights is not None:
        raise InputError(f"{name}: made a function, which has no weights; expected no --weights")
    return product


def _explained(name: str) -> Callable[[np.ndarray], np.ndarray]:
    explanation = Explanation.open(folder_of(name))
    if name.startswith(READOUT):
        return readout_function(explanation)
    return network_maps(explained_model(explanation))


def predictor(
    folder: Path,
    weights: str = "default",
    place: tuple[str | None, str | None] = (None, None),
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from pictures to saliency maps that a training folder holds.

    Pictures are uint8 (height, width, 3), maps float32 (height, width).

    Raises
    ------
    InputError
        As `load_trained`, or if the network was not trained for saliency.
    """
    model = load_trained(folder, weights, weights_key=place[0], weights_prefix=place[1])
    if not isinstance(model.network, SaliencyModel):
        raise InputError(f"{folder}: was not trained for saliency")
    return network_maps(model)


def network_maps(
    model: Model, px_per_degree: float | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from pictures to a network's map, resized to the picture (bilinear).

    A `SaliencyNetwork` feeds itself and resizes its map as its authors do. The logarithm of a
    density is that of one over the picture's pixels.

    The function raises `InputError` if the network does not return one map, (1, 1, height, width)
    or (1, height, width).

    Parameters
    ----------
    model : Model
    px_per_degree : float, optional
        The pictures' resolution.

    Raises
    ------
    InputError
        If the file of weights lacks some, or the model expects a resolution and none is given.
    """
    model.check()
    if isinstance(model.network, SaliencyNetwork):
        return model.network.predict
    model.at_scale([(1, 1)], px_per_degree)

    def predict(picture: np.ndarray) -> np.ndarray:
        resize = model.at_scale([picture.shape[:2]], px_per_degree).resize
        rgb = network_input(Image.fromarray(picture), resize)
        with torch.inference_mode():
            maps = model.network(model.images(rgb[None]))
            if not isinstance(maps, torch.Tensor) or maps.ndim < 3 or maps[..., 0, 0].numel() != 1:
                got = tuple(maps.shape) if isinstance(maps, torch.Tensor) else type(maps).__name__
                raise InputError(
                    f"{model.name}: expected a network that returns one map, "
                    f"(1, 1, height, width), got {got}"
                )
            own = maps.reshape(maps.shape[-2:]).float()
            saliency = resized(own, picture.shape[:2])
            if is_log_density(own.double().numpy()):  # on other pixels it has to sum to 1 again
                saliency = saliency.double().flatten().log_softmax(0).view_as(saliency)
            return saliency.numpy()

    return predict

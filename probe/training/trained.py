"""A trained network, read from its folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from ...datasets.errors import InputError
from ...datasets.files import sha256
from ...datasets.masks import MaskSet
from ..layers import Layer
from ..models import Model, fill, load_model, read_state
from .losses import resized
from .networks import Headed, SaliencyModel, SceneModel, last_layer
from .store import read_description


def add_head(model: Model, layer: str | None, scenes: list[str] | None) -> Headed:
    """Cut a network at a layer and add what is trained.

    Parameters
    ----------
    model : Model
        Its network is changed.
    layer : str, optional
        By default its last block's output.
    scenes : list of str, optional
        For scene recognition; else it is for saliency.

    Raises
    ------
    InputError
        If there is no such layer.
    """
    layers = model.layers()
    chosen = _named(layers, layer) if layer else last_layer(layers)
    if scenes is None:
        return SaliencyModel(model.network, chosen, model.input_size)
    return SceneModel(model.network, chosen, model.input_size, len(scenes))


def load_trained(
    folder: Path, weights: str = "default", input_size: tuple[int, int] | None = None
) -> Model:
    """Load what `probe train` made, as it was best in validation.

    Parameters
    ----------
    weights : str
        ``default`` for ``best.safetensors``, or a file.

    Raises
    ------
    InputError
        If the folder holds no training or its weights are missing, damaged or of another network.
    """
    description = read_description(folder)
    backbone = description["parameters"]["backbone"]
    if weights == "random":
        raise InputError(f"{folder}: is trained; leave --weights random out")
    path = folder / "best.safetensors" if weights == "default" else Path(weights)
    if weights == "default" and not path.exists():
        raise InputError(f"{folder}: this training is unfinished; its command resumes it")
    own = "default" if ":" in backbone["model"] else "random"
    model = load_model(backbone["model"], own, input_size=tuple(backbone["input_size"]))
    network = add_head(model, backbone["layer"], description["scenes"])
    fill(network, read_state(path), f"{path}: weights do not fit {backbone['model']}")
    source = {"source": "trained", "file": path.name, "sha256": sha256(path)}
    size = input_size or model.input_size
    name = str(folder)
    return replace(model, name=name, network=network.eval(), weights=source, input_size=size)


def trained_on(folder: Path, masks: MaskSet) -> int:
    """Count the images of a mask set that a training had seen: to train on, or to validate."""
    if read_description(folder)["dataset"] != masks.info.salprobe.dataset:
        return 0
    try:
        split = pd.read_csv(folder / "split.csv")
        seen = set(split["image"][split["split"] != "test"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder / 'split.csv'}: cannot be read ({error})") from error
    return sum(image.file_name in seen for image in masks.images)


def predictor(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return what a training for saliency learnt: from a picture to its saliency map.

    Pictures are uint8 (height, width, 3), maps float32 (height, width).

    Raises
    ------
    InputError
        As `load_trained`; if it was trained for something else.
    """
    model = load_trained(folder)
    if not isinstance(model.network, SaliencyModel):
        raise InputError(f"{folder}: was not trained for saliency")
    network = model.network
    height, width = model.input_size

    def predict(picture: np.ndarray) -> np.ndarray:
        small = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
        with torch.inference_mode():
            found = network(model.images(np.array(small)[None]))[0, 0]
            return resized(found, (picture.shape[0], picture.shape[1])).numpy()

    return predict


def _named(layers: list[Layer], name: str) -> Layer:
    for layer in layers:
        if layer.name == name:
            return layer
    known = ", ".join(layer.name for layer in layers if layer.default)
    raise InputError(f"no layer {name!r}; there are {known} … (`probe layers`)")

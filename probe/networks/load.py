"""Networks by name, and their weights: torchvision's, ``gabor``, or your own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from ...datasets.errors import InputError
from ...datasets.files import sha256
from .backbones import model_names, own_network, torchvision_network
from .gabor import Gabor
from .model import Model
from .trained import add_head, read_description
from .weights import fill, read_state, state_sha256


def load_model(
    name: str = "vgg16",
    weights: str = "default",
    *,
    seed: int = 0,
    input_size: tuple[int, int] | None = None,
) -> Model:
    """Load a network.

    Parameters
    ----------
    name : str
        A torchvision classification model, ``gabor``, ``package.module:factory``, a callable
        without arguments that returns a Module, or a folder that `probe train` made.
    weights : str
        ``default`` (torchvision's best ImageNet weights; a factory's own; what was best in
        training), ``random``, or a file (.pth, .safetensors).
    seed : int
        For random weights.
    input_size : (height, width), optional
        By default what the weights were trained on, else 224×224.

    Raises
    ------
    InputError
        If there is no such model or file, the weights do not fit, or cannot be downloaded.
    """
    torch.manual_seed(seed)
    if is_training(name):
        return load_trained(Path(name), weights, input_size)
    if name == "gabor":
        if weights != "default":
            raise InputError("gabor has no weights; leave --weights out")
        network = Gabor().eval()
        names = {"log_gabor": network.log_gabor.unit_names}
        names["centre_surround"] = network.centre_surround.unit_names
        source: dict[str, str | None] = {"source": "none", "file": None, "sha256": None}
        return Model(name, network, source, input_size or (224, 224), (0.0,) * 3, (1.0,) * 3, names)
    if ":" in name:
        network, trained_size = own_network(name), (224, 224)
        if weights == "random":
            raise InputError(f"{name}: a factory makes its own weights; --weights takes a file")
        source = {"source": "factory", "file": None, "sha256": None}
    else:
        network, trained_size, source = torchvision_network(name, weights)
    if weights not in ("default", "random"):
        path = Path(weights)
        fill(network, read_state(path), f"{path}: weights do not fit {name}")
        source = {"source": "file", "file": path.name, "sha256": sha256(path)}
    if source["sha256"] is None:
        source["sha256"] = state_sha256(network)
    return Model(name, network.float().eval(), source, input_size or trained_size)


def is_training(name: str) -> bool:
    """Tell whether a model's name is that of a folder, which then has to be `probe train`'s."""
    return Path(name).is_dir() and name not in model_names()


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

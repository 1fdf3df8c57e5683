"""`probe convert`: another program's weights as a file of ours."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...datasets.errors import InputError
from ..sources.weights import write_weights
from .heads import Headed
from .load import load_model
from .model import Model, describe


def convert_weights(
    path: str | Path,
    output: str | Path,
    model: str = "msinet",
    *,
    weights_key: str | None = None,
    weights_prefix: str | None = None,
) -> Model:
    """Write a network's weights from another program's file as safetensors.

    Parameters
    ----------
    path : path
        A frozen graph or SavedModel (``.pb``) or a checkpoint (``.index``) of TensorFlow, read
        without it; or any other file that `load_model` takes.
    output : path
        File to write, ``.safetensors``.
    model : str
        The network that the weights are of; see `load_model`.
    weights_key, weights_prefix : str, optional
        Where in the file the network is; see `load_model`.

    Returns
    -------
    Model
        The network with these weights.

    Raises
    ------
    InputError
        If the output has another ending, or the file cannot be read or lacks some of the network's
        weights.

    Examples
    --------
    >>> import salprobe as sp, torch
    >>> network = sp.load_model("unisal", weights="random").network
    >>> torch.save(network.state_dict(), "weights_best.pth")
    >>> sp.convert_weights("weights_best.pth", "unisal.safetensors", "unisal").weights.file
    'weights_best.pth'
    >>> sp.load_model("unisal", weights="unisal.safetensors").name
    'unisal'
    """
    path, output = Path(path), Path(output)
    if output.suffix != ".safetensors":
        raise InputError(f"{output}: expected a name that ends in .safetensors")
    loaded = load_model(model, str(path), weights_key=weights_key, weights_prefix=weights_prefix)
    if loaded.weights.source != "file":
        raise InputError(f"{path}: expected a file of weights")
    loaded.check()
    about: dict[str, Any] = {"salprobe": version("salprobe"), "model": model}
    if isinstance(loaded.network, Headed):  # which layer its readout is on
        about = describe(loaded, loaded.network, "saliency")
    about["from"] = {"file": loaded.weights.file, "sha256": loaded.weights.sha256}
    write_weights(output, loaded.network, about)
    return loaded

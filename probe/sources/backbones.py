"""Untrained and pre-trained networks by name: from torchvision, or from a factory."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import torch
import torchvision
from torch import nn

from ...datasets.errors import InputError
from ...datasets.files import sha256
from ..records.record import Weights
from .description import Network
from .factory import from_factory
from .weights import fill


def torchvision_network(name: str, weights: str) -> tuple[Network, Weights]:
    """Return a torchvision model, and the record of its weights.

    Parameters
    ----------
    name : str
    weights : str
        ``default`` loads the published weights; any other value leaves them random.

    Raises
    ------
    InputError
        If there is no such model, or its weights cannot be downloaded.
    """
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise InputError(
            f"no model {name!r}: expected a torchvision classification model (vgg16, resnet50 …), "
            "gabor, unisal, msinet, cmrnet, timm:NAME, hf:OWNER/NAME, open_clip:ARCH/TAG, or "
            "package.module:factory"
        )
    published = torchvision.models.get_model_weights(name).DEFAULT  # type: ignore[attr-defined]
    size = published.transforms().crop_size[0]
    network = torchvision.models.get_model(name, weights=None, **_implied_options(name))
    described = Network(network, size=(size, size))
    if weights != "default":
        return described, Weights(source="random")
    try:
        with redirect_stdout(sys.stderr):  # torch.hub prints to stdout what it downloads
            state = published.get_state_dict(
                progress=sys.stderr.isatty(), check_hash=True, weights_only=True
            )
    except (URLError, OSError, RuntimeError) as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise InputError(
            f"the default weights of {name} cannot be downloaded ({error}); get {published.url} "
            f"elsewhere and put it into {folder}, or name it with --weights FILE"
        ) from error
    fill(network, state, f"the default weights do not fit {name}")
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(published.url).name
    return described, Weights(source="default", file=file.name, sha256=sha256(file))


def _implied_options(name: str) -> dict[str, bool]:
    """Return the options that a model's published weights require."""
    if name not in ("googlenet", "inception_v3"):
        return {}
    return {"aux_logits": True, "transform_input": True, "init_weights": True}


def own_network(name: str, named_by: Path | None = None) -> Network:
    """Return the network that ``package.module:factory`` makes, on the CPU; see `from_factory`.

    Raises
    ------
    InputError
        If the factory fails or returns neither a Module nor a Network.
    """
    product = from_factory(name, named_by)
    if isinstance(product, nn.Module):
        product = Network(product)
    if not isinstance(product, Network):
        raise InputError(
            f"{name}: returned {type(product).__name__}, expected torch.nn.Module or "
            "salprobe.Network"
        )
    return replace(product, module=product.module.cpu())


def model_names() -> list[str]:
    """Return the names of all models that come with torchvision or with us."""
    return [*torchvision.models.list_models(module=torchvision.models), "gabor"]

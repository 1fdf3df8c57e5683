"""Networks by name: of torchvision, ours, another library, a factory, a training folder."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from ...datasets.errors import InputError
from ...datasets.files import sha256
from ...datasets.options import check_types
from ..architectures.cmrnet import CmrNet, begin_with
from ..architectures.named import ARCHITECTURES, architecture
from ..records.record import MOST_INPUT, Weights
from ..records.train_info import TrainInfo
from ..sources.backbones import model_names, own_network, torchvision_network
from ..sources.description import CentreBias, Network
from ..sources.factory import source_sha256, trust
from ..sources.gabor import Gabor
from ..sources.libraries import from_source, is_explained, is_factory, source_of
from ..sources.weights import fill, find, state_sha256
from .fitting import fitted
from .model import Model, add_head


@dataclass(frozen=True)
class Backbone:
    """A network by name, as given by the options ``--model``, ``--weights``, ``--input-size``.

    Naming a factory here is to trust it.

    Attributes
    ----------
    model, weights, input_size, weights_key, weights_prefix
        See `load_model`.
    layer : str or None
        The layer to use where a single layer matters: to cut the network for training, or to
        describe regions by its units.

    Raises
    ------
    InputError
        If a value has another type, or an input size is not positive.
    """

    model: str = "vgg16"
    weights: str = "default"
    input_size: tuple[int, int] | None = None
    layer: str | None = None
    weights_key: str | None = None
    weights_prefix: str | None = None

    def __post_init__(self) -> None:
        check_types(self)
        if self.input_size:
            height, width = self.input_size
            if min(height, width) < 1 or height * width > MOST_INPUT:
                size = f"{height}×{width}"
                raise InputError(f"input size {size}: expected 1 to {MOST_INPUT} pixels")

        if is_factory(self.model):
            trust(self.model)

    def load(self, seed: int = 0, layers: str | Sequence[str] = ()) -> Model:
        """Load the network.

        Parameters
        ----------
        seed, layers
            See `load_model`; by default the layer is the backbone's, if it names one.

        Raises
        ------
        InputError
            See `load_model`.
        """
        return load_model(
            *(self.model, self.weights),
            seed=seed,
            input_size=self.input_size,
            layers=layers or ([self.layer] if self.layer else ()),
            weights_key=self.weights_key,
            weights_prefix=self.weights_prefix,
        )


def load_model(
    name: str = "vgg16",
    weights: str = "default",
    *,
    seed: int = 0,
    input_size: tuple[int, int] | None = None,
    named_by: Path | None = None,
    layers: str | Sequence[str] = (),
    weights_key: str | None = None,
    weights_prefix: str | None = None,
) -> Model:
    """Load a network.

    Parameters
    ----------
    name : str
        A torchvision classification model, ``gabor``, a saliency network (``unisal``, ``msinet``
        …), ``timm:NAME``, ``hf:OWNER/NAME`` (or a folder), ``open_clip:ARCH/TAG``,
        ``package.module:factory`` (a callable without arguments that returns a Module or a
        `Network`), or a folder that `probe train` made.
    weights : str
        ``default`` (the published weights; a factory's own; a training's best), ``random``, or a
        file (.pth, .safetensors, TensorFlow's .pb or .index). A file with a readout, ours or He et
        al.'s, gives the trained saliency model.
    seed : int
        Seed for random weights. The caller's random state is unchanged.
    input_size : (height, width), optional
        By default the size that the weights were trained on, else 224×224.
    named_by : Path, optional
        The folder of results that names the network, if it is not the caller. Its factories are
        imported only if they are trusted; see `trust`.
    layers : sequence of str
        Names or wildcards of the layers that will be read, by default the default layers: a file
        of weights need not reach beyond them.
    weights_key, weights_prefix : str, optional
        Where in the file the network is, if there are several: the keys that lead to its state
        dict, joined by dots, and what precedes the network's own keys in it.

    Returns
    -------
    Model
        On the CPU, in evaluation mode.

    Raises
    ------
    InputError
        If the model or file does not exist, or the weights do not fit or cannot be downloaded.

    Examples
    --------
    >>> import salprobe as sp
    >>> model = sp.load_model("squeezenet1_0", weights="random", input_size=(64, 64))
    >>> [layer.name for layer in model.layers() if layer.default][:3]
    ['features.1', 'features.3', 'features.4']
    """
    from_file = weights not in ("default", "random")
    if not from_file and (weights_key, weights_prefix) != (None, None):
        raise InputError("--weights-key and --weights-prefix are for --weights FILE")
    if is_training(name):
        return load_trained(
            *(Path(name), weights, input_size),
            weights_key=weights_key,
            weights_prefix=weights_prefix,
        )
    if name == "gabor":
        return _gabor(weights, input_size)
    if is_explained(name):
        raise InputError(f"{name}: is a saliency model, without layers; expected a network")
    code = None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if is_factory(name):
            if weights == "random":
                raise InputError(f"{name}: a factory makes its own weights; --weights takes a file")
            network, source = own_network(name, named_by), Weights(source="factory")
            code = source_sha256(name)
        elif name in ARCHITECTURES:
            network, source = architecture(name, weights)
        elif source_of(name):
            network, source = from_source(name, weights, input_size)
        else:
            network, source = torchvision_network(name, weights)
    if from_file:
        source = Weights(source="file", sha256="")  # not hashed before it is read
        path = Path(weights)
        if isinstance(network.module, CmrNet) and begin_with(
            *(network.module, path, weights_key, weights_prefix)
        ):
            where = {"key": weights_key, "prefix": weights_prefix}
            given = {name: value for name, value in where.items() if value is not None}
            source = Weights(source="file", file=path.name, sha256=sha256(path), **given)
            from_file = False
    model = _model(network, name, source, code, input_size)
    if from_file:
        return fitted(model, Path(weights), layers, weights_key, weights_prefix)
    return model


def model_of_module(network: nn.Module | Network) -> Model:
    """Return a Module, or the description of one, as a model; works on a copy.

    It is known by its state's SHA-256 and, where it has one, by that of its class's source.

    Raises
    ------
    InputError
        If it cannot be copied.
    """
    described = network if isinstance(network, Network) else Network(network)
    kind = type(described.module)
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):
        source = None
    try:
        described = replace(described, module=deepcopy(described.module).cpu())
    except Exception as error:  # the user's own code
        raise InputError(f"{kind.__name__}: cannot be copied: {error}") from error
    code = None if source is None else hashlib.sha256(source.encode()).hexdigest()
    return _model(described, kind.__name__, Weights(source="module"), code, None)


def _model(
    network: Network,
    name: str,
    weights: Weights,
    code: str | None,
    input_size: tuple[int, int] | None,
) -> Model:
    """Return a described network, ready to run."""
    module, bias = network.module.float().eval(), None
    if weights.sha256 is None:
        weights = weights.model_copy(update={"sha256": state_sha256(module)})
    if network.centre_bias is not None:
        bias = hashlib.sha256(network.centre_bias.tobytes()).hexdigest()
        module.register_forward_pre_hook(CentreBias(network.centre_bias))
    return Model(
        *(name, module, weights, input_size or network.size),
        mean=network.mean,
        sd=network.sd,
        code=code,
        range=network.range,
        interpolation=network.interpolation,
        centre_bias=bias,
        px_per_degree=None if input_size else network.px_per_degree,
    )


def is_training(name: str) -> bool:
    """Return whether a model's name is a folder, which must then be a training folder."""
    return Path(name).is_dir() and name not in (*model_names(), *ARCHITECTURES)


def load_trained(
    folder: Path,
    weights: str = "default",
    input_size: tuple[int, int] | None = None,
    *,
    weights_key: str | None = None,
    weights_prefix: str | None = None,
) -> Model:
    """Load a network that `probe train` trained, with the weights best in validation.

    Parameters
    ----------
    folder : Path
    weights : str
        ``default`` for ``best.safetensors``, or a file.
    input_size : (height, width), optional
    weights_key, weights_prefix : str, optional
        See `load_model`.

    Raises
    ------
    InputError
        If the folder holds no training, its weights are missing, damaged or do not fit, or it
        names a factory that is not trusted.
    """
    info = TrainInfo.read(folder)
    backbone = info.parameters.backbone
    if weights == "random":
        raise InputError(f"{folder}: is a trained network; expected no --weights random")
    path = folder / "best.safetensors" if weights == "default" else Path(weights)
    if weights == "default":
        if info.status != "complete" and not path.exists():
            raise InputError(
                f"{folder}: this training is unfinished; repeat its command to resume it"
            )
        info.check_files(folder, path.name)
    own = "default" if is_factory(backbone.model) else "random"
    size = input_size or backbone.input_size  # tokens are cut for a size
    model = load_model(backbone.model, own, input_size=size, named_by=folder)
    network = add_head(model, backbone.layer, info.scenes)
    found = find(path, network.state_dict(), key=weights_key, prefix=weights_prefix)
    state = {**found.state, **{key: torch.empty(0) for key in found.extra}}
    fill(network, state, f"{path}: weights do not fit {backbone.model}")
    return replace(
        model,
        name=str(folder),
        network=network.eval(),
        weights=Weights(source="trained", file=path.name, sha256=sha256(path)),
        input_size=input_size or model.input_size,
    )


def _gabor(weights: str, input_size: tuple[int, int] | None) -> Model:
    if weights != "default":
        raise InputError("gabor has no weights; expected no --weights")
    network = Gabor().eval()
    return Model(
        "gabor",
        network,
        Weights(source="none", file=None, sha256=None),
        input_size or (224, 224),
        mean=(0.0,) * 3,
        sd=(1.0,) * 3,
        unit_names={
            "log_gabor": network.log_gabor.unit_names,
            "centre_surround": network.centre_surround.unit_names,
        },
    )

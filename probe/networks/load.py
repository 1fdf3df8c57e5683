"""Networks by name: from torchvision, ``gabor``, a factory, or a training folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ...datasets.errors import InputError
from ...datasets.files import sha256
from ...datasets.options import check_types
from ..records.record import MOST_INPUT, Weights
from ..records.train_info import TrainInfo
from .backbones import model_names, own_network, torchvision_network
from .factory import source_sha256, trust
from .gabor import Gabor
from .heads import Headed, SaliencyModel, SceneModel, last_layer
from .layers import layer_named
from .model import Model
from .weights import fill, read_state, state_sha256


@dataclass(frozen=True)
class Backbone:
    """A network by name, as given by the options ``--model``, ``--weights``, ``--input-size``.

    Naming a factory here is to trust it.

    Attributes
    ----------
    model, weights, input_size
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

    def __post_init__(self) -> None:
        check_types(self)
        if self.input_size:
            height, width = self.input_size
            if min(height, width) < 1 or height * width > MOST_INPUT:
                size = f"{height}×{width}"
                raise InputError(f"input size {size}: expected 1 to {MOST_INPUT} pixels")

        if ":" in self.model:
            trust(self.model)

    def load(self, seed: int = 0) -> Model:
        """Load the network.

        Raises
        ------
        InputError
            See `load_model`.
        """
        return load_model(self.model, self.weights, seed=seed, input_size=self.input_size)


def load_model(
    name: str = "vgg16",
    weights: str = "default",
    *,
    seed: int = 0,
    input_size: tuple[int, int] | None = None,
    named_by: Path | None = None,
) -> Model:
    """Load a network.

    Parameters
    ----------
    name : str
        A torchvision classification model, ``gabor``, ``package.module:factory`` (a callable
        without arguments that returns a Module), or a folder that `probe train` made.
    weights : str
        ``default`` (torchvision's best ImageNet weights; a factory's own; a training's best),
        ``random``, or a file (.pth, .safetensors).
    seed : int
        Seed for random weights. The caller's random state is unchanged.
    input_size : (height, width), optional
        By default the size that the weights were trained on, else 224×224.
    named_by : Path, optional
        The folder of results that names the network, if it is not the caller. Its factories are
        imported only if they are trusted; see `trust`.

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
    if is_training(name):
        return load_trained(Path(name), weights, input_size)
    if name == "gabor":
        return _gabor(weights, input_size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if ":" in name:
            if weights == "random":
                raise InputError(f"{name}: a factory makes its own weights; --weights takes a file")
            network, trained_size = own_network(name, named_by), (224, 224)
            source, code = Weights(source="factory"), source_sha256(name)
        else:
            network, trained_size, source = torchvision_network(name, weights)
            code = None
    if weights not in ("default", "random"):
        path = Path(weights)
        fill(network, read_state(path), f"{path}: weights do not fit {name}")
        source = Weights(source="file", file=path.name, sha256=sha256(path))
    if source.sha256 is None:
        source = Weights(source=source.source, file=None, sha256=state_sha256(network))
    size = input_size or trained_size
    return Model(name, network.float().eval(), source, size, code=code)


def is_training(name: str) -> bool:
    """Return whether a model's name is a folder, which must then be a training folder."""
    return Path(name).is_dir() and name not in model_names()


def load_trained(
    folder: Path, weights: str = "default", input_size: tuple[int, int] | None = None
) -> Model:
    """Load a network that `probe train` trained, with the weights best in validation.

    Parameters
    ----------
    folder : Path
    weights : str
        ``default`` for ``best.safetensors``, or a file.
    input_size : (height, width), optional

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
    if weights == "default" and not path.exists():
        raise InputError(f"{folder}: this training is unfinished; repeat its command to resume it")
    own = "default" if ":" in backbone.model else "random"
    size = input_size or backbone.input_size  # tokens are cut for a size
    model = load_model(backbone.model, own, input_size=size, named_by=folder)
    network = add_head(model, backbone.layer, info.scenes)
    fill(network, read_state(path), f"{path}: weights do not fit {backbone.model}")
    return replace(
        model,
        name=str(folder),
        network=network.eval(),
        weights=Weights(source="trained", file=path.name, sha256=sha256(path)),
        input_size=input_size or model.input_size,
    )


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


def trainable(
    backbone: Backbone, seed: int, scenes: list[str] | None, *, new_readout: bool = False
) -> tuple[Model, Headed]:
    """Load a network with a head to train; a training folder's goes on with its own head.

    Parameters
    ----------
    backbone : Backbone
    seed : int
        Seed for random weights, and for those of a new head.
    scenes : list of str, optional
        See `add_head`.
    new_readout : bool
        Begin with a new head even if the folder has one for the same task.

    Returns
    -------
    model : Model
        The network, by the name of the one that was trained first: it does not depend on the
        training folder.
    network : Headed

    Raises
    ------
    InputError
        As `load_model` and `add_head`, or if the folder's network is cut at another layer.
    """
    model = backbone.load(seed)
    torch.manual_seed(seed)
    trained = model.network
    if not isinstance(trained, Headed):
        if new_readout:
            raise InputError(f"{backbone.model}: --new-readout is for training folders")
        return model, add_head(model, backbone.layer, scenes)
    info = TrainInfo.read(Path(backbone.model))
    first = info.parameters.backbone
    if backbone.layer not in (None, first.layer):
        raise InputError(f"{backbone.model}: ends at {first.layer}; expected no other --layer")
    model = replace(model, name=first.model)
    if info.scenes == scenes and not new_readout:
        return model, trained
    return model, add_head(replace(model, network=trained.backbone), first.layer, scenes)


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

"""Networks by name, and their weights: torchvision's, ``gabor``, or your own."""

from __future__ import annotations

import hashlib
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch
import torchvision
from torch import nn

from ..datasets.errors import InputError
from ..datasets.files import sha256
from .factory import from_factory
from .gabor import Gabor
from .layers import Layer, paper_names, trace
from .training.networks import Headed

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, eq=False)
class Model:
    """A network ready to run, and how to feed it.

    Attributes
    ----------
    name : str
    network : Module
        In evaluation mode, float32.
    weights : dict
        ``source`` (``default``, ``random``, ``file``, ``factory``, ``none``), ``file`` and
        ``sha256``: of the file, or of the parameters where there is no file.
    input_size : (height, width)
    mean, sd : tuple of 3 floats
        Normalisation of RGB in 0 to 1.
    unit_names : dict
        Names of a layer's units, where they have any, by layer.
    """

    name: str
    network: nn.Module
    weights: dict[str, str | None]
    input_size: tuple[int, int]
    mean: tuple[float, ...] = IMAGENET_MEAN
    sd: tuple[float, ...] = IMAGENET_SD
    unit_names: dict[str, list[str]] = field(default_factory=dict)

    def layers(self, *, pre_relu: bool = False) -> list[Layer]:
        """List the network's layers; see `trace` and, for VGG, `paper_names`.

        A trained saliency model's map is its layer ``readout``, of one unit.
        """
        layers = trace(self.network, self.input_size)
        backbone, prefix, readout = self.network, "", []
        if isinstance(self.network, Headed):
            backbone, prefix = self.network.backbone, "backbone."
            readout = [replace(one, default=True) for one in layers if one.name == "readout"]
            layers = [
                replace(one, name=one.name.removeprefix(prefix))
                for one in layers
                if one.name.startswith(prefix)
            ]
        if isinstance(backbone, torchvision.models.VGG):
            return paper_names(backbone, layers, pre_relu=pre_relu, prefix=prefix) + readout
        if pre_relu:
            raise InputError(
                "--pre-relu is for VGG's names; for other models name the module itself in --layers"
            )
        return layers + readout

    def images(self, rgb: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
        """Return pictures as the network takes them.

        Parameters
        ----------
        rgb : uint8 array, shape (n, height, width, 3)

        Returns
        -------
        float32 tensor, shape (n, 3, height, width)
            Normalised; channels last in memory.
        """
        pixels = torch.from_numpy(rgb).to(device).permute(0, 3, 1, 2).float() / 255
        mean, sd = (torch.tensor(one, device=device)[:, None, None] for one in (self.mean, self.sd))
        return ((pixels - mean) / sd).contiguous(memory_format=torch.channels_last)


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
        from .training.trained import load_trained

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
        network, trained_size = _own(name), (224, 224)
        if weights == "random":
            raise InputError(f"{name}: a factory makes its own weights; --weights takes a file")
        source = {"source": "factory", "file": None, "sha256": None}
    else:
        network, trained_size, source = _torchvision(name, weights)
    if weights not in ("default", "random"):
        path = Path(weights)
        fill(network, read_state(path), f"{path}: weights do not fit {name}")
        source = {"source": "file", "file": path.name, "sha256": sha256(path)}
    if source["sha256"] is None:
        source["sha256"] = _state_sha256(network)
    return Model(name, network.float().eval(), source, input_size or trained_size)


def is_training(name: str) -> bool:
    """Tell whether a model's name is that of a folder, which then has to be `probe train`'s."""
    return Path(name).is_dir() and name not in model_names()


def model_names() -> list[str]:
    """Return the names of all models that come with torchvision or with us."""
    return [*torchvision.models.list_models(module=torchvision.models), "gabor"]


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict, unpickling nothing but tensors.

    A dict under ``state_dict``, ``model_state_dict`` or ``model`` is taken; prefixes that all
    keys share (``module.``, ``_orig_mod.``, ``model.``, ``backbone.``) are dropped.

    Raises
    ------
    InputError
        If the file is missing or no such thing.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: {'is a folder' if path.is_dir() else 'no such file'}, expected weights"
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and safetensors raise nearly anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a file of weights ({reason})") from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError(f"{path}: not a state dict (names and tensors)")
    for prefix in ("module.", "_orig_mod.", "model.", "backbone."):
        if state and all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def fill(network: nn.Module, state: dict[str, torch.Tensor], complaint: str) -> None:
    """Load a state dict strictly; half precision is widened.

    Raises
    ------
    InputError
        ``complaint`` and the keys that are missing, unexpected or of another shape.
    """
    own = network.state_dict()
    problems = []
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    shapes = [
        f"{key} is {tuple(state[key].shape)}, expected {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    for what, keys in (("missing", missing), ("unexpected", unexpected), ("shape", shapes)):
        if keys:
            more = f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""
            problems.append(f"{what}: {keys[0]}{more}")
    if problems:
        raise InputError(f"{complaint}; {'; '.join(problems)}")
    wrong = [key for key, value in state.items() if not torch.isfinite(value).all()]
    if wrong:
        raise InputError(f"{complaint}; {wrong[0]} is not finite")
    network.load_state_dict(state)


def _torchvision(
    name: str, weights: str
) -> tuple[nn.Module, tuple[int, int], dict[str, str | None]]:
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise InputError(
            f"no model {name!r}: expected a torchvision classification model (vgg16, resnet50 …), "
            "gabor, or package.module:factory"
        )
    published = torchvision.models.get_model_weights(name).DEFAULT  # type: ignore[attr-defined]
    size = published.transforms().crop_size[0]
    network = torchvision.models.get_model(name, weights=None, **_implied_options(name))
    if weights != "default":
        return network, (size, size), {"source": "random", "file": None, "sha256": None}
    try:
        with redirect_stdout(sys.stderr):  # where torch.hub says what it downloads
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
    return network, (size, size), {"source": "default", "file": file.name, "sha256": sha256(file)}


def _implied_options(name: str) -> dict[str, bool]:
    """Return options that the published weights of a model imply."""
    if name not in ("googlenet", "inception_v3"):
        return {}
    return {"aux_logits": True, "transform_input": True, "init_weights": True}


def _own(name: str) -> nn.Module:
    network = from_factory(name)
    if not isinstance(network, nn.Module):
        raise InputError(f"{name}: returned {type(network).__name__}, expected torch.nn.Module")
    return network.cpu()


def _state_sha256(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for key, value in network.state_dict().items():
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()

"""What a command examines: a network with some of its layers, and how a record describes both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.nn import Module

from ...datasets.files import sha256
from ...datasets.masks.mask_set import MaskSet
from ...datasets.progress import SILENT, Progress
from ..layers.layers import Layer, grouped
from ..networks.load import Backbone, is_training, model_of_module
from ..networks.model import Model
from ..records.run_info import LayerInfo
from ..sources.description import Network


@dataclass(frozen=True, eq=False)
class Subject:
    """A network and its chosen layers.

    Attributes
    ----------
    name : str
        The network as the caller named it.
    network : Model
    layers : list of Layer
    trained : Path or None
        The training folder that it comes from.
    weights : str or None
        The file of weights that it comes from.
    """

    name: str
    network: Model
    layers: list[Layer]
    trained: Path | None = None
    weights: str | None = None

    @property
    def called(self) -> str:
        """A name for the folder of results."""
        if self.trained is not None:
            return self.trained.name
        return self.network.name.replace(":", ".").replace("/", ".")

    def identity(self) -> dict[str, Any]:
        """Return the fields of `NetworkParameters` that tell the network and how it is fed."""
        names = ("weights", "input_size", "range", "interpolation", "centre_bias", "code")
        fields = {name: getattr(self.network, name) for name in names}
        return {
            **{"model": self.name, "mean": list(self.network.mean), "sd": list(self.network.sd)},
            **fields,
        }

    def layer_infos(self) -> list[LayerInfo]:
        """Return the layers as a record describes them."""
        return [self._info(layer) for layer in self.layers]

    def _info(self, layer: Layer) -> LayerInfo:
        content = {name: getattr(layer, name) for name in ("name", "units", "height", "width")}
        if layer.name in self.network.unit_names:
            content["unit_names"] = self.network.unit_names[layer.name]
        return LayerInfo.model_validate(content)


def subject_of(
    model: str | Backbone | Module | Network,
    layers: str | Sequence[str],
    masks: MaskSet,
    *,
    seed: int = 0,
    pre_relu: bool = False,
    progress: Progress = SILENT,
) -> Subject:
    """Load a network for the stimuli of a mask set, and choose its layers.

    Parameters
    ----------
    model : str, Backbone, Module or Network
        See `probe`.
    layers : str or sequence of str
        Names or wildcards; by default those of the backbone, else the default layers.
    masks : MaskSet
        Its stimuli's sizes and resolution matter to networks that expect one.
    seed : int
        Seed for random weights.
    pre_relu : bool
        For VGG only: the maps before the ReLU.
    progress : Progress
        Is told which layers are left out.

    Raises
    ------
    InputError
        If the network cannot be loaded, or has no such layer.
    """
    backbone = Backbone(model) if isinstance(model, str) else model
    patterns = [layers] if isinstance(layers, str) else list(layers)
    trained = weights = None
    if isinstance(backbone, Backbone):
        patterns = patterns or ([backbone.layer] if backbone.layer else [])
        network, name = backbone.load(seed, patterns), str(backbone.model)
        trained = Path(backbone.model).resolve() if is_training(backbone.model) else None
        weights = backbone.weights if network.weights.source == "file" else None
    else:
        network = model_of_module(backbone)
        name = network.name
    sizes = ((one.height, one.width) for one in masks.images)
    network = network.at_scale(sizes, masks.info.salprobe.px_per_degree)
    listed = network.listing(pre_relu=pre_relu)
    chosen = listed.select(patterns)
    for names, count, reason in grouped(listed.unread(patterns)):
        progress.say(f"left out: {names} ({count}): {reason}")
    return Subject(name, network, chosen, trained, weights)


def masks_sha256(masks: MaskSet, path: Path | None) -> str:
    """Return the SHA-256 of a mask file, or of masks that are not from a file."""
    if path is not None:
        return sha256(path)
    return hashlib.sha256(json.dumps(masks.to_dict(), sort_keys=True).encode()).hexdigest()


def absolute(path: str | Path | None) -> str | None:
    """Return a path as a record holds it."""
    return None if path is None else str(Path(path).resolve())

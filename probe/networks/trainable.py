"""A network made ready to train: with a new head, or going on with its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from ...datasets.errors import InputError
from ..records.train_info import TrainInfo
from .heads import Headed
from .load import Backbone, is_training
from .model import Model, add_head


def trainable(
    backbone: Backbone, seed: int, scenes: list[str] | None, *, new_readout: bool = False
) -> tuple[Model, Headed]:
    """Load a network with a head to train; a trained one goes on with its own head.

    Parameters
    ----------
    backbone : Backbone
    seed : int
        Seed for random weights, and for those of a new head.
    scenes : list of str, optional
        See `add_head`.
    new_readout : bool
        Begin with a new head even if the network has one for the same task.

    Returns
    -------
    model : Model
        The network, by the name of the one that was trained first: it does not depend on the
        training folder.
    network : Headed

    Raises
    ------
    InputError
        As `load_model` and `add_head`, or if the trained network is cut at another layer.
    """
    model = backbone.load(seed)
    torch.manual_seed(seed)
    trained = model.network
    if not isinstance(trained, Headed):
        if new_readout:
            raise InputError(f"{backbone.model}: --new-readout is for trained networks")
        return model, add_head(model, backbone.layer, scenes)
    layer, before = trained.layer.name, None
    if is_training(backbone.model):
        info = TrainInfo.read(Path(backbone.model))
        layer, before = info.parameters.backbone.layer, info.scenes
        model = replace(model, name=info.parameters.backbone.model)
    if backbone.layer not in (None, layer):
        raise InputError(f"{backbone.model}: ends at {layer}; expected no other --layer")
    if before == scenes and not new_readout:
        return model, trained
    return model, add_head(replace(model, network=trained.backbone), layer, scenes)

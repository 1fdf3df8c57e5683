"""A trained network, read from its folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ValidationError

from ...datasets.errors import InputError
from ...datasets.files import read_json
from .heads import Headed, SaliencyModel, SceneModel, last_layer
from .layers import Layer
from .model import Model


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


def _named(layers: list[Layer], name: str) -> Layer:
    for layer in layers:
        if layer.name == name:
            return layer
    known = ", ".join(layer.name for layer in layers if layer.default)
    raise InputError(f"no layer {name!r}; there are {known} … (`probe layers`)")


FORMAT = 1


class _Backbone(BaseModel):
    model: str
    layer: str
    input_size: tuple[int, int]


class _Parameters(BaseModel):
    backbone: _Backbone


class _Description(BaseModel):
    """What every ``train.json`` holds, as far as it is read again."""

    format: int
    status: str
    parameters: _Parameters
    scenes: list[str] | None


def read_description(folder: Path) -> dict:
    """Read ``train.json``.

    Raises
    ------
    InputError
        If the folder holds no training, or another version's.
    """
    path = folder / "train.json"
    if not path.is_file():
        raise InputError(f"{folder}: no train.json, so no training")
    content = read_json(path)
    try:
        found = _Description.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise InputError(f"{path}: {place}: {problem['msg']}") from error
    if found.format != FORMAT:
        raise InputError(f"{path}: format {found.format}, expected {FORMAT}")
    return dict(content)  # type: ignore[call-overload]

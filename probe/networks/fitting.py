"""A model with the weights in a file, checked up to the layers that will be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from ...datasets.errors import InputError, reading
from ...datasets.files import sha256
from ..layers.layers import Layer, select
from ..layers.uses import used_keys
from ..records.record import Weights
from ..sources.weights import complaint, fill_what_fits, find, unfit
from .heads import SaliencyModel
from .model import Model, add_head


def fitted(
    model: Model, path: Path, layers: str | Sequence[str], key: str | None, prefix: str | None
) -> Model:
    """Return a model with the weights in a file; with its readout, if the file has one.

    Parameters
    ----------
    model : Model
        Its network is modified in place.
    path : Path
    layers : sequence of str
        Names or wildcards of the layers that will be read; by default the default layers.
    key, prefix : str, optional
        See `find`.

    Raises
    ------
    InputError
        If the file cannot be read, lacks weights that the layers depend on, or has others in the
        same modules.
    """
    own = model.network.state_dict()
    found = find(path, own, key=key, prefix=prefix)
    with reading(path):  # tensors of odd types raise almost anything
        lacking = unfit(own, found.state)
    chosen = []
    if (lacking or found.extra) and found.readout is None:
        chosen = select(model.layers(), layers)  # while the network still gives numbers
    with reading(path):
        fill_what_fits(own, found.state, lacking)
    where = {name: value for name, value in (("key", key), ("prefix", prefix)) if value is not None}
    weights = Weights(source="file", file=path.name, sha256=sha256(path), **where)
    model = replace(model, weights=weights, lacking=lacking)
    if found.readout is not None:
        network = add_head(model, found.layer, None)
        if not isinstance(network, SaliencyModel):
            raise TypeError("a head without scenes is a saliency model")
        weight = network.readout.weight
        if found.readout.shape != weight.shape:
            raise InputError(
                f"{path}: its readout takes {found.readout.shape[1]} units, and "
                f"{network.layer.name} of {model.name} has {weight.shape[1]}"
            )
        weight.data.copy_(found.readout)
        kept = {f"backbone.{name}": wrong for name, wrong in lacking.items()}
        kept = {name: wrong for name, wrong in kept.items() if name in network.state_dict()}
        model = replace(model, network=network.eval(), lacking=kept)
        model.check()
        return model
    if chosen:
        model.check(chosen)
        _check_extra(model, path, chosen, found.extra)
    return model


def _check_extra(model: Model, path: Path, layers: Sequence[Layer], extra: list[str]) -> None:
    """Refuse keys that the network does not have, in modules that the layers depend on."""
    used = [key.split(".") for key in used_keys(model.network, layers, model.input_size)]
    alike = takewhile(lambda parts: len(set(parts)) == 1, zip(*used, strict=False))
    shared = [parts[0] for parts in alike]
    modules = [parts[: len(shared) + 1] for parts in used]
    wrong = []
    for key in extra:
        parts = key.split(".")
        above = parts[:-1] == shared[: len(parts) - 1]  # a parameter of a module around them all
        if above or parts[: len(shared) + 1] in modules:
            wrong.append(key)
    if wrong:
        raise InputError(
            f"{path}: weights do not fit {model.name} up to {layers[-1].name}; "
            f"{complaint({}, wrong)}"
        )

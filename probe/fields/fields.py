"""Receptive fields of all units of layers, in one network or before and after."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ...datasets.files import atomic_write, read_json, sha256
from ...datasets.options import check_seed, check_types
from ...datasets.progress import SILENT, Progress
from ...datasets.stimuli import Stimuli
from ...datasets.texts import csv_of
from ..layers.layers import Layer, layer_named, select
from ..networks.device import device_name, exact, resolve_device
from ..networks.heads import last_layer
from ..networks.load import Backbone
from ..networks.model import Model
from ..records.record import provenance
from ..runs.images import digest
from ..runs.resuming import check_same, locked, make_folder
from .centre_surround import describe_fields
from .estimates import best_places, gradient_halves, noise_halves
from .gratings import answers, describe_answers
from .parts import Parts
from .shares import shares
from .windows import Window, measure_window

RECORD = "fields.json"
_UNITS = 128  # whose gradients are one part of the work


@dataclass(frozen=True)
class FieldRecipe:
    """How receptive fields are estimated.

    Attributes
    ----------
    best : int
        Stimuli for each unit at whose maxima gradients are averaged.
    noise : int
        Pictures of noise, each with up to 8×8 fields.
    seed : int
        For the noise, and for random weights.

    Raises
    ------
    InputError
        If a value has another type or is out of range.
    """

    best: int = 16
    noise: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_seed(self.seed)
        for name in ("best", "noise"):
            if getattr(self, name) < 2:
                raise InputError(
                    f"{name} {getattr(self, name)}: expected 2 or more, for two halves"
                )


DEFAULT_RECIPE = FieldRecipe()


@dataclass(frozen=True, eq=False)
class Fields:
    """Receptive fields of one network's units, or of two networks'.

    Attributes
    ----------
    folder : Path
    networks : dict of str
        Names of the networks: ``before``, and ``after`` if there are two.
    windows : dict of Window
        By layer; of the network before.
    fields : dict of arrays
        By network, layer and estimate (``gradient``, ``noise``): float32, (units, 3, grid, grid),
        in luminance, red–green and blue–yellow; see `linear_field`.
    units : DataFrame
        ``network, layer, estimate`` and the columns of `describe_fields`.
    gratings : DataFrame
        ``network, layer`` and the columns of `describe_answers`.
    shares : DataFrame
        See `shares`.
    """

    folder: Path
    networks: dict[str, str]
    windows: dict[str, Window]
    fields: dict[tuple[str, str, str], np.ndarray]
    units: pd.DataFrame
    gratings: pd.DataFrame
    shares: pd.DataFrame


def fields(
    stimuli: Stimuli,
    model: str | Backbone = "vgg16",
    after: str | Backbone | None = None,
    *,
    layers: str | Sequence[str] = (),
    out: str | Path,
    recipe: FieldRecipe = DEFAULT_RECIPE,
    device: str = "auto",
    progress: Progress = SILENT,
) -> Fields:
    """Estimate all units' receptive fields, and say how many are centre–surround.

    If interrupted, the same call goes on: what is finished in ``out`` is used again, also by calls
    with other layers or another second network.

    Parameters
    ----------
    stimuli : Stimuli
        Photographs among which the units' best ones are looked for.
    model : str or Backbone
    after : str or Backbone, optional
        A second network of the same architecture, such as a training folder, for a paired
        comparison.
    layers : str or sequence of str
        Names or wildcards; by default the output of the last block.
    out : path
        Folder for the results.
    recipe : FieldRecipe
    device : str
    progress : Progress

    Raises
    ------
    InputError
        If a network cannot be loaded, has no such layer, or one whose cells see more than part of
        the input; if the second differs in a layer's units or fields; if there are no two images,
        or one cannot be read; or if the folder holds something else, such as the fields of another
        first network, of other images, or made with another recipe.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> stimuli = sp.load_dataset("sample").stimuli
    >>> found = sp.fields(
    ...     *(stimuli, sp.Backbone("squeezenet1_0", "random", input_size=(64, 64))),
    ...     layers="features.3",
    ...     out="fields",
    ...     recipe=sp.FieldRecipe(best=2, noise=8),
    ... )
    >>> found.fields["before", "features.3", "noise"].shape
    (128, 3, 19, 19)
    """
    out = Path(out)
    if len(stimuli) < 2:
        raise InputError("one photograph; expected 2 or more, for two halves")
    backbones = {"before": model, **({} if after is None else {"after": after})}
    patterns = [layers] if isinstance(layers, str) else list(layers)
    models = {
        network: (one if isinstance(one, Backbone) else Backbone(one)).load(recipe.seed, patterns)
        for network, one in backbones.items()
    }
    windows = _windows(models, patterns, resolve_device(device), progress)
    if not make_folder(out) and not (out / RECORD).is_file():
        raise InputError(f"{out}: exists and holds no fields; choose another --out")
    with locked(out), exact(resolve_device(device)):
        pictures = digest(stimuli, progress)
        record: dict[str, Any] = {
            "status": "running",
            "networks": {
                network: {
                    "model": one.name,
                    "weights": one.weights.model_dump(mode="json"),
                    "input_size": list(one.input_size),
                }
                for network, one in models.items()
            },
            "layers": {
                name: {"side": w.side, "stride": w.stride, "block": w.block, "grid": w.grid}
                for name, w in windows["before"].items()
            },
            "parameters": {
                **{"best": recipe.best, "noise": recipe.noise, "seed": recipe.seed},
                **{"stimuli": len(stimuli), "images": pictures},
            },
            **provenance(device_name(resolve_device(device))),
        }
        _begin(out, record)
        (out / "parts").mkdir(exist_ok=True)
        found: dict[tuple[str, str, str], np.ndarray] = {}
        units, gratings = [], []
        for network, by_layer in windows.items():
            for name, window in by_layer.items():
                parts = Parts(out / "parts", _identity(window, pictures, recipe))
                for estimate, halves in _halves(window, stimuli, recipe, parts, progress):
                    found[network, name, estimate] = halves.mean(0)
                    table = _described(window, estimate, halves, parts, progress)
                    units.append(table.assign(network=network, layer=name, estimate=estimate))
                table = parts.table(
                    *("gratings", window.layer.units),
                    lambda w=window: describe_answers(*answers(w, progress)),
                )
                gratings.append(table.assign(network=network, layer=name))
        result = Fields(
            out,
            {network: _name(one) for network, one in models.items()},
            windows["before"],
            found,
            pd.concat(units, ignore_index=True),
            pd.concat(gratings, ignore_index=True),
            shares(pd.concat(units, ignore_index=True), pd.concat(gratings, ignore_index=True)),
        )
        _write(result)
        _record(out, {**record, "status": "complete"})
    return result


def _begin(out: Path, record: dict[str, Any]) -> None:
    """Write the record; refuse a folder with the fields of another network or other pictures."""
    if (out / RECORD).exists():
        before: Any = read_json(out / RECORD)
        now = json.loads(json.dumps(record))
        if not isinstance(before, dict) or not isinstance(before.get("networks"), dict):
            raise InputError(f"{out / RECORD}: not a record of fields")
        its, mine = (
            {"network": one["networks"].get("before"), "parameters": one.get("parameters")}
            for one in (before, now)
        )
        check_same(out, its, mine, ("network", "parameters"))
    _record(out, record)


def _record(out: Path, record: dict[str, Any]) -> None:
    with atomic_write(out / RECORD) as file:
        file.write((json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())


def _windows(
    models: dict[str, Model], patterns: Sequence[str], device: Any, progress: Progress
) -> dict[str, dict[str, Window]]:
    windows: dict[str, dict[str, Window]] = {}
    chosen: list[Layer] = []
    for network, model in models.items():
        known = model.layers()
        if network == "before":
            chosen = list(select(known, patterns)) if patterns else [last_layer(known)]
        else:
            chosen = [layer_named(known, layer.name) for layer in chosen]
        model.check(chosen)
        model.network.to(device)
        windows[network] = {}
        with progress.task(f"{model.name}: what cells see", len(chosen)) as advance:
            for layer in chosen:
                windows[network][layer.name] = measure_window(model, layer)
                advance(1)
    for name, window in windows["before"].items():
        if "after" not in windows:
            continue
        other = windows["after"][name]
        mine, its = (
            (w.layer.units, w.side, w.stride, w.start, w.model.input_size) for w in (window, other)
        )
        if mine != its:
            raise InputError(
                f"{other.model.name}: its {name} has {its[0]} units with fields of {its[1]} pixels "
                f"every {its[2]}; expected {mine[0]}, {mine[1]} and {mine[2]} as before"
            )
    return windows


def _name(model: Model) -> str:
    weights = model.weights
    if weights.source in ("random", "file"):
        return f"{model.name}, {weights.file or weights.source}"
    return model.name


def _identity(window: Window, pictures: str, recipe: FieldRecipe) -> str:
    """Return all that a layer's fields depend on, our own code included."""
    model = window.model
    own = [sha256(path) for path in sorted(Path(__file__).parent.glob("*.py"))]
    parts = [
        *(model.weights.sha256, model.code, model.centre_bias, model.input_size, model.mean),
        *(model.sd, model.range, model.interpolation, window.layer.name),
        *(pictures, recipe.best, recipe.noise, recipe.seed, own),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _halves(
    window: Window, stimuli: Stimuli, recipe: FieldRecipe, parts: Parts, progress: Progress
) -> list[tuple[str, np.ndarray]]:
    """Return the fields from two halves of the data, by estimate."""
    best, shape = min(recipe.best, len(stimuli)), (3, window.grid, window.grid)
    places = parts.array(
        *("places", (window.layer.units, best, 3)),
        lambda: best_places(window, stimuli, recipe.best, progress),
    )
    every, chunks = range(window.layer.units), []
    total = places.shape[0] * places.shape[1]
    with progress.task(f"{window.layer.name}: gradients at maxima", total) as advance:
        for first in range(0, len(every), _UNITS):
            some = every[first : first + _UNITS]
            before = parts.path(f"gradients {first}").exists()
            chunks.append(
                parts.array(
                    *(f"gradients {first}", (2, len(some), *shape)),
                    lambda some=some: gradient_halves(window, stimuli, places, some, advance),
                )
            )
            if before:
                advance(len(some) * places.shape[1])
    noise = parts.array(
        *("noise", (2, window.layer.units, *shape)),
        lambda: noise_halves(window, recipe.noise, recipe.seed, progress),
    )
    return [("gradient", np.concatenate(chunks, axis=1)), ("noise", noise)]


def _described(
    window: Window, estimate: str, halves: np.ndarray, parts: Parts, progress: Progress
) -> pd.DataFrame:
    def make() -> pd.DataFrame:
        with progress.task(f"{window.layer.name}: shapes of {estimate} fields", 4) as advance:
            return describe_fields(halves, window.block, advance)

    return parts.table(f"shapes {estimate}", halves.shape[1] * halves.shape[2], make)


def _write(result: Fields) -> None:
    for name, table in (("units", result.units), ("gratings", result.gratings)):
        with atomic_write(result.folder / f"{name}.parquet") as file:
            table.to_parquet(file, index=False)
    with atomic_write(result.folder / "shares.csv") as file:
        file.write(csv_of(result.shares).encode())
    with atomic_write(result.folder / "fields.npz") as file:
        arrays: dict[str, Any] = {"/".join(key): value for key, value in result.fields.items()}
        np.savez(file, **arrays)

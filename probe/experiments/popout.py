"""`probe popout`: models and networks measured on search arrays."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from ...datasets.errors import InputError
from ...datasets.files import atomic_write, read_json, sha256
from ...datasets.masks.mask_set import MaskSet
from ...datasets.progress import SILENT, Progress
from ...datasets.readers.tables import read_columns
from ...datasets.sources.load import root_of
from ...datasets.stimuli import Stimuli
from ..architectures.saliency_network import SaliencyNetwork
from ..explain.rebuilt import folder_of
from ..networks.load import is_training, load_model
from ..popout.measures import (
    MEASURES,
    SearchArray,
    measure_models,
    search_arrays,
    summarise_models,
)
from ..popout.units import unit_maps, unit_nmm
from ..records.explain_info import ExplainInfo
from ..records.loose_info import SearchInfo
from ..records.record import Weights, provenance
from ..runs.images import digest
from ..runs.resuming import check_same, locked, make_folder
from ..runs.tables import write_table
from ..saliency.given import given_maps
from ..saliency.maps import MapOf, from_function, function_named, network_maps
from ..sources.factory import source_sha256
from ..sources.libraries import is_explained, is_factory


@dataclass(frozen=True, eq=False)
class SearchTables:
    """The tables of search arrays, which `popout` writes as files of the same names.

    Attributes
    ----------
    measures : DataFrame
        A row for each saliency model and array; see `measure_models`.
    models : DataFrame
        A row for each saliency model; see `summarise_models`.
    units, layers : DataFrame
        Scores of the networks, by ``model``; see `unit_nmm`.
    """

    measures: pd.DataFrame
    models: pd.DataFrame
    units: pd.DataFrame
    layers: pd.DataFrame

    @classmethod
    def open(cls, folder: Path) -> SearchTables:
        """Read the tables of a folder of pop-out results.

        Raises
        ------
        InputError
            If it holds none, is unfinished, or a table is damaged.
        """
        if not is_search(folder):
            raise InputError(f"{folder}: not a folder of pop-out results")
        info = SearchInfo.read(folder)
        if info.arrays is None:
            raise InputError(f"{folder}: this search is unfinished; repeat its command")
        measures = models = units = layers = pd.DataFrame()
        if info.models:
            columns = (["model", "feature"], [], ["contrast", *MEASURES])
            measures = read_columns(folder / "measures.parquet", *columns)
            columns = (["model"], ["arrays"], [*_NMM, "found", *MEASURES[1:]])
            models = read_columns(folder / "models.parquet", *columns)
        if info.networks:
            columns = (["model", "layer"], ["unit"], ["nmm"])
            units = read_columns(folder / "units.parquet", *columns)
            columns = (["model", "layer"], [], [*_NMM, "nmm_crossval"])
            layers = read_columns(folder / "layers.parquet", *columns)
        return SearchTables(measures, models, units, layers)


_NMM = ("nmm", "nmm_low", "nmm_high")


def is_search(folder: Path) -> bool:
    """Return whether a folder holds pop-out results."""
    path = folder / "run.json"
    content = read_json(path) if path.is_file() else None
    return isinstance(content, dict) and content.get("kind") == "popout"


@dataclass(frozen=True, eq=False)
class Search(SearchTables):
    """The result of `popout`.

    Attributes
    ----------
    resized : dict
        Number of resized maps for each folder of maps.
    arrays : list of SearchArray
    stimuli : Stimuli
        Images of the arrays.
    maps : dict
        For figures: functions that return the maps of each model, and of each network's best
        units.
    folder : Path
    """

    resized: dict[str, int]
    arrays: list[SearchArray]
    stimuli: Stimuli
    maps: dict[str, MapOf]
    folder: Path


def popout(
    masks: str | Path,
    models: Sequence[str],
    maps: Mapping[str, str | Path] = {},
    *,
    root: str | Path | None = None,
    out: str | Path = "runs/popout",
    weights: str = "default",
    files: Mapping[str, str | Path] = {},
    weights_key: str | None = None,
    weights_prefix: str | None = None,
    layers: Sequence[str] = (),
    device: str = "auto",
    seed: int = 0,
    progress: Progress = SILENT,
) -> Search:
    """Measure saliency models and score networks' units on search arrays.

    Parameters
    ----------
    masks : path
        ``popout.json``.
    models : sequence of str
        Classical models, saliency networks, training folders, ``explained:DIR``, torchvision
        networks, ``module:factory``.
    maps : mapping of path
        Folders of saliency maps by the models' names.
    root : path, optional
        Folder of the arrays; by default that of ``popout.json``.
    out : path
        Folder for the results.
    weights : str
        Weights of the networks: ``default``, ``random``, or a file.
    files : mapping of path
        Files of weights by the networks' names, instead of ``weights``.
    weights_key, weights_prefix : str, optional
        Where in the file the networks are; see `load_model`.
    layers : sequence of str
        Names or wildcards of the networks' layers; by default their blocks.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    seed : int
        For random weights and resampling.
    progress : Progress
        Where to report; silent by default.

    Raises
    ------
    InputError
        If no model is given, a name is given twice, or an input is malformed. Checked before
        any work.

    Examples
    --------
    >>> import salprobe as sp
    >>> arrays = sp.Arrays(features=("hue",), count=2, catch=0)
    >>> masks = sp.write_arrays(arrays, "popout")
    >>> measured = sp.popout("popout/popout.json", ["spectral"], out="run")
    >>> measured.models["model"].tolist(), len(measured.measures)
    (['spectral'], 2)
    """
    masks_path, out = Path(masks), Path(out)
    mask_set = MaskSet.read(masks_path)
    folder = root_of(mask_set, root, masks_path.parent)
    arrays = search_arrays(mask_set)
    stimuli = Stimuli(folder, tuple(array.image for array in arrays))
    names = [*models, *maps]
    if not names:
        raise InputError("no model is named; expected --models or --maps")
    if len(set(names)) < len(names):
        raise InputError(f"a model is given twice among {', '.join(names)}")
    functions = {name: function_named(name, files.get(name)) for name in models}
    networks = {
        name: load_model(
            *(name, str(files.get(name, weights))),
            seed=seed,
            layers=layers,
            weights_key=weights_key,
            weights_prefix=weights_prefix,
        ).at_scale(
            [(one.height, one.width) for one in stimuli], mask_set.info.salprobe.px_per_degree
        )
        for name, function in functions.items()
        if function is None
    }
    known = {name: _known(network.weights) for name, network in networks.items()}
    for name, network in list(networks.items()):
        if isinstance(network.network, SaliencyNetwork):
            functions[name] = network_maps(networks.pop(name))
    sources: dict[str, MapOf] = {
        name: from_function(name, function, stimuli)
        for name, function in functions.items()
        if function is not None
    }
    folders = {name: given_maps(Path(path), stimuli) for name, path in maps.items()}
    sources |= folders
    description = {
        "kind": "popout",
        "masks": {"file": masks_path.name, "sha256": sha256(masks_path)},
        "models": list(sources),
        "images": digest(stimuli, progress),
        "maps": {name: map_folder.sha256() for name, map_folder in folders.items()},
        "networks": known,
        "code": {name: source_sha256(name) for name in functions if is_factory(name)},
        "layers": list(layers),
        "seed": seed,
    }
    if own := {name: sums for name in sources if (sums := _files_of(name, files))}:
        description["folders"] = own
    with _entered(out, description):
        table, summary = pd.DataFrame(), pd.DataFrame()
        if sources:
            table = measure_models(arrays, sources, progress)
            summary = summarise_models(table)
        units, per_layer = [], []
        shown = dict(sources)
        for name, network in networks.items():
            scored = unit_nmm(
                mask_set, folder, network, layers, device=device, seed=seed, progress=progress
            )
            for frame, frames in ((scored.units, units), (scored.summary, per_layer)):
                frame.insert(0, "model", name)
                frames.append(frame)
            shown[f"{name}, {scored.layer.name}, best unit"] = unit_maps(network, scored, stimuli)
        result = Search(
            table,
            summary,
            pd.concat(units, ignore_index=True) if units else pd.DataFrame(),
            pd.concat(per_layer, ignore_index=True) if per_layer else pd.DataFrame(),
            {name: map_folder.resized for name, map_folder in folders.items()},
            arrays,
            stimuli,
            shown,
            out,
        )
        for name in ("measures", "models", "units", "layers"):
            write_table(out, name, getattr(result, name))
        info = {
            **description,
            **provenance(device),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "arrays": len(arrays),
            "without_target": len(mask_set.images) - len(arrays),
            "maps_resized": result.resized,
        }
        _write_info(out, info)
        return result


def _files_of(name: str, files: Mapping[str, str | Path]) -> dict[str, str]:
    """Return the SHA-256 of what a saliency model that is a folder is made of."""
    if is_explained(name):
        return ExplainInfo.read(folder_of(name)).sha256
    if is_training(name):
        return {"weights": sha256(files.get(name, Path(name) / "best.safetensors"))}
    return {}


def _known(weights: Weights) -> dict[str, str | None]:
    known = weights.model_dump()
    where = {name: known.pop(name) for name in ("key", "prefix")}
    return known | {name: value for name, value in where.items() if value is not None}


def _write_info(out: Path, info: Mapping[str, object]) -> None:
    with atomic_write(out / "run.json") as file:
        file.write(json.dumps(info, indent=1, ensure_ascii=False).encode())


@contextmanager
def _entered(out: Path, description: Mapping[str, object]) -> Iterator[None]:
    """Begin the folder for results, or return to one that holds results of the same inputs."""
    fresh = make_folder(out)
    if not fresh:
        content = read_json(out / "run.json") if is_search(out) else None
        if not isinstance(content, dict):
            raise InputError(f"{out}: exists and is not a folder of pop-out results")
        check_same(out, content, description, list(description))
    with locked(out):
        if fresh:
            _write_info(out, description)  # if killed now, the folder is known to be ours
        yield

"""`probe maps`: saliency maps written to files, and which of them a second call may keep."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import PIL
import scipy
import torch

from ...datasets.errors import InputError
from ...datasets.files import sha256
from ...datasets.gaze.read import EXPORT_SUFFIXES
from ...datasets.gaze.strict import TABLE_SUFFIXES
from ...datasets.masks.mask_set import MaskSet
from ...datasets.progress import SILENT, Progress
from ...datasets.sources.load import (
    NAMED,
    SHIPPED,
    fixations_of,
    load_dataset,
    mask_path,
    root_of,
)
from ...datasets.stimuli import IMAGE_SUFFIXES, Dataset, Stimuli, Stimulus, image_size
from ..choices import MapFormat
from ..explain.rebuilt import folder_of
from ..networks.load import is_training
from ..records.explain_info import ExplainInfo
from ..records.train_info import TrainInfo
from ..scoring.loading import OFFER
from ..sources.libraries import is_explained
from .classical.models import MODELS
from .maps import OBSERVERS, MapOf
from .stores import RECORD, Mark, map_datasets, map_files


@dataclass(frozen=True)
class Written:
    """What `write_maps` did for one model.

    Attributes
    ----------
    path : Path
        The model's folder, or its HDF5 file.
    made, kept, skipped : int
        Maps made now, maps of an earlier call that are of the same picture and model, and pictures
        of which no map could be made.
    """

    path: Path
    made: int
    kept: int
    skipped: int = 0


def write_maps(
    stimuli: Stimuli,
    models: Mapping[str, MapOf],
    out: str | Path,
    *,
    format: MapFormat = "npy",
    identities: Mapping[str, str | None] = {},
    skip_bad: bool = False,
    progress: Progress = SILENT,
) -> dict[str, Written]:
    """Write models' maps of stimuli: ``OUT/MODEL/NAME.npy``, float32 at the stimulus's size.

    An interrupted call leaves the maps that it finished, and another goes on after them: it keeps
    a map only if the picture, the model and the written file are what they were.

    Parameters
    ----------
    stimuli : Stimuli
    models : mapping
        Maps by the names of models; see `maps_of`.
    out : path
    format : MapFormat
        ``npy``: the map as the model puts it out. ``png``: 8 bits, each map stretched from its
        minimum to its maximum. ``hdf5``: one file ``OUT/MODEL.hdf5``, a dataset for each stimulus
        named as pysaliency reads it; see `hdf5_keys`.
    identities : mapping
        What each model's maps depend on besides the picture; see `identity`. The maps of a model
        without one are all made anew.
    skip_bad : bool
        Skip pictures that cannot be read, or that a model refuses, instead of stopping.
    progress : Progress

    Raises
    ------
    InputError
        If two models or stimuli would be written to one place, a map (with ``skip_bad``, every
        map of a model) cannot be made, or a file is in the way that no earlier call wrote.
    """
    out = Path(out)
    names, folders = map_names(stimuli), folder_names(list(models))
    keys = hdf5_keys([stimulus.file_name for stimulus in stimuli])
    for stimulus in () if skip_bad else stimuli:
        stimuli.path(stimulus)  # all are there
    out.mkdir(parents=True, exist_ok=True)
    result = {}
    for model, map_of in models.items():
        path = out / folders[model]
        if format == "hdf5":
            path = path.with_name(f"{path.name}.hdf5")
            opened, targets = map_datasets(path), keys
        else:
            opened, targets = map_files(path, format), [f"{name}.{format}" for name in names]
        made, skipped = 0, 0
        with opened as store, progress.task(model, len(stimuli)) as advance:
            store.begin(targets)
            for stimulus, target in zip(stimuli, targets, strict=True):
                try:
                    mark = _mark(stimuli, stimulus, identities.get(model))
                    there = store.has(target, mark)
                    found = None if there else _single(map_of(stimulus), model, stimulus)
                except InputError as error:
                    if not skip_bad:
                        raise InputError(f"{error} {OFFER}") from error
                    progress.say(f"skipped: {error}")
                    store.drop(target)  # it is of another picture or model
                    skipped += 1
                else:
                    if found is not None:
                        store.put(target, found, mark)
                        made += 1
                advance(1)
        if skipped == len(stimuli):
            raise InputError(f"{path}: {model} made no map of any picture")
        result[model] = Written(path, made, len(stimuli) - made - skipped, skipped)
    return result


def identity(
    name: str,
    weights: str | Path | None,
    dataset: Dataset | None,
    place: tuple[str | None, str | None] = (None, None),
) -> str | None:
    """Return a hash of all that a model's maps depend on besides the picture.

    That is the model, its weights (and their key and prefix in the file) or fixations, our code,
    and the libraries' versions. None for
    a user's factory, or a network trained on one: what their code depends on is unknown.
    """
    parts = [name, *(lib.__version__ for lib in (np, scipy, cv2, PIL, torch))]
    own = Path(__file__).parent
    names = ("architectures", "sources", "networks", "explain")
    rooms = [own, *(own.parent / room for room in names)]
    parts += [sha256(path) for room in rooms for path in sorted(room.glob("*.py"))]
    if name in OBSERVERS and dataset is not None:
        sizes = [(image.id, image.size) for image in dataset.stimuli]
        parts += [dataset.fixations.sha256(), str(dataset.px_per_degree), str(sizes)]
    elif is_explained(name):
        info = ExplainInfo.read(folder_of(name))  # it names the hashes of all that it depends on
        if ":" in info.parameters.model:
            return None
        parts += [json.dumps(info.content(), sort_keys=True)]
    elif name not in MODELS:
        parts += [] if weights is None else [str(place)]
        folder = Path(name)
        if weights is not None and ":" not in name and not is_training(name):
            return _hash([*parts, "random" if str(weights) == "random" else sha256(weights)])
        if ":" in name or ":" in TrainInfo.read(folder).parameters.backbone.model:
            return None
        parts += [sha256(folder / "train.json"), sha256(weights or folder / "best.safetensors")]
    return _hash(parts)


def _hash(parts: list[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def map_names(stimuli: Sequence[Stimulus]) -> list[str]:
    """Return the stimuli's names without their endings, sub-folders kept.

    Names that differ only in their ending keep it: ``1.jpg``, ``1.png``.

    Raises
    ------
    InputError
        If two names are still the same, or differ only in upper and lower case.
    """
    full = [PurePosixPath(stimulus.file_name) for stimulus in stimuli]
    short = Counter(str(name.with_suffix("")).casefold() for name in full)
    names = [
        str(name.with_suffix("") if short[str(name.with_suffix("")).casefold()] == 1 else name)
        for name in full
    ]
    _check_distinct(names, names, "images")
    return names


def folder_names(models: Sequence[str]) -> dict[str, str]:
    """Return the name of each model's folder: its own, or that of its training folder.

    Raises
    ------
    InputError
        If two are the same.
    """
    names = []
    for model in models:
        known = model in MODELS or model in OBSERVERS
        names.append(model if known or ":" in model else Path(model).resolve().name)
    names = [name.replace(":", ".").replace("/", ".") for name in names]
    _check_distinct(names, models, "models")
    return dict(zip(models, names, strict=True))


def hdf5_keys(files: Sequence[str]) -> list[str]:
    """Return file names without the leading folders that all share."""
    parts = [PurePosixPath(file).parts for file in files]
    if len(parts) == 1:
        return [parts[0][-1]]
    while len({part[0] for part in parts}) == 1:
        parts = [part[1:] for part in parts]
    return ["/".join(part) for part in parts]


def _check_distinct(names: Sequence[str], of: Sequence[str], what: str) -> None:
    first: dict[str, str] = {}
    for name, one in zip(names, of, strict=True):
        if name.casefold() in first:
            raise InputError(
                f"the {what} {first[name.casefold()]} and {one} would both be written as {name}"
            )
        first[name.casefold()] = one


def _mark(stimuli: Stimuli, stimulus: Stimulus, model: str | None) -> Mark:
    """Return what a map is of: the picture's content and the model; None if that is unknown."""
    return {"picture": sha256(stimuli.path(stimulus)), "model": model} if model else None


def _single(saliency: np.ndarray, model: str, stimulus: Stimulus) -> np.ndarray:
    with np.errstate(over="ignore"):
        single = saliency.astype(np.float32)
    if not np.isfinite(single).all():
        raise InputError(f"{model}: {stimulus.file_name}: the map has values beyond float32")
    return single


def pictures(
    source: str | Path,
    names: Sequence[str],
    *,
    root: str | Path | None = None,
    fixations: str | Path | None = None,
    px_per_degree: float | None = None,
    skip_bad: bool = False,
    progress: Progress = SILENT,
) -> tuple[Stimuli, Dataset | None]:
    """Return the pictures that a source holds, and their fixations if a model is made of them.

    Parameters
    ----------
    source : str or path
        A mask file such as ``popout.json``, or its name or folder; a folder of pictures, its
        sub-folders included, but not those of maps that `write_maps` wrote; or a dataset, as for
        `load_dataset`. A folder is read as a dataset if a model is made of fixations.
    names : sequence of str
        The models.
    root, fixations, px_per_degree
        As for `load_dataset`.
    skip_bad : bool
        Leave out files of a folder that are no pictures.
    progress : Progress

    Raises
    ------
    InputError
        If there is no such source, or it lacks fixations that a model is made of.
    """
    path = Path(source)
    needed = bool(set(names) & OBSERVERS.keys())
    if (path / "popout.json").is_file():
        path = path / "popout.json"
    if path.suffix == ".json" or str(source) in SHIPPED:
        path = mask_path(path)
        masks = MaskSet.read(path)
        folder = root_of(masks, root, path.parent)
        stimuli = Stimuli(folder, tuple(masks.images))
        if not needed:
            return stimuli, None
        scale = px_per_degree or masks.info.salprobe.px_per_degree
        if scale is None:
            raise InputError(f"{path}: pixels per degree unknown; give --px-per-degree")
        table = Path(fixations) if fixations else None
        looked = fixations_of(masks, folder, table, progress)
        return stimuli, Dataset(path.stem, stimuli, looked, scale)
    table = path.is_file() and path.suffix.lower() in (*TABLE_SUFFIXES, *EXPORT_SUFFIXES)
    if needed or table or not path.is_dir() or str(source) in NAMED:
        dataset = load_dataset(str(source), root, fixations, px_per_degree, progress=progress)
        return dataset.stimuli, dataset
    names, good = _images_below(path), []
    for name in names:
        try:
            image_size(path / name)
        except InputError as error:
            if not skip_bad:
                raise InputError(f"{error} {OFFER}") from error
            progress.say(f"skipped: {error}")
        else:
            good.append(name)
    if names and not good:
        raise InputError(f"{path}: no picture could be read")
    if len(good) < len(names):
        progress.say(f"{len(names) - len(good)} of {len(names)} files skipped")
    return Stimuli.from_folder(path, good), None


def _images_below(folder: Path) -> list[str]:
    """Return the relative paths of the pictures in a folder and its visible sub-folders."""
    of_maps = {record.parent for record in folder.rglob(RECORD)}
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and of_maps.isdisjoint(path.parents)
    )

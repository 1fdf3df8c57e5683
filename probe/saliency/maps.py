"""Saliency maps from models by name, a folder of maps, a trained network or a function."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from ...datasets.errors import InputError, reading
from ...datasets.files import sha256
from ...datasets.readers.arrays import read_arrays
from ...datasets.stimuli import (
    IMAGE_SUFFIXES,
    MOST_PIXELS,
    Dataset,
    Stimuli,
    Stimulus,
    read_picture,
)
from ..architectures.named import ARCHITECTURES
from ..architectures.saliency_network import SaliencyNetwork
from ..explain.explanation import Explanation
from ..explain.rebuilt import explained_model, folder_of, readout_function, readout_maps
from ..networks.activation import resized
from ..networks.heads import SaliencyModel
from ..networks.load import is_training, load_model, load_trained
from ..networks.model import Model, network_input
from ..sources.factory import from_factory
from ..sources.libraries import READOUT, is_explained, is_factory
from .classical import MODELS
from .densities import is_log_density
from .observers import CentreBias, Human

MapOf = Callable[[Stimulus], np.ndarray]
"""From a stimulus to its saliency map, float64 (height, width)."""

OBSERVERS: dict[str, Callable[[Dataset], MapOf]] = {"human": Human, "centre": CentreBias}
"""The models that are made of a dataset's fixations, by the names that commands use."""

_ARRAYS = (".npy", ".mat", ".h5", ".hdf5")


def saliency_map(model: str, rgb: np.ndarray, weights: str | Path | None = None) -> np.ndarray:
    """Return a saliency model's map of a picture, as the model puts it out.

    Parameters
    ----------
    model : str
        A classical model (``gbvs``, ``itti``, ``bms``, ``spectral`` …), a saliency network
        (``unisal``, ``msinet`` …), a folder that `probe train` made, ``explained:DIR`` or
        ``explained-readout:DIR`` with a folder that `probe explain` made, or
        ``package.module:factory``.
    rgb : uint8 array, shape (height, width, 3)
    weights : path, optional
        A network's file of weights, or ``random``.

    Returns
    -------
    float64 array, shape (height, width)

    Raises
    ------
    InputError
        If there is no such model, or the picture or the map is malformed.

    Examples
    --------
    >>> import numpy as np, salprobe as sp
    >>> picture = np.zeros((60, 80, 3), np.uint8)
    >>> picture[20:30, 50:60] = 255
    >>> saliency = sp.saliency_map("bms", picture)
    >>> saliency.shape, bool(saliency[25, 55] > saliency[45, 20])
    ((60, 80), True)
    """
    function = model_function(model, weights)
    if function is None:
        raise InputError(f"{model}: not a saliency model; expected {', '.join(MODELS)} …")
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise InputError(
            f"expected a picture, uint8 (height, width, 3), got {rgb.dtype} {rgb.shape}"
        )
    saliency = np.asarray(function(rgb), dtype=np.float64)
    if saliency.shape != rgb.shape[:2] or not np.isfinite(saliency).all():
        raise InputError(f"{model}: expected a finite map of {rgb.shape[:2]}, got {saliency.shape}")
    return saliency


def maps_of(
    names: Sequence[str],
    stimuli: Stimuli,
    dataset: Dataset | None = None,
    weights: Mapping[str, str | Path] = {},
    px_per_degree: float | None = None,
    *,
    weights_key: str | None = None,
    weights_prefix: str | None = None,
) -> dict[str, MapOf]:
    """Return the maps of saliency models by name.

    Parameters
    ----------
    names : sequence of str
        As for `saliency_map`; also ``human`` and ``centre``, and a network that returns one map:
        of a factory, or any that `load_model` knows with a file of weights that has a readout.
    stimuli : Stimuli
    dataset : Dataset, optional
        The fixations that ``human`` and ``centre`` are made of.
    weights : mapping of path
        Files of weights, or ``random``, by the names of networks.
    px_per_degree : float, optional
        The pictures' resolution, for networks that expect one; by default the dataset's.
    weights_key, weights_prefix : str, optional
        Where in these files the network is; see `load_model`.

    Raises
    ------
    InputError
        If there is no such model, a name is given twice or none at all, or weights are given to
        what has none.
    """
    if not weights and (weights_key, weights_prefix) != (None, None):
        raise InputError("--weights-key and --weights-prefix are for --weights NAME=FILE")
    if not names:
        raise InputError("no model is named; expected --models")
    if len(set(names)) < len(names):
        raise InputError(f"a model is given twice among {', '.join(names)}")
    for name in weights:
        if name not in names:
            raise InputError(f"--weights {name}={weights[name]}: no such model in --models")
    models: dict[str, MapOf] = {}
    scale = px_per_degree or (None if dataset is None else dataset.px_per_degree)
    for name in names:
        if name in OBSERVERS:
            if name in weights:
                raise InputError(f"{name} has no weights; expected no --weights")
            if dataset is None:
                raise InputError(f"{name}: is made of fixations; expected a dataset that has some")
            models[name] = OBSERVERS[name](dataset)
            continue
        if name.startswith(READOUT) and name not in weights:
            models[name] = _of_stimuli(name, readout_maps(name, stimuli), stimuli)
            continue
        place = (weights_key, weights_prefix) if name in weights else (None, None)
        function = model_function(name, weights.get(name), place, scale)
        if function is None:
            known = ", ".join([*MODELS, *OBSERVERS])
            raise InputError(f"{name}: not a saliency model; expected {known} …")
        models[name] = from_function(name, function, stimuli)
    return models


def from_function(name: str, function: Callable[[np.ndarray], Any], stimuli: Stimuli) -> MapOf:
    """Return a function's maps; it takes RGB pictures, uint8 (height, width, 3).

    The result raises `InputError` if a picture cannot be read, or the function's map is not
    finite or not of two dimensions.
    """
    return _of_stimuli(name, lambda _stimulus, picture: function(picture), stimuli)


def _of_stimuli(
    name: str, function: Callable[[Stimulus, np.ndarray], Any], stimuli: Stimuli
) -> MapOf:
    """Return the maps of a function that also takes the stimulus; see `from_function`."""

    def map_of(stimulus: Stimulus) -> np.ndarray:
        picture, place = np.asarray(stimuli.read(stimulus)), f"{name}: {stimulus.file_name}"
        try:
            saliency = np.asarray(function(stimulus, picture), dtype=np.float64)
        except InputError as error:
            raise InputError(f"{place}: {error}") from error
        return _checked(place, saliency, stimulus)[0]

    return map_of


class MapFolder:
    """A folder of maps, each named like its image: PNG, JPEG, NPY, MAT or HDF5.

    The map of ``a/1.jpg`` is ``a/1.npy`` or, if another image differs only in its ending,
    ``a/1.jpg.npy``, as `probe maps` writes them; or ``1.npy``, if no other image has that name.

    Parameters
    ----------
    folder : Path
    stimuli : Stimuli

    Attributes
    ----------
    resized : int
        How many of the maps read so far were not of their image's size.

    Raises
    ------
    InputError
        If the folder does not exist, or lacks the map of any stimulus.
    """

    def __init__(self, folder: Path, stimuli: Stimuli) -> None:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder of maps")
        suffixes = (*IMAGE_SUFFIXES, *_ARRAYS)
        paths: dict[str, Path] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in suffixes:
                name = path.relative_to(folder).with_suffix("").as_posix()
                if name in paths:
                    raise InputError(
                        f"{folder}: two maps of {name}: {paths[name].name}, {path.name}"
                    )
                paths[name] = path
        names = {image.id: PurePosixPath(image.file_name) for image in stimuli}
        alike = Counter(name.with_suffix("") for name in names.values())
        times = Counter(name.stem for name in names.values())
        stems = {}
        for number, name in names.items():
            short = name.with_suffix("")
            candidates = [str(name)] if alike[short] > 1 else [str(short), str(name)]
            candidates += [name.stem] if times[name.stem] == 1 else []
            stems[number] = next((one for one in candidates if one in paths), candidates[0])
        missing = [stem for stem in stems.values() if stem not in paths]
        if missing:
            raise InputError(
                f"{folder}: no map of {missing[0]}"
                + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
            )
        self._paths = {number: paths[stem] for number, stem in stems.items()}
        self.resized = 0

    def __call__(self, stimulus: Stimulus) -> np.ndarray:
        """Return a stimulus's map, resized (bilinear) if its size differs.

        Raises
        ------
        InputError
            If the map cannot be read, is not finite or is not of two dimensions.
        """
        path = self._paths[stimulus.id]
        saliency, resized = _checked(str(path), _read(path), stimulus)
        self.resized += resized
        return saliency

    def sha256(self) -> str:
        """Return one SHA-256 of the contents of all maps, in the order of the stimuli."""
        files = (sha256(path) for path in self._paths.values())
        return hashlib.sha256("".join(files).encode()).hexdigest()


def _read(path: Path) -> np.ndarray:
    if path.suffix.lower() not in _ARRAYS:
        return np.asarray(read_picture(path).convert("L"), dtype=np.float64)
    arrays = read_arrays(path)
    with reading(path):
        numbers = [
            array for array in map(np.asarray, arrays.values()) if array.dtype.kind in "buif"
        ]
        # What is the only array is the map, whatever its shape, which is checked later.
        planes = [one for one in numbers if one.ndim == 2] if len(numbers) > 1 else numbers
    if len(planes) != 1:
        raise InputError(f"{path}: expected one array of two dimensions, got {len(planes)}")
    if planes[0].size > MOST_PIXELS:
        raise InputError(f"{path}: a map of {planes[0].size} values, more than can be read")
    return planes[0].astype(np.float64)


def _checked(place: str, saliency: np.ndarray, stimulus: Stimulus) -> tuple[np.ndarray, bool]:
    if saliency.ndim != 2:
        raise InputError(f"{place}: expected a map (height, width), got {saliency.shape}")
    if not np.isfinite(saliency).all():
        raise InputError(f"{place}: the map has values that are not finite")
    size = (stimulus.height, stimulus.width)
    if saliency.shape == size:
        return saliency, False
    with reading(place):
        return cv2.resize(saliency, size[::-1], interpolation=cv2.INTER_LINEAR), True


def model_function(
    name: str,
    weights: str | Path | None = None,
    place: tuple[str | None, str | None] = (None, None),
    px_per_degree: float | None = None,
    seed: int = 0,
) -> Callable[[np.ndarray], Any] | None:
    """Return the function from pictures to maps of what `function_named` or `load_model` knows.

    A network counts if it is a saliency network, a factory's, or has a file of weights. None if
    there is no such model.

    Raises
    ------
    InputError
        As they, or as `network_maps`.
    """
    function = function_named(name, weights, place)
    if function is None and (":" in name or name in ARCHITECTURES or weights is not None):
        network = load_model(
            *(name, "default" if weights is None else str(weights)),
            seed=seed,
            weights_key=place[0],
            weights_prefix=place[1],
        )
        function = network_maps(network, px_per_degree)
    return function


def function_named(
    name: str,
    weights: str | Path | None = None,
    place: tuple[str | None, str | None] = (None, None),
) -> Callable[[np.ndarray], Any] | None:
    """Return the function from pictures to saliency maps that a name stands for, or None.

    A classical model, what ``module:factory`` returns, an explanation (``explained:DIR``, the
    network itself with rebuilt maps; ``explained-readout:DIR``, the readout fitted on them), or the
    network of a training folder, with a file of weights if given, and the network's key and prefix
    in it. A network of another kind gives None.

    Raises
    ------
    InputError
        As `predictor`, if the factory fails, or if weights are given to what has none.
    """
    if name in MODELS or is_explained(name):
        if weights is not None:
            raise InputError(f"{name} has no weights; expected no --weights")
        return MODELS[name] if name in MODELS else _explained(name)
    if is_training(name) and (Path(name) / "train.json").is_file():
        return predictor(Path(name), "default" if weights is None else str(weights), place)
    if not is_factory(name):
        return None
    product = from_factory(name)
    if not callable(product) or hasattr(product, "state_dict"):
        return None
    if weights is not None:
        raise InputError(f"{name}: made a function, which has no weights; expected no --weights")
    return product


def _explained(name: str) -> Callable[[np.ndarray], np.ndarray]:
    explanation = Explanation.open(folder_of(name))
    if name.startswith(READOUT):
        return readout_function(explanation)
    return network_maps(explained_model(explanation))


def predictor(
    folder: Path,
    weights: str = "default",
    place: tuple[str | None, str | None] = (None, None),
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from pictures to saliency maps that a training folder holds.

    Pictures are uint8 (height, width, 3), maps float32 (height, width).

    Raises
    ------
    InputError
        As `load_trained`, or if the network was not trained for saliency.
    """
    model = load_trained(folder, weights, weights_key=place[0], weights_prefix=place[1])
    if not isinstance(model.network, SaliencyModel):
        raise InputError(f"{folder}: was not trained for saliency")
    return network_maps(model)


def network_maps(
    model: Model, px_per_degree: float | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from pictures to a network's map, resized to the picture (bilinear).

    A `SaliencyNetwork` feeds itself and resizes its map as its authors do. The logarithm of a
    density is that of one over the picture's pixels.

    The function raises `InputError` if the network does not return one map, (1, 1, height, width)
    or (1, height, width).

    Parameters
    ----------
    model : Model
    px_per_degree : float, optional
        The pictures' resolution.

    Raises
    ------
    InputError
        If the file of weights lacks some, or the model expects a resolution and none is given.
    """
    model.check()
    if isinstance(model.network, SaliencyNetwork):
        return model.network.predict
    model.at_scale([(1, 1)], px_per_degree)

    def predict(picture: np.ndarray) -> np.ndarray:
        resize = model.at_scale([picture.shape[:2]], px_per_degree).resize
        rgb = network_input(Image.fromarray(picture), resize)
        with torch.inference_mode():
            maps = model.network(model.images(rgb[None]))
            if not isinstance(maps, torch.Tensor) or maps.ndim < 3 or maps[..., 0, 0].numel() != 1:
                got = tuple(maps.shape) if isinstance(maps, torch.Tensor) else type(maps).__name__
                raise InputError(
                    f"{model.name}: expected a network that returns one map, "
                    f"(1, 1, height, width), got {got}"
                )
            own = maps.reshape(maps.shape[-2:]).float()
            saliency = resized(own, picture.shape[:2])
            if is_log_density(own.double().numpy()):  # on other pixels it has to sum to 1 again
                saliency = saliency.double().flatten().log_softmax(0).view_as(saliency)
            return saliency.numpy()

    return predict

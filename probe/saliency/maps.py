"""Saliency maps from classical models, a folder of maps, a trained network or a function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from ...datasets.errors import InputError
from ...datasets.readers.arrays import read_hdf5, read_mat, read_npy
from ...datasets.stimuli import IMAGE_SUFFIXES, Stimuli, Stimulus, read_picture
from ..networks.activation import resized
from ..networks.factory import from_factory
from ..networks.heads import SaliencyModel
from ..networks.load import load_trained
from ..networks.model import network_input
from .classical import MODELS

MapOf = Callable[[Stimulus], np.ndarray]
"""From a stimulus to its saliency map, float64 (height, width)."""

_ARRAYS = (".npy", ".mat", ".h5", ".hdf5")


def saliency_map(model: str, rgb: np.ndarray) -> np.ndarray:
    """Return a saliency model's map of a picture, as the model puts it out.

    Parameters
    ----------
    model : str
        A classical model (``gbvs``, ``itti``, ``bms``, ``spectral`` …), a folder that
        `probe train` made, or ``package.module:factory``.
    rgb : uint8 array, shape (height, width, 3)

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
    function = function_named(model)
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


def from_function(name: str, function: Callable[[np.ndarray], Any], stimuli: Stimuli) -> MapOf:
    """Return a function's maps; it takes RGB pictures, uint8 (height, width, 3).

    The result raises `InputError` if a picture cannot be read, or the function's map is not
    finite or not of two dimensions.
    """

    def map_of(stimulus: Stimulus) -> np.ndarray:
        saliency = np.asarray(function(np.asarray(stimuli.read(stimulus))), dtype=np.float64)
        return _checked(f"{name}: {stimulus.file_name}", saliency, stimulus)[0]

    return map_of


class MapFolder:
    """A folder of maps, each named like its image: PNG, JPEG, NPY, MAT or HDF5.

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
        paths = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in suffixes}
        stems = {image.id: Path(image.file_name).stem for image in stimuli}
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


def _read(path: Path) -> np.ndarray:
    try:
        if path.suffix == ".npy":
            return read_npy(path).astype(np.float64)
        if path.suffix == ".mat":
            arrays = list(read_mat(path).values())
        elif path.suffix in (".h5", ".hdf5"):
            arrays = list(read_hdf5(path).values())
        else:
            return np.asarray(read_picture(path).convert("L"), dtype=np.float64)
        planes = [array for array in map(np.asarray, arrays) if array.ndim == 2]
        planes = [array for array in planes if array.dtype.kind in "uif"]
    except InputError:
        raise
    except (OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if len(planes) != 1:
        raise InputError(f"{path}: expected one array of two dimensions, got {len(planes)}")
    return np.asarray(planes[0], dtype=np.float64)


def _checked(place: str, saliency: np.ndarray, stimulus: Stimulus) -> tuple[np.ndarray, bool]:
    if saliency.ndim != 2:
        raise InputError(f"{place}: expected a map (height, width), got {saliency.shape}")
    if not np.isfinite(saliency).all():
        raise InputError(f"{place}: the map has values that are not finite")
    size = (stimulus.height, stimulus.width)
    if saliency.shape == size:
        return saliency, False
    return cv2.resize(saliency, size[::-1], interpolation=cv2.INTER_LINEAR), True


def function_named(name: str) -> Callable[[np.ndarray], Any] | None:
    """Return the function from pictures to saliency maps that a name stands for, or None.

    A classical model, what ``module:factory`` returns, or the network of a training folder. A
    factory that returns a torch Module gives None: its units are scored instead.

    Raises
    ------
    InputError
        As `predictor`, or if the factory fails.
    """
    if name in MODELS:
        return MODELS[name]
    if (Path(name) / "train.json").is_file():
        return predictor(Path(name))
    if ":" not in name:
        return None
    product = from_factory(name)
    return product if callable(product) and not hasattr(product, "state_dict") else None


def predictor(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from pictures to saliency maps that a training folder holds.

    Pictures are uint8 (height, width, 3), maps float32 (height, width).

    Raises
    ------
    InputError
        As `load_trained`, or if the network was not trained for saliency.
    """
    model = load_trained(folder)
    if not isinstance(model.network, SaliencyModel):
        raise InputError(f"{folder}: was not trained for saliency")
    network = model.network

    def predict(picture: np.ndarray) -> np.ndarray:
        rgb = network_input(Image.fromarray(picture), model.input_size)
        with torch.inference_mode():
            saliency = network(model.images(rgb[None]))[0, 0]
            return resized(saliency, picture.shape[:2]).numpy()

    return predict

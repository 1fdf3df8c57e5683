"""Saliency maps that are given, as a folder of files or as one HDF5 file."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from ...datasets.errors import InputError, reading
from ...datasets.files import sha256
from ...datasets.readers.arrays import read_arrays, read_hdf5_dataset, read_hdf5_names
from ...datasets.stimuli import IMAGE_SUFFIXES, MOST_PIXELS, Stimuli, Stimulus, read_picture

_HDF5 = (".h5", ".hdf5")
_ARRAYS = (".npy", ".mat", *_HDF5)


def given_maps(path: Path, stimuli: Stimuli) -> MapFolder | MapFile:
    """Open maps that are given: a folder, or an HDF5 file.

    Raises
    ------
    InputError
        If there is no such folder or file, or it lacks the map of any stimulus.
    """
    return MapFile(path, stimuli) if path.suffix.lower() in _HDF5 else MapFolder(path, stimuli)


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
        _say_missing(folder, [stem for stem in stems.values() if stem not in paths])
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
        saliency, resized = checked_map(str(path), _read(path), stimulus)
        self.resized += resized
        return saliency

    def sha256(self) -> str:
        """Return one SHA-256 of the contents of all maps, in the order of the stimuli."""
        files = (sha256(path) for path in self._paths.values())
        return hashlib.sha256("".join(files).encode()).hexdigest()


class MapFile:
    """An HDF5 file with a dataset for each image, as pysaliency's models and `probe maps` have.

    A dataset's path is the image's name, or the name's last parts (``1.jpg`` of ``a/1.jpg``), or
    ends with it.

    Parameters
    ----------
    path : Path
    stimuli : Stimuli

    Attributes
    ----------
    resized : int
        How many of the maps read so far were not of their image's size.

    Raises
    ------
    InputError
        If the file is missing or damaged, lacks the map of any stimulus, or has several of one or
        one of several.
    """

    def __init__(self, path: Path, stimuli: Stimuli) -> None:
        self._path = path
        ends = defaultdict(list)
        names = read_hdf5_names(path)
        for name in names:
            for end in _ends(name):
                ends[end].append(name)
        known = set(names)
        self._names: dict[int, str] = {}
        missing = []
        for stimulus in stimuli:
            file_name = str(PurePosixPath(stimulus.file_name))
            found = ends[file_name] or [one for one in _ends(file_name) if one in known][:1]
            if file_name in known:
                found = [file_name]
            if len(found) > 1:
                raise InputError(f"{path}: two maps of {file_name}: {found[0]}, {found[1]}")
            if found:
                self._names[stimulus.id] = found[0]
            else:
                missing.append(file_name)
        _say_missing(path, missing)
        for name, times in Counter(self._names.values()).items():
            if times > 1:
                raise InputError(f"{path}: {name} would be the map of {times} images")
        self.resized = 0

    def __call__(self, stimulus: Stimulus) -> np.ndarray:
        """Return a stimulus's map, resized (bilinear) if its size differs.

        Raises
        ------
        InputError
            If the map cannot be read, is not finite or is not of two dimensions.
        """
        name = self._names[stimulus.id]
        saliency = read_hdf5_dataset(self._path, name, 8 * MOST_PIXELS).astype(np.float64)
        saliency, resized = checked_map(f"{self._path}: {name}", saliency, stimulus)
        self.resized += resized
        return saliency

    def sha256(self) -> str:
        """Return the SHA-256 of the file."""
        return sha256(self._path)


def _ends(name: str) -> list[str]:
    """Return a path and all that it ends with, the longest first."""
    parts = name.split("/")
    return ["/".join(parts[place:]) for place in range(len(parts))]


def _say_missing(place: Path, missing: list[str]) -> None:
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"{place}: no map of {missing[0]}{more}")


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


def checked_map(place: str, saliency: np.ndarray, stimulus: Stimulus) -> tuple[np.ndarray, bool]:
    """Return a map at the size of its stimulus, and whether it had to be resized (bilinear).

    Raises
    ------
    InputError
        If it is not of two dimensions, or has values that are not finite.
    """
    if saliency.ndim != 2:
        raise InputError(f"{place}: expected a map (height, width), got {saliency.shape}")
    if not np.isfinite(saliency).all():
        raise InputError(f"{place}: the map has values that are not finite")
    size = (stimulus.height, stimulus.width)
    if saliency.shape == size:
        return saliency, False
    with reading(place):
        return cv2.resize(saliency, size[::-1], interpolation=cv2.INTER_LINEAR), True

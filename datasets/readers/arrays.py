"""Arrays in MATLAB, HDF5 and NumPy files; what they declare is checked before it is believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .process import asked, check_file

MOST_BYTES = 2**30
"""Maximum size in bytes of the arrays of a file; an OSIE map in float64 takes 4 MB."""


def read_mat(path: Path) -> dict[str, Any]:
    """Read the variables of a MATLAB file (version 4 to 7.2) in a process of its own.

    Returns
    -------
    dict
        Structures become dicts, cells lists, texts str; numbers are arrays or scalars. Whatever
        else a file can hold is None.

    Raises
    ------
    InputError
        If it is missing, malformed, larger than `MOST_BYTES`, or crashes or stalls the reader.
    """
    return asked(path, "mat", MOST_BYTES)


def read_mat_map(path: Path, name: str) -> dict[str, Any]:
    """Read a ``containers.Map`` with texts as keys, of a MATLAB file, in a process of its own.

    Returns
    -------
    dict
        Its values by key: structures as dicts, cells as lists, texts as str.

    Raises
    ------
    InputError
        If the variable is missing or no map, or as `read_mat`.
    """
    return asked(path, "mat-map", MOST_BYTES, name=name)


def read_hdf5_cells(path: Path, name: str) -> list[np.ndarray]:
    """Read a cell array of numbers from a MATLAB file of version 7.3, in a process of its own.

    Returns
    -------
    list of array
        HDF5's order: an array that MATLAB shows as n × 3 has the shape (3, n).

    Raises
    ------
    InputError
        If the variable is missing or no such cell array, or as `read_hdf5`.
    """
    return asked(path, "hdf5-cells", MOST_BYTES, name=name)["cells"]


def read_hdf5(path: Path) -> dict[str, Any]:
    """Read the arrays of numbers at the root of an HDF5 file in a process of its own.

    Raises
    ------
    InputError
        If it is missing, malformed, larger than `MOST_BYTES`, crashes or stalls the reader, or
        has links or data in other files.
    """
    return asked(path, "hdf5", MOST_BYTES)


def read_hdf5_marks(path: Path) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Read an HDF5 file's attributes that are texts, in a process of its own.

    Returns
    -------
    file : dict
        Those of the file.
    datasets : dict
        Those of each dataset, by its path; ``content`` is the SHA-256 of its values.

    Raises
    ------
    InputError
        If anything in it cannot be read, or crashes or stalls the reader.
    """
    found = asked(path, "hdf5-marks", MOST_BYTES)
    return found["file"], found["datasets"]


def read_hdf5_names(path: Path) -> list[str]:
    """Read the paths of an HDF5 file's datasets, links left out, in a process of its own.

    Raises
    ------
    InputError
        If it is missing or malformed, or crashes or stalls the reader.
    """
    return asked(path, "hdf5-names", MOST_BYTES)["names"]


def read_hdf5_dataset(path: Path, name: str, most_bytes: int = MOST_BYTES) -> np.ndarray:
    """Read one dataset of an HDF5 file in a process of its own.

    Raises
    ------
    InputError
        If it is missing, not an array of numbers in this file, larger than ``most_bytes``, or
        crashes or stalls the reader.
    """
    return asked(path, "hdf5-dataset", most_bytes, name=name)["array"]


def read_hdf5_tree(path: Path) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Read all of an HDF5 file in a process of its own.

    Returns
    -------
    attributes : dict of dict
        Those of each group, by its path with a slash at the end; of the file by "".
    datasets : dict
        Arrays of numbers, and lists of texts or of lists of numbers, by their paths.

    Raises
    ------
    InputError
        If it is missing, malformed, larger than `MOST_BYTES`, crashes or stalls the reader, or
        has links or data in other files.
    """
    found = asked(path, "hdf5-tree", MOST_BYTES)
    return found["attributes"], found["datasets"]


def read_npy(path: Path) -> np.ndarray:
    """Read an array of NumPy's; nothing is unpickled.

    Raises
    ------
    InputError
        If it is missing, malformed, or larger than `MOST_BYTES`.
    """
    check_file(path)
    array = map_npy(path)
    if array.nbytes > MOST_BYTES:
        raise InputError(f"{path}: an array of {array.nbytes} bytes, more than can be read")
    return np.array(array)


def map_npy(path: Path) -> np.ndarray:
    """Open an array of NumPy's without reading it; nothing is unpickled.

    Raises
    ------
    InputError
        If it is missing or malformed.
    """
    check_file(path, whole=False)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("expected .npy, got .npz")
    except Exception as error:  # a damaged header raises almost anything
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not an array: {reason:.150}") from error
    return array


def read_arrays(path: Path) -> dict[str, Any]:
    """Read a file of arrays by its suffix: ``.npy`` (named ``array``), ``.mat``, or HDF5.

    Raises
    ------
    InputError
        As `read_npy`, `read_mat` or `read_hdf5`.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return {"array": read_npy(path)}
    return read_mat(path) if suffix == ".mat" else read_hdf5(path)

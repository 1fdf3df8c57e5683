"""Where `probe maps` writes: a folder of files or one HDF5 file, with what each map is of.

Each store says of a map whether it is there and of the same mark: its picture's content and its
model. Without a mark, no map passes for the same.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from ...datasets.disk import append, check_growth, writing
from ...datasets.errors import InputError, reading
from ...datasets.files import atomic_write, sha256
from ...datasets.locks import held
from ...datasets.readers.arrays import read_hdf5_marks
from ..choices import MapFormat

RECORD = "maps.jsonl"
"""Name of the file beside a model's maps that says which picture and model each is of."""

_MARGIN = 2**16  # bytes; more than HDF5 needs to describe a map

Mark = Mapping[str, str] | None


class MapFiles:
    """A folder of maps, with a record of what each is of.

    A line of the record is written before its map: a map without a line is not ours.
    """

    def __init__(self, folder: Path, format: MapFormat) -> None:
        self._folder = folder
        self._format: MapFormat = format
        self._record: dict[str, dict[str, str]] = {}
        with suppress(FileNotFoundError):
            for line in (folder / RECORD).read_bytes().split(b"\n"):
                # The last line may be cut off; of a map without a line, nothing is known.
                with suppress(ValueError, KeyError, TypeError, RecursionError):
                    entry = json.loads(line)
                    self._record[entry["file"]] = entry

    def begin(self, targets: Sequence[str]) -> None:
        """Refuse places outside the folder, and files in the way that no earlier call wrote."""
        record = self._folder / RECORD
        if record.exists():
            append(record, b"", record.read_bytes().rfind(b"\n") + 1)  # no line that was cut off
        root = self._folder.resolve()
        for target in targets:
            path = self._folder / target
            if not path.resolve().is_relative_to(root):
                raise InputError(f"{path}: leads out of {self._folder}")
            if path.exists() and target not in self._record:
                raise InputError(f"{path}: exists and was not written by probe maps")

    def has(self, target: str, mark: Mark) -> bool:
        """Return whether a map is there, whole, and of this mark."""
        entry, path = self._record.get(target), self._folder / target
        return (
            entry is not None
            and mark is not None
            and all(entry.get(key) == value for key, value in mark.items())
            and path.is_file()
            and sha256(path) == entry.get("sha256")
        )

    def drop(self, target: str) -> None:
        """Remove a map, if it is there."""
        (self._folder / target).unlink(missing_ok=True)

    def put(self, target: str, saliency: np.ndarray, mark: Mark) -> None:
        """Write a map, float32 (height, width), and its mark."""
        content = _encoded(saliency, self._format)
        path = self._folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        entry = {"file": target, "sha256": hashlib.sha256(content).hexdigest(), **(mark or {})}
        append(self._folder / RECORD, json.dumps(entry).encode() + b"\n")
        with atomic_write(path) as file:
            file.write(content)


def _encoded(saliency: np.ndarray, format: MapFormat) -> bytes:
    buffer = BytesIO()
    if format == "npy":
        np.save(buffer, saliency)
    else:
        saliency = saliency.astype(np.float64)
        low, high = saliency.min(), saliency.max()
        stretched = (saliency - low) * (255 / (high - low)) if high > low else saliency * 0
        Image.fromarray(np.rint(stretched).astype(np.uint8)).save(buffer, format="png")
    return buffer.getvalue()


class MapDatasets:
    """An HDF5 file of maps; each dataset's attributes say what it is of.

    Parameters
    ----------
    file : h5py.File
    there : mapping
        The attributes of the maps in it, by their names.
    """

    def __init__(self, file: h5py.File, there: Mapping[str, dict[str, str]]) -> None:
        self._file, self._there = file, there

    def begin(self, targets: Sequence[str]) -> None:
        """Drop maps of an earlier call that are no longer asked for."""
        for name in set(self._there) - set(targets):
            self.drop(name)

    def drop(self, target: str) -> None:
        """Remove a map, if it is there."""
        with reading(self._file.filename):
            if target in self._file:
                del self._file[target]

    def has(self, target: str, mark: Mark) -> bool:
        """Return whether a map is there, whole, and of this mark."""
        there = self._there.get(target)
        return (
            there is not None
            and mark is not None
            and all(there.get(key) == value for key, value in mark.items())
            and there.get("sha256") == there["content"]
        )

    def put(self, target: str, saliency: np.ndarray, mark: Mark) -> None:
        """Write a map, float32 (height, width), and its mark."""
        check_growth(Path(self._file.filename), saliency.nbytes + _MARGIN)
        self.drop(target)
        with reading(self._file.filename):
            dataset = self._file.create_dataset(target, data=saliency, compression=4)
            dataset.attrs.update({"sha256": _sha256(saliency), **(mark or {})})
            self._file.flush()


def _sha256(saliency: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(saliency).tobytes()).hexdigest()


@contextmanager
def map_files(path: Path, format: MapFormat) -> Iterator[MapFiles]:
    """Open a folder of maps."""
    path.mkdir(parents=True, exist_ok=True)
    with held(path / ".lock", f"{path}: another process is writing here"):
        yield MapFiles(path, format)


@contextmanager
def map_datasets(path: Path) -> Iterator[MapDatasets]:
    """Open an unfinished file beside ``path`` that replaces it once all maps are in it."""
    part = path.with_name(f".{path.name}.part")
    lock = path.with_name(f".{path.name}.lock")
    with held(lock, f"{path}: another process is writing here"):
        there = _maps_in(path) if path.exists() else None
        begun = None
        with suppress(InputError):  # a damaged remainder is not gone on with
            begun = _maps_in(part) if part.exists() else None
        with writing(path, part):
            if begun is None:
                part.unlink(missing_ok=True)
                if there is not None:
                    shutil.copyfile(path, part)
            check_growth(part, _MARGIN)
            if not part.stat().st_size:
                part.unlink()
            with h5py.File(part, "a") as file:
                file.attrs["salprobe"] = "maps"
                yield MapDatasets(file, begun if begun is not None else there or {})
            part.replace(path)


def _maps_in(path: Path) -> dict[str, dict[str, str]]:
    """Return the attributes of the maps in a file of ours.

    Raises
    ------
    InputError
        If it cannot be read, or is not ours.
    """
    try:
        file, maps = read_hdf5_marks(path)
    except InputError as error:
        raise InputError(f"{path}: exists and was not written by probe maps: {error}") from error
    if file.get("salprobe") != "maps":
        raise InputError(f"{path}: exists and was not written by probe maps")
    return maps

"""Where `probe maps` writes: a folder of files or one HDF5 file, with what each map is of.

Each store says of a map whether it is there and of the same mark: its picture's content and its
model. Without a mark, no map passes for the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from ...datasets.errors import InputError
from ...datasets.files import atomic_write, sha256
from ...datasets.locks import held
from ..choices import MapFormat

RECORD = "maps.jsonl"
"""Name of the file beside a model's maps that says which picture and model each is of."""

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
            for line in (folder / RECORD).read_text("utf-8").splitlines():
                with suppress(ValueError, KeyError, TypeError):  # the last line may be cut off
                    entry = json.loads(line)
                    self._record[entry["file"]] = entry

    def begin(self, targets: Sequence[str]) -> None:
        """Refuse places outside the folder, and files in the way that no earlier call wrote."""
        record = self._folder / RECORD
        if record.exists() and not record.read_bytes().endswith(b"\n"):
            with record.open("a", encoding="utf-8") as file:  # ends a line that was cut off
                file.write("\n")
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

    def put(self, target: str, saliency: np.ndarray, mark: Mark) -> None:
        """Write a map, float32 (height, width), and its mark."""
        content = _encoded(saliency, self._format)
        path = self._folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        entry = {"file": target, "sha256": hashlib.sha256(content).hexdigest(), **(mark or {})}
        with (self._folder / RECORD).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
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
    """An HDF5 file of maps; each dataset's attributes say what it is of."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file

    def begin(self, targets: Sequence[str]) -> None:
        """Drop maps of an earlier call that are no longer asked for."""
        there: list[str] = []
        self._file.visititems(
            lambda name, item: there.append(name) if isinstance(item, h5py.Dataset) else None
        )
        for name in set(there) - set(targets):
            del self._file[name]

    def has(self, target: str, mark: Mark) -> bool:
        """Return whether a map is there, whole, and of this mark."""
        dataset = self._file.get(target)
        if mark is None or not isinstance(dataset, h5py.Dataset):
            return False
        try:
            there = {**mark, "sha256": _sha256(dataset[()])}
        except OSError:  # damaged
            return False
        return all(dataset.attrs.get(key) == value for key, value in there.items())

    def put(self, target: str, saliency: np.ndarray, mark: Mark) -> None:
        """Write a map, float32 (height, width), and its mark."""
        if target in self._file:
            del self._file[target]
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
        if path.exists() and not _ours(path):
            raise InputError(f"{path}: exists and was not written by probe maps")
        if not _ours(part):
            part.unlink(missing_ok=True)
            if path.exists():
                shutil.copyfile(path, part)
        with h5py.File(part, "a") as file:
            file.attrs["salprobe"] = "maps"
            yield MapDatasets(file)
        os.replace(part, path)  # noqa: PTH105  (as a pair of paths)


def _ours(path: Path) -> bool:
    with suppress(OSError), h5py.File(path) as file:
        return file.attrs.get("salprobe") == "maps"
    return False

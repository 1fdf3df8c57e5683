"""An unfinished run on disk: arrays written in place, and a journal of finished batches."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, StringConstraints

from ...datasets.disk import append, write_all, writing
from ...datasets.errors import InputError, reading
from ...datasets.files import atomic_write
from ...datasets.readers.arrays import map_npy
from ..records.run_info import BadImage

ARRAYS = ("scores", "shuffled")
"""Names of the arrays of a run folder, all of the same shape."""

SLICED = {"slices": "<f4", "looks": "<f2"}
"""Names and types of the arrays that a run with sliced fixations also has; see `SlicedRows`.

Of subjects' looks only errors are computed: half precision does."""


_Number = Annotated[str, StringConstraints(pattern=r"^-?[0-9]{1,18}$")]


class _Entry(BaseModel):
    """What a journal says of a finished batch, by the first row or the stimulus's id."""

    model_config = ConfigDict(extra="allow", strict=True)

    batch: NonNegativeInt
    bad: list[BadImage]
    images: dict[_Number, str] = {}
    n_fixations: dict[_Number, list[Annotated[int, Field(ge=0, lt=2**53)]]] = {}
    ceiling: dict[_Number, list[float]] = {}


class Partial:
    """The arrays and journals of an unfinished run folder.

    Each process writes the rows of its own batches, then a line to its own journal; both are on
    disk before the next batch begins. A line that a crash cut short is ignored.

    Parameters
    ----------
    folder : Path
        The run folder.
    shape : (rows, columns)
        Shape of each of `ARRAYS`: regions × units.
    rank : int
        This process's number; process 0 creates and finishes the files.
    sliced : mapping
        Number of rows of each of `SLICED`, if the run has them.
    """

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, int],
        rank: int = 0,
        sliced: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.folder, self.shape, self.rank, self.sliced = folder, shape, rank, sliced
        units = shape[1]
        self.shapes = dict.fromkeys(ARRAYS, shape) | {n: (k, units) for n, k in sliced.items()}
        self._paths = {name: folder / f"{name}.partial.npy" for name in self.shapes}
        self._journal = folder / f"journal.{rank}.jsonl"
        self._mended = False

    def create(self, processes: int = 1) -> None:
        """Create the arrays, all NaN, unless they exist, and a journal for each process.

        If a crash followed a renaming in `finish`, the file is renamed back. A network drive may
        list a new file late: journals are there before other machines write to them.

        Raises
        ------
        InputError
            If an array is there that is damaged or has another shape.
        """
        begun = any(self.folder.glob("journal.*.jsonl"))
        for name, path in self._paths.items():
            finished = self.folder / f"{name}.npy"
            if begun and finished.exists() and not path.exists():
                finished.replace(path)
        if all(path.exists() for path in self._paths.values()):
            for name, path in self._paths.items():
                self._check(name, path)
        else:
            self.remove()
            for name, path in self._paths.items():
                with atomic_write(path) as file:
                    kind, (rows, units) = _kind(name), self.shapes[name]
                    header = {"descr": kind, "fortran_order": False, "shape": (rows, units)}
                    np.lib.format.write_array_header_1_0(file, header)
                    row = np.full(units, np.nan, dtype=kind).tobytes()
                    for _ in range(rows):
                        file.write(row)
        for rank in range(processes):
            journal = self.folder / f"journal.{rank}.jsonl"
            with writing(journal):
                journal.touch()

    def done(self) -> dict[int, dict]:
        """Return the journal entries of all processes, by batch.

        Raises
        ------
        InputError
            If a line is not an entry; the message names it.
        """
        entries = {}
        for path in sorted(self.folder.glob("journal.*.jsonl")):
            for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
                with reading(f"{path}, line {number}"):
                    entry = _Entry.model_validate_json(line)
                entries[entry.batch] = entry.model_dump()
        return entries

    def write(
        self,
        batch: int,
        rows: list[tuple[int, np.ndarray]],
        entry: dict,
        sliced: Mapping[str, list[tuple[int, np.ndarray]]] = MappingProxyType({}),
    ) -> None:
        """Write a batch, then its journal entry.

        Parameters
        ----------
        batch : int
        rows : list of (int, float32 array, shape (arrays, regions, units))
            First row, and the rows of each of `ARRAYS`.
        entry : dict
        sliced : mapping of (list of (int, float32 array, shape (rows, units)))
            First row and rows of each of `SLICED`, if the run has them.
        """
        parts = {
            name: [(first, arrays[place]) for first, arrays in rows]
            for place, name in enumerate(ARRAYS)
        }
        for name, content in {**parts, **sliced}.items():
            path, kind, (n, units) = self._paths[name], np.dtype(_kind(name)), self.shapes[name]
            with writing(path), open(path, "r+b", buffering=0, opener=_through) as file:
                start = path.stat().st_size - kind.itemsize * n * units
                for first, array in _joined(content):
                    file.seek(start + kind.itemsize * first * units)
                    write_all(file, np.ascontiguousarray(array, dtype=kind))
                os.fsync(file.fileno())
        if not self._mended:
            self._mend()
            self._mended = True
        append(self._journal, json.dumps({"batch": batch, **entry}).encode() + b"\n")

    def finish(
        self, keep: np.ndarray, sliced: Mapping[str, np.ndarray] = MappingProxyType({})
    ) -> None:
        """Turn the arrays into ``scores.npy`` …, keeping only some rows.

        Parameters
        ----------
        keep : bool array, shape (rows,)
        sliced : mapping of bool arrays
            The same for each of `SLICED`, if the run has them.
        """
        for name, path in self._paths.items():
            finished, kept = self.folder / f"{name}.npy", sliced.get(name, keep)
            if kept.all():
                with writing(path):
                    path.replace(finished)
                continue
            scores = map_npy(path)
            with atomic_write(finished) as file:
                shape = (int(kept.sum()), self.shape[1])
                header = {"descr": _kind(name), "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                for row in np.flatnonzero(kept):
                    file.write(scores[row].tobytes())

    def remove(self) -> None:
        """Remove the files that only an unfinished run needs."""
        for path in self._paths.values():
            path.unlink(missing_ok=True)
        for path in self.folder.glob("journal.*.jsonl"):
            path.unlink()

    def _check(self, name: str, path: Path) -> None:
        """Refuse an array into which `write` would not find its place."""
        array = map_npy(path)
        begin = path.stat().st_size - array.nbytes
        expected = (self.shapes[name], _kind(name))
        same = (array.shape, array.dtype.str) == expected and array.flags.c_contiguous
        if not same or getattr(array, "offset", begin) != begin:
            expected = f"expected {np.dtype(_kind(name))} {self.shapes[name]}"
            raise InputError(f"{path}: is damaged: {expected}; remove {self.folder} to begin anew")

    def _mend(self) -> None:
        """Cut off a half-written last line of the journal."""
        if not self._journal.exists():
            return
        content = self._journal.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with writing(self._journal), self._journal.open("r+b") as file:
                file.truncate(whole)


def _kind(name: str) -> str:
    return SLICED.get(name, "<f4")


def _joined(rows: list[tuple[int, np.ndarray]]) -> list[tuple[int, np.ndarray]]:
    """Join rows that follow one another, so that they are written at once."""
    joined: list[tuple[int, list[np.ndarray]]] = []
    end = -1
    for first, array in rows:
        if first != end:
            joined.append((first, []))
        joined[-1][1].append(array)
        end = first + len(array)
    return [(first, np.concatenate(parts)) for first, parts in joined]


def _through(path: str, flags: int) -> int:
    """Open a file so that each write reaches the disk alone.

    NFS otherwise sends whole pages, and with them its old copy of the rows of other machines.
    """
    return os.open(path, flags | getattr(os, "O_DSYNC", 0))


def check_space(
    folder: Path, shape: tuple[int, int], sliced: Mapping[str, int] = MappingProxyType({})
) -> None:
    """Refuse a run whose scores do not fit on the disk.

    Parameters
    ----------
    folder : Path
    shape : (rows, columns)
    sliced : mapping
        See `Partial`.

    Raises
    ------
    InputError
        If the disk has too little space.
    """
    begun = sum(path.stat().st_size for path in folder.glob("*.partial.npy"))
    rows = 4 * shape[0] * len(ARRAYS)
    rows += sum(np.dtype(_kind(name)).itemsize * n for name, n in sliced.items())
    needed = rows * shape[1] - begun
    status = os.statvfs(folder) if hasattr(os, "statvfs") else None
    missing = needed - status.f_bavail * status.f_frsize if status is not None else 0
    if missing > 0:
        raise InputError(
            f"{folder}: the scores need {needed} bytes, {missing} more than are free on the disk"
        )

"""An unfinished run on disk: scores written in place, and a journal of finished batches."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from ...datasets.errors import InputError
from ...datasets.files import atomic_write


class Partial:
    """The scores and journals of an unfinished run folder.

    Each process writes the rows of its own batches, then a line to its own journal; both are on
    disk before the next batch begins. A line that a crash cut short is ignored.

    Parameters
    ----------
    folder : Path
        The run folder.
    shape : (rows, columns)
        Shape of the scores: regions × units.
    rank : int
        This process's number; process 0 creates and finishes the files.
    """

    def __init__(self, folder: Path, shape: tuple[int, int], rank: int = 0) -> None:
        self.folder, self.shape, self.rank = folder, shape, rank
        self.path = folder / "scores.partial.npy"
        self._journal = folder / f"journal.{rank}.jsonl"

    def create(self) -> None:
        """Create the file of scores, all NaN, unless it exists.

        If a crash followed the renaming in `finish`, the file is renamed back.
        """
        if self.path.exists():
            return
        finished = self.folder / "scores.npy"
        if finished.exists() and any(self.folder.glob("journal.*.jsonl")):
            finished.replace(self.path)
            return
        self.remove()
        with atomic_write(self.path) as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": self.shape}
            np.lib.format.write_array_header_1_0(file, header)
            row = np.full(self.shape[1], np.nan, dtype="<f4").tobytes()
            for _ in range(self.shape[0]):
                file.write(row)

    def done(self) -> dict[int, dict]:
        """Return the journal entries of all processes, by batch."""
        entries = {}
        for path in sorted(self.folder.glob("journal.*.jsonl")):
            for line in path.read_bytes().split(b"\n")[:-1]:
                entry = json.loads(line)
                entries[entry["batch"]] = entry
        return entries

    def write(self, batch: int, rows: list[tuple[int, np.ndarray]], entry: dict) -> None:
        """Write a batch's (first row, scores) pairs, then its journal entry."""
        with self.path.open("r+b") as file:
            start = self.path.stat().st_size - 4 * self.shape[0] * self.shape[1]
            for first, scores in rows:
                file.seek(start + 4 * first * self.shape[1])
                file.write(np.ascontiguousarray(scores, dtype="<f4").data)
            file.flush()
            os.fsync(file.fileno())
        self._mend()
        with self._journal.open("ab") as file:
            file.write(json.dumps({"batch": batch, **entry}).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def finish(self, keep: np.ndarray) -> None:
        """Turn the scores into ``scores.npy``, keeping only some rows (bool, shape (rows,))."""
        if keep.all():
            self.path.replace(self.folder / "scores.npy")
            return
        scores = np.load(self.path, mmap_mode="r")
        with atomic_write(self.folder / "scores.npy") as file:
            shape = (int(keep.sum()), self.shape[1])
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for row in np.flatnonzero(keep):
                file.write(scores[row].tobytes())

    def remove(self) -> None:
        """Remove the files that only an unfinished run needs."""
        self.path.unlink(missing_ok=True)
        for path in self.folder.glob("journal.*.jsonl"):
            path.unlink()

    def _mend(self) -> None:
        """Cut off a half-written last line of the journal."""
        if not self._journal.exists():
            return
        content = self._journal.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with self._journal.open("r+b") as file:
                file.truncate(whole)


def check_space(folder: Path, shape: tuple[int, int]) -> None:
    """Refuse a run whose scores do not fit on the disk.

    Raises
    ------
    InputError
        If the disk has too little space.
    """
    needed = 4 * shape[0] * shape[1]
    status = os.statvfs(folder) if hasattr(os, "statvfs") else None
    if status is not None and status.f_bavail * status.f_frsize < needed:
        raise InputError(
            f"{folder}: the scores need {needed / 1e9:.1f} GB, more than is free on the disk"
        )

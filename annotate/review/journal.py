"""A mask file under review: saved continuously, with nothing lost in a crash.

Each edit is a line in a journal next to the file (``.osie_sr.json.review``), on disk before the
next key press; the file itself follows, atomically. If a crash left the file behind, the journal
brings it up to date, and undo steps back across both.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from ...datasets.disk import append
from ...datasets.errors import InputError, reading
from ...datasets.files import atomic_write, read_bytes
from ...datasets.locks import held
from ...datasets.masks.mask_set import MaskSet
from ..choices import Edits
from .editing import Edit, Editor, reapply


@dataclass(frozen=True, eq=False)
class Snapshot:
    """State at a moment: the regions, the edits that led to them, the length of the journal."""

    editor: Editor
    done: list[Edit]
    lines: int


class Conflict(InputError):
    """Another program changed the mask file during a review, or since the last one."""


class Review:
    """A mask file, its editor and its journal.

    Parameters
    ----------
    path : Path
    prefer : "mine" or "theirs", optional
        What to do with unsaved edits if another program changed the file: make those that still
        fit, or discard them.

    Attributes
    ----------
    editor : Editor
    recovered : int
        Number of edits that were in the journal but not yet in the file.
    refused : list of Edit
        Edits that did not fit the changed file.

    Raises
    ------
    InputError
        If the file or the journal is malformed.
    Conflict
        If the journal has edits for another state of the file, and ``prefer`` is not given.
    """

    def __init__(self, path: Path, prefer: Edits | None = None) -> None:
        self.path, self.journal = path, path.with_name(f".{path.name}.review")
        self.recovered, self.refused = 0, []
        self._lock, self._lines, self._size = Lock(), 0, 0
        self._saving = Lock()
        self._load()
        if not self.journal.exists():
            self._begin()
            return
        with reading(self.journal):
            lines = _lines(self.journal)
            if not self._resume(lines):
                self._start_over(_unsaved(lines), prefer)

    @property
    def saved(self) -> bool:
        """Whether the file is up to date with the editor."""
        return self._saved == self.editor.done

    def do(self, edit: Edit) -> None:
        """Make an edit, unless the journal cannot be written.

        Raises
        ------
        InputError
            If the disk is full or fails.
        """
        self._write({"what": edit.what, "before": edit.before, "after": edit.after})
        self.editor.do(edit)

    def undo(self) -> Edit | None:
        """Undo the latest edit and return it; None if there is none."""
        if self.editor.done:
            self._write("undo")
        return self.editor.undo()

    def redo(self) -> Edit | None:
        """Redo the edit undone last and return it; None if there is none."""
        if self.editor.undone:
            self._write("redo")
        return self.editor.redo()

    def save(self) -> None:
        """Write the mask file if anything changed; see `write`.

        Raises
        ------
        InputError
            If the file cannot be written, or another program changed it (`Conflict`).
        """
        self.write(self.snapshot())

    def snapshot(self) -> Snapshot:
        """Capture the state quickly, so that `write` can run in another thread."""
        with self._lock:
            return Snapshot(self.editor.copy(), list(self.editor.done), self._lines)

    def write(self, snapshot: Snapshot) -> None:
        """Write the mask file as of a snapshot, unless a later one has been written.

        Raises
        ------
        Conflict
            If another program changed the file.
        """
        with self._saving:  # a save that began earlier must not end later
            if self._saved != snapshot.done and self._current(snapshot):
                self._replace(snapshot)

    def _current(self, snapshot: Snapshot) -> bool:
        """Return whether no later state has been saved or loaded since a snapshot."""
        return snapshot.editor.masks is self.editor.masks and snapshot.lines >= self._upto

    def _replace(self, snapshot: Snapshot) -> None:
        if hashlib.sha256(read_bytes(self.path)).hexdigest() != self._on_disk:
            raise Conflict(f"{self.path}: changed by another program")
        content = snapshot.editor.to_dict()
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()
        line = {"file": digest, "upto": snapshot.lines}
        self._write(line)  # first, as a crash may come before the file is written
        with atomic_write(self.path) as file:
            file.write(text.encode())
        self._on_disk, self._saved, self._upto = digest, snapshot.done, snapshot.lines
        self._write({**line, "saved": True})

    def resolve(self, prefer: Edits) -> None:
        """Resume with the file as another program left it; see `Review` for ``prefer``.

        Raises
        ------
        InputError
            If the changed file is malformed.
        """
        with self._saving:
            done = self.editor.done
            common = 0
            while common < min(len(done), len(self._saved)) and done[common] is self._saved[common]:
                common += 1
            edits = [edit.reverse() for edit in reversed(self._saved[common:])] + done[common:]
            fixations = self.editor.fixations
            self._load()
            self.editor.fixations = self.editor.fixations or fixations
            self._start_over(edits, prefer)

    def _load(self) -> None:
        self._on_disk = hashlib.sha256(read_bytes(self.path)).hexdigest()
        self.editor = Editor(MaskSet.read(self.path))
        self._saved: list[Edit] = []
        self._upto = 0

    def _begin(self) -> None:
        line = {"file": self._on_disk, "upto": 1, "saved": True}
        content = json.dumps(line).encode() + b"\n"
        with atomic_write(self.journal) as file:
            file.write(content)
        self._lines, self._size = 1, len(content)

    def _start_over(self, edits: list[Edit], prefer: Edits | None) -> None:
        if edits and prefer is None:
            raise Conflict(
                f"{self.path}: changed by another program, and {self.journal.name} has "
                f"{len(edits)} unsaved edits (--prefer mine makes those that still fit, "
                "--prefer theirs discards them)"
            )
        self._begin()
        if prefer == "mine":
            self.refused = reapply(self.editor, edits)
            for edit in self.editor.done:
                self._write({"what": edit.what, "before": edit.before, "after": edit.after})

    def _write(self, line: object) -> None:
        content = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        with self._lock:
            append(self.journal, content, self._size)  # half a line would corrupt the next one
            self._lines += 1
            self._size += len(content)

    def _resume(self, lines: list) -> bool:
        """Make the edits that only the journal has; return False if it does not match the file.

        Edits that the file already has can be undone.
        """
        known = [line["upto"] for line in lines if _key(line, "file") == self._on_disk]
        if not known:
            return False
        self._lines, self._size = len(lines), self.journal.stat().st_size
        done, undone = self.editor.done, self.editor.undone
        for line in lines[: known[-1]]:
            if line == "undo":
                undone.append(done.pop())
            elif line == "redo":
                done.append(undone.pop())
            elif "what" in line:
                done.append(_edit(line))
                undone.clear()
        self._saved = list(done)
        for line in lines[known[-1] :]:
            if line == "undo":
                self.editor.undo()
            elif line == "redo":
                self.editor.redo()
            elif "what" in line:
                self.editor.do(_edit(line))
            else:
                continue
            self.recovered += 1
        return True


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Lock a mask file, because two reviews at once would mix their journals.

    A folder that cannot hold a lock is used without.

    Raises
    ------
    InputError
        If the file is under review already, or does not exist.
    """
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    taken = f"{path}: is under review in another terminal"
    with held(path.with_name(f".{path.name}.lock"), taken):
        yield


def _unsaved(lines: list) -> list[Edit]:
    """Return the edits since the last save in the journal, without undone ones."""
    saved = [line["upto"] for line in lines if _key(line, "saved")]
    done, undone = [], []
    for line in lines[saved[-1] if saved else 0 :]:
        if line == "undo" and done:
            undone.append(done.pop())
        elif line == "redo" and undone:
            done.append(undone.pop())
        elif isinstance(line, dict) and "what" in line:
            done.append(_edit(line))
    return done


def _key(line: object, key: str) -> object:
    return line.get(key) if isinstance(line, dict) else None


def _edit(line: dict) -> Edit:
    return Edit(str(line["what"]), tuple(line["before"]), tuple(line["after"]))


def _lines(path: Path) -> list:
    """Parse the journal, removing a last line that a crash cut short."""
    lines = []
    content = path.read_bytes().split(b"\n")
    if content[-1]:  # otherwise the next line would be appended to it
        os.truncate(path, path.stat().st_size - len(content[-1]))
    for number, line in enumerate(content[:-1], start=1):
        try:
            lines.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: line {number} is damaged") from error
    return lines

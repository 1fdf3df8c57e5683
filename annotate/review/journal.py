"""A mask file under review: saved as one goes, and nothing lost in a crash.

Each edit is a line in a journal beside the file (``.osie_sr.json.review``) and on the disk before
the next key; the file itself follows, atomically. Where a crash left the file behind, the journal
brings it up; undoing goes on across both.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from filelock import FileLock, Timeout

from ...datasets.errors import InputError
from ...datasets.files import atomic_write, read_bytes
from ...datasets.masks.mask_set import MaskSet
from ..choices import Edits
from .editing import Edit, Editor, reapply


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A mask set at one moment: its regions, the edits that made it, the journal's length."""

    editor: Editor
    done: list[Edit]
    lines: int


class Conflict(InputError):
    """The mask file was changed by another program while it was, or had been, under review."""


class Review:
    """A mask file, its editor and its journal.

    Parameters
    ----------
    path : Path
    prefer : "mine" or "theirs", optional
        What to do with edits that were never saved, if another program has changed the file:
        make those that still fit, or give them up.

    Attributes
    ----------
    editor : Editor
    recovered : int
        Edits that were in the journal, but not yet in the file.
    refused : list of Edit
        Edits that did not fit the file as it is now.

    Raises
    ------
    InputError
        If the file or the journal is malformed.
    Conflict
        If the journal has edits that belong to another state of the file, unless ``prefer``.
    """

    def __init__(self, path: Path, prefer: Edits | None = None) -> None:
        self.path, self.journal = path, path.with_name(f".{path.name}.review")
        self.recovered, self.refused = 0, []
        self._lock, self._lines = Lock(), 0
        self._load()
        if not self.journal.exists():
            self._begin()
            return
        lines = _lines(self.journal)
        try:
            if not self._go_on(lines):
                self._start_over(_unsaved(lines), prefer)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{self.journal}: is damaged ({error!r:.80})") from error

    @property
    def saved(self) -> bool:
        """Whether the file is as the editor has it."""
        return self._saved == self.editor.done

    def do(self, edit: Edit) -> None:
        """Make an edit; it is not made if the journal cannot be written.

        Raises
        ------
        OSError
            If the disk is full.
        """
        self._write({"what": edit.what, "before": edit.before, "after": edit.after})
        self.editor.do(edit)

    def undo(self) -> Edit | None:
        """Take the latest edit back."""
        if self.editor.done:
            self._write("undo")
        return self.editor.undo()

    def redo(self) -> Edit | None:
        """Make the edit again that was undone last."""
        if self.editor.undone:
            self._write("redo")
        return self.editor.redo()

    def save(self) -> None:
        """Write the mask file, if there is something new; see `snapshot`."""
        self.write(self.snapshot())

    def snapshot(self) -> Snapshot:
        """Take what there is to save, in no time; `write` may then run in another thread."""
        with self._lock:
            return Snapshot(self.editor.copy(), list(self.editor.done), self._lines)

    def write(self, snapshot: Snapshot) -> None:
        """Write the mask file as it was when the snapshot was taken.

        Raises
        ------
        Conflict
            If another program has changed it.
        """
        if self._saved == snapshot.done:
            return
        if hashlib.sha256(read_bytes(self.path)).hexdigest() != self._on_disk:
            raise Conflict(f"{self.path}: was changed by another program")
        content = snapshot.editor.to_dict()
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()
        line = {"file": digest, "upto": snapshot.lines}
        self._write(line)  # before the file is: a crash may come between
        with atomic_write(self.path) as file:
            file.write(text.encode())
        self._on_disk, self._saved = digest, snapshot.done
        self._write({**line, "saved": True})

    def resolve(self, prefer: Edits) -> None:
        """Go on with the file as another program left it; see ``prefer``."""
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

    def _begin(self) -> None:
        with atomic_write(self.journal) as file:
            line = {"file": self._on_disk, "upto": 1, "saved": True}
            file.write(json.dumps(line).encode() + b"\n")
        self._lines = 1

    def _start_over(self, edits: list[Edit], prefer: Edits | None) -> None:
        if edits and prefer is None:
            raise Conflict(
                f"{self.path}: was changed by another program, and {self.journal.name} has "
                f"{len(edits)} edits that were not saved (--prefer mine makes those that still "
                "fit, --prefer theirs gives them up)"
            )
        self._begin()
        if prefer == "mine":
            self.refused = reapply(self.editor, edits)
            for edit in self.editor.done:
                self._write({"what": edit.what, "before": edit.before, "after": edit.after})

    def _write(self, line: object) -> None:
        content = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        with self._lock, self.journal.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                if file.write(content) < len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.journal))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)  # half a line would spoil the next ones
                raise
            self._lines += 1

    def _go_on(self, lines: list) -> bool:
        """Make what is in the journal and not in the file; False if they do not belong together.

        What the file has already can be undone.
        """
        known = [line["upto"] for line in lines if _key(line, "file") == self._on_disk]
        if not known:
            return False
        self._lines = len(lines)
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
    """Keep others from reviewing a mask file meanwhile: two would mix their journals.

    Where the folder cannot hold a lock, nothing is kept.

    Raises
    ------
    InputError
        If somebody is at it, or there is no such file.
    """
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise InputError(f"{path}: is under review in another terminal") from error
    except (OSError, NotImplementedError):  # a folder without locks: nothing rests on it
        pass
    try:
        yield
    finally:
        lock.release()


def _unsaved(lines: list) -> list[Edit]:
    """Return the edits since the journal's last known save, undone ones left out."""
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
    """Parse the journal; a last line that a crash cut short is taken away."""
    lines = []
    content = path.read_bytes().split(b"\n")
    if content[-1]:  # or the next line would go on from it
        os.truncate(path, path.stat().st_size - len(content[-1]))
    for number, line in enumerate(content[:-1], start=1):
        try:
            lines.append(json.loads(line))
        except ValueError as error:
            raise InputError(f"{path}: line {number} is damaged") from error
    return lines

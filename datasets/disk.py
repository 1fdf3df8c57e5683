"""What a disk refuses, in words that name the file; and what only some systems can do."""

from __future__ import annotations

import ctypes
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import InputError


@contextmanager
def writing(path: str | Path, temporary: Path | None = None) -> Iterator[None]:
    """Turn what a disk raises on a write into an `InputError` that names the path.

    Errors of other paths pass; ``temporary`` stands for ``path`` while that is written.

    Raises
    ------
    InputError
        If the disk is full or fails.
    """
    place = temporary or Path(path)
    try:
        yield
    except InputError as error:
        if temporary is None or str(temporary) not in str(error):
            raise
        raise InputError(str(error).replace(str(temporary), str(path))) from error
    except BrokenPipeError:  # whoever read has gone
        raise
    except OSError as error:
        named = [one for one in (error.filename, error.filename2) if isinstance(one, str | Path)]
        ours = [one for one in named or [place] if Path(one).is_relative_to(place)]
        if not ours:
            raise
        name = Path(path) / Path(ours[0]).relative_to(place)
        raise InputError(f"{name}: cannot be written: {reason(error)}") from error


def reason(error: OSError) -> str:
    """Return in words why the system refused to write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        missing = getattr(error, "missing", 0)
        return "the disk is full" + (f", at least {missing} bytes are missing" if missing else "")
    return error.strerror or str(error)


class CountingFile(io.FileIO):
    """A file that says how many bytes a full disk did not take.

    Its ``failure`` is the disk's first refusal, whatever a library makes of it. It has no number:
    a C library that writes by number may not notice a write that is cut short.
    """

    failure: OSError | None = None

    def write(self, content: Any, /) -> int:
        """Write some bytes; the error of a full disk says in ``missing`` how many were left."""
        try:
            return super().write(content)
        except OSError as error:
            error.missing = memoryview(content).nbytes  # type: ignore[attr-defined]
            self.failure = self.failure or error
            raise

    def fileno(self) -> int:
        """Refuse to say the file's number."""
        raise io.UnsupportedOperation("fileno")


def write_all(file: io.FileIO, content: Any) -> None:
    """Write all of a content to an unbuffered file; an error says how many bytes were left."""
    rest = memoryview(content)
    if not rest.nbytes:
        return
    rest = rest.cast("B")
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        error.missing = len(rest)  # type: ignore[attr-defined]
        raise


def append(path: Path, content: bytes, size: int | None = None) -> None:
    """Append to a file, all or nothing; it is on disk afterwards.

    Parameters
    ----------
    path : Path
    content : bytes
    size : int, optional
        How much of the file is whole: what is behind it, as a failing disk left it, is cut off.

    Raises
    ------
    InputError
        If the disk is full or fails.
    """
    with writing(path), path.open("ab", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        if size is not None and size < end:
            end = file.truncate(size)
        try:
            write_all(file, content)
            os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                file.truncate(end)
            raise


def check_growth(path: Path, size: int) -> None:
    """Refuse to go on if a file cannot grow by some bytes: HDF5 crashes on a full disk.

    Raises
    ------
    OSError
        If the disk is full or fails.
    """
    if not hasattr(os, "posix_fallocate"):  # macOS, Windows
        return
    with path.open("ab") as file:
        end = file.seek(0, os.SEEK_END)
        try:
            os.posix_fallocate(file.fileno(), end, size)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):
                return  # the file system cannot say
            free = os.statvfs(path).f_bavail * os.statvfs(path).f_frsize
            error.missing = max(0, size - free)  # type: ignore[attr-defined]
            raise
        finally:
            file.truncate(end)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return False where the system cannot."""
    if sys.platform != "linux":
        return False
    here, swap = -100, 2
    try:
        call = ctypes.CDLL(None).renameat2
    except AttributeError:  # an old C library
        return False
    return call(here, os.fsencode(one), here, os.fsencode(other), swap) == 0

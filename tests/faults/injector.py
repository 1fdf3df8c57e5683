"""A disk that fails at the n-th operation on files below a folder.

Call `install` before anything of salprobe is imported. Python's audit events show files opened to
write, made, renamed and removed; a raw file of our own under every buffered one, and `os.write`,
`os.fsync`, `os.ftruncate` and `os.sendfile`, show the rest at the size of system calls. What C
libraries write by themselves (HDF5, Pillow's JPEG) meets the limits by bytes instead, which the
kernel enforces.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

Kind = Literal["full", "short", "io", "dead", "kill", "limit", "cut"]
"""What goes wrong.

- ``full``: from the n-th operation on, nothing that takes space succeeds (ENOSPC).
- ``short``: the n-th operation is a write that takes half; then the disk is full.
- ``io``: the n-th operation fails (EIO).
- ``dead``: it fails, and so does every later one.
- ``kill``: SIGKILL in place of the n-th operation.
- ``limit``: no file grows beyond n bytes (EFBIG).
- ``cut``: the process is killed when a file grows beyond n bytes.
"""

AT_OPERATIONS: tuple[Kind, ...] = ("full", "short", "io", "dead", "kill")
AT_BYTES: tuple[Kind, ...] = ("limit", "cut")


@dataclass(frozen=True)
class Fault:
    """One fault; ``place`` counts operations from 1, or bytes."""

    kind: Kind
    place: int

    def __str__(self) -> str:
        return f"{self.kind} at {self.place}"


class Disk:
    """Counts the operations below a folder, and fails one of them."""

    def __init__(self, folder: Path, fault: Fault | None) -> None:
        self.folder, self.fault = f"{folder}{os.sep}", fault
        self.operations: list[str] = []
        self._lock = threading.Lock()

    def has(self, path: object) -> bool:
        """Return whether a path, or an open file's number, lies below the folder."""
        if isinstance(path, int):
            try:
                path = Path(f"/proc/self/fd/{path}").readlink()
            except OSError:
                return False
            if not path.is_absolute():  # a pipe, a socket
                return False
        return str(Path.cwd() / os.fsdecode(path)).startswith(self.folder)  # type: ignore[arg-type]

    def meet(self, name: str, *paths: object, space: bool = True) -> bool:
        """Count an operation, and raise or kill if it is to fail.

        ``space`` says whether it takes space. Returns whether a write should take half.
        """
        with self._lock:
            self.operations.append(name)
            number = len(self.operations)
        fault = self.fault
        if fault is None or fault.kind in AT_BYTES or number < fault.place:
            return False
        if fault.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.kind == "dead" or (fault.kind == "io" and number == fault.place):
            _fail(errno.EIO, paths)
        if fault.kind == "short" and number == fault.place and name == "write":
            return True
        if fault.kind in ("full", "short") and space:
            _fail(errno.ENOSPC, paths)
        return False


def _fail(number: int, paths: tuple) -> NoReturn:
    if len(paths) == 2:
        raise OSError(number, os.strerror(number), paths[0], None, paths[1])
    raise OSError(number, os.strerror(number), *paths)


_disk: Disk | None = None


def start(folder: Path, fault: Fault | None) -> Disk:
    """Count operations below a folder from now on, in this process, with one fault."""
    global _disk
    if fault is not None and fault.kind in AT_BYTES:
        deadly = fault.kind == "cut"
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL if deadly else signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (fault.place, fault.place))
    _disk = Disk(folder, fault)
    return _disk


def stop() -> None:
    """Count no more."""
    global _disk
    _disk = None


class _Raw(io.FileIO):
    def write(self, content: Any, /) -> int:
        if _disk is not None and _disk.has(super().fileno()) and _disk.meet("write"):
            content = memoryview(content).cast("B")
            content = content[: len(content) // 2]
        return super().write(content)

    def truncate(self, size: int | None = None, /) -> int:
        if _disk is not None and _disk.has(super().fileno()):
            _disk.meet("truncate", space=False)
        return super().truncate(size)


def _opened(real: Callable) -> Callable:
    def open(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Callable | None = None,
    ) -> Any:
        if _disk is None or not set(mode) & set("wax+"):
            return real(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = _Raw(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if buffering == 0:
            return raw
        kind = io.BufferedRandom if "+" in mode else io.BufferedWriter
        buffered = kind(raw) if buffering < 2 else kind(raw, buffering)
        if "b" in mode:
            return buffered
        text = io.TextIOWrapper(buffered, encoding, errors, newline, buffering == 1)
        text.mode = mode  # type: ignore[misc]
        return text

    return open


def _on_handle(name: str, real: Callable, *, space: bool = True) -> Callable:
    def call(handle: int, *arguments: Any, **options: Any) -> Any:
        number = handle if isinstance(handle, int) else handle.fileno()  # type: ignore[attr-defined]
        if (
            _disk is not None
            and _disk.has(number)
            and _disk.meet(name, space=space)
            and name == "write"
        ):
            content = memoryview(arguments[0]).cast("B")
            arguments = (content[: len(content) // 2], *arguments[1:])
        return real(handle, *arguments, **options)

    return call


_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS = {  # how many of an event's arguments are paths, and whether it takes space
    "os.rename": ("rename", 2, True),
    "os.mkdir": ("mkdir", 1, True),
    "os.remove": ("unlink", 1, False),
    "os.rmdir": ("rmdir", 1, False),
    "os.truncate": ("truncate", 1, False),
    "os.symlink": ("symlink", 2, True),
    "os.link": ("link", 2, True),
    "os.chmod": ("chmod", 1, False),
}


def _audit(event: str, arguments: tuple) -> None:
    disk = _disk
    if disk is None:
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, str | bytes | os.PathLike) and flags & _WRITING and disk.has(path):
            new = bool(flags & os.O_CREAT) and not os.path.lexists(path)
            disk.meet("open", path, space=new)
    elif event in _PATHS:
        name, count, space = _PATHS[event]
        paths = arguments[:count]
        folder = arguments[count] if event in ("os.remove", "os.rmdir") else -1  # dir_fd
        if disk.has(folder if isinstance(folder, int) and folder >= 0 else paths[-1]):
            disk.meet(name, *paths, space=space)


def install() -> None:
    """Put the failing disk under Python's files; it does nothing before `start`."""
    io.FileIO = _Raw  # type: ignore[misc]
    io.open = builtins.open = _opened(io.open)
    os.write = _on_handle("write", os.write)
    os.fsync = _on_handle("fsync", os.fsync)
    os.ftruncate = _on_handle("truncate", os.ftruncate, space=False)
    os.sendfile = _on_handle("copy", os.sendfile)
    os.posix_fallocate = _on_handle("allocate", os.posix_fallocate)
    sys.addaudithook(_audit)

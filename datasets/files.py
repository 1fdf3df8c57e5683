"""Files: written atomically, hashed, and never outside the folder they belong to."""

import contextlib
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from .disk import CountingFile, exchange, reason, writing
from .errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LARGEST = 512 * 2**20
"""Maximum size in bytes of a file read whole: parsing needs several times as much memory."""


@contextmanager
def atomic_write(path: str | Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a binary file that replaces ``path`` only once it is completely on disk.

    The temporary file is in the same folder; whatever goes wrong, ``path`` stays unchanged. A
    link is written through. An existing file keeps its mode; a new one gets ``mode``, less the
    umask. ``-``, ``/dev/stdout``, other devices and pipes get the content once it is complete.

    Raises
    ------
    InputError
        If ``path`` is a folder, its own folder does not exist or cannot be written, or the disk
        is full (the message says how many bytes are missing, as far as that is known) or fails.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a file to write")
    if is_stream(path):
        content = io.BytesIO()
        yield content
        _send(path, content.getvalue())
        return
    target = _behind_links(path)
    before = target.stat() if target.exists() else None
    if before is not None:
        mode = before.st_mode & 0o777
    temporary, handle = _temporary(path, target, lambda name: os.open(name, _NEW, mode))
    try:
        raw = CountingFile(handle, "wb")
        with writing(path, temporary), io.BufferedWriter(raw) as file:
            try:
                yield file
            except Exception as error:
                raise raw.failure or error from error.__cause__
            file.flush()
            if before is not None:
                _like(temporary, before)
            os.fsync(handle)
            temporary.replace(target)  # while it is locked: until then it might be a leftover
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync(target.parent)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Make a folder that replaces ``path`` only once it is complete.

    A link is written through, and an existing folder keeps its mode.

    Yields
    ------
    Path
        A temporary folder next to it; whatever goes wrong, ``path`` stays unchanged.

    Raises
    ------
    InputError
        If the folder cannot be made; errors of files in it name them below ``path``.
    """
    path = Path(path)
    target = _behind_links(path)
    aside = target.with_name(f".{target.name}.replaced")

    def make(name: Path) -> int:
        name.mkdir()
        return os.open(name, os.O_RDONLY)

    temporary, handle = _temporary(path, target, make)
    try:
        with writing(path, temporary):
            if aside.exists():  # a writer was killed between two renames
                shutil.rmtree(aside) if target.exists() else aside.replace(target)
            yield temporary
            if target.exists():
                _like(temporary, target.stat())
            _put(temporary, target, aside)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # what failed, or what was replaced
        os.close(handle)
    _sync(target.parent)


def _put(folder: Path, target: Path, aside: Path) -> None:
    """Rename a folder to ``target``; what was there is at ``folder`` afterwards, or gone."""
    if not target.exists():
        folder.replace(target)
    elif not exchange(folder, target):
        target.replace(aside)
        try:
            folder.replace(target)
        except OSError:
            aside.replace(target)
            raise
        shutil.rmtree(aside, ignore_errors=True)


def is_stream(path: Path) -> bool:
    """Return whether a path is ``-``, a device, a pipe, or one of the process's open files."""
    if str(path) == "-":
        return True
    if _descriptor(path) is not None:
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_cleaned: set[Path] = set()  # folders that this process has looked through for leftovers


def _descriptor(path: Path) -> int | None:
    """Return the number of the open file that a path such as ``/dev/stdout`` stands for."""
    for _ in range(40):  # as many links as Linux follows
        if re.fullmatch(rf"/(dev/fd|proc/(self|{os.getpid()})/fd)/\d+", str(path)):
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


def _send(path: Path, content: bytes) -> None:
    number = 1 if str(path) == "-" else _descriptor(path)
    with writing("standard output" if number == 1 else path):
        if number == 1:
            sys.stdout.flush()
        with os.fdopen(os.dup(number), "wb") if number is not None else path.open("wb") as stream:
            stream.write(content)


def _behind_links(path: Path) -> Path:
    """Return the path that a chain of links ends at, whether or not it exists."""
    if not path.is_symlink():
        return path
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path}: cannot be written: its links form a circle") from error


def _temporary(path: Path, target: Path, make: Callable[[Path], int]) -> tuple[Path, int]:
    """Make a temporary file or folder next to ``target``; return its path and a handle.

    It is locked while its writer lives. Others in the folder without a lock were left by writers
    that were killed, and are removed. Errors name ``path``.
    """
    try:
        return _locked(target, make)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {reason(error)}") from error


def _locked(target: Path, make: Callable[[Path], int]) -> tuple[Path, int]:
    folder = target.parent
    if folder not in _cleaned:
        for path in folder.glob(".*.partial"):
            _remove_leftover(path)
        _cleaned.add(folder)
    start = target.name.encode()[:150].decode(errors="ignore")  # a file name has 255 bytes at most
    while True:
        path = folder / f".{start}.{secrets.token_hex(6)}.partial"
        handle = make(path)
        _lock(handle, wait=True)
        if path.exists():  # else another process took it for a leftover before it was locked
            return path, handle
        os.close(handle)


def _remove_leftover(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        if _lock(handle, wait=False):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    except OSError:
        pass  # somebody else's, or already gone
    finally:
        os.close(handle)


def _lock(handle: int, wait: bool) -> bool:
    """Lock an open file; return False if another process has it, or there are no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _like(path: Path, before: os.stat_result) -> None:
    """Give a file the mode of the one that it replaces, and its owner where that is allowed."""
    if hasattr(os, "chown") and (before.st_uid, before.st_gid) != (os.getuid(), os.getgid()):
        with contextlib.suppress(OSError):
            os.chown(path, before.st_uid, before.st_gid)
    path.chmod(before.st_mode & 0o7777)


def _sync(folder: Path) -> None:
    """Make a rename in a folder survive a power cut."""
    with contextlib.suppress(OSError):  # Windows and some network drives cannot
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's content as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_relative(name: str) -> str:
    """Return ``name`` if it is a relative path that stays below its root.

    Raises
    ------
    ValueError
        If it is empty, absolute, or climbs with ``..``.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    absolute = name.startswith(("/", "\\")) or (parts and ":" in parts[0])
    if not parts or absolute or ".." in parts or "\0" in name:
        raise ValueError(f"{name!r} is not a path below the image root")
    return name


def check_part(name: str, what: str = "name") -> str:
    """Return ``name`` if it can be part of a file name on every system; ``what`` it names.

    Raises
    ------
    InputError
        If it is empty, too long, or has a separator or a character that some system refuses.
    """
    forbidden = any(not one.isprintable() or one in '/\\:*?"<>|' for one in name)
    if not name or forbidden or ".." in name or len(name.encode(errors="replace")) > 200:
        raise InputError(f"{what} {name!r:.60} cannot be part of a file name")
    return name


def read_bytes(path: str | Path) -> bytes:
    """Return a file's content.

    Raises
    ------
    InputError
        If the file is missing, a folder, empty, unreadable or larger than `LARGEST`.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a file")
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST:
                raise InputError(f"{path}: larger than {LARGEST >> 20} MiB")
            # A pipe or a device does not say how long it is.
            content = file.read() if path.is_file() else file.read(LARGEST + 1)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > LARGEST:
        raise InputError(f"{path}: larger than {LARGEST >> 20} MiB")
    if not content:
        raise InputError(f"{path}: the file is empty")
    return content


def read_json(path: str | Path) -> object:
    """Parse a JSON file.

    Raises
    ------
    InputError
        If it cannot be read, is not JSON (the message names the line), or an object has a key
        twice.
    """
    return parse_json(read_bytes(path), str(path))


def parse_json(content: bytes, place: str) -> object:
    """Parse JSON; ``place`` begins error messages.

    Raises
    ------
    InputError
        If it is not JSON, is nested too deeply, an object has a key twice, or a text has half of
        a surrogate pair.
    """
    try:
        value = json.loads(content, object_pairs_hook=_object)
        if re.search(rb"\\u[dD][89a-fA-F]", content):  # half of a pair cannot be written again
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise InputError(f"{place}: not JSON ({where}: {error.msg})") from error
    except (ValueError, RecursionError) as error:  # ValueError: UTF-8, and numbers of 4300 digits
        if isinstance(error, InputError):
            raise InputError(f"{place}: {error}") from error
        raise InputError(f"{place}: not JSON ({error})") from error


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InputError(f"key {twice!r:.60} occurs twice in an object")
    return made

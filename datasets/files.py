"""Files: written atomically, hashed, and never outside the folder they belong to."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from .errors import InputError

LARGEST = 512 * 2**20
"""Maximum size in bytes of a file read whole: parsing needs several times as much memory."""


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Open a binary file that replaces ``path`` only once it is completely on disk.

    The temporary file is in the same folder; whatever goes wrong, ``path`` stays unchanged.

    Raises
    ------
    InputError
        If ``path`` is a folder, or its own folder does not exist or cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a file to write")
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)  # mkstemp's 0600 would lock colleagues out
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Make a folder that replaces ``path`` only once it is complete.

    Yields
    ------
    Path
        A temporary folder next to it; whatever goes wrong, ``path`` stays unchanged.

    Raises
    ------
    InputError
        If the folder cannot be made.
    """
    path = Path(path)
    try:
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        yield temporary
        temporary.chmod(0o755)
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


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
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path}: larger than {LARGEST >> 20} MiB")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if not content:
        raise InputError(f"{path}: the file is empty")
    return content


def read_json(path: str | Path) -> object:
    """Parse a JSON file.

    Raises
    ------
    InputError
        If it cannot be read or is not JSON; the message names the line.
    """
    content = read_bytes(path)
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise InputError(f"{path}: not JSON ({place}: {error.msg})") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error})") from error

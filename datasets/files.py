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
"""Bytes of a file that is read whole: parsing takes several times as much memory."""


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Open a binary file that replaces ``path`` only when all of it is on the disk.

    The temporary file lies in the same folder; whatever goes wrong, ``path`` stays as it was.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written.
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
        Path(temporary).chmod(0o666 & ~umask)  # mkstemp's 0600 would shut colleagues out
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Make a folder that replaces ``path`` only when it is complete.

    Yields
    ------
    Path
        A temporary folder beside it; whatever goes wrong, ``path`` stays as it was.

    Raises
    ------
    InputError
        If it cannot be made.
    """
    path = Path(path)
    try:
        made = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        yield made
        made.chmod(0o755)
        shutil.rmtree(path, ignore_errors=True)
        made.replace(path)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
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
        If there is no such file, or it is a folder, empty, unreadable or larger than `LARGEST`.
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
        If it cannot be read or is not JSON, with the line.
    """
    content = read_bytes(path)
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise InputError(f"{path}: not JSON ({place}: {error.msg})") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error})") from error

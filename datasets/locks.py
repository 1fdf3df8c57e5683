"""One writer at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import InputError


@contextmanager
def held(path: Path, taken: str) -> Iterator[None]:
    """Hold a lock file; a folder that cannot hold a lock is used without.

    Parameters
    ----------
    path : Path
        The lock file; filelock notices if it was removed meanwhile.
    taken : str
        What to say if another process holds it.

    Raises
    ------
    InputError
        If another process holds the lock.
    """
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise InputError(taken) from error
    except (OSError, NotImplementedError):  # the folder cannot hold locks
        pass
    try:
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):  # Windows keeps a file that is open
                path.unlink()
        lock.release()

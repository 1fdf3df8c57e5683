"""Resuming in a folder that an interrupted command left: begin it, or check that it matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from ...datasets.disk import reason
from ...datasets.errors import InputError
from ...datasets.locks import held


def make_folder(target: Path) -> bool:
    """Make a folder, or accept an empty one; return False if it already holds something.

    Raises
    ------
    InputError
        If the folder cannot be made.
    """
    if target.exists() and not _is_blank(target):
        return False
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{target}: cannot be made: {reason(error)}") from error
    return True


def locked(target: Path) -> AbstractContextManager[None]:
    """Keep other processes from writing into a folder meanwhile.

    Raises
    ------
    InputError
        When it is entered, if another process writes there.
    """
    return held(target / ".lock", f"{target}: another process is writing here")


def check_same(target: Path, before: Mapping, now: Mapping, keys: Sequence[str]) -> None:
    """Refuse to resume in a folder whose description differs in one of the keys.

    Parameters
    ----------
    target : Path
        The folder.
    before, now : mapping
        The description in the folder, and that of this command.
    keys : sequence of str
        Keys to compare.

    Raises
    ------
    InputError
        If a value differs; the message names it.
    """
    for key in keys:
        if before.get(key) != now[key]:
            what = _difference(before.get(key), now[key], "" if key == "parameters" else key)
            raise InputError(
                f"{target}: was begun with other parameters ({what}); choose another --out"
            )


def _is_blank(folder: Path) -> bool:
    """Return whether a folder holds nothing but remains of interrupted atomic writes."""
    return folder.is_dir() and all(path.name.startswith(".") for path in folder.iterdir())


def _difference(before: object, now: object, name: str) -> str:
    """Name the first value that differs, however deep it lies."""
    if isinstance(before, dict) and isinstance(now, dict):
        key = next(
            key
            for key in {**before, **now}
            if (key in before, before.get(key)) != (key in now, now.get(key))
        )
        return _difference(before.get(key), now.get(key), f"{name}.{key}".lstrip("."))
    return f"{name}: {before!s:.70}, now {now!s:.70}"

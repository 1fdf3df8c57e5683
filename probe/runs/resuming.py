"""A folder that an interrupted command goes on with: whether it is this command's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...datasets.errors import InputError


def make_folder(target: Path) -> bool:
    """Make a folder, or take one that holds nothing; False if it holds something already.

    Raises
    ------
    InputError
        If it cannot be made.
    """
    if target.exists() and not _is_blank(target):
        return False
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{target}: cannot be made: {error.strerror}") from error
    return True


def check_same(target: Path, before: Mapping, now: Mapping, keys: Sequence[str]) -> None:
    """Refuse to go on with a folder whose description differs in one of the keys.

    Raises
    ------
    InputError
        Naming what differs.
    """
    for key in keys:
        if before.get(key) != now[key]:
            what = _difference(before.get(key), now[key])
            raise InputError(
                f"{target}: was begun with other parameters ({what}); name another with --out"
            )


def _is_blank(folder: Path) -> bool:
    """Tell whether a folder holds nothing but what a crash left of atomic writes."""
    return folder.is_dir() and all(path.name.startswith(".") for path in folder.iterdir())


def _difference(before: object, now: object) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        return f"its {keys[0]} differs: {before.get(keys[0])!s:.60}, here {now.get(keys[0])!s:.60}"
    return "its layers or categories differ"

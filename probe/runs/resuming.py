"""Resuming in a folder that an interrupted command left: begin it, or check that it matches."""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeGuard

from ...datasets.disk import reason
from ...datasets.errors import InputError
from ...datasets.locks import held
from ..processes import Processes
from ..records.dissection_info import DissectionInfo
from ..records.run_info import RunInfo


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
    what = difference(before, now, keys)
    if what:
        raise InputError(
            f"{target}: was begun with other parameters ({what}); choose another --out"
        )


def check_agreed(team: Processes, job: Mapping, keys: Sequence[str]) -> None:
    """Refuse processes whose jobs differ, as where machines have other files or libraries.

    Parameters
    ----------
    team : Processes
    job : mapping
        This process's description of the job, ready for JSON.
    keys : sequence of str
        Keys to compare with the first process's.

    Raises
    ------
    InputError
        If a value differs; the message names it.
    """
    mine = json.loads(json.dumps({key: job[key] for key in keys}))
    what = difference(json.loads(team.from_first(json.dumps(mine))), mine, keys)
    if what:
        raise InputError(f"{_here(team)}: its job is not that of the first process ({what})")


def check_shared(team: Processes, target: Path) -> None:
    """Wait for all processes, and refuse a folder that is not the same for all of them.

    Raises
    ------
    InputError
        In a process that does not see what the first writes there.
    """
    if team.world == 1:
        return
    # A name that nobody has looked up: network drives remember for a while what was missing.
    path = target / team.from_first(f".{secrets.token_hex(8)}.partial")
    try:
        if team.rank == 0:
            path.touch()
        team.wait()
        limit = time.monotonic() + _SEEN_S
        while not path.exists():
            if time.monotonic() > limit:
                raise InputError(
                    f"{target}: {_here(team)} does not see what the first process writes there; "
                    "expected a folder on a drive that all machines share"
                )
            time.sleep(0.1)
        team.wait()
    finally:
        if team.rank == 0:
            path.unlink(missing_ok=True)


_SEEN_S = 10.0  # until a new file on a network drive is seen everywhere


def _here(team: Processes) -> str:
    return f"process {team.rank} on {socket.gethostname()}"


def difference(before: Mapping, now: Mapping, keys: Sequence[str]) -> str | None:
    """Name the first value that differs between two descriptions, in one of the keys."""
    for key in keys:
        if before.get(key) != now[key]:
            return _difference(before.get(key), now[key], "" if key == "parameters" else key)
    return None


class Described(Protocol):
    """What has a record: a run, a dissection."""

    @property
    def name(self) -> str:
        """The folder's name."""
        ...

    @property
    def info(self) -> RunInfo | DissectionInfo:
        """The record."""
        ...


def check_same_network(one: Described, other: Described) -> None:
    """Refuse results of different networks, or of one that was fed differently.

    Raises
    ------
    InputError
        The message names the first difference.
    """
    fields = [set(type(each.info.parameters).model_fields) for each in (one, other)]
    names = set.intersection(*fields) - _OF_THE_MACHINE
    what = difference(_network(one, names), _network(other, names), ("network",))
    if what:
        raise InputError(f"{one.name} and {other.name} are of different networks ({what})")


_OF_THE_MACHINE = {
    *("precision", "batch_size", "device", "seed"),
    *("masks", "fixations", "threshold"),
}
"""Parameters that tell no network from others."""


def _network(described: Described, names: set[str]) -> dict:
    """Return the parameters of those names, with as much of the weights as tells them."""
    parameters = described.info.parameters.model_dump(mode="json", include=names)
    sha256 = parameters.pop("weights")["sha256"]
    if sha256:  # then its name does not matter
        parameters.pop("model")
    return {"network": {**parameters, "weights": sha256}}


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
    if _of_dicts(before) and _of_dicts(now) and len(before) == len(now):
        pairs = list(zip(before, now, strict=True))
        place = next(k for k, (one, other) in enumerate(pairs) if one != other)
        return _difference(*pairs[place], f"{name}[{place}]")
    return f"{name}: {before!s:.70}, now {now!s:.70}"


def _of_dicts(value: object) -> TypeGuard[list[dict]]:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)

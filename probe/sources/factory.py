"""Users' own objects, made by ``package.module:factory``."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

from ...datasets.errors import InputError
from ...datasets.files import sha256

_trusted: set[str] = set()


def trust(name: str) -> None:
    """Allow that folders of results name a factory, in this process.

    Loading a network runs its factory's code. A factory that is named in a call or a command may be
    imported; one that only a training's or a run's folder names may not, until it is trusted.

    Parameters
    ----------
    name : str
        ``package.module:factory``.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.trust("my_networks:small")
    """
    _trusted.add(name)


def from_factory(name: str, named_by: Path | None = None) -> object:
    """Call a factory without arguments; its module is looked for in the working folder first.

    Parameters
    ----------
    name : str
    named_by : Path, optional
        The folder of results that names it; by default the user does, which is to trust it.

    Raises
    ------
    InputError
        If the factory is not trusted, cannot be imported, or fails.
    """
    if named_by is None:
        trust(name)
    elif name not in _trusted:
        raise InputError(
            f"{named_by}: would run the code {name}, which only this folder names; if you trust "
            f"it: probe --trust {name} …"
        )
    try:
        return getattr(_module(name), name.partition(":")[2])()
    except (Exception, SystemExit) as error:  # the user's own code
        raise InputError(f"{name}: {type(error).__name__}: {error}") from error


def source_sha256(name: str) -> str | None:
    """Return the SHA-256 of the source of a factory's module, as it was when it was imported.

    None if it has no source.

    Raises
    ------
    InputError
        If the module cannot be imported.
    """
    try:
        return _sources[_module(name)]
    except Exception as error:  # the user's own code
        raise InputError(f"{name}: {type(error).__name__}: {error}") from error


_sources: dict[ModuleType, str | None] = {}


def _module(name: str) -> ModuleType:
    if os.getcwd() not in sys.path:  # noqa: PTH109  (sys.path holds texts)
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    module = importlib.import_module(name.partition(":")[0])
    if module not in _sources:
        path = Path(module.__file__ or "")
        _sources[module] = sha256(path) if path.is_file() else None
    return module

"""Users' own objects, made by ``package.module:factory``."""

from __future__ import annotations

import importlib
import os
import sys

from ...datasets.errors import InputError


def from_factory(name: str) -> object:
    """Call a factory without arguments; its module is looked for in the working folder first.

    Raises
    ------
    InputError
        If the factory cannot be imported, or fails.
    """
    module_name, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:  # noqa: PTH109  (sys.path holds texts)
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        return getattr(importlib.import_module(module_name), attribute)()
    except Exception as error:  # the user's own code
        raise InputError(f"{name}: {type(error).__name__}: {error}") from error

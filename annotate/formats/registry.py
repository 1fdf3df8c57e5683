"""Other programs' files of labelled regions, read and written."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from ...datasets.errors import InputError
from ..choices import Format
from ..labelstudio import tasks
from . import coco, labelme, osie_sr, png

FORMATS: dict[Format, ModuleType] = {
    "labelme": labelme,
    "osie-sr": osie_sr,
    "coco": coco,
    "label-studio": tasks,
    "png": png,
}
"""Each has `recognises`, `read` and `write`."""


def format_named(name: Format) -> ModuleType:
    """Return a format.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in FORMATS:
        raise InputError(f"format {name!r}: expected {', '.join(FORMATS)}")
    return FORMATS[name]


def recognised(source: Path) -> Format:
    """Return the name of the format that a file or folder has.

    Raises
    ------
    InputError
        If there is no such path, or it has none of them.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    for name, form in FORMATS.items():
        if form.recognises(source):
            return name
    raise InputError(f"{source}: of no known format ({', '.join(FORMATS)}); --format names it")

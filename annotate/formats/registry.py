"""The formats of other programs, by name."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from ...datasets.errors import InputError
from ..choices import Format
from ..labelstudio import tasks
from . import coco, labelme, osie_sr, png, pysaliency, yolo

FORMATS: dict[Format, ModuleType] = {
    "labelme": labelme,
    "osie-sr": osie_sr,
    "coco": coco,
    "label-studio": tasks,
    "png": png,
    "pysaliency": pysaliency,
    "yolo": yolo,
}
"""Each module has `recognises`, `read` and `write`."""


def format_named(name: Format) -> ModuleType:
    """Return the module of a format.

    Raises
    ------
    InputError
        If no format has this name.
    """
    if name not in FORMATS:
        raise InputError(f"format {name!r}: expected {', '.join(FORMATS)}")
    return FORMATS[name]


def recognised(source: Path) -> Format:
    """Return the name of the format of a file or folder.

    Raises
    ------
    InputError
        If the path does not exist, or its format is unknown.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    for name, form in FORMATS.items():
        if form.recognises(source):
            return name
    raise InputError(f"{source}: unknown format, expected {', '.join(FORMATS)}; --format names it")

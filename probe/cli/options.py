"""Options of the command line that are more than a number or a path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ...datasets.errors import InputError
from ..choices import Format, Precision

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="How to print it.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
PrecisionOption = Annotated[Precision, typer.Option("--precision", help="Of the network's passes.")]
WeightsOption = Annotated[
    str, typer.Option("--weights", help="default, random, or a file (.pth, .safetensors).")
]
WorkersOption = Annotated[int | None, typer.Option("--workers", help="Threads that decode images.")]
BatchSizeOption = Annotated[int, typer.Option("--batch-size", help="Stimuli per forward pass.")]
InputSizeOption = Annotated[
    str | None,
    typer.Option(
        "--input-size",
        help="Network input as HEIGHTxWIDTH (default: what its weights were trained on).",
    ),
]


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Read HEIGHTxWIDTH, or one number for both."""
    if text is None:
        return None
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) == 1:
        parts *= 2
    if len(parts) != 2 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"--input-size {text!r}: expected HEIGHTxWIDTH, as in 224x224")
    return int(parts[0]), int(parts[1])


def parse_maps(texts: list[str] | None) -> dict[str, Path]:
    """Return the folders of ``NAME=DIR`` options."""
    found: dict[str, Path] = {}
    for text in texts or []:
        name, _, folder = text.partition("=")
        if not name.strip() or not folder.strip():
            raise InputError(f"--maps {text!r}: expected NAME=DIR")
        if name.strip() in found:
            raise InputError(f"--maps: {name.strip()} is named twice")
        found[name.strip()] = Path(folder.strip())
    return found


def parse_unit(text: str) -> tuple[str, int]:
    """Read ``LAYER:UNIT``, as in ``conv5_3:288``.

    Raises
    ------
    InputError
        If it is not written so.
    """
    layer, _, unit = text.rpartition(":")
    if not layer or not (unit.isascii() and unit.isdecimal()):
        raise InputError(f"--unit {text!r}: expected LAYER:UNIT, as in conv5_3:288")
    return layer, int(unit)


def words(text: str) -> list[str]:
    """Return what stands between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def first_process() -> bool:
    """Tell whether this process is the one that prints: the only one, or torchrun's first."""
    return int(os.environ.get("RANK", 0)) == 0

"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from ...datasets.errors import InputError
from ..choices import Format, Precision

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="Output format.")]
DeviceOption = Annotated[
    str, typer.Option("--device", help="Device: auto, cpu, cuda, cuda:N or mps.")
]
PrecisionOption = Annotated[
    Precision, typer.Option("--precision", help="Floating-point precision of the network.")
]
WeightsOption = Annotated[
    str,
    typer.Option(
        "--weights",
        help="Weights: default, random, or a file (.pth, .safetensors, TensorFlow's .pb, .index).",
    ),
]
WeightsKeyOption = Annotated[
    str | None,
    typer.Option(
        "--weights-key",
        metavar="KEY",
        help="Which of the networks in the file of weights: the keys that lead to it, joined by "
        "dots, as in [bold]teacher[/bold].",
    ),
]
WeightsPrefixOption = Annotated[
    str | None,
    typer.Option(
        "--weights-prefix",
        metavar="PREFIX",
        help="What precedes the network's own keys there, as in [bold]module.encoder_q.[/bold]",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", help="Threads that decode images (default: one per CPU, at most 16)."
    ),
]
MasksNow = Annotated[
    Path | None, typer.Option("--masks", help="The run's mask file, if it has moved.")
]
RootNow = Annotated[
    Path | None, typer.Option("--root", help="Folder of the run's images, if it has moved.")
]
ModelNow = Annotated[
    Path | None,
    typer.Option("--model", help="The run's weights or training folder, if it has moved."),
]
LayersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--layers",
        "-l",
        help="Layers: names or wildcards, comma-separated or repeated (default: those that probe "
        "layers marks).",
    ),
]
PreReluOption = Annotated[
    bool, typer.Option("--pre-relu", help="VGG only: use the maps before ReLU.")
]
PassSizeOption = Annotated[
    int | None,
    typer.Option("--batch-size", help="Stimuli per forward pass (default: 4 on a CPU, else 32)."),
]
BatchSizeOption = Annotated[int, typer.Option("--batch-size", help="Stimuli per step of training.")]
InputSizeOption = Annotated[
    str | None,
    typer.Option(
        "--input-size",
        help="Size of the network's input, HEIGHTxWIDTH (default: as its weights were trained).",
    ),
]


RANDOM = "random"
"""In place of a file: random weights."""


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Parse ``HEIGHTxWIDTH``, or one number for both.

    Raises
    ------
    InputError
        If the text has another form.
    """
    if text is None:
        return None
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) == 1:
        parts *= 2
    if len(parts) != 2 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"--input-size {text!r}: expected HEIGHTxWIDTH, as in 224x224")
    return int(parts[0]), int(parts[1])


def parse_maps(texts: list[str] | None) -> dict[str, Path]:
    """Parse ``NAME=PATH`` options into folders or files by name.

    Raises
    ------
    InputError
        If a text has another form, or a name occurs twice.
    """
    folders: dict[str, Path] = {}
    for text in texts or []:
        name, _, folder = text.partition("=")
        if not name.strip() or not folder.strip():
            raise InputError(f"--maps {text!r}: expected NAME=PATH")
        if name.strip() in folders:
            raise InputError(f"--maps: {name.strip()} is given twice")
        folders[name.strip()] = Path(folder.strip())
    return folders


def parse_models(text: str) -> tuple[list[str], dict[str, Path]]:
    """Parse a list of ``NAME`` and ``NAME=FILE`` into names and files of weights by name.

    A folder's name may contain ``=``. FILE may be ``random``.

    Raises
    ------
    InputError
        If a file does not exist.
    """
    names, files = [], {}
    for word in words(text):
        name, _, file = word.partition("=")
        if not file or not name or Path(word).is_dir():
            names.append(word)
            continue
        if file != RANDOM and not Path(file).is_file():
            raise InputError(f"--models {word}: no such file")
        names.append(name)
        files[name] = Path(file)
    return names, files


def parse_weights(
    texts: list[str] | None, models: list[str], given: Mapping[str, Path] = {}
) -> dict[str, Path]:
    """Parse ``NAME=FILE`` options into files of weights by model; a name may contain ``=``.

    Those that were given with the models' names are among them.

    Raises
    ------
    InputError
        If a text has another form, names no model or no file, or a name occurs twice.
    """
    files = dict(given)
    for text in texts or []:
        names = [model for model in models if text.startswith(f"{model}=")]
        name = max(names, key=len, default="")
        file = text.removeprefix(f"{name}=")
        if not name or not file.strip():
            raise InputError(f"--weights {text!r}: expected NAME=FILE, NAME one of --models")
        if name in files:
            raise InputError(f"--weights: {name} is given twice")
        if not Path(file).is_file():
            raise InputError(f"--weights {text}: no such file")
        files[name] = Path(file)
    return files


def parse_unit(text: str) -> tuple[str, int]:
    """Parse ``LAYER:UNIT``, as in ``conv5_3:288``.

    Raises
    ------
    InputError
        If the text has another form.
    """
    layer, _, unit = text.rpartition(":")
    if not layer or not (unit.isascii() and unit.isdecimal()):
        raise InputError(f"unit {text!r}: expected LAYER:UNIT, as in conv5_3:288")
    return layer, int(unit)


def words(text: str) -> list[str]:
    """Split a comma-separated list."""
    return [word.strip() for word in text.split(",") if word.strip()]

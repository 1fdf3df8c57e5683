"""The ``probe`` command on files of weights: ``convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...terminal.console import notes
from .options import WeightsKeyOption, WeightsPrefixOption

app = typer.Typer()


@app.command(epilog="Example: [bold]probe convert model_salicon_cpu.pb -o msi.safetensors[/bold]")
def convert(
    weights: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="TensorFlow's frozen graph or SavedModel (.pb) or checkpoint (.index, with its "
            ".data beside it); or another file of weights.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write (.safetensors).")],
    model: Annotated[
        str, typer.Option(help="Network that the weights are of, named as for probe run.")
    ] = "msinet",
    weights_key: WeightsKeyOption = None,
    weights_prefix: WeightsPrefixOption = None,
) -> None:
    """Convert a network's weights to safetensors; TensorFlow's are read without TensorFlow.

    Refused if any of the network's weights is missing. Nothing in the file is run.
    """
    from ..networks.convert import convert_weights

    loaded = convert_weights(
        *(weights, output, model), weights_key=weights_key, weights_prefix=weights_prefix
    )
    count = sum(parameter.numel() for parameter in loaded.network.parameters())
    notes.print(f"{output}: {model}, {count} parameters", markup=False)

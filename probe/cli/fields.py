"""The ``probe`` command for receptive fields: ``fields``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...terminal.console import notes, print_data
from ...terminal.progress import progress
from .options import (
    DeviceOption,
    FormatOption,
    InputSizeOption,
    WeightsKeyOption,
    WeightsPrefixOption,
    parse_size,
    words,
)

app = typer.Typer()


@app.command(
    epilog="Example: [bold]probe fields squeezenet1_0 osie --layers features.12 "
    "--after runs/tune-2[/bold]"
)
def fields(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Network, named as for probe run.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="Photographs to find the units' best among; as for probe maps."
        ),
    ],
    before: Annotated[
        str,
        typer.Option(
            "--before",
            "--weights",
            help="Weights of MODEL: default, random, a file (.pth, .safetensors), or a training "
            "folder.",
        ),
    ] = "default",
    after: Annotated[
        str | None,
        typer.Option(help="Weights of a second network to compare with, given as for --before."),
    ] = None,
    weights_key: WeightsKeyOption = None,
    weights_prefix: WeightsPrefixOption = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            "--layers",
            "-l",
            help="Layers: names or wildcards, comma-separated or repeated (default: the last "
            "block).",
        ),
    ] = None,
    best: Annotated[
        int, typer.Option(help="Stimuli at whose maxima each unit's gradients are averaged.")
    ] = 16,
    noise: Annotated[
        int, typer.Option(help="Pictures of noise, each with up to 64 fields.")
    ] = 1000,
    root: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path(
        "runs/fields"
    ),
    most: Annotated[int, typer.Option("--most", "-n", help="Units of each layer to draw.")] = 12,
    input_size: InputSizeOption = None,
    device: DeviceOption = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Seed for the noise and random weights.")] = 0,
    format: FormatOption = "table",
) -> None:
    """Show what all units of layers see, and how many are centre–surround.

    Two estimates of every unit's receptive field: the gradient at the maxima on its best stimuli,
    and the average of noise, weighed by its responses. A difference of Gaussians is compared with
    one Gaussian and with a Gabor, each on the other half of the data; gratings measure opponency
    and surround suppression. If interrupted, the same command goes on.
    """
    from ...datasets.errors import InputError
    from ..fields.fields import FieldRecipe
    from ..fields.fields import fields as find_fields
    from ..networks.load import Backbone, is_training
    from ..saliency.writing import pictures
    from ..views.fields.pictures import draw_fields
    from ..views.fields.table import render_fields
    from ..views.report.page import as_html
    from ..views.run import formatted

    recipe = FieldRecipe(best, noise, seed)
    if most < 1:
        raise InputError(f"--most {most}: expected 1 or more")
    size = parse_size(input_size)
    given = (weights_key, weights_prefix)

    def network(weights: str) -> Backbone:
        if is_training(weights):
            return Backbone(weights, input_size=size)
        from_file = weights not in ("default", "random")
        return Backbone(model, weights, size, None, *(given if from_file else (None, None)))

    stimuli, _ = pictures(source, [], root=root, progress=progress)
    found = find_fields(
        *(stimuli, network(before), None if after is None else network(after)),
        layers=[name for text in layers or [] for name in words(text)],
        out=out,
        recipe=recipe,
        device=device,
        progress=progress,
    )
    draw_fields(found, out / "fields.png", most=most)
    if format in ("table", "html"):
        view = render_fields(found)
        print_data(view if format == "table" else as_html(view, f"salprobe: fields of {model}"))
    else:
        print_data(formatted(found.shares, format))
    notes.print(f"tables, fields and figure: {out}", markup=False)

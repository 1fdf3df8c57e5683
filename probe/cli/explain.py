"""The ``probe`` commands that look for filters and colours in a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group

from ...terminal.console import notes, print_data
from ...terminal.progress import progress
from ..choices import Format, RegistrationMethod
from .options import (
    DeviceOption,
    FormatOption,
    InputSizeOption,
    LayersOption,
    PrecisionOption,
    PreReluOption,
    WeightsKeyOption,
    WeightsOption,
    WeightsPrefixOption,
    parse_size,
    words,
)

app = typer.Typer()

ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="Network, named as for probe run.")]


@app.command(
    epilog="Example: [bold]probe explain squeezenet1_0 osie-sr --layers 'features.*'[/bold]"
)
def explain(
    model: ModelName,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Pictures: a mask file, whose regions are also looked at apart, or osie-sr; a "
            "dataset, named as for probe score; or a folder.",
        ),
    ] = "osie-sr",
    weights: WeightsOption = "default",
    weights_key: WeightsKeyOption = None,
    weights_prefix: WeightsPrefixOption = None,
    layers: LayersOption = None,
    pre_relu: PreReluOption = False,
    registration: Annotated[
        RegistrationMethod,
        typer.Option(
            help="Where features are taken: measured, where cells look; or plain, as if maps "
            "filled the picture."
        ),
    ] = "measured",
    root: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
    fixations: Annotated[
        Path | None,
        typer.Option(help="Table of fixations, on which a readout of rebuilt maps is fitted."),
    ] = None,
    px_per_degree: Annotated[
        float | None, typer.Option(help="Pixels in one degree of visual angle, for fixations.")
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", help="Use only the first N pictures.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write (default: runs/explain-SOURCE-MODEL)."),
    ] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "fp32",
    input_size: InputSizeOption = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed for random weights and the cells that are drawn.")
    ] = 0,
    format: FormatOption = "table",
) -> None:
    """Explain units' maps by log-Gabor filters, position and surround, on held-out pictures.

    If interrupted, the same command goes on. probe show lists the units, probe compare two
    explanations, probe figure draws maps beside the rebuilt ones; explained:DIR and
    explained-readout:DIR are saliency models for probe maps, score and popout.
    """
    from ..explain.explaining import explain as explain_units
    from ..networks.device import Execution
    from ..networks.load import Backbone
    from ..views.explain import render_explanation
    from ..views.report.page import as_html
    from ..views.run import formatted

    found = explain_units(
        source,
        model=Backbone(
            *(model, weights, parse_size(input_size), None, weights_key, weights_prefix)
        ),
        layers=[name for text in layers or [] for name in words(text)],
        pre_relu=pre_relu,
        registration=registration,
        root=root,
        fixations=fixations,
        px_per_degree=px_per_degree,
        count=count,
        out=out,
        execution=Execution(device, None, precision),
        seed=seed,
        progress=progress,
    )
    if format in ("table", "html"):
        view = render_explanation(found)
        print_data(view if format == "table" else as_html(view, f"salprobe: {found.name}"))
    else:
        print_data(formatted(found.layers, format))
    notes.print(f"explanation: {found.folder}", markup=False)


@app.command(epilog="Example: [bold]probe colour squeezenet1_0[/bold]")
def colour(
    model: ModelName,
    weights: WeightsOption = "default",
    weights_key: WeightsKeyOption = None,
    weights_prefix: WeightsPrefixOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed for random weights, resampling.")] = 0,
    format: FormatOption = "table",
) -> None:
    """Compare the colours of a network's first filters with RGB, YUV, Lab, DKL, opponent axes."""
    from ..analysis.colour import colour as compare_colours
    from ..networks.load import load_model
    from ..views.explain import render_colour
    from ..views.report.page import as_html
    from ..views.run import formatted

    loaded = load_model(
        *(model, weights), seed=seed, weights_key=weights_key, weights_prefix=weights_prefix
    )
    found = compare_colours(loaded, seed=seed)
    if format in ("table", "html"):
        view = render_colour(found)
        print_data(view if format == "table" else as_html(view, f"salprobe: {found.name}"))
    else:
        print_data(formatted(found.spaces, format))


def is_explanation(folder: Path) -> bool:
    """Return whether a folder is one that ``probe explain`` wrote."""
    from ..records.explain_info import ExplainInfo

    return (folder / ExplainInfo.file_name).is_file()


def show_explanation(folder: Path, most: int, format: Format) -> None:
    """Print an explanation's table, and its units that are explained best."""
    from ..explain.explanation import Explanation
    from ..views.explain import render_explained_units, render_explanation
    from ..views.report.page import as_html
    from ..views.run import formatted

    found = Explanation.open(folder)
    if format in ("table", "html"):
        view = Group(render_explanation(found), render_explained_units(found, most))
        print_data(view if format == "table" else as_html(view, f"salprobe: {found.name}"))
    else:
        print_data(formatted(found.units, format))


def compare_explanations(before: Path, after: Path, format: Format) -> None:
    """Print how much more of each layer one explanation explains than another."""
    from ..explain.explanation import Explanation
    from ..views.explain import render_against
    from ..views.report.page import as_html
    from ..views.run import formatted

    opened = Explanation.open(before), Explanation.open(after)
    table = opened[1].against(opened[0])
    if format in ("table", "html"):
        view = render_against(*opened, table)
        print_data(view if format == "table" else as_html(view, "salprobe: comparison"))
    else:
        print_data(formatted(table, format))

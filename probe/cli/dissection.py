"""The ``probe`` commands ``dissect`` and ``ablate``."""

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
    LayersOption,
    MasksNow,
    ModelNow,
    PassSizeOption,
    PrecisionOption,
    PreReluOption,
    RootNow,
    RunFolder,
    WeightsKeyOption,
    WeightsOption,
    WeightsPrefixOption,
    WorkersOption,
    parse_size,
    words,
)

app = typer.Typer()


@app.command(
    epilog="Example: [bold]probe dissect osie-sr --model vgg16 --layers 'conv5_*' "
    "--run runs/osie-sr-vgg16[/bold]"
)
def dissect(
    masks: Annotated[
        str, typer.Argument(metavar="MASKS", help="Any COCO mask file, or [bold]osie-sr[/bold].")
    ],
    model: Annotated[str, typer.Option(help="Network, named as for probe run.")] = "vgg16",
    weights: WeightsOption = "default",
    weights_key: WeightsKeyOption = None,
    weights_prefix: WeightsPrefixOption = None,
    layers: LayersOption = None,
    pre_relu: PreReluOption = False,
    run: Annotated[
        Path | None,
        typer.Option(help="Run folder of the same network: how do IoU and NSS agree?"),
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder (default: runs/MASKS-MODEL-dissection)."),
    ] = None,
    quantile: Annotated[
        float, typer.Option(help="Share of a unit's positions that count as active.")
    ] = 0.005,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "fp32",
    batch_size: PassSizeOption = None,
    workers: WorkersOption = None,
    input_size: InputSizeOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed for random weights and the rotation.")] = 0,
    format: FormatOption = "table",
) -> None:
    """Find which units detect which category, by intersection over union (Network Dissection).

    Needs no fixations, only masks. csv and json give every unit with every category. If
    interrupted, the same command goes on.
    """
    from ...datasets.files import atomic_write
    from ...datasets.texts import csv_of
    from ..dissection.agreement import iou_and_nss
    from ..dissection.dissect import dissect as dissect_network
    from ..networks.device import Execution
    from ..networks.load import Backbone
    from ..runs.run import Run
    from ..views.dissection import draw_detectors, render_dissection
    from ..views.report.page import as_html
    from ..views.run import formatted

    opened = Run.open(run) if run else None
    found = dissect_network(
        masks,
        model=Backbone(
            *(model, weights, parse_size(input_size), None, weights_key, weights_prefix)
        ),
        layers=[name for text in layers or [] for name in words(text)],
        pre_relu=pre_relu,
        root=root,
        out=out,
        quantile=quantile,
        beside=opened,
        execution=Execution(device, workers, precision, batch_size),
        seed=seed,
        progress=progress,
    )
    against = None
    if opened is not None:
        against = iou_and_nss(found, opened)
        with atomic_write(found.folder / "iou_and_nss.csv") as file:
            file.write(csv_of(against).encode())
    draw_detectors(found, found.folder / "detectors.png")
    if format in ("table", "html"):
        view = render_dissection(found, against)
        print_data(view if format == "table" else as_html(view, "salprobe: dissection"))
    else:
        print_data(formatted(found.units, format))
    notes.print(f"tables and chart: {found.folder}", markup=False)


@app.command(epilog="Example: [bold]probe ablate runs/tune-2/run --layer conv5_3[/bold]")
def ablate(
    run: RunFolder,
    layer: Annotated[
        str | None,
        typer.Option("--layer", "-l", help="Layer whose units are ablated (default: the last)."),
    ] = None,
    draws: Annotated[
        int, typer.Option(help="Sets of random units that each category is compared with.")
    ] = 3,
    masks: MasksNow = None,
    root: RootNow = None,
    model: ModelNow = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for the results (default: RUN/ablation)."),
    ] = None,
    device: DeviceOption = "auto",
    batch_size: PassSizeOption = None,
    workers: WorkersOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed for the halves and the random units.")] = 0,
    format: FormatOption = "table",
) -> None:
    """Set each category's ten units to zero, and see what the saliency model loses, and where.

    RUN is of a trained saliency model. Each category's units are compared with random units of the
    same mean activation. If interrupted, the same command goes on.
    """
    from ..dissection.ablate import ablate as ablate_units
    from ..networks.device import Execution
    from ..runs.run import Run
    from ..views.dissection import render_ablation
    from ..views.report.page import as_html
    from ..views.run import formatted

    opened = Run.open(run)
    found = ablate_units(
        opened,
        layer=layer,
        draws=draws,
        masks=masks,
        root=root,
        model=model,
        out=out,
        execution=Execution(device, workers, "fp32", batch_size),
        seed=seed,
        progress=progress,
    )
    if format in ("table", "html"):
        view = render_ablation(opened, found)
        print_data(view if format == "table" else as_html(view, "salprobe: ablation"))
    else:
        print_data(formatted(found.table, format))
    notes.print(f"table: {found.folder}", markup=False)

"""The ``probe`` command ``unit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ...datasets.errors import InputError
from ...terminal.console import notes
from ...terminal.progress import progress
from .options import DeviceOption, MasksNow, ModelNow, RootNow, RunFolder, parse_unit, words

app = typer.Typer()


@app.command(
    epilog="Example: [bold]probe unit runs/osie_sr-vgg16 conv5_3:288 --best text -n 2[/bold]"
)
def unit(
    run: RunFolder,
    units: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LAYER:UNIT]...", help="Units, counted from 0."),
    ] = None,
    best: Annotated[
        str | None, typer.Option(metavar="CATEGORY", help="Take the best units for CATEGORY.")
    ] = None,
    most: Annotated[int, typer.Option("--most", "-n", help="With --best: how many.")] = 3,
    layer: Annotated[
        str | None, typer.Option("--layer", "-l", help="With --best: of this layer only.")
    ] = None,
    patches: Annotated[int, typer.Option(help="How many of the best stimuli to show.")] = 9,
    prefer: Annotated[
        str,
        typer.Option(
            metavar="METHODS",
            help="Make pictures that the unit prefers: maco, yosinski and accentuation, "
            "comma-separated. Up to minutes a unit.",
        ),
    ] = "",
    kind: Annotated[Literal["png", "svg", "pdf"], typer.Option(help="Format of the figures.")] = (
        "png"
    ),
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder (default: RUN/units).")
    ] = None,
    masks: MasksNow = None,
    root: RootNow = None,
    model: ModelNow = None,
    device: DeviceOption = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Seed of all that is random.")] = 0,
) -> None:
    """Draw sheets of units: the patches that drive them most, what in these does, their fields.

    Deconvnet and guided backprop stand beside the same for shuffled weights: what looks alike in
    both was not learnt. Sheets that are there are kept, so an interrupted command goes on.
    """
    from ..inside.folder import Contents
    from ..inside.sheets import best_of
    from ..networks.device import Execution
    from ..runs.run import Run
    from ..views.sheets import unit_sheets

    if layer is not None and best is None:
        raise InputError("--layer is for --best; name a unit as LAYER:UNIT")
    if most < 1:
        raise InputError(f"--most {most}: expected 1 or more")
    opened = Run.open(run)
    named = [parse_unit(text) for text in units or []]
    named += best_of(opened, best, most, layer) if best is not None else []
    paths = unit_sheets(
        opened,
        named,
        out,
        kind=kind,
        contents=Contents(patches, seed, tuple(words(prefer))),
        masks=masks,
        root=root,
        model=model,
        execution=Execution(device),
        progress=progress,
    )
    for path in paths:
        notes.print(f"sheet: {path}", markup=False)

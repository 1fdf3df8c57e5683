"""The ``probe`` commands for finished runs: ``figure``, ``report``, ``compare`` and more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...datasets.errors import InputError
from ...terminal.console import notes, print_data
from ...terminal.progress import progress
from .explain import compare_explanations, is_explanation
from .options import (
    FormatOption,
    MasksNow,
    ModelNow,
    RootNow,
    RunFolder,
    parse_unit,
    words,
)

app = typer.Typer()


@app.command(
    epilog="Example: [bold]probe figure runs/osie_sr-vgg16 -o units.png --layers 'conv5_*'[/bold]"
)
def figure(
    run: RunFolder,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Figure to write (.png, .pdf, .svg).")
    ],
    layers: Annotated[
        list[str] | None,
        typer.Option(
            "--layers",
            "-l",
            help="Layers to draw: names or wildcards, comma-separated or repeated (default: all).",
        ),
    ] = None,
    categories: Annotated[
        str | None,
        typer.Option(help="Categories to draw, comma-separated (default: all with regions)."),
    ] = None,
    by: Annotated[
        bool,
        typer.Option("--by", help="Draw the slices of the fixations of a run made with --by."),
    ] = False,
    masks: MasksNow = None,
    root: RootNow = None,
    model: ModelNow = None,
) -> None:
    """Draw the best units' activation maps over stimuli, by category and layer.

    A row for each category, a column for each layer: the map of the layer's unit with the highest
    mean NSS for the category. The outlined region is the median one, by the NSS of the best of
    these units (bold), not the one that looks best.

    Of an explanation: each layer's unit explained best and the median one, with their rebuilt maps
    and the weights of the filters. With --by: where subjects look and what units score there, slice
    by slice (of the last layer, unless --layers names others).
    """
    if by:
        if is_explanation(run):
            raise InputError(f"--by: {run} is an explanation, which has none")
        from ..runs.run import Run
        from ..views.slices.picture import draw_slices

        draw_slices(
            *(Run.open(run), output),
            layers=[name for text in layers or [] for name in words(text)],
            categories=words(categories or ""),
        )
        notes.print(f"figure: {output}", markup=False)
        return
    if is_explanation(run):
        from ..explain.explanation import Explanation
        from ..views.rebuilt import draw_explanation

        if categories or masks:
            raise InputError(f"{run} is an explanation; expected no --categories, no --masks")
        draw_explanation(
            *(Explanation.open(run), output),
            layers=[name for text in layers or [] for name in words(text)],
            root=root,
            model=model,
        )
        notes.print(f"figure: {output}", markup=False)
        return
    from ..runs.run import Run
    from ..views.units import draw_best_units

    draw_best_units(
        Run.open(run),
        output,
        layers=[name for text in layers or [] for name in words(text)],
        categories=words(categories or ""),
        masks=masks,
        root=root,
        model=model,
    )
    notes.print(f"figure: {output}", markup=False)


@app.command(epilog="Example: [bold]probe report runs/osie_sr-vgg16 -o site[/bold]")
def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER...",
            help="Runs; folders of a training, sweep, tasks, search arrays, explanation, "
            "dissection or fields; or folders of such folders.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder to write, or with --single a file; a report is replaced."
        ),
    ],
    single: Annotated[
        bool, typer.Option("--single", help="Write one file, pictures and all.")
    ] = False,
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures/--no-pictures",
            help="Show the stimuli, or leave them out where they may not be passed on.",
        ),
    ] = True,
    units: Annotated[int, typer.Option(help="How many units of each cell to list.")] = 10,
    regions: Annotated[
        int, typer.Option(help="How many of each unit's highest, and lowest, regions to show.")
    ] = 8,
    masks: MasksNow = None,
    root: RootNow = None,
    model: ModelNow = None,
) -> None:
    """Write results as a site to look at and to send: tables, plots, units, regions.

    Open its index.html; it needs no network and no server.
    """
    from ..views.report.site import write_report

    page = write_report(
        results,
        output,
        single=single,
        pictures=pictures,
        units=units,
        regions=regions,
        masks=masks,
        root=root,
        model=model,
        progress=progress,
    )
    files = [output] if single else [path for path in output.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    notes.print(f"report: {page} ({size / 1e6:.1f} MB)", markup=False)


@app.command(epilog="Example: [bold]probe compare runs/before runs/after --unit conv5_3:288[/bold]")
def compare(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="Run folder to compare from.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Run folder to compare with it.")],
    unit: Annotated[
        str | None, typer.Option(metavar="LAYER:UNIT", help="Compare one unit (counted from 0).")
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="With --unit: figure of the largest changes (.png, .pdf)."
        ),
    ] = None,
    images: Annotated[int, typer.Option(help="With --figure: number of stimuli to draw.")] = 6,
    transitions: Annotated[
        str | None,
        typer.Option(metavar="LAYER", help="Show which units of LAYER changed category."),
    ] = None,
    masks: MasksNow = None,
    root: RootNow = None,
    before_model: Annotated[
        Path | None,
        typer.Option("--before", help="BEFORE's weights or training folder, if it has moved."),
    ] = None,
    after_model: Annotated[
        Path | None,
        typer.Option("--after", help="AFTER's weights or training folder, if it has moved."),
    ] = None,
    format: FormatOption = "table",
) -> None:
    """Compare two runs: the change per layer and category, or of single units.

    Intervals are paired: both runs are resampled over the same stimuli. Of two explanations: how
    much more of each layer is explained.
    """
    if is_explanation(before) and is_explanation(after):
        if unit or transitions or figure:
            raise InputError("explanations are compared layer by layer; expected no other option")
        compare_explanations(before, after, format)
        return
    from ..analysis.compare import compare as compare_runs
    from ..runs.run import Run
    from ..views.report.page import as_html
    from ..views.run import formatted, render_differences

    runs = Run.open(before), Run.open(after)
    if unit and transitions:
        raise InputError("--unit and --transitions exclude each other; expected one of them")
    if figure and not unit:
        raise InputError("--figure needs --unit LAYER:UNIT")
    if images < 1:
        raise InputError(f"--images {images}: expected 1 or more")
    if unit:
        from ..analysis.unit_change import unit_change
        from ..views.changes import render_change
        from ..views.units import draw_change

        change = unit_change(*runs, *parse_unit(unit))
        frame, view = change.categories, render_change(*runs, change)
        if figure is not None:
            from ..runs.inputs import layers_of, masks_of, model_of

            mask_set, folder, _ = masks_of(runs[1], masks, root)
            models = model_of(runs[0], before_model), model_of(runs[1], after_model)
            before_layers, after_layers = map(layers_of, runs, models)
            layers = before_layers[change.layer], after_layers[change.layer]
            draw_change(change, models, layers, mask_set, folder, figure, images)
            notes.print(f"figure: {figure}", markup=False)
    elif transitions:
        from ..analysis.unit_change import transitions as find_transitions
        from ..views.changes import render_transitions

        frame = find_transitions(*runs, transitions)
        view = render_transitions(frame, runs[0].categories, transitions)
    else:
        frame = compare_runs(*runs)
        view = render_differences(*runs, frame)
    if format in ("table", "html"):
        print_data(view if format == "table" else as_html(view, "salprobe: comparison"))
    else:
        print_data(formatted(frame, format))


@app.command(epilog="Example: [bold]probe transfer runs/osie-vgg16 runs/salicon-vgg16[/bold]")
def transfer(
    chosen_on: Annotated[
        Path, typer.Argument(metavar="CHOSEN", help="Run folder whose best units are taken.")
    ],
    scored_on: Annotated[
        Path, typer.Argument(metavar="SCORED", help="Run folder in whose regions they are scored.")
    ],
    layer: Annotated[
        str | None,
        typer.Option(help="Show every category of the first by every one of the second, here."),
    ] = None,
    format: FormatOption = "table",
) -> None:
    """Score one run's best units on another data set: what is left of its "head units" there.

    Both runs are of the same network. Stimuli that both have are left out. csv and json give every
    pair of categories, and how the order of all units agrees.
    """
    from ..analysis.transfer import transfer as transfer_units
    from ..runs.run import Run
    from ..views.changes import render_transfer
    from ..views.report.page import as_html
    from ..views.run import formatted

    runs = Run.open(chosen_on), Run.open(scored_on)
    found = transfer_units(*runs)
    table = found.table if layer is None else found.table[found.table["layer"] == layer]
    if table.empty:
        raise InputError(f"--layer {layer}: not a layer of both runs")
    if (
        layer is None
        and format in ("table", "html")
        and not (table["category"] == table["to"]).any()
    ):
        raise InputError("the runs share no category; give --layer to see all pairs")
    if format in ("table", "html"):
        view = render_transfer(*runs, found, layer)
        print_data(view if format == "table" else as_html(view, "salprobe: transfer"))
    else:
        print_data(formatted(table, format))


@app.command(epilog="Example: [bold]probe output runs/tune-2/run --layer conv5_3[/bold]")
def output(
    run: RunFolder,
    layer: Annotated[
        str | None,
        typer.Option("--layer", "-l", help="Layer whose units are compared (default: the last)."),
    ] = None,
    maps: Annotated[
        Path | None,
        typer.Option(help="Folder of saliency maps to use instead of the run's readout."),
    ] = None,
    masks: MasksNow = None,
    root: RootNow = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for the results (default: RUN/output)."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed for resampling.")] = 0,
    format: FormatOption = "table",
) -> None:
    """Compare a saliency model's output with what its units respond to, by category.

    OS is the NSS of the predicted map in a category's regions; OD is its distance from the NSS
    of the empirical saliency map. Also tests whether categories differ.
    """
    from ..analysis.inside_outside import output as compare_output
    from ..analysis.inside_outside import write_output
    from ..runs.run import Run
    from ..views.changes import render_output
    from ..views.figures import draw_output
    from ..views.report.page import as_html
    from ..views.run import formatted

    opened = Run.open(run)
    result = compare_output(
        opened,
        layer=layer,
        maps=maps,
        masks=masks,
        root=root,
        seed=seed,
        progress=progress,
    )
    folder = out or run / "output"
    write_output(result, folder)
    draw_output(result, folder / "output.png")
    view = render_output(result)
    if format in ("table", "html"):
        print_data(view if format == "table" else as_html(view, "salprobe: output"))
    else:
        print_data(formatted(result.categories, format))
    notes.print(f"tables and figure: {folder}", markup=False)


@app.command(epilog="Example: [bold]probe merge runs/shard-* -o runs/whole[/bold]")
def merge(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run folders, in the images' order.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder to write.")],
) -> None:
    """Merge runs of one network, each on a part of a mask file, into one run.

    The parts, as `annotate split` makes them, have no image and no region in common. All
    statistics are computed anew; the shuffled scores are those of each part.
    """
    from ..runs.merging import merge_runs
    from .report import report

    report(merge_runs(runs, out, progress))

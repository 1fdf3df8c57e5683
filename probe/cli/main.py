"""The command line ``probe``: parses, calls, prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ...datasets.errors import InputError
from ...terminal.app import VersionOption, new_app, run_app
from ...terminal.console import notes, print_data
from ...terminal.progress import progress
from ..choices import RegistrationMethod
from ..processes import check_alone, first_process
from . import analysis as cli_analysis
from . import dissection as cli_dissection
from . import explain as cli_explain
from . import fields as cli_fields
from . import inside as cli_inside
from . import saliency as cli_saliency
from . import training as cli_training
from . import weights as cli_weights
from .options import (
    DeviceOption,
    FormatOption,
    InputSizeOption,
    LayersOption,
    PassSizeOption,
    PrecisionOption,
    PreReluOption,
    RunFolder,
    WeightsKeyOption,
    WeightsOption,
    WeightsPrefixOption,
    WorkersOption,
    parse_size,
)

app = new_app("Score every unit of a network against every salient region.")


@app.callback()
def options(
    context: typer.Context,
    version: VersionOption = False,
    trust: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE:FACTORY",
            help="Import this factory even where only a folder of results names it; repeatable.",
        ),
    ] = None,
) -> None:
    """Take what holds for every command."""
    if context.invoked_subcommand not in ("run", "train"):
        check_alone(f"probe {context.invoked_subcommand}")
    from ..sources.factory import trust as trust_factory

    for name in trust or ():
        trust_factory(name)


@app.command(
    epilog="Example: [bold]probe run --masks osie_sr.json --root osie --layers 'conv5_*'[/bold]"
)
def run(
    masks: Annotated[
        str,
        typer.Option(
            "--masks", "-m", help="Mask file with labelled regions, or [bold]osie-sr[/bold]."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            help="Network: a torchvision classification model, [bold]gabor[/bold] (needs no "
            "weights), unisal, msinet, cmrnet, timm:NAME, hf:OWNER/NAME, open_clip:ARCH/TAG, "
            "package.module:factory, or a training folder."
        ),
    ] = "vgg16",
    weights: WeightsOption = "default",
    weights_key: WeightsKeyOption = None,
    weights_prefix: WeightsPrefixOption = None,
    layers: LayersOption = None,
    pre_relu: PreReluOption = False,
    registration: Annotated[
        RegistrationMethod,
        typer.Option(
            help="Where cells lie: plain, maps fill the stimulus, as in the paper; or measured, "
            "where they look."
        ),
    ] = "plain",
    root: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
    fixations: Annotated[
        Path | None, typer.Option(help="Table of fixations to use instead of the mask file's.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder (default: runs/MASKS-MODEL).")
    ] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "fp32",
    batch_size: PassSizeOption = None,
    workers: WorkersOption = None,
    input_size: InputSizeOption = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Skip images that cannot be read.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed for random weights and resampling.")] = 0,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="KIND:SLICES",
            help="Also score slices of the fixations in the same pass: "
            "[bold]order:1,2,3-5,6+[/bold] (which fixation on the stimulus), "
            "[bold]time:0-500,500-1500[/bold] (ms), or [bold]subjects:FILE[/bold] (a table "
            "subject,group).",
        ),
    ] = None,
) -> None:
    """Score every unit against every labelled region, and print the category table.

    If interrupted, the same command resumes the run. Under torchrun, use one process per GPU.
    """
    from ..networks.device import Execution
    from ..networks.load import Backbone
    from ..runs.probing import probe
    from .report import report

    result = probe(
        masks,
        model=Backbone(
            *(model, weights, parse_size(input_size), None, weights_key, weights_prefix)
        ),
        layers=[name.strip() for text in layers or [] for name in text.split(",")],
        pre_relu=pre_relu,
        registration=registration,
        root=root,
        fixations=fixations,
        out=out,
        execution=Execution(device, workers, precision, batch_size),
        skip_bad=skip_bad,
        seed=seed,
        by=by,
        progress=progress,
    )
    if first_process():
        report(result)


@app.command(epilog="Example: [bold]probe show runs/osie_sr-vgg16 --units text[/bold]")
def show(
    folder: RunFolder,
    units: Annotated[
        str | None, typer.Option(metavar="CATEGORY", help="List the best units for CATEGORY.")
    ] = None,
    most: Annotated[
        int, typer.Option("--most", "-n", help="With --units: number of units to list.")
    ] = 20,
    by: Annotated[
        bool,
        typer.Option("--by", help="Show the slices of the fixations of a run made with --by."),
    ] = False,
    format: FormatOption = "table",
) -> None:
    """Print a run's category table, or the best units for a category; or an explanation.

    md and latex use the paper's layout, ``mean (units above T)``; csv and json give every number.
    """
    if by and units is not None:
        raise InputError("--by and --units exclude each other; expected one of them")
    if cli_explain.is_explanation(folder):
        if by or units is not None:
            option = "--by" if by else f"--units {units}"
            raise InputError(f"{option}: {folder} is an explanation, which has none")
        cli_explain.show_explanation(folder, most, format)
        return
    from ..runs.run import Run
    from ..views.report.page import as_html
    from ..views.run import for_print, formatted, render_run, render_units

    result = Run.open(folder)
    if by:
        from ..views.slices.table import render_slices

        if format in ("table", "html"):
            view = render_slices(result)
            print_data(view if format == "table" else as_html(view, f"salprobe: {result.name}"))
        else:
            print_data(formatted(result.by.table, format))
        return
    if format in ("table", "html"):
        view = render_units(result, units, most) if units else render_run(result)
        print_data(view if format == "table" else as_html(view, f"salprobe: {result.name}"))
    elif units:
        print_data(formatted(result.best_units(units).head(most), format))
    else:
        paper_layout = format in ("md", "latex")
        print_data(formatted(for_print(result) if paper_layout else result.summary, format))


@app.command(epilog="Example: [bold]probe layers resnet50 --json[/bold]")
def layers(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Network, named as for probe run.")
    ] = "vgg16",
    pre_relu: PreReluOption = False,
    input_size: InputSizeOption = None,
    receptive_fields: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Measure where the cells of the layers marked * look, on eight pictures of SOURCE "
            "(named as for probe maps): how many pixels of the network's input lie between them, "
            "down and across, and where the first begins.",
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="With --receptive-fields: as for probe run.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="With --receptive-fields: folder of the images.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List a model's layers and the shapes of their activation maps.

    Layers marked * are probed by default. How each output is laid out is measured; those that
    cannot be read as maps are left out, and said on stderr.
    """
    from ..layers.layers import grouped
    from ..networks.load import is_training, load_model
    from ..networks.registration import in_pixels, measure_registration
    from ..saliency.writing import pictures
    from ..sources.libraries import is_factory

    if receptive_fields is None:
        for option, value in (("--weights", weights), ("--root", root)):
            if value is not None:
                raise InputError(f"{option} is for --receptive-fields")
        given = model == "gabor" or is_factory(model) or is_training(model)
        weights = "default" if given else "random"
    loaded = load_model(model, weights or "default", input_size=parse_size(input_size))
    found = loaded.listing(pre_relu=pre_relu)
    listed = found.layers
    for names, count, reason in grouped(found.left_out):
        notes.print(f"left out: {names} ({count}): {reason}", markup=False)
    everything = not any(layer.default for layer in listed)
    measured = {}
    if receptive_fields is not None:
        stimuli, _ = pictures(receptive_fields, [], root=root)
        chosen = [layer for layer in listed if layer.default or everything]
        loaded.check(chosen)
        some = [stimuli[k] for k in range(0, len(stimuli), -(-len(stimuli) // 8))]
        with progress.task("measuring where cells look", len(some)) as advance:
            measured = measure_registration(
                *(loaded, chosen, map(stimuli.read, some)), advance=advance
            )
    if as_json:
        keys = ("name", "units", "height", "width", "default")
        rows = [{key: getattr(layer, key) for key in keys} for layer in listed]
        for row in rows if receptive_fields else ():
            one = measured.get(row["name"])
            row["registration"] = None if one is None else one._asdict()
        print_data(json.dumps(rows))
        return
    widest = max(len(layer.name) for layer in listed)
    for layer in listed:
        mark = "*" if layer.default or everything else " "
        shape = f"{layer.units:5d} × {layer.height} × {layer.width}"
        if layer.name in measured:
            shape = f"{shape:19} {in_pixels(measured[layer.name], loaded.input_size)}"
        print_data(f"{mark} {layer.name:{widest}} {shape}")


@app.command(
    epilog="Example: [bold]probe suggest regions.json --labels osie-sr -o suggested.json[/bold]"
)
def suggest(
    masks: Annotated[
        str, typer.Argument(metavar="MASKS", help="Mask file with unlabelled regions.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Mask file to write.")],
    labels: Annotated[
        str | None,
        typer.Option(help="Mask file to learn the labels from, or osie-sr (default: MASKS)."),
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
    labels_root: Annotated[
        Path | None, typer.Option(help="Folder of the images of --labels, if different.")
    ] = None,
    model: Annotated[str, typer.Option(help="Network, named as for probe run.")] = "vgg16",
    weights: WeightsOption = "default",
    weights_key: WeightsKeyOption = None,
    weights_prefix: WeightsPrefixOption = None,
    layer: Annotated[
        str | None,
        typer.Option(help="Layer whose units describe a region (default: the last block)."),
    ] = None,
    input_size: Annotated[
        str | None,
        typer.Option(
            help="Size of the network's input, HEIGHTxWIDTH (default: twice that of the weights)."
        ),
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Suggest categories for unlabelled regions, for a person to confirm.

    A region gets the category of the labelled regions most similar to it for the network.
    Prints how often this is right on the labelled regions themselves. `annotate push` shows
    the suggestions in Label Studio.
    """
    from ...datasets.sources.load import load_masks, mask_path, root_of
    from ..analysis.suggest import suggest as suggest_categories
    from ..networks.load import Backbone

    path = mask_path(masks)
    mask_set = load_masks(masks)
    labelled, labelled_root = None, None
    if labels is not None:
        labelled = load_masks(labels)
        labelled_root = root_of(labelled, labels_root, mask_path(labels).parent)
    suggested = suggest_categories(
        mask_set,
        root_of(mask_set, root, path.parent),
        labelled,
        labelled_root,
        model=Backbone(
            *(model, weights, parse_size(input_size), layer, weights_key, weights_prefix)
        ),
        device=device,
        progress=progress,
    )
    suggested.masks.write(output)
    notes.print(
        f"{output}: {suggested.count} suggestions from {suggested.n_labelled} labelled regions, by "
        f"{suggested.layer} of {model}\n"
        f"accuracy on the labelled regions, leaving one image out: {suggested.accuracy:.1%} "
        f"(always guessing the commonest category: {suggested.commonest:.1%})",
        markup=False,
    )


@app.command(epilog="Example: [bold]probe review runs/osie_sr-vgg16 runs/tune-2[/bold]")
def review(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RUN]...", help="Run folders (default: all below runs/)."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder of the images, if it has moved.")
    ] = None,
    masks: Annotated[Path | None, typer.Option(help="Mask file, if it has moved.")] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="File of weights or training folder, if it has moved."),
    ] = None,
) -> None:
    """Review results in the terminal: tables, units, regions, activation maps.

    Without run folders, new runs below runs/ appear by themselves.
    """
    import sys

    watched = None if folders else Path("runs")
    run_folders = folders or sorted(path.parent for path in Path("runs").rglob("run.json"))
    if not run_folders:
        raise InputError("no run below runs/; expected run folders as arguments")
    for folder in run_folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such run folder")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("review needs a terminal")
    from ...tui.results.review import ResultsReview
    from ...tui.results.runs import Moved

    ResultsReview(run_folders, Moved(masks, root, weights), watched).run()


app.add_typer(cli_analysis.app)
app.add_typer(cli_dissection.app)
app.add_typer(cli_inside.app)
app.add_typer(cli_explain.app)
app.add_typer(cli_fields.app)
app.add_typer(cli_saliency.app)
app.add_typer(cli_training.app)
app.add_typer(cli_weights.app)


def main() -> None:
    """Run the command line."""
    run_app(app, "probe")

"""The ``probe`` commands on saliency models: ``maps``, ``popout`` and ``score``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...datasets.errors import InputError
from ...terminal.console import notes, print_data
from ...terminal.progress import progress
from ..choices import MapFormat
from .options import (
    DeviceOption,
    WeightsKeyOption,
    WeightsOption,
    WeightsPrefixOption,
    parse_maps,
    parse_models,
    parse_weights,
    words,
)

app = typer.Typer()

ModelsOption = Annotated[
    str,
    typer.Option(
        help="Models, comma-separated: gbvs, gbvs-uncentred, itti, bms, bms-iccv13, spectral, "
        "unisal=FILE, msinet=FILE (FILE: its weights, or random), a training folder, "
        "module:factory, another network with its weights; for maps and score also human, centre."
    ),
]
MapsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--maps",
        metavar="NAME=PATH",
        help="Folder of a model's saliency maps, or its HDF5 file; repeatable.",
    ),
]

ModelWeightsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--weights",
        metavar="NAME=FILE",
        help="Weights of a training folder or a factory's network, or a file with a readout for "
        "another network, as in vgg16=4000.pt; repeatable.",
    ),
]


@app.command(epilog="Example: [bold]probe maps popout/ --models gbvs,bms,bms-iccv13 -o maps[/bold]")
def maps(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Folder of pictures, with its sub-folders; popout.json or another mask file, or "
            "its folder; or a dataset, named as for probe score.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to write the maps to.")
    ],
    models: ModelsOption = "",
    weights: ModelWeightsOption = None,
    weights_key: WeightsKeyOption = None,
    weights_prefix: WeightsPrefixOption = None,
    format: Annotated[
        MapFormat,
        typer.Option(
            "--format",
            "-f",
            help="npy: float32, as the model puts the map out. png: 8 bits, each map stretched "
            "from its minimum to its maximum. hdf5: one file for each model, as pysaliency reads "
            "it.",
        ),
    ] = "npy",
    root: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
    fixations: Annotated[
        Path | None, typer.Option(help="Table of fixations, for human and centre.")
    ] = None,
    px_per_degree: Annotated[
        float | None, typer.Option(help="Pixels in one degree of visual angle.")
    ] = None,
    skip_bad: Annotated[
        bool,
        typer.Option(
            "--skip-bad", help="Skip pictures that cannot be read, or that a model refuses."
        ),
    ] = False,
) -> None:
    """Write saliency maps of pictures: DIR/MODEL/NAME.npy, at each picture's size.

    If interrupted, the same command goes on: it keeps maps of the same picture and model, and
    makes those of a factory anew.
    """
    from ..saliency.maps import maps_of
    from ..saliency.writing import identity, pictures, write_maps

    names, given = parse_models(models)
    files = parse_weights(weights, names, given)
    place = (weights_key, weights_prefix)
    stimuli, dataset = pictures(
        source,
        names,
        root=root,
        fixations=fixations,
        px_per_degree=px_per_degree,
        skip_bad=skip_bad,
        progress=progress,
    )
    written = write_maps(
        stimuli,
        maps_of(
            *(names, stimuli, dataset, files, px_per_degree),
            weights_key=weights_key,
            weights_prefix=weights_prefix,
        ),
        out,
        format=format,
        identities={name: identity(name, files.get(name), dataset, place) for name in names},
        skip_bad=skip_bad,
        progress=progress,
    )
    for one in written.values():
        kept = f", {one.kept} kept" if one.kept else ""
        kept += f", {one.skipped} skipped" if one.skipped else ""
        notes.print(f"{one.path}: {one.made} maps written{kept}", markup=False)
    if format == "png":
        notes.print("each map is stretched from its minimum to its maximum, in 8 bits")


@app.command(
    epilog="Example: [bold]probe popout --masks popout/popout.json --models gbvs,bms,itti[/bold]"
)
def popout(
    masks: Annotated[
        Path, typer.Option("--masks", "-m", help="The popout.json that annotate popout wrote.")
    ],
    models: ModelsOption = "",
    maps: MapsOption = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the search arrays.")] = None,
    weights: WeightsOption = "default",
    weights_key: WeightsKeyOption = None,
    weights_prefix: WeightsPrefixOption = None,
    layers: Annotated[
        str,
        typer.Option(
            "--layers", "-l", help="Layers of networks: names or wildcards, comma-separated."
        ),
    ] = "",
    device: DeviceOption = "auto",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path(
        "runs/popout"
    ),
    figure: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Figure of arrays and maps to write (.png, .pdf)."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed for random weights and resampling.")] = 0,
) -> None:
    """Measure whether saliency models, and units of networks, find the odd one out.

    For a torchvision network (vgg16) or a factory of a torch Module, the units are scored layer
    by layer; everything else is treated as a saliency model, UNISAL and MSI-Net by their maps.
    """
    from ..experiments.popout import popout as measure
    from ..views.figures import draw_search
    from ..views.saliency.tables import render_search

    names, files = parse_models(models)
    search = measure(
        masks,
        names,
        parse_maps(maps),
        root=root,
        out=out,
        weights=weights,
        files=files,
        weights_key=weights_key,
        weights_prefix=weights_prefix,
        layers=words(layers),
        device=device,
        seed=seed,
        progress=progress,
    )
    print_data(render_search(search))
    _say_resized(search.resized)
    notes.print(f"results: {search.folder}", markup=False)
    if figure is not None:
        draw_search(search, figure)
        notes.print(f"figure: {figure}", markup=False)


@app.command(epilog="Example: [bold]probe score osie --models gbvs,bms,centre,human -n 50[/bold]")
def score(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="Dataset, named as for annotate cluster: osie, or a folder."
        ),
    ],
    models: ModelsOption = "",
    maps: MapsOption = None,
    weights: ModelWeightsOption = None,
    weights_key: WeightsKeyOption = None,
    weights_prefix: WeightsPrefixOption = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
    fixations: Annotated[
        Path | None, typer.Option(help="Table of fixations, for a folder of images.")
    ] = None,
    px_per_degree: Annotated[
        float | None, typer.Option(help="Pixels in one degree of visual angle.")
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", help="Score only the first N images.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File for the scores of every image (.csv, .parquet)."),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(help="Figure of their maps on five images to write (.png, .pdf, .svg)."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed for random draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score saliency models on photographs: NSS, AUCs, CC, SIM, KL, information gain.

    human leaves out one subject at a time: the others' fixations, blurred, predict theirs.
    """
    from ...datasets.files import atomic_write
    from ...datasets.sources.load import load_dataset
    from ...datasets.stimuli import Stimuli
    from ...datasets.texts import csv_of
    from ..saliency.benchmark import score as score_models
    from ..saliency.benchmark import summarise
    from ..saliency.given import given_maps
    from ..saliency.maps import maps_of
    from ..saliency.observers import viewed
    from ..views.saliency.tables import render_scores

    if count is not None and count < 2:
        raise InputError(f"--count {count}: expected 2 or more")
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise InputError(f"{out}: expected a name that ends in .csv or .parquet")
    if figure is not None and figure.suffix not in (".png", ".pdf", ".svg"):
        raise InputError(f"{figure}: expected a name that ends in .png, .pdf or .svg")
    dataset = load_dataset(source, root, fixations, px_per_degree, progress=progress)
    (names, files), given = parse_models(models), parse_maps(maps)
    if not names and not given:
        raise InputError("no model is named; expected --models or --maps")
    for name in names:
        if name in given:
            raise InputError(f"{name} is given by --models and by --maps")
    scored = Stimuli(dataset.stimuli.root, tuple(viewed(dataset)[:count]))
    folders = {name: given_maps(path, scored) for name, path in given.items()}
    files = parse_weights(weights, names, files)
    sources = {}
    if names:
        sources = maps_of(
            *(names, dataset.stimuli, dataset, files),
            weights_key=weights_key,
            weights_prefix=weights_prefix,
        )
    sources = {**sources, **folders}
    table = score_models(dataset, sources, count, seed, progress)
    summary = summarise(table)
    if figure is not None:
        from ..views.saliency.picture import draw_maps

        draw_maps(dataset, sources, table, figure)
    if out is not None:
        with atomic_write(out) as file:
            if out.suffix == ".csv":
                file.write(csv_of(table).encode())
            else:
                table.to_parquet(file, index=False)
    title = f"Saliency models on {table['image_id'].nunique()} images of {dataset.name}"
    if dataset.simulated:
        title += ", SIMULATED fixations"
    print_data(str(summary.to_json(orient="records")) if as_json else render_scores(summary, title))
    _say_resized({name: folder.resized for name, folder in folders.items()})


def _say_resized(resized: dict[str, int]) -> None:
    for name, count in resized.items():
        if count:
            notes.print(
                f"{name}: {count} maps were resized to the size of their images", markup=False
            )

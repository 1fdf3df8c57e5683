"""The ``probe`` commands that evaluate saliency models: ``popout`` and ``score``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...datasets.errors import InputError
from ...terminal.console import notes, print_data
from ...terminal.progress import progress
from .options import DeviceOption, WeightsOption, parse_maps, words

app = typer.Typer()

ModelsOption = Annotated[
    str,
    typer.Option(
        help="Models, comma-separated: gbvs, itti, bms, spectral, a training folder, "
        "module:factory …"
    ),
]
MapsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--maps", metavar="NAME=DIR", help="Folder of a model's saliency maps; repeatable."
    ),
]


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
    by layer; everything else is treated as a saliency model.
    """
    from ..experiments.popout import popout as measure
    from ..views.figures import draw_search
    from ..views.saliency import render_search

    search = measure(
        masks,
        words(models),
        parse_maps(maps),
        root=root,
        out=out,
        weights=weights,
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


@app.command(epilog="Example: [bold]probe score osie --models gbvs,bms,itti -n 50[/bold]")
def score(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="Dataset, named as for annotate cluster: osie, or a folder."
        ),
    ],
    models: ModelsOption = "",
    maps: MapsOption = None,
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
    seed: Annotated[int, typer.Option(min=0, help="Seed for random draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score saliency models on photographs: NSS, AUCs, CC, SIM, KL, information gain."""
    from ...datasets.files import atomic_write
    from ...datasets.sources.load import load_dataset
    from ..saliency.benchmark import score as score_models
    from ..saliency.benchmark import summarise
    from ..saliency.maps import MapFolder, from_function, function_named
    from ..views.saliency import render_scores

    if count is not None and count < 2:
        raise InputError(f"--count {count}: expected 2 or more")
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise InputError(f"{out}: expected a name that ends in .csv or .parquet")
    dataset = load_dataset(source, root, fixations, px_per_degree, progress=progress)
    sources = {}
    for name in words(models):
        function = function_named(name)
        if function is None:
            raise InputError(f"{name}: not a saliency model; expected gbvs, itti, bms, spectral …")
        sources[name] = from_function(name, function, dataset.stimuli)
    folders = {name: MapFolder(path, dataset.stimuli) for name, path in parse_maps(maps).items()}
    if not sources and not folders:
        raise InputError("no model is named; expected --models or --maps")
    table = score_models(dataset, {**sources, **folders}, count, seed, progress)
    summary = summarise(table)
    if out is not None:
        with atomic_write(out) as file:
            if out.suffix == ".csv":
                file.write(table.to_csv(index=False).encode())
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

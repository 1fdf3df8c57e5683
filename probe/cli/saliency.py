"""The commands of ``probe`` that measure saliency models."""

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
        help="Comma-separated: gbvs, itti, bms, spectral, a training folder, module:factory …"
    ),
]
MapsOption = Annotated[
    list[str] | None,
    typer.Option("--maps", metavar="NAME=DIR", help="Folder of a model's maps; repeatable."),
]


@app.command(
    epilog="Example: [bold]probe popout --masks popout/popout.json --models gbvs,bms,itti[/bold]"
)
def popout(
    masks: Annotated[Path, typer.Option("--masks", "-m", help="popout.json of annotate popout.")],
    models: ModelsOption = "",
    maps: MapsOption = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the arrays.")] = None,
    weights: WeightsOption = "default",
    layers: Annotated[
        str, typer.Option("--layers", "-l", help="Of networks: names or wildcards.")
    ] = "",
    device: DeviceOption = "auto",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results.")] = Path(
        "runs/popout"
    ),
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw arrays and maps (.png, .pdf).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of random weights and resampling.")] = 0,
) -> None:
    """Measure who finds the odd one out: saliency models, and the units of networks.

    A torchvision network (vgg16) or a factory of a torch Module has its units scored, layer by
    layer; everything else is a saliency model.
    """
    from ..experiments.popout import popout as measure
    from ..views.figures import draw_search
    from ..views.saliency import render_search

    found = measure(
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
    print_data(render_search(found))
    _say_resized(found.resized)
    notes.print(f"results: {found.folder}", markup=False)
    if figure is not None:
        draw_search(found, figure)
        notes.print(f"figure: {figure}", markup=False)


@app.command(epilog="Example: [bold]probe score osie --models gbvs,bms,itti -n 50[/bold]")
def score(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="As for annotate cluster: osie, or a folder.")
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
        int | None, typer.Option("--count", "-n", help="Only the first images.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Every image's scores (.csv, .parquet).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the drawings and resampling.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
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
            raise InputError(f"{name}: no saliency model; expected gbvs, itti, bms, spectral …")
        sources[name] = from_function(name, function, dataset.stimuli)
    folders = {name: MapFolder(path, dataset.stimuli) for name, path in parse_maps(maps).items()}
    if not sources and not folders:
        raise InputError("no model is named; --models or --maps")
    table = score_models(dataset, {**sources, **folders}, count, seed, progress)
    summary = summarise(table, seed)
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
    _say_resized({name: one.resized for name, one in folders.items()})


def _say_resized(resized: dict[str, int]) -> None:
    for name, times in resized.items():
        if times:
            notes.print(f"{name}: {times} maps were resized to their images", markup=False)

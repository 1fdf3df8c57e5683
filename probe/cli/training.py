"""The ``probe`` commands that train networks: ``train``, ``sweep`` and ``tasks``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ...datasets.errors import InputError
from ...terminal.console import notes, print_data
from ...terminal.progress import progress
from ..choices import Schedule, Task
from ..processes import first_process
from .options import (
    BatchSizeOption,
    DeviceOption,
    InputSizeOption,
    PrecisionOption,
    WeightsKeyOption,
    WeightsOption,
    WeightsPrefixOption,
    WorkersOption,
    parse_size,
    words,
)

app = typer.Typer()

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE", help="Dataset: osie, salicon, a folder, or a table of fixations."
    ),
]
Masks = Annotated[
    str,
    typer.Option("--masks", "-m", help="Mask file with labelled regions, or [bold]osie-sr[/bold]."),
]
Model = Annotated[str, typer.Option(help="Backbone: a network, named as for probe run.")]
LayerName = Annotated[
    str | None,
    typer.Option(
        "--layer", "-l", help="Layer at which the backbone is cut (default: its last block)."
    ),
]
Root = Annotated[Path | None, typer.Option(help="Folder of the images.")]
FixationTable = Annotated[
    Path | None, typer.Option(help="Table of fixations, for a folder of images.")
]
Accumulate = Annotated[int, typer.Option(help="Batches accumulated per step of Adam.")]
Seed = Annotated[
    int, typer.Option(min=0, help="Seed for new weights, the order of stimuli, and resampling.")
]
SceneTable = Annotated[
    Path | None,
    typer.Option(
        "--scenes",
        help="Scenes: a CSV with image,scene, a folder with one folder per scene, or osie-scenes.",
    ),
]
PxPerDegree = Annotated[float | None, typer.Option(help="Pixels in one degree of visual angle.")]
SplitFile = Annotated[
    Path | None,
    typer.Option(
        "--split", help="CSV with image,split: train, validation or test (default: 4:1:2)."
    ),
]
LossText = Annotated[
    str, typer.Option(help="Loss: nss, kl, cc, bce, or a weighted sum such as 10*kl+nss.")
]
Epochs = Annotated[int, typer.Option(help="Maximum number of epochs.")]
Patience = Annotated[
    int, typer.Option(help="Stop after this many epochs without a better validation.")
]
Rate = Annotated[
    float | None,
    typer.Option(help="Learning rate of the added layers (default: 0.01; for scenes 0.0001)."),
]
BackboneRate = Annotated[float, typer.Option(help="Learning rate of the backbone.")]
ScheduleName = Annotated[Schedule, typer.Option(help="Schedule of the learning rates.")]
MinImages = Annotated[int, typer.Option("--min-images", help="Leave out scenes with fewer images.")]


@app.command(epilog="Example: [bold]probe train osie --tune 2 --out runs/tune-2[/bold]")
def train(
    source: Source,
    task: Annotated[Task, typer.Option(help="Task to train for.")] = "saliency",
    tune: Annotated[
        str,
        typer.Option(help="Tune the last N convolution layers, or all; 0: only the added layers."),
    ] = "0",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Training folder (default: runs/TASK-tune-TUNE)."),
    ] = None,
    model: Model = "vgg16",
    weights: WeightsOption = "default",
    weights_key: WeightsKeyOption = None,
    weights_prefix: WeightsPrefixOption = None,
    layer: LayerName = None,
    new_readout: Annotated[
        bool,
        typer.Option(
            "--new-readout", help="Take only the cut network from a training folder as --model."
        ),
    ] = False,
    input_size: InputSizeOption = None,
    root: Root = None,
    fixations: FixationTable = None,
    px_per_degree: PxPerDegree = None,
    split: SplitFile = None,
    scenes: SceneTable = None,
    min_images: MinImages = 50,
    loss: LossText = "nss",
    epochs: Epochs = 20,
    patience: Patience = 5,
    rate: Rate = None,
    backbone_rate: BackboneRate = 1e-4,
    schedule: ScheduleName = "cosine",
    batch_size: BatchSizeOption = 16,
    accumulate: Accumulate = 1,
    precision: PrecisionOption = "fp32",
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train a network for saliency (with a 1×1 convolution on top) or for scene recognition.

    If interrupted, the same command resumes the training. Under torchrun, each process takes
    its share of every batch. Other commands accept the training folder as --model; so does this
    one, and goes on from its network and readout.
    """
    from ...datasets.sources.load import load_dataset, scenes_path
    from ..networks.device import Execution
    from ..networks.load import Backbone
    from ..training.recipe import Recipe, parse_tune
    from ..training.scenes import read_scenes
    from ..training.split import read_split
    from ..training.train import train as run_training
    from ..views.training import render_training

    if (scenes is None) == (task == "scenes"):
        raise InputError("--task scenes and --scenes: expected both or neither")
    recipe = Recipe(
        task=task,
        tune=parse_tune(tune),
        loss=loss,
        epochs=epochs,
        patience=patience,
        rate=rate,
        backbone_rate=backbone_rate,
        schedule=schedule,
        accumulate=accumulate,
        seed=seed,
    )
    dataset = load_dataset(source, root, fixations, px_per_degree, progress=progress)
    folder = out or Path("runs") / f"{task}-tune-{tune}"
    info = run_training(
        dataset,
        recipe,
        folder,
        model=Backbone(
            *(model, weights, parse_size(input_size), layer, weights_key, weights_prefix)
        ),
        new_readout=new_readout,
        split=read_split(split, dataset.stimuli) if split else None,
        scenes=read_scenes(scenes_path(scenes), dataset.stimuli, min_images) if scenes else None,
        execution=Execution(device, workers, precision, batch_size),
        progress=progress,
    )
    if first_process():
        print_data(json.dumps(info.content(), indent=1) if as_json else render_training(info))
        notes.print(f"training folder: {folder}; probe it with --model {folder}", markup=False)


@app.command(
    epilog="Example: [bold]probe sweep osie --masks osie-sr --tune 0,1,2,3,4,5,6,all[/bold]"
)
def sweep(
    source: Source,
    masks: Masks,
    tune: Annotated[
        str,
        typer.Option(
            help="Steps: tune the last N convolution layers, or all; the first is the baseline."
        ),
    ] = "0,1,2,3,4,5,6,all",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the sweep.")] = Path(
        "runs/sweep"
    ),
    popout: Annotated[
        Path | None,
        typer.Option(help="A popout.json of annotate popout to score the units on as well."),
    ] = None,
    model: Model = "vgg16",
    weights: WeightsOption = "default",
    weights_key: WeightsKeyOption = None,
    weights_prefix: WeightsPrefixOption = None,
    layer: LayerName = None,
    input_size: InputSizeOption = None,
    root: Root = None,
    fixations: FixationTable = None,
    px_per_degree: PxPerDegree = None,
    masks_root: Annotated[
        Path | None, typer.Option(help="Folder of the masks' images, if different.")
    ] = None,
    split: SplitFile = None,
    loss: LossText = "nss",
    epochs: Epochs = 20,
    patience: Patience = 5,
    rate: Rate = None,
    backbone_rate: BackboneRate = 1e-4,
    schedule: ScheduleName = "cosine",
    batch_size: BatchSizeOption = 16,
    accumulate: Accumulate = 1,
    precision: PrecisionOption = "fp32",
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    seed: Seed = 0,
) -> None:
    """Fine-tune a network to several depths, each from scratch, and compare its units.

    Regions on training and validation stimuli are not probed. If interrupted, the same command
    resumes the sweep; finished steps are not repeated.
    """
    from ...datasets.sources.load import load_dataset
    from ..experiments.sweep import sweep as run_sweep
    from ..networks.device import Execution
    from ..networks.load import Backbone
    from ..training.recipe import Recipe, parse_tune
    from ..training.split import read_split
    from ..views.figures import draw_gains
    from ..views.report.site import write_results
    from ..views.training import render_sweep

    recipe = Recipe(
        loss=loss,
        epochs=epochs,
        patience=patience,
        rate=rate,
        backbone_rate=backbone_rate,
        schedule=schedule,
        accumulate=accumulate,
        seed=seed,
    )
    dataset = load_dataset(source, root, fixations, px_per_degree, progress=progress)
    result = run_sweep(
        dataset,
        recipe,
        [parse_tune(step) for step in words(tune)],
        out,
        masks,
        root=masks_root or root,
        popout=popout,
        model=Backbone(
            *(model, weights, parse_size(input_size), layer, weights_key, weights_prefix)
        ),
        split=read_split(split, dataset.stimuli) if split else None,
        execution=Execution(device, workers, precision, batch_size),
        progress=progress,
    )
    print_data(render_sweep(result))
    page = write_results(out)
    draw_gains(result, out / "gains.png")
    notes.print(f"sweep: {out}\nreport: {page}", markup=False)


@app.command(epilog="Example: [bold]probe tasks osie --scenes osie-scenes --masks osie-sr[/bold]")
def tasks(
    source: Source,
    scenes: Annotated[
        Path,
        typer.Option(
            "--scenes",
            help="Scenes: a CSV with image,scene, a folder with one folder per scene, or "
            "osie-scenes.",
        ),
    ],
    masks: Masks,
    tune: Annotated[
        str, typer.Option(help="Tune the last N convolution layers, or all; the paper uses 1.")
    ] = "1",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path(
        "runs/tasks"
    ),
    min_images: MinImages = 50,
    model: Model = "vgg16",
    weights: WeightsOption = "default",
    weights_key: WeightsKeyOption = None,
    weights_prefix: WeightsPrefixOption = None,
    layer: LayerName = None,
    input_size: InputSizeOption = None,
    root: Root = None,
    fixations: FixationTable = None,
    px_per_degree: PxPerDegree = None,
    masks_root: Annotated[
        Path | None, typer.Option(help="Folder of the masks' images, if different.")
    ] = None,
    loss: LossText = "nss",
    epochs: Epochs = 20,
    patience: Patience = 5,
    rate: Rate = None,
    backbone_rate: BackboneRate = 1e-4,
    schedule: ScheduleName = "cosine",
    batch_size: BatchSizeOption = 16,
    accumulate: Accumulate = 1,
    precision: PrecisionOption = "fp32",
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    seed: Seed = 0,
) -> None:
    """Train a network for saliency and for scenes on the same stimuli, and compare its units.

    pt is the pre-trained network, sp the one trained for saliency prediction, sr the one trained
    for scene recognition. If interrupted, the same command resumes the comparison.
    """
    from ...datasets.sources.load import load_dataset, scenes_path
    from ..experiments.tasks import compare_tasks
    from ..networks.device import Execution
    from ..networks.load import Backbone
    from ..training.recipe import Recipe, parse_tune
    from ..training.scenes import read_scenes
    from ..views.figures import draw_tasks
    from ..views.report.site import write_results
    from ..views.training import render_tasks

    recipe = Recipe(
        tune=parse_tune(tune),
        loss=loss,
        epochs=epochs,
        patience=patience,
        rate=rate,
        backbone_rate=backbone_rate,
        schedule=schedule,
        accumulate=accumulate,
        seed=seed,
    )
    dataset = load_dataset(source, root, fixations, px_per_degree, progress=progress)
    result = compare_tasks(
        dataset,
        read_scenes(scenes_path(scenes), dataset.stimuli, min_images),
        recipe,
        out,
        masks,
        root=masks_root or root,
        model=Backbone(
            *(model, weights, parse_size(input_size), layer, weights_key, weights_prefix)
        ),
        execution=Execution(device, workers, precision, batch_size),
        progress=progress,
    )
    print_data(render_tasks(result))
    page = write_results(out)
    draw_tasks(result, dataset, out / "tasks.png")
    notes.print(f"tasks: {out}\nreport: {page}", markup=False)

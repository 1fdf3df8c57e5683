"""The command line ``annotate``: parses, calls, prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..datasets.errors import InputError
from ..datasets.files import check_relative
from ..datasets.terminal import notes, print_data, progress, run_app

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Turn eye fixations into salient regions, and regions into labelled masks.",
)


MasksArgument = Annotated[str, typer.Argument(metavar="MASKS", help="Mask file, or osie-sr.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For scripts.")]


@app.command(epilog="Example: [bold]annotate fetch sample --root sample[/bold]")
def fetch(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="osie or sample.")],
    root: Annotated[
        Path | None, typer.Option(help="Folder to put it in (default: the user's data folder).")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="Take the files from a local copy.")
    ] = None,
) -> None:
    """Download a dataset, or go on with a download; every file is checked.

    [bold]sample[/bold] needs no network: eight photographs from installed packages, with masks
    drawn by hand and simulated gaze.
    """
    from ..datasets.fetch import copy, download, missing_files
    from ..datasets.load import PUBLISHED, default_root

    root = root or default_root(name)
    if name == "sample":
        from ..datasets.sample import write_sample

        if source is not None:
            raise InputError("sample comes with the installation; leave --from out")
        write_sample(root)
        notes.print(f"{root}: 8 images, masks.json, SIMULATED fixations", markup=False)
        return
    if name not in PUBLISHED:
        raise InputError(f"no dataset {name!r}: expected {', '.join(PUBLISHED)} or sample")
    description = PUBLISHED[name]
    n_files = len(description.files())
    wanted = len(missing_files(description, root))
    with progress(f"fetching {name}", n_files, done=n_files - wanted) as advance:
        if source is not None:
            copy(description, root, source, advance)
        else:
            download(description, root, advance)
    notes.print(
        f"{root}: {n_files} files, {wanted} of them new (licence: {description.licence})\n"
        f"Please cite: {description.citation}",
        markup=False,
    )


@app.command(
    epilog="Example: [bold]annotate cluster osie -o osie_regions.json[/bold]\n\n"
    "Your own: [bold]annotate cluster pictures/ --fixations gaze.csv --columns "
    "image=stim,x=gx,y=gy --px-per-degree 32 -o regions.json[/bold]"
)
def cluster(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="osie, a folder of images, or a table of fixations beside them."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Mask file to write.")],
    root: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
    fixations: Annotated[
        Path | None,
        typer.Option(
            help="Table of fixations: image, subject, x, y[, duration_ms] (.csv, .tsv, .parquet)."
        ),
    ] = None,
    columns: Annotated[
        str, typer.Option(help="The table's names for ours, as x=gaze_x,subject=who.")
    ] = "",
    unit: Annotated[
        str, typer.Option(help="Of x and y: px, or deg from the image's centre.")
    ] = "px",
    px_per_degree: Annotated[
        float | None, typer.Option(help="Pixels in one degree of visual angle.")
    ] = None,
    drop_invalid: Annotated[
        bool,
        typer.Option("--drop-invalid", help="Drop fixations off the image or without position."),
    ] = False,
    method: Annotated[str, typer.Option(help="mean-shift, hdbscan or dbscan.")] = "mean-shift",
    bandwidth: Annotated[float, typer.Option(help="Mean shift: kernel radius, degrees.")] = 2.0,
    radius: Annotated[float, typer.Option(help="DBSCAN: neighbourhood, degrees.")] = 0.75,
    min_fixations: Annotated[int, typer.Option(help="Fewest fixations of a region.")] = 8,
    min_subjects: Annotated[int, typer.Option(help="Fewest subjects of a region.")] = 4,
    margin: Annotated[float, typer.Option(help="Outline beyond the fixations, degrees.")] = 0.4,
    labels: Annotated[
        str | None,
        typer.Option(help="Labelled mask file, or osie-sr, whose categories to carry over."),
    ] = None,
) -> None:
    """Cluster fixations into salient regions with outlines."""
    from ..datasets.folder import TableFormat
    from ..datasets.load import load_dataset, mask_path
    from ..datasets.masks import MaskSet
    from .regions import Clustering
    from .regions import cluster as find_regions
    from .transfer import transfer_labels

    if unit not in ("px", "deg"):
        raise InputError(f"--unit {unit!r}: expected px or deg")
    clustering = Clustering(
        method=method,  # type: ignore[arg-type]
        bandwidth=bandwidth,
        radius=radius,
        min_fixations=min_fixations,
        min_subjects=min_subjects,
        margin=margin,
    )
    labelled = MaskSet.read(mask_path(labels)) if labels else None
    table_format = TableFormat(_columns(columns), unit, drop_invalid)  # type: ignore[arg-type]
    dataset, dropped = load_dataset(source, root, fixations, px_per_degree, table_format)
    with progress("clustering", len(dataset.stimuli)) as advance:
        masks = find_regions(dataset, clustering, advance)
    if labelled is not None and labels is not None:
        masks = transfer_labels(masks, labelled, mask_path(labels).name)
    masks.write(output)
    count, images = len(masks.annotations), len(masks.images)
    gaze = "SIMULATED fixations" if dataset.simulated else "fixations"
    text = f"{output}: {count} regions on {images} images ({count / images:.1f} each) from "
    text += f"{len(dataset.fixations)} {gaze}"
    if labelled is not None:
        unlabelled = sum(a.label_source is None for a in masks.annotations)
        text += f"; {count - unlabelled} labelled as in {labels}"
    if dropped:
        text += f"; {dropped} invalid fixations dropped"
    notes.print(text, markup=False)


@app.command(epilog="Example: [bold]annotate check osie_sr.json --fix mended.json[/bold]")
def check(
    masks: MasksArgument,
    root: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
    fix: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a repaired copy there.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List everything wrong or suspicious in a mask file, on stdout.

    Exit code 1 if there is an error (the file cannot be used), 0 if there are only warnings.
    --fix uncrosses outlines, clips them to their image, and recomputes areas and boxes.
    """
    from ..datasets.load import fixations_of, mask_path, root_of
    from ..datasets.masks import MaskSet
    from ..datasets.stimuli import Stimuli
    from .check import Problem, image_problems, repair, suspicions

    path = mask_path(masks)
    found, malformed = MaskSet.diagnose(path)
    problems = [Problem("error", "malformed", *text.partition(": ")[::2]) for text in malformed]
    if found is not None and not malformed:
        folder = root_of(found, root, path.parent)
        fixations = None
        try:
            fixations = fixations_of(found, folder)
        except InputError as error:
            problems.append(Problem("warning", "no-fixations", "fixations", str(error)))
        problems += image_problems(Stimuli(folder, tuple(found.images)))
        problems += suspicions(found, fixations)
    if as_json:
        print(json.dumps([vars(problem) for problem in problems], ensure_ascii=False))
    else:
        for one in problems:
            print(f"{one.severity}: {one.kind}: {one.place}: {one.text}")
    errors = sum(problem.severity == "error" for problem in problems)
    notes.print(f"{path}: {errors} errors, {len(problems) - errors} warnings", markup=False)
    if fix is not None:
        if found is None or malformed:
            raise InputError(f"{path}: a malformed file cannot be repaired")
        mended, changed = repair(found)
        mended.write(fix)
        notes.print(f"{fix}: {changed} regions repaired", markup=False)
    if errors:
        raise typer.Exit(1)


@app.command(epilog="Example: [bold]annotate stats osie-sr --figure osie_sr.png[/bold]")
def stats(
    masks: MasksArgument,
    root: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the counts (.png, .pdf, .svg).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Count regions, images, fixations and area per category."""
    from ..datasets.load import fixations_of, mask_path, root_of
    from ..datasets.masks import MaskSet
    from .stats import draw, statistics
    from .tables import render_stats

    path = mask_path(masks)
    found = MaskSet.read(path)
    try:
        fixations = fixations_of(found, root_of(found, root, path.parent))
    except InputError as error:
        if root is not None:
            raise
        fixations = None
        notes.print(f"fixations are not counted: {error}", markup=False)
    table = statistics(found, fixations)
    title = f"{path.name}: {len(found.annotations)} regions on {len(found.images)} images"
    if found.info.annotator:
        title += f"\nlabelled by: {found.info.annotator}"
    if figure is not None:
        draw(table, figure, title)
        notes.print(f"figure: {figure}", markup=False)
    print_data(str(table.to_json(orient="records")) if as_json else render_stats(table, title))


@app.command(epilog="Example: [bold]annotate agree osie-sr osie-sr-second -o disputed.json[/bold]")
def agree(
    files: Annotated[list[str], typer.Argument(metavar="MASKS…", help="Two mask files or more.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the disagreements as a mask file.")
    ] = None,
    min_iou: Annotated[float, typer.Option(help="Least IoU of regions that are the same.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Compare annotators: kappa with its interval, confusion table, IoU, disagreements."""
    from ..datasets.load import mask_path
    from ..datasets.masks import MaskSet
    from .agree import agree as compare
    from .tables import agreement_record, render_agreement

    found = compare([MaskSet.read(mask_path(one)) for one in files], min_iou, seed)
    if output is not None:
        found.disagreements.write(output)
        count = len(found.disagreements.annotations)
        notes.print(f"{output}: {count} regions to look at again", markup=False)
    print_data(json.dumps(agreement_record(found)) if as_json else render_agreement(found, files))


@app.command(epilog="Example: [bold]annotate merge ann.json bob.json -o merged.json[/bold]")
def merge(
    files: Annotated[list[str], typer.Argument(metavar="MASKS…", help="Two mask files or more.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Mask file to write.")],
    rule: Annotated[
        str, typer.Option(help="majority, or first (the earlier file is preferred).")
    ] = "majority",
    min_iou: Annotated[float, typer.Option(help="Least IoU of regions that are the same.")] = 0.5,
) -> None:
    """Merge several annotators' mask files into one."""
    from ..datasets.load import mask_path
    from ..datasets.masks import MaskSet
    from .merge import merge as merge_files

    found = merge_files([MaskSet.read(mask_path(one)) for one in files], rule, min_iou)  # type: ignore[arg-type]
    found.masks.write(output)
    notes.print(
        f"{output}: {len(found.masks.annotations)} regions, {found.disputed} of them disputed; "
        f"{found.dropped} left out, which too few files have",
        markup=False,
    )


@app.command(
    epilog="Example: [bold]annotate split osie-sr --parts train=0.8,test=0.2 -o parts[/bold]"
)
def split(
    masks: MasksArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.")],
    by: Annotated[str, typer.Option(help="image (stratified by category) or category.")] = "image",
    parts: Annotated[str, typer.Option(help="Names and shares, for --by image.")] = (
        "train=0.8,test=0.2"
    ),
    seed: Annotated[int, typer.Option(help="Of the dealing.")] = 0,
) -> None:
    """Split a mask file by category, or by image into parts with like shares of each category."""
    from ..datasets.load import mask_path
    from ..datasets.masks import MaskSet
    from .merge import split_by_category, split_by_image

    path = mask_path(masks)
    found = MaskSet.read(path)
    if by not in ("image", "category"):
        raise InputError(f"--by {by!r}: expected image or category")
    made = split_by_category(found) if by == "category" else None
    if made is None:
        made = split_by_image(found, _shares(parts), seed)
    output.mkdir(parents=True, exist_ok=True)
    for name, part in made.items():
        target = output / f"{path.stem}-{name.replace(' ', '_')}.json"
        part.write(target)
        count = f"{len(part.annotations)} regions on {len(part.images)} images"
        notes.print(f"{target}: {count}", markup=False)


def _shares(text: str) -> dict[str, float]:
    shares: dict[str, float] = {}
    for pair in text.split(","):
        name, _, share = (piece.strip() for piece in pair.partition("="))
        try:
            shares[check_relative(name)] = float(share)
        except ValueError as error:
            raise InputError(f"--parts {pair!r}: expected NAME=SHARE, as in train=0.8") from error
    return shares


def _columns(text: str) -> dict[str, str]:
    from ..datasets.fixations import COLUMNS

    ours = ("image", *COLUMNS[1:])
    pairs = [part.split("=", 1) for part in text.split(",") if part.strip()]
    for pair in pairs:
        if len(pair) != 2 or pair[0].strip() not in ours:
            raise InputError(
                f"--columns {'='.join(pair)!r}: expected OURS=THEIRS, ours one of {', '.join(ours)}"
            )
    return {name.strip(): theirs.strip() for name, theirs in pairs}


def main() -> None:
    """Run the command line."""
    run_app(app, "annotate")

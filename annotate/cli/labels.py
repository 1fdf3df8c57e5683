"""The commands of ``annotate`` that check, compare and reorganise labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ...datasets.errors import InputError
from ...datasets.files import check_part
from ...datasets.texts import printable
from ...terminal.app import refuse_given
from ...terminal.console import notes, print_data
from ..choices import Part, Rule

app = typer.Typer()

MasksArgument = Annotated[str, typer.Argument(metavar="MASKS", help="Mask file, or osie-sr.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command(epilog="Example: [bold]annotate check osie_sr.json --fix mended.json[/bold]")
def check(
    masks: MasksArgument,
    root: Annotated[Path | None, typer.Option(help="Folder that holds the images.")] = None,
    fix: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a repaired copy to this file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List everything wrong or suspicious in a mask file.

    Exits with 1 on any error (the file cannot be used), with 0 if there are only warnings.
    --fix untangles self-intersecting outlines, clips outlines to the image, and recomputes areas
    and boxes.
    """
    from ...datasets.masks.mask_set import MaskSet
    from ...datasets.sources.load import fixations_of, mask_path, root_of
    from ...datasets.stimuli import Stimuli
    from ..labels.check import Problem, image_problems, repair, suspicions

    path = mask_path(masks)
    mask_set, malformed = MaskSet.diagnose(path)
    problems = [Problem("error", "malformed", *text.partition(": ")[::2]) for text in malformed]
    if mask_set is not None and not malformed:
        folder = root_of(mask_set, root, path.parent)
        fixations = None
        try:
            fixations = fixations_of(mask_set, folder)
        except InputError as error:
            problems.append(Problem("warning", "no-fixations", "fixations", str(error)))
        problems += image_problems(Stimuli(folder, tuple(mask_set.images)))
        problems += suspicions(mask_set, fixations)
    if as_json:
        print_data(json.dumps([vars(problem) for problem in problems], ensure_ascii=False))
    else:
        for problem in problems:
            line = f"{problem.severity}: {problem.kind}: {problem.place}: {problem.text}"
            print_data(printable(line))
    errors = sum(problem.severity == "error" for problem in problems)
    notes.print(f"{path}: {errors} errors, {len(problems) - errors} warnings")
    if fix is not None:
        if mask_set is None or malformed:
            raise InputError(f"{path}: a malformed file cannot be repaired")
        mended, changed = repair(mask_set)
        mended.write(fix)
        notes.print(f"{fix}: {changed} regions repaired")
    if errors:
        raise typer.Exit(1)


@app.command(epilog="Example: [bold]annotate stats osie-sr --figure osie_sr.png[/bold]")
def stats(
    masks: MasksArgument,
    root: Annotated[Path | None, typer.Option(help="Folder that holds the images.")] = None,
    figure: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also draw the counts to this file (.png, .pdf, .svg)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Count regions, images, fixations and area per category."""
    from ...datasets.masks.mask_set import MaskSet
    from ...datasets.sources.load import fixations_of, mask_path, root_of
    from ..labels.stats import draw, statistics
    from ..labels.tables import render_stats

    path = mask_path(masks)
    mask_set = MaskSet.read(path)
    try:
        fixations = fixations_of(mask_set, root_of(mask_set, root, path.parent))
    except InputError as error:
        if root is not None:
            raise
        fixations = None
        notes.print(f"fixations are not counted: {error}")
    table = statistics(mask_set, fixations)
    title = f"{path.name}: {len(mask_set.annotations)} regions on {len(mask_set.images)} images"
    if mask_set.info.annotator:
        title += f"\nlabelled by: {mask_set.info.annotator}"
    if figure is not None:
        draw(table, figure, title)
        notes.print(f"figure: {figure}")
    print_data(str(table.to_json(orient="records")) if as_json else render_stats(table, title))


@app.command(epilog="Example: [bold]annotate agree osie-sr osie-sr-second -o disputed.json[/bold]")
def agree(
    files: Annotated[list[str], typer.Argument(metavar="MASKS…", help="Two or more mask files.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the disagreements as a mask file.")
    ] = None,
    min_iou: Annotated[
        float, typer.Option(help="Smallest IoU at which two regions count as the same.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(min=0, help="Seed for the bootstrap.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Compare annotators: kappa with its interval, confusion table, IoU and disagreements."""
    from ...datasets.sources.load import load_masks
    from ..labels.agree import agree as compare
    from ..labels.tables import agreement_record, render_agreement

    agreement = compare([load_masks(name) for name in files], min_iou, seed)
    if output is not None:
        agreement.disagreements.write(output)
        count = len(agreement.disagreements.annotations)
        notes.print(f"{output}: {count} regions to review")
    print_data(
        json.dumps(agreement_record(agreement)) if as_json else render_agreement(agreement, files)
    )


@app.command(epilog="Example: [bold]annotate merge ann.json bob.json -o merged.json[/bold]")
def merge(
    files: Annotated[list[str], typer.Argument(metavar="MASKS…", help="Two or more mask files.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Mask file to write.")],
    rule: Annotated[
        Rule,
        typer.Option(
            help="Which category wins: that of most files, or of the first to label a region."
        ),
    ] = "majority",
    min_iou: Annotated[
        float, typer.Option(help="Smallest IoU at which two regions count as the same.")
    ] = 0.5,
) -> None:
    """Merge several annotators' mask files into one."""
    from ...datasets.sources.load import load_masks
    from ..labels.merge import merge as merge_files

    merged = merge_files([load_masks(name) for name in files], rule, min_iou)
    merged.masks.write(output)
    notes.print(
        f"{output}: {len(merged.masks.annotations)} regions, {merged.disputed} of them disputed; "
        f"{merged.dropped} left out because too few files have them",
    )


@app.command(
    epilog="Example: [bold]annotate split osie-sr --parts train=0.8,test=0.2 -o parts[/bold]"
)
def split(
    context: typer.Context,
    masks: MasksArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the parts.")],
    by: Annotated[
        Part, typer.Option(help="Split by image (stratified by category) or by category.")
    ] = "image",
    parts: Annotated[str, typer.Option(help="Names and shares of the parts, for --by image.")] = (
        "train=0.8,test=0.2"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Seed for assigning images to parts.")] = 0,
) -> None:
    """Split a mask file by category, or by image with each category in proportion."""
    from ...datasets.masks.mask_set import MaskSet
    from ...datasets.sources.load import mask_path
    from ..labels.merge import split_by_category, split_by_image

    path = mask_path(masks)
    mask_set = MaskSet.read(path)
    if by == "category":
        refuse_given(context, "does nothing with --by category", "parts", "seed")
        split_masks = split_by_category(mask_set)
    else:
        split_masks = split_by_image(mask_set, _shares(parts), seed)
    targets = [
        output / f"{path.stem}-{check_part(name).replace(' ', '_')}.json" for name in split_masks
    ]
    if len(set(targets)) < len(targets):
        raise InputError(f"{path}: two of its categories would share a file")
    output.mkdir(parents=True, exist_ok=True)
    for target, part in zip(targets, split_masks.values(), strict=True):
        part.write(target)
        count = f"{len(part.annotations)} regions on {len(part.images)} images"
        notes.print(f"{target}: {count}")


def _shares(text: str) -> dict[str, float]:
    shares: dict[str, float] = {}
    for pair in text.split(","):
        name, _, share = (piece.strip() for piece in pair.partition("="))
        if name in shares:
            raise InputError(f"--parts {text!r}: {name} occurs twice")
        try:
            shares[check_part(name)] = float(share)
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"--parts {pair!r}: expected NAME=SHARE, as in train=0.8") from error
    return shares

"""The commands of ``annotate`` that exchange labels with other programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from ...datasets.errors import InputError
from ...datasets.files import is_stream
from ...terminal.app import refuse_given
from ...terminal.console import notes, working
from ..choices import Format
from .labels import MasksArgument

app = typer.Typer()

RenameOption = Annotated[
    str,
    typer.Option(
        help="Map foreign category names to ours, for example face='person head',dog=animal."
    ),
]
RootOption = Annotated[Path | None, typer.Option(help="Folder that holds the images.")]


@app.command(
    "import", epilog="Example: [bold]annotate import labelme/ --like regions.json -o sr.json[/bold]"
)
def import_(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="File or folder to import.")],
    output: Annotated[str, typer.Option("--output", "-o", help="Mask file to write, or osie-sr.")],
    form: Annotated[
        Format | None, typer.Option("--format", help="Format of the source (default: detected).")
    ] = None,
    root: RootOption = None,
    rename: RenameOption = "",
    like: Annotated[
        str | None,
        typer.Option(
            help="Mask file that was exported; its fixations, ids and other images are kept."
        ),
    ] = None,
) -> None:
    """Import labelled regions from another program, such as labelme, or the authors' OSIE-SR.

    After [bold]-o osie-sr[/bold], every command accepts the name osie-sr for the imported file.
    """
    from ...datasets.sources.load import imported_path, load_masks
    from ..formats.exchange import import_masks

    base = load_masks(like) if like else None
    with working(f"reading {source}"):
        imported = import_masks(source, form, root, parse_pairs("--rename", rename), base)
    target = imported_path(output)
    if target != Path(output):
        target.parent.mkdir(parents=True, exist_ok=True)
    imported.masks.write(target)
    regions = len(imported.masks.annotations)
    images = len(imported.masks.images)
    notes.print(f"{target}: {regions} regions on {images} images, from {imported.format}")
    if imported.changes is not None:
        notes.print(f"on {imported.images} images: {changes_text(total(imported.changes))}")
    for text, times in imported.lost.items():
        notes.print(f"left out: {text} ({times} times)")
    if imported.masks.fixations is None and not imported.masks.info.salprobe.dataset:
        notes.print(
            "the result holds no fixations: --like keeps those of the mask file that was exported"
        )


@app.command(epilog="Example: [bold]annotate export osie-sr --format labelme -o labelme/[/bold]")
def export(
    context: typer.Context,
    masks: MasksArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="File or folder to write.")],
    form: Annotated[Format, typer.Option("--format", help="Format to write.")],
    root: RootOption = None,
) -> None:
    """Export labelled regions for another program, and report what its format cannot hold.

    For pysaliency these are not the regions, but the stimuli and the fixations.
    """
    from ...datasets.masks.mask_set import MaskSet
    from ...datasets.sources.load import mask_path, root_of
    from ..formats.exchange import export_masks

    if form not in ("labelme", "label-studio", "pysaliency"):
        refuse_given(context, f"does nothing with --format {form}", "root")
    path = mask_path(masks)
    mask_set = MaskSet.read(path)
    try:
        folder = root_of(mask_set, root, path.parent)
    except InputError:
        if root is not None:
            raise
        folder = None
    if folder is not None and form in ("labelme", "label-studio") and root is None:
        from ...datasets.stimuli import Stimuli

        try:
            Stimuli(folder, tuple(mask_set.images)).path(mask_set.images[0])
        except (InputError, IndexError):
            notes.print(
                "no images found, so the files do not point to any (--root names their folder)"
            )
            folder = None
    with working(f"writing {output}"):
        lost = export_masks(mask_set, output, form, folder)
    what = f"{len(mask_set.annotations)} regions"
    if form == "pysaliency":
        what = f"{len(mask_set.images)} stimuli and their fixations"
    notes.print(f"{output}: {what} as {form}", markup=False)
    if form == "label-studio" and not is_stream(output):
        notes.print(f"{output.with_suffix('.xml')}: the labelling interface")
    for text in lost:
        notes.print(f"left out: {text}")


def total(changes: Mapping[str, Counter[str]]) -> Counter[str]:
    """Return the changes, summed over all images."""
    return sum(changes.values(), Counter())


def changes_text(changes: Mapping[str, int]) -> str:
    """Return the counts of changes in words."""
    words = [
        f"{changes[name]} {name}"
        for name in ("added", "removed", "relabelled", "reshaped")
        if changes.get(name)
    ]
    return ", ".join(words) or "nothing changed"


def parse_pairs(option: str, text: str) -> dict[str, str]:
    """Parse an option such as ``theirs=ours,theirs=ours``.

    Raises
    ------
    InputError
        If a pair is malformed.
    """
    pairs = [[part.strip() for part in pair.split("=")] for pair in text.split(",") if pair.strip()]
    for pair in pairs:
        if len(pair) != 2 or not all(pair):
            raise InputError(f"{option} {'='.join(pair)!r}: expected THEIRS=OURS")
    names: dict[str, str] = dict(pairs)  # type: ignore[arg-type]
    if len(names) < len(pairs):
        raise InputError(f"{option} {text!r}: one of their names occurs twice")
    return names

"""The commands of ``annotate`` that exchange labels with other programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from ...datasets.errors import InputError
from ...terminal.console import notes
from ..choices import Format
from .labels import MasksArgument

app = typer.Typer()

RenameOption = Annotated[
    str, typer.Option(help="Their categories' names for ours, as face='person head',dog=animal.")
]
RootOption = Annotated[Path | None, typer.Option(help="Folder of the images.")]


@app.command(
    "import", epilog="Example: [bold]annotate import labelme/ --like regions.json -o sr.json[/bold]"
)
def import_(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="File or folder.")],
    output: Annotated[str, typer.Option("--output", "-o", help="Mask file to write, or osie-sr.")],
    form: Annotated[
        Format | None, typer.Option("--format", help="By default what it looks like.")
    ] = None,
    root: RootOption = None,
    rename: RenameOption = "",
    like: Annotated[
        str | None,
        typer.Option(help="Mask file that was exported: keep its fixations, ids and other images."),
    ] = None,
) -> None:
    """Read labelled regions of another program, as labelme, or the authors' OSIE-SR.

    With [bold]-o osie-sr[/bold], the name osie-sr stands for them from then on.
    """
    from ...datasets.sources.load import imported_path, load_masks
    from ..formats.exchange import import_masks

    base = load_masks(like) if like else None
    with notes.status(f"reading {source}"):
        found = import_masks(source, form, root, parse_pairs("--rename", rename), base)
    target = imported_path(output)
    if target != Path(output):
        target.parent.mkdir(parents=True, exist_ok=True)
    found.masks.write(target)
    regions = len(found.masks.annotations)
    images = len(found.masks.images)
    notes.print(f"{target}: {regions} regions on {images} images, from {found.format}")
    if found.changes is not None:
        notes.print(f"on {found.images} images: {changes_text(total(found.changes))}")
    for text, times in found.lost.items():
        notes.print(f"left out: {text} ({times} times)", markup=False)
    if found.masks.fixations is None and not found.masks.info.salprobe.dataset:
        notes.print("it holds no fixations: --like keeps those of the mask file that was exported")


@app.command(epilog="Example: [bold]annotate export osie-sr --format labelme -o labelme/[/bold]")
def export(
    masks: MasksArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="File or folder to write.")],
    form: Annotated[Format, typer.Option("--format", help="Whose files to write.")],
    root: RootOption = None,
) -> None:
    """Write labelled regions for another program; says what its format cannot hold."""
    from ...datasets.masks.mask_set import MaskSet
    from ...datasets.sources.load import mask_path, root_of
    from ..formats.exchange import export_masks

    path = mask_path(masks)
    found = MaskSet.read(path)
    try:
        folder = root_of(found, root, path.parent)
    except InputError:
        if root is not None:
            raise
        folder = None
    if folder is not None and form in ("labelme", "label-studio") and root is None:
        from ...datasets.stimuli import Stimuli

        try:
            Stimuli(folder, tuple(found.images)).path(found.images[0])
        except (InputError, IndexError):
            notes.print("the images are not found, so the files do not point to them (--root)")
            folder = None
    with notes.status(f"writing {output}"):
        lost = export_masks(found, output, form, folder)
    notes.print(f"{output}: {len(found.annotations)} regions as {form}", markup=False)
    if form == "label-studio":
        notes.print(f"{output.with_suffix('.xml')}: the labelling interface", markup=False)
    for text in lost:
        notes.print(f"left out: {text}", markup=False)


def total(changes: Mapping[str, Counter[str]]) -> Counter[str]:
    """Return the changes of all images together."""
    return sum(changes.values(), Counter())


def changes_text(changes: Mapping[str, int]) -> str:
    """Return the counts of what changed in words."""
    words = [
        f"{changes[name]} {name}"
        for name in ("added", "removed", "relabelled", "reshaped")
        if changes.get(name)
    ]
    return ", ".join(words) or "nothing changed"


def parse_pairs(option: str, text: str) -> dict[str, str]:
    """Return the pairs of an option like ``theirs=ours,theirs=ours``."""
    pairs = [[part.strip() for part in pair.split("=")] for pair in text.split(",") if pair.strip()]
    for pair in pairs:
        if len(pair) != 2 or not all(pair):
            raise InputError(f"{option} {'='.join(pair)!r}: expected THEIRS=OURS")
    return dict(pairs)  # type: ignore[arg-type]

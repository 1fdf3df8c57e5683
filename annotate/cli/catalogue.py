"""The commands of ``annotate`` that list published data sets, and fetch them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...datasets.errors import InputError
from ...terminal.console import notes, print_data
from ...terminal.progress import progress
from ...terminal.tables import plain_table

if TYPE_CHECKING:
    from ...datasets.catalogue.cards import Card, PublishedFile

app = typer.Typer()

_COLUMNS = ("images", "subjects", "seconds", "px/deg", "task", "licence", "read")


@app.command(epilog="Example: [bold]annotate datasets mit1003[/bold]")
def datasets(
    name: Annotated[
        str | None,
        typer.Argument(metavar="DATASET", help="Show everything that is known of this one."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """List published data sets of gaze: images, subjects, task, licence, and what is read."""
    from ...datasets.catalogue.cards import card_of, cards

    chosen = [card_of(name)] if name else list(cards().values())
    if as_json:
        print_data(json.dumps([card.model_dump() for card in chosen], ensure_ascii=False))
    elif name:
        print_data("\n".join(_card(chosen[0])))
    else:
        table = plain_table("Published data sets", "name", _COLUMNS)
        for card in chosen:
            numbers = ("images", "subjects", "seconds", "px_per_degree")
            licence = card.text("licence").partition(":")[0]
            read = {"seen": "yes", "built": "yes *", "no": "no"}[card.reads]
            table.add_row(card.name, *map(card.text, numbers), card.task, licence, read)
        print_data(table)
        notes.print(
            "~ not checked against the data; – not known; * not yet seen with the real files.\n"
            "annotate fetch DATASET downloads one; annotate cluster DATASET reads it."
        )


def _card(card: Card) -> list[str]:
    """Return all that is known of a data set, a line each."""
    from ...datasets.catalogue.cards import READS

    lines = [
        f"{card.name}: {card.title}",
        f"images: {card.text('images')}, {card.text('size')} px",
        f"subjects: {card.text('subjects')}, {card.task}, {card.text('seconds')} s",
        f"pixels per degree: {card.text('px_per_degree')}",
        f"licence: {card.text('licence')}",
        f"please cite: {card.citation}",
        f"read: {READS[card.reads]}",
        *(f"note: {quirk}" for quirk in card.quirks),
        *([f"asked for at {card.form}"] if card.form else []),
        *(f"file: {_file(one)}" for one in card.files),
    ]
    if card.unverified:
        lines.append("~ not checked against the data or its page")
    return lines


def _file(file: PublishedFile) -> str:
    hashes = [f"MD5 {file.md5}"] if file.md5 else []
    hashes += [f"SHA-256 {file.sha256}"] if file.sha256 else []
    words = [file.name, *(hashes or ["no hash"]), file.url or "no address", *file.mirrors]
    return ", ".join([*words, *(["optional"] if file.optional else [])])


@app.command(
    epilog="Example: [bold]annotate fetch sample --root sample[/bold]\n\n"
    "A published data set: [bold]annotate fetch toronto[/bold]"
)
def fetch(
    name: Annotated[
        str,
        typer.Argument(metavar="DATASET", help="sample, or a data set of annotate datasets."),
    ],
    root: Annotated[
        Path | None, typer.Option(help="Folder to store it in (default: the user's data folder).")
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="FOLDER|URL",
            help="Take the files from this folder, or from below this address.",
        ),
    ] = "",
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--file", help="Fetch this file only (as named by annotate datasets DATASET)."
        ),
    ] = None,
) -> None:
    """Download a data set, or resume a download; every file is verified.

    [bold]sample[/bold] needs no network: eight photographs from installed packages, with masks
    drawn by hand and simulated gaze.
    """
    from ...datasets.catalogue.cards import card_of
    from ...datasets.sources.load import PUBLISHED, default_root
    from ...datasets.sources.published import RECORD, fetch_published, terms

    if name == "sample":
        _write_sample(root or default_root(name), source, only)
        return
    card = card_of(name)
    root = root or default_root(name)
    if name in PUBLISHED:
        if only:
            raise InputError(f"--file: {name} is fetched as a whole")
        local = bool(source) and not source.startswith(("http://", "https://"))
        if local and not Path(source).is_dir():
            raise InputError(f"{source}: no such folder")
        notes.print(terms(card))
        count, new = _fetch_description(name, root, source)
    else:
        new = fetch_published(card, root, source, only or (), progress)
        count = len(only) if only else sum(not one.optional for one in card.files)
        notes.print(f"hashes: {root / RECORD}")
    notes.print(f"{root}: {count} files, {new} of them new")


def _write_sample(root: Path, source: str, only: list[str] | None) -> None:
    from ...datasets.sources.sample import write_sample

    if source or only:
        raise InputError("sample comes with the installation and takes no --from or --file")
    write_sample(root)
    notes.print(f"{root}: 8 images, masks.json, SIMULATED fixations")


def _fetch_description(name: str, root: Path, source: str) -> tuple[int, int]:
    """Fetch a data set whose files are published one by one; return how many, and new ones."""
    from ...datasets.sources.fetch import copy, download
    from ...datasets.sources.load import PUBLISHED

    description = PUBLISHED[name]
    if source and not source.startswith(("http://", "https://")):
        new = copy(description, root, Path(source), progress)
    else:
        base = f"{source.rstrip('/')}/" if source else None
        new = download(description, root, base, progress)
    return len(description.files()), new

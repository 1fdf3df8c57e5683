"""The command of ``annotate`` that lists published data sets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ...terminal.console import notes, print_data
from ...terminal.tables import plain_table

if TYPE_CHECKING:
    from ...datasets.catalogue.cards import Card

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
            "What is not read can be used as a folder of images with a table: annotate gaze."
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
        *(f"file: {one.name}, MD5 {one.md5}, {one.url or 'no address'}" for one in card.files),
    ]
    if card.unverified:
        lines.append("~ not checked against the data or its page")
    return lines

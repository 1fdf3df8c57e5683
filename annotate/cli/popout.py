"""The command of ``annotate`` that makes search arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...datasets.errors import InputError
from ...terminal.console import notes
from ...terminal.progress import progress

app = typer.Typer()


@app.command(epilog="Example: [bold]annotate popout -o popout/ --sheet popout.png[/bold]")
def popout(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the arrays.")],
    count: Annotated[
        int, typer.Option("--count", "-n", help="Number of arrays with a target.")
    ] = 80,
    features: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated features, or all (default: every preattentive feature)."
        ),
    ] = None,
    contrast: Annotated[
        str, typer.Option(help="Strengths of the target's difference, above 0 and at most 1.")
    ] = "0.2,0.4,0.6,0.8,1",
    items: Annotated[str, typer.Option(help="Numbers of items per array to draw from.")] = (
        "16,24,35,48"
    ),
    layout: Annotated[str, typer.Option(help="Layouts to draw from: grid, jittered, random.")] = (
        "grid,jittered,random"
    ),
    size: Annotated[
        str, typer.Option(help="Size of an array, WIDTHxHEIGHT in pixels.")
    ] = "800x600",
    catch: Annotated[int, typer.Option(help="Number of additional arrays without a target.")] = 0,
    seed: Annotated[
        int, typer.Option(min=0, help="Random seed; the same seed gives the same bytes.")
    ] = 0,
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Also draw a contact sheet to this file (.png, .jpg, .pdf)."
        ),
    ] = None,
) -> None:
    """Make search arrays in which one item stands out, with the mask of every item.

    popout.json in the folder holds the masks of the target and the distractors. Features that do
    not pop out (conjunction, t-among-l) are made only if named.
    """
    from ..popout.arrays import Arrays, write_arrays
    from ..popout.features import FEATURES
    from ..popout.sheet import write_sheet

    width, height = _numbers("--size", size.lower().replace("×", "x"), int, "x", 2)
    chosen = {} if features is None else {"features": _words(features)}
    if features == "all":
        chosen = {"features": tuple(FEATURES)}
    arrays = Arrays(
        count,
        contrasts=_numbers("--contrast", contrast, float),
        items=_numbers("--items", items, int),
        layouts=_words(layout),  # type: ignore[arg-type]
        width=width,
        height=height,
        catch=catch,
        seed=seed,
        **chosen,
    )
    masks = write_arrays(arrays, output, progress)
    notes.print(f"{output / 'popout.json'}: {len(masks.images)} arrays")
    if sheet is not None:
        write_sheet(masks, output, sheet)
        notes.print(f"contact sheet: {sheet}")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _numbers(option: str, text: str, kind: type, between: str = ",", count: int = 0) -> tuple:
    try:
        numbers = tuple(kind(part) for part in text.split(between) if part.strip())
    except ValueError as error:
        raise InputError(f"{option} {text!r}: expected numbers") from error
    if not numbers or (count and len(numbers) != count):
        raise InputError(f"{option} {text!r}: expected {count or 'some'} numbers")
    return numbers

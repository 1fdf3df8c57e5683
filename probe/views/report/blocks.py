"""A terminal view's tables and lines as plain data, which the pages' templates lay out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Span, Text

from ....datasets.texts import minus, printable


@dataclass(frozen=True)
class Piece:
    """Some words of one look: of the classes ``strong``, ``quiet``, ``up``, ``down``."""

    text: str
    look: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its lines, and from 0 to 10 how strong its colour is."""

    lines: list[list[Piece]]
    shade: int | None = None


@dataclass(frozen=True)
class Block:
    """A table, or some lines of text where it has no rows.

    Attributes
    ----------
    title : str
    columns : list of str
        Their headings; empty for a table of names and values.
    rows : list of list of Cell
    apart : list of bool
        Whether a row stands below a line.
    lines : list of list of Piece
        Of a text.
    look : str
        Of a text: ``strong``, ``quiet`` or nothing.
    """

    title: str = ""
    columns: list[str] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)
    apart: list[bool] = field(default_factory=list)
    lines: list[list[Piece]] = field(default_factory=list)
    look: str = ""


def blocks_of(view: RenderableType) -> Iterator[Block]:
    """Yield the tables and texts of a terminal view, in its order.

    Parameters
    ----------
    view : Group, Table, Text or str
        Anything else is no part of our views.
    """
    if isinstance(view, Group):
        for part in view.renderables:
            yield from blocks_of(part)
    elif isinstance(view, Table):
        yield _table(view)
    else:
        text = _text(view)
        if text.plain.strip():
            yield Block(lines=_lines(text), look=_look(text.style))


def _table(table: Table) -> Block:
    columns = [_text(column.header).plain.replace("\n", " ") for column in table.columns]
    cells = [
        [_cell(_text(one), name=not place) for one in column.cells]
        for place, column in enumerate(table.columns)
    ]
    below = [False, *(row.end_section for row in table.rows)]
    if below[1:]:
        below.pop()
    return Block(
        title=printable(_text(table.title or "").plain.strip()),
        columns=[printable(name) for name in columns] if table.show_header else [],
        rows=[list(row) for row in zip(*cells, strict=True)],
        apart=below[: len(table.rows)],
    )


def _text(value: RenderableType) -> Text:
    return value if isinstance(value, Text) else Text(str(value))


def _cell(text: Text, *, name: bool) -> Cell:
    styles = [text.style, *(span.style for span in text.spans)]
    shades = [one.meta["shade"] for one in styles if isinstance(one, Style) and "shade" in one.meta]
    lines = _lines(text)
    if not name:
        lines = [[Piece(minus(piece.text), piece.look) for piece in line] for line in lines]
    return Cell(lines, shades[0] if shades else None)


def _lines(text: Text) -> list[list[Piece]]:
    """Split a text into lines of pieces of one look."""
    lines: list[list[Piece]] = [[]]
    spans = sorted(text.spans, key=lambda span: span.start)
    cuts = sorted({0, len(text.plain), *(end for span in spans for end in span[:2])})
    for start, end in pairwise(cuts):
        look = _look(text.style, *(one.style for one in spans if _covers(one, start)))
        for place, part in enumerate(text.plain[start:end].split("\n")):
            if place:
                lines.append([])
            if part:
                lines[-1].append(Piece(printable(part), look))
    return [line for line in lines if line] or [[]]


def _covers(span: Span, place: int) -> bool:
    return span.start <= place < span.end


def _look(*styles: str | Style) -> str:
    """Return the classes of a style; a shaded cell shows its colour as a whole."""
    parsed = [Style.parse(one) if isinstance(one, str) else one for one in styles]
    looks = {"strong": any(one.bold for one in parsed), "quiet": any(one.dim for one in parsed)}
    names = [one.color.name for one in parsed if one.color]
    looks |= {"up": "green" in names, "down": "red" in names}
    return " ".join(name for name, found in looks.items() if found)

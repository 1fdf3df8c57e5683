"""Filling a table so that its first drawing has room for every cell."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import DataTable


def fill(
    table: DataTable,
    columns: Sequence[Text],
    rows: Sequence[Sequence[Text]],
    keys: Sequence[str] | None = None,
) -> None:
    """Replace a table's content.

    Textual measures new rows only when it is idle, and may draw them before that, cut to the
    widths of the old ones.

    Parameters
    ----------
    table : DataTable
    columns : sequence of Text
        Headers, of one or more lines.
    rows : sequence of sequences of Text
        Cells of one line, one for each column.
    keys : sequence of str, optional
        Keys of the rows.
    """
    table.clear(columns=True)
    for place, header in enumerate(columns):
        cells = [*header.split(), *(row[place] for row in rows)]
        table.add_column(header, width=max(cell.cell_len for cell in cells))
    table.header_height = max((len(header.split()) for header in columns), default=1)
    for place, row in enumerate(rows):
        table.add_row(*row, key=keys[place] if keys else None)

"""Empty tables in this project's style."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.table import Table


def plain_table(title: str, first: str, columns: Iterable[str]) -> Table:
    """Return an empty table with names in the first column and numbers in the others."""
    table = Table(
        title=f"\n{title}",
        title_justify="left",
        title_style="italic",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column(first, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def category_table(title: str, first: str, categories: Iterable[str]) -> Table:
    """Return an empty table with a column for each category, one word of its name per line."""
    return plain_table(title, first, (name.replace(" ", "\n") for name in categories))

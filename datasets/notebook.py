"""How objects appear in a notebook."""

from collections.abc import Iterable, Sequence
from html import escape


def printable(text: object) -> str:
    """Return a text with control characters (a terminal would obey them) as their escapes."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in str(text))


def html_table(title: str, header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return an HTML table with a title line above it, all text escaped.

    Parameters
    ----------
    title : str
    header : sequence
        The column names; empty for no header.
    rows : iterable of sequence
        The first cell of each is the row's name.
    """
    head = "".join(f'<th scope="col">{escape(printable(name))}</th>' for name in header)
    lines = [f"<tr>{head}</tr>"] if head else []
    for name, *values in rows:
        cells = "".join(f"<td>{escape(printable(value))}</td>" for value in values)
        lines.append(f'<tr><th scope="row">{escape(printable(name))}</th>{cells}</tr>')
    return f"<p>{escape(printable(title))}</p><table>{''.join(lines)}</table>"

"""Names from files as text, wherever they are shown: they never become markup or commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# Controls but for tab and line feed, marks that reverse the direction, and lone surrogates.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
_HYPHEN = re.compile(r"(?<![\w.-])-(?=\.?\d)")
_LATEX = {"\\": r"\textbackslash ", "~": r"\textasciitilde ", "^": r"\textasciicircum "}
_LATEX |= {one: f"\\{one}" for one in "&%$#_{}"}


def printable(text: object) -> str:
    """Return a text with control characters (a terminal would obey them) as their escapes."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in str(text))


def harmless(text: str) -> str:
    r"""Return text that a terminal only shows: what it would obey becomes JSON's ``\u001b``.

    JSON stays JSON with the same content; tabs and line feeds are kept.
    """
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def as_cell(value: object) -> object:
    """Return a CSV cell that no spreadsheet takes for a formula: such a text gets a ``'``."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def of_cell(text: str) -> str:
    """Return the text that `as_cell` made a cell of."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def csv_of(frame: pd.DataFrame) -> str:
    """Return a data frame as CSV without its index; texts are never formulas."""
    safe = frame.copy()
    for place, kind in enumerate(safe.dtypes):
        if kind.kind not in "iufb":
            safe.isetitem(place, list(map(as_cell, safe.iloc[:, place])))
    return safe.set_axis([as_cell(name) for name in frame.columns], axis=1).to_csv(index=False)


def latex_text(text: object) -> str:
    """Return a text for LaTeX, on one line and with its special characters escaped."""
    return "".join(_LATEX.get(one, one) for one in printable(text))


def markdown_text(text: object) -> str:
    """Return a text for a cell of a Markdown table: no markup, HTML or links."""
    plain = escape(printable(text), quote=False)
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", plain)


def figure_text(text: object) -> str:
    """Return a text for matplotlib, which would take what is between two ``$`` for a formula."""
    return printable(text).replace("$", r"\$")


def minus(text: str) -> str:
    """Return a text with a minus sign wherever a hyphen begins a number: for pages and figures."""
    return _HYPHEN.sub("\N{MINUS SIGN}", text)


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

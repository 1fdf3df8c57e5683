"""Tables of text as programs of the world write them: encoding, delimiter, comments, decimals."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import read_bytes
from .process import check_file

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_DELIMITERS = {"\t": "tabs", ";": "semicolons", ",": "commas"}
_COMMENT = ("#", "**", "%", "//")
_MISSING = ("", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "<na>", ".", "-", "1.#qnan")
_PREAMBLE = 200  # lines in which the header is looked for
_SCRAP = re.compile(r"[\W_]+")


class Unrecognised(InputError):
    """A table whose form is not known."""


def key(name: str) -> str:
    """Return a column's name without case, spaces, signs and underscores."""
    return _SCRAP.sub("", name.casefold())


def decoded(path: Path) -> tuple[str, str]:
    """Return a file's text, and its encoding in words.

    UTF-8 and UTF-16 are recognised, with or without a byte order mark; what is neither is read as
    Windows-1252.

    Raises
    ------
    InputError
        If it is missing, empty or too large, or no text.
    """
    check_file(path)
    content = read_bytes(path)
    for mark, codec, name in _MARKS:
        if content.startswith(mark):
            return _as(path, content, codec), name
    head = content[:2000]
    for codec, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        if zeros and zeros.count(0) > 0.4 * len(zeros):
            return _as(path, content, codec), "UTF-16"
    try:
        return content.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        return _as(path, content, "cp1252"), "Windows-1252"


def _as(path: Path, content: bytes, codec: str) -> str:
    try:
        return content.decode(codec)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no text: byte {error.start} is not {codec}") from error


@dataclass(frozen=True)
class Sheet:
    """A table of text whose header was found.

    Attributes
    ----------
    path : Path
    encoding, delimiter : str
        The encoding in words.
    header : list of str
    lines : list of str
        The file's.
    start : int
        Index of the first line below the header.
    comments : int
        Lines before and below it that hold no row.
    """

    path: Path
    encoding: str
    delimiter: str
    header: list[str]
    lines: list[str]
    start: int
    comments: int

    def column(self, name: str) -> int | None:
        """Return the place of a column, by its name or its `key`.

        Raises
        ------
        InputError
            If two columns have it.
        """
        found = [k for k, one in enumerate(self.header) if one == name]
        found = found or [k for k, one in enumerate(self.header) if key(one) == key(name)]
        if len(found) > 1:
            raise InputError(f"{self.path}: column {self.header[found[0]]!r} occurs twice")
        return found[0] if found else None

    def rows(self, columns: Sequence[int]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield each row's line, counted from 1, and the cells of some columns.

        Raises
        ------
        InputError
            If a row has more cells than the header, or lacks one that is asked for.
        """
        numbers: list[int] = []
        known: dict[str, str] = {}  # a repeated text takes room once

        def counted() -> Iterator[str]:
            for number, line in self._kept():
                numbers.append(number)
                yield line

        last, width = max(columns, default=0), len(self.header)
        for cells in csv.reader(counted(), delimiter=self.delimiter):
            number = numbers[0] if numbers else 0
            numbers.clear()
            if not any(cells):
                continue
            if len(cells) <= last or any(cell.strip() for cell in cells[width:]):
                if not any(cell.strip() for cell in cells):
                    continue
                raise InputError(
                    f"{self.path}: line {number} has {len(cells)} cells, the header {width}"
                )
            yield (
                number,
                tuple(known.setdefault(one, one.strip()) for one in (cells[k] for k in columns)),
            )

    def _kept(self) -> Iterator[tuple[int, str]]:
        for k in range(self.start, len(self.lines)):
            if not _is_comment(self.lines[k]):
                yield k + 1, self.lines[k] + "\n"

    def numbers(self, name: str, cells: Sequence[str], lines: Sequence[int]) -> np.ndarray:
        """Return cells as float64, NaN where missing.

        A comma is the decimal sign unless it is the delimiter.

        Raises
        ------
        InputError
            If a cell is no number, or some cells have a decimal comma and others a point.
        """
        different = dict.fromkeys(cells)
        comma = {one for one in different if self.delimiter != "," and "," in one}
        point = {one for one in different if "." in one and one.lower() not in _MISSING}
        if comma and point:
            rarer = min(comma, point, key=lambda some: sum(map(some.__contains__, cells)))
            line = lines[next(k for k, cell in enumerate(cells) if cell in rarer)]
            raise InputError(f"{self.path}: line {line}: {name}: decimal commas and points mixed")
        values: dict[str, float] = {}
        for one in different:
            try:
                text = one.replace(",", ".") if one in comma else one
                values[one] = np.nan if text.lower() in _MISSING else float(text)
            except ValueError as error:
                place = f"{self.path}: line {lines[cells.index(one)]}"
                raise InputError(f"{place}: {name} is {one!r:.60}, expected a number") from error
        return np.array([values[cell] for cell in cells], dtype=np.float64)

    def says(self, decimal_commas: bool) -> str:
        """Return in words how the text is written."""
        words = [self.encoding, _DELIMITERS[self.delimiter]]
        words += ["decimal commas"] if decimal_commas else []
        words += [f"{self.comments} other lines"] if self.comments else []
        return ", ".join(words)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(_COMMENT)


def open_sheet(
    path: Path,
    text: str,
    encoding: str,
    known: Callable[[set[str]], object],
    asked: Sequence[str] = ("image", "subject", "x", "y"),
) -> Sheet:
    """Find a table's header: the first line whose columns are known.

    Parameters
    ----------
    path : Path
    text, encoding : str
        As `decoded` returns them.
    known : callable
        Whether a set of columns' keys is that of a known form.
    asked : sequence of str
        What columns a table of no program's has to have.

    Raises
    ------
    Unrecognised
        If no line is known; the message shows the first line's columns.
    """
    lines = re.split("\r\n|\r|\n", text)
    first: list[str] = []
    for index, line in enumerate(lines[:_PREAMBLE]):
        if not line.strip() or _is_comment(line):
            continue
        splits = [next(csv.reader([line], delimiter=sign), []) for sign in _DELIMITERS]
        first = first or max(splits, key=len)
        for sign, cells in zip(_DELIMITERS, splits, strict=True):
            if known({key(cell) for cell in cells}):
                header = [cell.strip().lstrip("\ufeff") for cell in cells]
                body = sum(map(_is_comment, lines[index + 1 :]))
                above = sum(bool(one.strip()) for one in lines[:index])
                return Sheet(path, encoding, sign, header, lines, index + 1, body + above)
    raise Unrecognised(unrecognised(f"{path}", encoding, first, asked))


def unrecognised(place: str, encoding: str, header: Sequence[str], asked: Sequence[str]) -> str:
    """Return in words that a table's form is not known."""
    what = "gaze samples" if "time" in asked else "fixations"
    names = ",".join(f"{part}=NAME" for part in asked)
    there = ", ".join(cell.strip() for cell in header[:40])
    return (
        f"{place}: not a known table of {what} ({encoding}): --columns {names} names its columns; "
        f"there are {there}"
    )

"""Reading any export that `exports.toml` describes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..readers.text import Sheet, decoded, key, open_sheet
from .exports import Export, Names, exports, name_in
from .rows import NOWHERE, Rows
from .strict import REQUIRED

PLAIN_NAME = "a table of fixations"
_SAMPLES = (
    "holds raw samples, and fixations are not detected here: export fixations, or detect them "
    "with pymovements and give its events"
)


def read_table(path: Path, columns: Mapping[str, str], folder: Path | None = None) -> Rows:
    """Read an eye tracker's export, or a table whose columns are called as usual.

    Parameters
    ----------
    path : Path
    columns : mapping
        Maps our names to the table's, where they are not the export's.
    folder : Path, optional
        The folder that was given, if the file is one of many in it.

    Raises
    ------
    InputError
        If it is not recognised, ambiguous, or malformed.
    """
    usual, known = exports()
    given = tuple(columns[part] for part in REQUIRED if part in columns)
    free = [part for part in REQUIRED if part not in columns]
    plain = Export(name=PLAIN_NAME, marks=given, unit="image pixels")

    def form(keys: set[str]) -> Export | None:
        for export in known:
            if export.recognises(keys):
                return export
        names = (getattr(usual, part) for part in free)
        is_plain = plain.recognises(keys) and all(keys & set(map(key, one)) for one in names)
        return plain if is_plain else None

    sheet = open_sheet(path, *decoded(path), form)
    export = form({key(name) for name in sheet.header})
    assert export is not None
    if export.refused or export.samples:
        raise InputError(f"{path}: {export.name}: {export.refused or _SAMPLES}")
    return _Table(sheet, export, columns, folder).rows()


class _Table:
    """One table, and which of its columns are what."""

    def __init__(
        self, sheet: Sheet, export: Export, columns: Mapping[str, str], folder: Path | None
    ) -> None:
        self.sheet, self.export, self.folder = sheet, export, folder
        self.own: dict[str, int] = {}
        for part in ("image", "subject", "x", "y", "duration", "eye"):
            place = self._place(part, columns.get("duration_ms" if part == "duration" else part))
            if place is not None:
                self.own[part] = place
        for part in ("image", "subject"):
            if part not in self.own and not self._constant(part):
                raise InputError(self._lacks(part))
        for part in ("x", "y"):
            if part not in self.own:
                raise InputError(self._lacks(part))

    def _lacks(self, part: str) -> str:
        if part == "subject" and self.export.subject_from_folder:
            return (
                f"{self.sheet.path}: tells no subject: give the folder that holds a folder for "
                "each subject"
            )
        there = ", ".join(self.sheet.header[:40])
        return (
            f"{self.sheet.path}: {self.export.name}: no column for {part} "
            f"(--columns {part}=NAME names one); there are {there}"
        )

    def _place(self, part: str, given: str | None) -> int | None:
        """Return the column of one of our names, if there is one."""
        path = self.sheet.path
        if given is not None:
            place = self.sheet.column(given)
            if place is None:
                raise InputError(f"{path}: no column {given!r} for {part}")
            return place
        own: Names = getattr(self.export, part)
        if own:
            return self._first(own)
        if self._constant(part):
            return None
        usual: Names = getattr(exports()[0], part)
        there = {self.sheet.column(name) for name in usual} - {None}
        if len(there) > 1 and part != "eye":
            a, b = sorted(self.sheet.header[place] for place in there if place is not None)[:2]
            option = "duration_ms" if part == "duration" else part
            raise InputError(
                f"{path}: {part} may be {a!r} or {b!r}: --columns {option}=NAME says which"
            )
        return min((place for place in there if place is not None), default=None)

    def _first(self, names: Names) -> int | None:
        return next((k for k in map(self.sheet.column, names) if k is not None), None)

    def _constant(self, part: str) -> str:
        """Return the image or subject that all rows have, or "" if a column says."""
        path, export = self.sheet.path, self.export
        if part == "image":
            return export.image_is or name_in(export.image_from_file, path.stem)
        if part == "subject":
            named = name_in(export.subject_from_file, path.stem)
            if export.subject_from_folder and self.folder is not None:
                below = path.relative_to(self.folder).parts
                named = below[0] if len(below) > 1 else ""
            return named
        return ""

    def rows(self) -> Rows:
        """Read the rows that are fixations."""
        sheet, export = self.sheet, self.export
        kind = None if export.row is None else self._first(export.row.column)
        shared = [sheet.column(name) for name in export.fixation]
        shown = [self._first(names) for names in export.shown or ()]
        screen = [self._first(names) for names in export.screen or ()]
        asked = [*self.own.values(), kind, *shared, *shown, *screen]
        columns = sorted({place for place in asked if place is not None})
        at = {place: k for k, place in enumerate(columns)}
        total, lines, cells = 0, [], []
        for line, row in sheet.rows(columns):
            total += 1
            if export.row is None or kind is None or export.row.holds(row[at[kind]]):
                lines.append(line)
                cells.append(row)
        if not total:
            raise InputError(f"{sheet.path}: the table has no rows")

        def texts(part: str) -> list[str]:
            constant = self._constant(part)
            if part not in self.own:
                return [constant] * len(cells)
            return [row[at[self.own[part]]] for row in cells]

        def numbers(place: int) -> np.ndarray:
            return sheet.numbers(sheet.header[place], [row[at[place]] for row in cells], lines)

        image, subject, eye = texts("image"), texts("subject"), texts("eye")
        image = ["" if name.lower() in (".", "-", "n/a") else name for name in image]
        x, y = numbers(self.own["x"]), numbers(self.own["y"])
        duration = np.full(len(cells), np.nan)
        if "duration" in self.own:
            duration = numbers(self.own["duration"]) * (1000 if export.duration_unit == "s" else 1)
        where = np.full((len(cells), 4), np.nan)
        if shown and None not in shown:
            where = np.column_stack([numbers(place) for place in shown if place is not None])
        size = self._screen([numbers(place) for place in screen if place is not None])
        if export.fixation:
            marks = [at[place] for place in shared if place is not None]
            keys = [
                (who, *(row[k] for k in marks)) for who, row in zip(subject, cells, strict=True)
            ]
            first, which = _groups(keys)
            x, y, duration = (_one_each(one, which, export.position) for one in (x, y, duration))
            image, subject, eye = ([one[k] for k in first] for one in (image, subject, eye))
            lines, where = [lines[k] for k in first], where[first]
        return Rows(
            form=f"{sheet.path}: {export.name}",
            said=self._said(cells, at),
            total=total,
            export=export,
            places=[(sheet.path, line) for line in lines],
            image=image,
            subject=subject,
            eye=eye,
            x=x,
            y=y,
            duration_ms=duration,
            shown=where if len(where) else np.empty((0, len(NOWHERE))),
            centred=np.zeros(len(image), dtype=bool),
            screen=size,
            columns=tuple(sheet.header[self.own[axis]] for axis in ("x", "y")),
        )

    def _screen(self, sides: list[np.ndarray]) -> tuple[float, float] | None:
        """Return the size of the screen, which a file's rows repeat."""
        if len(sides) != 2:
            return None
        sizes = set(zip(*(side.tolist() for side in sides), strict=True))
        known = {pair for pair in sizes if pair[0] == pair[0] and pair[1] == pair[1]}
        if len(known) > 1:
            raise InputError(f"{self.sheet.path}: recorded on screens of different sizes")
        return next(iter(known), None)

    def _said(self, cells: list[tuple[str, ...]], at: Mapping[int, int]) -> list[str]:
        sheet = self.sheet
        places = [at[self.own[axis]] for axis in ("x", "y")]
        commas = sheet.delimiter != "," and any("," in row[k] for row in cells for k in places)
        used = [f"{part}: {sheet.header[place]}" for part, place in self.own.items()]
        used += [
            f"{p}: from the file's place or name" for p in ("image", "subject") if p not in self.own
        ]
        return [f"read as {sheet.says(commas)}", ", ".join(used)]


def _groups(keys: list[tuple]) -> tuple[list[int], np.ndarray]:
    """Return the first row of each fixation, and which fixation each row belongs to."""
    number: dict[tuple, int] = {}
    which = np.array([number.setdefault(one, len(number)) for one in keys], dtype=np.intp)
    first = np.unique(which, return_index=True)[1] if len(which) else np.empty(0, dtype=np.intp)
    return first.tolist(), which


def _one_each(values: np.ndarray, which: np.ndarray, position: str) -> np.ndarray:
    """Return one value for each fixation of several rows; missing ones are passed over."""
    count = int(which.max(initial=-1)) + 1
    made, there = np.full(count, np.nan), ~np.isnan(values)
    values, which = values[there], which[there]
    if position == "mean":
        sums, n = (np.bincount(which, weights=w, minlength=count) for w in (values, None))
        return np.divide(sums, n, out=made, where=n > 0)
    order = slice(None) if position == "last" else slice(None, None, -1)
    made[which[order]] = values[order]  # the last one that is assigned stays
    return made

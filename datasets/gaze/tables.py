"""Reading any export that `exports.toml` describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..readers.text import Sheet, Unrecognised, decoded, key, open_sheet, unrecognised
from .exports import Export, Names, exports, name_in
from .names import milliseconds_said
from .rows import NOWHERE, Rows, together
from .strict import REQUIRED

PLAIN_NAMES = ("a table of fixations", "a table of gaze samples")
_SAMPLES = (
    "holds raw samples: annotate gaze --detect detects their fixations; or export fixations, or "
    "give pymovements' events"
)


def read_table(
    path: Path, columns: Mapping[str, str], folder: Path | None = None, *, samples: bool = False
) -> Rows:
    """Read an eye tracker's export, or a table whose columns are called as usual.

    Parameters
    ----------
    path : Path
    columns : mapping
        Maps our names to the table's, where they are not the export's.
    folder : Path, optional
        The folder that was given, if the file is one of many in it.
    samples : bool
        Read gaze samples instead of fixations.

    Raises
    ------
    InputError
        If it is not recognised, ambiguous, or malformed.
    """

    def form(keys: set[str]) -> Export | None:
        return _form(keys, columns, samples)

    sheet = open_sheet(path, *decoded(path), form, _asked(samples))
    return read_sheet(sheet, columns, folder, samples=samples)


def read_sheet(
    sheet: Sheet, columns: Mapping[str, str], folder: Path | None = None, *, samples: bool = False
) -> Rows:
    """Read a table that is open; see `read_table`."""
    export = _form({key(name) for name in sheet.header}, columns, samples)
    if export is None:
        asked = _asked(samples)
        raise Unrecognised(unrecognised(f"{sheet.path}", sheet.encoding, sheet.header, asked))
    if export.refused or export.samples > samples:
        raise InputError(f"{sheet.path}: {export.name}: {export.refused or _SAMPLES}")
    if export.samples < samples:
        raise InputError(f"{sheet.path}: {export.name}: has no samples to detect fixations in")
    return _Table(sheet, export, columns, folder).rows()


def _asked(samples: bool) -> tuple[str, ...]:
    return (*REQUIRED[:2], "time", *REQUIRED[2:]) if samples else REQUIRED


def _form(keys: set[str], columns: Mapping[str, str], samples: bool) -> Export | None:
    """Return which form a table with some columns has; of samples if these are wanted."""
    usual, known = exports()
    given = tuple(columns[part] for part in REQUIRED if part in columns)
    names = [getattr(usual, part) for part in REQUIRED if part not in columns]
    plain = Export(name=PLAIN_NAMES[samples], marks=given, unit="image pixels", samples=samples)
    is_plain = all(keys & set(map(key, one)) for one in names)
    first = [export for export in known if export.samples or not samples]
    others = [export for export in known if samples and not export.samples]
    forms = (*first, *([plain] if is_plain else []), *others)
    return next((export for export in forms if export.recognises(keys)), None)


class _Table:
    """One table, and which of its columns are what."""

    def __init__(
        self, sheet: Sheet, export: Export, columns: Mapping[str, str], folder: Path | None
    ) -> None:
        self.sheet, self.export, self.folder = sheet, export, folder
        self.own: dict[str, int] = {}
        self.sides = {} if {"x", "y"} & set(columns) else self._sides()
        others = ("time", "eye") if export.samples else ("duration", "eye")
        for part in ("image", "subject", *(() if self.sides else ("x", "y")), *others):
            place = self._place(part, columns.get("duration_ms" if part == "duration" else part))
            if place is not None:
                self.own[part] = place
        for part in ("image", "subject"):
            if part not in self.own and not self._constant(part):
                raise InputError(self._lacks(part))
        for part in (*(() if self.sides else ("x", "y")), *others[:1]):
            if part not in self.own and part != "duration":
                raise InputError(self._lacks(part))

    def _sides(self) -> dict[str, tuple[int, int]]:
        """Return the columns of x and y of each eye, if each has its own."""
        pairs = {"left": self.export.left, "right": self.export.right}
        found = {side: tuple(map(self.sheet.column, pair)) for side, pair in pairs.items() if pair}
        return {side: (x, y) for side, (x, y) in found.items() if x is not None and y is not None}

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
        positions = self.sides or {"": (self.own["x"], self.own["y"])}
        asked = [*self.own.values(), kind, *shared, *shown, *screen, *sum(positions.values(), ())]
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
        seen = {side: tuple(map(numbers, pair)) for side, pair in positions.items()}
        x, y = next(iter(seen.values()))
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
        time = self._times(numbers(self.own["time"])) if "time" in self.own else None
        found = Rows(
            form=f"{sheet.path}: {export.name}",
            said=self._said(cells, at, positions),
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
            columns=tuple(sheet.header[place] for place in next(iter(positions.values()))),
            time_ms=time,
        )
        return self._each_eye(found, seen) if export.samples else found

    def _times(self, values: np.ndarray) -> np.ndarray:
        """Return times in ms, by the unit that the column's name or else the program says."""
        said = milliseconds_said(self.sheet.header[self.own["time"]])
        usual = {"ms": 1.0, "us": 1e-3}[self.export.time_unit]
        return values * (usual if said is None else said)

    def _each_eye(self, found: Rows, seen: Mapping[str, tuple[np.ndarray, ...]]) -> Rows:
        """Return samples eye by eye; of an eye without any position nothing is left."""
        parts = []
        for side, (x, y) in seen.items():
            lost = ~np.isfinite(x + y) | (self.export.zeros_are_lost & (x == 0) & (y == 0))
            x, y = (np.where(lost, np.nan, axis) for axis in (x, y))
            eye = [side] * len(found) if side else found.eye
            parts.append(replace(found, x=x, y=y, eye=eye))
        some = [part for part in parts if not np.isnan(part.x).all()]
        if not some:
            raise InputError(f"{found.form}: no sample has a position")
        return together(some)

    def _screen(self, sides: list[np.ndarray]) -> tuple[float, float] | None:
        """Return the size of the screen, which a file's rows repeat."""
        if len(sides) != 2:
            return None
        sizes = set(zip(*(side.tolist() for side in sides), strict=True))
        known = {pair for pair in sizes if pair[0] == pair[0] and pair[1] == pair[1]}
        if len(known) > 1:
            raise InputError(f"{self.sheet.path}: recorded on screens of different sizes")
        return next(iter(known), None)

    def _said(
        self,
        cells: list[tuple[str, ...]],
        at: Mapping[int, int],
        positions: Mapping[str, tuple[int, int]],
    ) -> list[str]:
        sheet = self.sheet
        places = [at[place] for pair in positions.values() for place in pair]
        commas = sheet.delimiter != "," and any("," in row[k] for row in cells for k in places)
        used = [f"{part}: {sheet.header[place]}" for part, place in self.own.items()]
        used += [
            f"{side} {axis}: {sheet.header[place]}"
            for side, pair in self.sides.items()
            for axis, place in zip("xy", pair, strict=True)
        ]
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

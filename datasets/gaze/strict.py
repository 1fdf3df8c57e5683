"""Our own form of a table of fixations: CSV, TSV or Parquet, read strictly."""

from __future__ import annotations

import io
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError, reading
from ..files import LARGEST, read_bytes
from ..fixations import OPTIONAL, Fixations, pixel
from ..readers.process import check_file
from ..readers.tables import read_parquet
from ..stimuli import Stimuli
from ..texts import of_cell
from .names import Names, unit_said
from .placement import to_image
from .settings import PLAIN, TableFormat
from .understood import Gaze

if TYPE_CHECKING:
    import pandas as pd

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
REQUIRED = ("image", "subject", "x", "y")
MISSING = ("", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "<na>", ".")
"""What stands for a missing number in tables of text, in lower case."""

_MOST_CHARACTERS = 1000


def read_fixations(
    path: Path,
    stimuli: Stimuli,
    px_per_degree: float | None,
    table_format: TableFormat = PLAIN,
    *,
    partly: bool = False,
    table: pd.DataFrame | None = None,
) -> Gaze:
    """Read a table of fixations on given stimuli.

    Images and subjects are read as text: ``001`` and ``NA`` are names. Subjects become integers
    if all are.

    Parameters
    ----------
    path : Path
        A CSV, TSV or Parquet file.
    stimuli : Stimuli
    px_per_degree : float or None
        Pixels in one degree of visual angle; required if positions are in degrees.
    table_format : TableFormat
    partly : bool
        Skip images that are not among the stimuli, instead of refusing them.
    table : DataFrame, optional
        The table, if it was read already; rows are numbered from 0.

    Raises
    ------
    InputError
        If anything is missing or malformed; the message names the file and the row.
    """
    with reading(path):
        return _fixations(Path(path), stimuli, px_per_degree, table_format, partly, table)


def _fixations(
    path: Path,
    stimuli: Stimuli,
    px_per_degree: float | None,
    table_format: TableFormat,
    partly: bool,
    table: pd.DataFrame | None,
) -> Gaze:
    names = {
        name: table_format.columns.get(name, name) for name in (*REQUIRED, "duration_ms", *OPTIONAL)
    }
    frame = _read_table(path, names.values()) if table is None else table
    for name in REQUIRED:
        if names[name] not in frame:
            raise InputError(
                f"{path}: no column {names[name]!r} for {name}; there are "
                f"{', '.join(map(str, frame.columns))} (--columns {name}=NAME maps one)"
            )
    for name in ("duration_ms", *OPTIONAL):
        if name in table_format.columns and names[name] not in frame:
            raise InputError(f"{path}: no column {names[name]!r} for {name}")
    if frame.empty:
        raise InputError(f"{path}: the table has no rows")
    n_rows = len(frame)
    known = Names(stimuli)
    row = _match_images(path, frame[names["image"]], known, partly)
    frame, row = frame[row >= 0], row[row >= 0]
    if frame.empty:
        raise InputError(f"{path}: has none of the {len(stimuli)} images")
    x, y = (_numbers(path, frame, names[axis]) for axis in ("x", "y"))
    height, width = np.array([stimulus.size for stimulus in stimuli])[row].T
    check_units(path, names["x"], names["y"])
    placement = table_format.placement
    if table_format.unit == "px":
        check_pixels(path, x, y)
    if table_format.unit == "deg":
        if placement.given:
            raise InputError(f"{path}: degrees from the image's centre take no --screen")
        if px_per_degree is None:
            raise InputError(f"{path}: fixations in degrees need --px-per-degree")
        x = x * px_per_degree + (width - 1) / 2
        y = y * px_per_degree + (height - 1) / 2
    elif placement.given:
        try:
            left, top, *shown = placement.rectangles(width, height).T
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        x = to_image(x, left, shown[0], width)
        y = to_image(y, top, shown[1], height)
    with np.errstate(invalid="ignore"):
        valid = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    if not valid.all() and not table_format.drop_invalid:
        first = int(np.flatnonzero(~valid)[0])
        image = f"{width[first]}×{height[first]} image"
        what = f"({x[first]:g}, {y[first]:g}) px is outside its {image}"
        if np.isnan(x[first] + y[first]):
            what = "has no coordinates"
        raise InputError(
            f"{path}: row {frame.index[first] + 1}: the fixation {what} "
            f"({int((~valid).sum())} such fixations in total; annotate cluster "
            "--drop-invalid leaves them out)"
        )
    duration = np.full(len(frame), np.nan)
    if names["duration_ms"] in frame:
        duration = _numbers(path, frame, names["duration_ms"])
    subject = texts_of(path, "subject", frame[names["subject"]])
    if (subject == "").any():
        raise InputError(f"{path}: row {frame.index[(subject == '').argmax()] + 1}: no subject")
    whole = all(is_whole(name) for name in set(subject.tolist()))
    try:
        fixations = Fixations(
            image_id=np.array([stimulus.id for stimulus in stimuli])[row],
            subject=subject.astype(np.int64) if whole else subject,
            x=pixel(np.nan_to_num(x)),
            y=pixel(np.nan_to_num(y)),
            duration_ms=duration,
            **{
                name: _numbers(path, frame, names[name])
                for name in OPTIONAL
                if names[name] in frame
            },
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    used = [f"{name}: {theirs}" for name, theirs in names.items() if theirs in frame]
    said = [f"columns {', '.join(used)} ({'degrees' if table_format.unit == 'deg' else 'pixels'})"]
    said += [str(placement)] if placement.given else []
    said += known.said()
    none = int(np.isnan(x + y).sum())
    counts = {"without a position": none, "outside their image": int((~valid).sum()) - none}
    return Gaze(
        *(
            fixations.leave_out(~valid),
            f"{path}: a table of fixations",
            tuple(said),
            n_rows,
            len(frame),
        ),
        dropped={reason: count for reason, count in counts.items() if count},
    )


def _read_table(path: Path, wanted: Collection[str]) -> pd.DataFrame:
    """Return a table, numbered from 0; a column of a text file holds texts, "" where missing.

    Of a Parquet file only the wanted columns are read, and of the others the names.
    """
    import pandas as pd

    suffix = path.suffix.lower()
    check_file(path)
    if suffix not in TABLE_SUFFIXES:
        raise InputError(f"{path}: expected a {', '.join(TABLE_SUFFIXES)} file")
    if suffix == ".parquet":
        return read_parquet(path, wanted)
    content = io.BytesIO(read_bytes(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # pandas drops what is beyond the header's columns
            table = pd.read_csv(
                content,
                sep="\t" if suffix == ".tsv" else ",",
                header=None,
                index_col=False,
                dtype=str,
                keep_default_na=False,
                encoding="utf-8-sig",
            )
    except Exception as error:  # pandas raises almost anything
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a readable table ({reason:.150})") from error
    header = table.iloc[0].tolist()
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise InputError(f"{path}: column {twice[0]!r} occurs twice")
    return table.iloc[1:].set_axis(header, axis=1).reset_index(drop=True)


def texts_of(path: Path, what: str, names: pd.Series) -> np.ndarray:
    """Return names as texts, "" where missing; whole numbers that are no texts lose a ``.0``."""
    import pandas as pd

    if isinstance(names.dtype, pd.CategoricalDtype):  # of which a long text may have many rows
        different, place = names.cat.categories.tolist(), names.cat.codes.to_numpy()
    else:
        different, place = names.tolist(), np.arange(len(names))
    texts = []
    for name in different:
        if isinstance(name, float):
            name = "" if np.isnan(name) else int(name) if name.is_integer() else name
        text = str(name) if isinstance(name, str | int | float) else ""
        texts.append(of_cell(text) if path.suffix.lower() in TABLE_SUFFIXES[:2] else text)
    longest = max(texts, key=len, default="")
    # every cell of an array takes as much
    if len(longest) > _MOST_CHARACTERS or len(longest) * len(place) > LARGEST:
        row = int((place == texts.index(longest)).argmax()) + 1
        raise InputError(f"{path}: row {row}: {what} has {len(longest)} characters")
    return np.array([*texts, ""], dtype=str)[place]  # the code of what is missing is -1


def is_whole(name: str) -> bool:
    """Return whether a text is a whole number as Python writes it: ``1``, but not ``01``."""
    digits = name.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(name) < 16 and str(int(name)) == name


def _match_images(path: Path, names: pd.Series, known: Names, partly: bool) -> np.ndarray:
    """Return each row's index into the stimuli, -1 if none, which is refused unless ``partly``."""
    texts = texts_of(path, "image", names)
    places = {
        name: f"{path}: row {int((texts == name).argmax()) + 1}: image {name!r}"
        for name in dict.fromkeys(texts.tolist())
    }
    if partly:  # another suffix may belong to an image that was left out
        found = {name: known.exact(name, place) for name, place in places.items()}
    else:
        found = known.all(places.items())
    for name, index in found.items():
        if index is None and not partly:
            raise InputError(f"{places[name]} is not in {known.stimuli.root}")
    rows = {name: -1 if index is None else index for name, index in found.items()}
    return np.array([rows[name] for name in texts.tolist()])


def check_units(path: Path, x: str, y: str) -> None:
    """Refuse two columns whose names say different units.

    Raises
    ------
    InputError
    """
    units = unit_said(x), unit_said(y)
    if None not in units and units[0] != units[1]:
        raise InputError(f"{path}: mixed units: {x!r} is in {units[0]}, {y!r} in {units[1]}")


def _numbers(path: Path, frame: pd.DataFrame, column: str) -> np.ndarray:
    import pandas as pd

    numbers = pd.to_numeric(np.asarray(frame[column]), errors="coerce")  # it may be categorical
    values = np.asarray(numbers, dtype=np.float64)
    unknown = np.flatnonzero(np.isnan(values) & frame[column].notna().to_numpy())
    wrong = [k for k in unknown if str(frame[column].iloc[k]).strip().lower() not in MISSING]
    if wrong:
        text, place = frame[column].iloc[wrong[0]], frame.index[wrong[0]] + 1
        raise InputError(f"{path}: row {place}: {column} is {text!r:.60}, expected a number")
    return values


def check_pixels(place: object, x: np.ndarray, y: np.ndarray) -> None:
    """Refuse positions that are all within one pixel: they are in another unit.

    Raises
    ------
    InputError
        If there are ten or more, all from -1 to 1.
    """
    known = ~np.isnan(x + y)
    if known.sum() >= 10 and max(abs(x[known]).max(), abs(y[known]).max()) <= 1:
        raise InputError(
            f"{place}: all {known.sum()} positions lie between -1 and 1: not pixels, but parts of "
            "the screen or the image"
        )

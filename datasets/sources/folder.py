"""Your own data: a folder of images and a table of fixations (CSV, TSV or Parquet)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, FiniteFloat, ValidationError

from ..choices import Unit
from ..errors import InputError, reading
from ..files import LARGEST, read_bytes, read_json
from ..fixations import Fixations, pixel
from ..readers.process import check_file
from ..readers.tables import read_parquet
from ..stimuli import Dataset, Kept, Stimuli

if TYPE_CHECKING:
    import pandas as pd

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
_REQUIRED = ("image", "subject", "x", "y")
_MOST_CHARACTERS = 1000
_MISSING = ("", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "<na>", ".")
"""What stands for a missing number in tables of text, in lower case."""


class FolderDescription(Kept):
    """A folder's optional ``dataset.json``: what its images and table do not say."""

    name: str | None = None
    px_per_degree: FiniteFloat | None = Field(default=None, gt=0)
    simulated: bool = False


@dataclass(frozen=True)
class TableFormat:
    """How to read a table of fixations.

    Attributes
    ----------
    columns : mapping
        Maps our names (``image, subject, x, y, duration_ms``) to the table's, where they differ.
    unit : Unit
        Pixels are 0-based, from the centre of the upper left pixel. Degrees are from the centre
        of the stimulus; x to the right, y downwards.
    drop_invalid : bool
        Drop fixations without coordinates or outside their stimulus, instead of refusing them.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    unit: Unit = "px"
    drop_invalid: bool = False


PLAIN = TableFormat()


def load_folder(
    folder: Path,
    table: Path | None = None,
    px_per_degree: float | None = None,
    table_format: TableFormat = PLAIN,
) -> Dataset:
    """Load a folder of images and their fixations.

    Parameters
    ----------
    folder : Path
        Holds the images, and optionally a ``dataset.json`` (see `FolderDescription`).
    table : Path, optional
        The fixations; by default the folder's ``fixations.csv`` (``.tsv``, ``.parquet``).
    px_per_degree : float, optional
        Required unless ``dataset.json`` gives it.
    table_format : TableFormat

    Raises
    ------
    InputError
        If anything is missing or malformed; the message names the file, the row and the reason.
    """
    folder = Path(folder)
    stimuli = Stimuli.from_folder(folder)
    description = read_description(folder)
    px_per_degree = px_per_degree or description.px_per_degree
    if px_per_degree is None or not px_per_degree > 0:
        raise InputError(
            f"{folder}: pixels per degree unknown; give --px-per-degree (OSIE has 23.7)"
        )
    fixations, dropped = read_fixations(
        table or find_table(folder), stimuli, px_per_degree, table_format
    )
    name = description.name or folder.resolve().name
    return Dataset(name, stimuli, fixations, px_per_degree, description.simulated, dropped)


def read_description(folder: Path) -> FolderDescription:
    """Read a folder's ``dataset.json``; return an empty description if it does not exist.

    Raises
    ------
    InputError
        If it is malformed.
    """
    path = folder / "dataset.json"
    if not path.exists():
        return FolderDescription()
    try:
        return FolderDescription.model_validate(read_json(path))
    except ValidationError as error:
        problem = error.errors()[0]
        raise InputError(
            f"{path}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}"
        ) from error


def find_table(folder: Path) -> Path:
    """Return the path of a folder's table of fixations.

    Raises
    ------
    InputError
        If it has none.
    """
    for suffix in TABLE_SUFFIXES:
        path = folder / f"fixations{suffix}"
        if path.is_file():
            return path
    raise InputError(f"{folder}: no fixations.csv, .tsv or .parquet (--fixations names a table)")


def read_fixations(
    path: Path,
    stimuli: Stimuli,
    px_per_degree: float | None,
    table_format: TableFormat = PLAIN,
    *,
    partly: bool = False,
) -> tuple[Fixations, int]:
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

    Returns
    -------
    fixations : Fixations
    dropped : int
        Number of invalid fixations left out.

    Raises
    ------
    InputError
        If anything is missing or malformed; the message names the file and the row.
    """
    with reading(path):
        return _fixations(Path(path), stimuli, px_per_degree, table_format, partly)


def _fixations(
    path: Path,
    stimuli: Stimuli,
    px_per_degree: float | None,
    table_format: TableFormat,
    partly: bool,
) -> tuple[Fixations, int]:
    names = {name: table_format.columns.get(name, name) for name in (*_REQUIRED, "duration_ms")}
    frame = _read_table(path, names.values())
    for name in _REQUIRED:
        if names[name] not in frame:
            raise InputError(
                f"{path}: no column {names[name]!r} for {name}; there are "
                f"{', '.join(map(str, frame.columns))} (--columns {name}=NAME maps one)"
            )
    if "duration_ms" in table_format.columns and names["duration_ms"] not in frame:
        raise InputError(f"{path}: no column {names['duration_ms']!r} for duration_ms")
    if frame.empty:
        raise InputError(f"{path}: the table has no rows")
    row = _match_images(path, frame[names["image"]], stimuli, partly)
    frame, row = frame[row >= 0], row[row >= 0]
    if frame.empty:
        raise InputError(f"{path}: has none of the {len(stimuli)} images")
    x, y = (_numbers(path, frame, names[axis]) for axis in ("x", "y"))
    height, width = np.array([stimulus.size for stimulus in stimuli])[row].T
    if table_format.unit == "deg":
        if px_per_degree is None:
            raise InputError(f"{path}: fixations in degrees need --px-per-degree")
        x = x * px_per_degree + (width - 1) / 2
        y = y * px_per_degree + (height - 1) / 2
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
    subject = _texts(path, "subject", frame[names["subject"]])
    if (subject == "").any():
        raise InputError(f"{path}: row {frame.index[(subject == '').argmax()] + 1}: no subject")
    whole = all(_is_whole(name) for name in set(subject.tolist()))
    try:
        fixations = Fixations(
            image_id=np.array([stimulus.id for stimulus in stimuli])[row],
            subject=subject.astype(np.int64) if whole else subject,
            x=pixel(np.nan_to_num(x)),
            y=pixel(np.nan_to_num(y)),
            duration_ms=duration,
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return fixations.where(valid), int((~valid).sum())


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


def _texts(path: Path, what: str, names: pd.Series) -> np.ndarray:
    """Return names as texts, "" where missing; whole numbers of a Parquet file lose a ``.0``."""
    import pandas as pd

    if isinstance(names.dtype, pd.CategoricalDtype):  # of which a long text may have many rows
        different, place = names.cat.categories.tolist(), names.cat.codes.to_numpy()
    else:
        different, place = names.tolist(), np.arange(len(names))
    texts = []
    for name in different:
        if isinstance(name, float):
            name = "" if np.isnan(name) else int(name) if name.is_integer() else name
        texts.append(str(name) if isinstance(name, str | int | float) else "")
    longest = max(texts, key=len, default="")
    # every cell of an array takes as much
    if len(longest) > _MOST_CHARACTERS or len(longest) * len(place) > LARGEST:
        row = int((place == texts.index(longest)).argmax()) + 1
        raise InputError(f"{path}: row {row}: {what} has {len(longest)} characters")
    return np.array([*texts, ""], dtype=str)[place]  # the code of what is missing is -1


def _is_whole(name: str) -> bool:
    """Return whether a text is a whole number as Python writes it: ``1``, but not ``01``."""
    digits = name.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(name) < 16 and str(int(name)) == name


def _match_images(path: Path, names: pd.Series, stimuli: Stimuli, partly: bool) -> np.ndarray:
    """Return each row's index into the stimuli, by file name with or without suffix; -1 if none.

    A name that several stimuli have without their suffix is refused.
    """
    index = {stimulus.file_name: i for i, stimulus in enumerate(stimuli)}
    stems: dict[str, list[int]] = {}
    for i, stimulus in enumerate(stimuli):
        stems.setdefault(Path(stimulus.file_name).stem, []).append(i)
    texts = _texts(path, "image", names)
    rows: dict[str, int] = {}
    for name in dict.fromkeys(texts.tolist()):
        found = [index[name]] if name in index else stems.get(name, [])
        place = f"{path}: row {int((texts == name).argmax()) + 1}: image {name!r}"
        if len(found) > 1:
            both = " or ".join(stimuli[i].file_name for i in found[:2])
            raise InputError(f"{place} may be {both}: expected the name with its suffix")
        if not found and not partly:
            raise InputError(f"{place} is not in {stimuli.root}")
        rows[name] = found[0] if found else -1
    return np.array([rows[name] for name in texts.tolist()])


def _numbers(path: Path, frame: pd.DataFrame, column: str) -> np.ndarray:
    import pandas as pd

    numbers = pd.to_numeric(np.asarray(frame[column]), errors="coerce")  # it may be categorical
    values = np.asarray(numbers, dtype=np.float64)
    unknown = np.flatnonzero(np.isnan(values) & frame[column].notna().to_numpy())
    wrong = [k for k in unknown if str(frame[column].iloc[k]).strip().lower() not in _MISSING]
    if wrong:
        text, place = frame[column].iloc[wrong[0]], frame.index[wrong[0]] + 1
        raise InputError(f"{path}: row {place}: {column} is {text!r:.60}, expected a number")
    return values

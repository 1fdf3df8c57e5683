"""Your own data: a folder of images and a table of fixations (CSV, TSV or Parquet)."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, FiniteFloat, ValidationError

from ..choices import Unit
from ..errors import InputError
from ..files import read_bytes
from ..fixations import Fixations, pixel
from ..kept import Kept
from ..stimuli import Dataset, Stimuli

if TYPE_CHECKING:
    import pandas as pd

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
_REQUIRED = ("image", "subject", "x", "y")


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
        return FolderDescription.model_validate(json.loads(read_bytes(path)))
    except ValidationError as error:
        problem = error.errors()[0]
        raise InputError(
            f"{path}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}"
        ) from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})") from error


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
) -> tuple[Fixations, int]:
    """Read a table of fixations on given stimuli.

    Parameters
    ----------
    path : Path
        A CSV, TSV or Parquet file.
    stimuli : Stimuli
    px_per_degree : float or None
        Pixels in one degree of visual angle; required if positions are in degrees.
    table_format : TableFormat

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
    path = Path(path)
    frame = _read_table(path)
    names = {name: table_format.columns.get(name, name) for name in (*_REQUIRED, "duration_ms")}
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
    row = _match_images(path, frame[names["image"]], stimuli)
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
            f"{path}: row {first + 1}: the fixation {what} "
            f"({int((~valid).sum())} such fixations in total; --drop-invalid leaves them out)"
        )
    duration = np.full(len(frame), np.nan)
    if names["duration_ms"] in frame:
        duration = _numbers(path, frame, names["duration_ms"])
    subject = frame[names["subject"]]
    if subject.isna().any():
        raise InputError(f"{path}: row {int(subject.isna().to_numpy().argmax()) + 1}: no subject")
    whole = subject.dtype.kind in "iu"
    try:
        fixations = Fixations(
            image_id=np.array([stimulus.id for stimulus in stimuli])[row],
            subject=np.asarray(subject if whole else subject.astype(str)),
            x=pixel(np.nan_to_num(x)),
            y=pixel(np.nan_to_num(y)),
            duration_ms=duration,
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return fixations.where(valid), int((~valid).sum())


def _read_table(path: Path) -> pd.DataFrame:
    import pandas as pd

    content = io.BytesIO(read_bytes(path))
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(content)
        if path.suffix.lower() in (".csv", ".tsv"):
            return pd.read_csv(content, sep="\t" if path.suffix.lower() == ".tsv" else ",")
    except (ValueError, OSError) as error:  # pandas' and pyarrow's parsing errors
        raise InputError(f"{path}: not a readable table ({error})") from error
    raise InputError(f"{path}: expected a {', '.join(TABLE_SUFFIXES)} file")


def _match_images(path: Path, names: pd.Series, stimuli: Stimuli) -> np.ndarray:
    """Return each row's index into the stimuli, by file name with or without suffix."""
    index = {stimulus.file_name: i for i, stimulus in enumerate(stimuli)}
    stems: dict[str, int] = {}
    for i, stimulus in enumerate(stimuli):
        stems.setdefault(Path(stimulus.file_name).stem, i)
    rows = np.array([index.get(str(name), stems.get(str(name), -1)) for name in names])
    if (rows < 0).any():
        first = int(np.flatnonzero(rows < 0)[0])
        raise InputError(
            f"{path}: row {first + 1}: image {str(names.iloc[first])!r} is not in {stimuli.root}"
        )
    return rows


def _numbers(path: Path, frame: pd.DataFrame, column: str) -> np.ndarray:
    import pandas as pd

    values = np.asarray(pd.to_numeric(frame[column], errors="coerce"), dtype=np.float64)
    wrong = np.flatnonzero(np.isnan(values) & frame[column].notna().to_numpy())
    if wrong.size:
        text = frame[column].iloc[wrong[0]]
        raise InputError(f"{path}: row {wrong[0] + 1}: {column} is {text!r}, expected a number")
    return values

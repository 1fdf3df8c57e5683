"""Your own data: a folder of images and a table of fixations (CSV, TSV or Parquet)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, FiniteFloat, ValidationError

from ..errors import InputError
from ..files import read_json
from ..gaze.read import read_gaze
from ..gaze.settings import PLAIN, TableFormat
from ..gaze.strict import TABLE_SUFFIXES
from ..gaze.understood import Gaze
from ..progress import SILENT, Progress
from ..stimuli import Dataset, Kept, Stimuli


class FolderDescription(Kept):
    """A folder's optional ``dataset.json``: what its images and table do not say."""

    name: str | None = None
    px_per_degree: FiniteFloat | None = Field(default=None, gt=0)
    simulated: bool = False


def load_folder(
    folder: Path,
    table: Path | None = None,
    px_per_degree: float | None = None,
    table_format: TableFormat = PLAIN,
    progress: Progress = SILENT,
) -> Dataset:
    """Load a folder of images and their fixations.

    Parameters
    ----------
    folder : Path
        Holds the images, and optionally a ``dataset.json`` (see `FolderDescription`).
    table : Path, optional
        The fixations, in our form or an eye tracker's (`read_gaze`); by default the folder's
        ``fixations.csv`` (``.tsv``, ``.parquet``).
    px_per_degree : float, optional
        Required unless ``dataset.json`` or a BIDS dataset gives it.
    table_format : TableFormat
    progress : Progress
        Is told how an eye tracker's export was understood.

    Raises
    ------
    InputError
        If anything is missing or malformed; the message names the file, the row and the reason.
    """
    folder = Path(folder)
    stimuli = Stimuli.from_folder(folder)
    description = read_description(folder)
    px_per_degree = px_per_degree or description.px_per_degree
    table = table or (None if px_per_degree is None else find_table(folder))
    gaze = None if table is None else read_gaze(table, stimuli, px_per_degree, table_format)
    px_per_degree = px_per_degree or (gaze and gaze.px_per_degree)
    if gaze is None or px_per_degree is None or not px_per_degree > 0:
        raise InputError(
            f"{folder}: pixels per degree unknown; give --px-per-degree (OSIE has 23.7)"
        )
    say_understood(gaze, progress)
    name = description.name or folder.resolve().name
    return Dataset(
        *(name, stimuli, gaze.fixations, px_per_degree, description.simulated, gaze.n_dropped)
    )


def say_understood(gaze: Gaze, progress: Progress) -> None:
    """Report how another program's table was understood; our own form needs no words."""
    if gaze.foreign:
        for line in gaze.lines():
            progress.say(line)


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

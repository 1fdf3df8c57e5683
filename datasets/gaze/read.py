"""A table of fixations in any known form, placed on stimuli."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from ..errors import InputError, reading
from ..readers.frames import FRAME, Frame, columns_of, sheet_of
from ..readers.text import Unrecognised
from ..stimuli import Stimuli
from .asc import read_asc
from .bids import read_recording, recordings
from .placing import placed
from .pysaliency.files import FIXATIONS
from .pysaliency.read import read_pysaliency
from .rows import Rows, joined
from .samples.detection import detected, sampled_words
from .samples.events import pymovements
from .settings import PLAIN, TableFormat
from .strict import REQUIRED, TABLE_SUFFIXES, read_fixations
from .tables import read_sheet, read_table
from .understood import Gaze

HDF5_SUFFIXES = (".hdf5", ".h5")
EXPORT_SUFFIXES = (".txt", ".asc", *HDF5_SUFFIXES)
"""Endings of other programs' tables, besides those of our own."""
SAMPLES_SUFFIXES = (".csv", ".tsv", ".txt")


def read_gaze(
    source: str | Path | Frame,
    stimuli: Stimuli,
    px_per_degree: float | None = None,
    table_format: TableFormat = PLAIN,
    *,
    partly: bool = False,
) -> Gaze:
    """Read fixations on stimuli from any known form of table.

    Our own form (columns ``image, subject, x, y`` in CSV, TSV or Parquet) is read strictly. The
    exports of eye trackers' programs are recognised; fixations without a place on one of the
    stimuli are left out, and counted by the reason.

    Parameters
    ----------
    source : path or frame
        A file, a folder of such files in one form, a BIDS dataset, or a frame of pandas or polars,
        such as pymovements' ``gaze.events.frame`` with columns for image and subject.
    stimuli : Stimuli
    px_per_degree : float, optional
        Pixels in one degree of visual angle; needed if positions are in degrees, or fixations are
        to be detected.
    table_format : TableFormat
    partly : bool
        Of our own form, skip images that are not among the stimuli, instead of refusing them.

    Raises
    ------
    InputError
        If it is not recognised, malformed, or can be read in two ways; the message names the file.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> dataset = sp.load_dataset("sample")
    >>> gaze = sp.read_gaze("sample/fixations.csv", dataset.stimuli)
    >>> gaze.rows, gaze.n_dropped
    (1320, 0)

    An EyeLink report of images that were centred on the screen:

    >>> screen = sp.TableFormat(placement=sp.Placement(screen=(1920, 1080)))
    >>> sp.read_gaze("report.txt", dataset.stimuli, table_format=screen)  # doctest: +SKIP

    Events of pymovements, whose ``trial_columns`` are image and subject:

    >>> gaze.detect("ivt")  # doctest: +SKIP
    >>> gaze.compute_event_properties(("location", {"position_column": "pixel"}))  # doctest: +SKIP
    >>> sp.read_gaze(gaze.events.frame, dataset.stimuli, table_format=screen)  # doctest: +SKIP
    """
    if not isinstance(source, str | Path):
        with reading(FRAME):
            return _of_frame(source, stimuli, px_per_degree, table_format, partly)
    path = Path(source)
    with reading(path):
        if table_format.detect is not None:
            rows = _detected(path, stimuli, px_per_degree, table_format)
            return placed(rows, stimuli, px_per_degree, table_format)
        if not _is_strict(path, table_format):
            try:
                rows = _of_folder(path, table_format) if path.is_dir() else _of(path, table_format)
                return placed(rows, stimuli, px_per_degree, table_format)
            except Unrecognised:
                if path.suffix.lower() not in TABLE_SUFFIXES:
                    raise
        return read_fixations(path, stimuli, px_per_degree, table_format, partly=partly)


def _of_frame(
    frame: Frame,
    stimuli: Stimuli,
    px_per_degree: float | None,
    table_format: TableFormat,
    partly: bool,
) -> Gaze:
    import pandas as pd

    columns, named = columns_of(frame), table_format.columns
    if table_format.detect is not None:
        samples = read_sheet(sheet_of(columns), named, samples=True)
        fixations = detected(samples, stimuli, px_per_degree, table_format, table_format.detect)
        return placed(_told(fixations), stimuli, px_per_degree, table_format)
    if {named.get(name, name) for name in REQUIRED} <= set(columns):
        table = pd.DataFrame(columns)
        return read_fixations(
            FRAME, stimuli, px_per_degree, table_format, partly=partly, table=table
        )
    return placed(read_sheet(sheet_of(columns), named), stimuli, px_per_degree, table_format)


def _is_strict(path: Path, table_format: TableFormat) -> bool:
    """Return whether a file has our own form, its columns named exactly or by a mapping."""
    suffix = path.suffix.lower()
    if path.is_dir():
        return False
    if suffix == ".parquet" or not path.is_file() or not path.stat().st_size:
        return suffix not in EXPORT_SUFFIXES
    if suffix not in TABLE_SUFFIXES:
        return False
    with path.open("rb") as file:
        line = file.readline(100_000).decode("utf-8-sig", errors="replace")
    try:
        header = next(csv.reader([line.rstrip()], delimiter="\t" if suffix == ".tsv" else ","), [])
    except csv.Error:  # it may be UTF-16
        return False
    names = {table_format.columns.get(name, name) for name in REQUIRED}
    if names <= set(header):
        return True
    ours = set(REQUIRED) & set(header)
    return len(ours) >= len(REQUIRED) - 1  # one is missing: a mistake in our own form


def _of(path: Path, table_format: TableFormat, folder: Path | None = None) -> Rows:
    suffix = path.suffix.lower()
    if suffix == ".asc":
        return read_asc(path, table_format.columns.get("image"))
    if suffix in HDF5_SUFFIXES:
        return read_pysaliency(path)
    if suffix not in (*TABLE_SUFFIXES, *EXPORT_SUFFIXES):
        known = ", ".join((*TABLE_SUFFIXES, *EXPORT_SUFFIXES))
        raise InputError(f"{path}: expected a {known} file, a folder of them or a BIDS dataset")
    return read_table(path, table_format.columns, folder)


def _of_folder(path: Path, table_format: TableFormat) -> Rows:
    found = recordings(path)
    if found:
        parts = [read_recording(one, path) for one in found]
        said = "" if len(parts) == 1 else f", {len(parts)} recordings"
        return joined(parts, parts[0].form + said)
    if (path / FIXATIONS).is_file():
        return read_pysaliency(path / FIXATIONS)
    suffixes = (*TABLE_SUFFIXES[:2], *EXPORT_SUFFIXES)
    parts = [_of(one, table_format, path) for one in _tables(path, suffixes)]
    return joined(parts, _files_said(path, parts))


def _tables(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    found = sorted(one for one in folder.rglob("*") if one.suffix.lower() in suffixes)
    found = [one for one in found if one.is_file() and not one.name.startswith(".")]
    if not found:
        raise InputError(f"{folder}: holds no table ({', '.join(suffixes)}) and is no BIDS dataset")
    return found


def _files_said(folder: Path, parts: list[Rows]) -> str:
    files = "1 file" if len(parts) == 1 else f"{len(parts)} files"
    return f"{folder}: {files}, {parts[0].export.name}"


def _detected(
    path: Path, stimuli: Stimuli, px_per_degree: float | None, table_format: TableFormat
) -> Rows:
    """Return the fixations in a file of gaze samples, or in a folder of such files."""
    pymovements()  # before long reading
    method, folder = table_format.detect, path if path.is_dir() else None
    assert method is not None
    if folder and recordings(folder):
        raise InputError(
            f"{path}: BIDS: fixations are not detected in its samples; leave out --detect"
        )
    parts = []
    for one in _tables(path, SAMPLES_SUFFIXES) if folder else [path]:
        if one.suffix.lower() not in SAMPLES_SUFFIXES:
            raise InputError(f"{one}: expected samples in a {', '.join(SAMPLES_SUFFIXES)} file")
        samples = read_table(one, table_format.columns, folder, samples=True)
        parts.append(detected(samples, stimuli, px_per_degree, table_format, method))
    return _told(joined(parts, _files_said(path, parts)) if folder else parts[0])


def _told(rows: Rows) -> Rows:
    """Return fixations that were detected, and in what.

    Raises
    ------
    InputError
        If there are none.
    """
    words = sampled_words(rows.sampled)
    if not len(rows):
        raise InputError(f"{rows.form}: {rows.said[-1]}: none in {words}")
    return replace(rows, said=[*rows.said, words])

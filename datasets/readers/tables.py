"""Tables in files that cannot be trusted: Parquet and CSV."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, reading
from ..files import LARGEST, read_bytes
from ..texts import of_cell
from .process import asked

if TYPE_CHECKING:
    import pandas as pd


def read_parquet(path: Path, wanted: Collection[str]) -> pd.DataFrame:
    """Read columns of a Parquet file in a process of its own.

    Returns
    -------
    DataFrame
        All columns of the file; those that are not wanted are empty (NaN). Texts are categorical:
        a repeated one takes room once.

    Raises
    ------
    InputError
        If it is missing, malformed, larger than `LARGEST` in memory, or a wanted column holds
        lists.
    """
    found = asked(path, "parquet", LARGEST, wanted=list(wanted))
    with reading(path):
        import pyarrow as pa

        with pa.ipc.open_stream(pa.py_buffer(found["table"])) as stream:
            frame = stream.read_all().to_pandas()
        return frame.reindex(columns=found["names"])


def read_columns(
    path: Path,
    texts: Sequence[str] = (),
    whole: Sequence[str] = (),
    numbers: Sequence[str] = (),
) -> pd.DataFrame:
    """Read columns of one of our own tables, a CSV or Parquet file.

    Parameters
    ----------
    path : Path
    texts, whole, numbers : sequence of str
        Columns that must be there: of texts and of integers, none missing; of float64, NaN where
        missing. The table's other columns are left out.

    Raises
    ------
    InputError
        If the file cannot be read, a column is missing, or it holds something else.
    """
    wanted = [*texts, *whole, *numbers]
    is_parquet = path.suffix.lower() == ".parquet"
    frame = read_parquet(path, wanted) if is_parquet else _read_csv(path)
    for name in wanted:
        if name not in frame:
            known = ", ".join(map(str, frame.columns))
            raise InputError(f"{path}: no column {name!r}; there are {known}")
    with reading(path):
        made: dict[str, Any] = {name: _texts(path, name, frame[name]) for name in texts}
        made |= {name: _whole(path, name, frame[name]) for name in whole}
        made |= {name: _numbers(path, name, frame[name]) for name in numbers}
        return frame[[]].assign(**made)


def _read_csv(path: Path) -> pd.DataFrame:
    """Return a CSV table as texts, "" where missing, as they were before `csv_of`."""
    import pandas as pd

    content = io.BytesIO(read_bytes(path))
    with reading(path):
        frame = pd.read_csv(content, dtype=str, keep_default_na=False, index_col=False)
        frame = frame.rename(columns=of_cell)
        return frame.map(of_cell) if len(frame) else frame


def _texts(path: Path, name: str, column: pd.Series) -> pd.Series:
    """Return a column of texts, which may be categorical."""
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        longest = max(map(len, map(str, column.cat.categories)), default=0)
        if longest * len(column) > LARGEST:
            raise InputError(f"{path}: {name} has a text of {longest} characters")
        column = column.astype(column.cat.categories.dtype)
    if column.isna().any() or not (len(column) == 0 or pd.api.types.is_string_dtype(column)):
        raise InputError(f"{path}: {name}: expected texts in every row")
    return column.astype("str")


def _whole(path: Path, name: str, column: pd.Series) -> np.ndarray:
    """Return a column as integers; those of a Parquet file keep their type."""
    if column.dtype.kind in "iu":
        return column.to_numpy()
    values = _numbers(path, name, column)
    wrong = ~(np.isfinite(values) & (values % 1 == 0) & (abs(values) < 2**53))
    if wrong.any():
        row = int(wrong.argmax())
        found = f"{name} is {values[row]:g}, expected a whole number"
        raise InputError(f"{path}: row {row + 1}: {found}")
    return values.astype(np.int64)


def _numbers(path: Path, name: str, column: pd.Series) -> np.ndarray:
    """Return a column as float64, NaN where missing."""
    import pandas as pd

    if column.dtype.kind in "iuf":
        return column.to_numpy(np.float64)
    numbers = pd.to_numeric(column.astype(object), errors="coerce").astype(float)
    wrong = (numbers.isna() & column.notna() & (column != "")).to_numpy()
    if wrong.any() or pd.api.types.is_bool_dtype(column):
        row = int(wrong.argmax())
        found = f"{name} is {column.iloc[row]!r:.60}, expected a number"
        raise InputError(f"{path}: row {row + 1}: {found}")
    return numbers.to_numpy()

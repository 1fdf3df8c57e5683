"""The tables of a run folder, written."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ...datasets.files import atomic_write


def write_table(folder: Path, name: str, table: pd.DataFrame) -> None:
    """Write a table as ``<name>.parquet`` in a folder, atomically."""
    with atomic_write(folder / f"{name}.parquet") as file:
        table.to_parquet(file, index=False)

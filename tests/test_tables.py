"""Our own tables, read from files that cannot be trusted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from salprobe.datasets.errors import InputError
from salprobe.datasets.readers.tables import read_columns, read_parquet
from salprobe.datasets.texts import csv_of


def test_columns_of_our_own_tables(tmp_path: Path) -> None:
    """Names are text, as they were before `csv_of`; numbers are numbers."""
    frame = pd.DataFrame({"image": ["NA", "=1+1", "001"], "n": [1, 2, 3], "x": [0.5, np.nan, 1]})
    (tmp_path / "t.csv").write_text(csv_of(frame))
    frame.to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        found = read_columns(tmp_path / name, ["image"], ["n"], ["x"])
        pd.testing.assert_frame_equal(found, frame)
    (tmp_path / "t.csv").write_text("image,n\na,1\nb,1.5\n")
    with pytest.raises(InputError, match=r"row 2: n is 1\.5, expected a whole number"):
        read_columns(tmp_path / "t.csv", ["image"], ["n"])
    with pytest.raises(InputError, match="row 1: image is 'a', expected a number"):
        read_columns(tmp_path / "t.csv", numbers=["image"])
    with pytest.raises(InputError, match="no column 'x'; there are image, n"):
        read_columns(tmp_path / "t.csv", numbers=["x"])
    pd.DataFrame({"image": ["a", None]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="image: expected texts in every row"):
        read_columns(tmp_path / "t.parquet", ["image"])


def test_a_text_in_parquet_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(
        pa.table({"a": ["abcdefgh"]}), path, compression=None, write_statistics=False
    )
    path.write_bytes(path.read_bytes().replace(b"abcdefgh", b"abc\xb2efgh", 1))
    with pytest.raises(InputError, match=r"t\.parquet: cannot be read"):
        read_parquet(path, "a")

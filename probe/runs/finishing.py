"""The end of a run: statistics, tables, and a record that says it is complete."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from ...datasets.progress import SILENT, Progress
from ...datasets.readers.arrays import map_npy
from ..records.columns import layer_units
from ..records.run_info import BadImage, RunInfo
from ..scoring.sliced_rows import SlicedRows
from ..statistics.selectivity import summarise
from ..statistics.slices import summarise_shares
from .partial import ARRAYS, SLICED
from .slices import complete_slices
from .tables import write_table


def complete(
    target: Path,
    info: RunInfo,
    regions: pd.DataFrame,
    images: pd.DataFrame,
    bad: Sequence[BadImage],
    timings: Mapping[str, float],
    progress: Progress = SILENT,
) -> None:
    """Compute the statistics of a folder's scores, and complete its run.

    Parameters
    ----------
    target : Path
        The run folder, which holds the finished arrays.
    info : RunInfo
        The run's description, as it began.
    regions, images : DataFrame
        See `Run`.
    bad : sequence of BadImage
    timings : mapping
        Seconds so far; those of the statistics are added.
    progress : Progress
    """
    started = time.perf_counter()
    scores, shuffled = (map_npy(target / f"{name}.npy") for name in ARRAYS)
    units, summary = summarise(
        *(scores, regions, layer_units(info.layers), info.categories),
        seed=info.parameters.seed,
        shuffled=shuffled,
        progress=progress,
    )
    tables = {"regions": regions, "images": images, "units": units, "summary": summary}
    for name, table in tables.items():
        write_table(target, name, table)
    if info.parameters.by is not None:
        complete_slices(target, info, scores, regions, progress)
    timings = {**timings, "statistics": time.perf_counter() - started}
    outcome = {
        "status": "complete",
        "images": len(images),
        "regions": len(regions),
        "without_fixations": int((regions["n_fixations"] == 0).sum()),
        "bad_images": [image.model_dump() for image in bad],
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "timings_s": {name: round(value, 3) for name, value in timings.items()},
    }
    RunInfo.model_validate({**info.content(), **outcome}).write(target)


def write_rows(
    folder: Path, rows: SlicedRows, info: RunInfo, regions: pd.DataFrame, keep: np.ndarray
) -> None:
    """Write the tables of the rows of some regions, and the shares of fixations.

    Parameters
    ----------
    folder : Path
        The run folder.
    info : RunInfo
    regions : DataFrame
        The regions that are kept; see `Run`.
    keep : bool array, shape (regions,)
    """
    by = info.parameters.by
    assert by is not None
    ids = np.zeros(len(keep), dtype=np.int64)
    ids[keep] = regions["annotation_id"]
    for name in SLICED:
        table: pd.DataFrame = getattr(rows, name)
        table = table[keep[table["region"]]]
        shown = table.assign(
            region=ids[table["region"]],
            slice=np.array(by.names, dtype=object)[table["slice"]],
        ).rename(columns={"region": "annotation_id"})
        write_table(folder, name, shown.reset_index(drop=True))
    gaze = rows.gaze[rows.gaze["image_id"].isin(regions["image_id"])]
    write_table(folder, "by_shares", summarise_shares(gaze, info.categories, by.names))

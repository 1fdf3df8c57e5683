"""The end of a run: statistics, tables, and a record that says it is complete."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from ...datasets.progress import SILENT, Progress
from ...datasets.readers.arrays import map_npy
from ..records.columns import layer_units
from ..records.run_info import BadImage, RunInfo
from ..statistics.selectivity import summarise
from .partial import ARRAYS
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

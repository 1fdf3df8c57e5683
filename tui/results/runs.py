"""Data of the results review: runs, their stimuli and maps, pop-out results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...datasets.errors import InputError, reading
from ...datasets.files import read_json
from ...datasets.readers.arrays import map_npy
from ...datasets.readers.tables import read_columns, read_parquet
from ...datasets.stimuli import Stimuli
from ...probe.runs.run import Run

if TYPE_CHECKING:
    from ...probe.analysis.so_far import SoFar

_one_at_a_time = Lock()


def names(folders: Sequence[Path]) -> list[str]:
    """Return names that tell folders apart: their paths below their common parent."""
    if len(folders) == 1:
        return [folders[0].name]
    whole = [folder.resolve() for folder in folders]
    common = Path(os.path.commonpath(whole))
    return [str(path.relative_to(common)) for path in whole]


def runs_below(folder: Path) -> list[Path]:
    """Return the run folders below a folder, in order."""
    return sorted(path.parent for path in folder.rglob("run.json"))


def opened(folder: Path) -> Run:
    """Open a run with all tables that the review shows, so that none fails later.

    Raises
    ------
    InputError
        If the folder holds no run, or one that is unfinished, damaged or copied in part.
    """
    run = Run.open(folder)
    _ = run.regions, run.units, run.summary
    return run


def state(folder: Path) -> list[tuple[str, int, int]]:
    """Return what tells whether a folder has changed: its files, their sizes and times."""
    with suppress(OSError):
        stats = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
        return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return []


@dataclass(frozen=True)
class Moved:
    """Where a run's inputs are now; None where the run found them.

    Attributes
    ----------
    masks, root, weights : Path, optional
        The mask file, the folder of images, the file of weights or the training folder.
    """

    masks: Path | None = None
    root: Path | None = None
    weights: Path | None = None


def sources(run: Run, moved: Moved) -> tuple[Stimuli, dict, dict[int, str]]:
    """Return a run's stimuli, its regions by id, and the category names by id.

    Raises
    ------
    InputError
        If the mask file or the images are missing.
    """
    from ...probe.runs.inputs import masks_of

    masks, root, _ = masks_of(run, moved.masks, moved.root)
    outlines = {region.id: region for region in masks.annotations}
    return Stimuli(root, tuple(masks.images)), outlines, masks.category_of()


@lru_cache(maxsize=2)
def _network(run: Run, weights: Path | None) -> tuple[Any, dict[str, Any]]:
    """Return a run's network and its layers."""
    from ...probe.runs.inputs import layers_of, model_of

    model = model_of(run, weights, "--weights")
    return model, layers_of(run, model)


def making() -> AbstractContextManager[object]:
    """Return what keeps others from the networks meanwhile."""
    return _one_at_a_time


def maps(run: Run, moved: Moved, layer: str, image_id: int, stimuli: Stimuli) -> np.ndarray:
    """Return a layer's activation maps of a stimulus; the network is loaded only once.

    Parameters
    ----------
    run : Run
    moved : Moved
    layer : str
    image_id : int
    stimuli : Stimuli

    Raises
    ------
    InputError
        If the image or the network cannot be read.
    """
    from ...probe.networks.activation import activation

    stimulus = next(image for image in stimuli if image.id == image_id)
    picture = stimuli.read(stimulus)
    with _one_at_a_time:  # a network's hooks serve a single thread
        model, layers = _network(run, moved.weights)
        return activation(model, layers[layer], picture)


def read_search(folder: Path) -> tuple[pd.DataFrame, str] | None:
    """Read results of `probe popout`: mean NMM by feature and model, or by layer of networks.

    Returns None if the folder holds something else.

    Raises
    ------
    InputError
        If the results cannot be read.
    """
    info = folder / "run.json"
    content = read_json(info) if info.is_file() else None
    if not isinstance(content, dict) or content.get("kind") != "popout":
        return None
    path = folder / "measures.parquet"
    if len(read_parquet(path, ()).columns):
        measures = read_columns(path, ["feature", "model"], numbers=["nmm"])
        with reading(path):
            table = measures.pivot_table(index="feature", columns="model", values="nmm", sort=False)
            return table.reset_index(), "search arrays: mean NMM by what the target differs in"
    numbers = ["nmm", "nmm_low", "nmm_high"]
    layers = read_columns(folder / "layers.parquet", ["layer", "model"], numbers=numbers)
    return layers, "search arrays: mean NMM of each layer's top 10 units"


def following(folder: Path, masks: Path | None) -> SoFar:
    """Begin to follow an unfinished run; see `SoFar`."""
    from ...probe.analysis.so_far import SoFar

    return SoFar(folder, masks)


def so_far(folder: Path) -> str:
    """Return the progress of an unfinished run; empty if it is unknown."""
    try:
        scores = map_npy(folder / "scores.partial.npy")
    except InputError:
        return ""
    if scores.ndim != 2 or not scores.size or scores.dtype != np.float32:
        return ""
    done = int((~np.isnan(scores[:, 0])).sum())
    return f"{done} of {len(scores)} regions are scored so far"

"""What experiments with several trainings share: their folder, their regions, and changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from ...datasets.errors import InputError
from ...datasets.files import atomic_write, read_json
from ...datasets.interval import Interval
from ...datasets.masks.mask_set import MaskSet
from ...datasets.progress import SILENT, Progress
from ...datasets.readers.tables import read_columns
from ...datasets.stimuli import Dataset, Stimuli
from ..analysis.compare import compare
from ..processes import check_alone
from ..runs.images import contents, read_images
from ..runs.resuming import check_same, locked, make_folder
from ..runs.run import Run
from ..statistics.clusters import q_values
from ..training.split import Split

CHANGE = ("change", "change_low", "change_high", "change_p", "change_q")
"""Columns of a table of changes."""


def read_result(
    folder: Path,
    kind: str,
    name: str,
    texts: Sequence[str],
    numbers: Sequence[str],
    whole: Sequence[str] = (),
) -> pd.DataFrame:
    """Read a table from the folder of several trainings.

    Parameters
    ----------
    folder : Path
    kind : str
        ``sweep`` or ``tasks``.
    name : str
        Of the table.
    texts, numbers, whole : sequence of str
        Its columns; see `read_columns`.

    Raises
    ------
    InputError
        If the folder holds something else, is unfinished, or the table is damaged.
    """
    if not (folder / f"{kind}.json").is_file():
        raise InputError(f"{folder}: holds no {kind} (no {kind}.json)")
    path = folder / f"{name}.csv"
    if not path.is_file():
        raise InputError(f"{folder}: this {kind} is unfinished; repeat its command to resume it")
    return read_columns(path, texts, whole, numbers)


def unseen_regions(
    masks: MaskSet, root: Path, dataset: Dataset, split: Split, progress: Progress = SILENT
) -> MaskSet:
    """Leave out regions on stimuli that were trained on or validated with.

    These are known by their pictures, whatever the data set and its ids are called, and by their
    names if the masks are of the same data set.

    Parameters
    ----------
    masks : MaskSet
    root : Path
        Folder of its images.
    dataset : Dataset
        What is trained on.
    split : Split
    progress : Progress

    Raises
    ------
    InputError
        If no region is left, or an image is missing.
    """
    learnt = {*split.train, *split.validation}
    seen = tuple(stimulus for stimulus in dataset.stimuli if stimulus.id in learnt)
    pictures = set(contents(Stimuli(dataset.stimuli.root, seen), progress).values())
    same = masks.info.salprobe.dataset == dataset.name
    names = {stimulus.file_name for stimulus in seen} if same else set()
    own = contents(Stimuli(root, tuple(masks.images)), progress)
    images = {
        image.id
        for image in masks.images
        if own[image.id] not in pictures and image.file_name not in names
    }
    if len(images) == len(masks.images):
        return masks
    regions = {region.id for region in masks.annotations if region.image_id in images}
    if not regions:
        raise InputError("every labelled image was trained on; expected others to probe")
    return masks.subset(images, regions)


@contextmanager
def entered(
    out: Path, kind: str, parameters: dict, masks: MaskSet, root: Path, progress: Progress
) -> Iterator[None]:
    """Begin or resume a folder of several trainings: ``<kind>.json`` and ``masks.json``.

    Nobody else writes into it meanwhile.

    Parameters
    ----------
    out : Path
        The folder.
    kind : str
        ``sweep`` or ``tasks``.
    parameters : dict
        Parameters that must be the same to resume.
    masks : MaskSet
        Masks to probe with.
    root : Path
        Folder of their images.
    progress : Progress

    Raises
    ------
    InputError
        If the folder holds something else, was begun with other parameters, or another process
        writes there; if an image of the masks cannot be read; or under torchrun, which `train` and
        `probe` make use of, each on its own.
    """
    check_alone(kind)
    description = {"parameters": parameters}
    path = out / f"{kind}.json"

    def check() -> None:
        if path.is_file():
            before = read_json(path)
            before = before if isinstance(before, dict) else {}
            check_same(out, before, description, ("parameters",))

    check()
    read_images(Stimuli(root, tuple(masks.images)), progress)
    if not make_folder(out) and not path.is_file():
        raise InputError(f"{out}: exists and holds no {kind}; choose another --out")
    with locked(out):
        check()  # another process may have begun it
        if not path.is_file():
            with atomic_write(path) as file:
                file.write(json.dumps(description, indent=1).encode())
        if not (out / "masks.json").exists():
            masks.write(out / "masks.json")
        yield


def changes(before: Run, after: Run, layer: str, seed: int) -> pd.DataFrame:
    """Return a run's summary of one layer, with ``change, change_low, change_high, change_p``.

    Parameters
    ----------
    before, after : Run
    layer : str
    seed : int
        Seed for `compare`, from which the change comes.
    """
    table = after.summary[after.summary["layer"] == layer].drop(columns="layer")
    compared = compare(before, after, seed)
    compared = compared[compared["layer"] == layer].set_index("category").loc[table["category"]]
    change = Interval.of(dict(compared.items()), "difference", prefix=False).columns("change")
    columns = {**change, "change_p": compared["p"]}
    return table.assign(**{name: column.to_numpy() for name, column in columns.items()})


def with_q(table: pd.DataFrame) -> pd.DataFrame:
    """Add ``change_q``: Benjamini–Hochberg's q of ``change_p`` over the table.

    A run compared with itself is no test.
    """
    itself = (table["change_low"] == 0) & (table["change_high"] == 0) & (table["change"] == 0)
    table = table.assign(change_p=table["change_p"].mask(itself))
    return table.assign(change_q=q_values(table["change_p"].to_numpy()))

"""Runs of one network on the parts of a mask set, merged into one run."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ...datasets.files import LARGEST, atomic_folder, atomic_write, sha256
from ...datasets.fixations import COLUMNS, OPTIONAL, Fixations
from ...datasets.masks.mask_set import MaskSet
from ...datasets.progress import SILENT, Progress
from ...datasets.sources.load import fixations_of, root_of
from ..records.record import provenance
from ..records.run_info import MergedRun, Paths, RunInfo
from .finishing import complete
from .partial import ARRAYS, check_space
from .resuming import difference
from .run import Run

MASKS = "masks.json"
"""The name of the merged mask file in the run folder."""

_SAME = ("parameters", "layers", "categories", "dataset", "simulated")
_ROWS = 2**24  # bytes copied at a time


def merge_runs(runs: Sequence[str | Path], out: str | Path, progress: Progress = SILENT) -> Run:
    """Merge complete runs of one network, each on a part of a mask set, into one run.

    The statistics are computed anew from all regions. Scores, ceilings and numbers of fixations are
    those of the runs, and so are the shuffled scores: each compares with regions of its own part.

    Parameters
    ----------
    runs : sequence of path
        Run folders, in the order that their images shall have.
    out : path
        The run folder to write. If it holds the same runs merged, it is returned unchanged;
        anything else there is left alone.
    progress : Progress
        Where to report; silent by default.

    Returns
    -------
    Run
        With a mask file of its own, ``masks.json``, that holds all regions and fixations, unless it
        would be larger than can be read.

    Raises
    ------
    InputError
        If there are fewer than two runs, one is unfinished, two differ in more than their masks
        and fixations or have an image or region in common, or a mask file is missing or changed.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> masks, gaze = sp.load_masks("sample/masks.json"), "sample/fixations.csv"
    >>> regions = {region.id for region in masks.annotations}
    >>> for name, images in {"a": {1, 2, 3}, "b": {4, 5, 6, 7, 8}}.items():
    ...     masks.subset(images, regions).write(f"sample/{name}.json")
    ...     run = sp.probe(f"sample/{name}.json", model="gabor", out=name)
    >>> sp.merge_runs(["a", "b"], "both").info.images
    8
    """
    started = time.perf_counter()
    folders, out = [Path(folder) for folder in runs], Path(out)
    if len(folders) < 2:
        raise InputError(f"{len(folders)} run: expected two or more to merge")
    parts = [Run.open(folder) for folder in folders]
    for part in parts:
        if part.info.parameters.by is not None:
            raise InputError(
                f"{part.folder}: slices are not merged; probe --by the merged run's masks.json"
            )
    _check(parts)
    origins = [_origin(part) for part in parts]
    if out.exists():
        if not (out / RunInfo.file_name).is_file() or RunInfo.read(out).merged != origins:
            raise InputError(f"{out}: exists already; choose another --out")
        progress.say(f"{out} is already complete; nothing to do")
        return Run.open(out)
    first = parts[0].info
    shape = (sum(len(part.regions) for part in parts), parts[0].scores.shape[1])
    masks = _masks(parts)
    out.parent.mkdir(parents=True, exist_ok=True)
    check_space(out.parent, shape)
    with atomic_folder(out) as folder:
        for name in ARRAYS:
            _join(folder / f"{name}.npy", shape, [getattr(part, name) for part in parts], progress)
        path, digest, gaze = _write(masks, folder, parts)
        if path is None:
            progress.say(
                f"{out}: a mask file of all regions would be larger than can be read; figures of "
                "this run need one"
            )
        roots = {part.info.paths.root for part in parts}
        info = RunInfo.model_validate(
            {
                **first.content(),
                **provenance(first.device),
                "format": RunInfo.newest,
                "status": "running",
                "parameters": {
                    **first.parameters.model_dump(mode="json"),
                    "masks": digest,
                    "fixations": gaze,
                },
                "masks": MASKS,
                "paths": Paths(
                    masks=str(out.resolve() / MASKS) if path else None,
                    root=first.paths.root if len(roots) == 1 else None,
                    model=first.paths.model,
                    weights=first.paths.weights,
                ).model_dump(),
                "annotator": _annotators(part.info.annotator for part in parts),
                "trained_on": sum(part.info.trained_on for part in parts),
                "unlabelled": sum(part.info.unlabelled for part in parts),
                "merged": [origin.model_dump() for origin in origins],
            }
        )
        tables = [
            pd.concat([getattr(part, name) for part in parts], ignore_index=True)
            for name in ("regions", "images")
        ]
        bad = [image for part in parts for image in part.info.bad_images]
        complete(folder, info, *tables, bad, {"merge": time.perf_counter() - started}, progress)
    return Run.open(out)


def _check(parts: Sequence[Run]) -> None:
    """Refuse runs that differ in more than their masks, or that overlap."""
    first = _description(parts[0])
    for part in parts:
        if part.shuffled is None:
            raise InputError(f"{part.folder}: an older salprobe made it, without its controls")
        what = difference(first, _description(part), _SAME)
        if what:
            raise InputError(f"{part.folder}: differs from {parts[0].folder} ({what})")
    for column, what in (("image_id", "image"), ("annotation_id", "region")):
        tables = [part.regions if what == "region" else part.images for part in parts]
        numbers = pd.concat([table[column] for table in tables])
        owner = np.repeat(np.arange(len(parts)), [len(table) for table in tables])
        twice = numbers.duplicated().to_numpy()
        if twice.any():
            number = numbers.to_numpy()[twice][0]
            own, other = (parts[k].folder for k in owner[(numbers == number).to_numpy()][:2])
            raise InputError(f"{what} {number} is in {own} and in {other}; expected it in one")


def _description(run: Run) -> dict:
    """Return what runs to be merged have in common, ready for JSON."""
    info = run.info
    parameters = info.parameters.model_dump(mode="json", exclude={"masks", "fixations"})
    return {**info.model_dump(mode="json", include=set(_SAME)), "parameters": parameters}


def _origin(run: Run) -> MergedRun:
    """Return what a merged run records of one that it came from."""
    info = run.info
    return MergedRun(
        folder=str(run.folder.resolve()),
        command=info.command,
        salprobe=info.salprobe,
        versions=info.versions,
        masks=info.parameters.masks,
        fixations=info.parameters.fixations,
        images=info.images,
        regions=info.regions,
    )


def _masks(parts: Sequence[Run]) -> MaskSet | None:
    """Return the runs' mask sets as one, with all fixations; None if it would be too large."""
    paths = []
    for part in parts:
        path = Path(part.info.paths.masks or "")
        if not path.is_file():
            raise InputError(f"{part.folder}: its mask file {path} is missing; put it back")
        if sha256(path) != part.info.parameters.masks:
            raise InputError(f"{path}: not the mask file of {part.name} (its SHA-256 differs)")
        paths.append(path)
    if sum(path.stat().st_size for path in paths) > LARGEST:
        return None
    sets = [MaskSet.read(path) for path in paths]
    gaze = [_gaze(part, masks, path) for part, masks, path in zip(parts, sets, paths, strict=True)]
    first = sets[0].to_dict()
    for masks, path in zip(sets, paths, strict=True):
        if masks.categories != sets[0].categories:
            raise InputError(f"{path}: its categories are not those of {paths[0]}")
        if masks.info.salprobe.px_per_degree != sets[0].info.salprobe.px_per_degree:
            raise InputError(f"{path}: its px_per_degree is not that of {paths[0]}")
    content = [masks.to_dict() for masks in sets]
    joined = {
        kind: [entry for one in content for entry in one[kind]]
        for kind in ("images", "annotations")
    }
    subjects = {one.subject.dtype.kind for one in gaze if len(one)}
    names = [*COLUMNS, *(name for name in OPTIONAL if all(name in g.columns() for g in gaze))]
    if any("order" in one.columns() for one in gaze) and "order" not in names:
        gaze, names = [replace(one, order=one.orders()) for one in gaze], [*names, "order"]
    columns = {name: [getattr(one, name) for one in gaze] for name in names}
    if len(subjects) > 1:  # some have names
        columns["subject"] = [one.astype(str) for one in columns["subject"]]
    whole = Fixations(**{name: np.concatenate(values) for name, values in columns.items()})
    about = {**first.get("info", {}), "annotator": _annotators(one.info.annotator for one in sets)}
    return MaskSet.from_dict(
        {**first, "info": about, **joined, "fixations": whole}, "the merged masks"
    )


def _annotators(names: Iterable[str | None]) -> str | None:
    """Name each annotator once."""
    return ", ".join(dict.fromkeys(name for name in names if name)) or None


def _gaze(run: Run, masks: MaskSet, path: Path) -> Fixations:
    """Return the fixations that a run was made with."""
    paths = run.info.paths
    table = Path(paths.fixations) if paths.fixations else None
    inside = table is None and masks.fixations is not None
    root = Path() if inside else root_of(masks, paths.root, path.parent)
    found = fixations_of(masks, root, table)
    if found.sha256() != run.info.parameters.fixations:
        raise InputError(f"{run.folder}: its fixations have changed (their SHA-256 differs)")
    return found


def _write(
    masks: MaskSet | None, folder: Path, parts: Sequence[Run]
) -> tuple[Path | None, str, str]:
    """Write the merged mask file; return its path and the SHA-256 of the masks and fixations."""
    path = folder / MASKS
    if masks is not None:
        masks.write(path)
        if path.stat().st_size <= LARGEST:
            return path, sha256(path), masks.fixations.sha256() if masks.fixations else ""
        path.unlink()
    parameters = [part.info.parameters for part in parts]
    masks_of_parts, gaze = (
        hashlib.sha256(json.dumps([getattr(one, name) for one in parameters]).encode()).hexdigest()
        for name in ("masks", "fixations")
    )
    return None, masks_of_parts, gaze


def _join(
    path: Path, shape: tuple[int, int], arrays: Sequence[np.ndarray], progress: Progress
) -> None:
    """Write the rows of several arrays, one array after the other."""
    rows = max(1, _ROWS // (4 * max(1, shape[1])))
    task = progress.task(f"joining {path.stem}", shape[0])
    with task as advance, atomic_write(path) as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for array in arrays:
            for start in range(0, len(array), rows):
                block = array[start : start + rows]
                file.write(np.ascontiguousarray(block, dtype="<f4").tobytes())
                advance(len(block))

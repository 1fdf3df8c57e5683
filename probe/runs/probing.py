"""One probing: every unit of a network scored against every labelled region."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ...datasets.files import sha256
from ...datasets.masks.mask_set import MaskSet
from ...datasets.progress import SILENT
from ...datasets.sources.load import fixations_of, mask_path, root_of
from ...terminal.console import notes
from ...terminal.progress import progress
from ..networks.device import processes, resolve_device, wait
from ..networks.layers import Layer, layer_units, select
from ..networks.load import is_training, load_model
from ..networks.model import Model
from ..networks.trained import read_description
from ..scoring.batches import Plan, make_plan
from ..scoring.loading import load_batches
from ..scoring.scorer import Precision, Scorer
from ..statistics.selectivity import THRESHOLD, summarise
from .partial import Partial, check_space
from .provenance import provenance
from .resuming import check_same, make_folder
from .run import FORMAT, Run, read_info, write_info, write_table


def probe(
    masks: str | Path | MaskSet,
    *,
    root: str | Path | None = None,
    fixations: str | Path | None = None,
    model: str = "vgg16",
    weights: str = "default",
    layers: Sequence[str] = (),
    pre_relu: bool = False,
    input_size: tuple[int, int] | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    precision: Precision = "fp32",
    batch_size: int = 16,
    workers: int | None = None,
    skip_bad: bool = False,
    seed: int = 0,
) -> Run:
    """Score every unit of a network against every labelled region of a mask set.

    Parameters
    ----------
    masks : path, ``osie-sr``, or MaskSet
    root : path, optional
        Folder of the images; by default the dataset's, else the mask file's own.
    fixations : path, optional
        A table of fixations (or OSIE's ``fixations.mat``), instead of the mask file's.
    model, weights, input_size
        See `load_model`.
    layers : sequence of str
        Names or wildcards; by default VGG's conv4_1 to conv5_3, other networks' blocks.
    pre_relu : bool
        VGG's layers before their ReLU.
    out : path, optional
        The run folder; by default ``runs/<masks>-<model>``. An unfinished run of the same
        parameters in it is resumed, a complete one returned as it is.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    precision : "fp32" or "bf16"
        Of the network's forward pass; scoring is always float32.
    batch_size : int
        Stimuli per forward pass.
    workers : int, optional
        Threads that decode images; by default one per CPU, at most 16.
    skip_bad : bool
        Leave out images that cannot be read, and count them, instead of stopping.
    seed : int
        Of random weights, the bootstrap and the cross-validation.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        For anything wrong with the input; nothing is written before all of it is checked but
        the images.
    """
    started = time.perf_counter()
    masks_path = None if isinstance(masks, MaskSet) else mask_path(masks)
    mask_set = masks if isinstance(masks, MaskSet) else MaskSet.read(mask_path(masks))
    beside = masks_path.parent if masks_path else Path()
    folder = root_of(mask_set, Path(root) if root else None, beside)
    gaze = fixations_of(mask_set, folder, Path(fixations) if fixations else None)
    plan = make_plan(mask_set, folder, gaze, batch_size)
    if precision not in ("fp32", "bf16"):
        raise InputError(f"precision {precision!r}: expected fp32 or bf16")
    if not skip_bad:
        for batch in plan.batches:
            for item in batch:
                plan.stimuli.path(item.stimulus)  # all there, before hours of work
    with processes() as (rank, world):
        where = resolve_device(device)
        network = load_model(model, weights, seed=seed, input_size=input_size)
        chosen = select(network.layers(pre_relu=pre_relu), layers)
        stem = masks_path.stem if masks_path else mask_set.info.salprobe.dataset or "masks"
        trained = Path(model).resolve() if is_training(model) else None
        called = trained.name if trained else model.replace(":", ".")
        target = Path(out) if out else Path("runs") / f"{stem}-{called}"
        info = {
            "format": FORMAT,
            "status": "running",
            **provenance(where),
            "parameters": {
                "model": model,
                "weights": network.weights,
                "input_size": list(network.input_size),
                "pre_relu": pre_relu,
                "precision": precision,
                "batch_size": batch_size,
                "device": where.type,
                "seed": seed,
                "masks": _masks_sha256(mask_set, masks_path),
                "fixations": gaze.sha256(),
                "threshold": THRESHOLD,
            },
            "masks": masks_path.name if masks_path else None,
            "paths": {
                "masks": _absolute(masks_path),
                "root": _absolute(folder),
                "fixations": _absolute(fixations),
                "model": _absolute(trained),
                "weights": _absolute(weights if network.weights["source"] == "file" else None),
            },
            "dataset": mask_set.info.salprobe.dataset,
            "trained_on": trained_on(trained, mask_set) if trained else 0,
            "annotator": mask_set.info.annotator,
            "simulated": mask_set.info.salprobe.simulated,
            "layers": [_layer_info(layer, network) for layer in chosen],
            "categories": mask_set.category_names(),
        }
        units = sum(layer.units for layer in chosen)
        partial = Partial(target, (plan.n_regions, units), rank)
        if rank == 0:
            _enter(target, info, partial)
        wait(world)
        if read_info(target)["status"] == "complete":
            return Run.open(target)
        scorer = Scorer(network, chosen, where, precision)
        set_up = time.perf_counter()
        _score(plan, scorer, partial, workers, skip_bad, world)
        scored = time.perf_counter()
        wait(world)
        if rank == 0:
            timings = {"setup": set_up - started, "batches": scored - set_up}
            _finish(target, plan, partial, timings, seed)
        wait(world)
        return Run.open(target)


def _enter(target: Path, info: dict, partial: Partial) -> None:
    """Begin the run folder, or resume the run in it; a complete one stays as it is."""
    if not make_folder(target):
        before = read_info(target)
        check_same(target, before, info, ("parameters", "layers", "categories"))
        if before["status"] == "complete":
            notes.print(f"{target} is complete already; nothing to do", markup=False)
            return
    check_space(target, partial.shape)
    write_info(target, info)
    partial.create()


def _score(
    plan: Plan, scorer: Scorer, partial: Partial, workers: int | None, skip_bad: bool, world: int
) -> None:
    """Score the batches that are not done yet; this process's share of them."""
    done = partial.done()
    mine = [
        number for number in range(partial.rank, len(plan.batches), world) if number not in done
    ]
    finished = sum(len(plan.batches[number]) for number in done)
    first = partial.rank == 0
    if finished and first:
        notes.print(f"resuming: {finished} of {plan.n_stimuli} images are done")
    bar = (progress if first else SILENT).task("probing", plan.n_stimuli, done=finished)
    input_size = scorer.model.input_size
    with scorer, bar as advance:
        for number, loaded, bad in load_batches(plan, mine, input_size, workers, skip_bad):
            scores = scorer.score(loaded)
            rows = [(one.item.first_row, part) for one, part in zip(loaded, scores, strict=True)]
            counts = {str(one.item.first_row): one.n_fixations for one in loaded}
            partial.write(number, rows, {"bad": bad, "n_fixations": counts})
            advance(len(plan.batches[number]))


def _finish(
    target: Path, plan: Plan, partial: Partial, timings: dict[str, float], seed: int
) -> None:
    """Compute the statistics and complete the run folder."""
    started = time.perf_counter()
    entries = partial.done()
    bad = [one for number in sorted(entries) for one in entries[number]["bad"]]
    regions = plan.regions_table()
    skipped = np.isin(regions["image_id"], [one["image_id"] for one in bad])
    if skipped.all():
        raise InputError(f"{target}: no image could be read")
    n_fixations = np.zeros(len(regions), dtype=np.int64)
    for entry in entries.values():
        for first, counts in entry["n_fixations"].items():
            n_fixations[int(first) : int(first) + len(counts)] = counts
    regions["n_fixations"] = n_fixations
    regions = regions[~skipped].reset_index(drop=True)
    partial.finish(~skipped)
    info = read_info(target)
    scores = np.load(target / "scores.npy", mmap_mode="r")
    names = layer_units(info["layers"])
    with progress.task("statistics", len(names)) as advance:
        units, summary = summarise(scores, regions, names, info["categories"], seed, advance)
    for name, table in (("regions", regions), ("units", units), ("summary", summary)):
        write_table(target, name, table)
    timings["statistics"] = time.perf_counter() - started
    write_info(
        target,
        {
            **info,
            "status": "complete",
            "images": plan.n_stimuli - len(bad),
            "regions": len(regions),
            "without_fixations": int((regions["n_fixations"] == 0).sum()),
            "bad_images": bad,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "timings_s": {name: round(value, 3) for name, value in timings.items()},
        },
    )
    partial.remove()


def _layer_info(layer: Layer, model: Model) -> dict:
    info = {"name": layer.name, "units": layer.units, "height": layer.height, "width": layer.width}
    if layer.name in model.unit_names:
        info["unit_names"] = model.unit_names[layer.name]
    return info


def _masks_sha256(masks: MaskSet, path: Path | None) -> str:
    if path is not None:
        return sha256(path)
    return hashlib.sha256(json.dumps(masks.to_dict(), sort_keys=True).encode()).hexdigest()


def _absolute(path: str | Path | None) -> str | None:
    return None if path is None else str(Path(path).resolve())


def trained_on(folder: Path, masks: MaskSet) -> int:
    """Count the images of a mask set that a training had seen: to train on, or to validate."""
    if read_description(folder)["dataset"] != masks.info.salprobe.dataset:
        return 0
    try:
        split = pd.read_csv(folder / "split.csv")
        seen = set(split["image"][split["split"] != "test"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder / 'split.csv'}: cannot be read ({error})") from error
    return sum(image.file_name in seen for image in masks.images)

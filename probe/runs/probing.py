"""Probing: every unit of a network scored against every labelled region."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch.nn import Module

from ...datasets.errors import InputError
from ...datasets.masks.mask_set import MaskSet
from ...datasets.options import check_seed
from ...datasets.progress import SILENT, Progress
from ...datasets.sources.load import fixations_of, load_masks, mask_path, root_of
from ..choices import RegistrationMethod
from ..networks.device import DEFAULT_EXECUTION, Execution, device_name, resolve_device
from ..networks.load import Backbone
from ..processes import Processes, processes
from ..records.record import provenance
from ..records.run_info import BadImage, By, Paths, RunInfo, RunParameters
from ..scoring.batches import SHUFFLED, Plan, make_plan
from ..scoring.loading import OFFER, load_batches
from ..scoring.scorer import Scorer
from ..scoring.sliced_rows import SlicedRows
from ..scoring.slices import Slicing
from ..sources.description import Network
from ..statistics.selectivity import THRESHOLD
from .finishing import complete, write_rows
from .images import check_images
from .inputs import trained_on
from .partial import Partial, check_space
from .registering import registered, with_registration
from .resuming import check_agreed, check_same, check_shared, locked, make_folder
from .run import Run
from .subject import absolute, masks_sha256, subject_of

_SAME = ("parameters", "layers", "categories")
"""What a run is resumed with unchanged, and all its processes have in common."""

_PER_REGION = {"n_fixations": np.int64, "ceiling": np.float64}


def probe(
    masks: str | Path | MaskSet,
    *,
    model: str | Backbone | Module | Network = "vgg16",
    layers: str | Sequence[str] = (),
    pre_relu: bool = False,
    registration: RegistrationMethod = "plain",
    root: str | Path | None = None,
    fixations: str | Path | None = None,
    out: str | Path | None = None,
    execution: Execution = DEFAULT_EXECUTION,
    skip_bad: bool = False,
    seed: int = 0,
    by: str | None = None,
    progress: Progress = SILENT,
) -> Run:
    """Score every unit of a network against every labelled region of a mask set.

    Parameters
    ----------
    masks : path, ``osie-sr``, or MaskSet
    model : str, Backbone, Module or Network
        A network's name (see `load_model`); a `Backbone`, which also names its weights and input
        size; or a Module of your own that takes ImageNet-normalised images, 224×224, or else the
        `Network` that describes it.
    layers : sequence of str
        Names or wildcards; by default conv4_1 to conv5_3 of a VGG, the blocks of other networks.
    pre_relu : bool
        For VGG only: use the maps before the ReLU.
    registration : "plain" or "measured"
        Whether a map fills the stimulus, as in the paper, or its cells lie where they look; see
        `measure_registration`. Measured on eight of the stimuli.
    root : path, optional
        Folder of the images; by default that of the dataset, else that of the mask file.
    fixations : path, optional
        A table of fixations (or OSIE's ``fixations.mat``) to use instead of the mask file's.
    out : path, optional
        The run folder; by default ``runs/<masks>-<model>``. If it holds a run with the same
        parameters, an unfinished run is resumed and a complete one is returned unchanged.
    execution : Execution
        Device, precision, batch size, decoding threads.
    skip_bad : bool
        Skip images that cannot be read, and record them, instead of stopping.
    seed : int
        Seed for random weights, the bootstrap and the cross-validation.
    by : str, optional
        Also score slices of the fixations, in the same pass: ``order:1,2,3-5,6+``,
        ``time:0-500,500-1500`` (ms) or ``subjects:FILE`` (a table ``subject,group``); see `Run.by`.
    progress : Progress
        Where to report; silent by default.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If any input is wrong. Everything but the content of the images is checked before
        anything is written.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> gaze = "sample/fixations.csv"
    >>> run = sp.probe("sample/masks.json", model="gabor", fixations=gaze, out="run")
    >>> run
    Run(run: gabor on masks.json: SIMULATED gaze, 8 images, ... regions)
    >>> run.table().shape
    (2, 12)
    """
    started = time.perf_counter()
    check_seed(seed)
    slicing = None if by is None else Slicing.parse(by)
    with processes() as team, ExitStack() as stack:
        progress = progress if team.rank == 0 else SILENT
        masks_path = None if isinstance(masks, MaskSet) else mask_path(masks)
        mask_set = masks if isinstance(masks, MaskSet) else load_masks(masks)
        beside = masks_path.parent if masks_path else Path()
        folder = root_of(mask_set, Path(root) if root else None, beside)
        table = Path(fixations) if fixations else None
        gaze = fixations_of(mask_set, folder, table, progress)
        device = resolve_device(execution.device)
        batch_size = execution.batch_size_on(device)
        said = []
        if slicing is not None:
            said = slicing.check(gaze, None if table else mask_set.info.salprobe.dataset)
        plan = make_plan(mask_set, folder, gaze, batch_size, slicing)
        if not skip_bad:
            for batch in plan.batches:
                for item in batch:
                    plan.stimuli.path(item.stimulus)  # fail before hours of work if one is missing
        subject = subject_of(
            model, layers, mask_set, seed=seed, pre_relu=pre_relu, progress=progress
        )
        trained, network, chosen = subject.trained, subject.network, subject.layers
        stem = masks_path.stem if masks_path else mask_set.info.salprobe.dataset or "masks"
        target = Path(out) if out else Path("runs") / f"{stem}-{subject.called}"
        info = RunInfo(
            format=RunInfo.newest,
            status="running",
            **provenance(device_name(device)),
            parameters=RunParameters(
                **subject.identity(),
                pre_relu=pre_relu,
                registration=registration,
                precision=execution.precision,
                batch_size=batch_size,
                device=device.type,
                seed=seed,
                masks=masks_sha256(mask_set, masks_path),
                fixations=gaze.sha256(),
                threshold=THRESHOLD,
                **_record(slicing, said),
            ),
            masks=masks_path.name if masks_path else None,
            paths=Paths(
                masks=absolute(masks_path),
                root=absolute(folder),
                fixations=absolute(fixations),
                model=absolute(trained),
                weights=absolute(subject.weights),
            ),
            dataset=mask_set.info.salprobe.dataset,
            trained_on=trained_on(trained, mask_set, plan.stimuli.root) if trained else 0,
            unlabelled=len(mask_set.annotations) - plan.n_regions,
            annotator=mask_set.info.annotator,
            simulated=mask_set.info.salprobe.simulated,
            layers=subject.layer_infos(),
            categories=mask_set.category_names(),
        )
        units = sum(layer.units for layer in chosen)
        for line in said:
            progress.say(line)
        rows = None if slicing is None else SlicedRows.of(plan, progress)
        sliced = {} if rows is None else rows.sizes()
        partial = Partial(target, (plan.n_regions, units), team.rank, sliced)
        check_agreed(team, _complete(info), ("salprobe", "versions", *_SAME))
        if team.rank == 0:
            fresh = make_folder(target)
            if not fresh:
                RunInfo.read(target)  # leave other folders alone
            stack.enter_context(locked(target))
            fresh = not (target / RunInfo.file_name).exists()
            if registration == "measured" and fresh:
                info = registered(info, network, chosen, plan, skip_bad, progress)
            _enter(target, fresh, info, plan, partial, team.world, progress)
        check_shared(team, target)
        begun = RunInfo.read(target)
        if begun.status == "complete":
            return Run.open(target)
        chosen = [
            replace(layer, registration=known.registration)
            for layer, known in zip(chosen, begun.layers, strict=True)
        ]
        scorer = Scorer(network, chosen, device, execution.precision)
        set_up = time.perf_counter()
        _score(plan, scorer, partial, rows, execution.workers, skip_bad, team, progress)
        scored = time.perf_counter()
        team.wait()
        if team.rank == 0:
            timings = {"setup": set_up - started, "batches": scored - set_up}
            _finish(target, plan, partial, rows, timings, progress)
        team.wait()
        return Run.open(target)


def _record(slicing: Slicing | None, said: list[str]) -> dict[str, Any]:
    """Return the parameter ``by``; a run without slices says nothing of it."""
    if slicing is None:
        return {}
    names = list(slicing.names)
    return {"by": By(kind=slicing.kind, names=names, sha256=slicing.sha256(), said=said)}


def _enter(
    target: Path,
    fresh: bool,
    info: RunInfo,
    plan: Plan,
    partial: Partial,
    world: int,
    progress: Progress,
) -> None:
    """Begin the run folder, or resume its run; a complete run stays unchanged."""
    if not fresh:
        before = RunInfo.read(target)
        if info.parameters.registration == "measured":  # once, when the run began
            known = {layer.name: layer.registration for layer in before.layers}
            info = with_registration(info, known)
        check_same(target, _complete(before), _complete(info), _SAME)
        if before.status == "complete":
            images = Run.open(target).images
            known = dict(zip(images["image_id"], images["sha256"], strict=True))
            check_images(target, plan.stimuli, known, progress)
            partial.remove()  # a run killed as it ended leaves its journals
            progress.say(f"{target} is already complete; nothing to do")
            return
        check_images(target, plan.stimuli, _images(_done(partial, plan)), progress)
    check_space(target, partial.shape, partial.sliced)
    info.write(target)
    partial.create(world)


def _complete(info: RunInfo) -> dict:
    """Return a run's description with every parameter, also those that older runs do not name."""
    return {**info.content(), "parameters": info.parameters.model_dump(mode="json")}


def _score(
    plan: Plan,
    scorer: Scorer,
    partial: Partial,
    sliced: SlicedRows | None,
    workers: int | None,
    skip_bad: bool,
    team: Processes,
    progress: Progress,
) -> None:
    """Score this process's share of the batches that are not done yet."""
    done = _done(partial, plan)
    mine = [k for k in range(team.rank, len(plan.batches), team.world) if k not in done]
    finished = sum(len(plan.batches[number]) for number in done)
    if finished:
        progress.say(f"resuming: {finished} of {plan.n_stimuli} images already scored")
    loading = load_batches(
        *(plan, mine, scorer.model.resize, scorer.device),
        *(workers, progress if skip_bad else None),
        advice=OFFER,
    )
    bar = progress.task("probing", plan.n_stimuli, done=finished)
    with scorer, bar as advance:
        for number, loaded, bad in loading:
            rows, more = [], {}
            for stimulus, scores in zip(loaded, scorer.score(loaded), strict=True):
                n_regions = len(stimulus.item.regions)
                whole, rest = np.split(scores, [n_regions * (1 + SHUFFLED)])
                rows.append((stimulus.item.first_row, _with_shuffled(whole, n_regions)))
                if sliced is not None:
                    for name, part in sliced.placed(stimulus, rest).items():
                        more.setdefault(name, []).append(part)
            per_region = {
                name: {str(stimulus.item.first_row): getattr(stimulus, name) for stimulus in loaded}
                for name in _PER_REGION
            }
            images = {str(stimulus.item.stimulus.id): stimulus.sha256 for stimulus in loaded}
            partial.write(number, rows, {"bad": bad, "images": images, **per_region}, more)
            advance(len(plan.batches[number]))


def _done(partial: Partial, plan: Plan) -> dict[int, dict]:
    """Return the journals' entries, which must be of the plan's batches."""
    entries = partial.done()
    for number, entry in entries.items():
        batch = plan.batches[number] if number < len(plan.batches) else []
        bad = {image["image_id"] for image in entry["bad"]}
        scored = [item for item in batch if item.stimulus.id not in bad]
        images = {str(item.stimulus.id) for item in scored}
        regions = {str(item.first_row): len(item.regions) for item in scored}
        found = [
            {first: len(values) for first, values in entry[name].items()} for name in _PER_REGION
        ]
        whole = len(bad) + len(scored) == len(batch) > 0
        if not whole or set(entry["images"]) != images or any(one != regions for one in found):
            raise InputError(
                f"{partial.folder}: its journal does not fit the masks at batch {number}; remove "
                "the folder to begin anew"
            )
    return entries


def _images(entries: dict[int, dict]) -> dict[int, str]:
    """Return the SHA-256 of each image that was scored, by its stimulus's id."""
    return {
        int(number): content
        for batch in sorted(entries)
        for number, content in entries[batch].get("images", {}).items()
    }


def _with_shuffled(scores: np.ndarray, n_regions: int) -> np.ndarray:
    """Return the regions' own scores, and the means of those shuffled: (2, regions, units)."""
    own, shuffled = scores[:n_regions], scores[n_regions:]
    each = np.ma.masked_invalid(shuffled.reshape(n_regions, SHUFFLED, scores.shape[1]))
    return np.stack([own, each.mean(axis=1).filled(np.nan)])


def _finish(
    target: Path,
    plan: Plan,
    partial: Partial,
    sliced: SlicedRows | None,
    timings: dict[str, float],
    progress: Progress,
) -> None:
    """Gather what all processes wrote, and complete the run folder."""
    entries = _done(partial, plan)
    missing = set(range(len(plan.batches))) - set(entries)
    if missing:
        raise InputError(
            f"{target}: {len(missing)} of {len(plan.batches)} batches are not in its journals; "
            "repeat the command to score them"
        )
    bad = [BadImage(**image) for number in sorted(entries) for image in entries[number]["bad"]]
    regions = plan.regions_table()
    skipped = np.isin(regions["image_id"], [image.image_id for image in bad])
    if skipped.all():
        raise InputError(f"{target}: no image could be read")
    for name, dtype in _PER_REGION.items():
        column = np.zeros(len(regions), dtype=dtype)
        for entry in entries.values():
            for first, values in entry[name].items():
                column[int(first) : int(first) + len(values)] = values
        regions[name] = column
    regions = regions[~skipped].reset_index(drop=True)
    info = RunInfo.read(target)
    if sliced is not None:
        write_rows(target, sliced, info, regions, ~skipped)
    partial.finish(~skipped, {} if sliced is None else sliced.kept(~skipped))
    images = pd.DataFrame(_images(entries).items(), columns=["image_id", "sha256"])
    complete(target, info, regions, images, bad, timings, progress)
    partial.remove()

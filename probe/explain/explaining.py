"""Explaining: every unit of some layers regressed on filters, position and surround."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from torch.nn import Module

from ...datasets.errors import InputError
from ...datasets.files import atomic_write, sha256
from ...datasets.masks.mask_set import MaskSet
from ...datasets.options import check_seed
from ...datasets.progress import SILENT, Progress
from ...datasets.stimuli import Stimuli
from ...datasets.texts import csv_of
from ..choices import RegistrationMethod
from ..layers.layers import Layer
from ..networks.device import DEFAULT_EXECUTION, Execution, device_name, resolve_device
from ..networks.heads import last_layer
from ..networks.load import Backbone
from ..networks.model import Model
from ..networks.reader import Reader
from ..networks.registration import measure_registration
from ..records.explain_info import ExplainInfo, ExplainParameters
from ..records.record import provenance
from ..records.run_info import Paths, Registration
from ..runs.images import read_images
from ..runs.registering import registered_layers
from ..runs.resuming import check_same, locked, make_folder
from ..runs.subject import absolute, masks_sha256, subject_of
from ..sources.description import Network
from .bank import FEATURES, FILTERS, Feature
from .explanation import Explanation
from .passes import (
    FOLDS,
    MOST_CELLS,
    Errors,
    Fitted,
    Job,
    fit,
    fold_of,
    fold_sums,
    sum_up,
)
from .ridge import PENALTIES, Ridge, Sums, cross_fit
from .subjects import Source, source_of

_SAME = ("parameters", "layers", "categories")
"""What an explanation is resumed with unchanged."""

_MEASURED_ON = 8  # stimuli


def explain(
    source: str | Path | MaskSet,
    *,
    model: str | Backbone | Module | Network = "vgg16",
    layers: str | Sequence[str] = (),
    pre_relu: bool = False,
    registration: RegistrationMethod = "measured",
    root: str | Path | None = None,
    fixations: str | Path | None = None,
    px_per_degree: float | None = None,
    count: int | None = None,
    out: str | Path | None = None,
    execution: Execution = DEFAULT_EXECUTION,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Explanation:
    """Explain units' activation maps by log-Gabor filters, position and surround.

    Parameters
    ----------
    source : str, path or MaskSet
        A mask file, whose regions are also looked at apart, category by category; or one of ours by
        its name, a dataset, or a folder of pictures.
    model, layers, pre_relu
        As for `probe`.
    registration : "plain" or "measured"
        Whether the features are taken where a map's cells lie if it fills the stimulus, or where
        they were measured to look, on eight of the stimuli.
    root, fixations : path, optional
        As for `probe`. Where there are fixations, a readout on the rebuilt maps is fitted too.
    px_per_degree : float, optional
        Of the pictures of a folder or a table of fixations that does not say it.
    count : int, optional
        Use only the first stimuli.
    out : path, optional
        The folder; by default ``runs/explain-<source>-<model>``. An interrupted explanation in it
        is resumed, a complete one returned unchanged.
    execution : Execution
        Device and precision of the network.
    seed : int
        For the cells that are drawn, and for random weights.
    progress : Progress

    Returns
    -------
    Explanation

    Raises
    ------
    InputError
        If any input is wrong.

    Notes
    -----
    Memory does not grow with the number of stimuli: it holds sums of products of features (427)
    and units, for each layer and fold.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> found = sp.explain(
    ...     "sample", model=sp.Backbone("gabor", input_size=(96, 128)), layers="log_gabor", out="e"
    ... )
    >>> bool(found.layers["r2"][0] > 0.99)
    True
    """
    check_seed(seed)
    if count is not None and count < 1:
        raise InputError(f"count {count}: expected 1 or more")
    opened = source_of(source, root, fixations, px_per_degree)
    images = tuple(opened.masks.images)[:count]
    stimuli = Stimuli(opened.root, images)
    device = resolve_device(execution.device)
    subject = subject_of(
        *(model, layers, opened.masks), seed=seed, pre_relu=pre_relu, progress=progress
    )
    target = Path(out) if out else Path("runs") / f"explain-{opened.name}-{subject.called}"
    hashes = list(read_images(stimuli, progress).values())
    folds = fold_of(hashes)
    labelled = _labelled(opened, {image.id for image in images})
    info = ExplainInfo(
        format=ExplainInfo.newest,
        status="running",
        **provenance(device_name(device)),
        parameters=ExplainParameters(
            **subject.identity(),
            pre_relu=pre_relu,
            registration=registration,
            precision=execution.precision,
            batch_size=1,
            device=device.type,
            seed=seed,
            masks=masks_sha256(opened.masks, opened.path),
            images=_digest([image.id for image in images], hashes),
            fixations=None if opened.fixations is None else opened.fixations.sha256(),
            cells=MOST_CELLS,
            folds=FOLDS,
            features=_digest(FEATURES),
        ),
        masks=opened.path.name if opened.path else None,
        dataset=opened.masks.info.salprobe.dataset,
        simulated=opened.masks.info.salprobe.simulated,
        paths=Paths(
            masks=absolute(opened.path),
            root=absolute(opened.root),
            fixations=absolute(fixations),
            model=absolute(subject.trained),
            weights=absolute(subject.weights),
        ),
        annotator=opened.masks.info.annotator,
        layers=subject.layer_infos(),
        categories=[name for name, _ in labelled],
        images=len(images),
    )
    with ExitStack() as stack:
        if not make_folder(target):
            ExplainInfo.read(target)  # leave other folders alone
        stack.enter_context(locked(target))
        info = _entered(target, info, subject.network, subject.layers, stimuli, progress)
        if info.status == "complete":
            return Explanation.open(target)
        chosen = [
            replace(layer, registration=known.registration)
            for layer, known in zip(subject.layers, info.layers, strict=True)
        ]
        if opened.fixations is None:
            progress.say(f"no readout is fitted: {opened.lacking}")
        regions = opened.masks.by_image() if labelled else {}
        job = Job(
            *(stimuli, folds, regions),
            {number: row for row, (_, number) in enumerate(labelled, start=1)},
            opened.fixations,
            opened.masks.info.salprobe.px_per_degree or 0.0,
            _read_on(chosen) if opened.fixations is not None else None,
            *(seed, target),
        )
        reader = stack.enter_context(Reader(subject.network, chosen, device, execution.precision))
        _explain(job, reader, info, hashes, progress)
    return Explanation.open(target)


def _explain(
    job: Job, reader: Reader, info: ExplainInfo, hashes: list[str], progress: Progress
) -> None:
    """Make both passes, and write the folder."""
    sums = sum_up(job, reader, progress)
    fitted: dict[str, Fitted] = {}
    with progress.task("regressions", len(reader.layers)) as advance:
        for layer in reader.layers:
            fitted[layer.name] = fit(layer, fold_sums(sums, layer))
            advance(1)
    errors = Errors(job, reader.layers)
    errors.measure(reader, fitted, progress)
    files: dict[str, str] = {}
    units, categories, by_layer = [], [], []
    for layer in reader.layers:
        of_layer = {"layer": layer.name}
        for name, moments in zip(["", *info.categories], errors.moments(layer), strict=True):
            table = moments.table()
            whole, own = table.iloc[-1:], table.iloc[:-1]
            by_layer.append(whole.assign(**of_layer, category=name, units=layer.units))
            own = own.assign(**of_layer, unit=np.arange(layer.units))
            if name:
                categories.append(own.assign(category=name))
            else:
                own = own.assign(penalty=fitted[layer.name].penalties)
                units.append(pd.concat([own, _best_filters(fitted[layer.name].every)], axis=1))
    keys = ["layer", "category", "unit", "units"]
    tables = {
        "features": pd.DataFrame(FEATURES).rename_axis("feature").reset_index(),
        "units": pd.concat(units),
        "layers": pd.concat(by_layer),
        "images": pd.DataFrame(
            {
                "image_id": [image.id for image in job.stimuli],
                "image": [image.file_name for image in job.stimuli],
                "sha256": hashes,
                "fold": job.folds,
            }
        ),
    }
    if categories:
        tables["categories"] = pd.concat(categories)
    for layer in reader.layers:
        if job.extra(layer):
            tables["readout"] = _readout(layer, fold_sums(sums, layer), fitted[layer.name].whole)
    for name, table in tables.items():
        first = [key for key in keys if key in table]
        table = table[[*first, *(key for key in table if key not in first)]]
        table = table if name == "readout" else table.round(6)
        files |= _written(job.folder, f"{name}.csv", csv_of(table).encode())
    ordered = [fitted[layer.name] for layer in reader.layers]
    arrays = {
        "coefficients": np.hstack([one.whole for one in ordered]),
        "spreads": np.stack([one.every.spread() for one in ordered]),
        "stimuli": errors.state["layers"],
    }
    for name, array in arrays.items():
        with atomic_write(job.folder / f"{name}.npy") as file:
            np.save(file, array)
        files[f"{name}.npy"] = sha256(job.folder / f"{name}.npy")
    outcome = {
        "status": "complete",
        "readout": job.read_on,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "sha256": files,
    }
    ExplainInfo.model_validate({**info.content(), **outcome}).write(job.folder)
    sums.remove()
    errors.state.remove()


def _entered(
    target: Path,
    info: ExplainInfo,
    network: Model,
    layers: list[Layer],
    stimuli: Stimuli,
    progress: Progress,
) -> ExplainInfo:
    """Begin a folder, or return the record of the explanation in it, which must be the same."""
    known: dict[str, Registration | None] = {}
    before = None
    if (target / ExplainInfo.file_name).exists():
        before = ExplainInfo.read(target)
        known = {layer.name: layer.registration for layer in before.layers}
    elif info.parameters.registration == "measured":
        some = [stimuli[k] for k in range(0, len(stimuli), -(-len(stimuli) // _MEASURED_ON))]
        with progress.task("measuring where cells look", len(some)) as advance:
            known |= measure_registration(
                *(network, layers, map(stimuli.read, some)), advance=advance
            )
    info = info.model_copy(update={"layers": registered_layers(info.layers, known)})
    if before is None:
        info.write(target)
        return info
    check_same(target, before.content(), info.content(), _SAME)
    if before.status == "complete":
        for path in target.glob("*.partial.npy"):  # it was killed as it ended
            path.unlink()
        progress.say(f"{target} is already complete; nothing to do")
    return before


def _read_on(layers: Sequence[Layer]) -> str | None:
    """Return the layer whose rebuilt maps a readout is fitted on: the output of the last block."""
    inner = [layer for layer in layers if layer.name != "readout"]
    return last_layer(inner).name if inner else None


def _labelled(opened: Source, images: set[int]) -> list[tuple[str, int]]:
    """Return the categories that have regions on some images, and their ids, in order."""
    present = {one.category_id for one in opened.masks.annotations if one.image_id in images}
    names, known = opened.masks.category_of(), opened.masks.category_names()
    return [(names[one], one) for one in sorted(present) if names[one] in known]


def _best_filters(every: Sums) -> pd.DataFrame:
    """Return of each unit the filter whose responses alone explain it best, and how much.

    A unit that does not vary has none.
    """
    total = every.total()
    shares = []
    for places in FILTERS:
        columns = np.zeros(len(FEATURES), dtype=bool)
        columns[places] = True
        own = every.of(columns)
        shares.append(1 - own.errors(Ridge(own).coefficients(PENALTIES[0])) / _positive(total))
    best, none = np.argmax(shares, axis=0), Feature("", "")
    varies = total > 0
    of = [
        FEATURES[FILTERS[place][0]] if known else none
        for place, known in zip(best, varies, strict=True)
    ]
    r2 = np.where(varies, np.max(shares, axis=0), np.nan)
    return pd.DataFrame(
        {
            "filter_channel": [one.channel for one in of],
            "filter_wavelength": [one.wavelength for one in of],
            "filter_orientation": [one.orientation for one in of],
            "filter_r2": r2,
        }
    )


def _positive(total: np.ndarray) -> np.ndarray:
    return np.where(total > 0, total, 1)


def _readout(layer: Layer, folds: list[Sums], whole: np.ndarray) -> pd.DataFrame:
    """Fit a 1×1 readout with bias from a layer's rebuilt maps to the empirical saliency map."""
    rebuild = np.hstack([np.eye(len(whole), 1), whole])  # ones stay ones
    rebuilt = [
        Sums(
            rebuild.T @ one.xx @ rebuild,
            rebuild.T @ one.xy[:, layer.units :],
            one.yy[layer.units :],
        )
        for one in folds
    ]
    without, every, _ = cross_fit(rebuilt)
    table = {"unit": np.arange(-1, layer.units), "weight": every[:, 0]}
    return pd.DataFrame(
        {**table, **{f"without_{k}": fitted[:, 0] for k, fitted in enumerate(without)}}
    )


def _written(folder: Path, name: str, content: bytes) -> dict[str, str]:
    with atomic_write(folder / name) as file:
        file.write(content)
    return {name: hashlib.sha256(content).hexdigest()}


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

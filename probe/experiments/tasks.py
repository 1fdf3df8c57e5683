"""A network trained on the same stimuli for two tasks, to isolate the effect of the task.

References
----------
He et al., CVPR 2019, section 8: Tables 7 and 8, Figure 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ...datasets.files import sha256
from ...datasets.masks.mask_set import MaskSet
from ...datasets.progress import SILENT, Advance, Progress
from ...datasets.sources.load import mask_path, root_of
from ...datasets.stimuli import Dataset, Stimulus
from ..choices import Task
from ..layers.layers import Layer
from ..networks.activation import activation
from ..networks.device import DEFAULT_EXECUTION, Execution
from ..networks.load import Backbone
from ..networks.model import Model
from ..records.train_info import TrainInfo
from ..runs.probing import probe
from ..runs.run import Run
from ..saliency.metrics import nss
from ..statistics.clusters import mean_interval
from ..training.recipe import Recipe
from ..training.split import stratified_split
from ..training.store import read_test, write_table
from ..training.train import train
from .trainings import CHANGE, changes, entered, read_result, unseen_regions, with_q

TASKS = {
    "pt": "pre-trained",
    "sp": "trained for saliency prediction",
    "sr": "trained for scene recognition",
}
"""The paper's names of the three networks."""

_TRAINED: dict[str, Task] = {"sp": "saliency", "sr": "scenes"}


@dataclass(frozen=True, eq=False)
class Tasks:
    """The result of `compare_tasks`, which also writes it as CSV files of the same names.

    Attributes
    ----------
    folder : Path
    runs : dict of Run
        Runs by the names of `TASKS`.
    model, layer : str
        The network, and the layer at which it was cut.
    categories : DataFrame
        ``task, category, top10_mean …`` as in a run's summary (Table 7), and ``change,
        change_low, change_high, change_p, change_q``: over the pre-trained network; see `compare`.
    between : DataFrame
        ``task, category, change, change_low, change_high, change_p, change_q``: saliency over
        scenes.
    images : DataFrame
        ``image_id, image, scene, predicted, correct, pt, sp, sr``: of each test stimulus, the
        NSS of the mean of the layer's activation maps, for each network.
    attention : DataFrame
        ``prediction, n, task, nss, low, high``: its means over stimuli whose scene was
        recognised, or not (Table 8), with intervals over stimuli.
    accuracy : dict
        ``test``: balanced accuracy; ``chance``.
    """

    folder: Path
    runs: dict[str, Run]
    model: str
    layer: str
    categories: pd.DataFrame
    between: pd.DataFrame
    images: pd.DataFrame
    attention: pd.DataFrame
    accuracy: dict[str, float]

    @classmethod
    def open(cls, folder: str | Path) -> Tasks:
        """Open the folder of a finished comparison.

        Raises
        ------
        InputError
            If it holds none, it is unfinished, or a file is damaged.
        """
        folder = Path(folder)
        bounds = [f"top10_{name}" for name in ("mean", "low", "high", "crossval")]
        keys = ["task", "category"]
        numbers = [*bounds, "above_threshold", *CHANGE]
        categories = read_result(folder, "tasks", "categories", keys, numbers)
        between = read_result(folder, "tasks", "between", keys, CHANGE)
        texts = ["image", "scene", "predicted", "correct"]
        images = read_result(folder, "tasks", "images", texts, list(TASKS), ["image_id"])
        images["correct"] = images["correct"] == "True"
        attention = read_result(
            *(folder, "tasks", "attention", ["prediction", "task"], ["nss", "low", "high"], ["n"])
        )
        runs = {name: Run.open(folder / f"run-{name}") for name in TASKS}
        backbone = TrainInfo.read(folder / "sp").parameters.backbone
        return cls(
            *(folder, runs, backbone.model, backbone.layer),
            *(categories, between, images, attention, _accuracy(images)),
        )


def compare_tasks(
    dataset: Dataset,
    scenes: Mapping[int, str],
    recipe: Recipe,
    out: str | Path,
    masks: str | Path,
    *,
    model: str | Backbone = "vgg16",
    root: str | Path | None = None,
    execution: Execution = DEFAULT_EXECUTION,
    progress: Progress = SILENT,
) -> Tasks:
    """Train a network for saliency and for scenes on the same stimuli, and compare its units.

    The stimuli are those that have a scene, split by `stratified_split`. If interrupted, the
    same call resumes.

    Parameters
    ----------
    dataset : Dataset
    scenes : mapping
        From a stimulus's id to its scene.
    recipe : Recipe
        Recipe for both tasks; its ``task`` is replaced, and its ``rate``, if given, is used for
        both.
    out : path
        Folder for the results.
    masks : path or ``osie-sr``
        Regions to probe on; those on stimuli that were trained on or validated with are left out.
    model : str or Backbone
        See `train`.
    root : path, optional
        Folder of the masks' images.
    execution : Execution
        Batch size and precision apply to training; units are always scored in float32.
    progress : Progress
        Where to report; silent by default.

    Raises
    ------
    InputError
        As for `train` and `probe`; or if the folder holds something else.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> dataset = sp.load_dataset("sample")
    >>> drawn = sp.load_masks("sample/masks.json")
    >>> masks = sp.transfer_labels(sp.cluster(dataset), drawn, "sample")
    >>> masks.write("regions.json")
    >>> scenes = {stimulus.id: "ab"[place % 2] for place, stimulus in enumerate(dataset.stimuli)}
    >>> backbone = sp.Backbone("squeezenet1_0", "random", input_size=(64, 64))
    >>> compared = sp.compare_tasks(
    ...     *(dataset, scenes, sp.Recipe(epochs=1), "tasks", "regions.json"),
    ...     model=backbone,
    ...     root="sample",
    ... )
    >>> list(compared.runs)
    ['pt', 'sp', 'sr']
    """
    out, source = Path(out), mask_path(masks)
    split = stratified_split(scenes)
    if not split.test:
        raise InputError("the scenes have too few stimuli to test on")
    mask_set = MaskSet.read(source)
    folder = root_of(mask_set, root, source.parent)
    unseen = unseen_regions(mask_set, folder, dataset, split, progress)
    parameters = {"masks": sha256(source), "split": split.sha256()}
    with entered(out, "tasks", parameters, unseen, folder, progress):
        backbone = Backbone(model) if isinstance(model, str) else model
        trained = {}
        for name, task in _TRAINED.items():
            progress.say(TASKS[name])
            trained[name] = train(
                dataset,
                replace(recipe, task=task),
                out / name,
                model=backbone,
                scenes=scenes,
                split=split,
                execution=execution,
                progress=progress,
            ).parameters.backbone
        cut = trained["sp"].layer
        # Drop the layer of the backbone: it only says where to cut.
        before = replace(backbone, layer=None, input_size=trained["sp"].input_size)
        backbones = {"pt": before, **{name: Backbone(str(out / name)) for name in _TRAINED}}
        runs = {
            name: probe(
                out / "masks.json",
                model=backbones[name],
                layers=[cut],
                root=folder,
                out=out / f"run-{name}",
                execution=Execution(execution.device, execution.workers),
                seed=recipe.seed,
                progress=progress,
            )
            for name in TASKS
        }
        networks = {name: backbones[name].load(recipe.seed) for name in TASKS}
        images = read_test(out / "sr", split.test, ["image", "scene", "predicted"])
        images["correct"] = images["scene"] == images["predicted"]
        stimuli = {stimulus.id: stimulus for stimulus in dataset.stimuli}
        tested = [stimuli[number] for number in images["image_id"]]
        with progress.task("mean maps", len(TASKS) * len(tested)) as advance:
            for name, network in networks.items():
                images[name] = _attention(dataset, tested, network, cut, advance)
        rows = {name: changes(runs["pt"], run, cut, recipe.seed) for name, run in runs.items()}
        between = changes(runs["sr"], runs["sp"], cut, recipe.seed)
        steps = [table.assign(task=name) for name, table in rows.items()]
        result = Tasks(
            out,
            runs,
            backbone.model,
            cut,
            with_q(pd.concat(steps, ignore_index=True)),
            with_q(between)[["category", *CHANGE]].assign(task="sp over sr"),
            images,
            _table8(images),
            _accuracy(images),
        )
        for name in ("categories", "between", "images", "attention"):
            write_table(out / f"{name}.csv", getattr(result, name))
        return result


def _accuracy(images: pd.DataFrame) -> dict[str, float]:
    recalls = images.groupby("scene")["correct"].mean()
    return {"test": float(recalls.mean()), "chance": 1 / max(1, len(recalls))}


def mean_map(model: Model, layer: Layer, dataset: Dataset, stimulus: Stimulus) -> np.ndarray:
    """Return the mean of a layer's activation maps, resized to the stimulus.

    Parameters
    ----------
    model : Model
    layer : Layer
        A layer of the model.
    dataset : Dataset
    stimulus : Stimulus

    Returns
    -------
    float32 array, shape (height, width)

    Raises
    ------
    InputError
        If the image cannot be read.
    """
    maps = activation(model, layer, dataset.stimuli.read(stimulus)).mean(axis=0)
    return cv2.resize(maps, (stimulus.width, stimulus.height))


def _attention(
    dataset: Dataset,
    stimuli: list[Stimulus],
    model: Model,
    name: str,
    advance: Advance,
) -> list[float]:
    """Return the NSS of each stimulus's mean map; NaN where there are no fixations."""
    layer, scores = model.layer(name), []
    for stimulus in stimuli:
        looked = dataset.fixations.of(stimulus.id)
        saliency = mean_map(model, layer, dataset, stimulus).astype(np.float64)
        scores.append(nss(saliency, looked.x, looked.y) if len(looked) else np.nan)
        advance(1)
    return scores


def _table8(images: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for prediction, correct in (("correct", True), ("wrong", False)):
        part = images[images["correct"] == correct]
        for task in TASKS:
            values = part[task].dropna().to_numpy()
            nss = mean_interval(values).columns("nss", prefix=False)
            rows.append({"prediction": prediction, "n": len(values), "task": task, **nss})
    return pd.DataFrame(rows)

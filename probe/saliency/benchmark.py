"""`probe score`: saliency models against the fixations on a dataset's images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from ...datasets.errors import InputError
from ...datasets.progress import SILENT, Progress
from ...datasets.stimuli import Dataset, Stimulus
from ..statistics.clusters import mean_interval
from .maps import MapOf
from .metrics import (
    auc_borji,
    auc_judd,
    auc_shuffled,
    cc,
    empirical,
    information_gain,
    kl,
    nss,
    sim,
)

MEASURES = ("NSS", "AUC-Judd", "AUC-Borji", "sAUC", "CC", "SIM", "KL", "IG")
_OTHERS = 10  # images that sAUC draws its negatives from, as in the benchmark


def score(
    dataset: Dataset,
    models: Mapping[str, MapOf],
    count: int | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Score saliency models on images.

    Parameters
    ----------
    dataset : Dataset
    models : mapping
        From a name to the function that returns a stimulus's map.
    count : int, optional
        Score only the first images.
    seed : int
        For the random draws of AUC-Borji and sAUC.

    Returns
    -------
    DataFrame
        ``model, image_id, file_name`` and `MEASURES`, a row for each model and image with
        fixations. The empirical saliency map is the fixations blurred by one degree. IG is over a
        centre-bias baseline: the blurred fixations of all other images, at relative positions.

    Raises
    ------
    InputError
        If fewer than two images have fixations, or a map cannot be made or read.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> dataset = sp.load_dataset("sample")
    >>> def bright(stimulus):
    ...     return np.asarray(dataset.stimuli.read(stimulus).convert("L"), float)
    >>> scores = sp.score(dataset, {"bright": bright}, count=2)
    >>> scores.columns[:4].tolist()
    ['model', 'image_id', 'file_name', 'NSS']
    """
    viewed = [image for image in dataset.stimuli if len(dataset.fixations.of(image.id))]
    stimuli = viewed[:count]
    if len(stimuli) < 2:
        raise InputError(f"{len(stimuli)} images with fixations: expected 2 or more")
    centre = _CentreBias(dataset, viewed)
    rows = []
    with progress.task("scoring", len(models) * len(stimuli)) as advance:
        for stimulus in stimuli:
            looked = dataset.fixations.of(stimulus.id)
            x, y = looked.x, looked.y
            size = (stimulus.height, stimulus.width)
            blurred = empirical(x, y, size, dataset.px_per_degree)
            baseline = centre.without(stimulus)
            rng = np.random.default_rng([seed, stimulus.id])
            other_x, other_y = _on_others(dataset, viewed, stimulus, rng)
            for name, map_of in models.items():
                drawing = np.random.default_rng([seed, stimulus.id, 1])  # the same for every model
                saliency = map_of(stimulus)
                values = (
                    nss(saliency, x, y),
                    auc_judd(saliency, x, y),
                    auc_borji(saliency, x, y, drawing),
                    auc_shuffled(saliency, x, y, other_x, other_y, drawing),
                    cc(saliency, blurred),
                    sim(saliency, blurred),
                    kl(saliency, blurred),
                    information_gain(saliency, baseline, x, y),
                )
                keys = {"model": name, "image_id": stimulus.id, "file_name": stimulus.file_name}
                rows.append({**keys, **dict(zip(MEASURES, values, strict=True))})
                advance(1)
    return (
        pd.DataFrame(rows)
        .sort_values("model", kind="stable", key=lambda m: m.map(list(models).index))
        .reset_index(drop=True)
    )


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return ``model, measure, mean, low, high``, 95 % intervals over images."""
    rows = []
    for name, part in table.groupby("model", sort=False):
        for measure in MEASURES:
            mean = mean_interval(part[measure].to_numpy())
            rows.append({"model": name, "measure": measure, **mean.columns("mean", prefix=False)})
    return pd.DataFrame(rows)


class _CentreBias:
    """Blurred fixations of all images but one, on a grid of relative positions."""

    _SHAPE = (150, 200)

    def __init__(self, dataset: Dataset, stimuli: list[Stimulus]) -> None:
        self._dataset = dataset
        self._all = sum((self._counts(stimulus) for stimulus in stimuli), np.zeros(self._SHAPE))

    def without(self, stimulus: Stimulus) -> np.ndarray:
        """Return the baseline density for a stimulus, nowhere 0."""
        import cv2

        counts = self._all - self._counts(stimulus)
        sigma = self._dataset.px_per_degree * self._SHAPE[1] / stimulus.width
        smooth = gaussian_filter(counts, sigma, mode="constant") + 1e-3 * counts.sum() / counts.size
        return cv2.resize(smooth, (stimulus.width, stimulus.height))

    def _counts(self, stimulus: Stimulus) -> np.ndarray:
        looked = self._dataset.fixations.of(stimulus.id)
        counts = np.zeros(self._SHAPE)
        rows = looked.y * self._SHAPE[0] // stimulus.height
        np.add.at(counts, (rows, looked.x * self._SHAPE[1] // stimulus.width), 1)
        return counts


def _on_others(
    dataset: Dataset, stimuli: list[Stimulus], stimulus: Stimulus, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return fixations on other images, at the same relative positions on this image."""
    others = [image for image in stimuli if image.id != stimulus.id]
    chosen = rng.choice(len(others), min(_OTHERS, len(others)), replace=False)
    places = []
    for k in chosen:
        looked = dataset.fixations.of(others[k].id)
        x = looked.x * stimulus.width // others[k].width
        places.append((x, looked.y * stimulus.height // others[k].height))
    x, y = (np.concatenate(part) for part in zip(*places, strict=True))
    return x, y

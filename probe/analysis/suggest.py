"""Suggest categories for unlabelled regions: those of the most similar labelled regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.categories import UNLABELLED
from ...datasets.errors import InputError
from ...datasets.files import sha256
from ...datasets.masks.mask_set import MaskSet
from ...datasets.progress import SILENT, Advance, Progress
from ...datasets.stimuli import Stimuli
from ..layers.layers import Layer, select
from ..networks.device import resolve_device
from ..networks.load import Backbone
from ..networks.model import Model
from ..scoring.batches import MaskPlan
from ..scoring.loading import load_batches
from ..scoring.scorer import Scorer

NEIGHBOURS = 15
SHARPNESS = 10.0
"""A neighbour's weight is exp(SHARPNESS · cosine)."""


@dataclass(frozen=True, eq=False)
class Suggested:
    """The result of `suggest`.

    Attributes
    ----------
    masks : MaskSet
        Its unlabelled regions have a ``suggestion``: ``category``, ``confidence``, ``source``.
    count : int
        Number of regions with a suggestion.
    accuracy : float
        Share of the labelled regions for which the regions of other images suggest the right
        category (leave-one-image-out).
    commonest : float
        Share of the commonest category: the accuracy of always guessing it.
    n_labelled : int
    layer : str
    """

    masks: MaskSet
    count: int
    accuracy: float
    commonest: float
    n_labelled: int
    layer: str


def suggest(
    masks: MaskSet,
    root: str | Path,
    labelled: MaskSet | None = None,
    labelled_root: str | Path | None = None,
    *,
    model: str | Backbone = "vgg16",
    device: str = "auto",
    progress: Progress = SILENT,
) -> Suggested:
    """Suggest a category for each unlabelled region.

    A region is described by the mean of every unit's standardised map over its mask (NMM,
    He et al. 2019, equation 4); the `NEIGHBOURS` labelled regions with the largest cosine vote,
    and the confidence is the winner's share of their weights.

    Parameters
    ----------
    masks : MaskSet
    root : path
        Folder of the images of ``masks``.
    labelled : MaskSet, optional
        Mask set whose labelled regions vote; by default ``masks``.
    labelled_root : path, optional
        Folder of the images of ``labelled``; by default ``root``.
    model : str or Backbone
        See `probe`. Its layer is by default the last one probed by default; its input size is
        by default twice that of the weights, because regions are small.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    progress : Progress
        Where to report; silent by default.

    Raises
    ------
    InputError
        If no region is labelled, no region is unlabelled, or the categories of the two sets
        differ.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> dataset = sp.load_dataset("sample")
    >>> drawn = sp.load_masks("sample/masks.json")
    >>> small = sp.Backbone("gabor", input_size=(64, 64))
    >>> suggested = sp.suggest(sp.cluster(dataset), "sample", drawn, model=small)
    >>> suggested.count == len(suggested.masks.annotations)
    True
    """
    labelled = labelled or masks
    names = labelled.category_of()
    known = [region for region in labelled.annotations if names[region.category_id] != UNLABELLED]
    ids = {category.name: category.id for category in masks.categories}
    own = masks.category_of()
    open_ids = {region.id for region in masks.annotations if own[region.category_id] == UNLABELLED}
    if not known:
        raise InputError(
            "no labelled region to learn from; name a labelled mask file with --labels"
        )
    if not open_ids:
        raise InputError("every region has a category already")
    strange = [
        names[region.category_id] for region in known if names[region.category_id] not in ids
    ]
    if strange:
        raise InputError(f"category {strange[0]!r} is not among those of the mask file")
    backbone = Backbone(model) if isinstance(model, str) else model
    sizes = [(image.height, image.width) for image in masks.images]
    network = backbone.load().at_scale(sizes, masks.info.salprobe.px_per_degree)
    if backbone.input_size is None and network.px_per_degree is None:
        height, width = network.input_size
        network = replace(network, input_size=(2 * height, 2 * width))
    layers = network.layers()
    chosen = select(layers, [backbone.layer])[-1] if backbone.layer else _last(layers)
    n_images = len(masks.by_image()) + (0 if labelled is masks else len(labelled.by_image()))
    with progress.task("looking", n_images) as advance:
        features = region_features(masks, Path(root), network, chosen, device, advance)
        known_features = features
        if labelled is not masks:
            known_features = region_features(
                labelled, Path(labelled_root or root), network, chosen, device, advance
            )
    keep = [region for region in known if region.id in known_features]
    if not keep:
        raise InputError("every labelled region's mask is empty")
    votes = Neighbours(
        np.stack([known_features[region.id] for region in keep]),
        [names[region.category_id] for region in keep],
        _image_keys(labelled, Path(labelled_root or root), [region.image_id for region in keep]),
    )
    wanted = [
        region for region in masks.annotations if region.id in open_ids and region.id in features
    ]
    if not wanted:
        raise InputError("every unlabelled region's mask is empty")
    keys = _image_keys(masks, Path(root), [region.image_id for region in wanted])
    categories, confidences = votes.vote(np.stack([features[region.id] for region in wanted]), keys)
    suggestions = {
        region.id: (category, confidence)
        for region, category, confidence in zip(wanted, categories, confidences, strict=True)
    }
    content = masks.to_dict()
    for entry in content["annotations"]:
        if entry["id"] in suggestions:
            category, confidence = suggestions[entry["id"]]
            entry["suggestion"] = {
                "category": category,
                "confidence": round(confidence, 3),
                "source": f"{backbone.model} {chosen.name}",
            }
    accuracy, commonest = votes.left_out()
    return Suggested(
        MaskSet.from_dict(content), len(suggestions), accuracy, commonest, len(keep), chosen.name
    )


class Neighbours:
    """Labelled regions that vote on the category of regions on other images.

    Parameters
    ----------
    features : float array, shape (n, units)
    categories : list of n str
    images : list of n str
        A key of each region's image.
    """

    def __init__(self, features: np.ndarray, categories: list[str], images: list[str]) -> None:
        self._features = _unit_length(features)
        self.names, self._category = np.unique(categories, return_inverse=True)
        self._images = np.asarray(images)

    def vote(self, features: np.ndarray, images: list[str]) -> tuple[list[str], list[float]]:
        """Return a category and its confidence for each of m regions.

        Parameters
        ----------
        features : float array, shape (m, units)
        images : list of m str

        Raises
        ------
        InputError
            If a region's own image is the only one with labelled regions.
        """
        shares = self._shares(features, np.asarray(images))
        best = shares.argmax(axis=1)
        return self.names[best].tolist(), shares.max(axis=1).tolist()

    def left_out(self) -> tuple[float, float]:
        """Return the leave-one-image-out accuracy, and the share of the commonest category."""
        commonest = float(np.bincount(self._category).max() / len(self._category))
        if len(set(self._images)) < 2:
            return float("nan"), commonest
        shares = self._shares(self._features, self._images)
        return float((shares.argmax(axis=1) == self._category).mean()), commonest

    def _shares(self, features: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Return each category's share of the votes, float array (m, categories)."""
        cosine = _unit_length(features) @ self._features.T
        cosine[images[:, None] == self._images[None, :]] = -np.inf
        k = min(NEIGHBOURS, cosine.shape[1])
        nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
        weight = np.exp(SHARPNESS * np.take_along_axis(cosine, nearest, axis=1))
        if not weight.any(axis=1).all():
            raise InputError("expected labelled regions on other images to learn from")
        shares = np.zeros((len(features), len(self.names)))
        for column in range(k):
            np.add.at(
                shares,
                (np.arange(len(features)), self._category[nearest[:, column]]),
                weight[:, column],
            )
        return shares / shares.sum(axis=1, keepdims=True)


def region_features(
    masks: MaskSet,
    root: Path,
    network: Model,
    layer: Layer,
    device: str,
    advance: Advance,
) -> dict[int, np.ndarray]:
    """Return the units' NMM of each region that has a pixel, by its id."""
    plan = MaskPlan.of(masks, root)
    features: dict[int, np.ndarray] = {}
    with Scorer(network, [layer], resolve_device(device), "fp32") as scorer:
        numbers = range(len(plan.batches))
        for _, loaded, _ in load_batches(plan, numbers, network.resize, scorer.device):
            for stimulus, scores in zip(loaded, scorer.score(loaded), strict=True):
                for region, row in zip(stimulus.item.regions, scores, strict=True):
                    if not np.isnan(row).any():
                        features[region.id] = row
            advance(len(loaded))
    return features


def _last(layers: list[Layer]) -> Layer:
    defaults = [layer for layer in layers if layer.default] or layers
    maps = [layer for layer in defaults if layer.height * layer.width > 1 and layer.units > 1]
    if not maps:
        raise InputError(
            "the model has no layer of activation maps by default; name one with --layer"
        )
    return maps[-1]


def _image_keys(masks: MaskSet, root: Path, ids: Sequence[int]) -> list[str]:
    """Return the hash of each image: another data set's image of the same name is another image."""
    stimuli = Stimuli(root, tuple(masks.image(number) for number in dict.fromkeys(ids)))
    hashes = {stimulus.id: sha256(stimuli.path(stimulus)) for stimulus in stimuli}
    return [hashes[number] for number in ids]


def _unit_length(features: Any) -> np.ndarray:
    features = np.asarray(features, dtype=np.float64)
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(length > 0, length, 1)

"""Agreement of annotators: regions matched by overlap, categories compared by kappa."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...datasets.categories import UNLABELLED, ids_with
from ...datasets.errors import InputError
from ...datasets.interval import Interval
from ...datasets.masks.annotation import Annotation
from ...datasets.masks.mask_set import MaskSet
from ..regions.matching import grouped, match

RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Agreement:
    """Result of `agree`.

    Attributes
    ----------
    n_images : int
        Images that all files hold; others are left out.
    n_regions : list of int
        Each file's number of regions on these images.
    matched : DataFrame
        One row for each region that all files have: ``image``, one column of categories for each
        file (``0``, ``1`` …), and ``iou``, the mean with the first file's region.
    same : float
        Share of matched regions to which all files give the same category.
    kappa : Interval
        Cohen's for two files, Fleiss' for more. The 95 % interval comes from a bootstrap over
        images, and is NaN for fewer than two images.
    disagreements : MaskSet
        Regions that a file lacks or gives a different category, as the first file that has them
        draws and labels them, each with ``disagreement``: the categories of the other files in
        order (``null`` where the region is missing). Regions that the first file lacks get new ids.
    categories : list of str
        Categories of all files, in the order of the first file.
    """

    n_images: int
    n_regions: list[int]
    matched: pd.DataFrame
    same: float
    kappa: Interval
    disagreements: MaskSet
    categories: list[str]

    @property
    def kappa_name(self) -> str:
        """Whose kappa it is: Cohen's or Fleiss'."""
        return "Cohen's" if len(self.n_regions) == 2 else "Fleiss'"

    def confusion(self) -> pd.DataFrame:
        """Return how often the first file's category (row) is the second's (column)."""
        table = pd.crosstab(self.matched["0"], self.matched["1"])
        present = set(table.index) | set(table.columns)
        order = [name for name in self.categories if name in present]
        return table.reindex(index=order, columns=order, fill_value=0)


def labels_by(labelled: MaskSet, masks: MaskSet, min_iou: float = 0.5) -> dict[int, str]:
    """Return the category that another file gives each region of a mask set, by region id.

    Images are matched by file name, regions by `match`. Regions without a match, or unlabelled
    in ``labelled``, are left out.
    """
    theirs, names = labelled.by_image(), labelled.category_of()
    ids = {image.file_name: image.id for image in labelled.images}
    categories = {}
    mine_by_image = masks.by_image()
    for image in masks.images:
        mine = mine_by_image.get(image.id, [])
        their_regions = theirs.get(ids.get(image.file_name, -1), [])
        for i, j, _ in match(mine, their_regions, image, min_iou):
            category = names[their_regions[j].category_id]
            if category != UNLABELLED:
                categories[mine[i].id] = category
    return categories


def agree(files: Sequence[MaskSet], min_iou: float = 0.5, seed: int = 0) -> Agreement:
    """Compare the labels of two or more mask sets of the same images.

    Images are matched by file name, regions of an image by overlap with the first file's.

    Parameters
    ----------
    files : sequence of MaskSet
    min_iou : float
        Smallest intersection over union at which regions count as the same.
    seed : int
        Seed for the bootstrap.

    Raises
    ------
    InputError
        If fewer than two are given, ``min_iou`` is out of range, they share no image, an image
        differs in size, or no region matches.

    Examples
    --------
    >>> import salprobe as sp
    >>> first, second = sp.load_masks("osie-sr"), sp.load_masks("osie-sr-second")
    >>> agreement = sp.agree([first, second])
    >>> agreement.kappa_name, round(agreement.kappa.value, 2)
    ("Cohen's", 0.94)
    """
    if len(files) < 2:
        raise InputError("agreement needs two mask files or more")
    if not 0 < min_iou <= 1:
        raise InputError(f"IoU {min_iou}: expected a number above 0, at most 1")
    images = [{image.file_name: image for image in masks.images} for masks in files]
    shared = [name for name in images[0] if all(name in known for known in images)]
    if not shared:
        raise InputError("the mask files share no image")
    regions = [masks.by_image() for masks in files]
    names = [masks.category_of() for masks in files]
    rows, disputed, missed = [], {}, []
    counts = [0] * len(files)
    for name in shared:
        image = images[0][name]
        if len({known[name].size for known in images}) > 1:
            raise InputError(f"{name} has different sizes in the mask files")
        on_image = [
            file_regions.get(known[name].id, [])
            for file_regions, known in zip(regions, images, strict=True)
        ]
        counts = [count + len(drawn) for count, drawn in zip(counts, on_image, strict=True)]
        pairs = [match(on_image[0], drawn, image, min_iou) for drawn in on_image[1:]]
        partners = [{i: (j, iou) for i, j, iou in matches} for matches in pairs]
        for index, region in enumerate(on_image[0]):
            own = names[0][region.category_id]
            others = [
                names[k][on_image[k][partner[index][0]].category_id] if index in partner else None
                for k, partner in enumerate(partners, start=1)
            ]
            if any(category != own for category in others):
                disputed[region.id] = others
            if None not in others:
                iou = float(np.mean([partner[index][1] for partner in partners]))
                categories = {str(k): category for k, category in enumerate([own, *others])}
                rows.append({"image": name, **categories, "iou": iou})
        matched_ones = [{j for _, j, _ in matches} for matches in pairs]
        others = [
            [region for j, region in enumerate(drawn) if j not in known]
            for drawn, known in zip(on_image[1:], matched_ones, strict=True)
        ]
        for group in grouped([[], *others], image, min_iou):
            given = [
                names[k][group[k].category_id] if k in group else None for k in range(len(files))
            ]
            missed.append((image.id, group[min(group)], given))
    if not rows:
        raise InputError(f"no region of the mask files overlaps by an IoU of {min_iou:g} or more")
    matched = pd.DataFrame(rows)
    ratings = matched[[str(k) for k in range(len(files))]].to_numpy(dtype=str)
    kappa = _kappa_of(np.unique(ratings), len(files))
    return Agreement(
        n_images=len(shared),
        n_regions=counts,
        matched=matched,
        same=float((ratings == ratings[:, :1]).all(axis=1).mean()),
        kappa=_interval(kappa, ratings, matched["image"].to_numpy(dtype=str), seed),
        disagreements=_disputed(files[0], disputed, missed),
        categories=list(
            dict.fromkeys(category.name for masks in files for category in masks.categories)
        ),
    )


def _kappa_of(categories: np.ndarray, n_files: int) -> Callable[[np.ndarray], float]:
    """Return the function that computes kappa from ratings of shape (regions, files)."""
    from sklearn.metrics import cohen_kappa_score
    from statsmodels.stats.inter_rater import fleiss_kappa

    def cohen(ratings: np.ndarray) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # with a single category kappa is NaN
            return float(cohen_kappa_score(ratings[:, 0], ratings[:, 1]))

    def fleiss(ratings: np.ndarray) -> float:
        table = (ratings[:, :, None] == categories).sum(axis=1)
        with np.errstate(invalid="ignore"):
            return float(fleiss_kappa(table))

    return cohen if n_files == 2 else fleiss


def _interval(
    kappa: Callable[[np.ndarray], float], ratings: np.ndarray, images: np.ndarray, seed: int
) -> Interval:
    """Return kappa with percentiles of its resamples, leaving out those with undefined kappa."""
    from scipy.stats import DegenerateDataWarning, bootstrap

    _, place = np.unique(images, return_inverse=True)
    rows = [np.flatnonzero(place == index) for index in range(place.max() + 1)]
    value = kappa(ratings)
    if len(rows) < 2 or len(np.unique(ratings)) < 2:
        return Interval(value, np.nan, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # kappa of a resample is undefined
        resampled = bootstrap(
            (np.arange(len(rows)),),
            lambda chosen: kappa(ratings[np.concatenate([rows[image] for image in chosen])]),
            n_resamples=RESAMPLES,
            vectorized=False,
            method="percentile",
            rng=np.random.default_rng(seed),
        ).bootstrap_distribution
    known = resampled[~np.isnan(resampled)]
    if not known.size:
        return Interval(value, np.nan, np.nan)
    return Interval(value, *np.percentile(known, [2.5, 97.5]).tolist())


def _disputed(
    masks: MaskSet,
    disputed: dict[int, list[str | None]],
    missed: list[tuple[int, Annotation, list[str | None]]],
) -> MaskSet:
    """Return the disputed regions, then those that the first file misses.

    ``missed`` holds the image's id in the first file, the region, and every file's category.
    """
    images = {region.image_id for region in masks.annotations if region.id in disputed}
    content = masks.subset(images | {image for image, *_ in missed}, disputed).to_dict()
    for entry in content["annotations"]:
        entry["disagreement"] = disputed[entry["id"]]
    highest = max((region.id for region in masks.annotations), default=0)
    for number, (image, region, given) in enumerate(missed, start=highest + 1):
        own = next(place for place, category in enumerate(given) if category is not None)
        category = ids_with(content["categories"], str(given[own]))[str(given[own])]
        entry = {"id": number, "image_id": image, "category_id": category}
        others = given[:own] + given[own + 1 :]
        entry = region.model_dump(exclude_unset=True) | entry | {"disagreement": others}
        content["annotations"].append(entry)
    return MaskSet.from_dict(content)

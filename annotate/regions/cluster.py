"""From a dataset to a mask set: clusters of fixations become salient regions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import get_args

import numpy as np
import shapely

from ...datasets.categories import UNLABELLED_ID
from ...datasets.errors import InputError
from ...datasets.fixations import Fixations
from ...datasets.masks.mask_set import MaskSet, new_mask_set
from ...datasets.masks.outlines import Outline, outline_of_shape
from ...datasets.progress import SILENT, Progress
from ...datasets.stimuli import Dataset, Stimulus
from ..choices import Method
from .methods import NOISE, dbscan, hdbscan, mean_shift


@dataclass(frozen=True)
class Clustering:
    """How fixations become regions; lengths are in degrees of visual angle.

    The defaults were chosen on OSIE: see docs/adr/0003-clustering-defaults.md.

    Attributes
    ----------
    method : "mean-shift", "hdbscan" or "dbscan"
    bandwidth : float
        Kernel radius of mean shift.
    radius : float
        Neighbourhood radius of DBSCAN; core fixations have 5 fixations within it.
    min_fixations, min_subjects : int
        Minimum numbers for a cluster to become a region.
    reach : float
        A fixation with fewer than two others of its cluster within this distance is a
        straggler, and is left out of the region.
    margin : float
        The outline is the convex hull of the fixations, widened by this margin.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    method: Method = "mean-shift"
    bandwidth: float = 2.0
    radius: float = 0.75
    min_fixations: int = 8
    min_subjects: int = 4
    reach: float = 1.25
    margin: float = 0.4

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise InputError(f"method {self.method!r}: expected {', '.join(get_args(Method))}")
        for name, least in (("bandwidth", 0), ("radius", 0), ("reach", 0), ("margin", 0)):
            value = getattr(self, name)
            if not least < value < 180:
                raise InputError(f"{name.replace('_', ' ')} {value}: expected degrees above 0")
        for name, least in (("min_fixations", 3), ("min_subjects", 1)):
            if getattr(self, name) < least:
                raise InputError(
                    f"{name.replace('_', ' ')} {getattr(self, name)}: expected {least} or more"
                )

    def labels(self, positions: np.ndarray) -> np.ndarray:
        """Cluster positions, float array (n, 2) in degrees; return int labels (n,)."""
        if self.method == "mean-shift":
            return mean_shift(positions, self.bandwidth)
        if self.method == "hdbscan":
            return hdbscan(positions, self.min_fixations)
        return dbscan(positions, self.radius, min_samples=5)


def cluster(
    dataset: Dataset,
    clustering: Clustering = Clustering(),
    progress: Progress = SILENT,
) -> MaskSet:
    """Turn a dataset's fixations into unlabelled salient regions.

    Parameters
    ----------
    dataset : Dataset
    clustering : Clustering
    progress : Progress
        Counts the stimuli.

    Returns
    -------
    MaskSet
        All stimuli, their regions in the category ``unlabelled`` (densest first), and the
        fixations. The same input gives the same bytes.

    Raises
    ------
    InputError
        If there are no fixations.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> dataset = sp.load_dataset("sample")
    >>> masks = sp.cluster(dataset, sp.Clustering(bandwidth=2.0))
    >>> len(masks.images), {region.source for region in masks.annotations}
    (8, {'cluster'})
    """
    if not len(dataset.fixations):
        raise InputError(f"{dataset.name} has no fixations to cluster")
    annotations: list[dict] = []
    with progress.task("clustering", len(dataset.stimuli)) as advance:
        for stimulus in dataset.stimuli:
            looked = dataset.fixations.of(stimulus.id)
            for region in regions_of(stimulus, looked, dataset.px_per_degree, clustering):
                annotations.append({"id": len(annotations) + 1, **region})
            advance(1)
    gaze = "simulated fixations" if dataset.simulated else "fixations"
    return new_mask_set(
        dataset.stimuli,
        annotations,
        dataset.fixations,
        f"Salient regions of {dataset.name}: clusters of {gaze}",
        dataset=dataset.name,
        px_per_degree=round(dataset.px_per_degree, 4),
        clustering=asdict(clustering),
        **({"simulated": True} if dataset.simulated else {}),
    )


def regions_of(
    stimulus: Stimulus, fixations: Fixations, px_per_degree: float, clustering: Clustering
) -> list[dict]:
    """Return the regions of fixations on a stimulus as COCO annotations without ids."""
    positions = np.stack([fixations.x, fixations.y], axis=1) / px_per_degree
    labels = clustering.labels(positions)
    regions = []
    for label in np.unique(labels[labels != NOISE]):
        members = np.flatnonzero(labels == label)
        members = members[_together(positions[members], clustering.reach)]
        n_subjects = len(np.unique(fixations.subject[members]))
        if len(members) < clustering.min_fixations or n_subjects < clustering.min_subjects:
            continue
        margin = clustering.margin * px_per_degree
        regions.append(
            {
                "image_id": stimulus.id,
                "category_id": UNLABELLED_ID,
                **outline(fixations.where(members), stimulus, margin).to_coco(),
                "iscrowd": 0,
                "n_fixations": len(members),
                "n_subjects": n_subjects,
                "source": "cluster",
            }
        )
    return regions


def outline(fixations: Fixations, stimulus: Stimulus, margin: float) -> Outline:
    """Return the outline of a region around fixations.

    Parameters
    ----------
    fixations : Fixations
        On one stimulus.
    stimulus : Stimulus
    margin : float
        Pixels by which their convex hull is widened before it is clipped to the image.
    """
    centres = np.stack([fixations.x, fixations.y], axis=1) + 0.5
    hull = shapely.MultiPoint(centres).convex_hull.buffer(margin).simplify(0.5)
    frame = shapely.box(0, 0, stimulus.width, stimulus.height)
    with np.errstate(all="ignore"):  # GEOS leaves floating-point flags set
        shape = shapely.set_precision(hull.intersection(frame), 0.01)
    return outline_of_shape(shape, stimulus.height, stimulus.width)


def _together(positions: np.ndarray, reach: float) -> np.ndarray:
    """Return which of a cluster's fixations are not stragglers, bool (n,)."""
    offsets = positions[:, None] - positions[None, :]
    near = (offsets**2).sum(axis=2) <= reach**2
    return near.sum(axis=1) > 2  # itself and two others

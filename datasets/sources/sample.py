"""The sample: eight photographs from installed packages, hand-drawn masks, SIMULATED gaze."""

from __future__ import annotations

import csv
import io
import json
from importlib import resources
from pathlib import Path

import numpy as np
import shapely

from ..files import atomic_write
from ..masks.annotation import Annotation
from ..masks.mask_set import MaskSet
from ..stimuli import Stimulus

SUBJECTS = 15
FIXATIONS = 11
"""Number of fixations of each subject on each image."""

PX_PER_DEGREE = 20.0
SPREAD = 0.55
"""Standard deviation, in degrees, of fixations around the point looked at."""

STRAY = 0.12
"""Share of fixations that land anywhere on the image."""

ATTRACTION = {"person head": 4.0, "animal head": 4.0, "text": 2.0}
"""How often masks of a category are looked at, relative to 1 for the other categories."""

_PACKAGES = {
    "china.jpg": ("sklearn", "datasets/images"),
    "flower.jpg": ("sklearn", "datasets/images"),
}


def sample_masks() -> MaskSet:
    """Return the hand-drawn masks, in 11 of the 12 categories (no image shows food)."""
    text = (resources.files(str(__package__)) / "sample_masks.json").read_text("utf-8")
    return MaskSet.from_dict(json.loads(text), "sample_masks.json")


def write_sample(root: str | Path, seed: int = 0) -> None:
    """Write the sample's images, masks and simulated fixations into a folder.

    The images come from the wheels of scikit-image and scikit-learn, so nothing is downloaded.
    ``dataset.json`` marks the fixations as simulated.

    Raises
    ------
    InputError
        If the folder cannot be written.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> len(sp.load_masks("sample/masks.json").images)
    8
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    masks = sample_masks()
    for image in masks.images:
        package, folder = _PACKAGES.get(image.file_name, ("skimage", "data"))
        with atomic_write(root / image.file_name) as file:
            file.write((resources.files(package) / folder / image.file_name).read_bytes())
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("image", "subject", "x", "y", "duration_ms"))
    writer.writerows(simulate_gaze(masks, seed))
    description = {"name": "sample", "px_per_degree": PX_PER_DEGREE, "simulated": True}
    with atomic_write(root / "fixations.csv") as file:
        file.write(table.getvalue().encode())
    with atomic_write(root / "dataset.json") as file:
        file.write(json.dumps(description).encode())
    masks.write(root / "masks.json")


def simulate_gaze(masks: MaskSet, seed: int = 0) -> list[tuple[str, int, int, int, int]]:
    """Simulate fixations on hand-drawn masks.

    Each mask has a point of interest for every 30 square degrees of its area, but at least one;
    points are the same for all subjects. A fixation picks a mask (by `ATTRACTION`) and one of its
    points, and lands around it with a Gaussian of `SPREAD`; a share of `STRAY` lands anywhere.
    Durations are log-normal around 245 ms. This is demonstration data, not a model of gaze.

    Returns
    -------
    list of (image, subject, x, y, duration_ms)
        Whole pixels, all inside the image.
    """
    rng = np.random.default_rng(seed)
    names = masks.category_of()
    regions = masks.by_image()
    rows = []
    for image in masks.images:
        points, weights = [], []
        for annotation in regions[image.id]:
            mask_points = _points_of_interest(annotation, rng)
            weight = ATTRACTION.get(names[annotation.category_id], 1.0)
            points += mask_points
            weights += [weight / len(mask_points)] * len(mask_points)
        chances = np.array(weights) / sum(weights)
        for subject in range(1, SUBJECTS + 1):
            for _ in range(FIXATIONS):
                x, y = _one_fixation(np.array(points), chances, image, rng)
                duration = round(float(rng.lognormal(np.log(245), 0.4)))
                rows.append((image.file_name, subject, x, y, duration))
    return rows


def _points_of_interest(
    annotation: Annotation, rng: np.random.Generator
) -> list[tuple[float, float]]:
    polygon = shapely.Polygon(np.reshape(annotation.segmentation[0], (-1, 2)))  # type: ignore[index]
    core = polygon.buffer(-SPREAD * PX_PER_DEGREE)
    core = polygon if core.is_empty else core
    left, top, right, bottom = core.bounds
    wanted = max(1, round(polygon.area / PX_PER_DEGREE**2 / 30))
    points: list[tuple[float, float]] = []
    while len(points) < wanted:
        point = (float(rng.uniform(left, right)), float(rng.uniform(top, bottom)))
        if shapely.contains_xy(core, *point):
            points.append(point)
    return points


def _one_fixation(
    points: np.ndarray, chances: np.ndarray, image: Stimulus, rng: np.random.Generator
) -> tuple[int, int]:
    limits = np.array([image.width, image.height])  # (x, y)
    while True:
        if rng.random() < STRAY:
            position = rng.uniform(0, limits)
        else:
            position = rng.normal(
                points[rng.choice(len(points), p=chances)], SPREAD * PX_PER_DEGREE
            )
        if ((position >= 0) & (position < limits)).all():
            return int(position[0]), int(position[1])

"""What a run's site shows of its stimuli: pictures, outlines of regions, contours of maps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from ....datasets.errors import reading
from ....datasets.fixations import Fixations
from ....datasets.masks.annotation import RLE, Annotation
from ....datasets.masks.mask_set import MaskSet
from ....datasets.masks.regions import mask_of
from ....datasets.progress import Progress
from ....datasets.stimuli import Stimuli, Stimulus
from ...layers.layers import Layer
from ...networks.activation import activations
from ...networks.model import Model

LONGER_SIDE = 480
"""Pixels of the pictures; what is larger is made smaller."""

_QUALITY = 45  # of WebP: about 14 kB a picture
_SPECK = 0.001  # of the stimulus's area: smaller parts of a contour are left out

Contours = dict[tuple[str, int, int], str]
"""By layer, unit and image: an SVG path in pixels of the stimulus."""


def draw(
    folder: Path,
    stimuli: Stimuli,
    model: Model,
    layers: dict[str, Layer],
    shown: Iterable[tuple[str, int, int]],
    *,
    level: float,
    progress: Progress,
) -> Contours:
    """Write the pictures of the shown stimuli, ``ID.webp``, and return the units' contours.

    Parameters
    ----------
    folder : Path
        Where the pictures are written.
    stimuli : Stimuli
    model : Model
    layers : dict of Layer
        The run's layers in the network, by name.
    shown : iterable of (layer, unit, image id)
    level : float
        The NSS that a contour encloses: standard deviations above the map's mean.
    progress : Progress

    Raises
    ------
    InputError
        If an image cannot be read.
    """
    wanted: dict[int, set[tuple[str, int]]] = defaultdict(set)
    for layer, unit, image in shown:
        wanted[image].add((layer, unit))
    contours: Contours = {}
    chosen = [stimulus for stimulus in stimuli if stimulus.id in wanted]
    with progress.task("pictures and contours", len(chosen)) as advance:
        for stimulus in chosen:
            picture = stimuli.read(stimulus)
            units = wanted[stimulus.id]
            maps = activations(model, [layers[name] for name in {one for one, _ in units}], picture)
            for layer, unit in units:
                path = contour(maps[layer][unit], stimulus.size, level)
                contours[layer, unit, stimulus.id] = path
            picture.thumbnail((LONGER_SIDE, LONGER_SIDE), Image.Resampling.LANCZOS)
            picture.save(folder / f"{stimulus.id}.webp", quality=_QUALITY, method=4)
            advance(1)
    return contours


def looked_at(fixations: Fixations, image: int) -> str:
    """Return a stimulus's fixations as an SVG path of dots, in pixels of the stimulus."""
    own = fixations.of(image)
    places = zip(own.x.tolist(), own.y.tolist(), strict=True)
    return "".join(f"M{round(x)} {round(y)}h0" for x, y in places)


def small_picture(source: Path, target: Path, side: int) -> tuple[int, int]:
    """Write a figure as a small WebP, and return its width and height.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    with reading(source), Image.open(source, formats=["PNG"]) as figure:
        drawn = figure.convert("RGB")
    drawn.thumbnail((side, side), Image.Resampling.LANCZOS)
    drawn.save(target, quality=70, method=4)
    return drawn.size


def contour(activation: np.ndarray, size: tuple[int, int], level: float) -> str:
    """Return, as an SVG path in pixels, where a fixation would score above a level.

    Parameters
    ----------
    activation : float array, shape (h, w)
        A unit's map, which fills the stimulus.
    size : (height, width)
        Pixels of the stimulus.
    level : float
        Standard deviations above the mean of the map, resized to the stimulus as in scoring.
    """
    height, width = size
    full = cv2.resize(np.asarray(activation, dtype=np.float32), (width, height))
    spread = float(full.std(dtype=np.float64))
    if not spread > 0:
        return ""
    inside = full > full.mean(dtype=np.float64) + level * spread
    return outline(inside, smallest=_SPECK * height * width)


def outline(mask: np.ndarray, smallest: float = 0.0) -> str:
    """Return a mask's border as an SVG path.

    Parameters
    ----------
    mask : bool array, shape (height, width)
    smallest : float
        Parts of less area, in square pixels, are left out.
    """
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    tolerance = 0.003 * max(mask.shape)
    return "".join(
        _path(cv2.approxPolyDP(part, tolerance, True)[:, 0] + 0.5)
        for part in found
        if cv2.contourArea(part) >= max(smallest, 1)
    )


def region_path(region: Annotation, stimulus: Stimulus) -> str:
    """Return a region's outline as an SVG path in pixels of the stimulus."""
    if isinstance(region.segmentation, RLE):
        return outline(mask_of(region, stimulus))
    polygons = (np.reshape(polygon, (-1, 2)) for polygon in region.segmentation)
    return "".join(map(_path, polygons))


def window(region: Annotation, stimulus: Stimulus) -> list[int]:
    """Return what is shown around a region: left, top, width, height, all of it inside.

    Half of the stimulus's width, or more where the region needs it, in its proportions.
    """
    mask = mask_of(region, stimulus)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return [0, 0, stimulus.width, stimulus.height]
    reach = [(ends[0] + ends[-1] + 1) / 2 for ends in (columns, rows)]
    needed = (np.ptp(columns) / stimulus.width, np.ptp(rows) / stimulus.height)
    share = min(1.0, max(0.5, 1.2 * max(needed)))
    placed = []
    for centre, whole in zip(reach, (stimulus.width, stimulus.height), strict=True):
        length = share * whole
        placed.append((min(max(0.0, centre - length / 2), whole - length), length))
    (left, width), (top, height) = placed
    return [round(left), round(top), max(1, round(width)), max(1, round(height))]


def places(masks: MaskSet, shown: set[int]) -> dict[str, Any]:
    """Return where the shown regions are: image, outline and window of each, by id."""
    images = {image.id: image for image in masks.images}
    found = {}
    for region in masks.annotations:
        if region.id in shown:
            stimulus = images[region.image_id]
            path, part = region_path(region, stimulus), window(region, stimulus)
            found[str(region.id)] = {"outline": path, "window": part}
    return found


def _path(points: np.ndarray) -> str:
    """Return a polygon as a path of whole pixels, every corner relative to the one before it."""
    corners = np.round(points).astype(int)
    steps = np.diff(corners, axis=0)
    moves = " ".join(f"{x} {y}" for x, y in steps[steps.any(axis=1)])
    return f"M{corners[0][0]} {corners[0][1]}l{moves}Z".replace(" -", "-") if moves else ""

"""Units' responses to gratings: spatial opponency and surround suppression.

References
----------
Cavanaugh, Bair & Movshon, "Nature and interaction of signals from the receptive field center and
surround in macaque V1 neurons", Journal of Neurophysiology 88(5), 2002 (suppression index). Harris,
Mihai & Hare, "Spatial and colour opponency in anatomically constrained deep networks", 2020,
arXiv 2010.02634 (opponency).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch

from ...datasets.progress import SILENT, Progress
from .estimates import device_of
from .windows import Window

WAVELENGTHS, ORIENTATIONS, PHASES, DIAMETERS = 6, 6, 4, 8
"""How many of each the battery of gratings has."""

_BATCH = 32
_EQUAL = 1e-4  # of the range of a unit's responses: rounding


def grating(
    side: int, centre: float, wavelength: float, angle: float, phase: float, diameter: float
) -> np.ndarray:
    """Draw a sine grating of full contrast in a disc on mid-grey.

    Parameters
    ----------
    side : int
        Of the picture, in pixels.
    centre : float
        Of the disc, across and down, in pixels.
    wavelength, diameter : float
        In pixels.
    angle, phase : float
        In radians; at angle 0 the stripes are upright.

    Returns
    -------
    uint8 array, shape (side, side, 3)
    """
    down, across = np.mgrid[:side, :side] + 0.5 - centre
    along = across * math.cos(angle) + down * math.sin(angle)
    wave = np.sin(2 * math.pi * along / wavelength + phase)
    wave[np.hypot(down, across) > diameter / 2] = 0
    level = np.rint(127.5 + 127.5 * wave).astype(np.uint8)
    return np.repeat(level[..., None], 3, axis=2)


def answers(window: Window, progress: Progress = SILENT) -> tuple[np.ndarray, np.ndarray]:
    """Return all units' responses to the battery of gratings, and to mid-grey.

    Wavelengths go from a twelfth of the field (3 pixels at least) to 1.5 fields; diameters from an
    eighth of the field to its diagonal, which is as good as no end.

    Parameters
    ----------
    window : Window
    progress : Progress

    Returns
    -------
    gratings : float32 array, shape (diameters, gratings, units)
        Before the ReLU.
    blank : float32 array, shape (units,)
    """
    name = window.layer.name
    total = WAVELENGTHS * ORIENTATIONS * PHASES * DIAMETERS
    found, batch = [], []
    with progress.task(f"{name}: gratings", total) as advance, torch.no_grad():

        def respond(pictures: list[np.ndarray]) -> np.ndarray:
            images = window.model.images(np.stack(pictures), device_of(window.model))
            return window.responses(images).float().cpu().numpy()

        middle = grating(window.patch, 0.0, 1.0, 0.0, 0.0, 0.0)
        blank = respond([middle])[0]
        for picture in _battery(window):
            batch.append(picture)
            if len(batch) == _BATCH:
                found.append(respond(batch))
                advance(len(batch))
                batch.clear()
        if batch:
            found.append(respond(batch))
            advance(len(batch))
    return np.concatenate(found).reshape(DIAMETERS, -1, len(blank)), blank


def _battery(window: Window) -> Iterator[np.ndarray]:
    side = window.side
    shortest = max(3.0, side / 12)
    wavelengths = np.geomspace(shortest, max(1.5 * side, shortest), WAVELENGTHS)
    angles = np.arange(ORIENTATIONS) * math.pi / ORIENTATIONS
    phases = np.arange(PHASES) * 2 * math.pi / PHASES
    centre = window.start + side / 2
    for diameter in np.geomspace(side / 8, math.sqrt(2) * side, DIAMETERS):
        for wavelength, angle, phase in itertools.product(wavelengths, angles, phases):
            yield grating(window.patch, centre, wavelength, angle, phase, diameter)


def describe_answers(gratings: np.ndarray, blank: np.ndarray) -> pd.DataFrame:
    """Say how units answer to gratings.

    Parameters
    ----------
    gratings : float array, shape (diameters, gratings, units)
        From the smallest disc to the full field; see `answers`.
    blank : float array, shape (units,)

    Returns
    -------
    DataFrame
        ``unit, opponent`` (some full gratings raise the response above the blank's, and some
        lower it), ``suppression`` (1 − R(full) / R(best diameter), R over the blank's and at
        least 0, of the grating with the largest response at any diameter; NaN if none excites the
        unit).
    """
    above = gratings - blank
    full = above[-1]
    least = _EQUAL * np.ptp(gratings, axis=(0, 1))
    opponent = (full > least).any(0) & (full < -least).any(0)
    best = above.max(0).argmax(0)
    tuning = above[:, best, np.arange(len(blank))]
    peak = tuning.max(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        suppression = np.where(peak > least, 1 - np.maximum(tuning[-1], 0) / peak, np.nan)
    return pd.DataFrame(
        {"unit": np.arange(len(blank)), "opponent": opponent, "suppression": suppression}
    )

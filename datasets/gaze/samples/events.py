"""Fixations in one run of gaze samples, by pymovements."""

from __future__ import annotations

import math
from importlib import import_module
from types import ModuleType

import numpy as np

from ...choices import Detection
from ...errors import InputError

LEAST_MS = 100
MOST_VELOCITY = 20.0
MOST_DISPERSION = 1.0
"""pymovements' defaults: ms, degrees a second, degrees."""

METHODS = {
    "ivt": f"I-VT, slower than {MOST_VELOCITY:g}° a second",
    "idt": f"I-DT, within {MOST_DISPERSION:g}°",
}
_FEWEST = {"ivt": 6, "idt": 2}  # samples that pymovements needs


def pymovements() -> ModuleType:
    """Return the library.

    Raises
    ------
    InputError
        If it is not installed; the message says how it is.
    """
    try:
        return import_module("pymovements")
    except ImportError as error:
        raise InputError(
            "--detect: needs pymovements, which is not installed: "
            "pip install 'salprobe[pymovements]'"
        ) from error


def events(
    library: ModuleType, degrees: np.ndarray, interval: float, method: Detection
) -> list[tuple[int, int, int]]:
    """Return begin and end of each fixation, by pymovements, and the end of its samples' slice.

    Time is counted in samples: pymovements takes whole numbers at one interval, of which its least
    duration is a multiple.
    """
    least = max(math.ceil(LEAST_MS / interval - 1e-6), 2)
    if len(degrees) < max(least, _FEWEST[method]):
        return []
    detection = library.events.detection
    if method == "ivt":
        velocity = library.transforms.numpy.pos2vel(degrees, 1000 / interval, method="smooth")
        made = detection.ivt(velocity, minimum_duration=least, velocity_threshold=MOST_VELOCITY)
    else:
        made = detection.idt(degrees, minimum_duration=least, dispersion_threshold=MOST_DISPERSION)
    found = []
    for begin, end in made.frame.select("onset", "offset").rows():
        # I-DT ends a fixation with the first sample that is too far off: no part of its place
        wide = method == "idt" and np.ptp(degrees[begin : end + 1], axis=0).sum() > MOST_DISPERSION
        found.append((begin, end, end if wide else end + 1))
    return found

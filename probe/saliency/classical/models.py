"""Classical saliency models, after their authors' released code: from an RGB picture to a map.

Each takes uint8 RGB (height, width, 3) and returns float64 (height, width), 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .bms import bms, bms_iccv13
from .gbvs import gbvs, gbvs_uncentred, itti
from .spectral import spectral_residual

SaliencyModel = Callable[[np.ndarray], np.ndarray]

MODELS: dict[str, SaliencyModel] = {
    "gbvs": gbvs,
    "gbvs-uncentred": gbvs_uncentred,
    "itti": itti,
    "bms": bms,
    "bms-iccv13": bms_iccv13,
    "spectral": spectral_residual,
}
"""The models, by the names that commands use."""

"""Who finds the odd one out: measures of saliency maps on search arrays.

References
----------
He et al., CVPR 2019, section 7 and equation 4 (NMM).
Kotseruba, Wloka, Rasouli & Tsotsos, "Do saliency models detect odd-one-out targets? New datasets
and evaluations", BMVC 2019 (MSR, fixations to the target).
Soltani & Koch, "Visual saliency computations", J. Neurosci. 30(38), 2010 (GSI).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.regions import mask_of
from ...datasets.progress import SILENT, Progress
from ...datasets.stimuli import Popout, Stimulus
from ..saliency.densities import without_logarithm
from ..saliency.maps import MapOf
from ..statistics.clusters import mean_interval

MEASURES = ("nmm", "msr_target", "msr_background", "gsi", "fixations")
MOST_FIXATIONS = 100


@dataclass(frozen=True, eq=False)
class SearchArray:
    """One array with a target.

    Attributes
    ----------
    image : Stimulus
    target, distractors : bool arrays, shape (height, width)
        The distractors' masks are united.
    feature : str
        What the target differs in; ``""`` if the file does not say.
    contrast : float
    radius : float
        Radius of an item, in pixels; how far a fixation sees and inhibits.
    """

    image: Stimulus
    target: np.ndarray
    distractors: np.ndarray
    feature: str
    contrast: float
    radius: float


def search_arrays(masks: MaskSet) -> list[SearchArray]:
    """Return the arrays of a mask set that have a target; catch arrays are left out.

    Raises
    ------
    InputError
        If no region has the category ``target``, or the file has no such category.
    """
    names = masks.category_of()
    arrays = []
    for image_id, regions in masks.by_image().items():
        image = masks.image(image_id)
        kinds: dict[str, np.ndarray] = {}
        for name in ("target", "distractor"):
            chosen = [region for region in regions if names[region.category_id] == name]
            kinds[name] = np.zeros((image.height, image.width), dtype=bool)
            for region in chosen:
                kinds[name] |= mask_of(region, image)
        if not kinds["target"].any():
            continue
        about = image.popout or Popout()
        radius = np.sqrt(kinds["target"].sum() / np.pi)
        arrays.append(
            SearchArray(
                image,
                kinds["target"],
                kinds["distractor"],
                about.feature,
                np.nan if about.contrast is None else about.contrast,
                radius if about.item_size is None else about.item_size / 2,
            )
        )
    if not arrays:
        raise InputError("no region of category 'target': expected a file of `annotate popout`")
    return arrays


def measures(saliency: np.ndarray, array: SearchArray) -> dict[str, float]:
    """Measure how a saliency map treats an array's target.

    Parameters
    ----------
    saliency : float array, shape (height, width)

    Returns
    -------
    dict
        - ``nmm``: mean over the target of the standardised map (He et al., equation 4; population
          sd); 0 for a constant map.
        - ``msr_target``: maximum in the target over maximum in the distractors. For this and the
          measures below, the map is stretched to the range 0 to 1.
        - ``msr_background``: maximum in the background over maximum in the target.
        - ``gsi``: (t − d) / (t + d) of the mean responses to target and distractors, −1 to 1.
        - ``fixations``: how many fixations until the target is within an item's radius of the
          last. Each is on the map's maximum, and the map is then inhibited around it.
          `MOST_FIXATIONS` + 1 if that many do not suffice.

        The quotient of two zeros is NaN. Measures that need distractors are NaN without them.
    """
    low, high, sd = saliency.min(), saliency.max(), saliency.std()
    nmm = 0.0 if sd == 0 else float((saliency[array.target].mean() - saliency.mean()) / sd)
    unit = (saliency - low) / (high - low) if high > low else np.zeros_like(saliency)
    background = ~(array.target | array.distractors)
    target = unit[array.target]
    values = {"nmm": nmm, "msr_target": np.nan, "gsi": np.nan}
    if array.distractors.any():
        distractors = unit[array.distractors]
        values["msr_target"] = _quotient(target.max(), distractors.max())
        values["gsi"] = _quotient(
            target.mean() - distractors.mean(), target.mean() + distractors.mean()
        )
    values["msr_background"] = _quotient(unit[background].max(initial=0), target.max())
    values["fixations"] = float(_fixations(unit, array))
    return {name: values[name] for name in MEASURES}


def measure_models(
    arrays: list[SearchArray],
    models: Mapping[str, MapOf],
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Measure models on arrays; the logarithm of a density is measured without the logarithm.

    Returns
    -------
    DataFrame
        ``model, image_id, file_name, feature, contrast`` and `MEASURES`, a row for each model
        and array.

    Raises
    ------
    InputError
        If a model's map cannot be made or read.
    """
    rows = []
    with progress.task("maps", len(models) * len(arrays)) as advance:
        for name, map_of in models.items():
            for array in arrays:
                keys = {
                    "model": name,
                    "image_id": array.image.id,
                    "file_name": array.image.file_name,
                    "feature": array.feature,
                    "contrast": array.contrast,
                }
                saliency = without_logarithm(map_of(array.image))
                rows.append({**keys, **measures(saliency, array)})
                advance(1)
    return pd.DataFrame(rows)


def summarise_models(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each model.

    Returns
    -------
    DataFrame
        ``model, arrays``; ``nmm`` with its 95 % interval ``nmm_low, nmm_high`` (over
        arrays); ``found``: share of arrays whose target has a higher maximum than any distractor;
        ``gsi``: mean; ``msr_target, msr_background, fixations``: medians, which outliers and
        infinite quotients do not move.
    """
    rows = []
    for name, part in table.groupby("model", sort=False):
        values = part["nmm"].to_numpy()
        rows.append(
            {
                "model": name,
                "arrays": len(part),
                **mean_interval(values).columns("nmm"),
                "found": float((part["msr_target"] > 1).mean()),
                "gsi": part["gsi"].mean(),
                **{k: part[k].median() for k in ("msr_target", "msr_background", "fixations")},
            }
        )
    return pd.DataFrame(rows)


def _fixations(unit: np.ndarray, array: SearchArray) -> int:
    left = unit.copy()
    height, width = left.shape
    reach = int(np.ceil(array.radius))
    for count in range(1, MOST_FIXATIONS + 1):
        y, x = np.unravel_index(left.argmax(), left.shape)
        top, bottom = max(0, int(y) - reach), min(height, int(y) + reach + 1)
        start, end = max(0, int(x) - reach), min(width, int(x) + reach + 1)
        rows, columns = np.ogrid[top:bottom, start:end]
        seen = (rows - y) ** 2 + (columns - x) ** 2 <= array.radius**2
        if array.target[top:bottom, start:end][seen].any():
            return count
        left[top:bottom, start:end][seen] = -1
    return MOST_FIXATIONS + 1


def _quotient(above: float, below: float) -> float:
    if below == 0:
        return np.nan if above == 0 else np.inf
    return float(above / below)

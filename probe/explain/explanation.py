"""An explanation: a folder that `explain` wrote, opened and checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ...datasets.files import check_part, sha256
from ...datasets.interval import Interval
from ...datasets.readers.arrays import read_npy
from ...datasets.readers.tables import read_columns
from ...datasets.texts import printable
from ..records.columns import layer_units
from ..records.explain_info import ExplainInfo
from ..statistics.clusters import means
from .bank import FEATURES
from .partition import COLUMNS, INTERVALS, ROWS

_ENDS = [f"{name}_{end}" for name in INTERVALS for end in ("low", "high")]


@dataclass(frozen=True, eq=False)
class Explanation:
    """How much of each unit's activation map features explain, and with what weights.

    Attributes
    ----------
    folder : Path
    info : ExplainInfo
        The content of ``explain.json``.
    """

    folder: Path
    info: ExplainInfo

    @classmethod
    def open(cls, folder: str | Path) -> Explanation:
        """Open a folder, checking that its files are those that were written.

        Raises
        ------
        InputError
            If it holds no explanation, it is unfinished, or a file is missing or was changed.
        """
        folder = Path(folder)
        info = ExplainInfo.read(folder)
        if info.status != "complete":
            raise InputError(
                f"{folder}: this explanation is unfinished; repeat its command to resume it"
            )
        for name, expected in info.sha256.items():
            path = folder / check_part(name)
            if not path.is_file() or sha256(path) != expected:
                raise InputError(f"{path}: is missing, or not what was written (SHA-256)")
        return cls(folder, info)

    def __repr__(self) -> str:
        return f"Explanation({printable(self.name)}: {self.describe()})"

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    def describe(self) -> str:
        """Describe it in one line: the network, the pictures, their number."""
        info, network = self.info, self.info.parameters.network()
        where = info.masks or info.dataset or "pictures"
        return printable(f"{network} on {where}: {info.images} images")

    @cached_property
    def units(self) -> pd.DataFrame:
        """Every unit: ``layer, unit``, the parts of its variance, penalty, best filter."""
        best = ("filter_channel",)
        numbers = (*_numbers(), "penalty", "filter_wavelength", "filter_orientation", "filter_r2")
        return self._table("units", ("layer", *best), ("unit",), numbers)

    @cached_property
    def categories(self) -> pd.DataFrame:
        """Every unit in the regions of each category: ``layer, unit, category``, parts."""
        return self._table("categories", ("layer", "category"), ("unit",), _numbers())

    @cached_property
    def layers(self) -> pd.DataFrame:
        """Every layer, and with a category, in its regions: ``layer, category, units``, parts."""
        return self._table("layers", ("layer", "category"), ("units",), _numbers())

    @cached_property
    def images(self) -> pd.DataFrame:
        """The pictures: ``image_id, image, sha256, fold``."""
        return self._table("images", ("image", "sha256"), ("image_id", "fold"), ())

    @cached_property
    def stimuli(self) -> np.ndarray:
        """What each picture adds to each layer's sums, float64 (pictures, layers, sums)."""
        return self._array("stimuli", (self.info.images, len(self.info.layers), ROWS))

    @cached_property
    def coefficients(self) -> np.ndarray:
        """Each unit's intercept and weights, float64 (1 + features, units); layer by layer."""
        units = sum(layer.units for layer in self.info.layers)
        return self._array("coefficients", (1 + len(FEATURES), units))

    def coefficients_of(self, layer: str) -> np.ndarray:
        """Return one layer's coefficients, float64 (1 + features, units of the layer).

        Raises
        ------
        InputError
            If it was not explained.
        """
        for known in layer_units(self.info.layers):
            if known.name == layer:
                return self.coefficients[:, known.columns]
        raise InputError(f"{self.folder}: no layer {layer!r} in this explanation")

    def weights_of(self, layer: str) -> np.ndarray:
        """Return one layer's weights, each for a change of its feature by its sd on this layer.

        Returns
        -------
        float64 array, shape (features, units of the layer)
        """
        found = self.coefficients_of(layer)[1:]
        place = [known.name for known in self.info.layers].index(layer)
        spreads = self._array("spreads", (len(self.info.layers), len(FEATURES)))
        return found * spreads[place][:, None]

    @cached_property
    def readout(self) -> pd.DataFrame:
        """The readout on rebuilt maps: ``unit`` (−1 for the intercept), ``weight``, ``without_k``.

        Raises
        ------
        InputError
            If none was fitted.
        """
        if self.info.readout is None:
            raise InputError(f"{self.folder}: has no readout: it was made without fixations")
        folds = [f"without_{k}" for k in range(self.info.parameters.folds)]
        return self._table("readout", (), ("unit",), ("weight", *folds))

    def against(self, other: Explanation, part: str = "r2") -> pd.DataFrame:
        """Compare layers with those of another explanation of the same pictures.

        Returns
        -------
        DataFrame
            ``layer``, this one's and the other's part, and ``change, change_low, change_high``:
            this one's less the other's, with a paired 95 % interval over pictures.

        Raises
        ------
        InputError
            If the pictures differ, or the explanations have no layer in common.
        """
        if self.images["sha256"].tolist() != other.images["sha256"].tolist():
            raise InputError(f"{other.folder}: is of other pictures than {self.folder}")
        names = [[layer.name for layer in one.info.layers] for one in (self, other)]
        rows = []
        for name in names[0]:
            if name not in names[1]:
                continue
            pair = [
                _influence(one.stimuli[:, known.index(name)], part)
                for one, known in zip((self, other), names, strict=True)
            ]
            (here, mine), (there, theirs) = pair
            spread = means((mine - theirs)[:, None] * len(mine), np.arange(len(mine)))
            half = float(np.asarray(spread.interval.half_width)[0])
            change = Interval(here - there, here - there - half, here - there + half)
            rows.append({"layer": name, "here": here, "there": there, **change.columns("change")})
        if not rows:
            raise InputError(f"{other.folder}: has no layer in common with {self.folder}")
        return pd.DataFrame(rows)

    def _table(
        self, name: str, texts: tuple[str, ...], whole: tuple[str, ...], numbers: tuple[str, ...]
    ) -> pd.DataFrame:
        return read_columns(self.folder / f"{name}.csv", texts, whole, numbers)

    def _array(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        path = self.folder / f"{name}.npy"
        array = read_npy(path)
        if array.shape != shape or array.dtype != np.float64:
            raise InputError(f"{path}: expected float64 {shape}, got {array.dtype} {array.shape}")
        return array


def _numbers() -> tuple[str, ...]:
    return (*COLUMNS, *_ENDS, "stimuli")


def _influence(sums: np.ndarray, part: str) -> tuple[float, np.ndarray]:
    """Return a layer's part, and what each picture adds to its deviation: (pictures,)."""
    weights = COLUMNS[part]
    total = sums[:, -1].sum()
    value = float((sums @ weights).sum() / total)
    return value, (sums @ weights - value * sums[:, -1]) / total

"""How many units of a layer have a property, before and after.

References
----------
McNemar, "Note on the sampling error of the difference between correlated proportions or
percentages", Psychometrika 12(2), 1947. Wilson, "Probable inference, the law of succession, and
statistical inference", Journal of the American Statistical Association 22(158), 1927.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from ...datasets.errors import InputError
from ...datasets.interval import Interval
from ...datasets.readers.tables import read_columns
from ..statistics.clusters import MIN_STIMULI, mean_interval, means, q_values

ESTIMATES = {"gradient": "gradients at maxima", "noise": "average of noise"}
"""The estimates of a field, and what they are called."""

SHARES = ("centre-surround", "opponent")
"""Measures that are shares of the units; the others are means."""


MEASURES = (*SHARES, "reliability", "suppression")


def shares(units: pd.DataFrame, gratings: pd.DataFrame) -> pd.DataFrame:
    """Summarise units by layer, with intervals over units and a paired test.

    Parameters
    ----------
    units : DataFrame
        ``network`` (``before``, ``after``), ``layer``, ``estimate`` and the columns of
        `describe_fields`. A unit counts by its strongest channel.
    gratings : DataFrame
        ``network, layer`` and the columns of `describe_answers`.

    Returns
    -------
    DataFrame
        A row for each layer and measure: ``layer, measure, estimate, units, before, before_low,
        before_high``, and, if there are two networks, ``after, after_low, after_high, change,
        change_low, change_high, change_p, change_q``. Shares have Wilson's interval, means
        Student's t. The change is over the units that both have, paired; p is McNemar's exact one
        for shares, Student's t for means; q is Benjamini–Hochberg's over the table.
    """
    own = units[units["strongest"]]
    rows = []
    for layer in dict.fromkeys(units["layer"]):
        for estimate in ESTIMATES:
            here = own[(own["layer"] == layer) & (own["estimate"] == estimate)]
            for measure, column in (
                ("centre-surround", "centre_surround"),
                ("reliability", "reliability"),
            ):
                rows.append(_row(here, column, layer=layer, measure=measure, estimate=estimate))
        here = gratings[gratings["layer"] == layer]
        for measure in ("opponent", "suppression"):
            rows.append(_row(here, measure, layer=layer, measure=measure, estimate=""))
    table = pd.DataFrame(rows)
    if "change_p" in table:
        table["change_q"] = q_values(table["change_p"].to_numpy(np.float64))
    return table


def _row(table: pd.DataFrame, column: str, **names: str) -> dict[str, Any]:
    by_network = {
        network: group.set_index("unit")[column].dropna()
        for network in ("before", "after")
        if not (group := table[table["network"] == network]).empty
    }
    share = names["measure"] in SHARES
    before = by_network.get("before", pd.Series(dtype=float))
    row: dict[str, Any] = {**names, "units": len(before)}
    for network, values in by_network.items():
        known = values.to_numpy(np.float64)
        row |= (_share(known) if share else mean_interval(known)).columns(network)
    if "after" in by_network:
        both = pd.concat([before, by_network["after"]], axis=1, join="inner").astype(np.float64)
        difference = (both.iloc[:, 1] - both.iloc[:, 0]).to_numpy()
        row |= mean_interval(difference).columns("change")
        row["change_p"] = mcnemar(difference) if share else _paired(difference)
    return row


def _share(known: np.ndarray) -> Interval:
    if not len(known):
        return Interval.none()
    bounds: Any = proportion_confint(int(known.sum()), len(known), method="wilson")
    return Interval(float(known.mean()), *map(float, bounds))


def mcnemar(difference: np.ndarray) -> float:
    """Return the exact two-sided p of as many gains (1) as losses (−1); NaN for few units."""
    if len(difference) < MIN_STIMULI:
        return np.nan
    gains, losses = int((difference > 0).sum()), int((difference < 0).sum())
    return float(binomtest(gains, gains + losses).pvalue) if gains + losses else 1.0


def _paired(difference: np.ndarray) -> float:
    return float(means(difference[:, None], np.arange(len(difference))).p[0])


def read_shares(folder: Path, networks: Collection[str]) -> pd.DataFrame:
    """Read the table of `shares` from a folder of `fields`.

    Parameters
    ----------
    folder : Path
    networks : collection of str
        ``before``, and ``after`` if there are two.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    paired = "after" in networks
    names = [*networks, *(["change"] if paired else [])]
    numbers = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    numbers += ["change_p", "change_q"] if paired else []
    texts, path = ["layer", "measure", "estimate"], folder / "shares.csv"
    table = read_columns(path, texts, ["units"], numbers)
    for name, known in (("measure", MEASURES), ("estimate", ("", *ESTIMATES))):
        strange = set(table[name]).difference(known)
        if strange:
            raise InputError(f"{path}: no {name} is called {min(strange)!r:.60}")
    return table

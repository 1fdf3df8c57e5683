"""Tests of whether categories differ in a measure of their regions: the paper's, and more robust.

References
----------
He et al., CVPR 2019, sections 5.2 and 6: one-way and two-way ANOVA, multiple comparisons. Dunn,
"Multiple comparisons using rank sums", Technometrics 6(3), 1964. Meinshausen, Meier & Bühlmann,
"p-values for high-dimensional regression", Journal of the American Statistical Association
104(488), 2009 (twice the median of p from random splits is a p).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ...datasets.errors import InputError


@dataclass(frozen=True, eq=False)
class CategoryTests:
    """Tests of one measure.

    Attributes
    ----------
    overall : DataFrame
        ``test, statistic, p``: ANOVA (F), Kruskal–Wallis (H), and a mixed model with a random
        intercept for each stimulus (χ² of the likelihood ratio), because regions on one
        stimulus are not independent. NaN if a test fails.
    pairs : DataFrame
        ``first, second, difference, low, high, p_tukey, p_dunn``: difference of the means
        (second minus first) with Tukey's simultaneous 95 % interval; Dunn's p corrected by Holm.
    """

    overall: pd.DataFrame
    pairs: pd.DataFrame


def category_tests(values: np.ndarray, category: np.ndarray, stimulus: np.ndarray) -> CategoryTests:
    """Test whether categories differ.

    Parameters
    ----------
    values : float array, shape (n,)
        One value per region.
    category : str array, shape (n,)
        Category of each region; categories with a single region are left out.
    stimulus : array, shape (n,)
        Stimulus of each region.

    Raises
    ------
    InputError
        If fewer than two categories have at least two regions.
    """
    import scikit_posthocs
    from scipy.stats import f_oneway, kruskal
    from statsmodels.stats.multicomp import pairwise_tukeyhsd

    frame = pd.DataFrame({"value": values, "category": category, "stimulus": stimulus})
    sizes = frame["category"].value_counts()
    frame = frame[frame["category"].isin(sizes.index[sizes > 1])].reset_index(drop=True)
    samples = [part.to_numpy() for _, part in frame.groupby("category")["value"]]
    if len(samples) < 2:
        raise InputError("expected two or more categories with at least two regions each")
    anova, ranks = f_oneway(*samples), kruskal(*samples)
    overall = [
        ("ANOVA", float(anova.statistic), float(anova.pvalue)),
        ("Kruskal–Wallis", float(ranks.statistic), float(ranks.pvalue)),
        ("mixed model", *_mixed_model(frame)),
    ]
    tukey = pairwise_tukeyhsd(frame["value"], frame["category"])
    names = [str(name) for name in tukey.groupsunique]
    confidence = np.asarray(tukey.confint)
    first, second = np.triu_indices(len(names), 1)
    dunn = scikit_posthocs.posthoc_dunn(frame, "value", "category", p_adjust="holm")
    pairs = pd.DataFrame(
        {
            "first": [names[k] for k in first],
            "second": [names[k] for k in second],
            "difference": tukey.meandiffs,
            "low": confidence[:, 0],
            "high": confidence[:, 1],
            "p_tukey": tukey.pvalues,
            "p_dunn": [
                float(dunn.loc[names[a], names[b]])  # type: ignore[arg-type]
                for a, b in zip(first, second, strict=True)
            ],
        }
    )
    return CategoryTests(pd.DataFrame(overall, columns=["test", "statistic", "p"]), pairs)


def combined_p(several: ArrayLike) -> np.ndarray:
    """Combine p of the same test on random splits: twice their median, 1 at most.

    Parameters
    ----------
    several : float array, shape (splits, …)
        NaN, a test that failed, counts as 1.
    """
    p = np.asarray(several, dtype=np.float64)
    return np.minimum(2 * np.median(np.where(np.isnan(p), 1.0, p), axis=0), 1.0)


def combined(several: Sequence[CategoryTests]) -> CategoryTests:
    """Combine tests of the same measure on random splits of the stimuli.

    Returns
    -------
    CategoryTests
        p by `combined_p`, where a pair that a split lacks counts as 1; medians of the statistics
        and the differences. The intervals of single splits do not combine: NaN.
    """
    columns = list(several[0].pairs.columns)
    overall = [tests.overall.set_index("test") for tests in several]
    both = [tests.pairs.set_index(["first", "second"]) for tests in several]
    every = pd.concat(both).index.unique().sort_values()
    pairs = [table.reindex(every) for table in both]
    result = []
    for tables, tested in ((overall, ["p"]), (pairs, ["p_tukey", "p_dunn"])):
        joined = pd.concat(tables).groupby(tables[0].index.names, sort=False).median()
        joined[tested] = combined_p([table[tested].to_numpy() for table in tables])
        result.append(joined)
    result[1][["low", "high"]] = np.nan
    return CategoryTests(result[0].reset_index(), result[1].reset_index()[columns])


def two_way_anova(values: Mapping[str, np.ndarray], category: np.ndarray) -> pd.DataFrame:
    """Test measurement × category by analysis of variance (type II), as in the paper.

    Parameters
    ----------
    values : mapping from a measurement's name to a float array, shape (n,)
        One value per region for each measurement.
    category : str array, shape (n,)
        Category of each region; categories with a single region are left out.

    Returns
    -------
    DataFrame
        ``factor, statistic, p``: measurement, category, and their interaction. The measurements
        of a region are taken for independent, as in the paper.
    """
    import statsmodels.formula.api as smf
    from statsmodels.stats.anova import anova_lm

    names, counts = np.unique(category, return_counts=True)
    kept = np.isin(category, names[counts > 1])
    frame = pd.concat(
        [
            pd.DataFrame({"value": v[kept], "category": category[kept], "measurement": name})
            for name, v in values.items()
        ]
    )
    fitted = smf.ols("value ~ C(measurement) * C(category)", frame).fit()
    table = anova_lm(fitted, typ=2).iloc[:3]
    return pd.DataFrame(
        {
            "factor": ["measurement", "category", "measurement × category"],
            "statistic": table["F"].to_numpy(),
            "p": table["PR(>F)"].to_numpy(),
        }
    )


def _mixed_model(frame: pd.DataFrame) -> tuple[float, float]:
    """Return χ² and p of the likelihood ratio with and without categories; NaN if a fit fails.

    Wald's test is unsuitable: if stimuli do not differ, their variance is at its boundary, 0,
    where the covariance of the estimates is wrong.
    """
    import statsmodels.formula.api as smf
    from scipy.stats import chi2

    likelihoods = []
    for formula in ("value ~ C(category)", "value ~ 1"):
        model = smf.mixedlm(formula, frame, groups="stimulus")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about that boundary
            try:
                # Gradient-based methods fail at that boundary.
                fitted = model.fit(reml=False, method="powell")
            except (np.linalg.LinAlgError, ValueError):
                return np.nan, np.nan
        if not fitted.converged:
            return np.nan, np.nan
        likelihoods.append(fitted.llf)
    ratio = 2 * (likelihoods[0] - likelihoods[1])
    return float(ratio), float(chi2.sf(ratio, frame["category"].nunique() - 1))

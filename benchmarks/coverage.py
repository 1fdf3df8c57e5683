"""Simulate how often intervals cover and tests reject; `make coverage` prints it all.

The true means of the units are known (tests/simulated.py says what the scores are like).
`python benchmarks/coverage.py 1000` repeats each case 1 000 times instead of 400.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import f_oneway, kruskal

from salprobe.probe.analysis.inner_saliency import halved
from salprobe.probe.statistics.category_tests import (
    category_tests,
    combined,
    combined_p,
    two_way_anova,
)
from salprobe.probe.statistics.clusters import Means, means, q_values, widened_for_selection
from salprobe.probe.statistics.cross_fit import CrossFit, FoldMeans, Folds, cross_fit
from salprobe.probe.statistics.selectivity import TOP, groups, top_units

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from simulated import simulate, slices_hold, true_means

STIMULI, UNITS = (10, 15, 30, 100, 300), (64, 512, 2048)
KINDS = {"null": False, "selective": True}


def folded(values: np.ndarray, stimulus: np.ndarray, n: int, seed: int) -> FoldMeans:
    return Folds.of(stimulus, n, seed).means(values)


def fitted(means: FoldMeans) -> CrossFit:
    return cross_fit(means, means, top=TOP)[0]


def top_ten(times: int) -> None:
    """The interval of ten units, chosen and scored on different stimuli."""
    print(
        "\nThe cross-fitted mean of ten units: how often its interval holds the true mean of the "
        "units that\nthe parts chose, and of the ten that all stimuli choose; and a bootstrap "
        "interval around the latter's\nmean on the stimuli that chose them, as printed before\n\n"
        "| units | stimuli | | chosen by parts | chosen by all | uncorrected |\n"
        "| --- | --- | --- | --- | --- | --- |"
    )
    for kind, selective in KINDS.items():
        for n_units in UNITS:
            for n in STIMULI:
                held = []
                for seed in range(times if n_units * n < 200_000 else times // 2):
                    rng = np.random.default_rng(seed)
                    true = true_means(rng, n_units, selective)
                    values, stimulus = simulate(rng, n, true)
                    parts = folded(values, stimulus, n, seed)
                    low, high = fitted(parts).interval[1:]
                    chosen = np.argsort(-parts.rest, axis=-1)[..., :TOP]
                    best = top_units(parts.whole)
                    plain = values[:, best].mean(axis=1, keepdims=True)
                    drawn = Folds.of(stimulus, n, seed).weights
                    again = (drawn @ plain)[:, 0] / drawn.sum(axis=1)
                    below, above = np.percentile(again, [2.5, 97.5])
                    truth = true[best].mean()
                    held.append(
                        (
                            low <= true[chosen].mean() <= high,
                            low <= truth <= high,
                            below <= truth <= above,
                        )
                    )
                shares = " | ".join(f"{share:.1%}" for share in np.mean(held, axis=0))
                print(f"| {n_units} {kind} | {n} | | {shares} |", flush=True)


def differences(times: int) -> None:
    """Whether a small layer and a large one differ, where neither responds to anything."""
    print("\nA layer of 64 null units against one of 512: share of p below 5 %\n")
    print("| stimuli | cross-fitted |\n| --- | --- |")
    for n in (30, 100, 300):
        p = []
        for seed in range(times):
            rng = np.random.default_rng(seed)
            values, stimulus = simulate(rng, n, np.zeros(576))
            one, two = (
                fitted(folded(part, stimulus, n, seed)) for part in (values[:, :64], values[:, 64:])
            )
            p.append((two - one).p)
        print(f"| {n} | {np.mean(np.array(p) < 0.05):.1%} |", flush=True)


def selected_units(times: int) -> None:
    """Intervals of the ten best units one by one, and the units called selective."""
    print(
        "\nThe ten best units one by one: how many of their intervals hold the true mean; and of "
        "the units\nwhose mean is called above 0 at a false discovery rate of 5 %, how many are "
        "not (mean over data sets)\n\n"
        "| units | stimuli | | allowing for the choice | not allowing | false discoveries |\n"
        "| --- | --- | --- | --- | --- | --- |"
    )
    for kind, selective in KINDS.items():
        for n_units in UNITS[:2]:
            for n in STIMULI:
                held, false = [], []
                for seed in range(times):
                    rng = np.random.default_rng(seed)
                    true = true_means(rng, n_units, selective)
                    found = means(*simulate(rng, n, true))
                    best = top_units(found.value)
                    own = Means(found.value[best], found.error[best], n).interval
                    wide = widened_for_selection(own, n, TOP, n_units)
                    held.append(
                        [
                            np.mean((one.low <= true[best]) & (true[best] <= one.high))
                            for one in (wide, own)
                        ]
                    )
                    called = q_values(found.p_above_zero()) < 0.05
                    false.append((true[called] <= 0).mean() if called.any() else 0)
                shares = " | ".join(f"{share:.1%}" for share in np.mean(held, axis=0))
                print(f"| {n_units} {kind} | {n} | | {shares} | {np.mean(false):.1%} |", flush=True)


def inner(times: int) -> None:
    """Tests of inner saliency between four categories that do not differ."""
    names = ["a", "b", "c", "d"]
    rejected = {"halved": [], "circular": []}
    print("\nInner saliency of four null categories, 200 units: share of p below 5 %\n")
    for seed in range(times // 2):
        rng = np.random.default_rng(seed)
        category = np.repeat(names, [120, 60, 60, 30])
        image = rng.permutation(270) // 2
        regions = pd.DataFrame({"image_id": image, "category": category, "n_fixations": 5})
        scores = rng.normal(size=(270, 200)).astype(np.float32)
        output = rng.normal(size=270)
        tests, two_way = [], []
        for rows, values in halved(scores, groups(regions, names, 0), seed):
            tests.append(category_tests(values, category[rows], image[rows]))
            both = {"inner": values, "output": output[rows]}
            two_way.append(two_way_anova(both, category[rows]).set_index("factor")["p"])
        p = combined(tests).overall.set_index("test")["p"]
        category_p = combined_p([one["category"] for one in two_way])
        rejected["halved"].append([*(p < 0.05), category_p < 0.05])
        own = [scores[category == name] for name in names]
        samples = [part[:, top_units(part.mean(axis=0))].mean(axis=1) for part in own]
        circular = [f_oneway(*samples).pvalue, kruskal(*samples).pvalue]
        rejected["circular"].append([value < 0.05 for value in circular])
    print("| | ANOVA | Kruskal–Wallis | mixed model | two-way ANOVA, category |")
    print("| --- | --- | --- | --- | --- |")
    for name, each in rejected.items():
        shares = [f"{share:.1%}" for share in np.mean(each, axis=0)]
        print(f"| {name} | {' | '.join(shares + ['–'] * (4 - len(shares)))} |")


def sliced(times: int) -> None:
    """Intervals of slices of the fixations, over stimuli and subjects."""
    print(
        "\nSlices of the fixations, 64 units: how often the interval of a slice's mean and of the "
        "difference of two\nholds the truth; and how often one that takes the subjects for all "
        "there are\n\n"
        "| slices | subjects of each | stimuli | mean | difference | mean, stimuli only | "
        "difference, stimuli only |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for by_subject in (False, True):
        for n_subjects in (5, 15, 30):
            for n in (30, 100):
                shares = []
                for seed in range(times):
                    rng = np.random.default_rng(seed)
                    true = np.stack([true_means(rng, 64, seed % 2 == 0)] * 2)
                    options = {"per_look": 0.5, "by_subject": by_subject}
                    everyone = n_subjects * (1 + by_subject)
                    shares.append(np.ravel(slices_hold(rng, n, everyone, true, **options)))
                name = "groups of subjects" if by_subject else "of all subjects"
                cells = " | ".join(f"{share:.1%}" for share in np.mean(shares, axis=0))
                print(f"| {name} | {n_subjects} | {n} | {cells} |", flush=True)


if __name__ == "__main__":
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    for simulation in (top_ten, differences, selected_units, inner, sliced):
        simulation(repeats)

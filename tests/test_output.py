"""OS, OD and tests of categories, against hand computation and SciPy and statsmodels directly."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import scipy.stats
from PIL import Image

from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.probe.analysis.inside_outside import output
from salprobe.probe.cli.main import app
from salprobe.probe.records.run_info import RunInfo
from salprobe.probe.runs.probing import probe
from salprobe.probe.runs.run import Run
from salprobe.probe.saliency.metrics import empirical
from salprobe.probe.statistics.category_tests import category_tests


@pytest.fixture(scope="module")
def run(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "colours"
    return probe(small_world / "masks.json", root=small_world, model="nets:colours", out=out)


@pytest.fixture(scope="module")
def maps(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Saliency maps that are the pictures' red."""
    folder = tmp_path_factory.mktemp("maps")
    for path in small_world.glob("*.png"):
        np.save(folder / f"{path.stem}.npy", np.asarray(Image.open(path))[..., 0].astype(float))
    return folder


def by_hand(saliency: np.ndarray, masks: MaskSet, number: int, left: int) -> float:
    """Return the NSS of distinct fixated pixels in a box 40 wide and 50 high, in plain loops."""
    assert masks.fixations is not None
    looked = masks.fixations.of(number)
    pixels = {
        (x, y)
        for x, y in zip(looked.x.tolist(), looked.y.tolist(), strict=True)
        if left <= x < left + 40 and 10 <= y < 60
    }
    values = [(saliency[y, x] - saliency.mean()) / saliency.std() for x, y in pixels]
    return sum(values) / len(values) if values else float("nan")


def test_os_and_od_are_as_by_hand(run: Run, maps: Path, small_world: Path) -> None:
    masks = MaskSet.read(small_world / "masks.json")
    assert masks.fixations is not None
    wanted: dict[str, list[tuple[float, float]]] = {}
    names = masks.category_of()
    for one in masks.annotations:
        looked = masks.fixations.of(one.image_id)
        truth = empirical(looked.x, looked.y, (72, 96), 20.0)
        predicted = np.load(maps / f"{one.image_id}.npy")
        left = int(one.bbox[0])
        pair = [by_hand(each, masks, one.image_id, left) for each in (predicted, truth)]
        wanted.setdefault(names[one.category_id], []).append((pair[0], pair[1]))
    found = output(run, maps=maps).categories.set_index("category")
    assert len(found) == len(wanted) == 3
    for category, pairs in wanted.items():
        known = np.array([pair for pair in pairs if not np.isnan(pair[0])])
        assert found.loc[category, "n"] == len(known)
        assert found.loc[category, "output"] == pytest.approx(known[:, 0].mean(), abs=1e-9)
        gap = np.abs(known[:, 0] - known[:, 1]).mean()
        assert found.loc[category, "difference"] == pytest.approx(gap, abs=1e-9)


def test_correlations_are_scipys(run: Run, maps: Path) -> None:
    found = output(run, maps=maps)
    for row in found.correlations.to_dict("records"):
        expected = scipy.stats.spearmanr(
            found.categories["inner"], found.categories[row["measure"]]
        ).statistic
        assert row["spearman"] == pytest.approx(expected)
    inner = run.table("top10_crossval").iloc[0]
    for row in found.categories.to_dict("records"):
        assert row["inner"] == pytest.approx(inner[row["category"]], abs=1e-6)


def test_tests_are_those_of_scipy_statsmodels_and_scikit_posthocs() -> None:
    from scikit_posthocs import posthoc_dunn
    from statsmodels.stats.multicomp import pairwise_tukeyhsd

    rng = np.random.default_rng(0)
    category = np.repeat(["a", "b", "c"], 30)
    stimulus = np.tile(np.arange(30), 3)
    values = rng.normal(size=90) + (category == "b") * 0.9 + rng.normal(size=30)[stimulus]
    lonely = np.append(values, 99.0), np.append(category, "alone"), np.append(stimulus, 0)
    found = category_tests(*lonely)
    samples = [values[category == name] for name in "abc"]
    overall = found.overall.set_index("test")
    anova, ranks = scipy.stats.f_oneway(*samples), scipy.stats.kruskal(*samples)
    assert overall.loc["ANOVA", "p"] == pytest.approx(anova.pvalue)
    assert overall.loc["Kruskal–Wallis", "statistic"] == pytest.approx(ranks.statistic)
    assert overall.loc["mixed model", "statistic"] == pytest.approx(
        likelihood_ratio(values, category, stimulus), rel=1e-4
    )
    assert overall.loc["mixed model", "p"] < anova.pvalue  # stimuli differ, and it knows
    tukey = pairwise_tukeyhsd(values, category)
    assert np.allclose(found.pairs["p_tukey"], tukey.pvalues)
    assert np.allclose(found.pairs["difference"], tukey.meandiffs)
    assert found.pairs["difference"][0] == pytest.approx(samples[1].mean() - samples[0].mean())
    dunn = posthoc_dunn(samples, p_adjust="holm").to_numpy()
    assert np.allclose(found.pairs["p_dunn"], dunn[np.triu_indices(3, 1)])
    with pytest.raises(InputError, match="expected two or more categories"):
        category_tests(values[:30], category[:30], stimulus[:30])


def likelihood_ratio(values: np.ndarray, category: np.ndarray, stimulus: np.ndarray) -> float:
    """Maximise the likelihoods of a random intercept anew, with dense covariance matrices."""

    def deviance(design: np.ndarray, log_ratio: float) -> float:
        same = stimulus[:, None] == stimulus[None, :]
        covariance = np.eye(len(values)) + np.exp(log_ratio) * same
        inverse = np.linalg.inv(covariance)
        beta = np.linalg.solve(design.T @ inverse @ design, design.T @ inverse @ values)
        rest = values - design @ beta
        variance = rest @ inverse @ rest / len(values)
        return len(values) * np.log(variance) + np.linalg.slogdet(covariance)[1]

    ones = np.ones((len(values), 1))
    dummies = np.stack([category == name for name in np.unique(category)], 1).astype(float)
    least = [
        scipy.optimize.minimize_scalar(
            lambda one, design=design: deviance(design, one), bounds=(-20, 5), method="bounded"
        ).fun
        for design in (ones, dummies)
    ]
    return least[0] - least[1]


def test_a_mixed_model_at_its_boundary_is_an_ordinary_one() -> None:
    """Stimuli differ less than chance would have them: their variance is 0."""
    rng = np.random.default_rng(2)
    values = np.tile(rng.normal(size=10), 6) + np.repeat(np.arange(6), 10) * 0.3
    category, stimulus = np.repeat(list("abcdef"), 10), np.repeat(np.arange(30), 2)
    values -= np.repeat(values.reshape(30, 2).mean(1), 2) * 0.999  # alike, but for the rest
    values += (category == "a") * 0.3
    overall = category_tests(values, category, stimulus).overall.set_index("test")
    groups = [values[category == name] for name in "abcdef"]
    within = sum(((one - one.mean()) ** 2).sum() for one in groups)
    expected = 60 * np.log(((values - values.mean()) ** 2).sum() / within)
    assert overall.loc["mixed model", "statistic"] == pytest.approx(expected, rel=1e-3)


def test_the_tables_of_tests_are_complete() -> None:
    from statsmodels.stats.multicomp import pairwise_tukeyhsd

    rng = np.random.default_rng(3)
    category = np.array(["b"] * 9 + ["a"] * 8 + ["c"] * 2 + ["d"])
    stimulus = rng.integers(0, 6, 20)
    values = rng.normal(size=20) + (category == "b")
    found = category_tests(values, category, stimulus)
    # Two regions are enough, one is not.
    assert found.pairs[["first", "second"]].to_numpy().tolist() == [
        *(["a", "b"], ["a", "c"], ["b", "c"])
    ]
    assert list(found.pairs.columns) == [
        *("first", "second", "difference", "low", "high", "p_tukey", "p_dunn")
    ]
    tukey = pairwise_tukeyhsd(values[:19], category[:19])
    np.testing.assert_allclose(found.pairs[["low", "high"]], tukey.confint)
    assert list(found.overall.columns) == ["test", "statistic", "p"]
    overall = found.overall.set_index("test")
    assert list(overall.index) == ["ANOVA", "Kruskal–Wallis", "mixed model"]
    samples = [values[category == name] for name in "abc"]
    expected = scipy.stats.f_oneway(*samples), scipy.stats.kruskal(*samples)
    for row, test in zip(overall.to_numpy(), expected, strict=False):
        assert row.tolist() == pytest.approx([test.statistic, test.pvalue])
    statistic, p = overall.loc["mixed model"]
    assert p == pytest.approx(scipy.stats.chi2.sf(statistic, 2))  # three categories


@pytest.mark.parametrize("failure", [np.linalg.LinAlgError, ValueError, None])
def test_a_mixed_model_that_cannot_be_fitted_has_no_answer(
    monkeypatch: pytest.MonkeyPatch, failure: type[Exception] | None
) -> None:
    from statsmodels.regression.mixed_linear_model import MixedLM

    class NotConverged:
        converged = False
        llf = 0.0

    def fit(*arguments: object, **options: object) -> NotConverged:
        if failure:
            raise failure
        return NotConverged()

    monkeypatch.setattr(MixedLM, "fit", fit)
    values = np.random.default_rng(0).normal(size=12)
    overall = category_tests(values, np.repeat(["a", "b"], 6), np.tile(range(6), 2)).overall
    assert np.isnan(overall.set_index("test").loc["mixed model"]).all()
    assert overall.iloc[:2].notna().all(axis=None)


def test_the_command_writes_what_it_shows(
    run: Run, maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = ["--maps", str(maps), "-o", str(tmp_path / "out"), "-f", "json"]
    app(["output", str(run.folder), *options], standalone_mode=False)
    rows = json.loads(capsys.readouterr().out)
    assert {row["category"] for row in rows} == {"person head", "person part", "text"}
    written = pd.read_csv(tmp_path / "out" / "regions.csv")
    assert len(written) == len(run.regions)
    with Image.open(tmp_path / "out" / "output.png") as figure:
        assert figure.width > 1000


def test_what_output_cannot_do_it_says(
    run: Run, maps: Path, small_world: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="has no readout, hence no output"):
        output(run)
    with pytest.raises(InputError, match="no layer 'nine'; there are"):
        output(run, maps=maps, layer="nine")
    other = tmp_path / "masks.json"
    other.write_bytes((small_world / "masks.json").read_bytes() + b" ")
    with pytest.raises(InputError, match="not the mask file of colours"):
        output(run, maps=maps, masks=other)
    gone = Run(run.folder, RunInfo.read(run.folder))
    gone.info.paths.root = "/nowhere"
    with pytest.raises(
        InputError, match="/nowhere: the folder of images is missing; name it with --root"
    ):
        output(gone, maps=maps)
    assert len(output(gone, maps=maps, root=small_world).categories) == 3


def test_paths_may_be_texts(run: Run, maps: Path, small_world: Path) -> None:
    texts = {"maps": str(maps), "masks": str(small_world / "masks.json"), "root": str(small_world)}
    assert output(run, **texts).categories.equals(output(run, maps=maps).categories)

"""The benchmark's measures against pysaliency's, on made-up maps and on real photographs."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from salprobe.datasets.sources.osie import load_osie
from salprobe.datasets.stimuli import Dataset, Stimuli
from salprobe.probe.saliency import benchmark
from salprobe.probe.saliency.classical.models import MODELS
from salprobe.probe.saliency.maps import from_function
from salprobe.probe.saliency.metrics import (
    auc_borji,
    auc_judd,
    auc_shuffled,
    cc,
    density,
    empirical,
    information_gain,
    kl,
    nss,
    sim,
)
from salprobe.probe.saliency.observers import CentreBias

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports pkg_resources
    import pysaliency
    from pysaliency import metrics as theirs
    from pysaliency.roc import general_rocs_per_positive

SIZE = (6, 8)
MAPS = arrays(np.float64, SIZE, elements=st.integers(0, 50).map(float)).filter(np.any)
PLACES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5)), min_size=1, max_size=12)


def auc_of(positive: np.ndarray, negative: np.ndarray) -> float:
    return general_rocs_per_positive(positive.astype(float), negative.astype(float)).mean()


@settings(max_examples=60)
@given(MAPS, PLACES, PLACES)
def test_on_any_map(image: np.ndarray, places: list, others: list) -> None:
    x, y = np.array(places).T
    other_x, other_y = np.array(others).T
    looked = empirical(x, y, SIZE, 1.0)
    assert nss(image, x, y) == pytest.approx(theirs.NSS(image, x, y).mean(), abs=1e-9)
    if np.ptp(image) > 0:
        assert cc(image, looked) == pytest.approx(theirs.CC(image, looked), abs=1e-9)
    with np.errstate(divide="ignore"):
        for one in (image, image + 31):
            assert kl(one, looked) == pytest.approx(theirs.MIT_KLDiv(one, looked), rel=1e-4)
    low = image - image.min(), looked - looked.min()  # pysaliency leaves a positive minimum
    assert sim(image, looked) == pytest.approx(theirs.SIM(*low), abs=1e-9) or not low[0].any()
    found = auc_shuffled(image, x, y, other_x, other_y)
    assert found == pytest.approx(auc_of(image[y, x], image[other_y, other_x]))
    fixated = np.zeros(SIZE, dtype=bool)
    fixated[y, x] = True
    assert auc_judd(image, x, y) == pytest.approx(auc_of(image[fixated], image[~fixated]))
    drawn = auc_borji(image, x, y, np.random.default_rng(0), splits=2000)
    assert drawn == pytest.approx(auc_of(image[y, x], image.ravel()), abs=0.05)


class Given(pysaliency.Model):
    """Densities as pysaliency takes them: natural logarithms, by the picture."""

    def __init__(self, densities: dict[bytes, np.ndarray]) -> None:
        super().__init__()
        self.densities = densities

    def _log_density(self, stimulus: np.ndarray) -> np.ndarray:
        return np.log(self.densities[stimulus.tobytes()])


class GivenMaps(pysaliency.SaliencyMapModel):
    def __init__(self, maps: dict[bytes, np.ndarray]) -> None:
        super().__init__()
        self.maps = maps

    def _saliency_map(self, stimulus: np.ndarray) -> np.ndarray:
        return self.maps[stimulus.tobytes()]


@pytest.fixture(scope="module")
def photographs(osie_root) -> Dataset:
    """The first five photographs of OSIE and the fixations on them."""
    whole = load_osie(osie_root)
    stimuli = Stimuli(whole.stimuli.root, whole.stimuli.images[:5])
    kept = whole.fixations.image_id <= stimuli[-1].id
    return Dataset("five", stimuli, whole.fixations.where(kept), whole.px_per_degree)


def test_on_photographs(photographs: Dataset) -> None:
    bms = from_function("bms", MODELS["bms"], photographs.stimuli)
    centre = CentreBias(photographs)
    models = {"bms": bms, "centre": centre, "dense": lambda one: density(bms(one) + 0.1)}
    table = benchmark.score(photographs, models)
    means = table.set_index("model")
    pictures = [np.asarray(photographs.stimuli.read(one)) for one in photographs.stimuli]
    stimuli = pysaliency.Stimuli(pictures)
    looked = photographs.fixations
    order = {one.id: k for k, one in enumerate(photographs.stimuli)}
    n = np.array([order[number] for number in looked.image_id.tolist()])
    fixations = pysaliency.Fixations.create_without_history(x=looked.x, y=looked.y, n=n)
    maps = {
        name: {
            picture.tobytes(): map_of(one)
            for picture, one in zip(pictures, photographs.stimuli, strict=True)
        }
        for name, map_of in models.items()
    }
    blurred = {
        picture.tobytes(): empirical(one.x, one.y, picture.shape[:2], photographs.px_per_degree)
        for picture, one in (
            (picture, looked.of(stimulus.id))
            for picture, stimulus in zip(pictures, photographs.stimuli, strict=True)
        )
    }
    gold = GivenMaps(blurred)
    for name in models:
        model, ours = GivenMaps(maps[name]), means.loc[name]
        fixed = {"log_regularization": 2.2204e-16, "quotient_regularization": 2.2204e-16}
        with np.errstate(divide="ignore"):
            divergences = model.image_based_kl_divergences(stimuli, gold, minimum_value=0, **fixed)
        for measure, expected, error in (
            ("NSS", model.NSSs(stimuli, fixations), 1e-9),
            ("sAUC", model.AUCs(stimuli, fixations, nonfixations="shuffled"), 1e-9),
            ("AUC-Borji", model.AUCs(stimuli, fixations, nonfixations="uniform"), 0.01),
        ):
            by_image = pd.Series(expected).groupby(n).mean().to_numpy()
            np.testing.assert_allclose(ours[measure], by_image, atol=error)
        np.testing.assert_allclose(ours["CC"], model.CCs(stimuli, gold), atol=1e-9)
        np.testing.assert_allclose(ours["KL"], divergences, rtol=1e-6)
        n_of, *xy = np.unique(np.stack([n, looked.x, looked.y]), axis=1)
        distinct = pysaliency.Fixations.create_without_history(x=xy[0], y=xy[1], n=n_of)
        judd = pd.Series(model.AUCs(stimuli, distinct, nonfixations="unfixated"))
        np.testing.assert_allclose(ours["AUC-Judd"], judd.groupby(n_of).mean(), atol=1e-9)
        if name == "bms":  # its minimum is 0
            np.testing.assert_allclose(ours["SIM"], model.SIMs(stimuli, gold), atol=1e-3)
    baseline = Given(maps["centre"])
    for name in ("centre", "dense"):
        gains = Given(maps[name]).information_gains(stimuli, fixations, baseline)
        by_image = pd.Series(gains).groupby(n).mean().to_numpy()
        np.testing.assert_allclose(means.loc[name]["IG"], by_image, atol=1e-6)
        assert set(means.loc[name]["kind"]) == {"density"}
    assert set(means.loc["bms"]["kind"]) == {"map"}


def test_information_gain_of_a_density_is_pysaliencys() -> None:
    rng = np.random.default_rng(0)
    p, b = (density(rng.random(SIZE) + 0.01) for _ in range(2))
    x, y = np.array([1, 5, 5]), np.array([0, 3, 3])
    picture = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    fixations = pysaliency.Fixations.create_without_history(x=x, y=y, n=np.zeros(3, dtype=int))
    models = (Given({picture.tobytes(): one}) for one in (p, b))
    model, baseline = models
    expected = model.information_gain(pysaliency.Stimuli([picture]), fixations, baseline)
    assert information_gain(p, b, x, y) == pytest.approx(expected)

"""Shapes fitted to receptive fields, whether these are centre–surround, and shares of units."""

import math

import nets
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import least_squares

from salprobe.probe.fields.centre_surround import cross_validated, describe_fields, isotropy
from salprobe.probe.fields.fitting import fit
from salprobe.probe.fields.shapes import KINDS, RATIOS
from salprobe.probe.fields.shares import mcnemar, shares

SIDE = 14
DOWN, ACROSS = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2


def blob(x: float, y: float, sd: float) -> np.ndarray:
    return np.exp(-((ACROSS - x) ** 2 + (DOWN - y) ** 2) / (2 * sd**2))


def dog(x: float, y: float, centre: float, surround: float, balance: float) -> np.ndarray:
    return blob(x, y, centre) - balance * (centre / surround) ** 2 * blob(x, y, surround)


def gabor(angle: float, sd: float, wavelength: float, phase: float) -> np.ndarray:
    along = ACROSS * math.cos(angle) + DOWN * math.sin(angle)
    return blob(0, 0, sd) * np.cos(2 * math.pi * along / wavelength + phase)


def random_dogs(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return fields of random sign, and their x, y, σ_c and σ_s."""
    truth = np.column_stack(
        [
            *rng.uniform(-1.5, 1.5, (2, count)),
            rng.uniform(0.9, 1.6, count),
            rng.uniform(1.5, 2.4, count),
        ]
    )
    truth[:, 3] *= truth[:, 2]
    fields = [dog(*one, rng.uniform(0.7, 1.1)) for one in truth]
    return np.array(fields) * rng.choice([-1, 1], (count, 1, 1)), truth


def halves(fields: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Return fields of one channel, twice, with noise relative to their size."""
    size = np.sqrt((fields**2).mean((1, 2), keepdims=True))
    return np.stack([fields + noise * size * rng.standard_normal(fields.shape) for _ in "ab"])[
        :, :, None
    ]


@pytest.mark.parametrize(("noise", "tolerance"), [(0.0, 1e-3), (0.2, 0.1)])
def test_a_difference_of_gaussians_is_found(noise: float, tolerance: float) -> None:
    rng = np.random.default_rng(1)
    fields, truth = random_dogs(rng, 16)
    table = describe_fields(halves(fields, noise, rng), block=4)
    errors = [
        abs(table[name] / (4 * truth[:, k]) - 1).to_numpy()
        for name, k in (("sigma_centre", 2), ("sigma_surround", 3))
    ]
    assert np.quantile(errors, 0.9) < tolerance
    assert np.abs(table[["x", "y"]].to_numpy() - 4 * truth[:, :2]).max() < 4 * (0.01 + noise)
    assert table["centre_surround"].mean() > 0.95


def test_the_sigmas_of_known_filters_within_a_tenth() -> None:
    bank = nets.filter_bank().numpy()[:3].astype(np.float64)
    table = describe_fields(np.stack([bank, bank])).groupby("unit").first()
    for unit, (centre, surround, balance) in enumerate(nets.DOGS):
        row = table.loc[unit]
        assert row["sigma_centre"] == pytest.approx(centre, rel=0.1)
        assert row["sigma_surround"] == pytest.approx(surround, rel=0.1)
        assert row["balance"] == pytest.approx(balance, rel=0.1)


@pytest.mark.parametrize("noise", [0.02, 1.0])
def test_other_fields_are_not_centre_surround(noise: float) -> None:
    rng = np.random.default_rng(3)
    gabors = [
        gabor(rng.uniform(0, math.pi), rng.uniform(1.6, 2.6), rng.uniform(3.5, 7), phase)
        for phase in rng.uniform(0, 6.3, 12)
    ]
    gaussians = [blob(*rng.uniform(-2, 2, 2), rng.uniform(1, 2.5)) for _ in range(12)]
    for fields, most in ((gabors, 0.0), (gaussians, 0.1)):
        table = describe_fields(halves(np.array(fields), noise, rng))
        assert table["centre_surround"].mean() <= most
    nothing = describe_fields(rng.standard_normal((2, 20, 1, SIDE, SIDE)))
    assert not nothing["centre_surround"].any()


def test_a_filter_without_shape_and_a_blob_at_the_border_are_not() -> None:
    rng = np.random.default_rng(0)
    rough = np.stack([rng.standard_normal((20, 1, 7, 7))] * 2)  # reliable, and no shape
    assert describe_fields(rough)["centre_surround"].mean() < 0.1
    border = np.stack([dog(0, 6.5, 1.5, 3.5, 1.0)[None, None]] * 2)
    assert not describe_fields(border)["centre_surround"].any()


@pytest.mark.parametrize("kind", ["gaussian", "dog", "gabor"])
def test_fits_beside_scipy_s(kind: str) -> None:
    rng = np.random.default_rng(5)
    fields, _ = random_dogs(rng, 3)
    if kind == "gabor":
        more = [gabor(*one) for one in ((0.4, 2.0, 5.0, 0.3), (1.9, 2.5, 4.0, 1.2))]
        fields = np.concatenate([fields, more])
    fields = fields + 0.05 * rng.standard_normal(fields.shape)
    own = np.square(fields - fit(kind, fields).fitted).sum((1, 2))

    def model(p: np.ndarray) -> np.ndarray:
        if kind == "gaussian":
            return p[0] * blob(p[1], p[2], math.exp(p[3]))
        if kind == "gabor":
            x, y = ACROSS - p[2], DOWN - p[3]
            across = x * math.cos(p[6]) + y * math.sin(p[6])
            along = y * math.cos(p[6]) - x * math.sin(p[6])
            size = (across / math.exp(p[4])) ** 2 + (along / math.exp(p[5])) ** 2
            phase = 2 * math.pi * math.exp(p[7] - 2) * across
            return np.exp(-0.5 * size) * (p[0] * np.cos(phase) + p[1] * np.sin(phase))
        ratio = RATIOS[0] + (RATIOS[1] - RATIOS[0]) / (1 + math.exp(-p[4]))
        sd = math.exp(p[3])
        surround = blob(p[1], p[2], sd * ratio) / (1 + math.exp(-p[5]))
        return p[0] * (blob(p[1], p[2], sd) - surround)

    size = {"gaussian": 4, "dog": 6, "gabor": 8}[kind]
    for field, error in zip(fields, own, strict=True):
        best = math.inf
        for _ in range(12 if kind == "gabor" else 3):
            start = np.concatenate([[1.0], rng.uniform(-2, 2, 2), rng.uniform(-0.5, 1, size - 3)])
            found = least_squares(lambda p, f=field: (model(p) - f).ravel(), start, max_nfev=200)
            best = min(best, 2 * found.cost)
        assert error <= best * 1.02


@pytest.mark.parametrize("kind", KINDS)
def test_slopes_beside_autograd(kind: str) -> None:
    rng = np.random.default_rng(4)
    shape = KINDS[kind]
    p = torch.from_numpy(rng.uniform(-0.8, 0.8, (5, shape.starts(4).shape[1])))
    x, y = (torch.from_numpy(one.ravel()) for one in (ACROSS, DOWN))
    bases = shape.bases(p, x, y)
    amplitudes = torch.from_numpy(rng.normal(size=bases.shape[:2]))
    slopes = shape.slopes(p, bases, amplitudes, x, y)
    for one, of_one, slope in zip(p, amplitudes, slopes, strict=True):

        def value(q: torch.Tensor, of_one: torch.Tensor = of_one) -> torch.Tensor:
            return of_one @ shape.bases(q[None], x, y)[0]

        expected = torch.autograd.functional.jacobian(value, one)
        torch.testing.assert_close(slope.T, expected, rtol=1e-9, atol=1e-12)


def test_cross_validation_by_hand() -> None:
    field = blob(1, -1, 2)[None]
    both = np.stack([field, 2 * field])
    r2 = cross_validated("gaussian", both)[:, 0]
    assert r2[0] == pytest.approx(1 - 1 / 4, abs=1e-6)  # the first half, of twice it
    assert r2[1] == pytest.approx(1 - 1, abs=1e-6)


def test_isotropy() -> None:
    stripes = np.cos(ACROSS)[None]
    assert isotropy(stripes)[0] == pytest.approx(0, abs=1e-9)
    assert isotropy(blob(0, 0, 3)[None])[0] == pytest.approx(1, abs=1e-6)


def test_constant_fields_are_unknown_not_guessed() -> None:
    table = describe_fields(np.zeros((2, 2, 3, 9, 9)))
    assert table[["reliability", "r2_dog", "sigma_centre", "isotropy"]].isna().all(axis=None)
    assert not table[["centre_surround", "strongest"]].any(axis=None)


def test_shares_and_mcnemar_by_hand() -> None:
    assert mcnemar(np.array([1] * 8 + [-1] * 2 + [0] * 20)) == pytest.approx(112 / 1024)
    assert mcnemar(np.zeros(12)) == 1
    assert math.isnan(mcnemar(np.ones(9)))
    before, after = np.arange(20) < 5, np.arange(20) < 13
    rows = []
    for network, values in (("before", before), ("after", after)):
        for unit, value in enumerate(values):
            names = {"network": network, "layer": "a", "estimate": "noise", "unit": unit}
            known = {"strongest": True, "centre_surround": bool(value), "reliability": 0.5}
            rows.append(names | known)
    gratings = pd.DataFrame(
        {"network": "before", "layer": "a", "unit": range(20), "opponent": True, "suppression": 0.1}
    )
    table = shares(pd.DataFrame(rows), gratings).set_index(["measure", "estimate"])
    row = table.loc["centre-surround", "noise"]
    assert (row["before"], row["after"], row["change"]) == (0.25, 0.65, pytest.approx(0.4))
    assert row["change_p"] == pytest.approx(2 / 2**8)
    assert (row["before_low"], row["before_high"]) == pytest.approx((0.1119, 0.4687), abs=1e-3)
    assert table.loc["suppression", ""]["before"] == pytest.approx(0.1)
    assert np.isnan(table.loc["opponent", ""]["change"])


def test_fits_do_not_depend_on_their_company() -> None:
    rng = np.random.default_rng(7)
    fields, _ = random_dogs(rng, 5)
    together = fit("dog", fields).parameters
    alone = torch.cat([fit("dog", one[None]).parameters for one in fields])
    torch.testing.assert_close(together, alone, rtol=1e-6, atol=1e-6)

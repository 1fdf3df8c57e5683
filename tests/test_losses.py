"""Losses against float64 references in NumPy and SciPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import entropy

from salprobe.datasets.errors import InputError
from salprobe.probe.networks.activation import resized
from salprobe.probe.saliency.metrics import cc as reference_cc
from salprobe.probe.saliency.metrics import empirical
from salprobe.probe.saliency.metrics import nss as reference_nss
from salprobe.probe.training.losses import Looked, Loss, bce, cc, kl, nss

SIZE = (30, 40)
X, Y = np.array([3, 20, 33, 8]), np.array([4, 25, 10, 17])
DENSITY = empirical(X, Y, SIZE, 3.0) / empirical(X, Y, SIZE, 3.0).sum()
LOOKED = Looked(SIZE, (X, Y), torch.from_numpy(DENSITY).float())


@pytest.fixture
def saliency() -> np.ndarray:
    return np.random.default_rng(0).normal(1.0, 2.0, SIZE)


def test_every_term_is_what_numpy_says(saliency: np.ndarray) -> None:
    found = torch.from_numpy(saliency)
    p = np.exp(saliency) / np.exp(saliency).sum()
    target = DENSITY / DENSITY.max()
    crossed = -(target * np.log(expit(saliency)) + (1 - target) * np.log(expit(-saliency))).mean()
    assert float(nss(found, LOOKED)) == pytest.approx(reference_nss(saliency, X, Y), abs=1e-6)
    assert float(kl(found, LOOKED)) == pytest.approx(entropy(DENSITY.ravel(), p.ravel()), abs=1e-5)
    assert float(cc(found, LOOKED)) == pytest.approx(reference_cc(saliency, DENSITY), abs=1e-5)
    assert float(bce(found, LOOKED)) == pytest.approx(crossed, abs=1e-5)


@pytest.mark.parametrize("size", [(3, 4), (1, 5), (14, 14), (30, 40), (45, 50)])
def test_nss_and_its_gradient_are_those_of_the_resized_map(size: tuple[int, int]) -> None:
    small = torch.relu(torch.from_numpy(np.random.default_rng(3).normal(size=size))).float()
    small.requires_grad_()
    nss(small, LOOKED).backward()
    plain = small.detach().double().requires_grad_()
    large = torch.nn.functional.interpolate(plain[None, None], SIZE, mode="bilinear")[0, 0]
    expected = ((large - large.mean()) / large.std(correction=0))[Y, X].mean()
    expected.backward()
    assert float(nss(small, LOOKED).detach()) == pytest.approx(float(expected.detach()), abs=1e-5)
    assert small.grad is not None and plain.grad is not None
    torch.testing.assert_close(small.grad.double(), plain.grad, atol=1e-5, rtol=1e-5)


@given(st.floats(0.1, 100), st.floats(-10, 10))
def test_nss_is_affine_invariant(scale: float, shift: float) -> None:
    saliency = torch.from_numpy(np.random.default_rng(1).normal(size=SIZE))
    assert float(nss(scale * saliency + shift, LOOKED)) == pytest.approx(
        float(nss(saliency, LOOKED)),
        abs=1e-4,  # float32 rounds the shifted map
    )


def test_a_sum_of_terms_has_the_sign_of_each(saliency: np.ndarray) -> None:
    found = torch.from_numpy(saliency).float()
    expected = 10 * kl(found, LOOKED) - 2 * cc(found, LOOKED) - nss(found, LOOKED)
    assert torch.allclose(Loss.parse("10*kl+2*cc + nss")(found, LOOKED), expected)
    assert Loss.parse("nss").needs_density is False
    assert Loss.parse("nss+kl").needs_density is True


@pytest.mark.parametrize("text", ["", "ns", "0*nss", "-1*nss", "x*nss", "nss+", "inf*kl", "nan*kl"])
def test_other_losses_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--loss"):
        Loss.parse(text)


def test_a_constant_map_scores_0_and_its_gradient_is_finite() -> None:
    saliency = torch.full(SIZE, 3.0, requires_grad=True)
    score = nss(saliency, LOOKED)
    score.backward()
    assert float(score.detach()) == 0
    assert saliency.grad is not None and bool(torch.isfinite(saliency.grad).all())


def test_without_fixations_there_is_no_score() -> None:
    nowhere = Looked(SIZE, (X[:0], Y[:0]))
    assert bool(nss(torch.rand(3, 4), nowhere).isnan())


def test_maps_are_resized_as_in_scoring() -> None:
    import cv2

    small = np.random.default_rng(2).normal(size=(5, 7)).astype(np.float32)
    found = resized(torch.from_numpy(small), SIZE).numpy()
    assert np.allclose(found, cv2.resize(small, SIZE[::-1]), atol=1e-5)

"""Closed-form NSS against resizing and scoring in float64, and against answers by hand."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from salprobe.probe.scoring.nss import Targets, region_nss, resize


def reference(maps: np.ndarray, regions: list, image_size: tuple[int, int]) -> np.ndarray:
    """Resize every map, standardise it, average it over the pixels: slow, obvious, float64."""
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(maps.astype(np.float64))[None],
        size=image_size,
        mode="bilinear",
        align_corners=False,
    )[0].numpy()
    scores = np.full((len(regions), len(maps)), np.nan)
    for unit, (small, large) in enumerate(zip(maps, resized, strict=True)):
        constant = small.min() == small.max()
        deviation = large.std()
        for row, (x, y) in enumerate(regions):
            if len(x):
                scores[row, unit] = (
                    0.0 if constant else ((large - large.mean()) / deviation)[y, x].mean()
                )
    return scores


def random_regions(rng: np.random.Generator, image_size: tuple[int, int], n: int = 4) -> list:
    height, width = image_size
    regions = []
    for _ in range(n):
        pixels = np.unique(
            np.stack([rng.integers(0, width, 12), rng.integers(0, height, 12)]), axis=1
        )
        regions.append((pixels[0], pixels[1]))
    return regions


def score(maps: np.ndarray, regions: list, image_size: tuple[int, int]) -> np.ndarray:
    tensor = torch.from_numpy(maps.astype(np.float32))[None]
    return region_nss(tensor, Targets([regions], [image_size])).numpy()


@pytest.mark.parametrize("map_size", [(28, 28), (14, 14), (7, 5), (1, 9), (9, 1), (2, 2), (61, 90)])
@pytest.mark.parametrize("image_size", [(600, 800), (33, 47), (28, 28), (20, 31)])
def test_equals_the_reference(map_size: tuple, image_size: tuple) -> None:
    rng = np.random.default_rng(0)
    dense = rng.normal(3, 1, (6, *map_size))
    sparse = np.maximum(rng.normal(-1, 1, (6, *map_size)), 0)
    maps = np.concatenate([dense, sparse, 1e4 + dense, 1e-20 * dense]).astype(np.float32)
    regions = random_regions(rng, image_size)
    expected = reference(maps, regions, image_size)
    # 1e4 + dense: float32 itself holds such a map to 1e-3 of its spread, so compare in its terms.
    np.testing.assert_allclose(score(maps, regions, image_size), expected, atol=1e-5, rtol=1e-5)


def test_border_fixations_take_the_border_values() -> None:
    maps = np.random.default_rng(1).normal(size=(3, 5, 6)).astype(np.float32)
    corners = [(np.array([x]), np.array([y])) for x in (0, 799) for y in (0, 599)]
    expected = reference(maps, corners, (600, 800))
    np.testing.assert_allclose(score(maps, corners, (600, 800)), expected, atol=1e-5)


def test_by_hand() -> None:
    # A 1×2 map (0, 1) on a 1×4 image is 0, 0.25, 0.75, 1: mean 0.5, sd sqrt(0.15625).
    maps = np.array([[[0.0, 1.0]]])
    regions = [(np.array([3]), np.array([0])), (np.array([0, 1]), np.array([0, 0]))]
    sd = 0.15625**0.5
    expected = np.array([[0.5 / sd], [(0.125 - 0.5) / sd]])
    np.testing.assert_allclose(score(maps, regions, (1, 4)), expected, atol=1e-6)


def test_one_pixel_maps_and_constant_maps_score_zero() -> None:
    regions = [(np.array([3, 4]), np.array([2, 2]))]
    assert score(np.full((2, 1, 1), 7.0), regions, (10, 10)).tolist() == [[0.0, 0.0]]
    for value in (0.0, 0.1, -3e7, 1e-30):
        assert score(np.full((1, 13, 9), value), regions, (600, 800)).tolist() == [[0.0]]


def test_a_map_whose_variation_is_never_sampled_scores_zero() -> None:
    # Shrinking 9 columns to 1 reads only the middle one: the resized map is constant.
    maps = np.zeros((1, 1, 9))
    maps[0, 0, 0] = 1
    assert score(maps, [(np.array([0]), np.array([0]))], (1, 1)).tolist() == [[0.0]]


def test_a_region_without_fixations_has_no_score() -> None:
    nothing = (np.empty(0, dtype=int), np.empty(0, dtype=int))
    maps = np.random.default_rng(0).normal(size=(2, 4, 4))
    scores = score(maps, [nothing, (np.array([1]), np.array([1]))], (8, 8))
    assert np.isnan(scores[0]).all()
    assert np.isfinite(scores[1]).all()


def test_images_without_regions_have_no_rows() -> None:
    nothing = (np.empty(0, dtype=int), np.empty(0, dtype=int))
    maps = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 4, 4))).float()
    sizes = [(8, 8), (8, 8)]
    assert region_nss(maps, Targets([[], []], sizes)).shape == (0, 3)
    assert region_nss(maps, Targets([[], [nothing]], sizes)).isnan().tolist() == [[True] * 3]
    one = [(np.array([1]), np.array([1]))]
    alone = region_nss(maps[1:], Targets([one], sizes[1:]))
    assert torch.equal(region_nss(maps, Targets([[], one], sizes)), alone)


def test_images_of_a_batch_are_scored_each_at_its_own_size() -> None:
    rng = np.random.default_rng(5)
    maps = rng.normal(size=(3, 4, 6, 7)).astype(np.float32)
    sizes = [(30, 40), (50, 20), (30, 40)]
    regions = [random_regions(rng, size, n) for size, n in zip(sizes, (1, 3, 2), strict=True)]
    for layout in (torch.contiguous_format, torch.channels_last):
        tensor = torch.from_numpy(maps).to(memory_format=layout)
        before = tensor.clone()
        targets = Targets(regions, sizes)
        scores = region_nss(tensor, targets).split(targets.counts())
        assert torch.equal(tensor, before)
        for one, found, size, got in zip(maps, regions, sizes, scores, strict=True):
            np.testing.assert_allclose(got.numpy(), reference(one, found, size), atol=1e-5)


def test_half_precision_maps_are_widened() -> None:
    rng = np.random.default_rng(6)
    maps = torch.from_numpy(rng.normal(size=(1, 3, 6, 7)).astype(np.float32)).bfloat16()
    regions = random_regions(rng, (30, 40))
    got = region_nss(maps, Targets([regions], [(30, 40)])).numpy()
    np.testing.assert_allclose(
        got, reference(maps[0].float().numpy(), regions, (30, 40)), atol=1e-5
    )


@settings(max_examples=40, deadline=None)
@given(
    scale=st.floats(0.01, 1000) | st.floats(-1000, -0.01),
    shift=st.floats(-50, 50),
    seed=st.integers(0, 2**16),
)
def test_nss_is_affine_invariant(scale: float, shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(3, 6, 5))
    regions = random_regions(rng, (24, 31))
    plain, changed = (score(one, regions, (24, 31)) for one in (maps, scale * maps + shift))
    # float32 rounds the shifted map to about 4e-6 of its largest value
    tolerance = 1e-4 * (1 + abs(shift / scale))
    np.testing.assert_allclose(changed, np.sign(scale) * plain, atol=tolerance)


@given(size=st.integers(1, 40), length=st.integers(1, 90))
def test_interpolation_weights(size: int, length: int) -> None:
    axis = resize(size, length)
    assert ((axis.weight >= 0) & (axis.weight < 1)).all()
    assert axis.mean.sum() == pytest.approx(1)
    assert (axis.low >= 0).all() and (axis.high < size).all()
    matrix = np.zeros((length, size))
    for place, share in ((axis.low, 1 - axis.weight), (axis.high, axis.weight)):
        np.add.at(matrix, (np.arange(length), place), share)
    gram = matrix.T @ matrix / length
    np.testing.assert_allclose(axis.mean, matrix.mean(0))
    factor = np.diag(axis.diagonal) + np.diag(axis.beside, 1)
    np.testing.assert_allclose(factor.T @ factor, gram, atol=1e-14)  # where it is singular too


def test_kernels_hold_four_weights_a_fixation() -> None:
    found = Targets([[(np.array([100]), np.array([200]))]], [(600, 800)]).kernels(28, 28)
    assert found.starts.tolist() == [0, 4]
    assert float(found.weights.sum()) == pytest.approx(1)
    assert float(found.mean.sum()) == pytest.approx(1)


def test_interpolation_by_hand() -> None:
    axis = resize(2, 4)  # samples at 0, 1/4, 3/4 and 1 of the way
    assert axis.low.tolist() == [0, 0, 0, 1] and axis.high.tolist() == [1, 1, 1, 1]
    assert axis.weight.tolist() == [0, 0.25, 0.75, 0]
    matrix = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    assert axis.mean.tolist() == [0.5, 0.5]
    gram = matrix.T @ matrix / 4
    factor = np.linalg.cholesky(gram, upper=True)
    np.testing.assert_allclose(axis.diagonal, factor.diagonal())
    np.testing.assert_allclose(axis.beside, [factor[0, 1]])


def test_kernels_by_hand() -> None:
    nothing = (np.empty(0, dtype=int), np.empty(0, dtype=int))
    two = (np.array([0, 3]), np.array([0, 0]))
    between = (np.array([2]), np.array([0]))
    targets = Targets([[between], [two, nothing, between]], [(1, 4), (1, 4)])
    found = targets.kernels(1, 2)
    assert found is targets.kernels(1, 2)
    assert found.starts.tolist() == [0, 2, 4, 4, 6]
    assert found.cells.tolist() == [0, 1, 2, 3, 2, 3]  # the second image's map begins at 2
    assert found.weights.tolist() == [0.25, 0.75, 0.5, 0.5, 0.25, 0.75]
    assert found.mean.tolist() == [[[0.5, 0.5]]] * 2


def test_a_batch_that_is_scored_in_parts_is_scored_as_a_whole() -> None:
    rng = np.random.default_rng(7)
    maps = torch.from_numpy(rng.normal(size=(3, 520, 32, 32)).astype(np.float32))
    sizes = [(50, 40), (40, 50), (50, 40)]
    regions = [random_regions(rng, size, n) for size, n in zip(sizes, (2, 1, 3), strict=True)]
    nothing = (np.empty(0, dtype=int), np.empty(0, dtype=int))
    regions[1] = [nothing, *regions[1]]
    assert maps[0].numel() > 2**19  # more than a part
    targets = Targets(regions, sizes)
    together = region_nss(maps, targets).split(targets.counts())
    assert [tuple(one.shape) for one in together] == [(2, 520), (2, 520), (3, 520)]
    few = region_nss(maps[:, :5], targets).split(targets.counts())
    for whole, part in zip(together, few, strict=True):
        torch.testing.assert_close(whole[:, :5], part, rtol=0, atol=1e-5, equal_nan=True)
        assert whole.dtype == torch.float32
    assert [one.isnan().any(1).tolist() for one in few] == [[False] * 2, [True, False], [False] * 3]


def test_a_map_that_is_not_finite_has_no_score() -> None:
    maps = torch.ones(1, 3, 2, 2)
    maps[0, 0] = torch.inf
    maps[0, 1, 0, 0] = torch.nan
    found = region_nss(maps, Targets([[(np.array([1]), np.array([1]))]], [(4, 4)]))
    assert found.isnan().tolist() == [[True, True, False]]
    assert found[0, 2] == 0


def test_maps_far_from_zero_keep_their_contrast() -> None:
    values = np.random.default_rng(8).integers(0, 9, (2, 6, 5)).astype(float)
    regions = random_regions(np.random.default_rng(9), (24, 31))
    plain = score(values, regions, (24, 31))
    for shift in (2.0**22, -(2.0**22)):  # float32 holds these integers exactly
        np.testing.assert_allclose(score(values + shift, regions, (24, 31)), plain, atol=1e-4)


class _Moves(TorchDispatchMode):
    """Notes every operation that moves numbers between devices, or that waits for one."""

    waits = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        tensors = [one for one in tree_leaves((args, kwargs, result)) if torch.is_tensor(one)]
        moved = len({one.device for one in tensors if one.ndim}) > 1
        if name in self.waits or moved:
            self.seen.append(name)
        return result


def test_scoring_a_layer_moves_nothing_to_its_device_and_waits_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # knows no such device
    rng = np.random.default_rng(3)
    regions = [random_regions(rng, (24, 31)) for _ in range(3)]
    targets = Targets(regions, [(24, 31)] * 3)
    maps = torch.empty(3, 5, 6, 7, device="meta")  # a device of which only shapes are known
    with _Moves() as first:
        scores = region_nss(maps, targets)
    assert scores.shape == (sum(map(len, regions)), 5)
    assert 0 < len(first.seen) <= 12  # the kernels, once for all layers of this size
    with _Moves() as second:
        region_nss(torch.empty(3, 9, 6, 7, device="meta"), targets)
    assert second.seen == []

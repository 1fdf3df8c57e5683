"""Classical models: parts against slow references, and what they must find."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from salprobe.datasets.errors import InputError
from salprobe.datasets.sources.osie import load_osie
from salprobe.probe.saliency.classical.bms import _attention, _lab, _whitened, bms_iccv13
from salprobe.probe.saliency.classical.gbvs import _dwell, _nearness, _promoted
from salprobe.probe.saliency.classical.models import MODELS
from salprobe.probe.saliency.classical.pyramids import dkl, gabor, orientation, pyramid
from salprobe.probe.saliency.metrics import nss


def picture(height: int = 240, width: int = 320) -> np.ndarray:
    """Grey discs, off their grid, and one that is red and larger, at (row 180, column 80)."""
    rng = np.random.default_rng(2)
    image = np.full((height, width, 3), 128, dtype=np.uint8)
    y, x = np.mgrid[:height, :width]
    for row in (60, 120, 180):
        for column in (80, 160, 240):
            odd = (row, column) == (180, 80)
            shift = (0, 0) if odd else rng.uniform(-15, 15, 2)
            away = np.hypot(y - row - shift[0], x - column - shift[1])
            inside = away < (18 if odd else 10)
            image[inside] = (220, 40, 40) if odd else (90, 90, 90)
    return image


@pytest.mark.parametrize("name", MODELS)
def test_the_odd_disc_stands_out(name: str) -> None:
    found = MODELS[name](picture())
    assert found.shape == (240, 320)
    assert found.min() >= 0 and found.max() <= 1 + 1e-9
    standard = (found - found.mean()) / found.std()
    y, x = np.mgrid[:240, :320]
    assert standard[np.hypot(y - 180, x - 80) < 18].mean() > (1 if name == "spectral" else 3)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", [(240, 320), (97, 640), (60, 80), (500, 50)])
def test_odd_sizes_and_blank_pictures(name: str, shape: tuple[int, int]) -> None:
    blank = MODELS[name](np.full((*shape, 3), 77, dtype=np.uint8))
    assert blank.shape == shape and np.isfinite(blank).all()
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = MODELS[name](noise)
    assert found.shape == shape and np.isfinite(found).all() and found.std() > 0
    assert (MODELS[name](noise) == found).all()


def test_without_the_bias_to_the_centre_the_rim_gains() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    y, x = np.mgrid[-1:1:240j, -1:1:320j]
    middle = np.hypot(x, y) < 0.5
    share = {n: (m := MODELS[n](noise))[middle].sum() / m.sum() for n in ("gbvs", "gbvs-uncentred")}
    assert share["gbvs"] > share["gbvs-uncentred"] > 0.9 * middle.mean()


def test_a_picture_too_small_is_refused() -> None:
    with pytest.raises(InputError, match="30×40 pixels are too few for Itti–Koch"):
        MODELS["itti"](np.zeros((40, 30, 3), dtype=np.uint8))


def test_the_walk_dwells_in_proportion_to_the_edges_of_a_node() -> None:
    """The weights are symmetric, so the stationary distribution is known: the sums of weights."""
    rng = np.random.default_rng(0)
    image, near = rng.random((9, 12)), _nearness(9, 12)
    values = image.ravel()
    expected = np.array(
        [sum(abs(a - b) * near[i, j] for j, b in enumerate(values)) for i, a in enumerate(values)]
    )
    found = _dwell(image, near).ravel()
    np.testing.assert_allclose(found, expected / expected.sum(), atol=2e-4)
    i, j = 5, 40  # (0, 5) and (3, 4)
    assert near[i, j] == pytest.approx(np.exp(-(9 + 1) / (2 * (0.15 * 10.5) ** 2)))


def test_one_peak_is_promoted_over_many() -> None:
    one, many = np.zeros((2, 20, 20))
    one[10, 10] = 1
    many[4:17:4, 4:17:4] = 0.9
    many[8, 8] = 1
    assert _promoted(one).max() == pytest.approx(1000)
    peaks = 10 * (15 * 0.9 + 1) / 16
    assert _promoted(many).max() == pytest.approx(10 * (10 - peaks) ** 2)


def test_surroundedness_is_what_a_flood_from_the_border_does_not_reach() -> None:
    rng = np.random.default_rng(1)
    boolean = ndimage.gaussian_filter(rng.random((60, 80)), 3) > 0.5
    expected = np.zeros(boolean.shape)
    for one in (boolean, ~boolean):
        edge = np.zeros_like(one)
        edge[[0, -1]], edge[:, [0, -1]] = True, True
        eight = np.ones((3, 3))
        reached = ndimage.binary_propagation(edge & one, structure=eight, mask=one)
        inside = ndimage.binary_dilation(one & ~reached, structure=eight, iterations=3)
        if inside.any():
            expected += inside / np.linalg.norm(inside)
    np.testing.assert_allclose(_attention(boolean, ~boolean), expected, atol=1e-6)
    assert expected.max() > 0


def test_the_form_of_2013_step_by_step() -> None:
    """Slowly, at the size that it works at: Lab, thresholds 8 apart, opened, dilated, blurred."""
    rng = np.random.default_rng(4)
    rgb = np.full((300, 600, 3), 120, dtype=np.uint8)
    for _ in range(6):
        y, x = rng.integers(20, 220), rng.integers(20, 520)
        rgb[y : y + 50, x : x + 60] = rng.integers(0, 256, 3)
    square = np.ones((3, 3))
    total = np.zeros(rgb.shape[:2])
    for channel in np.moveaxis(_lab(rgb), -1, 0):
        for threshold in range(0, 256, 8):
            for one in (channel > threshold, channel <= threshold):
                # A border that erosion does not eat: pixels outside count as set.
                kept = ndimage.binary_erosion(one, square, iterations=2, border_value=1)
                kept = ndimage.binary_dilation(kept, square, iterations=2)
                labels, count = ndimage.label(kept, square)
                edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
                inside = np.isin(labels, sorted({*range(1, count + 1)} - {*edge.tolist()}))
                inside = ndimage.binary_dilation(inside, square, iterations=3)
                total += inside / max(1e-9, np.linalg.norm(inside))
    grey = np.rint(total * 255 / total.max())
    wide = ndimage.grey_dilation(grey, (23, 23))
    expected = ndimage.gaussian_filter(wide, 20, radius=25, mode="mirror")
    found = bms_iccv13(rgb)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.9999


def test_filters_have_the_published_shape() -> None:
    for angle in (0, 45, 90, 135):
        for phase in (0, 90):
            one = gabor(angle, phase)
            assert one.shape == (27, 27)
            assert one.mean() == pytest.approx(0, abs=1e-12)
            assert (one**2).sum() == pytest.approx(1)
    levels = pyramid(np.full((120, 160), 0.3), 4)
    assert [one.shape for one in levels] == [(120, 160), (60, 80), (30, 40), (15, 20), (7, 10)]
    for one in levels:
        np.testing.assert_allclose(one, 0.3)
    # a grey of half the monitor's light is the origin, to the constants' precision
    half = np.full((1, 1), 0.5 ** (1 / 2.2))
    assert abs(np.array(dkl(half, half, half))).max() < 0.03


def test_a_pyramids_pixel_is_centred_between_two_of_the_level_below() -> None:
    # A ramp x: pixel k sees 2k − 2 … 2k + 3, whose weights 1 5 10 10 5 1 put it at 2k + 1/2.
    ramp = np.tile(np.arange(41.0), (41, 1))
    for image, axis in ((ramp, 1), (ramp.T, 0)):
        half = pyramid(image, 1)[1]
        assert half.shape == (20, 20)
        middle = np.take(half, range(1, 19), axis=axis)
        expected = 2 * np.arange(1, 19) + 0.5
        along = middle if axis else middle.T
        np.testing.assert_allclose(along, np.tile(expected, (20, 1)))
    # At the border taps 0 … 3 are left, with the weights 10 10 5 1.
    assert pyramid(ramp, 1)[1][0, 0] == pytest.approx((10 + 10 + 3) / 26)


def test_an_orientation_is_the_sum_of_two_phases_magnitudes() -> None:
    rows, columns = np.mgrid[:61, :61]
    bars = np.cos(2 * columns) * np.exp(-((rows - 30) ** 2 + (columns - 30) ** 2) / 50)
    padded = np.pad(bars, 13, mode="edge")
    window = padded[30 : 30 + 27, 30 : 30 + 27]
    expected = sum(abs((window[::-1, ::-1] * gabor(90, phase)).sum()) for phase in (0, 90))
    assert orientation(bars, 90)[30, 30] == pytest.approx(expected)


def test_boolean_maps_have_the_releases_colours_and_rounding() -> None:
    # Blue and red change places: the release reads OpenCV's BGR as RGB.
    rgb = np.random.default_rng(3).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    lab = cv2.cvtColor(rgb[..., ::-1].copy(), cv2.COLOR_RGB2Lab).reshape(-1, 3).astype(float)
    axes, spread, _ = np.linalg.svd(np.cov(lab.T, bias=True) + 50 * np.eye(3))
    rotated = lab @ axes / np.sqrt(spread)
    for ours, values in zip(_whitened(rgb), rotated.T, strict=True):
        grey = (values - values.min()) * 255 / np.ptp(values)
        signs = (np.rint(values).astype(np.uint8).reshape(40, 50) for values in (grey, 255 - grey))
        errors = [np.abs(ours.astype(int) - cv2.medianBlur(one, 3)).max() for one in signs]
        assert min(errors) <= 1  # the sign of an axis is the decomposition's


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least"), [("gbvs", 1.0), ("itti", 0.9), ("bms", 1.2), ("bms-iccv13", 1.2)]
)
def test_on_photographs(name: str, least: float, osie_root) -> None:
    dataset = load_osie(osie_root)
    scores = []
    for stimulus in list(dataset.stimuli)[:50]:
        looked = dataset.fixations.of(stimulus.id)
        found = MODELS[name](np.asarray(dataset.stimuli.read(stimulus)))
        scores.append(nss(found, looked.x, looked.y))
    assert np.mean(scores) > least

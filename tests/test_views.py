"""What tables and pictures show of the numbers that they are given."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from salprobe.datasets.interval import Interval
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.probe.analysis.unit_change import unit_change
from salprobe.probe.experiments.sweep import Sweep
from salprobe.probe.runs.inputs import model_of
from salprobe.probe.runs.probing import probe
from salprobe.probe.runs.run import Run
from salprobe.probe.views import cells, figures, units
from salprobe.probe.views.overlays import panel

INTERVAL = Interval(2.0, 1.5, 3.0)
UNKNOWN = Interval(2.0, np.nan, np.nan)


def test_plus_minus_is_half_of_what_the_bounds_are_apart() -> None:
    assert cells.half_width(INTERVAL).plain == "\n±0.75"
    assert cells.with_interval(INTERVAL).plain == "2.00 ±0.75"
    assert cells.bracketed(INTERVAL).plain == "2.00 [1.50, 3.00]"
    assert cells.score(*INTERVAL).plain == "2.00\n±0.75"
    assert cells.change(*INTERVAL, 0.01).plain == "+2.00\n±0.75"


def test_an_interval_that_is_not_known_is_not_printed() -> None:
    assert cells.half_width(UNKNOWN).plain == ""
    assert cells.with_interval(UNKNOWN).plain == "2.00"
    assert cells.bracketed(UNKNOWN).plain == "2.00"
    assert cells.score(*Interval.none()).plain == "–"
    assert cells.change(*Interval.none(), np.nan).plain == "–"


def test_a_change_is_bold_where_it_holds_for_the_table_as_a_whole() -> None:
    assert cells.change(*INTERVAL, 0.049).spans[0].style == "bold green"
    assert cells.change(-2.0, -3.0, -1.5, 0.049).spans[0].style == "bold red"
    for q in (0.05, np.nan):  # though the interval excludes 0
        assert cells.change(*INTERVAL, q).spans[0].style == "dim"


def test_a_score_is_bold_above_t_and_what_t_says_nothing_of_never() -> None:
    for cell, bold in ((cells.score, True), (cells.unmarked_score, False)):
        shown = cell(*INTERVAL)
        assert shown.plain == "2.00\n±0.75"
        assert ("bold" in str(shown.spans[0].style)) == bold
        assert shown.spans[1].style == "dim"  # legible: not the score's colour, dimmed


def test_counts_shares_and_small_p() -> None:
    assert cells.with_count(1.0, 12).plain == "1.00\n12"
    assert cells.with_count(1.0, 0).plain == "1.00\n·"
    assert cells.with_count(np.nan, 0).plain == "–"
    assert (cells.percent(0.555).plain, cells.percent(np.nan).plain) == ("56%", "–")
    assert [cells.small(p) for p in (0.0001, 0.012, np.nan)] == ["<0.001", "0.012", "–"]


def drawn(picture: np.ndarray, saliency: np.ndarray | None = None) -> np.ndarray:
    """Return what `panel` draws, a pixel for a pixel, as float (height, width, 3) from 0 to 1."""
    height, width = picture.shape[:2]
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axis = figure.add_axes((0, 0, 1, 1))
    panel(axis, picture, saliency)
    axis.axis("off")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3] / 255


def test_a_picture_without_a_map_is_shown_as_it_is() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    np.testing.assert_allclose(drawn(picture), picture / 255, atol=0.01)


def test_a_map_is_bright_where_it_is_high_and_the_picture_shows_where_it_is_low() -> None:
    picture = np.full((40, 80, 3), 255, dtype=np.uint8)
    picture[20:] = 0
    saliency = np.zeros((40, 80))
    saliency[:, :40] = 7
    found = drawn(picture, saliency)
    highest, lowest = (np.array(colormaps["inferno"](value)[:3]) for value in (1.0, 0.0))
    # White and black are greys of 1 and 60 / 315; the map covers 85 % where it is highest, 15 %
    # where it is lowest.
    for row, grey in ((10, 1.0), (30, 60 / 315)):
        np.testing.assert_allclose(found[row, 10], 0.85 * highest + 0.15 * grey, atol=0.02)
        np.testing.assert_allclose(found[row, 70], 0.15 * lowest + 0.85 * grey, atol=0.02)
    assert found[10, 10].sum() > 2.5 and found[30, 70].sum() < 0.6


def test_a_small_map_is_stretched_over_the_picture_and_a_constant_one_is_low() -> None:
    picture = np.full((40, 80, 3), 255, dtype=np.uint8)
    small = drawn(picture, np.array([[7.0, 3.0]]))
    large = drawn(picture, np.repeat([[7.0, 3.0]], 40, axis=1))
    np.testing.assert_allclose(small[:, :10], large[:, :10], atol=0.01)
    np.testing.assert_allclose(small[:, -10:], large[:, -10:], atol=0.01)
    constant = drawn(picture, np.full((4, 4), 5.0))
    np.testing.assert_allclose(constant, np.broadcast_to(large[:1, -1:], constant.shape), atol=0.01)


def test_a_units_change_is_drawn_by_its_own_maps(
    small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small_world / "masks.json"
    masks = MaskSet.read(path)
    runs = [
        probe(path, root=small_world, model=f"nets:{name}", out=tmp_path / name)
        for name in ("colours", "other_colours")
    ]
    figure: list[Any] = []
    monkeypatch.setattr(units, "save_figure", lambda drawn, path: figure.append(drawn))
    change = unit_change(runs[0], runs[1], "units", 1)
    models = (model_of(runs[0]), model_of(runs[1]))
    layers = (models[0].layer("units"), models[1].layer("units"))
    units.draw_change(change, models, layers, masks, small_world, tmp_path / "change.png", most=2)
    rows = np.reshape(figure[0].axes, (2, 3))
    stems = [axes[0].get_ylabel().split(":")[0] for axes in rows]
    assert stems == [str(number) for number in change.regions["image_id"].unique()[:2]]
    for axes in rows:
        picture = np.asarray(axes[0].images[0].get_array(), dtype=float)
        for axis, channel in zip(axes[1:], (1, 0), strict=True):  # green before, red after
            shown = np.asarray(axis.images[-1].get_array(), dtype=float)
            like = [np.corrcoef(shown.ravel(), picture[..., k].ravel())[0, 1] for k in range(3)]
            assert np.argmax(like) == channel and like[channel] > 0.95


@pytest.mark.parametrize("gain", [0.7, np.nan])
def test_gains_are_drawn_even_where_none_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gain: float
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: drawn.append(figure))
    bounds = {"change": [0, 0, gain, gain], "change_low": [0, 0, gain - 0.1, gain - 0.1]}
    bounds["change_high"] = [0, 0, gain + 9, gain + 9]
    table = pd.DataFrame({"tune": [*"0011"], "category": ["text", "plant"] * 2, **bounds})
    runs = cast("dict[str, Run]", {"0": None, "1": None})
    empty = pd.DataFrame()
    figures.draw_gains(Sweep(tmp_path, runs, "vgg16", "conv5_3", table, empty, empty), tmp_path)
    (axis,) = drawn[0].axes
    heights = [bar.get_height() for bar in axis.patches]
    np.testing.assert_equal(heights, [gain, gain])
    if gain > 0:  # the wide interval does not squeeze the bar
        assert axis.get_ylim() == pytest.approx((gain - 0.5, gain + 0.5))

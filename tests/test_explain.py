"""Explanations: what is known to explain a unit is found, and nothing else."""

import json
import os
import tracemalloc
from itertools import chain, combinations
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from toys import UNITS, write_pictures

from salprobe.annotate.popout.arrays import Arrays, write_arrays
from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet, new_mask_set
from salprobe.datasets.sources.load import load_dataset
from salprobe.datasets.stimuli import Stimuli
from salprobe.probe.experiments.popout import popout
from salprobe.probe.explain import passes, state
from salprobe.probe.explain.bank import FAMILIES, FEATURES, FILTERS, blurred, picture_features
from salprobe.probe.explain.cells import Grid, overlaps
from salprobe.probe.explain.explaining import explain
from salprobe.probe.explain.explanation import Explanation
from salprobe.probe.explain.partition import COLUMNS, ROWS, SUBSETS, Moments
from salprobe.probe.explain.rebuilt import readout_function
from salprobe.probe.networks.load import Backbone
from salprobe.probe.records.run_info import Registration
from salprobe.probe.saliency.benchmark import score
from salprobe.probe.saliency.maps import maps_of, saliency_map
from salprobe.probe.sources.factory import trust
from salprobe.probe.views.explain import filter_name

SIZE = (48, 48)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("explain") / "pictures")


@pytest.fixture(scope="module")
def filters(pictures: Path) -> Explanation:
    return explain(
        pictures,
        model=Backbone("toys:log_gabors", input_size=SIZE),
        layers=["units", "rectified"],
        registration="plain",
        out=pictures.parent / "filters",
    )


@pytest.fixture(scope="module")
def places(pictures: Path) -> Explanation:
    return explain(
        pictures,
        model=Backbone("toys:places", input_size=SIZE),
        layers="maps",
        registration="plain",
        out=pictures.parent / "places",
    )


def test_units_that_are_log_gabors_are_explained_by_their_filters(filters: Explanation) -> None:
    units = filters.units
    linear = units["layer"] == "units"
    assert (units["r2"] > 0.99)[linear].all()
    # A rectified phase between even and odd is no sum of their rectified parts.
    assert (units["r2"][~linear].to_numpy() > [0.99, 0.8, 0.99, 0.8]).all()
    assert units["filter_wavelength"].tolist() == [unit[0] for unit in UNITS] * 2
    assert units["filter_orientation"].tolist() == [unit[1] for unit in UNITS] * 2
    assert set(units["filter_channel"]) == {"luminance"}
    assert (units["filter_r2"] > 0.99)[linear].all()
    assert (units["r2_position"] < 0.01).all()
    assert (units["unique_position"].abs() < 0.01).all()
    assert (units["unique_surround"].abs() < 0.01).all()
    assert (units["r2_low"] <= units["r2"]).all() and (units["r2"] <= units["r2_high"]).all()


def test_a_unit_that_knows_only_its_place_is_explained_by_position(places: Explanation) -> None:
    blob, corner, constant, noise = places.units.to_dict("records")
    for unit in (blob, corner):
        assert unit["r2"] > 0.99 and unit["r2_position"] > 0.99
        assert unit["unique_position"] > 0.7
        assert abs(unit["unique_log_gabor"]) < 0.01 and abs(unit["unique_surround"]) < 0.01
    assert np.isnan(constant["r2"])
    assert constant["filter_channel"] == "" and np.isnan(constant["filter_wavelength"])
    assert filter_name(constant) == "–" != filter_name(blob)
    assert noise["r2"] <= 0 and noise["r2_low"] < noise["r2"]
    # The layer is the mean of the units that vary.
    known = [unit["r2"] for unit in (blob, corner, noise)]
    assert places.layers["r2"][0] == pytest.approx(np.mean(known), abs=1e-5)


def test_features_are_kovesis_formulas() -> None:
    rng = np.random.default_rng(0)
    rgb = rng.random((3, 40, 56)).astype(np.float32)
    found = picture_features(torch.from_numpy(rgb)).numpy()
    assert len(found) == sum(one.family != "position" for one in FEATURES)
    border = 32
    light = np.tensordot(
        [0.299, 0.587, 0.114], np.pad(rgb, ((0, 0), (32, 32), (32, 32)), "reflect"), 1
    )
    n, m = light.shape
    fy, fx = np.meshgrid(np.fft.fftfreq(n), np.fft.fftfreq(m), indexing="ij")
    radius, angle = np.hypot(fx, fy), np.arctan2(-fy, fx)
    radius[0, 0] = 1
    lowpass = 1 / (1 + (radius / 0.45) ** 30)
    for place in (0, 8, 13, 23):
        feature = FEATURES[FILTERS[place][0]]
        radial = np.exp(-(np.log(radius * feature.wavelength) ** 2) / (2 * np.log(0.65) ** 2))
        radial[0, 0] = 0
        away = angle - np.radians(feature.orientation)
        away = np.abs(np.arctan2(np.sin(away), np.cos(away)))
        angular = np.exp(-(away**2) / (2 * (np.pi / 6 / 1.5) ** 2))
        response = np.fft.ifft2(np.fft.fft2(light) * radial * angular * lowpass)
        response = response[border : border + 40, border : border + 56]
        even, odd = response.real, response.imag
        parts = (*(np.clip(k, 0, None) for k in (even, -even, odd, -odd)), np.abs(response))
        np.testing.assert_allclose(found[FILTERS[place]], np.stack(parts), atol=1e-5)


def test_grey_pictures_have_no_colour_and_flat_ones_only_a_mean() -> None:
    grey = torch.rand(1, 40, 40).expand(3, -1, -1)
    found = picture_features(grey)
    for feature, one in zip(FEATURES, found, strict=False):
        if feature.channel in ("red-green", "blue-yellow"):
            assert one.abs().max() < 1e-3, feature
    flat = picture_features(torch.full((3, 40, 40), 0.5))
    for feature, one in zip(FEATURES, flat, strict=False):
        expected = 0.5 if feature.kind == "low-pass" and feature.channel == "luminance" else 0.0
        torch.testing.assert_close(one, torch.full_like(one, expected), atol=1e-4, rtol=0)


def test_blurring_and_contrast_are_weighted_means() -> None:
    maps = torch.rand(2, 9, 12).double()
    rows = np.exp(-(np.subtract.outer(np.arange(9), np.arange(9)) ** 2) / (2 * 2.0**2))
    columns = np.exp(-(np.subtract.outer(np.arange(12), np.arange(12)) ** 2) / (2 * 2.0**2))
    weights = rows[3][:, None] * columns[4]
    expected = (maps.numpy() * weights).sum((1, 2)) / weights.sum()
    np.testing.assert_allclose(blurred(maps.float(), 2.0)[:, 3, 4], expected, rtol=1e-5)


def test_cells_average_the_pixels_that_they_cover() -> None:
    np.testing.assert_allclose(overlaps(2, 0.0, 0.5, 4), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    thirds = overlaps(3, 0.0, 1 / 3, 4).numpy()
    np.testing.assert_allclose(thirds[1], [0, 0.5, 0.5, 0])
    np.testing.assert_allclose(thirds[0], [0.75, 0.25, 0, 0])
    shifted = overlaps(2, -0.25, 0.5, 4).numpy()  # half of the first cell is outside
    np.testing.assert_allclose(shifted, [[1, 0, 0, 0], [0, 0.5, 0.5, 0]])
    np.testing.assert_allclose(overlaps(1, 1.5, 0.25, 4), [[0, 0, 0, 1]])
    grid = Grid(2, 2, Registration(0.0, 0.5, 0.5, 0.25))
    maps = torch.arange(16.0).reshape(1, 4, 4)
    expected = torch.tensor([[(2 + 6) / 2, (3 + 7) / 2], [(10 + 14) / 2, (11 + 15) / 2]])
    torch.testing.assert_close(grid.mean(maps)[0], expected)
    design = grid.design(torch.zeros(408, 4, 4), np.array([1]))
    centre = FEATURES.index(next(one for one in FEATURES if one.family == "position"))
    away = (0.875 - 0.5) ** 2 + (0.25 - 0.5) ** 2
    assert design[0, 1 + centre] == pytest.approx(np.exp(-away / (2 * 0.125**2)))


def test_shares_are_those_of_inclusion_and_exclusion() -> None:
    rng = np.random.default_rng(1)
    share = {one: rng.random() for one in map(frozenset, _subsets()) if one}
    r2 = {s: sum(share[o] for o in share if o & s) for s in SUBSETS}
    sums = np.array([*(1 - r2[one] for one in SUBSETS), 1.0])
    for name, weights in COLUMNS.items():
        kind, _, rest = name.partition("_")
        if kind in ("unique", "shared"):
            families = frozenset(one for one in FAMILIES if one.lower().replace("-", "_") in rest)
            assert weights @ sums == pytest.approx(share[families]), name
    assert COLUMNS["r2"] @ sums == pytest.approx(sum(share.values()))


def _subsets() -> list[tuple[str, ...]]:
    return list(chain.from_iterable(combinations(FAMILIES, k) for k in range(4)))


def test_intervals_cover_the_share_of_all_stimuli() -> None:
    rng = np.random.default_rng(2)
    hits = []
    for _ in range(400):
        moments = Moments(np.zeros((ROWS, 1)), np.zeros((ROWS, ROWS, 1)), np.zeros(1))
        for _ in range(30):
            total = rng.gamma(4.0)  # stimuli differ in how much a unit varies
            error = total * rng.uniform(0.2, 0.6)
            moments.add(np.array([*[error] * (ROWS - 1), total])[:, None])
        low, high = (float(bound[0]) for bound in moments.part("r2").interval[1:])
        hits.append(low <= 0.6 <= high)
    assert 0.91 < np.mean(hits) < 0.985


def test_few_stimuli_have_no_interval() -> None:
    moments = Moments(np.zeros((ROWS, 1)), np.zeros((ROWS, ROWS, 1)), np.zeros(1))
    for _ in range(9):
        moments.add(np.full((ROWS, 1), 0.5))
    assert np.isnan(moments.table()["r2_low"][0])


def test_sums_are_those_of_all_observations_at_once(
    pictures: Path, filters: Explanation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The whole of it anew, in memory, in float64: design, folds, penalties and errors."""
    seen: dict[str, list] = {}
    real = passes.observations

    def noting(job, reader, stimulus):
        for layer, cells, features, units in real(job, reader, stimulus):
            fold = job.folds[job.stimuli.images.index(stimulus)]
            seen.setdefault(layer.name, []).append((fold, features[:, 1:], units))
            yield layer, cells, features, units

    monkeypatch.setattr(passes, "observations", noting)
    again = explain(
        pictures,
        model=Backbone("toys:log_gabors", input_size=SIZE),
        layers="rectified",
        registration="plain",
        out=tmp_path / "again",
    )
    one = seen["rectified"][: len(filters.images)]
    x, y = (np.vstack([part[k] for part in one]) for k in (1, 2))
    folds = np.concatenate([np.full(len(part[1]), part[0]) for part in one])
    mean, sd = x.mean(0), x.std(0)
    for unit, row in enumerate(again.units.to_dict("records")):
        z = (x - mean) / sd
        slopes = np.linalg.solve(
            z.T @ z / len(z) + row["penalty"] * np.eye(z.shape[1]),
            z.T @ (y[:, unit] - y[:, unit].mean()) / len(z),
        )
        predicted = y[:, unit].mean() + z @ slopes
        rebuilt = again.coefficients[0, unit] + x @ again.coefficients[1:, unit]
        np.testing.assert_allclose(rebuilt, predicted, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(again.weights_of("rectified")[:, unit], slopes, atol=1e-4)
        error = 0.0
        for held in range(passes.FOLDS):
            left = folds == held
            z = (x - x[~left].mean(0)) / x[~left].std(0)
            target = y[~left, unit]
            own = np.linalg.solve(
                z[~left].T @ z[~left] / len(target) + row["penalty"] * np.eye(z.shape[1]),
                z[~left].T @ (target - target.mean()) / len(target),
            )
            error += ((y[left, unit] - target.mean() - z[left] @ own) ** 2).sum()
        total = ((y[:, unit] - y[:, unit].mean()) ** 2).sum()
        # The folds may have chosen neighbouring penalties.
        assert row["r2"] == pytest.approx(1 - error / total, abs=3e-3)


def test_an_interrupted_explanation_ends_as_one_that_was_not(
    pictures: Path, filters: Explanation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(state, "SAVE_EVERY_S", 0.0)
    real = passes.observations
    begun = 0

    def failing(job, reader, stimulus):
        nonlocal begun
        begun += 1
        if begun in (7, 7 + 6 + 5):  # in the first pass, then in the second
            raise KeyboardInterrupt
        yield from real(job, reader, stimulus)

    monkeypatch.setattr(passes, "observations", failing)

    def go() -> Explanation:
        return explain(
            pictures,
            model=Backbone("toys:log_gabors", input_size=SIZE),
            layers=["units", "rectified"],
            registration="plain",
            out=tmp_path / "stopped",
        )

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            go()
        with pytest.raises(InputError, match="unfinished"):
            Explanation.open(tmp_path / "stopped")
    found = go()
    assert begun == 2 * len(found.images) + 2  # none was read twice, but for the two
    for name in filters.info.sha256:
        assert (found.folder / name).read_bytes() == (filters.folder / name).read_bytes(), name
    assert not list(found.folder.glob("*.partial.npy"))
    before = begun
    assert go().units.equals(found.units)  # complete: nothing is done
    assert begun == before


def test_memory_does_not_grow_with_the_number_of_images(pictures: Path, tmp_path: Path) -> None:
    peaks = []
    for count in (6, 12):
        tracemalloc.start()
        explain(
            pictures,
            model=Backbone("toys:places", input_size=SIZE),
            layers="maps",
            registration="plain",
            count=count,
            out=tmp_path / str(count),
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.05


def test_regions_are_looked_at_apart(gaze_world: Path, tmp_path: Path) -> None:
    found = explain(
        gaze_world / "masks.json",
        model=Backbone("toys:blurred", input_size=(36, 48)),
        layers="maps",
        registration="plain",
        root=gaze_world,
        out=tmp_path / "e",
    )
    masks = MaskSet.read(gaze_world / "masks.json")
    assert found.info.categories == ["person head", "person part", "text"]
    table = found.layers.set_index("category")
    counts = [table.loc[name, "stimuli"] for name in ("", "person head", "person part", "text")]
    assert counts == [21, 10, 11, 21] and len(masks.images) == 21
    red = found.categories[(found.categories["unit"] == 1)].set_index("category")
    assert red.loc["person head", "r2"] > 0.95  # the squares are red


@pytest.fixture(scope="module")
def looked(gaze_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Explanation:
    return explain(
        gaze_world,
        model=Backbone("toys:blurred", input_size=(36, 48)),
        layers="maps",
        registration="plain",
        out=tmp_path_factory.mktemp("looked") / "e",
    )


def test_rebuilt_maps_go_through_the_networks_own_readout(
    looked: Explanation, gaze_world: Path
) -> None:
    dataset = load_dataset(str(gaze_world))
    names = (f"explained:{looked.folder}", "toys:blurred")
    stimulus = dataset.stimuli[3]
    made, own = (one(stimulus) for one in maps_of(names, dataset.stimuli, dataset).values())
    assert np.corrcoef(made.ravel(), own.ravel())[0, 1] > 0.85
    # By hand: the sum of both maps, rebuilt from the features at every cell.
    rgb = dataset.stimuli.read(stimulus).resize((48, 36), Image.Resampling.BILINEAR)
    features = picture_features(torch.from_numpy(np.array(rgb)).permute(2, 0, 1) / 255)
    design = Grid(9, 12).design(features, np.arange(9 * 12))
    both = (design @ looked.coefficients).sum(1).reshape(9, 12)
    expected = cv2.resize(both.astype(np.float32), (96, 72), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(made, expected, atol=1e-3)


def test_a_readout_of_rebuilt_maps_finds_what_people_look_at(
    looked: Explanation, gaze_world: Path
) -> None:
    dataset = load_dataset(str(gaze_world))
    scores = score(dataset, [f"explained-readout:{looked.folder}", "centre"])
    fitted, centre = scores.groupby("model", sort=False)["NSS"].mean()
    assert fitted > 1.5 > centre
    # A picture that the readout was fitted on is left out of its own weights.
    name = f"explained-readout:{looked.folder}"
    stimulus, fold = dataset.stimuli[0], looked.images["fold"][0]
    own = maps_of([name], dataset.stimuli)[name](stimulus)
    picture = np.asarray(dataset.stimuli.read(stimulus))
    np.testing.assert_allclose(own, readout_function(looked, f"without_{fold}")(picture))
    assert not np.allclose(own, saliency_map(name, picture))


def test_explained_models_look_for_the_odd_one_out(looked: Explanation, tmp_path: Path) -> None:
    trust("toys:blurred")
    masks = tmp_path / "arrays" / "popout.json"
    write_arrays(Arrays(features=("hue",), count=2, catch=0), masks.parent)
    names = [f"explained:{looked.folder}", f"explained-readout:{looked.folder}"]
    found = popout(masks, names, out=tmp_path / "found")
    assert found.models["model"].tolist() == names and found.units.empty
    assert np.isfinite(found.measures["nmm"]).all()
    made = found.maps[names[0]](found.arrays[0].image)
    picture = np.asarray(found.stimuli.read(found.arrays[0].image))
    np.testing.assert_allclose(made, saliency_map(names[0], picture))
    popout(masks, names, out=tmp_path / "found")
    info = tmp_path / "found" / "run.json"
    known = json.loads(info.read_text())
    known["folders"][names[0]]["coefficients.npy"] = "0" * 64  # of another explanation
    info.write_text(json.dumps(known))
    with pytest.raises(InputError, match="was begun with other parameters"):
        popout(masks, names, out=tmp_path / "found")


def test_a_folders_fixations_need_a_resolution(pictures: Path, tmp_path: Path) -> None:
    table = tmp_path / "gaze.csv"
    names = sorted(path.name for path in pictures.iterdir())
    table.write_text("image,subject,x,y\n" + "".join(f"{name},a,9,9\n" for name in names))

    def explained(**options: float) -> Explanation:
        return explain(
            pictures,
            model=Backbone("toys:places", input_size=SIZE),
            layers="maps",
            registration="plain",
            fixations=table,
            out=tmp_path / "e",
            **options,
        )

    with pytest.raises(InputError, match="give --px-per-degree"):
        explained()
    assert explained(px_per_degree=8).info.readout == "maps"
    with pytest.raises(InputError, match="was begun with other parameters"):
        explained(px_per_degree=9)
    masks = new_mask_set(Stimuli.from_folder(pictures), [], None, "pictures")
    with pytest.raises(InputError, match="expected no --px-per-degree"):
        explain(masks, root=pictures, px_per_degree=8, out=tmp_path / "other")


def test_pictures_without_fixations_have_no_readout(filters: Explanation) -> None:
    assert filters.info.readout is None
    with pytest.raises(InputError, match="without fixations"):
        saliency_map(f"explained-readout:{filters.folder}", np.zeros((9, 9, 3), np.uint8))


def test_what_is_no_saliency_model_is_refused(filters: Explanation) -> None:
    trust("toys:log_gabors")
    with pytest.raises(InputError, match="returns one map"):
        saliency_map(f"explained:{filters.folder}", np.zeros((48, 48, 3), np.uint8))


@pytest.mark.slow
def test_an_explanations_factory_is_imported_only_if_trusted(
    looked: Explanation, gaze_world: Path, tmp_path: Path, command
) -> None:
    maps = ("maps", gaze_world, "--models", f"explained:{looked.folder}", "-o", tmp_path / "maps")
    refused = command("probe", *maps, check=2, env=_environment())
    assert "trust" in refused.stderr
    command("probe", "--trust", "toys:blurred", *maps, env=_environment())


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "COLUMNS": "160"}


@pytest.mark.slow
def test_commands_explain_show_compare_and_draw(
    filters: Explanation, tmp_path: Path, command, pictures: Path
) -> None:
    done = command(
        *("probe", "explain", "toys:log_gabors", pictures, "--layers", "units,rectified"),
        *("--input-size", "48", "--registration", "plain", "-o", filters.folder),
        env=_environment(),
    )
    assert "already complete" in done.stderr and "log-Gabor" in done.stdout
    shown = command("probe", "show", filters.folder, env=_environment()).stdout
    assert "4 px 60° luminance" in shown and "rectified" in shown
    compared = command("probe", "compare", filters.folder, filters.folder, env=_environment())
    assert "+0.00" in compared.stdout
    listed = command("probe", "show", filters.folder, "-f", "csv").stdout.splitlines()
    assert len(listed) == 1 + len(filters.units)
    figure = tmp_path / "f.png"
    command(
        *("probe", "--trust", "toys:log_gabors", "figure", filters.folder, "-o", figure),
        env=_environment(),
    )
    assert figure.stat().st_size > 10_000


def test_two_explanations_of_the_same_pictures_are_compared_in_pairs(
    filters: Explanation, places: Explanation, pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no layer in common"):
        filters.against(places)
    fewer = explain(
        pictures,
        model=Backbone("toys:log_gabors", input_size=SIZE),
        layers="units",
        registration="plain",
        count=10,
        out=tmp_path / "fewer",
    )
    with pytest.raises(InputError, match="other pictures"):
        filters.against(fewer)
    table = filters.against(filters)
    assert table["change"].tolist() == [0, 0] and table["change_low"].tolist() == [0, 0]


def test_what_was_changed_is_refused(filters: Explanation, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in filters.folder.iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    Explanation.open(copy)
    table = pd.read_csv(copy / "units.csv")
    table.assign(r2=1).to_csv(copy / "units.csv", index=False)
    with pytest.raises(InputError, match=r"units\.csv"):
        Explanation.open(copy)


def test_another_explanation_in_the_folder_is_refused(pictures: Path, filters: Explanation) -> None:
    with pytest.raises(InputError, match="seed"):
        explain(
            pictures,
            model=Backbone("toys:log_gabors", input_size=SIZE),
            layers=["units", "rectified"],
            registration="plain",
            seed=1,
            out=filters.folder,
        )


def test_too_few_pictures_are_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="5 or more"):
        explain(
            pictures,
            model=Backbone("toys:places", input_size=SIZE),
            layers="maps",
            count=4,
            out=tmp_path / "few",
        )


def test_copies_of_a_picture_are_in_one_fold() -> None:
    folds = passes.fold_of(list("abcdefgabc"))
    assert folds[:3].tolist() == folds[7:].tolist()
    assert sorted(np.bincount(folds[:7])) == [1, 1, 1, 2, 2]

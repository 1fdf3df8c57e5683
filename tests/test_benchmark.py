"""Which fixations the benchmark of saliency models takes as an image's own, and as the others'."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from salprobe.datasets.errors import InputError
from salprobe.datasets.fixations import Fixations
from salprobe.datasets.sources.load import load_dataset
from salprobe.datasets.stimuli import Dataset, Stimuli, Stimulus
from salprobe.probe.cli.main import app
from salprobe.probe.saliency import benchmark
from salprobe.probe.views.saliency.picture import draw_maps

WIDTH, HEIGHT = 200, 150


def dataset_of(places: Mapping[int, tuple[range, range]], scale: Mapping[int, int]) -> Dataset:
    """Return images of 200×150 times their scale, each fixated at all x and y of its ranges."""
    images, rows = [], []
    for number, (xs, ys) in places.items():
        by = scale.get(number, 1)
        images.append(
            Stimulus(id=number, file_name=f"{number}.png", width=by * WIDTH, height=by * HEIGHT)
        )
        rows += [(number, 1, by * x, by * y, np.nan) for x in xs for y in ys]
    columns = (np.array(column) for column in zip(*rows, strict=True))
    return Dataset("by hand", Stimuli(Path(), tuple(images)), Fixations(*columns), 2.0)


def left_half(stimulus: Stimulus) -> np.ndarray:
    saliency = np.zeros((stimulus.height, stimulus.width))
    saliency[:, : stimulus.width // 2] = 1
    return saliency


def flat(stimulus: Stimulus) -> np.ndarray:
    return np.ones(stimulus.size)


def uniform(stimulus: Stimulus) -> np.ndarray:
    return np.full(stimulus.size, 1 / (stimulus.height * stimulus.width))


@pytest.fixture
def left_right_right() -> Dataset:
    """Of three images, of which the last is twice as large, people look left, right, right."""
    left, right = (range(30, 40), range(50, 60)), (range(150, 160), range(90, 100))
    return dataset_of({1: left, 2: right, 3: right}, {3: 2})


def row_of(table: pd.DataFrame, number: int) -> pd.Series:
    return table.set_index("image_id").loc[number]


def test_information_is_gained_over_where_people_look_on_all_other_images(
    left_right_right: Dataset,
) -> None:
    table = benchmark.score(left_right_right, {"uniform": uniform})
    assert set(table["kind"]) == {"density"}
    # Nobody looks left on the others: the baseline there is its floor, 1 of 1001 parts.
    assert row_of(table, 1)["IG"] == pytest.approx(np.log2(1001), abs=1e-3)
    # On images 2 and 3 half of the others look where their people do, at relative places.
    assert row_of(table, 2)["IG"] < -5
    assert row_of(table, 3)["IG"] < -5


def test_the_baseline_is_the_blurred_map_of_the_others(left_right_right: Dataset) -> None:
    # A model that knows where people look on image 2 gains nothing over the baseline of image 1
    # that consists of it (here with the floor that the baseline has).
    only_two = Dataset(
        "two",
        Stimuli(Path(), left_right_right.stimuli.images[:2]),
        left_right_right.fixations,
        2.0,
    )
    counts = np.zeros((HEIGHT, WIDTH))
    counts[90:100, 150:160] = 1
    known = gaussian_filter(counts, 2.0, mode="constant") + 1e-3 * 100 / counts.size
    known /= known.sum()
    found = benchmark.score(only_two, {"known": lambda stimulus: known})
    assert row_of(found, 1)["IG"] == pytest.approx(0, abs=1e-4)


def test_shuffled_auc_compares_with_fixations_on_other_images(left_right_right: Dataset) -> None:
    table = benchmark.score(left_right_right, {"left": left_half})
    # Image 1: all look left, where the map is 1; on the others all look right, where it is 0.
    assert row_of(table, 1)["sAUC"] == 1
    # Images 2 and 3: all look right; of the others, half look left (1 exceeds 0), half right
    # (a tie): (0 + 1/2) / 2. Relative places: image 3 is twice as large.
    assert row_of(table, 2)["sAUC"] == pytest.approx(0.25, abs=1e-12)
    assert row_of(table, 3)["sAUC"] == pytest.approx(0.25, abs=1e-12)


def test_shuffled_auc_takes_all_other_images() -> None:
    # 38 others look where the map is 0, one where it is 1; image 1's people where it is 1.
    left, right = (range(30, 32), range(50, 52)), (range(150, 152), range(50, 52))
    dataset = dataset_of({1: left, 2: left} | dict.fromkeys(range(3, 41), right), {})
    found = row_of(benchmark.score(dataset, {"left": left_half}, count=2), 1)["sAUC"]
    assert found == pytest.approx((38 + 1 / 2) / 39)


def test_rows_are_models_and_images_in_order(left_right_right: Dataset) -> None:
    table = benchmark.score(left_right_right, {"left": left_half, "flat": flat}, count=2)
    assert table["model"].tolist() == ["left", "left", "flat", "flat"]
    assert table["image_id"].tolist() == [1, 2, 1, 2]
    # Every tie is a half, and a constant map tells nothing.
    assert table.loc[2, ["NSS", "CC", "AUC-Judd", "AUC-Borji", "sAUC"]].tolist() == [
        *(0, 0, 0.5, 0.5, 0.5)
    ]
    with pytest.raises(InputError, match="1 images with fixations: expected 2 or more"):
        benchmark.score(left_right_right, {"flat": flat}, count=1)


def test_the_papers_table_1_stands_beside_ours(gaze_world: Path, capsys) -> None:
    models = ("--models", "centre,human,bms")
    app(["score", str(gaze_world), *models], standalone_mode=False)
    printed = capsys.readouterr().out
    human = next(line for line in printed.splitlines() if "Human IO" in line).split()
    table = benchmark.score(load_dataset(str(gaze_world)), ["human"])
    assert human == ["Human", "IO", "3.29", f"{table['NSS'].mean():.2f}"]
    sam = next(line for line in printed.splitlines() if "SAM (ResNet-50)" in line).split()
    assert sam == ["SAM", "(ResNet-50)", "2.34", "–"]
    assert "MIT300's fixations are not public" in printed
    kinds = next(line for line in printed.splitlines() if "is a" in line).split()
    assert kinds == ["is", "a", "density", "density", "map"]
    app(["score", str(gaze_world), *models, "--json"], standalone_mode=False)
    record = json.loads(capsys.readouterr().out)
    assert {(one["model"], one["kind"]) for one in record} == {
        *(("centre", "density"), ("human", "density"), ("bms", "map"))
    }


def test_the_figure_has_photographs_by_rank_and_each_maps_own_nss(
    gaze_world: Path, tmp_path: Path
) -> None:
    dataset = load_dataset(str(gaze_world))
    table = benchmark.score(dataset, ["spectral", "centre"])
    drawn = draw_maps(dataset, ["spectral", "centre"], table)
    rows = np.array(drawn.axes).reshape(-1, 3)
    names = [axis.get_xlabel() for axis in rows[:, 0]]
    ours = table.set_index(["model", "file_name"])["NSS"]
    spectral = [ours["spectral", name] for name in names]
    assert spectral == sorted(spectral)
    assert (spectral[0], spectral[-1]) == (ours["spectral"].min(), ours["spectral"].max())
    for place, model in enumerate(("spectral", "centre"), 1):
        assert rows[0, place].get_title() == model
        shown = [axis.get_xlabel() for axis in rows[:, place]]
        assert shown == [f"NSS {ours[model, name]:.2f}" for name in names]

    figure = tmp_path / "maps.png"
    scoring = ["score", str(gaze_world), "--models", "centre"]
    app([*scoring, "--figure", str(figure)], standalone_mode=False)
    assert figure.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match=r"maps.gif: expected a name that ends in .png, .pdf or"):
        app([*scoring, "--figure", "maps.gif"], standalone_mode=False)


def test_a_folder_needs_maps_of_the_scored_images_only(gaze_world: Path, tmp_path: Path) -> None:
    for number in (1, 10):
        np.save(tmp_path / f"{number}.npy", np.random.default_rng(0).random((72, 96)))
    scoring = ["score", str(gaze_world), "--maps", f"x={tmp_path}"]
    app([*scoring, "-n", "2"], standalone_mode=False)
    with pytest.raises(InputError, match="no map of 11"):
        app([*scoring, "-n", "3"], standalone_mode=False)
    with pytest.raises(InputError, match="bms is given by --models and by --maps"):
        app([*scoring, "--maps", f"bms={tmp_path}", "--models", "bms"], standalone_mode=False)

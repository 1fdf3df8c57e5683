"""Sweeps over depth, and two tasks on the same stimuli."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

from salprobe.datasets.errors import InputError
from salprobe.datasets.interval import Interval
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.sources.load import load_dataset
from salprobe.datasets.stimuli import Dataset
from salprobe.probe.analysis.compare import compare
from salprobe.probe.cli.main import app
from salprobe.probe.experiments import sweep as sweeping
from salprobe.probe.experiments.sweep import sweep, unseen_regions, with_q
from salprobe.probe.experiments.tasks import compare_tasks, mean_map
from salprobe.probe.networks.device import Execution
from salprobe.probe.networks.load import Backbone, load_trained
from salprobe.probe.runs.run import Run
from salprobe.probe.saliency.metrics import nss
from salprobe.probe.statistics.clusters import mean_interval, q_values
from salprobe.probe.training.recipe import Recipe
from salprobe.probe.training.split import Split, stratified_split, usual_split

RECIPE = Recipe(epochs=2, rate=0.05, backbone_rate=0.01)
OPTIONS = {
    "model": Backbone("nets:small", input_size=(36, 48)),
    "execution": Execution(batch_size=4),
}


@pytest.fixture
def dataset(gaze_world: Path) -> Dataset:
    return load_dataset(str(gaze_world))


def test_regions_that_were_trained_on_are_left_out(
    dataset: Dataset, gaze_world: Path, tmp_path: Path
) -> None:
    masks = MaskSet.read(gaze_world / "masks.json")
    split = usual_split(dataset)
    unseen = unseen_regions(masks, gaze_world, dataset, split)
    assert {one.id for one in unseen.images} == set(split.test)
    assert len(unseen.annotations) == 2 * len(split.test)
    # The same pictures under another data set's name, with other names and ids.
    other = dataset.__class__("another", dataset.stimuli, dataset.fixations, dataset.px_per_degree)
    content = masks.to_dict()
    for image in content["images"]:
        shutil.copy(gaze_world / image["file_name"], tmp_path / f"copy-{image['file_name']}")
        image["file_name"] = f"copy-{image['file_name']}"
        image["id"] = 100 - image["id"]
    for region in content["annotations"]:
        region["image_id"] = 100 - region["image_id"]
    content.pop("fixations", None)
    renamed = unseen_regions(MaskSet.from_dict(content), tmp_path, other, split)
    assert {100 - one.id for one in renamed.images} == set(split.test)
    # Other pictures, of another data set, with the same names and ids.
    for image in masks.images:
        picture = ImageOps.invert(Image.open(gaze_world / image.file_name).convert("RGB"))
        picture.save(tmp_path / image.file_name)
    assert unseen_regions(masks, tmp_path, other, split) is masks


def test_a_sweep_says_what_each_step_did(
    dataset: Dataset, gaze_world: Path, tmp_path: Path
) -> None:
    masks = gaze_world / "masks.json"
    found = sweep(dataset, RECIPE, [0, 2, "all"], tmp_path / "s", masks, **OPTIONS)
    assert list(found.runs) == ["0", "2", "all"]
    assert found.layer == "three.1"
    rows = found.categories[found.categories["tune"] == "2"].set_index("category")
    table = found.runs["2"].summary.query("layer == 'three.1'").set_index("category")
    differences = compare(found.runs["0"], found.runs["2"]).query("layer == 'three.1'")
    differences = differences.set_index("category")
    for category in ("person head", "person part", "text"):
        assert rows.loc[category, "top10_mean"] == table.loc[category, "top10_mean"]
        assert rows.loc[category, "change"] == differences.loc[category, "difference"]
        assert rows.loc[category, "change_p"] == pytest.approx(
            differences.loc[category, "p"], nan_ok=True
        )
    changes = found.categories["change_p"].to_numpy()
    np.testing.assert_allclose(found.categories["change_q"], q_values(changes))
    scores = [
        pd.read_csv(tmp_path / "s" / f"tune-{name}" / "test.csv")["nss"] for name in ("0", "2")
    ]
    prediction = found.prediction.set_index("tune")
    assert prediction.loc["2", "nss"] == pytest.approx(scores[1].mean())
    assert prediction.loc["2", "change"] == pytest.approx((scores[1] - scores[0]).mean())
    assert prediction.loc["0", "change"] == 0
    for name, values in (("nss", scores[1]), ("change", scores[1] - scores[0])):
        expected = mean_interval(values.to_numpy())
        row = dict(prediction.loc["2"])
        assert Interval.of(row, name) == pytest.approx(expected, nan_ok=True)
    assert len(pd.read_csv(tmp_path / "s" / "categories.csv")) == 3 * 12


def test_a_killed_sweep_goes_on_and_repeats_nothing(
    dataset: Dataset, gaze_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = gaze_world / "masks.json"
    whole = sweep(dataset, RECIPE, [0, 1, 2], tmp_path / "whole", masks, **OPTIONS)
    probe, calls = sweeping.probe, []

    def killed(*arguments, **options) -> Run:
        calls.append(options["out"].parent.name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return probe(*arguments, **options)

    monkeypatch.setattr(sweeping, "probe", killed)
    with pytest.raises(KeyboardInterrupt):
        sweep(dataset, RECIPE, [0, 1, 2], tmp_path / "broken", masks, **OPTIONS)
    times = {
        path: path.stat().st_mtime_ns
        for name in ("tune-0", "tune-1")
        for path in (tmp_path / "broken" / name).glob("*.*")
    }
    found = sweep(dataset, RECIPE, [0, 1, 2], tmp_path / "broken", masks, **OPTIONS)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    pd.testing.assert_frame_equal(found.categories, whole.categories)
    pd.testing.assert_frame_equal(found.prediction, whole.prediction)
    # Another step is added to what is there; another recipe is not.
    longer = sweep(dataset, RECIPE, [0, 1, 2, 3], tmp_path / "broken", masks, **OPTIONS)
    assert list(longer.runs) == ["0", "1", "2", "3"]
    with pytest.raises(InputError, match="epochs: 2, now 1"):
        sweep(dataset, Recipe(epochs=1), [0], tmp_path / "broken", masks, **OPTIONS)


def test_the_command_scores_search_arrays_too(
    gaze_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    from salprobe.annotate.popout.arrays import Arrays, write_arrays

    arrays = tmp_path / "popout"
    write_arrays(Arrays(count=3, width=400, height=300), arrays)
    out = tmp_path / "sweep"
    app(
        [
            *("sweep", str(gaze_world), "-m", str(gaze_world / "masks.json"), "--tune", "0,all"),
            *("--model", "nets:small", "--input-size", "36x48", "--epochs", "1", "-o", str(out)),
            *("--popout", str(arrays / "popout.json")),
        ],
        standalone_mode=False,
    )
    shown = capsys.readouterr().out
    for words in ("tune", "Gain over tune 0", "Predicted maps", "search arrays"):
        assert words in shown
    popout = pd.read_csv(out / "popout.csv")
    assert list(popout["tune"].astype(str)) == ["0", "all"]
    assert popout[["nmm", "readout_nmm"]].notna().all(axis=None)
    assert (out / "gains.png").stat().st_size > 5000
    assert "Gain over tune 0" in (out / "report.html").read_text()


def test_bad_sweeps(dataset: Dataset, gaze_world: Path, tmp_path: Path) -> None:
    masks = gaze_world / "masks.json"
    with pytest.raises(InputError, match="expected different steps"):
        sweep(dataset, RECIPE, [0, 0], tmp_path / "s", masks, **OPTIONS)
    ids = [one.id for one in dataset.stimuli]
    split = Split(tuple(ids[:3]), tuple(ids[3:5]), ())
    with pytest.raises(InputError, match="no stimulus to test on"):
        sweep(dataset, RECIPE, [0], tmp_path / "s", masks, split=split, **OPTIONS)
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "letters.txt").write_text("dear")
    with pytest.raises(InputError, match="exists and holds no sweep"):
        sweep(dataset, RECIPE, [0], tmp_path / "s", masks, **OPTIONS)


def scenes_of(dataset: Dataset) -> dict[int, str]:
    return {one.id: "odd" if one.id % 2 else "even" for one in dataset.stimuli}


def test_two_tasks_are_compared_on_the_same_stimuli(
    dataset: Dataset, gaze_world: Path, tmp_path: Path
) -> None:
    scenes, masks = scenes_of(dataset), gaze_world / "masks.json"
    recipe = Recipe(tune=1, epochs=2)
    found = compare_tasks(dataset, scenes, recipe, tmp_path / "t", masks, **OPTIONS)
    assert list(found.runs) == ["pt", "sp", "sr"]
    splits = [(tmp_path / "t" / name / "split.csv").read_text() for name in ("sp", "sr")]
    assert splits[0] == splits[1]
    split = stratified_split(scenes)
    assert set(found.runs["pt"].regions["image_id"]) == set(split.test)
    assert sorted(found.images["image_id"]) == sorted(split.test)
    # The mean map's NSS, for one stimulus and network, in plain steps.
    model = load_trained(tmp_path / "t" / "sr")
    stimulus = next(one for one in dataset.stimuli if one.id == found.images["image_id"][0])
    looked = dataset.fixations.of(stimulus.id)
    saliency = mean_map(model, model.layer("three.1"), dataset, stimulus)
    assert found.images["sr"][0] == pytest.approx(nss(saliency.astype(float), looked.x, looked.y))
    for row in found.attention.to_dict("records"):
        part = found.images[found.images["correct"] == (row["prediction"] == "correct")]
        assert row["n"] == len(part)
        assert np.isclose(row["nss"], part[row["task"]].mean(), equal_nan=True)
    recall = found.images.groupby("scene")["correct"].mean().mean()
    assert found.accuracy == {"test": pytest.approx(recall), "chance": 0.5}
    assert json.loads((tmp_path / "t" / "sr" / "train.json").read_text())["scenes"] == [
        "even",
        "odd",
    ]


def test_the_command_for_tasks_draws_them(
    gaze_world: Path, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    table = tmp_path / "scenes.csv"
    rows = [f"{number}.png,{scene}" for number, scene in scenes_of(dataset).items()]
    table.write_text("\n".join(["image,scene", *rows]))
    out = tmp_path / "tasks"
    arguments = [
        *("tasks", str(gaze_world), "--scenes", str(table), "-m", str(gaze_world / "masks.json")),
        *("--model", "nets:small", "--input-size", "36x48", "--epochs", "1", "-o", str(out)),
        *("--min-images", "5"),
    ]
    app(arguments, standalone_mode=False)
    shown = capsys.readouterr().out
    for words in ("pt: pre-trained", "Gain over pt", "Gain over sr", "Table 8", "chance 50.0%"):
        assert words in shown
    assert (out / "tasks.png").stat().st_size > 20_000
    app(arguments, standalone_mode=False)  # again: nothing is repeated
    assert capsys.readouterr().out == shown


def test_a_network_of_scenes_makes_no_saliency_maps(
    gaze_world: Path, dataset: Dataset, tmp_path: Path
) -> None:
    from salprobe.probe.training.train import train

    train(
        dataset,
        Recipe(task="scenes", epochs=1),
        tmp_path / "sr",
        scenes=scenes_of(dataset),
        **OPTIONS,
    )
    arguments = ["score", str(gaze_world), "--models", str(tmp_path / "sr")]
    with pytest.raises(InputError, match="was not trained for saliency"):
        app(arguments, standalone_mode=False)


def test_marks_count_only_what_was_tested() -> None:
    table = pd.DataFrame(
        {
            "tune": ["0", "0", "2", "2"],
            "change": [0.0, 0.0, 0.4, 0.1],
            "change_low": [0.0, 0.0, 0.2, -0.1],
            "change_high": [0.0, 0.0, 0.6, 0.3],
            "change_p": [1.0, 1.0, 0.02, 0.3],  # the first step against itself
        }
    )
    q = with_q(table)["change_q"].tolist()
    assert np.isnan(q[:2]).all()
    assert q[2:] == pytest.approx([0.04, 0.3])  # of two tests, not of four

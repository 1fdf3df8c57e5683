"""`probe run` from masks to the run folder."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.stats import t as student

from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.masks.regions import distinct_pixels, inside
from salprobe.datasets.sources.load import fixations_of, mask_path
from salprobe.probe.analysis.compare import compare
from salprobe.probe.networks.device import Execution
from salprobe.probe.networks.load import Backbone
from salprobe.probe.records.run_info import LayerInfo
from salprobe.probe.runs.probing import probe
from salprobe.probe.runs.run import Run
from salprobe.probe.statistics.selectivity import SUMMARY_COLUMNS, UNIT_COLUMNS
from salprobe.probe.views.run import (
    describe,
    for_print,
    formatted,
    notes_of,
    paper_table,
    render_run,
    render_units,
)
from salprobe.terminal.console import TextConsole

TESTS = Path(__file__).parent


@pytest.fixture(autouse=True)
def nets_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(TESTS)


def colours(
    small_world: Path,
    out: Path,
    model: str = "nets:colours",
    input_size: tuple[int, int] = (36, 48),
    skip_bad: bool = False,
    seed: int = 0,
    **execution,
) -> Run:
    return probe(
        small_world / "masks.json",
        model=Backbone(model, input_size=input_size),
        layers=["units"],
        root=small_world,
        out=out,
        execution=Execution(**execution),
        skip_bad=skip_bad,
        seed=seed,
    )


def test_scores_equal_resizing_every_map(small_world: Path, tmp_path: Path) -> None:
    run = colours(small_world, tmp_path / "run", batch_size=4)
    masks = MaskSet.read(small_world / "masks.json")
    mean = np.array([0.485, 0.456, 0.406])[:, None, None]
    sd = np.array([0.229, 0.224, 0.225])[:, None, None]
    assert run.scores.shape == (12, 4)
    assert run.regions["annotation_id"].tolist() == [a.id for a in masks.annotations]
    for row, annotation in enumerate(masks.annotations):
        image = masks.image(annotation.image_id)
        with Image.open(small_world / image.file_name) as picture:
            small = np.asarray(picture.resize((48, 36), Image.Resampling.BILINEAR))
        pixels = (small.transpose(2, 0, 1) / 255 - mean) / sd
        pooled = pixels.reshape(3, 18, 2, 24, 2).mean((2, 4))
        resized = torch.nn.functional.interpolate(
            torch.from_numpy(pooled)[None], (72, 96), mode="bilinear", align_corners=False
        )[0].numpy()
        looked = masks.fixations.of(image.id)
        within = inside(annotation, image, looked)
        x, y = distinct_pixels(looked.x[within], looked.y[within])
        assert run.regions["n_fixations"][row] == within.sum()
        for unit in range(3):
            one = resized[unit]
            expected = ((one - one.mean()) / one.std())[y, x].mean() if len(x) else np.nan
            assert run.scores[row, unit] == pytest.approx(expected, abs=1e-5, nan_ok=True)
        assert run.scores[row, 3] == 0 or not len(x)


def test_the_run_folder_is_what_the_design_says(small_world: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    colours(small_world, out, seed=3)
    assert {path.name for path in out.iterdir()} == {
        *("run.json", "scores.npy", "shuffled.npy", "regions.parquet", "units.parquet"),
        *("summary.parquet", "images.parquet"),
    }
    info = json.loads((out / "run.json").read_text())
    assert info["layers"] == [{"name": "units", "units": 4, "height": 18, "width": 24}]
    assert info["status"] == "complete"
    assert (info["images"], info["regions"], info["without_fixations"]) == (6, 12, 0)
    assert len(info["parameters"]["masks"]) == 64
    assert info["parameters"]["seed"] == 3
    assert info["parameters"]["weights"]["source"] == "factory"
    for name in ("scores", "shuffled"):
        scores = np.load(out / f"{name}.npy", mmap_mode="r")
        assert (scores.dtype, scores.shape) == (np.float32, (12, 4))
    columns = {
        "regions": ["annotation_id", "image_id", "category", "n_fixations", "ceiling"],
        "units": list(UNIT_COLUMNS),
        "summary": list(SUMMARY_COLUMNS),
    }
    for name, expected in columns.items():
        assert pd.read_parquet(out / f"{name}.parquet").columns.tolist() == expected


def test_a_complete_run_is_returned_as_it_is(small_world: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    colours(small_world, out)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    colours(small_world, out)
    assert before == {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    with pytest.raises(InputError, match=r"begun with other parameters.*seed"):
        colours(small_world, out, seed=1)
    assert before == {path.name: path.stat().st_mtime_ns for path in out.iterdir()}


def test_a_folder_with_other_things_is_not_touched(small_world: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(InputError, match="not a run folder"):
        colours(small_world, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_bad_images_stop_a_run_or_are_skipped_and_counted(
    small_world: Path, tmp_path: Path
) -> None:
    world = tmp_path / "world"
    world.mkdir()
    for path in small_world.iterdir():
        (world / path.name).write_bytes(path.read_bytes())
    (world / "2.png").write_bytes((world / "2.png").read_bytes()[:90])
    (world / "5.png").unlink()
    with pytest.raises(InputError, match=r"5\.png: no such image"):
        colours(world, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    (world / "5.png").write_bytes(b"not an image")
    with pytest.raises(InputError, match=r"2\.png: broken image.*--skip-bad"):
        colours(world, tmp_path / "run", batch_size=2)
    (world / "5.png").unlink()
    run = colours(world, tmp_path / "run", batch_size=2, skip_bad=True)
    whole = colours(small_world, tmp_path / "whole", batch_size=2)
    assert [bad.image_id for bad in run.info.bad_images] == [2, 5]
    kept = ~whole.regions["image_id"].isin([2, 5]).to_numpy()
    np.testing.assert_array_equal(run.scores, whole.scores[kept])
    assert run.info.images == 4


def test_a_whole_batch_of_bad_images(small_world: Path, tmp_path: Path) -> None:
    world = tmp_path / "world"
    world.mkdir()
    (world / "masks.json").write_bytes((small_world / "masks.json").read_bytes())
    (world / "6.png").write_bytes((small_world / "6.png").read_bytes())
    run = colours(world, tmp_path / "run", batch_size=1, skip_bad=True)
    assert run.info.images == 1
    (world / "6.png").unlink()
    with pytest.raises(InputError, match="no image could be read"):
        colours(world, tmp_path / "none", batch_size=1, skip_bad=True)


def test_activations_that_are_not_finite_are_named(small_world: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1\.png: unit 2 of units has activations that are not"):
        colours(small_world, tmp_path / "run", model="nets:infinite")


def test_bf16_is_close(small_world: Path, tmp_path: Path) -> None:
    full = colours(small_world, tmp_path / "a")
    half = colours(small_world, tmp_path / "b", precision="bf16")
    error = np.abs(np.asarray(full.scores) - half.scores).max()
    assert 0 < error < 0.05


def test_regions_without_fixations_have_no_score(small_world: Path, tmp_path: Path) -> None:
    content = MaskSet.read(small_world / "masks.json").to_dict()
    content["annotations"][3]["segmentation"] = [[0.0, 0, 2, 0, 2, 2, 0, 2]]
    masks = MaskSet.from_dict(content)
    backbone = Backbone("nets:colours", input_size=(36, 48))
    run = probe(masks, root=small_world, model=backbone, out=tmp_path)
    nothing = (run.regions["n_fixations"] == 0).to_numpy()
    assert nothing.nonzero()[0].tolist() == [3]
    assert np.isnan(run.scores[nothing]).all() and np.isfinite(run.scores[~nothing]).all()
    assert run.info.without_fixations == 1


def test_unlabelled_regions_are_not_probed(small_world: Path, tmp_path: Path) -> None:
    content = MaskSet.read(small_world / "masks.json").to_dict()
    content["categories"].append({"id": 13, "name": "unlabelled"})
    for annotation in content["annotations"][1:]:
        annotation["category_id"] = 13
    run = probe(MaskSet.from_dict(content), root=small_world, model="gabor", out=tmp_path / "a")
    assert run.regions["annotation_id"].tolist() == [1]
    content["annotations"][0]["category_id"] = 13
    with pytest.raises(InputError, match="none of the 12 regions has a category"):
        probe(MaskSet.from_dict(content), root=small_world, model="gabor", out=tmp_path / "b")


def test_compare_pairs_the_stimuli(small_world: Path, tmp_path: Path) -> None:
    before = colours(small_world, tmp_path / "before")
    same = compare(before, before)
    assert (same["difference"].dropna() == 0).all()
    assert same[["low", "high", "q"]].isna().all(axis=None)  # six stimuli are too few
    after = colours(small_world, tmp_path / "after", input_size=(18, 24))
    change = compare(before, after).set_index("category")
    for name, run in (("before", before), ("after", after)):
        means = run.summary.set_index("category")["top10_crossval"]
        np.testing.assert_allclose(change[name], means[change.index])
    np.testing.assert_allclose(change["difference"], change["after"] - change["before"])
    other = probe(small_world / "masks.json", root=small_world, model="gabor", out=tmp_path / "g")
    with pytest.raises(InputError, match="share no layer"):
        compare(before, other)


def test_statistics_that_are_lost_or_older_are_computed_anew(
    small_world: Path, tmp_path: Path
) -> None:
    run = colours(small_world, tmp_path / "run")
    units, summary = run.units, run.summary
    (run.folder / "summary.parquet").unlink()
    pd.testing.assert_frame_equal(Run.open(run.folder).summary, summary)
    # As format 1 wrote it: an interval around the mean of the chosen, no control, no ceiling.
    old = summary[["layer", "category", "top10_mean", "top10_crossval"]].assign(top10_low=-9.0)
    old.to_parquet(run.folder / "summary.parquet")
    run.regions.drop(columns="ceiling").to_parquet(run.folder / "regions.parquet")
    (run.folder / "shuffled.npy").unlink()
    content = json.loads((run.folder / "run.json").read_text()) | {"format": 1}
    (run.folder / "run.json").write_text(json.dumps(content))
    again = Run.open(run.folder)
    assert again.shuffled is None and again.units["shuffled"].isna().all()
    assert again.summary["ceiling"].isna().all()
    for found, expected in ((again.units, units), (again.summary, summary)):
        newer = [name for name in ("shuffled", "ceiling") if name in expected]
        pd.testing.assert_frame_equal(found.drop(columns=newer), expected.drop(columns=newer))


def test_the_best_units_have_intervals_that_allow_for_the_choice(
    gaze_world: Path, tmp_path: Path
) -> None:
    run = probe(
        gaze_world / "masks.json",
        model=Backbone("gabor", input_size=(36, 48)),
        root=gaze_world,
        fixations=gaze_world / "fixations.csv",
        out=tmp_path,
    )
    every, three = run.best_units("text"), run.best_units("text", 3)
    units = run.units[run.units["category"] == "text"].set_index(["layer", "unit"])
    own = units.loc[pd.MultiIndex.from_frame(every[["layer", "unit"]])]
    np.testing.assert_allclose(every["mean_low"], own["mean_low"])
    assert three["mean"].tolist() == sorted(units["mean"], reverse=True)[:3]
    wider = (three["mean_high"] - three["mean_low"]) / (every["mean_high"] - every["mean_low"])[:3]
    scored = run.regions.query("category == 'text' and n_fixations > 0")
    n = scored["image_id"].nunique() - 1
    expected = student.isf(0.025 * 3 / len(units), n) / student.isf(0.025, n)
    np.testing.assert_allclose(wider, expected)
    one = run.best_units("text", 5, "log_gabor")
    assert set(one["layer"]) == {"log_gabor"} and len(one) == 5


def test_formats(small_world: Path, tmp_path: Path, command) -> None:
    run = colours(small_world, tmp_path / "run")
    printed = for_print(run)
    assert printed.columns[0] == "layer"
    assert formatted(printed, "md").splitlines()[0].startswith("| layer | person head |")
    assert "\\begin{tabular}" in formatted(printed, "latex")
    again = json.loads(command("probe", "show", tmp_path / "run", "-f", "json").stdout)
    assert pd.DataFrame(again)["top10_mean"].tolist() == pytest.approx(
        run.summary["top10_mean"].tolist(), nan_ok=True
    )
    table = command("probe", "show", tmp_path / "run", "--units", "text", "-f", "csv").stdout
    means = pd.read_csv(pd.io.common.StringIO(table))["mean"].tolist()
    assert means == sorted(means, reverse=True) and len(means) == 4
    assert "<html" in command("probe", "show", tmp_path / "run", "-f", "html").stdout
    assert "text" in command("probe", "show", tmp_path / "run").stdout
    assert "±" in command("probe", "compare", tmp_path / "run", tmp_path / "run").stdout


def test_the_papers_table_stands_beside_a_vgg16(small_world: Path, tmp_path: Path) -> None:
    run = colours(small_world, tmp_path / "run")
    assert paper_table(run) is None
    names = (
        *("person head", "person part", "animal head", "animal part", "object", "text"),
        *("symbol", "vehicle", "food", "plant", "drink", "other"),
    )
    summary = pd.DataFrame({"layer": "conv5_3", "category": names, "top10_mean": 1.0})
    run.__dict__["_statistics"] = run.units, summary
    run.info.parameters.model = "vgg16"
    run.info.categories = list(names)
    run.info.layers = [LayerInfo(name="conv5_3", units=4)]
    table = paper_table(run)
    assert table is not None
    assert table.loc["conv5_3", "animal head"] == 2.04  # Table 2


def test_the_shipped_labels_are_the_real_ones(osie_labels: Path, osie_root: Path) -> None:
    shipped, real = MaskSet.read(mask_path("osie-sr")), MaskSet.read(osie_labels)
    assert shipped.annotations == real.annotations
    assert shipped.fixations is None
    found = fixations_of(shipped, osie_root)
    assert found.to_columns() == real.fixations.to_columns()
    assert "not verified by a person" in (shipped.info.annotator or "")


def test_who_labelled_is_said(small_world: Path, tmp_path: Path) -> None:
    content = MaskSet.read(small_world / "masks.json").to_dict()
    content["info"]["annotator"] = "a parrot"
    run = probe(MaskSet.from_dict(content), root=small_world, model="gabor", out=tmp_path)
    assert "labelled by: a parrot" in describe(run)


@pytest.mark.slow
def test_two_processes_give_the_same_bytes(small_world: Path, tmp_path: Path) -> None:
    alone = colours(small_world, tmp_path / "alone", batch_size=1)
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--no-python"),
        *(str(Path(sys.executable).with_name("probe")), "run"),
        *("--masks", str(small_world / "masks.json"), "--root", str(small_world)),
        *("--model", "nets:colours", "--input-size", "36x48", "--layers", "units"),
        *("--batch-size", "1", "--out", str(tmp_path / "two"), "--device", "cpu"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=TESTS, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Regions:") == 1
    two = Run.open(tmp_path / "two")
    np.testing.assert_array_equal(two.scores, alone.scores)
    pd.testing.assert_frame_equal(two.summary, alone.summary)
    assert not list((tmp_path / "two").glob("journal*"))


@pytest.mark.slow
def test_real_network_on_real_images(
    osie_root: Path, osie_labels: Path, squeezenet_weights: Path, tmp_path: Path, command
) -> None:
    """Table 2's pattern: heads and text are found in the later layers, `other` is not."""
    out = tmp_path / "run"
    command(
        *("probe", "run", "--masks", osie_labels, "--root", osie_root, "--out", out),
        *("--model", "squeezenet1_0", "--weights", squeezenet_weights),
    )
    run = Run.open(out)
    assert (run.info.images, run.info.regions) == (700, 3162)
    best = run.table("top10_crossval").max()
    assert best["person head"] > 2.4
    assert best["animal head"] > 1.6
    assert best["text"] > 1.5
    assert best["other"] < 0.8
    early = run.table("top10_mean").iloc[-1]
    assert (early < 1).all()


@pytest.mark.parametrize("key", ["categories", "layers"])
def test_a_record_that_does_not_fit_its_tables_is_refused(
    key: str, small_world: Path, tmp_path: Path
) -> None:
    colours(small_world, tmp_path / "run")
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    content[key] = ["x", "y"] if key == "categories" else [{"name": "x", "units": 4}]
    (tmp_path / "run" / "run.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"\.parquet: does not belong to run.json, which has"):
        Run.open(tmp_path / "run").table()


def test_what_a_reader_should_know_is_said(small_world: Path, tmp_path: Path) -> None:
    world = shutil.copytree(small_world, tmp_path / "world")
    shutil.copy(world / "1.png", world / "2.png")
    content = MaskSet.read(world / "masks.json").to_dict()
    content["categories"].append({"id": 13, "name": "unlabelled"})
    for entry in content["annotations"][4:7]:
        entry["category_id"] = 13
    MaskSet.from_dict(content).write(world / "masks.json")
    run = probe(world / "masks.json", root=world, model="gabor", out=tmp_path / "run")
    console = TextConsole(width=200, file=io.StringIO())
    console.print(render_run(run))
    said = console.file.getvalue()
    assert "BEWARE: 1 images are copies of others" in said
    assert "3 regions without a label are left out" in said
    assert "No interval and no test with fewer than 10 stimuli" in said
    absent = next(name for name in run.categories if name not in set(run.regions["category"]))
    with pytest.raises(InputError, match=f"no region of {absent}"):
        render_units(run, absent, 3)


def test_why_a_contrast_is_not_tested_is_said(gaze_world: Path, tmp_path: Path) -> None:
    # Eleven stimuli hold person parts: enough for an interval. Five of them hold text too.
    content = MaskSet.read(gaze_world / "masks.json").to_dict()
    content["annotations"] = [
        region
        for region in content["annotations"]
        if region["category_id"] != 6 or region["image_id"] % 2 == 0 or region["image_id"] < 10
    ]
    MaskSet.from_dict(content).write(tmp_path / "masks.json")
    run = probe(tmp_path / "masks.json", root=gaze_world, model="gabor", out=tmp_path / "run")
    said = [note.plain for note in notes_of(run)]
    note = "No test of the contrast where fewer than 10 stimuli also hold regions of other "
    assert f"{note}categories: person part." in said
    assert not [one for one in said if one.startswith("No interval")]

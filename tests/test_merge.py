"""Runs on parts of a mask file, merged: the same as one run on the whole."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.probe.analysis.compare import compare
from salprobe.probe.networks.device import Execution
from salprobe.probe.networks.load import Backbone
from salprobe.probe.records.run_info import RunInfo
from salprobe.probe.runs import merging
from salprobe.probe.runs.inputs import masks_of
from salprobe.probe.runs.merging import merge_runs
from salprobe.probe.runs.probing import probe
from salprobe.probe.runs.run import Run
from salprobe.probe.views.units import draw_best_units

PARTS = {"first": {1, 2}, "second": {3, 4, 5, 6}}


def part(world: Path, name: str, masks: MaskSet, out: Path, seed: int = 0) -> Run:
    """Probe some masks of the world, from a file of their own."""
    masks.write(out / f"{name}.json")
    return scored(world, out / f"{name}.json", out / name, seed)


def scored(world: Path, masks: Path, out: Path, seed: int = 0) -> Run:
    return probe(
        masks,
        model=Backbone("nets:colours", input_size=(36, 48)),
        layers=["units"],
        root=world,
        out=out,
        execution=Execution(batch_size=2),
        seed=seed,
    )


def divided(masks: MaskSet, parts: dict[str, set[int]]) -> dict[str, MaskSet]:
    regions = {region.id for region in masks.annotations}
    return {name: masks.subset(images, regions) for name, images in parts.items()}


@pytest.fixture(scope="module")
def parts(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run on the whole world, and runs on its two parts."""
    folder = tmp_path_factory.mktemp("parts")
    masks = MaskSet.read(small_world / "masks.json")
    for name, some in {"whole": masks, **divided(masks, PARTS)}.items():
        part(small_world, name, some, folder)
    return folder


def test_parts_merged_are_the_whole(parts: Path, tmp_path: Path) -> None:
    merged, whole = merge_runs([parts / name for name in PARTS], tmp_path / "all"), parts / "whole"
    for name in ("scores.npy", "regions.parquet", "images.parquet"):
        assert (merged.folder / name).read_bytes() == (whole / name).read_bytes(), name
    expected = Run.open(whole)
    alike = [name for name in expected.units if name != "shuffled"]
    pd.testing.assert_frame_equal(merged.units[alike], expected.units[alike])
    alike = [name for name in expected.summary if name != "shuffled"]
    pd.testing.assert_frame_equal(merged.summary[alike], expected.summary[alike])
    shuffled = [np.load(parts / name / "shuffled.npy") for name in PARTS]  # each within its part
    np.testing.assert_array_equal(merged.shuffled, np.concatenate(shuffled))
    info = merged.info
    assert (info.images, info.regions, info.bad_images) == (6, 12, [])
    assert [(one.images, one.regions) for one in info.merged] == [(2, 4), (4, 8)]
    assert {path.name for path in merged.folder.iterdir()} == {
        *(path.name for path in whole.iterdir()),
        "masks.json",
    }


def test_merged_again_nothing_is_done(parts: Path, tmp_path: Path) -> None:
    runs, out = [parts / name for name in PARTS], tmp_path / "all"
    merge_runs(runs, out)
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert merge_runs(runs, out).info.images == 6
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    with pytest.raises(InputError, match="all: exists already"):
        merge_runs(runs[::-1], out)


def test_the_order_given_is_that_of_the_rows(parts: Path, tmp_path: Path) -> None:
    merged = merge_runs([parts / "second", parts / "first"], tmp_path / "all")
    assert merged.images["image_id"].tolist() == [3, 4, 5, 6, 1, 2]
    whole = Run.open(parts / "whole")
    rows = pd.Index(whole.regions["annotation_id"]).get_indexer(merged.regions["annotation_id"])
    np.testing.assert_array_equal(merged.scores, whole.scores[rows])
    pd.testing.assert_frame_equal(
        merged.summary.drop(columns="shuffled"), whole.summary.drop(columns="shuffled")
    )


def test_a_merged_run_is_a_run(parts: Path, small_world: Path, tmp_path: Path, command) -> None:
    out = tmp_path / "all"
    done = command("probe", "merge", *(parts / name for name in PARTS), "-o", out)
    assert "6 images, 12 regions" in done.stdout
    assert "Layers × categories" in (out / "report.html").read_text("utf-8")
    run = Run.open(out)
    masks, root, fixations = masks_of(run)
    whole = MaskSet.read(small_world / "masks.json")
    assert (masks.images, masks.annotations) == (whole.images, whole.annotations)
    assert whole.fixations is not None and masks.info == whole.info
    assert fixations.to_columns() == whole.fixations.to_columns() and root == small_world
    draw_best_units(run, tmp_path / "units.png")
    assert (tmp_path / "units.png").stat().st_size > 1000
    differences = compare(Run.open(parts / "whole"), run)["difference"].dropna()
    assert len(differences) and (differences == 0).all()
    again = scored(small_world, out / "masks.json", out)  # nothing to do
    assert again.info.merged == run.info.merged


def test_what_does_not_belong_together_is_refused(
    parts: Path, small_world: Path, tmp_path: Path, command
) -> None:
    first, second, out = parts / "first", parts / "second", tmp_path / "all"

    def refused(*runs: Path, match: str) -> None:
        with pytest.raises(InputError, match=match):
            merge_runs(runs, out)
        assert not out.exists()

    refused(first, match="1 run: expected two or more")
    refused(first, parts / "whole", match="image 1 is in .*first and in .*whole; expected it in")
    masks = MaskSet.read(small_world / "masks.json")
    other = part(small_world, "other", divided(masks, {"b": {5, 6}})["b"], tmp_path, seed=1)
    refused(first, other.folder, match=r"other: differs from .*first \(seed: 0, now 1\)")
    content = divided(masks, {"b": {3, 4}})["b"].to_dict()
    content["annotations"][0]["id"] = 2
    same = part(small_world, "same", MaskSet.from_dict(content), tmp_path)
    refused(first, same.folder, match="region 2 is in .*first and in .*same")
    broken = shutil.copytree(second, tmp_path / "broken")
    record = json.loads((broken / "run.json").read_text())
    (broken / "run.json").write_text(json.dumps({**record, "status": "running"}))
    refused(first, broken, match="broken: this run is unfinished")
    out.mkdir()
    done = command("probe", "merge", first, second, "-o", out, check=2)
    assert done.stderr == f"probe: {out}: exists already; choose another --out\n"


@pytest.mark.parametrize("damage", ["missing", "changed", "fixations"])
def test_the_masks_and_fixations_must_be_those_of_the_runs(
    damage: str, small_world: Path, tmp_path: Path
) -> None:
    masks = MaskSet.read(small_world / "masks.json")
    for name, some in divided(masks, PARTS).items():
        part(small_world, name, some, tmp_path)
    path = tmp_path / "second.json"
    said = {
        "missing": "second: its mask file .* is missing",
        "changed": "not the mask file of second",
        "fixations": "second: its fixations have changed",
    }
    if damage == "missing":
        path.unlink()
    elif damage == "changed":
        path.write_text(path.read_text() + " ")
    else:
        info = RunInfo.read(tmp_path / "second")
        info.parameters.fixations = "0" * 64
        info.write(tmp_path / "second")
    with pytest.raises(InputError, match=said[damage]):
        merge_runs([tmp_path / name for name in PARTS], tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_masks_too_large_to_read_are_left_out_and_said(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    from salprobe.terminal.progress import progress

    monkeypatch.setattr(merging, "LARGEST", 1000)
    merged = merge_runs([parts / name for name in PARTS], tmp_path / "all", progress)
    assert "a mask file of all regions would be larger" in capsys.readouterr().err
    assert not (merged.folder / "masks.json").exists()
    np.testing.assert_array_equal(merged.scores, Run.open(parts / "whole").scores)
    with pytest.raises(InputError, match="does not record its mask file"):
        masks_of(merged)

"""The table of a run in progress, against the plainest sums."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from salprobe.datasets.errors import InputError
from salprobe.probe.analysis.so_far import SoFar
from salprobe.probe.runs.probing import probe


@pytest.fixture
def half(small_world: Path, tmp_path: Path) -> Path:
    """Return a run of which three regions are scored."""
    folder = tmp_path / "run"
    masks = small_world / "masks.json"
    probe(masks, root=small_world, model="nets:colours", layers=["pool", "units"], out=folder)
    info = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**info, "status": "running"}))
    shutil.copy(folder / "scores.npy", folder / "whole.npy")
    scores = np.load(folder / "scores.npy")
    scores[3:] = np.nan
    np.save(folder / "scores.partial.npy", scores)
    return folder


def test_it_follows_what_is_scored(half: Path, small_world: Path) -> None:
    whole = np.load(half / "whole.npy")
    content = json.loads((small_world / "masks.json").read_text())
    names = {category["id"]: category["name"] for category in content["categories"]}
    order = {image["id"]: place for place, image in enumerate(content["images"])}
    regions = sorted(content["annotations"], key=lambda region: order[region["image_id"]])
    named = [names[region["category_id"]] for region in regions]
    info = json.loads((half / "run.json").read_text())
    start, following = 0, SoFar(half)
    columns = {}
    for layer in info["layers"]:
        columns[layer["name"]] = slice(start, start := start + layer["units"])
    for done in (3, 7):
        scores = whole.copy()
        scores[done:] = np.nan
        np.save(half / "scores.partial.npy", scores)
        table = following.table()
        assert list(table.index) == list(columns)[::-1]
        for layer, name in ((a, b) for a in columns for b in table.columns):
            rows = [k for k in range(done) if named[k] == name]
            best = np.nan
            if rows:
                best = np.sort(whole[rows, columns[layer]].mean(axis=0))[-10:].mean()
            np.testing.assert_allclose(table.loc[layer, name], best, rtol=1e-5)


def test_what_is_no_unfinished_run_is_refused(half: Path, small_world: Path) -> None:
    with pytest.raises(InputError, match="is missing; name it with --masks"):
        SoFar(half, small_world / "none.json")
    with pytest.raises(InputError, match="its SHA-256 differs"):
        SoFar(half, half / "run.json")
    np.save(half / "scores.partial.npy", np.zeros((2, 2), dtype=np.float32))
    with pytest.raises(InputError, match="not one for each region"):
        SoFar(half).table()
    info = json.loads((half / "run.json").read_text())
    (half / "run.json").write_text(json.dumps({**info, "status": "complete"}))
    with pytest.raises(InputError, match="expected an unfinished run"):
        SoFar(half)

"""What a run depends on: other pictures, code or normalisation are refused, and a second writer."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from salprobe.datasets.errors import InputError
from salprobe.datasets.locks import held
from salprobe.probe.runs.inputs import masks_of
from salprobe.probe.runs.probing import probe
from salprobe.probe.runs.resuming import check_same
from salprobe.probe.runs.run import Run


def colours(world: Path, out: Path) -> Run:
    return probe(world / "masks.json", root=world, model="nets:colours", out=out)


def test_other_pictures_are_another_run(small_world: Path, tmp_path: Path) -> None:
    world = shutil.copytree(small_world, tmp_path / "world")
    run = probe(world / "masks.json", root=world, model="gabor", out=tmp_path / "run")
    before = run.scores.copy()
    with Image.open(world / "3.png") as picture:
        picture.convert("L").convert("RGB").save(world / "3.png")
    with pytest.raises(InputError, match=r"run: was made with other pictures \(3.png differs\)"):
        probe(world / "masks.json", root=world, model="gabor", out=tmp_path / "run")
    np.testing.assert_array_equal(Run.open(tmp_path / "run").scores, before)
    # The same pictures elsewhere are the same run.
    again = shutil.copytree(small_world, tmp_path / "again")
    probe(again / "masks.json", root=again, model="gabor", out=tmp_path / "run")


def test_other_code_or_normalisation_is_another_run(
    small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "changing.py"
    module.write_text("from nets import colours\n")
    masks = small_world / "masks.json"
    run = probe(masks, root=small_world, model="changing:colours", out=tmp_path / "run")
    parameters = run.info.parameters
    assert parameters.code == hashlib.sha256(module.read_bytes()).hexdigest()
    assert parameters.mean == [0.485, 0.456, 0.406]
    module.write_text("from nets import colours\n# another\n")
    # The code that runs is still that of before, and so are the scores.
    assert probe(masks, root=small_world, model="changing:colours", out=tmp_path / "run")
    del sys.modules["changing"]
    with pytest.raises(InputError, match=r"other parameters \(code: "):
        probe(masks, root=small_world, model="changing:colours", out=tmp_path / "run")
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    content["parameters"]["code"] = hashlib.sha256(module.read_bytes()).hexdigest()
    content["parameters"]["sd"] = [1, 1, 1]
    (tmp_path / "run" / "run.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"other parameters \(sd: "):
        probe(masks, root=small_world, model="changing:colours", out=tmp_path / "run")


def test_two_processes_do_not_write_one_run(small_world: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    with (
        held(out / ".lock", "taken"),
        pytest.raises(InputError, match=r"run: another process is writing here"),
    ):
        colours(small_world, out)
    assert colours(small_world, out).info.status == "complete"
    assert not (out / ".lock").exists()


def test_code_that_only_a_folder_names_is_not_run(small_world: Path, tmp_path: Path) -> None:
    colours(small_world, tmp_path / "run")
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    content["parameters"]["model"] = "evil:go"
    (tmp_path / "run" / "run.json").write_text(json.dumps(content))
    (tmp_path / "evil.py").write_text("open('ran', 'w')\ndef go(): pass\n")
    show = [
        *(sys.executable, "-c"),
        "from salprobe.probe.runs.inputs import model_of; from salprobe.probe.runs.run import Run;"
        "model_of(Run.open('run'))",
    ]
    found = subprocess.run(show, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "run: would run the code evil:go" in found.stderr
    assert not (tmp_path / "ran").exists()


def test_a_training_folder_is_trusted_by_option(small_world: Path, tmp_path: Path) -> None:
    nets = Path(__file__).parent / "nets.py"
    shutil.copy(nets, tmp_path / "theirs.py")
    train = (
        "import salprobe as sp; sp.write_sample('s');"
        "sp.train(sp.load_dataset('s'), sp.Recipe(epochs=1), 'trained',"
        " model=sp.Backbone('theirs:small', input_size=(36, 48)))"
    )
    subprocess.run([sys.executable, "-c", train], cwd=tmp_path, check=True, capture_output=True)
    probe_command = str(Path(sys.executable).with_name("probe"))
    layers = ["layers", "trained"]
    refused = subprocess.run(
        [probe_command, *layers], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "probe --trust theirs:small" in refused.stderr
    trusted = subprocess.run(
        [probe_command, "--trust", "theirs:small", *layers], cwd=tmp_path, capture_output=True
    )
    assert trusted.returncode == 0


def test_maps_of_other_pictures_are_not_drawn(small_world: Path, tmp_path: Path) -> None:
    run = probe(small_world / "masks.json", root=small_world, model="gabor", out=tmp_path / "run")
    world = shutil.copytree(small_world, tmp_path / "world")
    masks_of(run, root=world)
    shutil.copy(world / "1.png", world / "4.png")
    with pytest.raises(InputError, match=r"was made with other pictures \(4.png differs\)"):
        masks_of(run, root=world)


def test_a_key_that_is_missing_is_a_difference(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"begun with other parameters \(a: None, now None\)"):
        check_same(tmp_path, {"parameters": {}}, {"parameters": {"a": None}}, ["parameters"])

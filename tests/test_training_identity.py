"""What trainings depend on: other pictures are refused, broken ones at once; one writer."""

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from salprobe.annotate.popout.arrays import Arrays, write_arrays
from salprobe.datasets.errors import InputError
from salprobe.datasets.locks import held
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.sources.load import load_dataset
from salprobe.datasets.stimuli import Dataset
from salprobe.probe.experiments.popout import popout
from salprobe.probe.experiments.sweep import sweep
from salprobe.probe.networks.device import Execution
from salprobe.probe.networks.load import Backbone
from salprobe.probe.records.train_info import TrainInfo
from salprobe.probe.runs.inputs import trained_on as count_learnt
from salprobe.probe.training import train as training
from salprobe.probe.training.recipe import Recipe
from salprobe.probe.training.split import read_labels, usual_split
from salprobe.probe.training.train import train

BACKBONE = Backbone("nets:small", input_size=(36, 48))
TAKEN = "another process is writing here"


@pytest.fixture
def world(gaze_world: Path, tmp_path: Path) -> Path:
    return shutil.copytree(gaze_world, tmp_path / "world")


def trained(world: Path, out: Path) -> TrainInfo:
    return trained_on(load_dataset(str(world)), out)


def trained_on(dataset: Dataset, out: Path) -> TrainInfo:
    return train(dataset, Recipe(epochs=1), out, model=BACKBONE, execution=Execution(batch_size=4))


def interrupted(world: Path, out: Path, where: str) -> None:
    """Train, and be killed in a function of the training's module."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, where, killed)
        trained(world, out)


def turn_grey(path: Path) -> None:
    with Image.open(path) as picture:
        picture.convert("L").convert("RGB").save(path)


@pytest.mark.parametrize("status", ["complete", "running"])
def test_other_pictures_are_another_training(world: Path, tmp_path: Path, status: str) -> None:
    info = trained(world, tmp_path / "run")
    TrainInfo.model_validate({**info.content(), "status": status}).write(tmp_path / "run")
    weights = (tmp_path / "run" / "best.safetensors").read_bytes()
    turn_grey(world / "3.png")
    with pytest.raises(InputError, match=r"run: was made with other pictures \(3.png differs\)"):
        trained(world, tmp_path / "run")
    assert (tmp_path / "run" / "best.safetensors").read_bytes() == weights


def test_a_training_without_hashes_is_not_resumed(world: Path, tmp_path: Path) -> None:
    info = trained(world, tmp_path / "run")
    info.model_copy(update={"sha256": {}}).write(tmp_path / "run")  # as older ones were
    table = tmp_path / "run" / "split.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(line.rpartition(",")[0] for line in lines))
    with pytest.raises(InputError, match="does not record the contents of its images"):
        trained(world, tmp_path / "run")


@pytest.mark.parametrize("name", ["best.safetensors", "test.csv", "epochs.csv", "split.csv"])
def test_a_finished_training_is_what_its_record_says(
    world: Path, tmp_path: Path, name: str
) -> None:
    trained(world, tmp_path / "run")
    path = tmp_path / "run" / name
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: is not what the training wrote"):
        trained(world, tmp_path / "run")
    if name.endswith("safetensors"):
        with pytest.raises(InputError, match=rf"{name}: is not what the training wrote"):
            Backbone(str(tmp_path / "run")).load()
    path.unlink()
    with pytest.raises(InputError, match=rf"{name}: is missing, and train.json records it"):
        trained(world, tmp_path / "run")


def test_a_training_goes_on_with_the_split_that_it_began_with(world: Path, tmp_path: Path) -> None:
    interrupted(world, tmp_path / "run", "_complete")
    assert (tmp_path / "run" / "checkpoint.pt").exists()
    table = tmp_path / "run" / "split.csv"
    whole = table.read_text()
    table.write_text("\n".join(line for line in whole.splitlines() if "3.png" not in line) + "\n")
    turn_grey(world / "3.png")
    with pytest.raises(InputError, match=r"split.csv: is not what the training wrote"):
        trained(world, tmp_path / "run")
    table.unlink()
    with pytest.raises(InputError, match=r"split.csv: is missing"):
        trained(world, tmp_path / "run")
    table.write_text(whole)
    with pytest.raises(InputError, match=r"made with other pictures \(3.png differs\)"):
        trained(world, tmp_path / "run")


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_checkpoint_that_is_no_file_is_refused(world: Path, tmp_path: Path, kind: str) -> None:
    interrupted(world, tmp_path / "run", "_complete")
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    checkpoint.unlink()
    if kind == "pipe":
        os.mkfifo(checkpoint)
    else:
        checkpoint.symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"checkpoint.pt: expected a plain file"):
        trained(world, tmp_path / "run")


def test_a_picture_whose_name_no_mask_file_can_hold_is_refused(world: Path) -> None:
    shutil.copy(world / "3.png", world / "a:b.png")
    with pytest.raises(InputError, match=r"'a:b.png' is not a path below .*; rename the picture"):
        load_dataset(str(world))


def test_pictures_that_were_trained_on_are_known_by_their_contents(
    world: Path, tmp_path: Path
) -> None:
    trained(world, tmp_path / "run")
    split = usual_split(load_dataset(str(world)))
    learnt = len(split.train) + len(split.validation)
    masks = MaskSet.read(world / "masks.json")
    assert count_learnt(tmp_path / "run", masks, world) == learnt
    content = masks.to_dict()
    content["info"]["salprobe"]["dataset"] = "another"
    assert count_learnt(tmp_path / "run", MaskSet.from_dict(content), world) == learnt
    below = tmp_path / "below"  # as OSIE has its images
    shutil.copytree(world, below / "stimuli")
    assert count_learnt(tmp_path / "run", MaskSet.from_dict(content), below) == learnt
    for picture in world.glob("*.png"):
        turn_grey(picture)
    assert count_learnt(tmp_path / "run", MaskSet.from_dict(content), world) == 0
    assert count_learnt(tmp_path / "run", masks, world) == learnt  # by their names


def test_a_broken_test_image_is_found_before_training(world: Path, tmp_path: Path) -> None:
    dataset = load_dataset(str(world))
    names = {stimulus.id: stimulus.file_name for stimulus in dataset.stimuli}
    broken = world / names[usual_split(dataset).test[-1]]
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=rf"{broken.name}: broken image"):
        trained_on(dataset, tmp_path / "run")
    assert not any((tmp_path / "run").iterdir())  # nothing was begun
    broken.write_bytes(whole)
    assert trained_on(dataset, tmp_path / "run").status == "complete"


def test_killed_as_it_begins_it_begins_again(world: Path, tmp_path: Path) -> None:
    for name in ("read_images", "write_table"):  # before train.json is there, and after
        interrupted(world, tmp_path / "run", name)
    assert trained(world, tmp_path / "run").status == "complete"
    hashes = read_labels(tmp_path / "run" / "split.csv", load_dataset(str(world)).stimuli, "sha256")
    assert len(hashes) == 21


def test_one_process_writes_at_a_time(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    with held(out / ".lock", "taken"), pytest.raises(InputError, match=f"run: {TAKEN}"):
        trained(world, out)
    trained(world, out)
    assert not (out / ".lock").exists()


def test_a_sweep_checks_its_folder_and_pictures_first(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, masks, dataset = tmp_path / "sweep", world / "masks.json", load_dataset(str(world))

    def swept(**options) -> None:
        sweep(dataset, Recipe(epochs=1), [0], out, masks, model=BACKBONE, **options)

    with pytest.raises(InputError, match="no such image"):
        swept(root=tmp_path)
    assert not out.exists()
    write_arrays(Arrays(features=("hue",), count=2, catch=0), tmp_path / "arrays")
    array = sorted((tmp_path / "arrays").rglob("*.png"))[0]
    content = array.read_bytes()
    array.write_bytes(content[:200])
    with pytest.raises(InputError, match=rf"{array.name}: (broken|not a readable) image"):
        swept(popout=tmp_path / "arrays" / "popout.json")
    assert not out.exists()
    out.mkdir()
    with held(out / ".lock", "taken"), pytest.raises(InputError, match=f"sweep: {TAKEN}"):
        swept()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="sweep runs in one process"):
        swept()


def test_search_arrays_are_measured_in_a_folder_of_their_own(tmp_path: Path) -> None:
    write_arrays(Arrays(features=("hue",), count=2, catch=0), tmp_path / "arrays")
    masks, out = tmp_path / "arrays" / "popout.json", tmp_path / "out"
    popout(masks, ["spectral"], out=out)
    before = (out / "measures.parquet").read_bytes()
    with held(out / ".lock", "taken"), pytest.raises(InputError, match=f"out: {TAKEN}"):
        popout(masks, ["spectral"], out=out)
    turn_grey(sorted((tmp_path / "arrays").rglob("*.png"))[0])
    with pytest.raises(InputError, match=r"other parameters \(images: "):
        popout(masks, ["spectral"], out=out)
    assert (out / "measures.parquet").read_bytes() == before

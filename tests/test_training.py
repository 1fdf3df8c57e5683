"""Training: what it changes, that it resumes exactly, and what it does with bad input."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import typer
from counting import Counting
from safetensors.torch import load_file

from salprobe.datasets.errors import InputError
from salprobe.datasets.fixations import Fixations
from salprobe.datasets.sources.load import load_dataset
from salprobe.datasets.stimuli import Dataset, Stimuli, Stimulus
from salprobe.probe.choices import Precision
from salprobe.probe.cli.main import app
from salprobe.probe.networks.device import Execution
from salprobe.probe.networks.load import Backbone, load_model
from salprobe.probe.records.train_info import TrainInfo
from salprobe.probe.runs.run import Run
from salprobe.probe.training import trainer
from salprobe.probe.training.examples import Kept
from salprobe.probe.training.recipe import Recipe
from salprobe.probe.training.split import Split
from salprobe.probe.training.train import train
from salprobe.probe.training.trainer import Trainer

QUICK = Recipe(tune="all", epochs=3, rate=0.05, backbone_rate=0.01)


@pytest.fixture
def dataset(gaze_world: Path) -> Dataset:
    return load_dataset(str(gaze_world))


def trained(
    dataset: Dataset,
    out: Path,
    recipe: Recipe = QUICK,
    *,
    layer: str | None = None,
    batch_size: int = 4,
    precision: Precision = "fp32",
    **options,
) -> TrainInfo:
    model = Backbone("nets:small", input_size=(36, 48), layer=layer)
    execution = Execution(batch_size=batch_size, precision=precision)
    return train(dataset, recipe, out, model=model, execution=execution, **options)


def same(one: Path, other: Path) -> bool:
    """Tell whether two trainings came to the same weights by the same losses, bit for bit."""
    for name in ("steps.csv", "epochs.csv", "test.csv"):
        if (one / name).read_text() != (other / name).read_text():
            return False
    states = [
        {name: load_file(folder / f"{name}.safetensors") for name in ("best", "last")}
        for folder in (one, other)
    ]
    return all(
        torch.equal(value, states[1][name][key])
        for name, state in states[0].items()
        for key, value in state.items()
    )


@pytest.mark.parametrize(
    ("loss", "precision"),
    [("nss", "fp32"), ("nss", "bf16"), ("10*kl+2*cc", "fp32"), ("bce", "fp32")],
)
def test_training_finds_what_people_look_at(
    dataset: Dataset, tmp_path: Path, loss: str, precision
) -> None:
    recipe = replace(QUICK, epochs=12, patience=12, loss=loss)
    found = trained(dataset, tmp_path / "run", recipe, precision=precision)
    assert found.status == "complete"
    assert found.result.test > 1.5
    epochs = pd.read_csv(tmp_path / "run" / "epochs.csv")
    assert epochs["loss"].iloc[-1] < epochs["loss"].iloc[0]
    assert found.result.validation == epochs["validation"].max()
    test = pd.read_csv(tmp_path / "run" / "test.csv")
    assert list(test.columns) == ["image_id", "image", "nss"]
    assert test["nss"].mean() == pytest.approx(found.result.test)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_the_same_again_is_the_same_and_another_is_refused(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    trained(dataset, tmp_path / "a")
    trained(dataset, tmp_path / "b")
    assert same(tmp_path / "a", tmp_path / "b")
    before = (tmp_path / "a" / "train.json").read_bytes()
    heard = Counting()
    trained(dataset, tmp_path / "a", progress=heard)
    assert heard.said == [f"{tmp_path / 'a'} is already complete; nothing to do"]
    assert (tmp_path / "a" / "train.json").read_bytes() == before
    with pytest.raises(InputError, match=r"other parameters \(seed: 0, now 1\)"):
        trained(dataset, tmp_path / "a", replace(QUICK, seed=1))


@pytest.mark.parametrize("task", ["saliency", "scenes"])
def test_interrupted_anywhere_it_goes_on_exactly(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    """Dropout in the scene classifier included."""
    scenes = {one.id: ("odd", "even")[one.id % 2] for one in dataset.stimuli}
    recipe = replace(QUICK, task=task, rate=0.01, patience=9)
    options = {"scenes": scenes} if task == "scenes" else {}
    trained(dataset, tmp_path / "whole", recipe, **options)
    monkeypatch.setattr(trainer, "CHECKPOINT_S", 0)
    step = Trainer._step
    for stop in (1, 4, 2):  # steps after which it is interrupted, each time it goes on
        left = stop

        def interrupted(self, *arguments) -> None:
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            step(self, *arguments)

        monkeypatch.setattr(Trainer, "_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            trained(dataset, tmp_path / "broken", recipe, **options)
    monkeypatch.setattr(Trainer, "_step", step)
    trained(dataset, tmp_path / "broken", recipe, **options)
    assert same(tmp_path / "whole", tmp_path / "broken")


def test_accumulating_is_one_larger_batch(dataset: Dataset, tmp_path: Path) -> None:
    trained(dataset, tmp_path / "large", QUICK, batch_size=6)
    trained(dataset, tmp_path / "parts", replace(QUICK, accumulate=3), batch_size=2)
    large, parts = (pd.read_csv(tmp_path / name / "steps.csv") for name in ("large", "parts"))
    assert len(large) == len(parts)
    assert np.allclose(large["loss"], parts["loss"], atol=1e-4)


def test_the_rates_fall_by_a_cosine(dataset: Dataset, tmp_path: Path) -> None:
    trained(dataset, tmp_path / "cosine")
    trained(dataset, tmp_path / "constant", replace(QUICK, schedule="constant"))
    rates = pd.read_csv(tmp_path / "cosine" / "steps.csv")["rate"]
    expected = 0.05 * 0.5 * (1 + np.cos(np.pi * np.arange(len(rates)) / len(rates)))
    assert np.allclose(rates, expected)
    assert (pd.read_csv(tmp_path / "constant" / "steps.csv")["rate"] == 0.05).all()


def test_it_stops_early_and_keeps_the_best(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.3, 0.5, 0.4, 0.5, 0.9])  # equal is not better
    monkeypatch.setattr(trainer, "judged", lambda table: next(scores))
    found = trained(dataset, tmp_path / "run", replace(QUICK, epochs=9, patience=2))
    assert found.result.epochs == 4
    assert found.result.best_epoch == 2
    best, last = (load_file(tmp_path / "run" / f"{name}.safetensors") for name in ("best", "last"))
    assert not torch.equal(best["readout.weight"], last["readout.weight"])


def test_exactly_the_tuned_weights_of_a_vgg16_change(dataset: Dataset, tmp_path: Path) -> None:
    """VGG-16 with random weights, for two steps: names, freezing, probing as users do it."""
    ids = [one.id for one in dataset.stimuli]
    split = Split(tuple(ids[:4]), tuple(ids[4:6]), tuple(ids[6:8]))
    recipe = Recipe(tune=2, epochs=1)
    backbone = Backbone("vgg16", "random", input_size=(64, 64))
    execution = Execution(batch_size=2)
    options = {"model": backbone, "split": split, "execution": execution}
    found = train(dataset, recipe, tmp_path / "vgg", **options)
    assert found.parameters.backbone.layer == "conv5_3"
    before = load_model("vgg16", "random", input_size=(64, 64)).network.state_dict()
    after = load_file(tmp_path / "vgg" / "last.safetensors")
    changed = {
        key
        for key, value in after.items()
        if key != "readout.weight" and not torch.equal(value, before[key.removeprefix("backbone.")])
    }
    tuned = {f"backbone.features.{k}.{kind}" for k in (26, 28) for kind in ("weight", "bias")}
    assert changed == tuned
    assert {*tuned, "readout.weight"} == set(found.tuned)
    model = load_model(str(tmp_path / "vgg"))
    assert [one.name for one in model.layers() if one.default][-2:] == ["conv5_3", "readout"]


def test_a_trained_network_is_probed_and_scored_by_its_folder(
    dataset: Dataset,
    gaze_world: Path,
    small_world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    folder = tmp_path / "model"
    trained(dataset, folder)
    arguments = ["--root", str(small_world), "--out", str(tmp_path / "run")]
    masks = str(small_world / "masks.json")
    app(["run", "-m", masks, "--model", str(folder), *arguments], standalone_mode=False)
    run = Run.open(tmp_path / "run")
    assert [one.name for one in run.layers][-1] == "readout"
    assert run.info.parameters.weights.source == "trained"
    assert run.info.paths.model == str(folder.resolve())
    assert "trained on" not in capsys.readouterr().out
    own = ["run", "-m", str(gaze_world / "masks.json"), "--root", str(gaze_world)]
    app([*own, "--model", str(folder), "-o", str(tmp_path / "own")], standalone_mode=False)
    assert "BEWARE: the network was trained on 15 of the images" in capsys.readouterr().out
    app(["layers", str(folder)], standalone_mode=False)
    assert "* readout" in capsys.readouterr().out
    app(["score", str(gaze_world), "--models", str(folder), "--json"], standalone_mode=False)
    rows = json.loads(capsys.readouterr().out)
    nss = next(row["mean"] for row in rows if row["measure"] == "NSS")
    expected = pd.concat([pd.read_csv(folder / "test.csv")])["nss"].mean()
    assert nss > 0.8 * expected


def test_a_loss_that_is_not_finite_stops_at_its_batch(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses, calls = Trainer._losses, 0

    def spoilt(self, examples):
        nonlocal calls
        calls += 1
        return losses(self, examples) * (float("nan") if calls == 6 else 1.0)

    monkeypatch.setattr(Trainer, "_losses", spoilt)
    with pytest.raises(InputError, match=r"loss is not finite at epoch 2, batch 3; the last good"):
        trained(dataset, tmp_path / "run")
    kept = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert kept["progress"]["epoch"] == 1
    assert all(bool(torch.isfinite(one).all()) for one in kept["network"].values())
    monkeypatch.setattr(Trainer, "_losses", losses)
    trained(dataset, tmp_path / "run")
    trained(dataset, tmp_path / "whole")
    assert same(tmp_path / "run", tmp_path / "whole")


def test_a_rate_that_is_far_too_high_ends_in_that_line(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not finite at epoch"):
        trained(dataset, tmp_path / "run", replace(QUICK, rate=1e30, backbone_rate=1e30))


def test_a_full_disk_leaves_the_last_checkpoint(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, calls = os.fsync, 0

    def full(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="the disk is full"):
        trained(dataset, tmp_path / "run")
    monkeypatch.setattr(os, "fsync", fsync)
    assert not list((tmp_path / "run").glob(".*"))
    trained(dataset, tmp_path / "run")
    trained(dataset, tmp_path / "whole")
    assert same(tmp_path / "run", tmp_path / "whole")


def test_a_checkpoint_of_another_network_is_refused(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self, ids):
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "CHECKPOINT_S", 0)
    monkeypatch.setattr(Trainer, "evaluate", stop)
    for name, layer in (("a", None), ("b", "two.2")):
        with pytest.raises(KeyboardInterrupt):
            trained(dataset, tmp_path / name, layer=layer)
    (tmp_path / "a" / "checkpoint.pt").replace(tmp_path / "b" / "checkpoint.pt")
    with pytest.raises(InputError, match=r"checkpoint.pt: cannot be resumed from: .*two|three"):
        trained(dataset, tmp_path / "b", layer="two.2")
    (tmp_path / "b" / "checkpoint.pt").write_bytes(b"PK\3\4 cut short")
    with pytest.raises(InputError, match="cannot be resumed from"):
        trained(dataset, tmp_path / "b", layer="two.2")


def test_weights_of_another_architecture_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    trained(dataset, tmp_path / "a")
    trained(dataset, tmp_path / "b", layer="two.2")
    with pytest.raises(InputError, match=r"do not fit nets:small; missing"):
        load_model(str(tmp_path / "a"), str(tmp_path / "b" / "best.safetensors"))
    (tmp_path / "a" / "train.json").write_text('{"format": 1, "status": "complete"}')
    with pytest.raises(InputError, match=r"train.json: 'parameters' is missing"):
        load_model(str(tmp_path / "a"))
    with pytest.raises(InputError, match=r"not a training folder \(no train.json\)"):
        load_model(str(tmp_path))


def test_nothing_to_learn_from_is_said(dataset: Dataset, tmp_path: Path) -> None:
    nothing = Fixations.from_columns({k: [] for k in ("image_id", "subject", "x", "y")})
    with pytest.raises(InputError, match="no stimulus has fixations"):
        trained(replace(dataset, fixations=nothing), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    ids = sorted(one.id for one in dataset.stimuli)
    lost = dataset.fixations.where(dataset.fixations.image_id != ids[2])
    split = Split(tuple(ids[:4]), tuple(ids[4:6]), ())
    with pytest.raises(InputError, match=r"3.png: no fixations to learn from"):
        trained(replace(dataset, fixations=lost), tmp_path / "run", split=split)
    with pytest.raises(InputError, match="needs the stimuli's scenes"):
        trained(dataset, tmp_path / "run", replace(QUICK, task="scenes"))


def test_corrupt_images_are_named(dataset: Dataset, tmp_path: Path) -> None:
    for stimulus in dataset.stimuli:
        (tmp_path / stimulus.file_name).write_bytes(b"\x89PNG nothing")
    broken = replace(dataset, stimuli=Stimuli(tmp_path, dataset.stimuli.images))
    with pytest.raises(InputError, match=r"\d+.png: not a readable image"):
        trained(broken, tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tune", "-1"), "--tune '-1': expected a number"),
        (("--tune", "99"), "--tune 99: expected all, or 0 to 3"),
        (("--loss", "mse"), "--loss 'mse'"),
        (("--epochs", "0"), "epochs 0: expected 1 or more"),
        (("--rate", "0"), "learning rate 0.0"),
        (("--schedule", "steps"), "'steps' is not one of"),
        (("--task", "scenes"), "--task scenes and --scenes: expected both or neither"),
        (("--layer", "nine"), "no layer 'nine'"),
        (("--split", "nowhere.csv"), "nowhere.csv: no such file"),
    ],
)
def test_bad_options_are_one_line(
    gaze_world: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    arguments = ["train", str(gaze_world), "--model", "nets:small", "-o", str(tmp_path / "run")]
    with pytest.raises((InputError, typer.BadParameter)) as error:
        app([*arguments, "--input-size", "36x48", *options], standalone_mode=False)
    assert message in str(error.value)


def test_pictures_are_kept_between_epochs_as_far_as_there_is_room(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, counts = Stimuli.read, dict.fromkeys((2**30, 5 * 36 * 48 * 3, 0), 0)
    for limit in counts:

        def counted(self: Stimuli, stimulus: Stimulus, limit: int = limit) -> object:
            counts[limit] += 1
            return read(self, stimulus)

        monkeypatch.setattr(trainer, "Kept", lambda limit=limit: Kept(limit))
        monkeypatch.setattr(Stimuli, "read", counted)
        trained(dataset, tmp_path / str(limit))
        assert same(tmp_path / str(limit), tmp_path / str(2**30))
    # 21 images are read before training; then 12 and 3 in each of three epochs, and 6 in the test.
    assert list(counts.values()) == [21 + 21, 21 + 51 - 2 * 5, 21 + 51]


@pytest.mark.slow
def test_killed_at_random_ten_times_it_comes_to_the_same(gaze_world: Path, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from salprobe.probe.training import trainer\n"
        "trainer.CHECKPOINT_S = 0\n"
        "from salprobe.probe.cli.main import app\n"
        "print('ready', flush=True)\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
    )
    options = ["train", gaze_world, "--model", "nets:small", "--input-size", "36x48"]
    options += ["--tune", "all", "--epochs", "40", "--patience", "40", "--batch-size", "2"]

    def begin(name: str) -> subprocess.Popen:
        words = [sys.executable, script, *options, "-o", tmp_path / name]
        return subprocess.Popen([str(one) for one in words], stdout=subprocess.PIPE, text=True)

    with begin("whole") as process:
        started = time.monotonic()
        assert process.wait() == 0
        took = time.monotonic() - started
    rng, killed = np.random.default_rng(4), 0
    while killed < 10:
        with begin("broken") as process:
            assert process.stdout and process.stdout.readline() == "ready\n"
            try:
                code = process.wait(timeout=float(rng.uniform(0, took / 4)))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed += 1
            else:
                assert code == 0  # done before it was killed ten times: begin anew
                assert same(tmp_path / "whole", tmp_path / "broken")
                (tmp_path / "broken").rename(tmp_path / f"done-{killed}")
    with begin("broken") as process:
        assert process.wait() == 0
    assert same(tmp_path / "whole", tmp_path / "broken")


@pytest.mark.slow
def test_two_processes_come_to_the_same(gaze_world: Path, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("probe")
    options = ["train", gaze_world, "--model", "nets:small", "--input-size", "36x48"]
    options += ["--tune", "all", "--epochs", "3", "--batch-size", "5", "--accumulate", "2"]
    spread = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--no-python")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    for name, before in (("one", ()), ("two", spread)):
        words = [*before, program, *options, "-o", tmp_path / name]
        done = subprocess.run(
            [str(one) for one in words],
            capture_output=True,
            text=True,
            timeout=300,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
    one, two = (pd.read_csv(tmp_path / name / "steps.csv") for name in ("one", "two"))
    assert np.allclose(one["loss"], two["loss"], atol=1e-4)
    tests = [pd.read_csv(tmp_path / name / "test.csv") for name in ("one", "two")]
    assert list(tests[0]["image_id"]) == list(tests[1]["image_id"])
    assert np.allclose(tests[0]["nss"], tests[1]["nss"], atol=1e-3)


@pytest.fixture
def osie(osie_root: Path) -> Dataset:
    return load_dataset("osie", osie_root)


@pytest.mark.slow
def test_eight_images_are_learnt_by_heart(
    osie: Dataset, squeezenet_weights: Path, tmp_path: Path
) -> None:
    ids = tuple(one.id for one in osie.stimuli)[:8]
    found = train(
        osie,
        Recipe(tune="all", epochs=20, schedule="constant"),
        tmp_path / "run",
        model=Backbone("squeezenet1_0", str(squeezenet_weights)),
        split=Split(ids, ids, ()),
        execution=Execution(batch_size=8),
    )
    assert found.result.validation > 3


@pytest.mark.slow
def test_nothing_is_learnt_from_fixations_moved_at_random(
    osie: Dataset, squeezenet_weights: Path, tmp_path: Path
) -> None:
    """Each image's fixations are moved together, round its edges: no centre is left either."""
    rng = np.random.default_rng(3)
    columns = osie.fixations.to_columns()
    shift = {one.id: rng.integers(0, (one.width, one.height)) for one in osie.stimuli}
    moved = np.array([shift[number] for number in columns["image_id"]])
    columns["x"] = ((np.array(columns["x"]) + moved[:, 0]) % 800).tolist()
    columns["y"] = ((np.array(columns["y"]) + moved[:, 1]) % 600).tolist()
    ids = [one.id for one in osie.stimuli]
    split = Split(tuple(ids[:100]), tuple(ids[100:200]), ())
    recipe = Recipe(tune=2, epochs=2)
    backbone = Backbone("squeezenet1_0", str(squeezenet_weights))
    options = {"model": backbone, "split": split}
    shuffled = replace(osie, fixations=Fixations.from_columns(columns))
    found = train(shuffled, recipe, tmp_path / "no", **options)
    true = train(osie, recipe, tmp_path / "yes", **options)
    assert abs(found.result.validation) < 0.2
    assert true.result.validation > 1.2


def test_training_goes_on_from_a_training_folder(gaze_world: Path, tmp_path: Path) -> None:
    dataset = load_dataset(str(gaze_world))
    small = Backbone("nets:small", input_size=(36, 48))
    train(dataset, Recipe(epochs=1), tmp_path / "first", model=small)
    before = load_file(tmp_path / "first" / "best.safetensors")
    still = Recipe(epochs=1, rate=1e-30, backbone_rate=1e-30, tune=1)
    info = train(dataset, still, tmp_path / "second", model=str(tmp_path / "first"))
    backbone = info.parameters.backbone
    assert (backbone.model, backbone.layer) == ("nets:small", "three.1")
    assert backbone.weights is not None and backbone.weights.source == "trained"
    after = load_file(tmp_path / "second" / "best.safetensors")
    assert after.keys() == before.keys()
    for name, values in before.items():  # the readout too
        torch.testing.assert_close(after[name], values)
    assert after["readout.weight"].shape[0] == 1 and after["readout.weight"].shape[1] > 1
    new = train(dataset, still, tmp_path / "third", model=str(tmp_path / "first"), new_readout=True)
    fresh = load_file(tmp_path / "third" / "best.safetensors")
    torch.testing.assert_close(fresh["backbone.one.0.weight"], before["backbone.one.0.weight"])
    assert not torch.equal(fresh["readout.weight"], before["readout.weight"])
    assert (
        "readout" in info.content()["parameters"] and "readout" not in new.content()["parameters"]
    )
    # Nothing depends on where the first training was.
    (tmp_path / "first").rename(tmp_path / "elsewhere")
    assert load_model(str(tmp_path / "second")).layers()[-1].name == "readout"
    with pytest.raises(InputError, match=r"ends at three.1; expected no other --layer"):
        train(
            *(dataset, still, tmp_path / "fourth"),
            model=Backbone(str(tmp_path / "elsewhere"), layer="one"),
        )
    with pytest.raises(InputError, match="--new-readout is for trained networks"):
        train(dataset, still, tmp_path / "fifth", model=small, new_readout=True)

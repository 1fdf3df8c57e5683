"""`probe maps`: what is written, under which name, and what a second call keeps."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from counting import Counting
from PIL import Image
from safetensors.torch import load_file, save_file

import salprobe as sp
from salprobe.datasets.errors import InputError
from salprobe.datasets.locks import held
from salprobe.datasets.sources.load import load_dataset
from salprobe.datasets.stimuli import Stimuli, Stimulus
from salprobe.probe.cli.main import app
from salprobe.probe.saliency import writing
from salprobe.probe.saliency.given import MapFolder, given_maps
from salprobe.probe.saliency.maps import maps_of
from salprobe.probe.saliency.writing import hdf5_keys, map_names, pictures, write_maps

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports pkg_resources
    import pysaliency

TESTS = Path(__file__).parent


def probe(*arguments: object) -> None:
    app([str(one) for one in arguments], standalone_mode=False)


def written(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Four noisy pictures: two in a sub-folder that differ in their ending only, and no gaze."""
    rng = np.random.default_rng(1)
    folder = tmp_path / "album"
    for name in ("1.png", "2.png", "sub/1.png", "sub/1.bmp"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((80, 60)).save(path)
    (folder / ".hidden").mkdir()
    shutil.copy(folder / "1.png", folder / ".hidden" / "1.png")
    return folder


def test_maps_are_as_the_model_puts_them_out(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    probe("maps", album, "--models", "spectral,bms", "-o", out)
    names = {"1.npy", "2.npy", "sub/1.png.npy", "sub/1.bmp.npy", "maps.jsonl"}
    assert written(out) == {f"{model}/{name}" for model in ("spectral", "bms") for name in names}
    for name in names - {"maps.jsonl"}:
        picture = album / name.removesuffix(".npy")
        picture = picture if picture.suffix else picture.with_suffix(".png")
        found = np.load(out / "spectral" / name)
        expected = sp.saliency_map("spectral", np.asarray(Image.open(picture)))
        assert found.dtype == np.float32 and found.shape == (60, 80)
        np.testing.assert_array_equal(found, expected.astype(np.float32))
    # What is written can be read as a folder of maps, each for its own picture.
    stimuli, _ = pictures(album, ["spectral"])
    folder = MapFolder(out / "spectral", stimuli)
    own = maps_of(["spectral"], stimuli)["spectral"]
    for stimulus in stimuli:
        np.testing.assert_allclose(folder(stimulus), own(stimulus), rtol=1e-6)


def test_png_is_stretched(album: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    probe("maps", album, "--models", "bms", "-o", tmp_path / "out", "--format", "png")
    assert "stretched from its minimum to its maximum" in capsys.readouterr().err
    image = Image.open(tmp_path / "out" / "bms" / "1.png")
    saliency = sp.saliency_map("bms", np.asarray(Image.open(album / "1.png")))
    expected = (saliency - saliency.min()) / np.ptp(saliency) * 255
    assert image.mode == "L" and np.ptp(np.asarray(image)) == 255
    np.testing.assert_allclose(np.asarray(image), expected, atol=0.51)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # pysaliency leaves pictures open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_pysaliency_reads_the_hdf5_file(album: Path, tmp_path: Path) -> None:
    # The endings stay in its keys, so equal stems do no harm.
    for _ in range(2):
        probe("maps", album, "--models", "spectral", "-o", tmp_path / "out", "-f", "hdf5")
    names = ["1.png", "2.png", "sub/1.bmp", "sub/1.png"]
    files = pysaliency.FileStimuli([str(album / name) for name in names])
    model = pysaliency.HDF5SaliencyMapModel(files, str(tmp_path / "out" / "spectral.hdf5"))
    for name, stimulus in zip(names, files, strict=True):
        expected = sp.saliency_map("spectral", np.asarray(Image.open(album / name)))
        found = model.saliency_map(stimulus)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected.astype(np.float32))
    assert written(tmp_path / "out") == {"spectral.hdf5"}


@pytest.mark.parametrize(
    "names",
    [
        ["a/1.jpg"],
        ["a/1.jpg", "a/2.jpg"],
        ["x/a/1.jpg", "x/b/1.jpg"],
        ["1.jpg", "b/1.jpg"],
        ["x/y/a/1.jpg", "x/z/a/1.jpg", "x/y/a/2.jpg"],
    ],
)
def test_keys_are_pysaliencys(names: list[str]) -> None:
    from pysaliency.utils import get_minimal_unique_filenames

    assert hdf5_keys(names) == get_minimal_unique_filenames(names)


def of(*names: str) -> list[Stimulus]:
    return [Stimulus(id=k, file_name=name, width=8, height=6) for k, name in enumerate(names, 1)]


def test_no_two_pictures_share_a_map() -> None:
    assert map_names(of("a/1.jpg", "b/1.jpg", "1.jpg")) == ["a/1", "b/1", "1"]
    assert map_names(of("1.jpg", "1.png", "2.png")) == ["1.jpg", "1.png", "2"]
    assert map_names(of("A.jpg", "a.png")) == ["A.jpg", "a.png"]  # one file on some systems
    with pytest.raises(InputError, match=r"the images A\.jpg and a\.jpg would both"):
        map_names(of("A.jpg", "a.jpg"))
    with pytest.raises(InputError, match=r"would both be written as 1\.jpg"):
        map_names(of("1.jpg.png", "1.jpg", "1.bmp"))
    with pytest.raises(InputError, match="the models runs/a and other/a would both"):
        writing.folder_names(["runs/a", "other/a"])


def counted(calls: list[str], value: float = 1.0, at: str = "", error: type | None = None):
    def map_of(stimulus: Stimulus) -> np.ndarray:
        if stimulus.file_name == at and error is not None:
            raise error
        calls.append(stimulus.file_name)
        return np.full(stimulus.size, value) + np.arange(stimulus.width)

    return map_of


@pytest.mark.parametrize("format", ["npy", "png", "hdf5"])
def test_an_interrupted_call_goes_on(format, album: Path, tmp_path: Path) -> None:
    stimuli, _ = pictures(album, [])
    out, known = tmp_path / "out", {"m": "a"}
    options = {"format": format, "identities": known}
    calls: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        stop = counted(calls, at="sub/1.bmp", error=KeyboardInterrupt)
        write_maps(stimuli, {"m": stop}, out, **options)
    assert calls == ["1.png", "2.png"]
    done = write_maps(stimuli, {"m": counted(calls)}, out, **options)
    assert calls == ["1.png", "2.png", "sub/1.bmp", "sub/1.png"]
    assert (done["m"].made, done["m"].kept) == (2, 2)
    assert write_maps(stimuli, {"m": counted(calls)}, out, **options)["m"].kept == 4
    # Another picture of the same name, and another model, are made anew.
    shutil.copy(album / "2.png", album / "1.png")
    write_maps(stimuli, {"m": counted(calls)}, out, **options)
    assert calls[4:] == ["1.png"]
    write_maps(stimuli, {"m": counted(calls)}, out, format=format, identities={"m": "b"})
    assert len(calls) == 9
    # Without an identity, nothing is kept, and nothing passes for another model's later.
    write_maps(stimuli, {"m": counted(calls)}, out, format=format)
    assert len(calls) == 13
    write_maps(stimuli, {"m": counted(calls)}, out, format=format, identities={"m": "b"})
    assert len(calls) == 17


def test_a_file_that_was_changed_or_is_not_ours(album: Path, tmp_path: Path) -> None:
    stimuli, _ = pictures(album, [])
    out, options = tmp_path / "out", {"identities": {"m": "a"}}
    write_maps(stimuli, {"m": counted([])}, out, **options)
    np.save(out / "m" / "1.npy", np.zeros((60, 80), np.float32))
    calls: list[str] = []
    write_maps(stimuli, {"m": counted(calls)}, out, **options)
    assert calls == ["1.png"] and np.load(out / "m" / "1.npy").max() > 0
    (out / "n").mkdir()
    (out / "n" / "2.npy").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"2\.npy: exists and was not written by probe maps"):
        write_maps(stimuli, {"n": counted([])}, out, **options)
    assert (out / "n" / "2.npy").read_bytes() == b"mine"
    (out / "m.hdf5").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"m\.hdf5: exists and was not written by probe maps"):
        write_maps(stimuli, {"m": counted([])}, out, format="hdf5", **options)
    (tmp_path / "elsewhere").mkdir()
    (out / "k").mkdir()
    (out / "k" / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="leads out of"):
        write_maps(stimuli, {"k": counted([])}, out, **options)
    assert not any((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("format", ["npy", "hdf5"])
def test_a_picture_that_a_model_refuses_is_skipped(format, album: Path, tmp_path: Path) -> None:
    stimuli, _ = pictures(album, [])
    options = {"format": format, "identities": {"m": "a"}}
    out, heard = tmp_path / "out", Counting()
    write_maps(stimuli, {"m": counted([])}, out, **options)
    refusing = counted([], at="2.png", error=InputError("2.png: too odd"))
    options["identities"] = {"m": "b"}
    with pytest.raises(InputError, match=r"^2\.png: too odd \(--skip-bad leaves it out\)$"):
        write_maps(stimuli, {"m": refusing}, out, **options)
    done = write_maps(stimuli, {"m": refusing}, out, skip_bad=True, progress=heard, **options)
    assert heard.said == ["skipped: 2.png: too odd"]
    assert done["m"].skipped == 1 and done["m"].made + done["m"].kept == 3
    # No map of another model is left in its place.
    assert not (out / "m" / "2.npy").exists()
    if format == "hdf5":
        with h5py.File(out / "m.hdf5") as file:
            assert "2.png" not in file and "1.png" in file
    with pytest.raises(InputError, match="m made no map of any picture"):
        only = Stimuli(album, tuple(one for one in stimuli if one.file_name == "2.png"))
        write_maps(only, {"m": refusing}, tmp_path / "one", skip_bad=True, **options)


def test_a_file_that_is_no_picture_is_skipped_where_the_message_says_so(
    album: Path, tmp_path: Path, capsys
) -> None:
    (album / "2.png").write_bytes(b"none")
    words = ("maps", album, "--models", "spectral", "-o", tmp_path / "out")
    with pytest.raises(InputError, match=r"2\.png: not a readable image \(--skip-bad leaves"):
        probe(*words)
    probe(*words, "--skip-bad")
    said = capsys.readouterr().err
    assert "2.png: not a readable image" in said and "1 of 4 files skipped" in said
    assert "2.npy" not in written(tmp_path / "out" / "spectral")


def test_a_record_is_read_by_line_feeds_only(album: Path, tmp_path: Path) -> None:
    """Names may hold what Python takes for the end of a line."""
    name = "a\u2028b\x85c\u2029.png"
    shutil.copy(album / "1.png", album / name)
    stimuli, _ = pictures(album, [])
    options = {"identities": {"m": "a"}}
    write_maps(stimuli, {"m": counted([])}, tmp_path, **options)
    record = tmp_path / "m" / "maps.jsonl"
    lines = [json.loads(line) for line in record.read_text().split("\n")[:-1]]
    raw = [json.dumps(line, ensure_ascii=False) for line in lines]
    record.write_text("\n".join([*raw, ""]), newline="\n")
    calls: list[str] = []
    write_maps(stimuli, {"m": counted(calls)}, tmp_path, **options)
    assert calls == []


def test_a_dataset_that_was_changed_is_made_anew(album: Path, tmp_path: Path) -> None:
    stimuli, _ = pictures(album, [])
    options = {"format": "hdf5", "identities": {"m": "a"}}
    write_maps(stimuli, {"m": counted([])}, tmp_path, **options)
    with h5py.File(tmp_path / "m.hdf5", "a") as file:
        file["sub/1.png"][0, 0] += 1
    calls: list[str] = []
    write_maps(stimuli, {"m": counted(calls)}, tmp_path, **options)
    assert calls == ["sub/1.png"]
    # Fewer pictures have other keys; what is no longer asked for goes.
    fewer = Stimuli(album, stimuli.images[2:])
    write_maps(fewer, {"m": counted(calls)}, tmp_path, **options)
    with h5py.File(tmp_path / "m.hdf5") as file:
        assert set(file) - {"sub"} == {"1.bmp", "1.png"} and not len(file["sub"])


def test_a_line_cut_off_makes_its_map_anew(album: Path, tmp_path: Path) -> None:
    stimuli, _ = pictures(album, [])
    options = {"identities": {"m": "a"}}
    write_maps(stimuli, {"m": counted([])}, tmp_path, **options)
    record = tmp_path / "m" / "maps.jsonl"
    lines = record.read_text().splitlines()
    record.write_text("\n".join(lines[:3]) + "\n" + lines[3][:20])
    (tmp_path / "m" / json.loads(lines[3])["file"]).unlink()  # it comes after its line
    calls: list[str] = []
    for _ in range(2):
        write_maps(stimuli, {"m": counted(calls)}, tmp_path, **options)
    assert calls == ["sub/1.png"]


def test_what_a_models_maps_depend_on(gaze_world: Path, tmp_path: Path) -> None:
    dataset = sp.load_dataset(str(gaze_world))
    run = tmp_path / "run"
    sp.train(dataset, sp.Recipe(epochs=1), run, model=sp.Backbone("squeezenet1_0", "random"))
    weights = tmp_path / "other.pth"
    weights.write_bytes((run / "best.safetensors").read_bytes() + b" ")
    hashes = [
        writing.identity("gbvs", None, None),
        writing.identity("bms", None, None),
        writing.identity("human", None, dataset),
        writing.identity("centre", None, dataset),
        writing.identity(str(run), None, None),
        writing.identity(str(run), weights, None),
    ]
    assert len(set(hashes)) == 6 and None not in hashes
    fewer = type(dataset)("x", dataset.stimuli, dataset.fixations.where(np.arange(9)), 8.0)
    assert writing.identity("human", None, fewer) not in hashes
    assert writing.identity("nets:colours", None, None) is None
    # The maps of the trained network, and with other weights.
    state = load_file(run / "best.safetensors")
    save_file({name: value * 2 for name, value in state.items()}, tmp_path / "twice.safetensors")
    probe("maps", gaze_world, "--models", run, "-o", tmp_path / "own")
    given = f"{run}={tmp_path / 'twice.safetensors'}"
    probe("maps", gaze_world, "--models", run, "--weights", given, "-o", tmp_path / "other")
    own, other = (np.load(tmp_path / out / "run" / "7.npy") for out in ("own", "other"))
    picture = np.asarray(Image.open(gaze_world / "7.png"))
    np.testing.assert_allclose(own, sp.saliency_map(str(run), picture), rtol=1e-4, atol=1e-5)
    assert abs(own - other).max() > 1e-3


def test_search_arrays_and_datasets(gaze_world: Path, tmp_path: Path) -> None:
    arrays = sp.Arrays(features=("hue",), count=2, catch=1)
    sp.write_arrays(arrays, tmp_path / "popout")
    for source in (tmp_path / "popout", tmp_path / "popout" / "popout.json"):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        probe("maps", source, "--models", "spectral", "-o", tmp_path / "out")
        assert len(written(tmp_path / "out")) == 4  # the catch array too
    with pytest.raises(InputError, match=r"pixels per degree|no fixations"):
        probe("maps", tmp_path / "popout", "--models", "human", "-o", tmp_path / "out")
    probe("maps", gaze_world, "--models", "human,centre", "-o", tmp_path / "gaze")
    for name in ("human", "centre"):
        found = np.load(tmp_path / "gaze" / name / "7.npy")
        assert found.sum() == pytest.approx(1, abs=1e-5) and found.min() >= 0
    probe("maps", gaze_world / "masks.json", "--models", "human", "-o", tmp_path / "masks")
    np.testing.assert_allclose(
        np.load(tmp_path / "masks" / "human" / "7.npy"),
        np.load(tmp_path / "gaze" / "human" / "7.npy"),
    )


def test_the_maps_of_a_former_call_are_no_pictures(album: Path) -> None:
    for out in (album / "maps", album / "maps", album):
        probe("maps", album, "--models", "bms", "-o", out, "--format", "png")
    assert len(written(album / "maps")) == len(written(album / "bms")) == 5


def test_a_map_is_not_taken_for_two_pictures(tmp_path: Path) -> None:
    np.save(tmp_path / "1.npy", np.ones((6, 8)))
    one, two = (Stimuli(tmp_path, tuple(of(*n))) for n in (["a/1.jpg"], ["a/1.jpg", "b/1.jpg"]))
    assert MapFolder(tmp_path, one)(one[0]).shape == (6, 8)
    with pytest.raises(InputError, match="no map of a/1 and 1 more"):
        MapFolder(tmp_path, two)
    # What is left of an earlier, ambiguous set of pictures does not come first.
    (tmp_path / "a").mkdir()
    np.save(tmp_path / "a" / "1.npy", np.full((6, 8), 2))
    np.save(tmp_path / "a" / "1.jpg.npy", np.full((6, 8), 3))
    assert MapFolder(tmp_path, one)(one[0]).max() == 2
    alike = Stimuli(tmp_path, tuple(of("a/1.jpg", "a/1.png")))
    np.save(tmp_path / "a" / "1.png.npy", np.full((6, 8), 4))
    assert [MapFolder(tmp_path, alike)(image).max() for image in alike] == [3, 4]


def test_weights_by_name(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(TESTS)
    import nets

    network = nets.reddish()
    with torch.no_grad():
        network.weight.mul_(-1)
    save_file(network.state_dict(), tmp_path / "minus.safetensors")
    out = tmp_path / "out"
    name = "nets:reddish"
    probe("maps", album, "--models", name, "-o", out / "plus")
    weights = f"{name}={tmp_path / 'minus.safetensors'}"
    probe("maps", album, "--models", name, "--weights", weights, "-o", out / "minus")
    plus, minus = (np.load(out / one / "nets.reddish" / "1.npy") for one in ("plus", "minus"))
    assert plus.shape == (60, 80) and plus.std() > 0
    np.testing.assert_allclose(plus, -minus, atol=1e-5)


def test_refused_before_any_work(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(TESTS)
    file = tmp_path / "w.pth"
    file.write_bytes(b"x")
    for options, says in (
        ((), "no model is named; expected --models"),
        (("--models", "bms,bms"), "given twice among bms, bms"),
        (("--models", "vgg61"), "vgg61: not a saliency model; expected gbvs"),
        (("--models", "human"), "pixels per degree unknown"),
        (("--models", "bms", "--weights", f"bms={file}"), "bms has no weights"),
        (("--models", "bms", "--weights", f"gbvs={file}"), "NAME one of --models"),
        (("--models", "bms", "--weights", "bms=none.pth"), "bms=none.pth: no such file"),
        (("--models", "nets:colours"), r"one map, \(1, 1, height, width\), got \(1, 4\)"),
    ):
        with pytest.raises(InputError, match=says):
            probe("maps", album, *options, "-o", tmp_path / "out")
    with pytest.raises(InputError, match="none: expected a data set"):
        probe("maps", tmp_path / "none", "--models", "bms", "-o", tmp_path / "out")
    with pytest.raises(InputError, match=r"1\.png: the map has values beyond float32"):
        stimuli = Stimuli(album, tuple(of("1.png")))
        write_maps(stimuli, {"m": lambda one: np.full(one.size, 1e300)}, tmp_path / "out")


def test_the_command(command, album: Path, tmp_path: Path) -> None:
    done = command("probe", "maps", album, "--models", "spectral", "-o", tmp_path / "out")
    assert "4 maps written" in done.stderr and done.stdout == ""
    assert "probe maps popout/ --models gbvs,bms" in command("probe", "maps", "--help").stdout


def test_two_maps_of_one_picture_are_refused(album: Path, tmp_path: Path) -> None:
    probe("maps", album, "--models", "spectral", "-o", tmp_path)
    stimuli = Stimuli.from_folder(album, ["1.png", "2.png"])
    assert MapFolder(tmp_path / "spectral", stimuli)(stimuli[0]).shape == (60, 80)
    shutil.copy(album / "1.png", tmp_path / "spectral" / "1.png")
    with pytest.raises(InputError, match=r"two maps of 1: 1.npy, 1.png"):
        MapFolder(tmp_path / "spectral", stimuli)


@pytest.mark.parametrize(("format", "lock"), [("npy", "spectral/.lock"), ("hdf5", None)])
def test_a_second_writer_of_maps_says_so(
    format: str, lock: str | None, album: Path, tmp_path: Path
) -> None:
    (tmp_path / "spectral").mkdir()
    maps = ("maps", album, "--models", "spectral", "-o", tmp_path, "--format", format)
    with (
        held(tmp_path / (lock or ".spectral.hdf5.lock"), "taken"),
        pytest.raises(InputError, match="another process is writing here"),
    ):
        probe(*maps)
    probe(*maps)


def test_maps_of_an_hdf5_file_are_those_of_the_folder(album: Path, tmp_path: Path) -> None:
    for format in ("npy", "hdf5"):
        probe("maps", album, "--models", "spectral", "-o", tmp_path, "-f", format)
    stimuli = Stimuli.from_folder(album)
    folder, file = (given_maps(tmp_path / name, stimuli) for name in ("spectral", "spectral.hdf5"))
    for stimulus in stimuli:
        np.testing.assert_array_equal(file(stimulus), folder(stimulus))
    assert file.resized == 0 and len(file.sha256()) == 64


def hdf5_of(path: Path, **maps: float) -> Path:
    with h5py.File(path, "w") as file:
        for name, value in maps.items():
            file[name] = np.full((60, 80), value)
    return path


def images_of(*names: str) -> Stimuli:
    return Stimuli(
        Path(),
        tuple(
            Stimulus(id=number, file_name=name, width=80, height=60)
            for number, name in enumerate(names, 1)
        ),
    )


def test_datasets_are_found_by_whole_names_and_by_ends_of_names(tmp_path: Path) -> None:
    longer = hdf5_of(tmp_path / "a.h5", **{"set/1.jpg": 1, "set/sub/1.jpg": 2, "set/2.jpg": 3})
    images = images_of("set/1.jpg", "sub/1.jpg", "2.jpg")
    maps = given_maps(longer, images)
    assert [maps(image).max() for image in images] == [1, 2, 3]
    shorter = given_maps(hdf5_of(tmp_path / "b.h5", **{"1.jpg": 4, "b/2.jpg": 5}), images[0:1])
    assert shorter(images[0]).max() == 4

    with pytest.raises(InputError, match=r"two maps of 1.jpg: set/1.jpg, set/sub/1.jpg"):
        given_maps(longer, images_of("1.jpg"))
    with pytest.raises(InputError, match=r"b.h5: no map of 3.jpg and 1 more"):
        given_maps(tmp_path / "b.h5", images_of("1.jpg", "3.jpg", "4.jpg"))
    with pytest.raises(InputError, match=r"b.h5: 1.jpg would be the map of 2 images"):
        given_maps(tmp_path / "b.h5", images_of("a/1.jpg", "b/1.jpg"))


def test_datasets_are_checked_before_they_are_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    image = images_of("1.jpg")
    hdf5_of(tmp_path / "other.h5", **{"1.jpg": 1})
    with h5py.File(path, "w") as file:
        file["1.jpg"] = h5py.ExternalLink("other.h5", "1.jpg")
    with pytest.raises(InputError, match=r"no map of 1.jpg"):
        given_maps(path, image)
    for values, message in (
        (np.full((30, 40), np.nan), r"a.hdf5: 1.jpg: the map has values that are not finite"),
        (np.zeros((3, 60, 80)), r"expected a map \(height, width\), got \(3, 60, 80\)"),
        ("text", "not an array of numbers"),
    ):
        with h5py.File(path, "w") as file:
            file["1.jpg"] = values
        with pytest.raises(InputError, match=message):
            given_maps(path, image)(image[0])
    with h5py.File(path, "w") as file:
        file.create_dataset("1.jpg", (10**6, 10**6), dtype="f8", chunks=(100, 100))
    with pytest.raises(InputError, match="more than can be read"):
        given_maps(path, image)(image[0])
    half = given_maps(hdf5_of(path, **{"1.jpg": 1}), (bigger := images_of("1.jpg")))
    twice = bigger[0].model_copy(update={"width": 160, "height": 120})
    assert half(twice).shape == (120, 160) and half.resized == 1
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(InputError, match=r"a.hdf5: "):
        given_maps(path, image)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_hdf5_model_of_pysaliency_s_scores_as_pysaliency_says(
    gaze_world: Path, tmp_path: Path, capsys
) -> None:
    dataset = load_dataset(str(gaze_world))
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "m.hdf5", "w") as file:
        for image in dataset.stimuli:
            file[image.file_name] = rng.random(image.size)
    probe("score", gaze_world, "--maps", f"m={tmp_path / 'm.hdf5'}", "-o", tmp_path / "s.csv")
    capsys.readouterr()
    ours = pd.read_csv(tmp_path / "s.csv").set_index("file_name")["NSS"]
    names = list(ours.index)
    files = pysaliency.FileStimuli([str(dataset.stimuli.root / name) for name in names])
    model = pysaliency.HDF5SaliencyMapModel(files, str(tmp_path / "m.hdf5"))
    for number, name in enumerate(names):
        image = next(one for one in dataset.stimuli if one.file_name == name)
        looked = dataset.fixations.of(image.id)
        whole = np.zeros(len(looked))
        theirs = pysaliency.Fixations.create_without_history(
            looked.x, looked.y, np.full(len(looked), number), whole
        )
        assert model.NSS(files, theirs) == pytest.approx(ours[name], abs=1e-9)

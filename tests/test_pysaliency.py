"""Fixations and stimuli exchanged with pysaliency, which reads ours and writes its own."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from salprobe.annotate.formats.exchange import export_masks, import_masks
from salprobe.datasets.errors import InputError
from salprobe.datasets.fixations import COLUMNS, Fixations
from salprobe.datasets.gaze.pysaliency.write import write_pysaliency
from salprobe.datasets.gaze.read import read_gaze
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.sources.load import load_dataset
from salprobe.datasets.sources.osie import load_osie
from salprobe.datasets.stimuli import Stimuli
from salprobe.probe.saliency.writing import write_maps

SIZES = {"a.png": (40, 30), "b.png": (20, 25), "c.png": (10, 10)}


@pytest.fixture
def stimuli(tmp_path: Path) -> Stimuli:
    for k, (name, size) in enumerate(SIZES.items()):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L" if name == "c.png" else "RGB", size, 40 * k).save(path)
    return Stimuli.from_folder(tmp_path / "pictures")


def gaze(stimuli: Stimuli, **columns: list) -> Fixations:
    ids = {stimulus.file_name: stimulus.id for stimulus in stimuli}
    names = ["a.png", "a.png", "b.png", "a.png", "c.png"]
    own = {
        "image_id": [ids[name] for name in names],
        "subject": [3, 3, 3, 11, 11],
        "x": [39, 0, 7, 12, 9],
        "y": [29, 0, 24, 5, 0],
        "duration_ms": [161, 20, 333, None, 7],
    }
    return Fixations.from_columns({**own, **columns})


def assert_equal(one: Fixations, other: Fixations, *more: str) -> None:
    """Assert the same fixations, whatever the order of scanpaths."""
    order = [np.lexsort((f.orders(), f.subject, f.image_id)) for f in (one, other)]
    for name in (*COLUMNS, *more):
        own, theirs = (getattr(f, name)[k] for f, k in zip((one, other), order, strict=True))
        np.testing.assert_array_equal(own, theirs, err_msg=name)
    np.testing.assert_array_equal(one.orders()[order[0]], other.orders()[order[1]])


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(np, "string_", np.bytes_, raising=False)  # 0.2.22 is older than NumPy 2
    return pytest.importorskip("pysaliency")


PEER = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning")


@PEER
@pytest.mark.parametrize("timed", [False, True])
def test_pysaliency_reads_what_we_write(
    stimuli: Stimuli, tmp_path: Path, theirs, timed: bool
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    starts = {"start_ms": [0, 250, 1.5, 0, 30]} if timed else {}
    ours = gaze(stimuli, **starts)
    said = write_pysaliency(out, stimuli, ours)
    assert len(said) == (not timed)
    trains = theirs.read_hdf5(str(out / "fixations.hdf5"))
    files = theirs.read_hdf5(str(out / "stimuli.hdf5"))
    assert [Path(name).resolve() for name in files.filenames] == [
        stimuli.path(one).resolve() for one in stimuli
    ]
    assert [tuple(one) for one in files.shapes] == [(30, 40, 3), (25, 20, 3), (10, 10)]
    assert [one.shape for one in files.stimuli] == [tuple(one) for one in files.shapes]
    place = {stimulus.id: k for k, stimulus in enumerate(stimuli)}
    for k, number in enumerate(ours.image_id.tolist()):
        own = (trains.n == place[number]) & (trains.subjects == ours.subject[k])
        own &= (trains.x_int == ours.x[k]) & (trains.y_int == ours.y[k])
        assert own.sum() == 1
        assert trains.t[own] == ([0, 0.25, 0.0015, 0, 0.03] if timed else ours.orders() - 1)[k]
        assert trains.lengths[own] == ours.orders()[k] - 1, "fixations before it"
        np.testing.assert_array_equal(trains.durations[own], ours.duration_ms[k : k + 1] / 1000)
    assert len(trains.x) == len(ours)


@PEER
def test_we_read_what_pysaliency_writes(stimuli: Stimuli, tmp_path: Path, theirs) -> None:
    xs = [[1.0, 2.7], [0.2], [39.99, 5.0, 6.5]]
    ys = [[0.0, 0.99], [24.5], [29.99, 5.5, 0.0]]
    ts = [[0.1, 0.4], [0.0], [0.05, 0.3, 1.25]]
    trains = theirs.FixationTrains.from_fixation_trains(
        *(xs, ys, ts, [0, 1, 0], [4, 4, 9]),
        scanpath_fixation_attributes={"durations": [[0.161, 0.2], [0.02], [0.1, 0.3, 0.5]]},
    )
    trains.to_hdf5(str(tmp_path / "fixations.hdf5"))
    files = theirs.FileStimuli([str(stimuli.path(one)) for one in stimuli])
    files.to_hdf5(str(tmp_path / "stimuli.hdf5"))
    found = read_gaze(tmp_path / "fixations.hdf5", stimuli)
    ids = [stimulus.id for stimulus in stimuli]
    expected = Fixations(
        image_id=np.array([ids[n] for n in trains.n]),
        subject=trains.subjects,
        x=trains.x_int,
        y=trains.y_int,
        duration_ms=np.array([161, 200, 20, 100, 300, 500]),
        start_ms=np.array([100, 400, 0, 50, 300, 1250]),
    )
    assert_equal(found.fixations, expected, "start_ms")
    assert found.fixations.x.tolist() == [1, 2, 0, 39, 5, 6], "as int() truncates"
    assert found.form.endswith("FixationTrains 1.2")
    assert found.n_dropped == 0
    flat = theirs.Fixations.create_without_history(x=[3, 4], y=[0, 1], n=[0, 1], subjects=[1, 1])
    flat.to_hdf5(str(tmp_path / "fixations.hdf5"))
    again = read_gaze(tmp_path / "fixations.hdf5", stimuli).fixations
    assert (again.x.tolist(), again.image_id.tolist()) == ([3, 4], ids[:2])


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"start_ms": [0, 250, 1.5, 0, 30]},
        {"subject": ["Zoë", "Zoë", "Zoë", "b", "b"]},
        {"order": [1, 4, 2, 3, 1]},
        {"duration_ms": [None] * 5},
    ],
)
def test_our_own_fixations_come_back(stimuli: Stimuli, tmp_path: Path, columns: dict) -> None:
    ours = gaze(stimuli, **columns)
    write_pysaliency(tmp_path, stimuli, ours)
    found = read_gaze(tmp_path, stimuli).fixations
    assert_equal(found, ours, *("start_ms" for _ in range("start_ms" in columns)))


def scanpaths(path: Path, version: str = "1.0", **changes) -> None:
    """Write what 0.3 writes, by its published structure."""
    nan = np.nan
    with h5py.File(path, "w") as file:
        file.attrs["type"], file.attrs["version"] = "ScanpathFixations", version
        own = file.create_group("scanpaths")
        own.attrs["type"], own.attrs["version"] = "Scanpaths", "1.0"
        columns = {
            "xs": [[1.5, 2, nan], [5, nan, nan]],
            "ys": [[3, 4.9, nan], [6, nan, nan]],
            "n": [1, 0],
            "length": [2, 1],
        }
        subject = changes.pop("subject", [7, 8])
        for name, values in {**columns, **changes}.items():
            own.create_dataset(name, data=values)
        own.attrs["attribute_mapping"] = json.dumps({"durations": "duration"})
        of_paths, of_fixations = (
            own.create_group(name) for name in ("scanpath_attributes", "fixation_attributes")
        )
        of_paths.create_dataset("subject", data=subject)
        of_fixations.create_dataset("ts", data=[[0, 0.25, nan], [0.5, nan, nan]])
        of_fixations.create_dataset("durations", data=[[0.2, 0.3, nan], [0.1, nan, nan]])


def files(path: Path, names: list[str], kind: str = "FileStimuli", version: str = "2.1") -> None:
    with h5py.File(path, "w") as file:
        file.attrs["type"], file.attrs["version"] = np.bytes_(kind), np.bytes_(version)
        file.create_dataset("filenames", data=names, dtype=h5py.string_dtype())


def test_scanpaths_of_version_0_3(stimuli: Stimuli, tmp_path: Path) -> None:
    scanpaths(tmp_path / "fixations.hdf5")
    files(tmp_path / "stimuli.hdf5", ["pictures/a.png", "pictures/b.png"])
    found = read_gaze(tmp_path / "fixations.hdf5", stimuli).fixations
    ids = {stimulus.file_name: stimulus.id for stimulus in stimuli}
    assert found.image_id.tolist() == [ids["b.png"]] * 2 + [ids["a.png"]]
    assert (found.x.tolist(), found.y.tolist()) == ([1, 2, 5], [3, 4, 6])
    assert (found.subject.tolist(), found.duration_ms.tolist()) == ([7, 7, 8], [200, 300, 100])
    assert found.starts().tolist() == [0, 250, 500]


def test_a_subject_who_looks_again_is_said(stimuli: Stimuli, tmp_path: Path) -> None:
    """As in data sets of several tasks: the second scanpath's first fixation is not the first."""
    files(tmp_path / "stimuli.hdf5", ["a.png", "b.png"])
    scanpaths(tmp_path / "fixations.hdf5", n=[0, 0], subject=[7.0, 7.0])
    found = read_gaze(tmp_path, stimuli)
    assert any("1 times a subject looks again at a stimulus" in line for line in found.said)
    assert found.fixations.subject.tolist() == [7, 7, 7]
    assert found.fixations.orders().tolist() == [1, 2, 3]
    assert found.fixations.starts().tolist() == [0, 250, 500]
    scanpaths(tmp_path / "fixations.hdf5")
    assert not any("again" in line for line in read_gaze(tmp_path, stimuli).said)


def test_what_lies_outside_is_dropped_and_the_rest_keeps_its_place(
    stimuli: Stimuli, tmp_path: Path
) -> None:
    scanpaths(tmp_path / "fixations.hdf5", xs=[[-0.5, 2, np.nan], [5, np.nan, np.nan]])
    files(tmp_path / "stimuli.hdf5", ["a.png", "b.png"])
    found = read_gaze(tmp_path, stimuli)
    assert dict(found.dropped) == {"outside their image": 1}
    assert found.fixations.orders().tolist() == [2, 1]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda p: scanpaths(p, version="9.0"), "ScanpathFixations 9.0 is not known"),
        (lambda p: scanpaths(p, n=[5, 0]), "a fixation on stimulus 5 of 2"),
        (lambda p: scanpaths(p, n=[-1, 0]), "on stimulus -1 of 2"),
        (lambda p: scanpaths(p, n=[0.7, 1.2]), "a stimulus is not a whole number"),
        (lambda p: scanpaths(p, n=[np.nan, 1]), "a stimulus is not a whole number"),
        (lambda p: scanpaths(p, subject=[0.5, 1]), "a subject is not a whole number"),
        (lambda p: scanpaths(p, n=[0]), "not ScanpathFixations as pysaliency writes them"),
        (lambda p: scanpaths(p, xs=[1.0, 2.0]), "not ScanpathFixations as pysaliency"),
        (lambda p: files(p, ["a.png"]), "holds stimuli, expected fixations"),
        (lambda p: files(p, ["a.png"], "Stimuli", "1.1"), "stimuli without file names"),
        (lambda p: h5py.File(p, "w").close(), "no attribute 'type'"),
        (lambda p: p.write_bytes(b"x" * 99), "cannot be read"),
    ],
)
def test_what_is_no_file_of_fixations_is_refused(
    made, words: str, stimuli: Stimuli, tmp_path: Path
) -> None:
    made(tmp_path / "fixations.hdf5")
    files(tmp_path / "stimuli.hdf5", ["a.png", "b.png"])
    with pytest.raises(InputError, match=words) as caught:
        read_gaze(tmp_path / "fixations.hdf5", stimuli)
    assert "\n" not in str(caught.value)


def test_stimuli_must_lie_beside(stimuli: Stimuli, tmp_path: Path) -> None:
    scanpaths(tmp_path / "fixations.hdf5")
    with pytest.raises(InputError, match=r"stimuli.hdf5: no such file; it holds the file names"):
        read_gaze(tmp_path / "fixations.hdf5", stimuli)
    with h5py.File(tmp_path / "stimuli.hdf5", "w") as file:
        file["filenames"] = h5py.ExternalLink("fixations.hdf5", "scanpaths/xs")
    with pytest.raises(InputError, match="is a link"):
        read_gaze(tmp_path / "fixations.hdf5", stimuli)


def test_export_and_cluster(command, gaze_world: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = ("annotate", "export", gaze_world / "masks.json", "--format", "pysaliency")
    done = command(*line, "--root", gaze_world, "-o", out)
    assert "left out: the regions and their categories" in done.stderr
    assert "written as 0, 1, 2" in done.stderr
    masks = MaskSet.read(gaze_world / "masks.json")
    assert masks.fixations is not None
    found = load_dataset(str(out / "fixations.hdf5"), root=gaze_world, px_per_degree=8.0)
    assert_equal(found.fixations, masks.fixations)
    command(
        *("annotate", "cluster", gaze_world, "--fixations", out / "fixations.hdf5"),
        *("--px-per-degree", 8, "-o", tmp_path / "a.json"),
    )
    command("annotate", "cluster", gaze_world, "-o", tmp_path / "b.json")
    one, other = (MaskSet.read(tmp_path / f"{name}.json") for name in "ab")
    assert [a.segmentation for a in one.annotations] == [b.segmentation for b in other.annotations]
    refused = command("annotate", "import", out, "-o", tmp_path / "m.json", check=2)
    assert "hold fixations and no regions; --fixations reads them" in refused.stderr


def test_an_export_needs_images_and_fixations(gaze_world: Path, tmp_path: Path) -> None:
    masks = MaskSet.read(gaze_world / "masks.json")
    with pytest.raises(InputError, match="--root names their folder"):
        export_masks(masks, tmp_path / "out", "pysaliency")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="hold fixations and no regions"):
        import_masks(tmp_path, "pysaliency")


@PEER
def test_osie_bit_for_bit(osie_root: Path, tmp_path: Path, theirs) -> None:
    dataset = load_osie(osie_root)
    write_pysaliency(tmp_path, dataset.stimuli, dataset.fixations)
    assert_equal(read_gaze(tmp_path, dataset.stimuli).fixations, dataset.fixations)
    trains = theirs.read_hdf5(str(tmp_path / "fixations.hdf5"))
    assert len(trains.x) == 98321
    image = np.array([int(one.file_name[-8:-4]) for one in dataset.stimuli])[trains.n]
    ids = {one.id: int(one.file_name[-8:-4]) for one in dataset.stimuli}
    own = dataset.fixations
    mine = np.array([ids[k] for k in own.image_id.tolist()])
    left = np.stack([image, trains.subjects, trains.lengths, trains.x_int, trains.y_int])
    right = np.stack([mine, own.subject, own.orders() - 1, own.x, own.y])
    for one in (left, right):
        one[:] = one[:, np.lexsort(one[::-1])]
    np.testing.assert_array_equal(left, right)


@PEER
def test_a_density_that_probe_maps_writes_is_a_model_of_pysaliencys(
    stimuli: Stimuli, tmp_path: Path, theirs
) -> None:
    def log_density(picture: np.ndarray) -> np.ndarray:
        shape = picture.shape[:2]
        density = np.random.default_rng(shape[0]).random(shape) + 0.1
        return np.log(density / density.sum())

    models = {"m": lambda one: log_density(np.asarray(stimuli.read(one)))}
    write_maps(stimuli, models, tmp_path, format="hdf5")
    files = theirs.FileStimuli([str(stimuli.path(one)) for one in stimuli])
    model = theirs.HDF5Model(files, str(tmp_path / "m.hdf5"))
    for one, theirs_too in zip(stimuli, files, strict=True):
        expected = log_density(np.asarray(stimuli.read(one))).astype(np.float32)
        np.testing.assert_array_equal(model.log_density(theirs_too), expected)

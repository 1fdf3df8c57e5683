"""Splits of datasets, scenes, and SALICON's published forms."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from salprobe.datasets.errors import InputError
from salprobe.datasets.sources.load import load_dataset
from salprobe.datasets.stimuli import Dataset
from salprobe.probe.training.scenes import read_scenes
from salprobe.probe.training.split import read_split, stratified_split, usual_split

NAMES = ("COCO_train2014_000000000009.jpg", "COCO_train2014_000000000025.jpg")
VALIDATION = "COCO_val2014_000000000042.jpg"
GAZE = {  # 1-based (x, y) of two subjects
    NAMES[0]: [[[1, 1], [640, 480]], [[320, 240]]],
    NAMES[1]: [[[10, 20]], []],
    VALIDATION: [[[641, 5], [3, 4]]],  # one outside
}


@pytest.fixture
def dataset(gaze_world: Path) -> Dataset:
    return load_dataset(str(gaze_world))


@pytest.fixture
def salicon_images(tmp_path: Path) -> Path:
    for name in GAZE:
        part = "val" if name == VALIDATION else "train"
        (tmp_path / "images" / part).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (640, 480)).save(tmp_path / "images" / part / name)
    return tmp_path


def write_mat(root: Path) -> None:
    """Write what the LSUN challenges published: one file an image."""
    for name, subjects in GAZE.items():
        folder = root / "fixations" / ("val" if name == VALIDATION else "train")
        folder.mkdir(parents=True, exist_ok=True)
        kinds = [("location", object), ("timestamp", object), ("fixations", object)]
        gaze = np.empty((len(subjects), 1), dtype=kinds)
        for row, points in zip(gaze, subjects, strict=True):
            here = np.array(points, dtype=np.uint16).reshape(-1, 2)
            row[0] = (here.astype(float), np.arange(len(points)), here)
        content = {"image": Path(name).stem, "resolution": [[480, 640]], "gaze": gaze}
        savemat(folder / f"{Path(name).stem}.mat", content)


def write_json(root: Path) -> None:
    """Write what SALICON's own interface reads: two files as COCO has them."""
    for part in ("train", "val"):
        images, annotations = [], []
        for name, subjects in GAZE.items():
            if part in name:
                number = int(Path(name).stem[-12:])
                size = {"width": 640, "height": 480}
                images.append({"id": number, "file_name": name, **size})
                for points in subjects:
                    turned = [[y, x] for x, y in points]
                    annotations.append({"image_id": number, "fixations": turned, "worker_id": 1})
        content = {"images": images, "annotations": annotations, "info": {}}
        (root / f"fixations_{part}2014.json").write_text(json.dumps(content))


@pytest.mark.parametrize("write", [write_mat, write_json])
def test_salicon_is_read_in_both_forms(salicon_images: Path, write) -> None:
    write(salicon_images)
    dataset = load_dataset("salicon", salicon_images)
    assert dataset.dropped == 1
    assert [one.id for one in dataset.stimuli] == [9, 25, 42]
    looked = dataset.fixations.of(9)
    assert sorted(zip(looked.x.tolist(), looked.y.tolist(), strict=True)) == [
        (0, 0),
        (319, 239),
        (639, 479),
    ]
    assert (dataset.fixations.of(42).x.tolist(), dataset.fixations.of(42).y.tolist()) == ([2], [3])
    assert dataset.stimuli.read(dataset.stimuli[2]).size == (640, 480)
    split = usual_split(dataset)
    assert (split.train, split.validation, split.test) == ((25,), (9,), (42,))


def test_salicon_says_what_is_missing(salicon_images: Path) -> None:
    with pytest.raises(InputError, match="no SALICON fixations"):
        load_dataset("salicon", salicon_images)
    write_json(salicon_images)
    (salicon_images / "images" / "train" / NAMES[1]).unlink()
    with pytest.raises(InputError, match=f"has fixations on {NAMES[1]}, but not the image"):
        load_dataset("salicon", salicon_images)
    (salicon_images / "fixations_train2014.json").unlink()
    (salicon_images / "fixations_val2014.json").write_text('{"images": [{}]}')
    with pytest.raises(InputError, match=r"fixations_val2014.json: not SALICON's"):
        load_dataset("salicon", salicon_images)


def test_salicons_fixations_of_two_years_are_not_added_up(salicon_images: Path) -> None:
    write_mat(salicon_images)
    path = next(salicon_images.rglob("*09.mat"))
    (salicon_images / "fixations of 2017").mkdir()
    (salicon_images / "fixations of 2017" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="one number, which those of 2015 and 2017"):
        load_dataset("salicon", salicon_images)


def test_a_broken_salicon_file_is_named(salicon_images: Path) -> None:
    write_mat(salicon_images)
    path = next(salicon_images.rglob("*09.mat"))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"09.mat: cannot be read"):
        load_dataset("salicon", salicon_images)


def test_osie_is_split_as_documented(osie_root: Path) -> None:
    dataset = load_dataset("osie", osie_root)
    split = usual_split(dataset)
    assert [len(split.train), len(split.validation), len(split.test)] == [400, 100, 200]
    assert split.test[:4] == (1003, 1006, 1010, 1013)
    assert split.validation[:2] == (1001, 1008)
    assert len(split.parts()) == 700


def test_scenes_are_split_each_alike() -> None:
    labels = {number: "abc"[number % 3] for number in range(1, 211)}
    split = stratified_split(labels)
    for scene in "abc":
        counts = [sum(labels[one] == scene for one in part) for part in vars(split).values()]
        assert counts == [40, 10, 20]
    with pytest.raises(InputError, match="no stimulus is left for train"):
        stratified_split({1: "a"})


def test_a_split_is_read_from_a_table(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    path.write_text("image,split\n3.png,train\n1.png,validation\n7.png,test\n4.png,train\n")
    split = read_split(path, dataset.stimuli)
    assert (split.train, split.validation, split.test) == ((3, 4), (1,), (7,))
    for text, message in (
        ("image,split\n3.png,dev\n", "split 'dev', expected train"),
        ("image,split\n3.png,train\n", "no stimulus is left for validation"),
        ("image,split\n99.png,train\n", r"row 1: image '99.png' is not in"),
        ("image,split\n3.png,train\n3.png,test\n", r"row 2: image '3.png' occurs twice"),
        ("image,part\n3.png,train\n", "no column 'split'"),
        ("image,split\n3.png,\n", "row 1: no split"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_split(path, dataset.stimuli)


def test_scenes_come_from_a_table_or_from_folders(dataset: Dataset, tmp_path: Path) -> None:
    table, folder = tmp_path / "scenes.csv", tmp_path / "scenes"
    rows = []
    for number in range(1, 15):
        scene = "sea" if number < 6 else "home" if number < 11 else "no scene"
        rows.append(f"{number}.png,{scene}")
        (folder / scene).mkdir(parents=True, exist_ok=True)
        (folder / scene / f"{number}.png").touch()
    table.write_text("\n".join(["image,scene", *rows, "15.png,rare"]))
    expected = {number: "sea" if number < 6 else "home" for number in range(1, 11)}
    assert read_scenes(table, dataset.stimuli, min_images=3) == expected
    assert read_scenes(folder, dataset.stimuli, min_images=3) == expected
    with pytest.raises(InputError, match="0 scenes have 6 images or more, 2 are needed"):
        read_scenes(table, dataset.stimuli, min_images=6)
    (folder / "home" / "1.png").touch()
    with pytest.raises(InputError, match="is also in"):
        read_scenes(folder, dataset.stimuli, min_images=3)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no folders of images"):
        read_scenes(tmp_path / "empty", dataset.stimuli)

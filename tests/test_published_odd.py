"""Readers of published data sets on folders that are not quite as published."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import published
import pytest
from counting import Counting
from published import DAEMONS, WRITERS, cells, picture
from scipy.io import savemat

from salprobe.datasets.errors import InputError
from salprobe.datasets.sources.load import load_dataset
from salprobe.datasets.stimuli import Dataset

KNOWN = {"mit1003", "cat2000", "daemons"}  # whose pixels per degree are known


def loaded(name: str, root: Path) -> tuple[Dataset, str]:
    told = Counting()
    dataset = load_dataset(name, root, px_per_degree=None if name in KNOWN else 30.0, progress=told)
    return dataset, "\n".join(told.said)


def refusal(name: str, root: Path) -> str:
    with pytest.raises(InputError) as raised:
        loaded(name, root)
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "folder", "lost", "more"),
    [
        ("koehler", "Images", "image_r_3.jpg", "image_r_12.jpg"),
        ("pascal-s", "datasets/imgs/pascal", "2.jpg", "4.jpg"),
        ("toronto", "eyetrackingdata/fixdens/Original Image Set", "5.jpg", "13.jpg"),
    ],
)
def test_the_images_that_are_told_by_number_have_all_numbers(
    name: str, folder: str, lost: str, more: str, tmp_path: Path
) -> None:
    """With one missing and another more, all after the gap had the fixations of the next."""
    WRITERS[name](tmp_path)
    places = list(tmp_path.rglob(lost))
    for place in places:
        place.rename(place.with_name(more))
    number = "".join(one for one in lost if one.isdigit())
    assert places and f"has no number {number}" in refusal(name, tmp_path)


def test_two_images_of_one_number_are_refused(tmp_path: Path) -> None:
    published.koehler(tmp_path)
    picture(tmp_path / "Images" / "image_r_01.jpg", 405, 405)
    assert "an image for each number, once" in refusal("koehler", tmp_path)


def cat2000(root: Path, first: list, second: list) -> None:
    """Two images; the first has two scanpaths, the second one."""
    picture(root / "Stimuli" / "Action" / "001.jpg", 48, 27)
    picture(root / "Stimuli" / "Art" / "001.jpg", 48, 27)

    def trial(who: str, points: Any) -> np.ndarray:
        made = np.empty((1, 1), dtype=[("name", object), ("data", object)])
        made[0, 0] = (np.array([f"1-1-{who}.eye"]), np.array(points, dtype=float).reshape(-1, 2))
        return made

    content = {
        "Action001": cells([trial("abc", first), trial("xyz", [[3, 4], [5, 6]])]).T,
        "Art001": cells([trial("abc", second)]).T,
    }
    published.matio.save_to_mat(
        str(root / "allFixData.mat"),
        {"allData": published.MatlabContainerMap(content)},
        version="v7",
    )


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([[7, 8]], [(6, 7)]),  # MATLAB's 1 × 2
        ([[np.nan, np.nan]] * 3, []),
        ([], []),
        ([[7, 8], [7, 8], [np.nan, np.nan], [7, 8]], [(6, 7)]),
    ],
)
def test_short_and_blank_scanpaths_of_cat2000(points: list, expected: list, tmp_path: Path) -> None:
    cat2000(tmp_path, points, [[9, 9], [10, 10]])
    fixations = loaded("cat2000", tmp_path)[0].fixations.of(1)
    assert fixations.subject.tolist() == ["abc"] * len(expected) + ["xyz"] * 2
    assert list(zip(fixations.x.tolist(), fixations.y.tolist(), strict=True)) == [
        *expected,
        (2, 3),
        (4, 5),
    ]


def test_suffixes_in_capitals_are_images_too(tmp_path: Path) -> None:
    published.dut_omron(tmp_path)
    whole = loaded("dut-omron", tmp_path)[0]
    image = next(tmp_path.rglob("im005.jpg"))
    image.rename(image.with_suffix(".JPG"))
    assert loaded("dut-omron", tmp_path)[0].fixations.x.tolist() == whole.fixations.x.tolist()
    shutil.rmtree(tmp_path / "DUT-OMRON-image")
    published.nusef(tmp_path)
    known = len(loaded("nusef", tmp_path)[0].fixations)
    image = next(tmp_path.rglob("10.jpg"))
    image.rename(image.with_suffix(".JPG"))
    assert len(loaded("nusef", tmp_path)[0].fixations) == known


def test_what_dut_omron_lacks_is_said(tmp_path: Path) -> None:
    published.dut_omron(tmp_path)
    picture(tmp_path / "DUT-OMRON-image" / "lone.jpg", 40, 30)
    next(tmp_path.rglob("im005.jpg")).unlink()
    told = loaded("dut-omron", tmp_path)[1]
    assert "1 images without fixations left out" in told
    assert "fixations on 1 images that are not there left out" in told


def copied(root: Path, name: str) -> None:
    """Copy a file into a folder beside, which has the name of its own."""
    path = next(root.rglob(name))
    place = root / "copy" / path.parent.name
    place.mkdir(parents=True)
    shutil.copy(path, place)


@pytest.mark.parametrize(
    ("name", "file", "said"),
    [
        ("dut-omron", "im005.mat", "the same name as"),
        ("mit1003", "i1.mat", "the same subject and image as"),
        ("daemons", "SAC_train.csv", "has a table twice"),
        ("coco-freeview", "COCOFreeView_fixations_trainval.json", "occurs twice"),
        ("coco-search18", "coco_search18_fixations_TA_trainval.json", "occurs twice"),
    ],
)
def test_a_file_that_is_there_twice_is_not_read_twice(
    name: str, file: str, said: str, tmp_path: Path
) -> None:
    WRITERS[name](tmp_path)
    copied(tmp_path, file)
    assert said in refusal(name, tmp_path)


def test_a_subject_who_looks_again_is_said(tmp_path: Path) -> None:
    published.coco_search18(tmp_path)
    path = next(tmp_path.rglob("coco_search18_fixations_TA_trainval.json"))
    trials = json.loads(path.read_text())
    path.write_text(json.dumps([*trials, {**trials[0], "task": "another"}]))
    told = loaded("coco-search18", tmp_path)[1]
    assert "1 times a subject looked again at an image that it had seen" in told
    published.coco_freeview(tmp_path)
    assert "looked again" not in loaded("coco-freeview", tmp_path)[1]


def daemons(root: Path, change: Callable[[str], str] = str, size: tuple[int, int] = (1920, 1080)):
    picture(root / "F001.jpg", *size)
    (root / "SAC_train.csv").write_text(change(DAEMONS))


def test_daemons_that_are_otherwise(tmp_path: Path) -> None:
    daemons(tmp_path / "half", size=(960, 540))
    assert "is 960×540, expected 1920×1080 as shown" in refusal("daemons", tmp_path / "half")
    daemons(tmp_path / "words", lambda text: text.replace("120,120,0,0,1", "120,120,0,0,yes"))
    assert "forced_fix 'YES': expected TRUE or FALSE" in refusal("daemons", tmp_path / "words")
    daemons(tmp_path / "true", lambda text: text.replace("120,120,0,0,1", "120,120,0,0,true"))
    assert "2 forced fixations" in loaded("daemons", tmp_path / "true")[1]
    daemons(tmp_path / "stems", lambda text: text.replace("F001.jpg", "F001"))
    assert len(loaded("daemons", tmp_path / "stems")[0].fixations) == 2
    picture(tmp_path / "stems" / "F001.png", 1920, 1080)
    assert "'F001' is not among the images" in refusal("daemons", tmp_path / "stems")


@pytest.mark.parametrize("subject", [np.nan, 1.5])
def test_a_subject_without_a_number_is_refused(subject: float, tmp_path: Path) -> None:
    published.dut_omron(tmp_path)
    path = next(tmp_path.rglob("im005.mat"))
    savemat(path, {"s": np.array([[40, 30, 0], [1, 2, subject]])})
    assert f"subject {subject}: expected a whole number" in refusal("dut-omron", tmp_path)


def test_a_scale_that_was_not_checked_can_be_given(tmp_path: Path) -> None:
    published.cat2000(tmp_path)
    assert "cat2000: 38 pixels per degree, not checked" in loaded("cat2000", tmp_path)[1]
    assert load_dataset("cat2000", tmp_path, px_per_degree=40.0).px_per_degree == 40


@pytest.mark.parametrize("shape", [(5, 3, 2), (10,)])
def test_gaze_of_another_shape_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    published.mit1003(tmp_path)
    path = next(tmp_path.rglob("i1.mat"))
    savemat(path, {"i1": {"DATA": {"eyeData": np.ones(shape)}}})
    assert "expected samples of x, y" in refusal("mit1003", tmp_path)


def test_a_damaged_text_of_nusef_is_named(tmp_path: Path) -> None:
    published.nusef(tmp_path)
    path = next(one for one in tmp_path.rglob("*.fix") if one.parent.name == "10")
    path.write_text("nothing")
    assert refusal("nusef", tmp_path).startswith(f"{path}: cannot be read")

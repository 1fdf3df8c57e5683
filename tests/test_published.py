"""Readers of published data sets, on small files built after the published structures."""

from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import published
import pytest
from counting import Counting
from hypothesis import given, settings
from hypothesis import strategies as st
from published import WRITERS, looks
from scipy.io import savemat
from typer.testing import CliRunner

from salprobe.annotate.cli.main import app
from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.published.mit import find_fixations
from salprobe.datasets.published.read import READERS
from salprobe.datasets.sources.load import fixations_of, load_dataset
from salprobe.datasets.stimuli import Dataset

KNOWN = {"mit1003", "cat2000", "daemons", "mit300"}  # whose pixels per degree are known


def loaded(name: str, root: Path) -> tuple[Dataset, str]:
    """Return a built data set as it is read, and what was told."""
    if not root.exists():
        root.mkdir()
        WRITERS[name](root)
    told = Counting()
    dataset = load_dataset(name, root, px_per_degree=None if name in KNOWN else 30.0, progress=told)
    return dataset, "\n".join(told.said)


def table(dataset: Dataset) -> list[tuple]:
    """Return its fixations as (file, subject, x, y)."""
    files = {image.id: image.file_name.rpartition("/")[2] for image in dataset.stimuli}
    fixations = dataset.fixations
    columns = (fixations.subject, fixations.x, fixations.y)
    return [
        (files[number], *row)
        for number, *row in zip(
            fixations.image_id.tolist(), *(one.tolist() for one in columns), strict=True
        )
    ]


def test_every_reader_is_tested_on_a_built_data_set() -> None:
    assert set(WRITERS) == set(READERS)


def test_mit1003(tmp_path: Path) -> None:
    dataset, told = loaded("mit1003", tmp_path / "d")
    long = "istatic_outdoor_street_with_a_name_that_is_longer_than_63_characters_p1"
    assert [image.file_name for image in dataset.stimuli] == [
        "ALLSTIMULI/i1.jpeg",
        f"ALLSTIMULI/{long}.jpeg",
    ]
    found = table(dataset)
    assert [row[:2] for row in found[:3]] == [("i1.jpeg", "ajs")] * 3
    for (_, _, x, y), expected in zip(found[:3], [(20, 30), (100, 80), (110, 20)], strict=True):
        assert abs(x - expected[0]) <= 1 and abs(y - expected[1]) <= 1
    assert len(found) == 12 and dataset.px_per_degree == 35
    assert dataset.fixations.starts()[0] == pytest.approx(64 * 1000 / 240, abs=20)
    assert "16 fixations found in the raw gaze by salprobe's own filter" in told
    assert "the first fixation of each of 4 scanpaths is left out" in told


def test_fixations_in_raw_gaze_by_hand() -> None:
    """48 samples at 240 Hz are 200 ms; smoothing and velocity take at most 4 samples at an end."""
    gaze = looks((100, 100, 48), (300, 100, 96), noise=0)
    found = find_fixations(gaze)
    np.testing.assert_array_equal(found.x, [100, 300])
    np.testing.assert_array_equal(found.y, [100, 100])
    np.testing.assert_allclose(found.duration_ms, [200, 400], atol=4 * 1000 / 240)
    assert found.start_ms[0] == 0
    assert found.start_ms[1] == pytest.approx(52 * 1000 / 240, abs=4 * 1000 / 240)


def test_drift_is_one_fixation_and_a_blink_parts_two() -> None:
    drift = np.stack([np.linspace(100, 110, 120), np.full(120, 50.0)], axis=1)  # 20 px/s
    assert len(find_fixations(drift).x) == 1
    # 0.4° is drift, however fast; 1° in 21 ms is a saccade.
    for degrees, count in ((0.4, 1), (1, 2)):
        gaze = looks((50, 50, 60), (50 + 35 * degrees, 50, 60), noise=0)
        assert len(find_fixations(gaze).x) == count
    blink = np.concatenate([drift, np.full((30, 2), -5.0), drift])
    assert len(find_fixations(blink).x) == 2
    jump = drift.copy()
    jump[60] = 900  # a single sample
    assert len(find_fixations(jump).x) == 1
    assert len(find_fixations(drift[:23]).x) == 0  # 96 ms
    assert len(find_fixations(np.empty((0, 2))).x) == 0
    assert len(find_fixations(np.full((50, 2), np.nan)).x) == 0


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(40, 90)),
        min_size=1,
        max_size=6,
    )
)
def test_fixations_that_were_put_in_are_found(stops: list[tuple[int, int, int]]) -> None:
    apart = [stops[0]]
    apart += [stop for before, stop in pairwise(stops) if before[:2] != stop[:2]]
    gaze = looks(*((100 + 90 * x, 100 + 90 * y, n) for x, y, n in apart), noise=0.3)
    found = find_fixations(gaze)
    assert len(found.x) == len(apart)
    for x, y, (column, row, _) in zip(found.x, found.y, apart, strict=True):
        assert abs(x - 100 - 90 * column) < 1 and abs(y - 100 - 90 * row) < 1


@pytest.mark.parametrize("keys", [("Action_001", "Action_002", "Art_001"), ("1", "2", "10")])
def test_cat2000(keys: tuple[str, ...], tmp_path: Path) -> None:
    root = tmp_path / "d"
    root.mkdir()
    published.cat2000(root, keys)
    dataset, told = loaded("cat2000", root)
    names = [image.file_name for image in dataset.stimuli]
    assert names == [
        f"trainSet/Stimuli/{one}.jpg" for one in ("Action/001", "Action/002", "Art/001")
    ]
    first = [row for row in table(dataset) if row[0] == "001.jpg"][:4]
    assert first == [
        ("001.jpg", "abc", 0, 0),
        ("001.jpg", "abc", 9, 8),
        ("001.jpg", "abc", 0, 0),
        ("001.jpg", "xyz", 47, 26),
    ]
    assert dataset.fixations.of(3).y.tolist() == [0, 10, 0, 26]
    assert dataset.fixations.of(3).orders().tolist() == [1, 2, 3, 1]
    assert dataset.dropped == 6  # 49 and 0 of each image
    assert "3 repeats of the same point and 3 rows of padding left out" in told
    by = "name" if "Art_001" in keys else "order"
    assert f"keys belong to the images by {by}" in told


def test_cat2000_with_another_number_of_keys(tmp_path: Path) -> None:
    published.cat2000(tmp_path, ("a", "b"))
    with pytest.raises(InputError, match="2 keys, but 3 images"):
        load_dataset("cat2000", tmp_path)
    savemat(tmp_path / "trainSet" / "allFixData.mat", {"allData": 1.0})
    with pytest.raises(InputError, match=r"has no containers\.Map 'allData'"):
        load_dataset("cat2000", tmp_path)


def test_toronto(tmp_path: Path) -> None:
    dataset, told = loaded("toronto", tmp_path / "d")
    assert [image.id for image in dataset.stimuli] == list(range(1, 13))
    expected = [(f"{k}.jpg", 1, x, k) for k in range(1, 13) for x in (3, 19)]
    assert table(dataset) == expected
    assert "neither who looked nor in which order" in told


def test_figrim(tmp_path: Path) -> None:
    dataset, told = loaded("figrim", tmp_path / "d")
    assert table(dataset) == [
        ("b.jpg", 1, 99, 0),
        ("a.jpg", 1, 10, 20),
        ("a.jpg", 1, 30, 41),
        ("a.jpg", 3, 50, 60),
    ]
    assert dataset.dropped == 1
    assert "3 of later times left out" in told
    assert "2 hits, 1 false alarms, 2 misses, 2 correct rejections" in told


def test_pascal_s(tmp_path: Path) -> None:
    dataset, told = loaded("pascal-s", tmp_path / "d")
    assert len(dataset.stimuli) == 3
    assert table(dataset) == [("1.jpg", 1, 0, 0), ("1.jpg", 2, 49, 39), ("2.jpg", 12, 5, 4)]
    assert dataset.dropped == 1
    assert "(y, x, subject), 1-based" in told


def test_a_cell_outside_the_file_is_not_read(tmp_path: Path) -> None:
    published.pascal_s(tmp_path)
    path = tmp_path / "datasets" / "fixations" / "pascalFix.mat"
    np.zeros((3, 2)).tofile(tmp_path / "raw")
    with h5py.File(path, "r+") as file:
        outside = file.create_dataset(
            "x", (3, 2), dtype=float, external=[(str(tmp_path / "raw"), 0, 48)]
        )
        file["fixCell"][0, 1] = outside.ref  # type: ignore[index]
    with pytest.raises(InputError, match="not an array of its own"):
        load_dataset("pascal-s", tmp_path, px_per_degree=30)


def test_nusef(tmp_path: Path) -> None:
    """By hand: the screen's middle is an image's middle; 384×768 fills the height, 2048×512 the
    width, at half its size, 256 of 768 high."""
    dataset, told = loaded("nusef", tmp_path / "d")
    assert [image.file_name for image in dataset.stimuli] == [
        f"NUSEF_database/stimuli/{k}.jpg" for k in (10, 11)
    ]
    # (65, 105) of 260×280 is (256, 288) of 1024×768: (512, 64) of the image, from whose top 256 off
    assert table(dataset) == [
        ("10.jpg", 7, 192, 384),
        ("11.jpg", 7, 1024, 256),
        ("11.jpg", 7, 512, 64),
    ]
    assert dataset.fixations.duration_ms.tolist() == [250, 300, 200]
    assert dataset.dropped == 1
    assert "fixations on 2 images that are not public (IAPS) left out" in told


def test_coco_freeview(tmp_path: Path) -> None:
    dataset, told = loaded("coco-freeview", tmp_path / "d")
    assert [image.id for image in dataset.stimuli] == [9, 12]
    assert table(dataset) == [("000000000009.jpg", 1, 840, 525), ("000000000009.jpg", 1, 3, 2)]
    assert dataset.fixations.duration_ms.tolist() == [200, 210]
    assert dataset.dropped == 1
    assert dataset.fixations.orders().tolist() == [1, 2]
    assert "2 trials (1 of split train, 1 of split valid)" in told
    assert "2 images occur under several targets, with equal bytes" in told
    assert "the fixations of the test part are held out" in told


def test_coco_search18(tmp_path: Path) -> None:
    dataset, told = loaded("coco-search18", tmp_path / "d")
    assert sorted(table(dataset)) == [
        ("000000000009.jpg", 1, 840, 525),
        ("000000000009.jpg", 3, 100, 200),
        ("000000000012.jpg", 2, 5, 6),
        ("000000000012.jpg", 2, 7, 8),
    ]
    assert "3 trials (3 of split train, 1 of target absent, 2 of target present)" in told


def test_images_of_one_name_with_other_bytes_are_refused(tmp_path: Path) -> None:
    published.coco_freeview(tmp_path)
    published.picture(tmp_path / "images" / "cup" / "000000000009.jpg", 1680, 1050, value=0)
    with pytest.raises(InputError, match="other bytes than"):
        load_dataset("coco-freeview", tmp_path, px_per_degree=30)


def test_daemons(tmp_path: Path) -> None:
    """By hand: (0.01°, 17.99°) is (0.6, 1080 - 1079.4), (31.99°, 0.01°) is (1919.4, 1079.4)."""
    dataset, told = loaded("daemons", tmp_path / "d")
    assert table(dataset) == [("F001.jpg", "1", 0, 0), ("F001.jpg", "2", 1919, 1079)]
    np.testing.assert_array_equal(dataset.fixations.duration_ms, [200, np.nan])
    assert dataset.dropped == 2 and dataset.px_per_degree == 60  # NA, and 40°
    assert "2 forced fixations left out (1 trials have more than one); 1 without a position" in told
    assert "2 blinkFix, 0 sticky, 0 mask_shown, 1 forced_end" in told
    assert "493 and 681" in told


def test_dut_omron(tmp_path: Path) -> None:
    dataset, told = loaded("dut-omron", tmp_path / "d")
    expected = [("im005.jpg", 1, 0, 0), ("im005.jpg", 1, 39, 29), ("im005.jpg", 4, 5, 6)]
    assert table(dataset) == expected + [("im010.jpg", *row[1:]) for row in expected]
    assert dataset.dropped == 2
    assert "1 files say another size than that of their image" in told


def test_koehler(tmp_path: Path) -> None:
    dataset, told = loaded("koehler", tmp_path / "d")
    assert table(dataset) == [
        ("image_r_2.jpg", 2, 20, 29),
        ("image_r_10.jpg", 1, 0, 0),
        ("image_r_10.jpg", 1, 404, 404),
        ("image_r_10.jpg", 1, 99, 49),
    ]
    assert "object search and saliency search are left out" in told


def test_mit300_has_images_only(tmp_path: Path) -> None:
    dataset, told = loaded("mit300", tmp_path / "d")
    assert (len(dataset.stimuli), len(dataset.fixations)) == (2, 0)
    assert "its fixations are held out: images only" in told
    done = CliRunner().invoke(
        app, ["cluster", "mit300", "--root", str(tmp_path / "d"), "-o", str(tmp_path / "m.json")]
    )
    assert isinstance(done.exception, InputError)
    assert str(done.exception) == "mit300 has no fixations to cluster"


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "mit300"])
def test_cluster_reads_it_by_name_and_its_fixations_are_found_again(
    name: str, tmp_path: Path
) -> None:
    root, output = tmp_path / "d", tmp_path / "m.json"
    dataset, _ = loaded(name, root)
    scale = [] if name in KNOWN else ["--px-per-degree", "30"]
    few = ["--min-subjects", "1", "--min-fixations", "3"]
    done = CliRunner().invoke(
        app, ["cluster", name, "--root", str(root), *scale, *few, "-o", str(output)]
    )
    assert done.exit_code == 0, done.exception
    masks = MaskSet.read(output)
    assert masks.info.salprobe.dataset == name
    content = {key: value for key, value in masks.to_dict().items() if key != "fixations"}
    again = fixations_of(MaskSet.from_dict(content), root)
    assert again.to_columns() == dataset.fixations.to_columns()


def test_pixels_per_degree_are_known_or_given(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="toronto: pixels per degree unknown; give --px-per-degree"
    ):
        load_dataset("toronto", tmp_path)
    with pytest.raises(InputError, match="mit1003 has 35 pixels per degree"):
        load_dataset("mit1003", tmp_path, px_per_degree=30)


@pytest.mark.parametrize("name", WRITERS)
def test_an_empty_folder_is_said(name: str, tmp_path: Path) -> None:
    (tmp_path / ".hidden").mkdir()
    with pytest.raises(InputError, match=r"has (no|none|neither)"):
        load_dataset(name, tmp_path, px_per_degree=None if name in KNOWN else 30)
    with pytest.raises(InputError, match=f"annotate fetch {name}"):
        load_dataset(name, tmp_path / "nowhere", px_per_degree=None if name in KNOWN else 30)

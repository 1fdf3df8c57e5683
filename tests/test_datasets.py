"""Loading OSIE, your own folders and tables, and pictures."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from salprobe.datasets.errors import InputError
from salprobe.datasets.fixations import Fixations, pixel
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.sources.folder import TableFormat, load_folder
from salprobe.datasets.sources.load import fixations_of, load_dataset
from salprobe.datasets.sources.osie import OSIE, load_osie
from salprobe.datasets.stimuli import Stimuli, image_size, read_picture


def test_osie_is_what_was_published(osie_root: Path) -> None:
    dataset = load_osie(osie_root)
    assert len(dataset.stimuli) == 700
    assert len(dataset.fixations) == 98_321
    assert {(s.width, s.height) for s in dataset.stimuli} == {(800, 600)}
    assert np.unique(dataset.fixations.subject).tolist() == list(range(1, 16))
    assert dataset.px_per_degree == pytest.approx(23.74, abs=0.01)
    first = dataset.fixations.of(1001)
    # fixations.mat: 395.5, 390.6, 370.8 … in 1-based MATLAB
    assert first.x[:3].tolist() == [395, 390, 370]
    assert dataset.stimuli.read(dataset.stimuli[0]).size == (800, 600)


def test_osie_hashes_are_of_the_real_files() -> None:
    files = OSIE.files()
    assert len(files) == 701
    assert sum(path.startswith("stimuli/") for path in files) == 700
    assert all(len(digest) == 64 for digest in files.values())


def test_osie_equals_the_labelled_files_fixations(osie_root: Path, osie_labels: Path) -> None:
    ours = load_osie(osie_root).fixations
    theirs = MaskSet.read(osie_labels).fixations
    assert ours.to_columns() == theirs.to_columns()


def test_not_osie(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="stimuli: no such folder"):
        load_osie(tmp_path)
    (tmp_path / "stimuli").mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "stimuli" / "1.jpg")
    with pytest.raises(InputError, match=r"neither eye/fixations\.mat nor fixations\.mat"):
        load_osie(tmp_path)
    (tmp_path / "fixations.mat").write_bytes(b"not a mat file" * 99)
    with pytest.raises(InputError, match=r"fixations\.mat: cannot be read"):
        load_osie(tmp_path)


@given(st.floats(-1e6, 1e6))
def test_a_position_is_half_a_pixel_from_its_pixel_at_most(position: float) -> None:
    assert -0.5 <= position - pixel(np.array(position)) < 0.5 + 1e-9


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9),
            st.integers(1, 5) | st.just(2**40),
            st.integers(0, 799),
            st.integers(0, 599),
            st.none() | st.integers(0, 5000) | st.floats(0, 1e4),
        )
    )
)
def test_fixations_survive_their_columns(rows: list) -> None:
    names = ("image_id", "subject", "x", "y", "duration_ms")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    again = Fixations.from_columns(columns).to_columns()
    assert again == Fixations.from_columns(again).to_columns()
    assert again == columns


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one.png", "two.jpg"):
        Image.new("RGB", (40, 30), "red").save(tmp_path / name)
    return tmp_path


def write(folder: Path, text: str, name: str = "fixations.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_your_own_folder(folder: Path) -> None:
    write(folder, "image,subject,x,y,duration_ms\none.png,s1,0,29.4,200\ntwo,s2,39.4,-0.5,\n")
    dataset = load_folder(folder, px_per_degree=20)
    assert dataset.dropped == 0
    assert [s.file_name for s in dataset.stimuli] == ["one.png", "two.jpg"]
    columns = dataset.fixations.to_columns()
    assert columns == {
        "image_id": [1, 2],
        "subject": ["s1", "s2"],
        "x": [0, 39],
        "y": [29, 0],
        "duration_ms": [200, None],
    }


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_mapped_columns_in_every_format(folder: Path, suffix: str) -> None:
    frame = pd.DataFrame({"stim": ["one.png"], "who": [3], "gx": [1.0], "gy": [2.0]})
    path = folder / f"gaze{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    mapping = {"image": "stim", "subject": "who", "x": "gx", "y": "gy"}
    dataset = load_folder(folder, path, 20, TableFormat(mapping))
    assert dataset.fixations.subject.tolist() == [3]
    assert (dataset.fixations.x.tolist(), dataset.fixations.y.tolist()) == ([1], [2])


@given(x=st.integers(0, 39), y=st.integers(0, 29))
def test_degrees_and_back(x: int, y: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("deg")
    Image.new("L", (40, 30)).save(folder / "one.png")
    per_degree = 17.3
    x_deg, y_deg = (x - 19.5) / per_degree, (y - 14.5) / per_degree
    write(folder, f"image,subject,x,y\none.png,1,{x_deg!r},{y_deg!r}\n")
    dataset = load_folder(folder, None, per_degree, TableFormat(unit="deg"))
    assert (dataset.fixations.x[0], dataset.fixations.y[0]) == (x, y)


def test_a_short_name_and_a_table_for_notebooks(folder: Path) -> None:
    write(folder, "image,subject,x,y\none,a,1,1\ntwo,b,3,3\ntwo,b,4,4\n")
    description = {"name": "<b>mine</b>", "px_per_degree": 20, "simulated": True}
    write(folder, json.dumps(description), "dataset.json")
    dataset = load_folder(folder)
    assert repr(dataset) == (
        "Dataset(<b>mine</b>: 3 simulated fixations of 2 subjects on 2 images)"
    )
    table = dataset._repr_html_()
    ElementTree.fromstring(f"<div>{table}</div>")
    assert "<p>Dataset &lt;b&gt;mine&lt;/b&gt;</p>" in table
    cells = dict(re.findall(r"<th[^>]*>([^<]*)</th><td>([^<]*)</td>", table))
    assert cells == {
        **{"images": "2", "subjects": "2", "fixations": "3", "simulated": "yes"},
        **{"pixels per degree": "20", "dropped fixations": "0"},
    }


@pytest.fixture
def tricky(tmp_path: Path) -> Path:
    """Images whose names look like numbers, like nothing, or like each other."""
    for name in ("1.png", "001.png", "NA.png", "beach.jpg", "beach.png"):
        Image.new("L", (40, 30)).save(tmp_path / name)
    return tmp_path


def test_names_in_a_table_are_texts(tricky: Path) -> None:
    rows = "001,01,1,1\nNA,NA,2,2\n1,1,3,3\nbeach.png,2,4,NA\n"
    write(tricky, "image,subject,x,y\n" + rows)
    dataset = load_folder(tricky, None, 20, TableFormat(drop_invalid=True))
    names = {image.id: image.file_name for image in dataset.stimuli}
    assert [names[number] for number in dataset.fixations.image_id.tolist()] == [
        *("001.png", "NA.png", "1.png"),
    ]
    assert dataset.fixations.subject.tolist() == ["01", "NA", "1"]
    assert dataset.dropped == 1
    frame = pd.DataFrame({"image": [1.0, None], "subject": [7, 8], "x": [0, 0], "y": [0, 0]})
    frame.to_parquet(tricky / "gaze.parquet")
    with pytest.raises(InputError, match=r"row 2: image '' is not in"):
        load_folder(tricky, tricky / "gaze.parquet", 20)
    frame[:1].to_parquet(tricky / "gaze.parquet")
    found = load_folder(tricky, tricky / "gaze.parquet", 20).fixations
    assert (names[int(found.image_id[0])], found.subject.tolist()) == ("1.png", [7])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,subject,x,y\nbeach.jpg,1,1,1\nbeach,1,1,1\n", r"row 2: image 'beach' may be beach"),
        ("image,subject,x,y,x\n1,1,1,1,2\n", "column 'x' occurs twice"),
        ("image,subject,x,y\n1,1,1,1,2\n", "not a readable table"),
    ],
)
def test_an_ambiguous_table_is_refused(tricky: Path, text: str, message: str) -> None:
    write(tricky, text)
    with pytest.raises(InputError, match=message):
        load_folder(tricky, px_per_degree=20)


def test_fixations_and_scale_are_found_beside_the_images(gaze_world: Path) -> None:
    masks = MaskSet.read(gaze_world / "masks.json")
    content = masks.to_dict()
    del content["fixations"], content["info"]["salprobe"]["px_per_degree"]
    content["images"] = content["images"][1:]  # the table has more images than the mask file
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] != 1]
    some = MaskSet.from_dict(content)
    found = fixations_of(some, gaze_world)
    assert found.to_columns() == masks.fixations.where(masks.fixations.image_id != 1).to_columns()
    with pytest.raises(InputError, match=r"holds no fixations, and .* no fixations\.csv"):
        fixations_of(some, gaze_world.parent)


BAD_TABLES = [
    ("image,subject,x\n", "no column 'y' for y"),
    ("image,subject,x,y\n", "the table has no rows"),
    ("image,subject,x,y\nthree,1,1,1\n", "row 1: image 'three' is not in"),
    ("image,subject,x,y\none,1,1,1\none,1,a,1\n", "row 2: x is 'a', expected a number"),
    ("image,subject,x,y\none,1,,1\n", "row 1: the fixation has no coordinates"),
    ("image,subject,x,y\none,1,nan,1\n", "row 1: the fixation has no coordinates"),
    ("image,subject,x,y\none,1,40,1\n", "row 1: the fixation (40, 1) px is outside its 40×30"),
    ("image,subject,x,y\none,1,inf,1\n", "row 1: the fixation (inf, 1) px is outside"),
    ("image,subject,x,y\none,,4,1\n", "row 1: no subject"),
    ("image,subject,x,y,duration_ms\none,1,4,1,-3\n", "duration_ms[0]: expected 0 or more"),
    ("", "the file is empty"),
    ('a,b\n"', "not a readable table"),
]


@pytest.mark.parametrize(("text", "message"), BAD_TABLES)
def test_a_bad_table(folder: Path, text: str, message: str) -> None:
    path = write(folder, text)
    with pytest.raises(InputError) as caught:
        load_folder(folder, path, 20)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_invalid_fixations_can_be_dropped_and_are_counted(folder: Path) -> None:
    path = write(folder, "image,subject,x,y\none,1,40,1\none,1,,2\ntwo,1,3,3\n")
    dataset = load_folder(folder, path, 20, TableFormat(drop_invalid=True))
    assert (len(dataset.fixations), dataset.dropped) == (1, 2)


def test_a_folder_without_what_it_needs(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no fixations\.csv"):
        load_folder(folder, px_per_degree=20)
    with pytest.raises(InputError, match="pixels per degree unknown"):
        load_folder(folder)
    with pytest.raises(InputError, match=r"lists them\), a folder, or a table"):
        load_dataset(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no images"):
        load_folder(tmp_path / "empty", px_per_degree=20)
    (folder / "dataset.json").write_text('{"px_per_degree": -1}')
    with pytest.raises(InputError, match=r"dataset\.json: px_per_degree"):
        load_folder(folder)


def test_a_mask_file_without_fixations_says_so(folder: Path) -> None:
    masks = MaskSet.from_dict({"images": [], "annotations": [], "categories": []})
    with pytest.raises(InputError, match="holds no fixations"):
        fixations_of(masks, folder)


def test_pictures_come_upright_in_rgb(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(path, exif=exif)
    assert image_size(path) == (40, 30)
    assert read_picture(path).size == (30, 40)
    Image.fromarray(np.full((4, 5), 40_000, dtype=np.uint16)).save(tmp_path / "deep.png")
    deep = np.asarray(read_picture(tmp_path / "deep.png"))
    assert deep.shape == (4, 5, 3)
    assert (deep == 40_000 >> 8).all()
    for mode in ("L", "LA", "P", "RGBA", "CMYK", "1"):
        file = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
        Image.new(mode, (3, 2)).save(file)
        assert read_picture(file).mode == "RGB"


def test_broken_pictures_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with pytest.raises(InputError, match=r"a\.png: no such image"):
        read_picture(path)
    path.write_text("hello")
    with pytest.raises(InputError, match=r"a\.png: not a readable image"):
        read_picture(path)
    noise = np.random.default_rng(0).integers(0, 255, (50, 50, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"a\.png: broken image"):
        read_picture(path)


def test_a_stimulus_of_another_size_is_refused(folder: Path) -> None:
    stimuli = Stimuli.from_folder(folder)
    Image.new("RGB", (41, 30)).save(folder / "one.png")
    with pytest.raises(InputError, match="expected 40×30 pixels, got 41×30"):
        stimuli.read(stimuli[0])

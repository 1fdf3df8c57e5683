"""Eye trackers' exports: what is recognised, placed, dropped, refused."""

import json
import math
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from exports import CASES, KEPT, SCREEN, Case, asc, bids, data_viewer, table, write_pictures
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from salprobe.annotate.cli.main import app
from salprobe.datasets.errors import InputError
from salprobe.datasets.gaze.exports import exports
from salprobe.datasets.gaze.names import Names
from salprobe.datasets.gaze.placement import Placement, parse_placement, px_per_degree, to_image
from salprobe.datasets.gaze.read import read_gaze
from salprobe.datasets.gaze.settings import TableFormat
from salprobe.datasets.gaze.understood import Gaze
from salprobe.datasets.masks.mask_set import MaskSet, new_mask_set
from salprobe.datasets.sources.load import fixations_of, load_dataset
from salprobe.datasets.stimuli import Stimuli


@pytest.fixture
def pictures(tmp_path: Path) -> Stimuli:
    write_pictures(tmp_path / "pictures")
    return Stimuli.from_folder(tmp_path / "pictures")


def rows(gaze: Gaze, stimuli: Stimuli) -> list[tuple]:
    names = {stimulus.id: stimulus.file_name for stimulus in stimuli}
    columns = gaze.fixations.to_columns()
    images = [names[number] for number in columns.pop("image_id")]
    columns.pop("order", None)  # where others between them were dropped
    return list(zip(images, *columns.values(), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_an_export_is_recognised_and_placed(tmp_path: Path, pictures: Stimuli, name: str) -> None:
    case: Case = CASES[name]
    if name == "Pupil Cloud":
        for one in pictures.root.iterdir():
            one.unlink()
        Image.new("RGB", (40, 30)).save(pictures.root / "reference_image.jpeg")
        pictures = Stimuli.from_folder(pictures.root)
    gaze = read_gaze(case.write(tmp_path), pictures, None, case.settings)
    kept = [("reference_image.jpeg", *row[1:]) for row in KEPT] if name == "Pupil Cloud" else KEPT
    assert rows(gaze, pictures) == kept
    assert gaze.form.endswith(case.form) or f"{case.form}," in gaze.form
    for words, count in case.dropped.items():
        found = [n for reason, n in gaze.dropped.items() if words in reason]
        assert found == [count], (words, gaze.dropped)
    assert gaze.n_dropped == sum(case.dropped.values())
    assert gaze.found == len(kept) + gaze.n_dropped
    text = "\n".join(gaze.lines())
    assert gaze.foreign
    for words in case.words:
        assert words in text, text
    assert f"kept {len(kept)} of 2 subjects" in text


def test_every_form_has_its_own_marks_and_no_other_shadows_it() -> None:
    _, known = exports()
    from salprobe.datasets.readers.text import key

    for place, export in enumerate(known):
        keys = {key(mark) for mark in export.marks}
        assert not any(other.recognises(keys) for other in known[:place]), export.name
        usable = export.refused or export.samples or (export.x and export.y)
        assert usable, export.name
        for pattern in (export.image_from_file, export.subject_from_file):
            assert re.compile(pattern).groups == bool(pattern)


def test_pixels_per_degree_come_from_a_bids_screen(tmp_path: Path, pictures: Stimuli) -> None:
    gaze = read_gaze(bids(tmp_path), pictures)
    # 100 px of 0.4 m at 0.6 m: 2·atan(1/3) = 36.87°
    assert gaze.px_per_degree == pytest.approx(100 / 36.8699, rel=1e-5)
    halved = TableFormat(placement=Placement(scale=2.0, at="centre"))
    assert read_gaze(tmp_path / "bids", pictures, None, halved).px_per_degree == pytest.approx(
        gaze.px_per_degree / 2
    )
    dataset = load_dataset(str(pictures.root), table=tmp_path / "bids")
    assert (dataset.px_per_degree, dataset.dropped) == (gaze.px_per_degree, 4)
    assert load_dataset(str(pictures.root), None, tmp_path / "bids", 9.0).px_per_degree == 9.0


def test_an_export_is_told_and_our_own_form_is_not(tmp_path: Path, pictures: Stimuli) -> None:
    class Said:
        lines: list[str] = []

        def say(self, text: str) -> None:
            self.lines.append(text)

    said = Said()
    load_dataset(str(pictures.root), None, data_viewer(tmp_path), 20, SCREEN, said)  # type: ignore[arg-type]
    assert any("dropped 1: without a position" in line for line in said.lines)
    said.lines.clear()
    own = tmp_path / "own.csv"
    own.write_text("image,subject,x,y\nbeach,1,2,3\n")
    load_dataset(str(pictures.root), None, own, 20, progress=said)  # type: ignore[arg-type]
    assert not said.lines


def test_a_run_takes_an_export_and_is_told_of_it(tmp_path: Path, pictures: Stimuli) -> None:
    class Said:
        lines: list[str] = []

        def say(self, text: str) -> None:
            self.lines.append(text)

    said = Said()
    masks = new_mask_set(pictures.images, [], None, "none", dataset="toy", px_per_degree=8.0)
    found = fixations_of(masks, pictures.root, asc(tmp_path), said)  # type: ignore[arg-type]
    assert found.x.tolist() == [10, 5, 30]
    assert any("EyeLink .asc" in line for line in said.lines)
    data_viewer(tmp_path).rename(pictures.root / "fixations.csv")  # found beside the pictures
    with pytest.raises(InputError, match="--screen WIDTHxHEIGHT"):
        fixations_of(masks, pictures.root)


REFUSED = {
    "two columns": ("subject;image;picture;x;y\n1;beach;beach;1;1\n", "image may be 'image' or"),
    "two units": ("subject;image;x_px;x_deg;y_px\n1;beach;1;1;1\n", "x may be 'x_deg' or 'x_px'"),
    "mixed units": ("subject;image;x_px;y_deg\n1;beach;1;1\n", "mixed units: 'x_px' is in pixels"),
    "degrees unsaid": ("subject;image;x_deg;y_deg\n1;beach;1;1\n", "is in degrees: --unit deg"),
    "decimals": ("subject;image;x;y\n1;beach;1,5;1\n1;beach;1.5;1\n", "commas and points mixed"),
    "two stems": ("subject;image;x;y\n1;one.bmp;1;1\n", "may be one.jpg or one.png"),
    "zeros": ("subject;image;x;y\n1;7.png;1;1\n", "image '7.png' differs from 007.png by leading"),
    "zeros in subjects": ("subject;image;x;y\n01;beach;1;1\n1;beach;1;1\n", "'01' and '1' differ"),
    "two names": ("subject;image;x;y\n1;a/beach.jpg;1;1\n1;b/beach.jpg;1;1\n", "would both be"),
    "no number": ("subject;image;x;y\n1;beach;one;1\n", "line 2: x is 'one', expected a number"),
    "short row": ("subject;image;x;y\n1;beach;1\n", "line 2 has 3 cells, the header 4"),
    "no subject": ("subject;image;x;y\n;beach;1;1\n", "line 2: no subject"),
    "no image": ("subject;image;x;y\n1;other;1;1\n", "has none of the 5 images"),
    "off": ("subject;image;x;y\n1;beach;50;1\n1;beach;1;1\n1;beach;1;-9\n", "2 of 3 fixations are"),
    "unknown": ("a;b\n1;2\n", "not a known table of fixations (UTF-8)"),
    "empty": ("subject;image;x;y\n", "the table has no rows"),
    "twice": ("subject;image;x;x;y\n1;beach;1;1;1\n", "column 'x' occurs twice"),
    "both eyes": (
        "subject;image;x;y;eye\n1;beach;1;1;L\n1;beach;1;1;R\n",
        "both eyes of subject '1': --eye left or right",
    ),
    "samples": (
        table("Participant name|Gaze point X|Gaze point Y", ["1|2|3"]),
        "holds raw samples: annotate gaze --detect detects their fixations",
    ),
    "sample report": (
        table("RECORDING_SESSION_LABEL|SAMPLE_INDEX|RIGHT_GAZE_X", ["1|2|3"]),
        "sample report: holds raw samples",
    ),
    "scene camera": (
        "id,start_timestamp,duration,start_frame_index,end_frame_index,norm_pos_x,norm_pos_y,"
        "dispersion\n1,1,1,1,1,1,1,1\n",
        "is not on an image: expected fixations_on_surface",
    ),
    "no screen": (
        table("RECORDING_SESSION_LABEL|image|CURRENT_FIX_X|CURRENT_FIX_Y", ["1|beach|1|1"]),
        "positions are pixels of the screen: --screen WIDTHxHEIGHT",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_may_mean_two_things_is_refused(tmp_path: Path, pictures: Stimuli, case: str) -> None:
    for name in ("one.jpg", "one.png", "007.png"):
        Image.new("L", (40, 30)).save(pictures.root / name)
    text, message = REFUSED[case]
    path = tmp_path / "gaze.txt"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_gaze(path, Stimuli.from_folder(pictures.root))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_degrees_need_geometry(tmp_path: Path, pictures: Stimuli) -> None:
    path = tmp_path / "gaze.txt"
    path.write_text("subject;image;x_deg;y_deg\n1;beach;0;0\n1;beach;-0,5;0,25\n")
    degrees = TableFormat(unit="deg")
    with pytest.raises(InputError, match="degrees need --px-per-degree"):
        read_gaze(path, pictures, None, degrees)
    found = read_gaze(path, pictures, 20.0, degrees).fixations
    assert (found.x.tolist(), found.y.tolist()) == ([20, 10], [15, 20])
    report = data_viewer(tmp_path)
    with pytest.raises(InputError, match="no --screen"):
        read_gaze(report, pictures, 20.0, TableFormat(unit="deg", placement=SCREEN.placement))
    path.write_text("subject;image;x_px;y_px\n1;beach;0;0\n")
    with pytest.raises(InputError, match="'x_px' is in pixels, not degrees"):
        read_gaze(path, pictures, 20.0, degrees)


def test_columns_can_be_named(tmp_path: Path, pictures: Stimuli) -> None:
    path = tmp_path / "gaze.txt"
    path.write_text("Who;image;picture;gx;gy;t\n1;x;beach;3;4;9\n")
    columns = {"image": "picture", "subject": "who", "x": "gx", "y": "gy", "duration_ms": "t"}
    gaze = read_gaze(path, pictures, None, TableFormat(columns))
    assert rows(gaze, pictures) == [("beach.jpg", 1, 3, 4, 9)]
    with pytest.raises(InputError, match="no column 'tt' for duration"):
        read_gaze(path, pictures, None, TableFormat({**columns, "duration_ms": "tt"}))


def test_one_eye_counts_where_both_were_recorded(tmp_path: Path, pictures: Stimuli) -> None:
    path = tmp_path / "gaze.txt"
    text = "subject;image;x;y;eye\n1;beach;1;1;L\n1;beach;2;2;R\n2;beach;3;3;LEFT\n"
    path.write_text(text)
    for eye, x, dropped in (("left", [1, 3], 1), ("right", [2, 3], 1)):
        gaze = read_gaze(path, pictures, None, TableFormat(eye=eye))
        assert gaze.fixations.x.tolist() == x
        assert gaze.dropped == {"of the other eye": dropped}
    path.write_text(text.replace("1;beach;2;2;R\n", "3;beach;2;2;R\n"))
    assert read_gaze(path, pictures).fixations.x.tolist() == [1, 2, 3]


def test_a_trial_variable_may_hold_the_image(tmp_path: Path, pictures: Stimuli) -> None:
    path = asc(tmp_path) / "P01.asc"
    text = path.read_text("utf-8")
    text = text.replace("MSG\t1000100 -3 !V IMGLOAD CENTER images/beach.jpg 50 40\n", "")
    ends = "MSG\t1000960 TRIAL_RESULT 0"
    path.write_text(text.replace(ends, f"MSG\t1000955 !V TRIAL_VAR image beach.jpg\n{ends}"))
    gaze = read_gaze(path, pictures)
    assert len(gaze.fixations) == 4  # all of the trial's, as nothing says when it was shown
    assert "image: trial variable of the usual name" in "\n".join(gaze.lines())
    both = f"MSG\t1000955 !V TRIAL_VAR image beach.jpg\nMSG\t1 !V TRIAL_VAR pic x\n{ends}"
    path.write_text(text.replace(ends, both))
    with pytest.raises(InputError, match="image may be 'image' or 'pic'"):
        read_gaze(path, pictures)
    named = TableFormat({"image": "image"})
    assert len(read_gaze(path, pictures, None, named).fixations) == 4
    path.write_text(text)
    with pytest.raises(InputError, match="says no image"):
        read_gaze(path, pictures)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("EFIX L   1000110\t1000309\t200", "EFIX L   x\t1\t2", "line 15: EFIX is malformed"),
        ("DISPLAY_COORDS 0 0 99 79", "DISPLAY_COORDS 5 0 99 79", "does not begin at 0, 0"),
        ("EFIX", "1000 50.0 40.0 800 ...\nXFIX", "raw samples, but no fixation events"),
        (
            "50 40\nEFIX",
            "50 40\nMSG\t1000105 !V IMGLOAD CENTER other.png 20 20\nEFIX",
            "'images/beach.jpg' and 'other.png' were shown at once",
        ),
    ],
)
def test_a_bad_asc_file(
    tmp_path: Path, pictures: Stimuli, old: str, new: str, message: str
) -> None:
    path = asc(tmp_path) / "P01.asc"
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(InputError, match=message):
        read_gaze(path, pictures)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("recording-eye1_physio", '"Units": "pixel"}, "y', '"Units": "deg"}, "y', "mixed units"),
        ("recording-eye1_physio", '"pixel"', '"deg"', "gaze is in 'deg', expected pixel"),
        ("recording-eye1_physio", "gaze-on-screen", "gaze-in-world", "not gaze-on-screen"),
        ("recording-eye1_physio", '"ms"', '"ticks"', "Units is 'ticks', expected s, ms"),
        ("recording-eye1_physio", '"timestamp", "x', '"time", "x', "expected one column 'timest"),
        ("recording-eye1_physio", "-0.5", '"soon"', "StartTime is 'soon', expected seconds"),
        ("recording-eye1_physio", '"ms"', '["ms"]', r"Units is \['ms'\], expected s, ms"),
        ("recording-eye1_physio", ', "pupil_size"]', "]", "cannot be read: ParserWarning"),
        ("recording-eye1_physioevents", '"timestamp"', '"n"', "OnsetSource is 'n'"),
        ("events", '"top", "left"', '"left", "top"', "ScreenOrigin is"),
        ("events", "[100, 80]", "[0, 80]", "ScreenResolution is"),
    ],
)
def test_a_bids_sidecar_that_says_something_else(
    tmp_path: Path, pictures: Stimuli, file: str, old: str, new: str, message: str
) -> None:
    path = bids(tmp_path) / f"task-look_{file}.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        read_gaze(tmp_path / "bids", pictures)


def test_bids_stimuli_that_overlap_are_refused(tmp_path: Path, pictures: Stimuli) -> None:
    path = bids(tmp_path) / "sub-P01/beh/sub-P01_task-look_events.tsv"
    path.write_text(path.read_text().replace("2\t1\trest\tn/a", "0.5\t1\trest\timages/küche.png"))
    with pytest.raises(InputError, match="stimuli overlap in time"):
        read_gaze(tmp_path / "bids", pictures)


def test_a_bids_task_without_images_is_counted(tmp_path: Path, pictures: Stimuli) -> None:
    for who in ("P01", "P02"):
        path = bids(tmp_path) if who == "P01" else tmp_path / "bids"
        events = path / f"sub-{who}/beh/sub-{who}_task-look_events.tsv"
        events.write_text(events.read_text("utf-8").replace("stim_file", "what"), "utf-8")
        if who == "P01":
            gaze = read_gaze(path, pictures)
            assert rows(gaze, pictures) == KEPT[2:]
            assert gaze.dropped["that began while no image was shown"] == 5
    with pytest.raises(InputError, match="none of the 2 images: 7 that began while no image was"):
        read_gaze(tmp_path / "bids", pictures)


@given(
    screen=st.tuples(st.integers(50, 400), st.integers(50, 400)),
    scale=st.sampled_from([0.5, 1.0, 1.7, "fit", "fill"]),
    pixel=st.tuples(st.integers(0, 39), st.integers(0, 29)),
)
def test_a_pixel_is_found_where_it_was_shown(screen: tuple, scale: object, pixel: tuple) -> None:
    """The reference draws the picture: the middle of a pixel's square on the screen."""
    left, top, width, height = Placement(screen, None, scale).rectangles(*np.array([[40], [30]]))[0]
    if scale == "fill":
        assert (left, top, width, height) == (0, 0, *screen)
    else:
        factor = min(screen[0] / 40, screen[1] / 30) if scale == "fit" else scale
        assert (width, height) == pytest.approx((40 * factor, 30 * factor))
        assert (left, top) == pytest.approx(((screen[0] - width) / 2, (screen[1] - height) / 2))
    for start, shown, own, k in ((left, width, 40, pixel[0]), (top, height, 30, pixel[1])):
        middle = start + (k + 0.5) * shown / own - 0.5
        assert to_image(middle, start, shown, own) == pytest.approx(k, abs=1e-9)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("1920", "", ""), "--screen '1920': expected WIDTHxHEIGHT"),
        (("0x10", "", ""), "not a screen's size"),
        (("", "middle", ""), "--image-at 'middle': expected centre or X,Y"),
        (("", "1,nan", ""), "--image-at 'nan'"),
        (("", "", "0"), "--image-scale 0: expected 0.01 to 100"),
        (("", "", "big"), "expected a number, fit or fill"),
    ],
)
def test_a_bad_placement(words: tuple, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_placement(*words)
    assert message in str(caught.value)


def test_a_placement_in_words() -> None:
    assert parse_placement("", "", "") == Placement()
    assert parse_placement("1920x1080", "Center", "1.5") == Placement((1920, 1080), "centre", 1.5)
    assert parse_placement("1920×1080", "12,-3", "fit") == Placement((1920, 1080), (12, -3), "fit")
    assert str(parse_placement("20x10", "", "")) == (
        "images on a 20×10 screen centred (assumed: --image-at), at scale 1"
    )


@given(st.floats(100, 5000), st.floats(0.1, 2), st.floats(0.3, 3))
def test_pixels_per_degree(pixels: float, size: float, distance: float) -> None:
    expected = pixels / (2 * math.degrees(math.atan2(size / 2, distance)))
    if 2 < expected < 500:
        assert px_per_degree(pixels, size, distance) == pytest.approx(expected)


def test_a_distance_in_centimetres_is_refused() -> None:
    with pytest.raises(InputError, match=r"0.52 m seen from 60 m has 3867 pixels per degree"):
        px_per_degree(1920, 0.52, 60)


def test_a_recording_counts_once(tmp_path: Path, pictures: Stimuli) -> None:
    folder = asc(tmp_path)
    one = min(folder.glob("*.asc"))
    copy = one.with_name("copy of it.asc")
    copy.write_bytes(one.read_bytes())
    with pytest.raises(InputError, match=r"has the fixations of .* again; expected each recording"):
        read_gaze(folder, pictures)
    copy.unlink()
    text = one.read_text()
    for other in folder.glob("*.asc"):
        other.unlink()

    def nearer(found: re.Match[str]) -> str:
        return f"{found[1]}{float(found[2]) - 1:.1f}"

    moved = re.sub(r"(\t +)(\d+\.\d)", nearer, text)
    assert moved != text
    for name, content in (("first", text), ("second", moved)):
        (folder / name).mkdir()
        (folder / name / "test.asc").write_text(content)
    with pytest.raises(InputError, match=r"subject 'test' is that of .*: expected another name"):
        read_gaze(folder, pictures)


def test_a_screen_that_the_file_contradicts_is_refused(tmp_path: Path, pictures: Stimuli) -> None:
    wrong = TableFormat(placement=Placement((1280, 1024)))
    with pytest.raises(InputError, match=r"--screen 1280x1024, but the file's is 100x80"):
        read_gaze(bids(tmp_path), pictures, None, wrong)


def test_parts_of_the_screen_are_not_taken_for_pixels(tmp_path: Path, pictures: Stimuli) -> None:
    own = tmp_path / "own.csv"
    lines = [f"beach,{k % 3},0.{k}5,0.{k}1" for k in range(10)]
    own.write_text("\n".join(["image,subject,x,y", *lines]))
    with pytest.raises(InputError, match="all 10 positions lie between -1 and 1: not pixels"):
        read_gaze(own, pictures)
    own.write_text("\n".join(["image,subject,x,y", *lines[:-1], "beach,1,3,4"]))
    assert len(read_gaze(own, pictures).fixations) == 10


def test_our_table_is_read_back_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    Image.new("RGB", (40, 30)).save(folder / "@dog.png")
    table = tmp_path / "in.csv"
    table.write_text("image,subject,x,y\n@dog.png,-1,4,5\n@dog.png,=a,6,7\n")
    out = tmp_path / "out.csv"
    done = CliRunner().invoke(
        app, ["gaze", str(table), "--root", str(folder), "-o", str(out)], catch_exceptions=False
    )
    assert done.exit_code == 0
    assert "'@dog.png" in out.read_text()  # no spreadsheet takes it for a formula
    again = read_gaze(out, Stimuli.from_folder(folder)).fixations
    assert again.subject.tolist() == ["-1", "=a"]
    assert again.x.tolist() == [4, 6]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "{table}"], "is what is read"),
        (["--picture", "{root}/beach.png"], "would be one of the images"),
        (["--picture", "{root}/new.jpg"], "would be one of the images"),
        (["--picture", "gaze.pdf"], "ends in .png or .jpg"),
    ],
)
def test_nothing_that_is_read_is_written_over(
    tmp_path: Path, pictures: Stimuli, options: list[str], message: str
) -> None:
    table = tmp_path / "own.csv"
    table.write_text("image,subject,x,y\nbeach,1,4,5\n")
    filled = [one.format(table=table, root=pictures.root) for one in options]
    with pytest.raises(InputError, match=message):
        CliRunner().invoke(
            app,
            ["gaze", str(table), "--root", str(pictures.root), *filled],
            catch_exceptions=False,
        )
    assert table.read_text().startswith("image,")
    assert len(list(pictures.root.iterdir())) == len(pictures)


def test_names_that_differ_in_what_does_not_matter(tmp_path: Path) -> None:
    for name in ("Tür.png", "b.v2.jpg", "007.png"):
        Image.new("L", (4, 3)).save(tmp_path / name)
    names = Names(Stimuli.from_folder(tmp_path))
    order = [stimulus.file_name for stimulus in names.stimuli]
    for name, meant in {
        unicodedata.normalize("NFD", "Tür.png"): "Tür.png",
        "TÜR.PNG": "Tür.png",
        r"C:\x\tür.png": "Tür.png",
        "b.v2": "b.v2.jpg",
        "B.V2.bmp": "b.v2.jpg",
        "007": "007.png",
    }.items():
        index = names.all([(name, "here")])[name]
        assert index is not None and order[index] == meant, name
    for none in ("b", "b.jpg", "v2.jpg", "", "/", "tür.png/x"):
        assert names.all([(none, "here")])[none] is None, none


def test_our_own_form_takes_a_screen_too(tmp_path: Path, pictures: Stimuli) -> None:
    own = tmp_path / "own.csv"
    own.write_text("image,subject,x,y\nbeach,1,40,45\n")
    found = read_gaze(own, pictures, None, SCREEN)
    assert (found.fixations.x.tolist(), found.fixations.y.tolist()) == ([10], [20])
    assert not found.foreign


def test_the_command_shows_what_it_understood(
    tmp_path: Path, pictures: Stimuli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data_viewer(tmp_path)
    words = ["gaze", "fixations.txt", "--root", "pictures", "--screen", "100x80"]
    ran = CliRunner().invoke(app, [*words, "--picture", "g.png", "-o", "own.csv"])
    assert ran.exit_code == 0, ran.output
    assert "7 rows, 7 fixations; kept 3 of 2 subjects on 2 images" in ran.stdout
    assert "dropped 1: not on one of the images in pictures: break.png" in ran.stdout
    with Image.open("g.png") as picture:
        assert picture.size == (2 * 490 + 10, 360 + 24 + 20)
        red, green, blue = picture.convert("RGB").getpixel((10 + 126, 10 + 246))  # (10, 20) × 12
        assert red > 200 and green < 60 and blue < 110, "a subject's colour"
    own = read_gaze(tmp_path / "own.csv", pictures)
    assert rows(own, pictures) == KEPT
    ran = CliRunner().invoke(app, [*words, "--json"])
    record = json.loads(ran.stdout)
    assert (record["kept"], record["subjects"], record["simulated"]) == (3, ["P01", "P02"], False)


def test_clustering_takes_an_export(
    tmp_path: Path, pictures: Stimuli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data_viewer(tmp_path)
    words = ["cluster", "pictures", "--fixations", "fixations.txt", "--screen", "100x80"]
    words += ["--px-per-degree", "8", "-o", "r.json"]
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 0, ran.output
    assert MaskSet.read(Path("r.json")).fixations.x.tolist() == [10, 5, 30]
    assert "EyeLink Data Viewer, fixation report" in ran.stderr
    assert "4 invalid fixations dropped" in ran.stderr
    ran = CliRunner().invoke(app, [*words[:4], *words[6:]])
    assert isinstance(ran.exception, InputError) and "--screen WIDTHxHEIGHT" in str(ran.exception)

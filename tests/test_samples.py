"""Gaze samples: fixations whose place, start and duration are known are detected in them."""

import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from salprobe.annotate.cli.main import app
from salprobe.datasets.errors import InputError
from salprobe.datasets.gaze.exports import exports
from salprobe.datasets.gaze.placement import Placement
from salprobe.datasets.gaze.read import read_gaze
from salprobe.datasets.gaze.settings import TableFormat
from salprobe.datasets.gaze.understood import Gaze
from salprobe.datasets.stimuli import Stimuli

MS = 4  # between samples
PER_DEGREE = 20.0
METHODS = ("ivt", "idt")
Fixation = tuple[float, float, int]  # x, y, number of samples


@pytest.fixture
def pictures(tmp_path: Path) -> Stimuli:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("beach.png", "kitchen.png"):
        Image.new("L", (400, 300)).save(folder / name)
    return Stimuli.from_folder(folder)


@pytest.fixture
def library() -> object:
    return pytest.importorskip("pymovements", reason="needs salprobe[pymovements]")


def path_of(fixations: Sequence[Fixation], saccade: int = 2) -> np.ndarray:
    """Return (n, 2) samples: fixations with a little noise, and straight saccades between them."""
    noise = np.random.default_rng(0)
    parts: list[np.ndarray] = []
    for k, (x, y, n) in enumerate(fixations):
        if k:
            share = np.arange(1, saccade + 1)[:, None] / (saccade + 1)
            before = np.array(fixations[k - 1][:2])
            parts.append(before * (1 - share) + np.array([x, y]) * share)
        parts.append(np.array([x, y]) + noise.uniform(-0.1, 0.1, (n, 2)))
    return np.concatenate(parts)


def lines(
    image: str, subject: str, samples: np.ndarray, start: float = 5000, ms: float = MS
) -> list[str]:
    return [
        f"{image},{subject},{start + k * ms:.6g},{x:.3f},{y:.3f}".replace("nan", "")
        for k, (x, y) in enumerate(samples)
    ]


def write(path: Path, rows: Sequence[str], header: str = "image,subject,time,x,y") -> Path:
    path.write_text("\n".join((header, *rows)) + "\n", "utf-8")
    return path


def read(path: Path, pictures: Stimuli, method: str = "idt", **options: object) -> Gaze:
    return read_gaze(path, pictures, PER_DEGREE, TableFormat(detect=method, **options))  # type: ignore[arg-type]


def columns(gaze: Gaze) -> list[tuple]:
    found = gaze.fixations
    assert found.start_ms is not None
    each = (found.image_id, found.subject, found.x, found.y, found.start_ms, found.duration_ms)
    return list(zip(*(one.tolist() for one in each), strict=True))


TWO: tuple[Fixation, ...] = ((100, 80, 50), (300, 200, 60))


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("method", METHODS)
def test_known_fixations_are_found(tmp_path: Path, pictures: Stimuli, method: str) -> None:
    other: tuple[Fixation, ...] = ((50, 60, 40), (200, 250, 30), (350, 40, 45))
    rows = lines("beach", "P1", path_of(TWO)) + lines("kitchen", "P1", path_of(other), 9000)
    rows += lines("beach", "P2", path_of(other), 0)
    gaze = read(write(tmp_path / "s.csv", rows), pictures, method)
    expected = []
    for number, subject, fixations in ((1, "P1", TWO), (2, "P1", other), (1, "P2", other)):
        begin = 0
        for x, y, n in fixations:
            expected.append((number, subject, x, y, begin * MS, n * MS))
            begin += n + 2
    # the velocity of a sample is that of the five around it: two at each end are of the saccade
    within = 1 if method == "idt" else 2
    assert len(columns(gaze)) == len(expected)
    for found, known in zip(columns(gaze), expected, strict=True):
        assert found[:4] == known[:4]
        assert abs(found[4] - known[4]) <= within * MS
        assert abs(found[4] + found[5] - (known[4] + known[5])) <= (within + 1) * MS
    text = "\n".join(gaze.lines())
    thresholds = {"ivt": "I-VT, slower than 20° a second", "idt": "I-DT, within 1°"}
    assert f"{thresholds[method]} for at least 100 ms" in text
    assert f"{len(rows)} samples, 0 without a position; 2 recordings, 3 presentations" in text
    assert f"{len(rows)} rows, 8 fixations; kept 8 of 2 subjects on 2 images" in text


def test_thresholds_are_those_of_pymovements(library) -> None:
    from salprobe.datasets.gaze.samples import events

    for method, name, value in (
        ("ivt", "velocity_threshold", events.MOST_VELOCITY),
        ("idt", "dispersion_threshold", events.MOST_DISPERSION),
    ):
        usual = inspect.signature(getattr(library.events.detection, method)).parameters
        assert usual[name].default == value
        assert usual["minimum_duration"].default == events.LEAST_MS


@pytest.mark.usefixtures("library")
def test_a_place_is_that_of_the_samples_inside(tmp_path: Path, pictures: Stimuli) -> None:
    """I-DT's last sample is the first that is too far off: 200 px away, it would move the mean."""
    samples = path_of(((100, 80, 26), (300, 80, 30)), saccade=0)
    gaze = read(write(tmp_path / "s.csv", lines("beach", "1", samples)), pictures)
    assert gaze.fixations.x.tolist() == [100, 300]


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("method", METHODS)
def test_a_gap_ends_a_fixation(tmp_path: Path, pictures: Stimuli, method: str) -> None:
    samples = path_of(((100, 80, 100),))
    samples[50:53] = np.nan
    rows = lines("beach", "1", samples)
    for kept in (rows, [row for k, row in enumerate(rows) if not 50 <= k < 53]):
        gaze = read(write(tmp_path / "s.csv", kept), pictures, method)
        assert [one[4:] for one in columns(gaze)] == [(0, 49 * MS), (53 * MS, 46 * MS)]
        assert "1 gaps" in "\n".join(gaze.lines())
    samples[60::20] = np.nan  # no more than 80 ms between two
    gaze = read(write(tmp_path / "s.csv", lines("beach", "1", samples)), pictures, method)
    assert [one[4:] for one in columns(gaze)] == [(0, 49 * MS)]


@pytest.mark.usefixtures("library")
def test_a_presentation_ends_with_the_image_and_the_clock(
    tmp_path: Path, pictures: Stimuli
) -> None:
    same = path_of(((100, 80, 50),))
    rows = lines("beach", "1", same, 0) + lines("beach", "1", same, 2)  # from 0 again
    rows += lines("kitchen", "1", same, 202)  # at the next sample
    gaze = read(write(tmp_path / "s.csv", rows), pictures)
    assert [(one[0], *one[4:]) for one in columns(gaze)] == [
        (1, 0, 196),
        (1, 0, 196),
        (2, 0, 196),
    ]


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("header", "ms"),
    [("time_s", 0.004), ("timestamp [µs]", 4000), ("Time (ms)", 4), ("t_us", 4000), ("t", 4)],
)
def test_the_unit_of_time_is_in_the_header(
    tmp_path: Path, pictures: Stimuli, header: str, ms: float
) -> None:
    rows = lines("beach", "1", path_of(TWO), 0, ms)
    path = write(tmp_path / "s.csv", rows, f"image,subject,{header},x,y")
    found = columns(read(path, pictures))
    assert [round(one[4]) for one in found] == [0, 52 * MS]


BAD: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "unsorted": (
        lambda rows: [*rows[:40], rows[41], rows[40], *rows[42:]],
        "line 43: time 5160 ms",
    ),
    "unsorted at once": (lambda rows: [rows[1], rows[0], *rows[2:]], "line 3: time 5000 ms after"),
    "backwards": (lambda rows: rows[::-1], "no two samples of one image follow each other in time"),
    "twice": (lambda rows: [*rows[:9], *rows[8:]], "line 11: time 5032 ms after 5032"),
    "no time": (
        lambda rows: [rows[0].replace("5000", "n/a"), *rows[1:]],
        "a sample without a time",
    ),
    "no position": (lambda rows: [f"beach,1,{k},," for k in range(9)], "no sample has a position"),
    "seconds": (
        lambda rows: [f"beach,1,{k * 0.004:g},1,{k}" for k in range(9)],
        "line 2: subject '1': a sample every 0.004 ms, expected 0.2 to 100: time is in",
    ),
    "microseconds": (lambda rows: [f"beach,1,{k * 4000},1,{k}" for k in range(9)], "every 4000 ms"),
    "fractions": (lambda rows: [f"beach,1,{k},0.5,0.{k}" for k in range(20)], "between -1 and 1"),
    "other images": (
        lambda rows: [r.replace("beach", "sea") for r in rows],
        "none of the 2 images",
    ),
}


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("case", BAD)
def test_bad_samples_are_refused(tmp_path: Path, pictures: Stimuli, case: str) -> None:
    change, message = BAD[case]
    path = write(tmp_path / "s.csv", change(lines("beach", "1", path_of(TWO))))
    with pytest.raises(InputError) as caught:
        read(path, pictures)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.usefixtures("library")
def test_what_is_no_table_of_samples_is_refused(tmp_path: Path, pictures: Stimuli) -> None:
    for name, text, message in (
        ("f.csv", "image,subject,x,y\nbeach,1,2,3\n", "no column for time (--columns time=NAME"),
        ("n.csv", "a,b\n1,2\n", "a known table of gaze samples (UTF-8): --columns image=NAME"),
        ("e.csv", "name,onset,offset,location_x,location_y\n", "events: has no samples"),
        ("g.csv", "MEDIA_NAME,BPOGX,BPOGY\nbeach,1,1\n", "in fractions of the screen"),
        ("p.csv", "gaze_timestamp,norm_pos_x,norm_pos_y\n1,1,1\n", "fractions of the scene camera"),
        ("c.csv", "recording id,gaze x [px],gaze y [px]\n1,1,1\n", "in the scene camera's picture"),
        ("r.txt", "RECORDING_SESSION_LABEL\tSAMPLE_INDEX\n1\t1\n", "no column for image"),
        ("r.asc", "x", "expected samples in a .csv, .tsv, .txt file"),
    ):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(InputError) as caught:
            read(path, pictures)
        assert message in str(caught.value)


@pytest.mark.usefixtures("library")
def test_degrees_are_those_of_the_screen(tmp_path: Path, pictures: Stimuli) -> None:
    """A jump of 1.5 degrees: two fixations, or one where the image was shown twice as large."""
    jump = path_of(((100, 80, 50), (130, 80, 50)), saccade=0)
    path = write(tmp_path / "s.csv", lines("beach", "1", jump))
    assert read(path, pictures).fixations.x.tolist() == [100, 130]
    screen = (800, 600)
    on_screen = write(tmp_path / "on.csv", lines("beach", "1", jump * 2 + 0.5))
    for scale in (2, "fit", "fill"):
        gaze = read(on_screen, pictures, placement=Placement(screen, scale=scale))  # type: ignore[arg-type]
        assert gaze.fixations.x.tolist() == [100, 130]
        assert "at 40 pixels per degree" in "\n".join(gaze.lines())
    once = read(path, pictures, placement=Placement(screen, scale=2))
    assert len(once.fixations) == 1
    for placement, message in (
        (Placement(scale="fit"), "positions are pixels of the screen: --screen WIDTHxHEIGHT"),
        (Placement((700, 600), scale="fill"), "shown at scales of 1.75 to 2"),
    ):
        with pytest.raises(InputError, match=message):
            read(path, pictures, placement=placement)
    with pytest.raises(InputError, match="--detect needs --px-per-degree NUMBER"):
        read_gaze(path, pictures, None, TableFormat(detect="idt"))
    in_degrees = write(
        tmp_path / "deg.csv", lines("beach", "1", (jump - [199.5, 149.5]) / PER_DEGREE)
    )
    gaze = read(in_degrees, pictures, unit="deg")
    assert gaze.fixations.x.tolist() == [100, 130]


@pytest.mark.usefixtures("library")
def test_columns_of_both_eyes(tmp_path: Path, pictures: Stimuli) -> None:
    """An EyeLink sample report; a recording of one eye has nothing in the other's columns."""
    header = "RECORDING_SESSION_LABEL\tSAMPLE_INDEX\timage\tTIMESTAMP\tLEFT_GAZE_X\tLEFT_GAZE_Y"
    header += "\tRIGHT_GAZE_X\tRIGHT_GAZE_Y"
    for left in (True, False):
        rows = [
            f"P1\t{k}\tbeach\t{1000 + k * MS}\t"
            + (f"{x - 5:.2f}\t{y:.2f}" if left else ".\t.")
            + f"\t{x:.2f}\t{y:.2f}"
            for k, (x, y) in enumerate(path_of(TWO))
        ]
        path = write(tmp_path / "report.txt", rows, header)
        screen = Placement((400, 300))
        if left:
            with pytest.raises(InputError, match="both eyes of subject 'P1': --eye left or right"):
                read(path, pictures, placement=screen)
            gaze = read(path, pictures, placement=screen, eye="left")
            assert gaze.fixations.x.tolist() == [95, 295]
        gaze = read(path, pictures, placement=screen, eye="right" if left else None)
        assert gaze.fixations.x.tolist() == [100, 300]
        assert "right x: RIGHT_GAZE_X" in "\n".join(gaze.lines())


@pytest.mark.usefixtures("library")
def test_other_programs_samples(tmp_path: Path, pictures: Stimuli) -> None:
    lab = "Recording timestamp [μs]\tSensor\tParticipant name\tPresented Media name"
    lab += "\tPresented Media width [px]\tPresented Media height [px]\tGaze point X [DACS px]"
    lab += "\tGaze point Y [DACS px]\tPresented Media position X (DACSpx)"
    lab += "\tPresented Media position Y (DACSpx)"
    rows = [
        f"{k * 4000}\tEye Tracker\tP1\tbeach.png\t800\t600\t{2 * x + 10:.2f}"
        f"\t{2 * y + 20:.2f}\t10\t20"
        for k, (x, y) in enumerate(path_of(TWO))
    ]
    rows.insert(5, "16500\tMouse\tP1\tbeach.png\t800\t600\t\t\t10\t20")
    gaze = read(write(tmp_path / "lab.tsv", rows, lab), pictures)
    assert gaze.fixations.x.tolist() == [100, 300]
    assert "at 40 pixels per degree" in "\n".join(gaze.lines())
    smi = "Time\tType\tTrial\tStimulus\tParticipant\tL POR X [px]\tL POR Y [px]"
    rows = [
        f"{k * 4000}\tSMP\t1\tbeach.png\tP1\t{x:.2f}\t{y:.2f}"
        if k != 30
        # a blink
        else f"{k * 4000}\tSMP\t1\tbeach.png\tP1\t0.00\t0.00"
        for k, (x, y) in enumerate(path_of(TWO))
    ]
    rows.insert(1, "100\tMSG\t1\tbeach.png\tP1\t\t")
    gaze = read(write(tmp_path / "smi.txt", rows, smi), pictures, placement=Placement((400, 300)))
    assert columns(gaze)[0][2:] == (100, 80, 0, 29 * MS)
    header = "time,pixel_x,pixel_y,image_name,subject_id"
    rows = [f"{k * MS},{x:.2f},{y:.2f},beach,P1" for k, (x, y) in enumerate(path_of(TWO))]
    gaze = read(write(tmp_path / "pm.csv", rows, header), pictures, placement=Placement((400, 300)))
    assert gaze.fixations.x.tolist() == [100, 300]


def test_forms_of_samples_are_complete() -> None:
    for export in exports()[1]:
        if export.samples and not export.refused:
            assert export.time and (export.left or export.right or (export.x and export.y))


@pytest.mark.usefixtures("library")
def test_a_folder_of_recordings(tmp_path: Path, pictures: Stimuli) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    other = ((50, 60, 40), (200, 250, 30))
    write(folder / "a.csv", lines("beach", "P1", path_of(TWO)))
    write(folder / "b.csv", lines("beach", "P2", path_of(other)))
    gaze = read(folder, pictures)
    assert [one[1:4] for one in columns(gaze)] == [
        ("P1", 100, 80),
        ("P1", 300, 200),
        ("P2", 50, 60),
        ("P2", 200, 250),
    ]
    assert "184 samples" in "\n".join(gaze.lines())
    (folder / "c.csv").write_text("image,subject,time,x,y\n")
    with pytest.raises(InputError, match=r"c\.csv: the table has no rows"):
        read(folder, pictures)


@pytest.mark.usefixtures("library")
@settings(max_examples=15, deadline=None)
@given(
    counts=st.lists(st.integers(30, 60), min_size=1, max_size=4),
    ms=st.sampled_from([1.0, 2.0, 3.3, 4.0, 8.3, 16.7]),
    method=st.sampled_from(METHODS),
)
def test_intervals_that_do_not_divide_100_ms(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], ms: float, method: str
) -> None:
    """Fixations of at least 105 ms, 60 px apart (3°), at any interval: as many as there are."""
    folder = tmp_path_factory.mktemp("intervals")
    Image.new("L", (400, 300)).save(folder / "beach.png")
    pictures = Stimuli.from_folder(folder)
    many = [
        (50 + 60 * k, 100 + 60 * (k % 2), round(n * 120 / 30 / ms) + 6)
        for k, n in enumerate(counts)
    ]
    rows = [
        f"beach,1,{k * ms:.4f},{x:.3f},{y:.3f}" for k, (x, y) in enumerate(path_of(many, saccade=0))
    ]
    gaze = read(write(folder / "s.csv", rows), pictures, method)
    assert gaze.fixations.x.tolist() == [x for x, _, _ in many]


def test_without_the_library_one_line_says_what_to_install(
    tmp_path: Path, pictures: Stimuli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pymovements", None)
    path = write(tmp_path / "s.csv", lines("beach", "1", path_of(TWO)))
    words = ["gaze", str(path), "--root", str(pictures.root), "--detect", "idt"]
    with pytest.raises(
        InputError, match=r"^--detect: needs .*pip install 'salprobe\[pymovements\]'"
    ):
        CliRunner().invoke(app, [*words, "--px-per-degree", "20"], catch_exceptions=False)


@pytest.mark.usefixtures("library")
def test_the_command_writes_what_it_detected(tmp_path: Path, pictures: Stimuli) -> None:
    header = "image,subject,when_ms,x,y"
    path = write(tmp_path / "s.csv", lines("beach", "1", path_of(TWO)), header)
    out = tmp_path / "fixations.csv"
    words = ["gaze", str(path), "--root", str(pictures.root), "--px-per-degree", "20"]
    named = [*words, "--columns", "time=when_ms"]
    result = CliRunner().invoke(
        app, [*named, "--detect", "ivt", "-o", str(out)], catch_exceptions=False
    )
    assert "I-VT, slower than 20° a second" in result.output
    again = read_gaze(out, pictures).fixations
    assert columns(read_gaze(out, pictures)) == columns(
        read(path, pictures, "ivt", columns={"time": "when_ms"})
    )
    assert again.x.tolist() == [100, 300]
    with pytest.raises(InputError, match=r"--columns time=…: only samples have one"):
        CliRunner().invoke(app, named, catch_exceptions=False)

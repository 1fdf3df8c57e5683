"""Data frames of pandas and polars are read as the same table in a file."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from exports import CASES, KEPT, SCREEN, data_viewer, pymovements, write_pictures

from salprobe.datasets.errors import InputError
from salprobe.datasets.gaze.read import read_gaze
from salprobe.datasets.gaze.settings import TableFormat
from salprobe.datasets.gaze.understood import Gaze
from salprobe.datasets.stimuli import Stimuli


@pytest.fixture
def pictures(tmp_path: Path) -> Stimuli:
    write_pictures(tmp_path / "pictures")
    return Stimuli.from_folder(tmp_path / "pictures")


def columns(gaze: Gaze) -> dict[str, list]:
    return gaze.fixations.to_columns()


def with_location(table: pd.DataFrame, empty: object) -> pd.DataFrame:
    """Return events whose place is a list, as pymovements writes it."""
    pairs = zip(table.pop("location_x"), table.pop("location_y"), strict=True)
    table["location"] = pd.Series(
        [[x, y] if x == x else empty for x, y in pairs], dtype=object, index=table.index
    )
    return table


@pytest.mark.parametrize("listed", [False, True])
def test_events_in_a_frame_are_those_of_the_file(
    tmp_path: Path, pictures: Stimuli, listed: bool
) -> None:
    path = pymovements(tmp_path)
    known = read_gaze(path, pictures, None, SCREEN)
    table = pd.read_csv(path)
    if listed:
        table = with_location(table, [np.nan, np.nan])
    gaze = read_gaze(table, pictures, None, SCREEN)
    assert columns(gaze) == columns(known)
    assert gaze.fixations.x.tolist() == [row[2] for row in KEPT]
    assert dict(gaze.dropped) == dict(known.dropped)
    assert gaze.form == "data frame: pymovements, events"
    if not listed:  # the same columns
        said = [line.replace("UTF-8, commas", "a data frame") for line in known.lines()]
        assert gaze.lines()[1:] == said[1:]


@pytest.mark.parametrize("empty", [None, np.nan, [None, None]])
def test_a_location_may_be_missing(pictures: Stimuli, empty: object) -> None:
    table = pd.DataFrame({"location": pd.Series([[40.0, 45.0], empty], dtype=object)})
    table = table.assign(name="fixation", onset=0, offset=9, subject=1, image="beach.jpg")
    gaze = read_gaze(table, pictures, None, SCREEN)
    assert (columns(gaze)["x"], dict(gaze.dropped)) == ([10], {"without a position": 1})


def test_an_export_in_a_frame(tmp_path: Path, pictures: Stimuli) -> None:
    table = pd.read_csv(data_viewer(tmp_path), sep="\t")
    known = read_gaze(tmp_path / "fixations.txt", pictures, None, CASES["Data Viewer"].settings)
    assert columns(read_gaze(table, pictures, None, SCREEN)) == columns(known)


def test_our_own_form_in_a_frame_is_read_strictly(tmp_path: Path, pictures: Stimuli) -> None:
    table = pd.DataFrame(
        {
            "image": ["beach.jpg", "beach.jpg", "küche.png"],
            "subject": [1, 1, 2],
            "x": [10.4, 5, 30],
            "y": [20, 5, 12],
            "duration_ms": [200, None, 300],
            "order": [1, 3, 1],
            "start_ms": [0.0, 400.0, 0.0],
        }
    )
    path = tmp_path / "own.csv"
    table.to_csv(path, index=False)
    assert columns(read_gaze(table, pictures)) == columns(read_gaze(path, pictures))
    assert read_gaze(table, pictures).fixations.subject.tolist() == [1, 1, 2]
    assert not read_gaze(table, pictures).foreign
    shuffled = table.set_index(pd.Index([7, 7, 1]))
    assert columns(read_gaze(shuffled, pictures)) == columns(read_gaze(path, pictures))
    named = read_gaze(table.rename(columns={"x": "gx"}), pictures, None, TableFormat({"x": "gx"}))
    assert columns(named) == columns(read_gaze(path, pictures))
    with pytest.raises(InputError, match=r"^data frame: row 2: the fixation .* is outside"):
        read_gaze(table.assign(x=[1, 99, 1]), pictures)
    names = table.assign(image=["#beach.jpg", "'=1", "x"])  # a comment, a formula in a text file
    with pytest.raises(InputError, match=r"row 1: image .#beach\.jpg. is not in"):
        read_gaze(names, pictures)


def test_what_is_no_table_of_gaze_is_refused(pictures: Stimuli) -> None:
    twice = pd.DataFrame([[1, 2]], columns=["x", "x"])
    wrong: list[tuple[Any, str]] = [
        (3, "expected a path or a frame of pandas or polars, got int"),
        ({"x": [1]}, "got dict"),
        (np.zeros((2, 2)), "got ndarray"),
        (twice, "^data frame: column 'x' occurs twice"),
        (pd.DataFrame({"a": [1]}), "^data frame: not a known table of fixations"),
        (pd.DataFrame({"location": [[1, 2, 3]]}), "line 1: location is no pair of x and y"),
        (
            pd.DataFrame({"image": ["beach"], "subject": [1], "X": ["one"], "Y": [1]}),
            "^data frame: line 1: X is 'one', expected a number",
        ),
        (
            pd.DataFrame({"image": [], "subject": [], "X": [], "Y": []}),
            "^data frame: the table has no rows",
        ),
    ]
    for frame, message in wrong:
        with pytest.raises(InputError, match=message):
            read_gaze(frame, pictures)


def test_events_as_pymovements_makes_them(pictures: Stimuli) -> None:
    pm = pytest.importorskip("pymovements", reason="needs salprobe[pymovements]")
    polars = pytest.importorskip("polars")
    pixel = np.repeat([[40.0, 45.0], [60.0, 50.0]], [60, 80], axis=0)
    samples = polars.DataFrame(
        {
            "time": np.arange(140) * 4,
            "x": pixel[:, 0],
            "y": pixel[:, 1],
            "image": ["beach.jpg"] * 140,
            "subject": ["P1"] * 140,
        }
    )
    gaze = pm.Gaze(
        samples, pixel_columns=["x", "y"], time_column="time", time_unit="ms",
        trial_columns=["image", "subject"],
        experiment=pm.Experiment(100, 80, 10, 8, 60, "upper left", sampling_rate=250),
    )  # fmt: skip
    gaze.pix2deg()
    gaze.pos2vel()
    gaze.detect("ivt")
    gaze.compute_event_properties(("location", {"position_column": "pixel"}))
    for frame in (gaze.events.frame, gaze.events.frame.to_pandas()):
        found = read_gaze(frame, pictures, None, SCREEN)
        assert found.form == "data frame: pymovements, events"
        assert columns(found)["x"] == [10, 30]
        assert columns(found)["y"] == [20, 25]
        assert columns(found)["duration_ms"] == gaze.events.frame["duration"].to_list()
    whole = samples.rename({"x": "X"})  # and its samples
    detected = read_gaze(
        whole, pictures, 20.0, TableFormat(detect="ivt", placement=SCREEN.placement)
    )
    assert columns(detected)["x"] == [10, 30]

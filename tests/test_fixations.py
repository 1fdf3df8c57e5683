"""Fixations: which one of its scanpath each is, and when it began."""

from pathlib import Path

import numpy as np
import pytest

from salprobe.datasets.errors import InputError
from salprobe.datasets.fixations import Fixations
from salprobe.datasets.gaze.read import read_gaze
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.stimuli import Stimuli

# Two subjects on two stimuli; a's rows on 1 are torn apart by b's.
COLUMNS = {
    "image_id": [1, 1, 1, 2, 1, 1],
    "subject": ["a", "b", "a", "a", "a", "b"],
    "x": [1, 2, 3, 4, 5, 6],
    "y": [0, 0, 0, 0, 0, 0],
    "duration_ms": [100, 10, 200, 50, 400, 20],
}


def test_order_and_time_are_counted_within_a_scanpath() -> None:
    gaze = Fixations.from_columns(COLUMNS)
    assert gaze.orders().tolist() == [1, 1, 2, 1, 3, 2]
    assert gaze.starts().tolist() == [0, 0, 100, 0, 300, 10]
    assert gaze.columns() == ("image_id", "subject", "x", "y", "duration_ms")
    empty = gaze.where(np.zeros(6, dtype=bool))
    assert len(empty.orders()) == len(empty.starts()) == 0


def test_what_is_left_out_leaves_the_others_their_order() -> None:
    gaze = Fixations.from_columns(COLUMNS)
    kept = gaze.leave_out(np.array([0, 0, 1, 0, 0, 0], dtype=bool))
    assert kept.orders().tolist() == [1, 1, 1, 3, 2]
    assert kept.of(1).orders().tolist() == [1, 1, 3, 2]
    assert Fixations.from_columns(kept.to_columns()).orders().tolist() == [1, 1, 1, 3, 2]
    np.testing.assert_array_equal(kept.starts(), [0, 0, 0, np.nan, 10])  # what it took is gone
    last = gaze.leave_out(np.array([0, 0, 0, 0, 1, 0], dtype=bool))
    assert last.order is None, "the rows still tell it"
    assert kept.sha256() == Fixations(**{n: getattr(kept, n) for n in COLUMNS}).sha256()


def test_the_order_of_a_column_holds_not_that_of_the_rows() -> None:
    gaze = Fixations.from_columns({**COLUMNS, "order": [3, 1, 1, 1, 2, 2]})
    assert gaze.starts().tolist() == [600, 0, 0, 0, 200, 10]
    timed = Fixations.from_columns({**COLUMNS, "start_ms": [5, None, 150, 0, 700, 30]})
    np.testing.assert_array_equal(timed.starts(), [5, np.nan, 150, 0, 700, 30])
    assert timed.to_columns()["start_ms"] == [5, None, 150, 0, 700, 30]


def test_an_unknown_duration_makes_later_times_unknown() -> None:
    gaze = Fixations.from_columns({**COLUMNS, "duration_ms": [100, 10, None, 50, 400, 20]})
    np.testing.assert_array_equal(gaze.starts(), [0, 0, 100, 0, np.nan, 10])


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("order", [1, 1, 2, 1, 2, 2], r"order\[4\]: the subject has a fixation 2"),
        ("order", [0, 1, 2, 1, 3, 2], r"order\[0\]: expected 1 or more, got 0"),
        ("order", [1, 1, 2.5, 1, 3, 2], r"order\[2\]: expected a whole number"),
        ("start_ms", [-1, 1, 2, 1, 3, 2], r"start_ms\[0\]: expected 0 or more, got -1"),
        ("order", [1], "columns differ in length"),
    ],
)
def test_malformed_columns_are_refused(column: str, values: list, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Fixations.from_columns({**COLUMNS, column: values})


def test_our_own_table_and_the_mask_file_keep_both(small_world: Path, tmp_path: Path) -> None:
    stimuli = Stimuli.from_folder(small_world)
    table = tmp_path / "gaze.csv"
    table.write_text("image,subject,x,y,order,start_ms\n1.png,a,1,1,2,250\n1.png,a,9,9,1,0\n")
    gaze = read_gaze(table, stimuli).fixations
    assert gaze.orders().tolist() == [2, 1]
    assert gaze.starts().tolist() == [250, 0]
    masks = MaskSet.read(small_world / "masks.json")
    content = masks.to_dict()
    content["fixations"] = gaze
    MaskSet.from_dict(content).write(tmp_path / "m.json")
    again = MaskSet.read(tmp_path / "m.json").fixations
    assert again is not None
    assert again.to_columns() == gaze.to_columns()

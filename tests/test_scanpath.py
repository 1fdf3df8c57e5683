"""Scanpaths in the label review: numbers, durations, one subject or all, and the replay."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from textual.widgets import Static

from salprobe.annotate.review.journal import Review
from salprobe.datasets.fixations import Fixations
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.stimuli import Stimuli
from salprobe.tui.frame.picture import HalfCells, Mark, _marked
from salprobe.tui.labels.review import LabelReview
from salprobe.tui.stimulus.canvas import Canvas
from salprobe.tui.stimulus.scanpath import colours_of, marks, onsets, ordinals, told, trace

# Subject b looks once between a's three fixations.
FIXATIONS = Fixations(
    np.ones(4, dtype=int),
    np.array(["a", "b", "a", "a"]),
    np.array([10, 50, 40, 90]),
    np.array([20, 30, 20, 60]),
    np.array([300.0, np.nan, 100.0, 1000.0]),
)
WHOLE = (0.0, 0.0, 100.0, 80.0)


def test_each_subjects_fixations_are_numbered_and_begin_one_after_another() -> None:
    assert ordinals(FIXATIONS).tolist() == [1, 1, 2, 3]
    assert onsets(FIXATIONS).tolist() == [0, 0, 300, 400]
    unknown = FIXATIONS.where(np.array([1, 1]))
    assert onsets(unknown).tolist() == [0, 250]
    assert told(FIXATIONS.where(FIXATIONS.subject == "a"), "a") == "subject a: 3 fixations, 1.4 s"
    assert told(FIXATIONS, None) == "all 2 subjects: 4 fixations"


def test_a_path_is_drawn_with_circles_as_large_as_the_durations() -> None:
    own = FIXATIONS.where(FIXATIONS.subject == "a")
    colours = colours_of(own)
    shown = np.asarray(trace(Image.new("RGB", (400, 320)), own, colours, WHOLE))
    filled = (shown == colours[0]).all(axis=-1)
    assert filled[82, 100]  # on the line from the first to the second
    # Radii: 8 pixels times the root of the duration over 250 ms.
    for x, y, radius in ((42, 82, 8.76), (362, 242, 16)):
        across = filled[y, max(0, x - 40) : x + 30]
        assert filled[y - int(radius) + 2, x] and not filled[y - int(radius) - 3, x]
        assert across.any()
    assert (colours_of(FIXATIONS)[0] != colours_of(FIXATIONS)[1]).any()


def test_numbers_outside_what_is_shown_are_left_out() -> None:
    numbers = marks(FIXATIONS, ordinals(FIXATIONS), colours_of(FIXATIONS), (0, 0, 50, 40))
    assert [(mark.text, round(mark.x, 2)) for mark in numbers] == [("1", 0.21), ("2", 0.81)]


def test_marks_are_letters_in_cells_and_drawn_in_pixels() -> None:
    mark = Mark(0.99, 0.5, "12", (255, 217, 47))
    cells = HalfCells()
    cells.refresh = lambda: cells
    cells.show(Image.new("RGB", (10, 6)), [mark])
    assert [strip.text for strip in cells._rows] == ["▀" * 10, "▀" * 8 + "12", "▀" * 10]
    black = Image.new("RGB", (100, 60))
    assert (np.asarray(_marked(black, [Mark(0.1, 0.5, "12", (255, 217, 47))], 20)) > 200).any()
    assert _marked(black, [], 20) is black


@pytest.fixture
def app(small_world: Path, tmp_path: Path) -> LabelReview:
    path = tmp_path / "masks.json"
    content = MaskSet.read(small_world / "masks.json").to_dict()
    columns = content["fixations"]
    first = [k for k, image in enumerate(columns["image_id"]) if image == 1]
    for k in first:
        columns["subject"][k] = k % 2
    MaskSet.from_dict(content).write(path)
    return LabelReview(Review(path), Stimuli(small_world, tuple(MaskSet.read(path).images)))


def numbers(app: LabelReview) -> list[str]:
    """Return the numbers that the picture shows."""
    text = "".join(strip.text for strip in app.query_one(Canvas).query_one(HalfCells)._rows)
    return sorted(text.replace("▀", " ").split())


async def test_a_subjects_path_is_chosen_and_hidden(app: LabelReview) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("p")
        assert "all 2 subjects: 8 fixations, 1.6 s" in str(app.query_one("#head", Static).render())
        await pilot.press("greater_than_sign")
        assert "subject 0: 4 fixations, 0.8 s" in str(app.query_one("#head", Static).render())
        assert numbers(app) == ["1", "2", "3", "4"]
        await pilot.press("less_than_sign", "less_than_sign")
        assert "subject 1:" in str(app.query_one("#head", Static).render())
        await pilot.press("right_square_bracket")  # each of its eight subjects looked once
        assert numbers(app) == ["1"]
        await pilot.press("p")
        assert numbers(app) == []


async def test_a_path_is_replayed(app: LabelReview, monkeypatch: pytest.MonkeyPatch) -> None:
    times = [100.0]
    monkeypatch.setattr("salprobe.tui.stimulus.canvas.monotonic", lambda: times[-1])
    app.animation_level = "none"
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("greater_than_sign", "space")
        canvas = app.query_one(Canvas)
        assert numbers(app) == ["1"]
        for now, shown in ((100.25, 2), (100.65, 4)):
            times.append(now)
            canvas._tick()
            await pilot.pause()
            assert numbers(app) == ["1", "2", "3", "4"][:shown]
        assert canvas._replay is None  # it is over
        times.append(100.0)
        await pilot.press("space", "space")  # stopped at once: the whole path
        assert numbers(app) == ["1", "2", "3", "4"]

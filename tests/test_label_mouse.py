"""The label review by mouse: regions, fixations and the legend; a real terminal too."""

import sys
from pathlib import Path

import numpy as np
import pytest
from textual.widgets import Static
from tmux import Tmux, needs_tmux, running

from salprobe.annotate.review.journal import Review
from salprobe.datasets.fixations import Fixations
from salprobe.datasets.masks.annotation import Annotation
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.stimuli import Stimuli, Stimulus
from salprobe.tui.labels.legend import Legend
from salprobe.tui.labels.review import LabelReview
from salprobe.tui.stimulus.canvas import Canvas
from salprobe.tui.stimulus.pointing import described, fixation_at, regions_at

STIMULUS = Stimulus(id=1, file_name="1.png", width=96, height=72)


@pytest.fixture
def app(small_world: Path, tmp_path: Path) -> LabelReview:
    path = tmp_path / "masks.json"
    path.write_bytes((small_world / "masks.json").read_bytes())
    return LabelReview(Review(path), Stimuli(small_world, tuple(MaskSet.read(path).images)))


def box(number: int, left: int, top: int, right: int, bottom: int) -> Annotation:
    corners = [left, top, right, top, right, bottom, left, bottom]
    size = (right - left) * (bottom - top)
    return Annotation(id=number, image_id=1, category_id=1, segmentation=[corners], area=size)


def spot(app: LabelReview, x: float, y: float) -> tuple[int, int]:
    """Return the cell of the picture, which is centred, that shows a point of the stimulus."""
    width, height = app.query_one(Canvas).size
    scale = min(width / 96, 2 * height / 72)
    columns, rows = round(96 * scale), round(36 * scale)
    left, top = (width - columns) // 2, (height - rows) // 2
    return left + int(x / 96 * columns), top + int(y / 72 * rows)


async def test_a_click_selects_the_region_below_it(app: LabelReview) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        assert app.region == 1
        for x, region in ((70, 2), (48, 2), (25, 1), (60, 2)):  # 48 lies between both
            await pilot.click(Canvas, offset=spot(app, x, 30))
            await pilot.pause()
            assert app.region == region
        await pilot.press("z")  # zoomed to region 2, all that is shown is around it
        await pilot.click(Canvas, offset=spot(app, 48, 36))
        await pilot.pause()
        assert app.region == 2


async def test_a_click_in_the_legend_labels(app: LabelReview) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        shown = "".join(one.text for one in app.query_one(Legend).render_line(0))
        await pilot.click(Legend, offset=(shown.index("object") + 2, 0))
        await pilot.pause()
        assert app.editor.category(app.editor.regions[1]) == "object"
        assert app.region == 2
        await pilot.click(Legend, offset=(99, 0))  # beside the last one
        assert app.region == 2


async def test_a_click_on_a_fixation_says_whose_it_is(app: LabelReview) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        one = app.editor.fixations.of(1)
        cell = spot(app, one.x[3] + 0.5, one.y[3] + 0.5)
        await pilot.click(Canvas, offset=cell)
        assert "subject" not in str(app.query_one("#head", Static).render())
        await pilot.press("d")
        await pilot.click(Canvas, offset=cell)
        await pilot.pause()
        said = str(app.query_one("#head", Static).render())
        assert "fixation 1 of 1, 200 ms" in said and "subject" in said


def test_the_smallest_region_below_a_cell_comes_first() -> None:
    regions = [box(1, 0, 0, 90, 70), box(2, 10, 10, 20, 20), box(3, 40, 10, 42, 12)]
    assert regions_at(regions, STIMULUS, (14, 14, 16, 16)) == [2, 1]
    assert regions_at(regions, STIMULUS, (60, 30, 64, 34)) == [1]
    assert regions_at(regions[1:], STIMULUS, (38, 8, 48, 18)) == [3]  # beside its centre
    assert regions_at(regions[1:], STIMULUS, (80, 60, 96, 72)) == []


def test_the_nearest_fixation_and_what_is_said_of_it() -> None:
    columns = np.array([1, 1, 1, 1]), np.array(["a", "b", "a", "a"])
    place = np.array([10, 20, 30, 90]), np.array([10, 20, 30, 60])
    fixations = Fixations(*columns, *place, np.array([100, 150, 250.4, np.nan]))
    assert fixation_at(fixations, (26, 28, 30, 32)) == 2
    assert fixation_at(fixations, (50, 50, 54, 54)) is None
    assert fixation_at(fixations.where(np.zeros(4, dtype=bool)), (0, 0, 9, 9)) is None
    assert described(fixations, 2) == "subject a, fixation 2 of 3, 250 ms"
    assert described(fixations, 3) == "subject a, fixation 3 of 3"


@pytest.mark.slow
@needs_tmux
def test_clicks_in_a_real_terminal(app: LabelReview, small_world: Path, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("annotate")
    words = (program, "review", app.review.path, "--root", small_world)
    with running(tmp_path, (100, 30), *words) as tmux:
        shown = tmux.wait_for("▀", "5  object", "6  text")
        press(tmux, *place(shown, "5  object"))
        tmux.wait(lambda shown: "■ object" in shown and "not saved" not in shown)
        press(tmux, 35, 12)  # the left region again
        press(tmux, *place(shown, "6  text"))
        tmux.wait(lambda shown: "■ object" not in shown and "not saved" not in shown)
    regions = Review(app.review.path).editor.regions
    assert [regions[number].category_id for number in (1, 2)] == [6, 6]


def place(shown: str, text: str) -> tuple[int, int]:
    """Return the column and the row of a text."""
    lines = shown.splitlines()
    row = next(k for k, line in enumerate(lines) if text in line)
    return lines[row].index(text) + 4, row


def press(tmux: Tmux, column: int, row: int) -> None:
    """Press and release the mouse's button, in SGR's coordinates, which begin at 1."""
    for end in "Mm":
        tmux("send-keys", "-l", f"\x1b[<0;{column + 1};{row + 1}{end}")

"""Outlines in the label review, by keys and by mouse; a real terminal too."""

import sys
from pathlib import Path

import pytest
from textual.widgets import Static
from tmux import needs_tmux, running

from salprobe.annotate.review.journal import Review
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.stimuli import Stimuli
from salprobe.tui.labels.review import LabelReview
from salprobe.tui.outlines.screen import Outlines
from salprobe.tui.stimulus.canvas import Canvas


@pytest.fixture
def path(small_world: Path, tmp_path: Path) -> Path:
    target = tmp_path / "masks.json"
    target.write_bytes((small_world / "masks.json").read_bytes())
    return target


@pytest.fixture
def app(path: Path, small_world: Path) -> LabelReview:
    return LabelReview(Review(path), Stimuli(small_world, tuple(MaskSet.read(path).images)))


def said(app: LabelReview) -> str:
    return str(app.screen.query_one("#draft", Static).render())


async def test_a_region_is_drawn_labelled_and_undone(app: LabelReview, path: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        before = len(app.editor.of(1))
        await pilot.press("c")
        assert isinstance(app.screen, Outlines)
        assert "24×18 px at 36, 27; 4 corners" in said(app)
        await pilot.press("full_stop", "full_stop", "full_stop", "right", "up", "L", "shift+down")
        assert "32×26 px at 44, 19" in said(app)
        await pilot.press("minus", "plus", "u")
        assert "16×10 px at 52, 27" in said(app)
        await pilot.press("3")  # no key of a category counts here
        await pilot.press("z", "d", "question_mark")
        assert "shift and arrows" in app.export_screenshot().replace("&#160;", " ")
        await pilot.press("escape")
        await pilot.pause()  # until the list of keys is gone
        await pilot.press("enter")
        (new,) = set(app.editor.regions) - {one.id for one in MaskSet.read(path).annotations}
        assert app.region == new
        assert len(app.editor.of(1)) == before + 1
        assert app.editor.regions[new].bbox == [52, 27, 16, 10]
        await pilot.press("6")
        assert app.editor.category(app.editor.regions[new]) == "text"
        await pilot.press("u", "u")
        assert new not in app.editor.regions
        assert app.region in app.numbers()
        await pilot.press("r", "r", "q")
    saved = {one.id: one for one in MaskSet.read(path).annotations}
    assert (saved[new].category_id, saved[new].area) == (6, 160)


async def test_an_outline_is_changed_or_left(app: LabelReview) -> None:
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.pause()
        outline = app.editor.regions[1].segmentation
        await pilot.press("o", "right", "s", "s", "escape")
        assert app.editor.regions[1].segmentation == outline
        await pilot.press("o", "enter")  # nothing was changed
        assert not app.editor.done
        left = app.editor.regions[1].bbox[0]
        await pilot.press("o", "right", "right", "enter")
        assert app.editor.regions[1].bbox[0] == left + 2
        assert app.editor.done[-1].what == "outline"
        assert "outline: region 1" in str(app.query_one("#head", Static).render())
        await pilot.press("o", "H", "e")  # no box; Label Studio's command
        await pilot.pause()
        shown = app.export_screenshot().replace("&#160;", " ")
        assert "this is no box" in shown
        assert "annotate push" in shown


async def test_the_mouse_draws_a_box_and_moves_an_outline(app: LabelReview) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        canvas = app.query_one(Canvas)
        await pilot.mouse_down(canvas, offset=(20, 5))
        await pilot.hover(canvas, offset=(30, 9))
        await pilot.mouse_up(canvas, offset=(30, 9))
        await pilot.pause()
        assert isinstance(app.screen, Outlines)
        first = app.screen.query_one(Canvas).drafts[0].bbox
        assert first[2] > 5 and first[3] > 5
        await pilot.press("enter")
        assert app.editor.regions[app.region or 0].bbox == first
        await pilot.press("o")
        canvas = app.screen.query_one(Canvas)
        await pilot.mouse_down(canvas, offset=(50, 10))
        await pilot.mouse_up(canvas, offset=(60, 10))
        await pilot.pause()
        moved = canvas.drafts[0].bbox
        assert moved[0] > first[0] + 5
        assert moved[1:] == first[1:]


async def test_an_image_without_regions_gets_one(path: Path, small_world: Path) -> None:
    content = MaskSet.read(path).to_dict()
    content["annotations"] = []
    MaskSet.from_dict(content).write(path)
    app = LabelReview(Review(path), Stimuli(small_world, tuple(MaskSet.read(path).images)))
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("c", "enter", "1")
        assert [one.category_id for one in app.editor.of(1)] == [1]


@pytest.mark.slow
@needs_tmux
def test_an_outline_in_a_real_terminal(path: Path, small_world: Path, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("annotate")
    words = (program, "review", path, "--root", small_world)
    with running(tmp_path, (80, 24), *words) as tmux:
        tmux.wait_for("▀", "New")
        tmux.keys("c")
        tmux.wait_for("new region  step 1 px  24×18 px at 36, 27", "? Keys", "u Undo")
        tmux.keys("Right", "Down", "S-Right", "J", "+")
        tmux.wait_for("27×21 px at 36, 27")
        tmux.keys("Enter")
        tmux.wait_for("add: region")
        tmux.keys("2")
        tmux.wait_for("person part")
        tmux.keys("q")
        tmux.wait(lambda _: not Review(path).recovered)
    regions = list(Review(path).editor.regions.values())
    assert regions[-1].bbox == [36, 27, 27, 21]
    assert regions[-1].category_id == 2

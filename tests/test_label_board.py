"""The board of the label review: counts, thumbnails, several labels at once."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from textual.widgets import DataTable, Static

from salprobe.annotate.review.editing import Editor
from salprobe.annotate.review.journal import Review
from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.stimuli import Stimuli
from salprobe.tui.frame.mosaic import Mosaic, tiled
from salprobe.tui.labels.board import Board
from salprobe.tui.labels.review import LabelReview


@pytest.fixture
def app(small_world: Path, tmp_path: Path) -> LabelReview:
    path = tmp_path / "masks.json"
    path.write_bytes((small_world / "masks.json").read_bytes())
    return LabelReview(Review(path), Stimuli(small_world, tuple(MaskSet.read(path).images)))


def labels(app: LabelReview) -> dict[int, str]:
    return {number: app.editor.category(one) for number, one in app.editor.regions.items()}


def counts(board: Board) -> dict[str, str]:
    table = board.query_one(DataTable)
    rows = [table.get_row_at(k) for k in range(table.row_count)]
    return {str(row[0]).removeprefix("■ "): str(row[1]) for row in rows}


async def loaded(app: LabelReview, pilot) -> None:
    while any(one.group == "thumbnails" and not one.is_finished for one in app.workers):
        await pilot.pause(0.02)
    await pilot.pause()


async def test_several_regions_get_a_label_at_once_and_lose_it_again(app: LabelReview) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("b")
        board = app.screen
        assert isinstance(board, Board)
        await loaded(app, pilot)
        assert counts(board)["text"] == "6" and counts(board)["person head"] == "3"
        assert "12 of 12 labelled (100%)" in str(board.query_one("#said", Static).render())
        await pilot.press(*["down"] * 5, "enter")
        await loaded(app, pilot)
        mosaic = board.query_one(Mosaic)
        assert mosaic.has_focus and board._numbers == [2, 4, 6, 8, 10, 12]
        await pilot.press("space", "right", "space", "5")  # the first and the third
        assert [number for number, name in labels(app).items() if name == "object"] == [2, 6]
        assert board._numbers == [4, 8, 10, 12] and not mosaic.marked
        assert counts(board)["object"] == "2"
        assert "2 regions: object" in str(board.query_one("#said", Static).render())
        await pilot.press("u")
        assert "object" not in labels(app).values()
        assert "undo: object, 2 regions" in str(board.query_one("#said", Static).render())
        await pilot.press("r", "u")
        assert board._numbers == [2, 4, 6, 8, 10, 12]
        await pilot.press("home", "pageup", "right", "1")  # without a mark: the current one
        assert labels(app)[4] == "person head"
        await pilot.press("enter")  # the one now in its place
        assert app.region == 6 and not isinstance(app.screen, Board)
    assert [edit.what for edit in Review(app.review.path).editor.done] == ["person head"]


async def test_the_way_back_and_a_category_without_regions(app: LabelReview) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("b", "down", "down", "down")  # animal part
        await pilot.pause()
        board = app.screen
        shown = str(board.query_one(Mosaic).query_one(Static).render())
        assert shown == "no region is animal part"
        await pilot.press("enter", "space", "5", "enter", "left", "pagedown", "u", "tab", "5")
        assert app.screen is board and not app.editor.done
        await pilot.press("escape")
        assert not isinstance(app.screen, Board)


async def test_a_thumbnail_is_chosen_with_the_mouse(app: LabelReview) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("b", *["down"] * 5)
        await loaded(app, pilot)
        mosaic = app.screen.query_one(Mosaic)
        width = mosaic.size.width
        await pilot.click(Mosaic, offset=(width - 3, 2))
        await pilot.pause()
        assert mosaic.place == width // 16 - 1


async def test_missing_images_are_grey(app: LabelReview, tmp_path: Path) -> None:
    app.stimuli = Stimuli(tmp_path / "nowhere", app.stimuli.images)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("b")
        await loaded(app, pilot)
        mosaic = app.screen.query_one(Mosaic)
        assert mosaic._pictures[0].getextrema() == ((0x50, 0x50),) * 3


def test_one_edit_labels_several(small_world: Path) -> None:
    editor = Editor(MaskSet.read(small_world / "masks.json"))
    before = dict(editor.regions)
    editor.do(editor.label_all([3, 1], "object"))
    assert [editor.regions[k].category_id for k in (1, 2, 3)] == [5, 6, 5]
    assert [one.id for one in editor.of(1)] == [1, 2]
    editor.undo()
    assert editor.regions == before
    with pytest.raises(InputError, match="no category 'dog'"):
        editor.label_all([1], "dog")


def test_tiles_keep_proportions_and_show_what_is_marked() -> None:
    red = Image.new("RGB", (40, 10), "#ff0000")
    shown = np.asarray(tiled([red, None, red], (2, 2), (80, 80), 0, {2}))
    assert (shown[0, :40] == 255).all()  # the current one's border
    assert tuple(shown[40, 5]) == (255, 204, 0)
    assert tuple(shown[20, 70]) == (0x30, 0x30, 0x30)
    filled = (shown[1:39, 1:39] == (255, 0, 0)).all(axis=-1)
    assert filled.any(axis=0).sum() == 38 and filled.any(axis=1).sum() == 10
    assert not shown[41:79, 41:].any()

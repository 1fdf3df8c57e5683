"""The label review's queue of suggestions, its picker of categories and its first hints."""

from pathlib import Path

import pytest
from textual.widgets import DataTable, OptionList, Select, Static

from salprobe.annotate.review.journal import Review
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.stimuli import Stimuli
from salprobe.tui.frame.picker import Pick, matching
from salprobe.tui.labels.queue import following
from salprobe.tui.labels.review import LabelReview

SURE = {2: 0.9, 5: 0.31, 6: 0.62, 9: None, 11: 0.62}
"""Confidence of the suggestions, by region."""


def review_of(content: dict, small_world: Path, tmp_path: Path) -> LabelReview:
    path = tmp_path / "masks.json"
    masks = MaskSet.from_dict(content)
    masks.write(path)
    return LabelReview(Review(path), Stimuli(small_world, tuple(masks.images)))


@pytest.fixture
def content(small_world: Path) -> dict:
    return MaskSet.read(small_world / "masks.json").to_dict()


@pytest.fixture
def app(content: dict, small_world: Path, tmp_path: Path) -> LabelReview:
    content["categories"].append({"id": 13, "name": "unlabelled"})
    for number, sure in SURE.items():
        suggestion = {"category": "text"} | ({} if sure is None else {"confidence": sure})
        content["annotations"][number - 1] |= {"category_id": 13, "suggestion": suggestion}
    return review_of(content, small_world, tmp_path)


def head(app: LabelReview) -> str:
    return str(app.query_one("#head", Static).render())


async def test_the_least_certain_come_first_and_their_confidence_is_shown(app: LabelReview) -> None:
    async with app.run_test(size=(120, 30)) as pilot:
        app.query_one("#filter", Select).value = "least certain"
        await pilot.pause()
        assert [one.id for one in app.query_one("#images", OptionList).options] == [
            *("5", "3", "6", "1")  # regions 9; 5 and 6; 11; 2
        ]
        assert app.region == 9
        row = app.query_one("#regions", DataTable).get_row_at(0)
        assert str(row[1]) == "■ unlabelled text?"  # it does not say how sure it is
        await pilot.press("n")
        assert app.region == 5
        row = app.query_one("#regions", DataTable).get_row_at(0)
        assert str(row[1]) == "■ unlabelled text? 31%"
        await pilot.press("a")  # on to the next in the queue, not back to the one left out
        assert app.region == 6
        await pilot.press("1")
        assert app.region == 11
        await pilot.press("N")
        assert app.region == 9
        await pilot.press("a", "a", "a")  # 9, 11, 2
        assert "unlabelled" not in {app.editor.category(one) for one in app.editor.regions.values()}
        await pilot.press("n", "5")  # the queue is empty
        await pilot.press("u", "u")
        assert app.region == 2 and app._queue() == [2]


def test_what_follows_in_a_queue() -> None:
    assert [following([4, 2, 9], 4, step) for step in (1, -1)] == [2, 9]
    assert [following([4, 2, 9], 7, step) for step in (1, -1)] == [4, 9]
    assert following([], 7, 1) is None


async def test_more_than_twelve_categories_are_picked_by_letters(
    content: dict, small_world: Path, tmp_path: Path
) -> None:
    content["categories"] += [{"id": k, "name": f"kind of {chr(90 + k)}"} for k in range(7, 25)]
    app = review_of(content, small_world, tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("l")
        assert isinstance(app.screen, Pick)
        names = app.screen.query_one(OptionList)
        assert names.option_count == 24
        await pilot.press(*"kofr", "enter")  # kind of r
        assert app.editor.category(app.editor.regions[1]) == "kind of r"
        assert app.region == 2
        await pilot.press("l", *"head", "down", "enter")
        assert app.editor.category(app.editor.regions[2]) == "animal head"
        await pilot.press("l", *"zzz", "enter", "up")
        assert isinstance(app.screen, Pick) and not app.screen.query_one(OptionList).option_count
        await pilot.press("escape")
        assert len(app.editor.done) == 2
        await pilot.press("b", "enter", "l", *"symb", "escape")  # on the board too
        app.screen.query_one(DataTable)
        assert app.screen is not app.screen_stack[0] and len(app.screen_stack) == 2
        assert "12 more" in "".join(
            one.text for k in range(6) for one in app.query_one("#keys").render_line(k)
        )


def test_names_match_by_letters_in_order() -> None:
    names = ["person head", "animal head", "other"]
    assert matching(names, "") == names
    assert matching(names, "anhe") == ["animal head"]
    assert matching(names, "ohe")[0] in {"person head", "other"}
    assert matching(names, "dh") == []


async def test_the_first_hints(content: dict, small_world: Path, tmp_path: Path) -> None:
    app = review_of(content, small_world, tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        assert "12/12  all is labelled: b shows it by category" in head(app)
        await pilot.press("5")
        assert "all is labelled:" not in head(app)
    content["categories"].append({"id": 13, "name": "unlabelled"})
    for annotation in content["annotations"]:
        annotation["category_id"] = 13
    (tmp_path / "none").mkdir()
    app = review_of(content, small_world, tmp_path / "none")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "label the white region by a key below" in head(app)
    content["annotations"] = []
    (tmp_path / "empty").mkdir()
    app = review_of(content, small_world, tmp_path / "empty")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "no regions yet: c draws one" in head(app)
        await pilot.press("5", "l", "escape", "b", "enter", "escape", "escape", "n", "p", "space")

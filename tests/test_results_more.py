"""The results review: sorting, filtering, contact sheets, new runs, many pictures at once."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.text import Text
from textual.widgets import DataTable, Input, OptionList, Static

from salprobe.datasets.errors import InputError
from salprobe.probe.runs.probing import probe
from salprobe.tui.frame.mosaic import Mosaic
from salprobe.tui.results.contact import Contact
from salprobe.tui.results.levels import Level
from salprobe.tui.results.order import Order, arranged
from salprobe.tui.results.pictures import write_pictures
from salprobe.tui.results.review import ResultsReview

FRAME = pd.DataFrame({"unit": [1, 2, 3, 4], "mean": [0.5, float("nan"), 2.0, 0.5]})
LEVEL = Level(
    "units",
    FRAME,
    ["unit", "NSS"],
    [[Text(str(a)), Text(f"{b:.2f}")] for a, b in FRAME.itertuples(index=False)],
    sources=["unit", "mean"],
)


@pytest.fixture(scope="module")
def folder(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "colours"
    options = {"root": small_world, "model": "nets:colours", "layers": ["pool", "units"]}
    probe(small_world / "masks.json", out=out, **options)
    return out


def units(level: Level) -> list[int]:
    assert [row[0].plain for row in level.rows] == list(map(str, level.frame["unit"]))
    return level.frame["unit"].tolist()


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Order(), [1, 2, 3, 4]),
        (Order("NSS"), [3, 1, 4, 2]),
        (Order("NSS").by("NSS"), [1, 4, 3, 2]),
        (Order("NSS").by("unit"), [4, 3, 2, 1]),
        (Order(wanted="NSS > 0.5"), [3]),
        (Order(wanted="nss>=0.5"), [1, 3, 4]),
        (Order("unit", wanted="NSS<1"), [4, 1]),
        (Order(wanted="2"), [2, 3]),  # a text: unit 2, and 2.00
        (Order(wanted="unit = 9"), []),
    ],
)
def test_rows_are_sorted_and_filtered(order: Order, expected: list[int]) -> None:
    assert units(arranged(LEVEL, order)) == expected


def test_what_cannot_be_sorted_is_said() -> None:
    with pytest.raises(InputError, match="no column 'q': expected one of unit, NSS"):
        arranged(LEVEL, Order(wanted="q < 1"))
    with pytest.raises(InputError, match="expected a column of numbers"):
        arranged(LEVEL, Order(wanted="NSS < 1.2.3"))
    with pytest.raises(InputError, match="belong together"):
        arranged(Level("change", FRAME, ["unit", "NSS"], LEVEL.rows), Order("NSS"))


def column(app: ResultsReview, place: int) -> list[str]:
    table = app.query_one("#table", DataTable)
    return [str(table.get_row_at(row)[place]) for row in range(table.row_count)]


async def settled(app: ResultsReview, pilot) -> None:
    while any(not worker.is_finished for worker in app.workers):
        await pilot.pause(0.05)
    await pilot.pause()


async def test_a_table_is_sorted_by_key_and_by_mouse(folder: Path) -> None:
    app = ResultsReview([folder])
    async with app.run_test(size=(140, 36)) as pilot:
        await pilot.press("enter")
        best = column(app, 0)
        await pilot.press("o", "enter")  # by unit, the highest first
        assert column(app, 0) == sorted(best, key=int, reverse=True)
        assert "sorted by unit, highest first" in str(app.query_one("#title", Static).render())
        await pilot.click("#table", offset=(2, 0))
        await pilot.pause()
        assert column(app, 0) == sorted(best, key=int)
        await pilot.press("slash", *"unit < 2", "enter")
        assert column(app, 0) == ["0", "1"]
        await pilot.press("down", "enter")
        assert app.unit == 1
        await settled(app, pilot)
        await pilot.press("escape")  # as it was, the cursor too
        assert column(app, 0) == ["0", "1"]
        assert app.query_one("#table", DataTable).cursor_row == 1
        await pilot.press("slash", *"q is what", "enter")
        assert column(app, 0) == []
        await pilot.press("enter", "t", "S")  # nothing to open
        app.screen.query_one("#table", DataTable).focus()
        await pilot.press("slash")
        app.screen.query_one(Input).value = "q ? 3 < 1"
        await pilot.press("enter")  # no such column: said, and as it was
        assert app.orders["units"].wanted == "q is what"
        await pilot.press("escape", "enter")  # anew
        assert column(app, 0) == best


async def test_a_contact_sheet_is_shown_and_saved(folder: Path, tmp_path: Path) -> None:
    app = ResultsReview([folder])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("t")  # no unit yet
        assert not isinstance(app.screen, Contact)
        await pilot.press("enter", "t")
        assert isinstance(app.screen, Contact)
        await settled(app, pilot)
        mosaic = app.screen.query_one(Mosaic)
        assert sorted(mosaic._pictures) == [0, 1, 2]  # the category has three regions
        scores = [float(text.split()[1]) for text in mosaic._captions]
        assert scores == sorted(scores, reverse=True)
        await pilot.press("s")
        app.screen.query_one(Input).value = f"{tmp_path}/sheet.png"
        await pilot.press("enter", "escape")
        assert app.level == "units"
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (1280, 720)
        assert np.asarray(sheet.crop((0, 0, 320, 240))).max() > 100


async def test_new_runs_appear_by_themselves(folder: Path, tmp_path: Path) -> None:
    watched = tmp_path / "runs"
    shutil.copytree(folder, watched / "first")
    app = ResultsReview([watched / "first"], watched=watched)
    async with app.run_test(size=(140, 36)) as pilot:
        await pilot.pause()
        runs = app.query_one("#runs", OptionList)
        assert not runs.display
        app.look_for_runs()
        await settled(app, pilot)
        assert runs.option_count == 1
        shutil.copytree(folder, watched / "again" / "second")
        app.look_for_runs()
        await settled(app, pilot)
        assert [str(one.prompt) for one in runs.options] == ["first", "again/second"]
        assert runs.display and app.place == 0
        await pilot.press("r", "down")
        await pilot.pause()
        assert app.folder == watched / "again" / "second" and app.run_ is not None


async def test_many_pictures_are_written_at_once(folder: Path, tmp_path: Path) -> None:
    app = ResultsReview([folder])
    async with app.run_test(size=(140, 36)) as pilot:
        await pilot.press("enter", "enter", "S")
        app.screen.query_one(Input).value = f"{tmp_path}/regions"
        await pilot.press("enter")
        await settled(app, pilot)
        listed = app.shown.frame
        names = [
            f"{k + 1:03}-image-{row['image_id']:.0f}-region-{row['annotation_id']:.0f}.png"
            for k, row in enumerate(listed.to_dict("records"))
        ]
        assert sorted(path.name for path in (tmp_path / "regions").iterdir()) == names
        with Image.open(tmp_path / "regions" / names[0]) as picture:
            assert picture.size == (96, 72)
        await pilot.press("escape", "slash", *"unit < 2", "enter", "S")
        app.screen.query_one(Input).value = f"{tmp_path}/units"
        await pilot.press("enter")
        await settled(app, pilot)
        assert len(list((tmp_path / "units").glob("*-units-*.png"))) == 2


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    picture = Image.new("RGB", (2, 2))
    with pytest.raises(InputError, match="is not empty; expected a new folder"):
        write_pictures(tmp_path, [("a", lambda: picture)], lambda _: True)
    with pytest.raises(InputError, match="cannot be made"):
        write_pictures(tmp_path / "mine", [("a", lambda: picture)], lambda _: True)
    some = [(name, lambda: picture) for name in ("a/b", "c", "d")]
    write_pictures(tmp_path / "new", some, lambda done: done < 2)  # stopped
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a_b.png", "c.png"]

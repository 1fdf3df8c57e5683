"""The label review, driven as a person would; a real terminal for its first screen."""

import json
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Input, OptionList, Select, Static
from tmux import needs_tmux, running

from salprobe.annotate.labels.agree import labels_by
from salprobe.annotate.review.journal import Review
from salprobe.annotate.review.own import own
from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.annotation import Annotation
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.masks.outlines import outline_of_mask
from salprobe.datasets.sources.load import mask_path
from salprobe.datasets.stimuli import Stimuli
from salprobe.tui.frame import picture
from salprobe.tui.frame.dialogs import Ask, Choose
from salprobe.tui.frame.drawing import around, draw
from salprobe.tui.frame.help import Keys
from salprobe.tui.frame.replies import Answered, Terminal
from salprobe.tui.labels.review import LabelReview
from salprobe.tui.labels.texts import line

PROGRAM = Path(sys.executable).with_name("annotate")


@pytest.fixture
def path(small_world: Path, tmp_path: Path) -> Path:
    content = MaskSet.read(small_world / "masks.json").to_dict()
    content["categories"].append({"id": 13, "name": "unlabelled"})
    for place in (3, 9):
        content["annotations"][place] |= {"category_id": 13, "suggestion": {"category": "text"}}
    target = tmp_path / "masks.json"
    MaskSet.from_dict(content).write(target)
    return target


def review_of(path: Path, root: Path) -> LabelReview:
    return LabelReview(Review(path), Stimuli(root, tuple(MaskSet.read(path).images)))


def text_of(app: LabelReview) -> str:
    """Return what the screen shows."""
    return unescape(app.export_screenshot()).replace("\xa0", " ")


def categories(app: LabelReview) -> dict[int, str]:
    return {number: app.editor.category(one) for number, one in app.editor.regions.items()}


async def test_a_key_labels_and_goes_on(path: Path, small_world: Path) -> None:
    app = review_of(path, small_world)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        assert app.region == 1
        await pilot.press("5")
        assert categories(app)[1] == "object"
        assert app.region == 2
        await pilot.press("6", "3")  # over the end of the image, into the next
        assert (categories(app)[2], categories(app)[3]) == ("text", "animal head")
        assert app.region == 4
        await pilot.press("u", "u")
        assert categories(app)[3] == "person head"
        assert app.region == 2
        await pilot.press("r")
        assert categories(app)[2] == "text"
        await pilot.press("backspace")
        assert categories(app)[2] == "unlabelled"
        await pilot.press("q")
    saved = {one.id: one.category_id for one in MaskSet.read(path).annotations}
    assert (saved[1], saved[2], saved[3]) == (5, 13, 1)
    assert len(Review(path).editor.done) == 3


async def test_suggestions_notes_and_shapes(path: Path, small_world: Path) -> None:
    app = review_of(path, small_world)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("tab")
        assert app.region == 4
        await pilot.press("a")
        assert categories(app)[4] == "text"
        await pilot.press("tab")
        assert app.region == 10
        await pilot.press("exclamation_mark", "e")
        assert isinstance(app.screen, Ask)
        await pilot.press("tab")  # goes nowhere behind the question
        await pilot.press(*"a cat", "enter")
        assert app.editor.regions[10].note == "a cat"
        assert app.editor.regions[10].unsure
        await pilot.press("s")
        assert len(app.editor.of(5)) == 3
        await pilot.press("m")
        assert len(app.editor.of(5)) == 2
        await pilot.press("x")
        assert len(app.editor.of(5)) == 1
        await pilot.press("u", "u", "u")
        assert len(app.editor.of(5)) == 2
        await pilot.press("1", "z", "d", "tab")  # nothing is left to label
        assert "unlabelled" not in categories(app).values()


async def test_images_are_searched_filtered_and_walked(path: Path, small_world: Path) -> None:
    app = review_of(path, small_world)
    async with app.run_test(size=(100, 30)) as pilot:
        images = app.query_one("#images", OptionList)
        assert images.option_count == 6
        await pilot.press("right_square_bracket", "right_square_bracket", "left_square_bracket")
        assert app.image and app.image.file_name == "2.png"
        await pilot.press("slash", "4")
        assert isinstance(app.focused, Input)
        await pilot.pause()
        assert images.option_count == 1
        await pilot.press("enter", "5")  # a digit is a label again
        assert app.image.file_name == "4.png"
        assert "object" in {categories(app)[one.id] for one in app.editor.of(4)}
        app.query_one("#search", Input).value = ""
        app.query_one("#filter", Select).value = "suggested"
        await pilot.pause()
        assert [one.id for one in images.options] == ["2", "5"]
        app.query_one("#search", Input).value = "no such image"
        await pilot.pause()
        assert images.option_count == 0
        await pilot.press("escape", "x", "z", "u", "tab")


@pytest.mark.parametrize("keys", [["enter"], ["escape"], ["down", "enter"]])
async def test_after_the_filter_keys_label_again(
    path: Path, small_world: Path, keys: list[str]
) -> None:
    app = review_of(path, small_world)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("f")
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        region = app.region
        await pilot.press("5")
        assert categories(app)[region] == "object"


async def test_a_second_persons_labels_are_shown_and_taken(path: Path, small_world: Path) -> None:
    masks = MaskSet.read(path)
    content = masks.to_dict()
    content["annotations"][0]["category_id"] = 5  # object; the same region, moved a little
    content["annotations"][0]["segmentation"][0][0] += 3
    content["annotations"][1]["category_id"] = 13
    second = labels_by(MaskSet.from_dict(content), masks)
    assert second[1] == "object" and 2 not in second
    app = LabelReview(Review(path), Stimuli(small_world, tuple(masks.images)), second)
    async with app.run_test(size=(100, 30)) as pilot:
        app.query_one("#filter", Select).value = "disputed"
        await pilot.pause()
        assert [one.id for one in app.query_one("#images", OptionList).options] == ["1"]
        await pilot.press("t")
        assert categories(app)[1] == "object"
        assert app.region == 2
        await pilot.press("t")  # none is known: said, and nothing changed
        assert categories(app)[2] == "text"


async def test_every_image_has_room_for_its_cells_at_once(path: Path, small_world: Path) -> None:
    """A real terminal is drawn before Textual has measured the new rows."""
    review, images = Review(path), tuple(MaskSet.read(path).images)
    theirs = dict.fromkeys(review.editor.regions, "animal head")
    app = LabelReview(review, Stimuli(small_world, images), theirs)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        app.action_image(1)
        table = app.query_one("#regions", DataTable)
        for place, column in enumerate(table.ordered_columns):
            cells = [table.get_row_at(row)[place] for row in range(table.row_count)]
            assert column.width >= max(cell.cell_len for cell in cells)
        assert "second: animal head" in str(table.get_row_at(0)[1])


async def test_a_row_is_chosen_with_the_mouse(path: Path, small_world: Path) -> None:
    app = review_of(path, small_world)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        await pilot.click(DataTable, offset=(3, 2))
        assert app.region == 2


async def test_it_saves_when_no_key_follows(path: Path, small_world: Path) -> None:
    app = review_of(path, small_world)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("5")
        assert not app.review.saved
        for _ in range(100):
            await pilot.pause(0.1)
            if app.review.saved:
                break
        assert MaskSet.read(path).annotations[0].category_id == 5


@pytest.mark.parametrize(("answer", "first"), [("mine", 5), ("theirs", 4)])
async def test_a_file_that_changed_is_asked_about(
    path: Path, small_world: Path, answer: str, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("salprobe.tui.labels.saving._SAVE_S", 600)  # not before the other change
    app = review_of(path, small_world)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("5")
        content = json.loads(path.read_text())
        content["annotations"][1]["category_id"] = 4
        path.write_text(json.dumps(content))
        await pilot.press("q")
        assert isinstance(app.screen, Choose)
        await pilot.press(*(["down"] if answer == "theirs" else []), "enter")
        await pilot.press("q")
    saved = {one.id: one.category_id for one in MaskSet.read(path).annotations}
    assert saved[2] == 4
    assert saved[1] == (5 if answer == "mine" else 2)


async def test_missing_images_leave_a_placeholder(path: Path, tmp_path: Path) -> None:
    app = review_of(path, tmp_path / "nowhere")
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        said = str(app.query_one("#picture").query_one(Static).render())
        assert "nowhere/1.png: no such image" in said
        await pilot.press("5", "z", "right_square_bracket")
        assert categories(app)[1] == "object"


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (200, 60), (12, 4)])
async def test_it_works_at_any_size(path: Path, small_world: Path, size: tuple[int, int]) -> None:
    app = review_of(path, small_world)
    async with app.run_test(size=size) as pilot:
        await pilot.press("5", "z", "j", "d")
        await pilot.resize_terminal(60, 16)
        await pilot.pause()
        assert categories(app)[1] == "object"


async def test_where_the_terminal_has_pixels_they_are_used(
    path: Path, small_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture.get_cell_size, "_result", (10, 20))  # and so again afterwards
    app = review_of(path, small_world)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("5")
        assert app.query_one(picture.HalfCells).display
        app.post_message(Answered(Terminal(kitty=True, cell=(9, 18))))
        await pilot.pause()
        await pilot.press("z")
        shown = app.query_one(picture.TGPImage)
        assert shown.display and not app.query(picture.HalfCells)
        assert shown.image.size == (shown.styles.width.value * 9, shown.styles.height.value * 18)
        assert picture.get_cell_size() == (9, 18)


async def test_it_is_readable_in_the_light(path: Path, small_world: Path) -> None:
    app = review_of(path, small_world)
    async with app.run_test(size=(100, 30)) as pilot:
        app.theme = "textual-light"
        await pilot.press("5", "ctrl+p")
        await pilot.pause()
        await pilot.press("escape", "z")
        assert categories(app)[1] == "object"


async def test_the_help_fits_and_lists_every_key(path: Path, small_world: Path) -> None:
    app = review_of(path, small_world)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, Keys)
        assert app.screen.query_one(VerticalScroll).max_scroll_y == 0
        shown = text_of(app)
        texts = {binding.tooltip or binding.description for binding in app.BINDINGS}
        for text in (*texts, *app.keys.values()):
            assert text in shown
        await pilot.press("question_mark")
        assert not isinstance(app.screen, Keys)


async def test_the_footer_has_the_vital_keys_at_every_width(path: Path, small_world: Path) -> None:
    app = review_of(path, small_world)
    async with app.run_test(size=(40, 24)) as pilot:
        for width in (40, 80):
            await pilot.resize_terminal(width, 24)
            await pilot.pause()
            shown = text_of(app)
            assert "Keys" in shown and "Quit" in shown


async def test_the_next_match_of_the_filter(path: Path, small_world: Path) -> None:
    app = review_of(path, small_world)
    async with app.run_test(size=(100, 30)) as pilot:
        app.query_one("#filter", Select).value = "text"
        await pilot.pause()
        seen = []
        for key in ("n", "n", "n", "N", "N", "N", "N"):
            await pilot.press(key)
            seen.append(app.region)
        text = [number for number, name in categories(app).items() if name == "text"]
        assert text == [2, 6, 8, 12]
        assert seen == [2, 6, 8, 6, 2, 12, 8]
        for _ in text:
            await pilot.press("5", "n")
        await pilot.pause()
        assert "text" not in categories(app).values()


async def test_what_an_edit_did_is_said(path: Path, small_world: Path) -> None:
    app = review_of(path, small_world)
    async with app.run_test(size=(120, 30)) as pilot:
        for key, said in (
            ("x", "region 1 is deleted"),
            ("u", "undo: delete, region 1"),
            ("m", "regions 1 and 2 are merged"),
            ("u", "undo: merge, region 1"),
            ("r", "redo: merge, region 1"),
        ):
            await pilot.press(key)
            assert said in str(app.query_one("#head", Static).render())
        await pilot.press("5")
        assert "merge" not in str(app.query_one("#head", Static).render())


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
def test_the_screen_looks_as_it_did(
    path: Path, snap_compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """Without pictures, whose pixels depend on Pillow's version."""
    monkeypatch.setattr("salprobe.tui.labels.saving._SAVE_S", 3600)  # or the head says it, or not
    app = review_of(path, Path("images"))
    assert snap_compare(app, terminal_size=size, press=["5", "exclamation_mark"])


def test_outlines_are_drawn_in_their_colours(small_world: Path) -> None:
    masks = MaskSet.read(small_world / "masks.json")
    stimulus, regions = masks.images[0], masks.by_image()[1]
    names = masks.category_of()
    picture = Stimuli(small_world, tuple(masks.images)).read(stimulus)
    options = (stimulus, regions, lambda one: names[one.category_id], {1}, (96, 72))
    shown = draw(picture, *options)
    assert shown.getpixel((4, 30)) == (255, 255, 255)  # the selected region's left side
    assert shown.getpixel((50, 30)) == (0xFF, 0x7F, 0x00)  # text
    left, top, right, bottom = around(regions[0], stimulus)
    assert left <= 4 and top <= 10 and right >= 44 and bottom >= 60
    assert (right - left) / (bottom - top) == pytest.approx(96 / 72)
    zoomed = draw(picture, *options, box=(4, 10, 44, 40))
    assert zoomed.getpixel((0, 36)) == (255, 255, 255)


def test_a_mask_is_outlined_along_its_edge(small_world: Path) -> None:
    masks = MaskSet.read(small_world / "masks.json")
    mask = np.zeros((72, 96), dtype=bool)
    mask[10:60, 10:30] = mask[40:60, 10:80] = True  # an L
    mask[45:55, 15:25] = False  # with a hole
    entry = masks.to_dict()["annotations"][0] | outline_of_mask(mask).to_coco()
    region, black = Annotation.model_validate(entry), Image.new("RGB", (96, 72))
    shown = draw(black, masks.images[0], [region], lambda one: "text", {1}, (96, 72))
    white = np.asarray(shown)[..., 0] == 255
    inner = mask & ~ndimage.binary_erosion(mask)
    assert white[inner].mean() > 0.9
    assert not white[~ndimage.binary_dilation(mask, iterations=2)].any()
    left, top, right, bottom = around(region, masks.images[0])
    assert left < 10 and top < 10 and right > 80 and bottom > 60


def test_an_image_without_regions_is_not_done(path: Path) -> None:
    editor = Review(path).editor
    for number in (1, 2):
        editor.do(editor.delete(number))
    assert str(line(editor, editor.masks.image(1))) == "1 no regions"
    assert str(line(editor, editor.masks.image(3))) == "3 ✓"


def test_a_name_is_reviewed_in_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    copy = own("osie-sr")
    assert copy == Path("osie_sr.json")
    assert copy.read_bytes() == mask_path("osie-sr").read_bytes()
    with pytest.raises(InputError, match=r"copied to osie_sr\.json, which exists"):
        own("osie-sr")
    assert own("osie_sr.json") == copy


def test_it_loads_no_torch_and_opens_osie_at_once(osie_root: Path, osie_labels: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from salprobe.datasets.masks.mask_set import MaskSet\n"
        "import salprobe.tui.labels\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n", done.stderr


def test_without_a_terminal_it_says_so(path: Path, small_world: Path, command) -> None:
    done = command("annotate", "review", path, "--root", small_world, check=2)
    assert done.stderr == "annotate: review needs a terminal\n"
    done = command("annotate", "review", path, "--prefer", "both", check=2)
    assert "'--prefer': 'both' is not one of 'mine', 'theirs'" in done.stderr


@pytest.mark.slow
@needs_tmux
def test_a_real_terminal(path: Path, small_world: Path, tmp_path: Path) -> None:
    """Twelve labels by keys in tmux, one terminal killed, and all of them there again."""
    with running(tmp_path, (100, 30), PROGRAM, "review", path, "--root", small_world) as tmux:
        shown = tmux.wait_for("▀")  # the picture, in half cells
        assert "person head" in shown and "masks.json" in shown
        tmux.keys(*"123412341234")
        tmux.wait_for("12 of 12 labelled")
    found = Review(path)
    labels = [one.category_id for one in found.editor.regions.values()]
    assert labels == [1, 2, 3, 4] * 3


@pytest.mark.slow
@needs_tmux
def test_the_second_persons_label_has_room_in_a_real_terminal(
    path: Path, small_world: Path, tmp_path: Path
) -> None:
    content = json.loads(path.read_text())
    content["annotations"][6]["category_id"] = 3
    second = tmp_path / "second.json"
    second.write_text(json.dumps(content))
    words = (PROGRAM, "review", path, "--root", small_world, "--second", second)
    with running(tmp_path, (80, 24), *words) as tmux:
        tmux.wait_for("▀", "region ")
        for _ in range(4):  # it went wrong now and then
            tmux.keys("f")
            tmux.wait_for("Dismiss menu")
            tmux.keys(*["Down"] * 5, "Enter")
            tmux.wait_for("■ person head  second: animal head", "jk Region")
            tmux.keys("f")
            tmux.wait_for("Dismiss menu")
            tmux.keys(*["Up"] * 5, "Enter")
            tmux.wait(lambda shown: "Dismiss menu" not in shown)
            tmux.keys("[")
            tmux.wait(lambda shown: "second" not in shown)

"""The results review, driven as a person would."""

import json
import shutil
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from textual.widgets import DataTable, Input, OptionList, Static
from tmux import needs_tmux, running
from typer.main import get_command

from salprobe.datasets.errors import InputError
from salprobe.probe.analysis.compare import compare
from salprobe.probe.cli.main import app as probe_app
from salprobe.probe.runs.probing import probe
from salprobe.probe.runs.run import Run
from salprobe.tui.frame.dialogs import Choose
from salprobe.tui.frame.drawing import warm
from salprobe.tui.frame.picture import HalfCells, Picture
from salprobe.tui.results.plots import Plots
from salprobe.tui.results.review import ResultsReview
from salprobe.tui.results.runs import Moved
from salprobe.tui.results.sheet import Sheet


@pytest.fixture(scope="module")
def folders(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return two runs of layers ``pool`` and ``units``, and one that is unfinished."""
    root = tmp_path_factory.mktemp("runs")
    masks, layers = small_world / "masks.json", ["pool", "units"]
    for name in ("colours", "other_colours"):
        options = {"root": small_world, "model": f"nets:{name}", "layers": layers}
        probe(masks, out=root / name, **options)
    half = root / "half"
    shutil.copytree(root / "colours", half)
    info = json.loads((half / "run.json").read_text())
    (half / "run.json").write_text(json.dumps({**info, "status": "running"}))
    scores = np.load(half / "scores.npy")
    scores[2:] = np.nan
    np.save(half / "scores.partial.npy", scores)
    (half / "scores.npy").unlink()
    return [root / "colours", root / "other_colours", half]


def title(app: ResultsReview) -> str:
    return "\n".join(str(app.query_one(place, Static).render()) for place in ("#title", "#about"))


def cell(app: ResultsReview, row: int, column: int) -> str:
    return str(app.query_one("#table", DataTable).get_row_at(row)[column])


def text_of(app: ResultsReview) -> str:
    """Return what the screen shows."""
    return unescape(app.export_screenshot()).replace("\xa0", " ")


async def settled(app: ResultsReview, pilot) -> None:
    """Wait until no map is on its way."""
    while any(not worker.is_finished for worker in app.workers):
        await pilot.pause(0.05)
    await pilot.pause()


async def test_many_regions_in_a_row_leave_the_last_ones_map(folders: list[Path]) -> None:
    app = ResultsReview(folders)
    async with app.run_test(size=(140, 36)) as pilot:
        await pilot.press("enter", "enter", "down", "up", "down", "up", "w", "w", "down")
        await settled(app, pilot)
        assert app.level == "regions"
        assert app.query_one(HalfCells).display


async def test_from_the_table_to_a_map(folders: list[Path]) -> None:
    app, run = ResultsReview(folders), Run.open(folders[0])
    async with app.run_test(size=(140, 36)) as pilot:
        await pilot.pause()
        assert "nets:colours" in title(app)
        assert cell(app, 0, 0) == "units"
        assert cell(app, 0, 1) == f"{run.table('top10_crossval').loc['units', 'person head']:.2f}"
        await pilot.press("right", "enter")
        assert (app.level, app.layer, app.category) == ("units", "units", "person part")
        best = run.best_units("person part")
        best = best[best["layer"] == "units"]
        assert cell(app, 0, 0) == str(best["unit"].iloc[0])
        assert {"mean_low", "contrast", "contrast_q", "shuffled"} < set(app.shown.frame.columns)
        await pilot.press("enter")
        assert app.level == "regions"
        scores = [float(cell(app, k, 2)) for k in range(3)]
        assert scores == sorted(scores, reverse=True)
        await settled(app, pilot)
        assert app.query_one("#picture", Picture).query_one(HalfCells).display
        assert len(rows_of(app.query_one("#picture", Picture))) > 5
        await pilot.press("w")
        assert float(cell(app, 0, 2)) == min(scores)
        await pilot.press("escape", "escape")
        assert app.level == "run"
        assert app.query_one("#table", DataTable).cursor_coordinate == (0, 2)


async def test_measures_take_turns(folders: list[Path]) -> None:
    app, run = ResultsReview(folders), Run.open(folders[0])
    async with app.run_test(size=(140, 36)) as pilot:
        assert "chosen and scored on different stimuli" in title(app)
        for measure, says in (
            ("top10_mean", "as in the paper"),
            ("above_threshold", "above 1.5"),
            ("contrast", "less other regions"),
            ("selective", "false discovery rate"),
            ("shuffled", "position without content"),
            ("share", "ceiling"),
        ):
            await pilot.press("m")
            assert app.measure == measure
            assert says in title(app)
        shares = 100 * run.shares().iloc[0, 0]
        assert cell(app, 0, 1) == ("–" if np.isnan(shares) else f"{shares:.0f}")
        await pilot.press("m")  # no VGG: the paper has nothing to show
        assert app.measure == "top10_crossval"


async def test_two_runs_are_compared(folders: list[Path]) -> None:
    app = ResultsReview(folders)
    async with app.run_test(size=(140, 36)) as pilot:
        await pilot.press("c")
        assert isinstance(app.screen, Choose)
        await pilot.press("enter")
        await pilot.pause()
        assert "before: other_colours" in title(app)
        expected = compare(Run.open(folders[1]), Run.open(folders[0]))
        one = expected.set_index(["layer", "category"]).loc[("units", "person head")]
        shown = [cell(app, k, 1) for k in range(3)]
        wanted = [f"{one['after']:.2f}", f"{one['before']:.2f}", f"{one['difference']:+.2f}"]
        assert shown == wanted
        await pilot.press("down", "down", "enter")  # a layer's third row opens the layer
        assert (app.level, app.layer) == ("units", "units")
        await pilot.press("escape")
        await pilot.press("escape")
        assert "mean NSS" in title(app)
        await pilot.press("c", "down", "enter")  # the unfinished one
        await pilot.pause()
        assert app.other is None


async def test_an_unfinished_run_says_how_far_it_is(folders: list[Path]) -> None:
    app = ResultsReview(folders)
    async with app.run_test(size=(140, 36)) as pilot:
        await pilot.press("r", "down", "down")
        await pilot.pause()
        assert "this run is unfinished" in title(app)
        assert "2 of 12 regions are scored so far" in title(app)
        await settled(app, pilot)
        assert "so far: mean NSS" in title(app)
        await pilot.press("enter", "enter", "m", "escape", "w")  # nothing to open: nothing happens
        assert cell(app, 0, 0) == "units"
        app.query_one("#runs", OptionList).highlighted = 1
        await pilot.pause()
        assert "other_colours" in title(app)


async def test_a_run_that_becomes_complete_is_opened(folders: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(folders[2], folder)
    app = ResultsReview([folder])
    async with app.run_test(size=(140, 36)) as pilot:
        await pilot.pause()
        assert "unfinished" in title(app)
        scores = np.load(folder / "scores.partial.npy")
        scores[2:5] = 1
        np.save(folder / "scores.partial.npy", scores)
        app._poll()
        await settled(app, pilot)
        assert "5 of 12" in title(app)
        run = Run.open(folders[0])
        own = run.scores_of("units").shape[1]
        for column, name in enumerate(app.shown.columns[1:], start=1):
            rows = [k for k in range(5) if run.regions["category"][k] == name]
            best = np.sort(scores[rows, -own:].mean(axis=0))[-10:].mean() if rows else np.nan
            assert cell(app, 0, column) == ("–" if np.isnan(best) else f"{best:.2f}")
        for name in ("scores.npy", "run.json"):
            shutil.copy(folders[0] / name, folder / name)
        app._poll()
        await settled(app, pilot)
        assert cell(app, 0, 0) == "units"


@pytest.mark.parametrize("name", ["units.parquet", "summary.parquet"])
async def test_a_run_that_is_copied_in_part_is_said_until_it_is_whole(
    folders: list[Path], tmp_path: Path, name: str
) -> None:
    part = tmp_path / "part"
    shutil.copytree(folders[0], part)
    whole = (part / name).read_bytes()
    (part / name).write_bytes(whole[: len(whole) // 2])
    app = ResultsReview([folders[1], part])
    async with app.run_test(size=(140, 36)) as pilot:
        await pilot.press("c", "enter")
        await pilot.pause()
        assert app.other is None and "mean NSS" in title(app)
        await pilot.press("r", "down")
        await pilot.pause()
        assert f"{name}: cannot be read" in title(app)
        await pilot.press("tab", "enter", "m", "w", "p", "c", "enter", "escape")
        assert app.query_one("#table", DataTable).row_count == 0
        (part / name).write_bytes(whole)
        app._poll()
        assert cell(app, 0, 0) == "units" and "mean NSS" in title(app)


async def test_a_picture_is_kept_beside_another(folders: list[Path]) -> None:
    app = ResultsReview(folders[:1])
    async with app.run_test(size=(160, 40)) as pilot:
        await pilot.press("v")  # there is no picture yet
        kept, view = app.query_one("#kept", Picture), app.query_one("#picture", Picture)
        assert not kept.display
        await pilot.press("right", "enter", "enter")
        await settled(app, pilot)
        await pilot.press("v")
        await pilot.pause()
        assert kept.display
        assert abs(kept.size.width - view.size.width) <= 1
        before = rows_of(kept)
        assert before
        await pilot.press("down")
        await settled(app, pilot)
        assert rows_of(kept) == before != rows_of(view)
        await pilot.press("v")
        assert not kept.display
        await pilot.press("v", "escape")
        assert not kept.display


def rows_of(picture: Picture) -> list:
    return picture.query_one(HalfCells)._rows


async def test_plots_show_what_the_run_has(folders: list[Path]) -> None:
    app, run = ResultsReview(folders), Run.open(folders[0])
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.press("right", "p")
        await pilot.pause()
        plots = app.screen
        assert isinstance(plots, Plots)
        await pilot.press("h")
        await pilot.pause()
        shown = text_of(app)
        assert len(plots.query(".of-one")) == len(run.info.categories)
        assert all(f"{name}, " in shown for name in run.info.categories)
        await pilot.press("h")
        layers, counts, means = plots.series()
        assert layers == ["units", "pool"]
        assert counts == run.table("above_threshold")["person part"].astype(int).tolist()
        expected = run.best_units("person part").query("layer == 'units'")["mean"]
        assert sorted(means) == pytest.approx(sorted(expected))
        await pilot.press("escape")
        assert not isinstance(app.screen, Plots)


async def test_search_arrays_are_shown_by_feature(tmp_path: Path) -> None:
    from salprobe.annotate.popout.arrays import Arrays, write_arrays

    write_arrays(Arrays(count=3, width=400, height=300), tmp_path / "arrays")
    words = ["popout", "-m", str(tmp_path / "arrays" / "popout.json"), "-o"]
    models = (("maps", "spectral"), ("units", "nets:colours"))
    for name, model in models:
        probe_app([*words, str(tmp_path / name), "--models", model], standalone_mode=False)
    app = ResultsReview([tmp_path / name for name, _ in models])
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.pause()
        assert "by what the target differs in" in title(app)
        measures = pd.read_parquet(tmp_path / "maps" / "measures.parquet")
        assert cell(app, 0, 0) == measures["feature"][0]
        assert cell(app, 0, 1) == f"{measures['nmm'][0]:.2f}"
        await pilot.press("r", "down")
        await pilot.pause()
        assert "each layer's top 10 units" in title(app)
        await pilot.press("enter", "enter", "p", "escape")


async def named(pilot, text: str) -> None:
    """Answer with a name, in place of the one that is suggested."""
    pilot.app.screen.query_one(Input).value = text
    await pilot.press("enter")


async def test_pictures_are_saved(folders: list[Path], tmp_path: Path) -> None:
    app = ResultsReview(folders)
    async with app.run_test(size=(140, 36)) as pilot:
        await pilot.press("s")
        await named(pilot, f"{tmp_path}/screen.svg")
        await pilot.press("s")
        await named(pilot, f"{tmp_path}/early.png")  # there is no picture yet
        await pilot.press("enter", "enter")
        await settled(app, pilot)
        await pilot.press("s")
        assert app.screen.query_one(Input).value.startswith("units-")
        await named(pilot, f"{tmp_path}/map.png")
        await pilot.pause()
    assert (tmp_path / "screen.svg").read_text().startswith("<svg")
    assert not (tmp_path / "early.png").exists()
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.size == (96, 72)


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
def test_the_screen_looks_as_it_did(folders: list[Path], snap_compare, size) -> None:
    assert snap_compare(ResultsReview(folders), terminal_size=size)


@pytest.mark.slow
@needs_tmux
def test_a_real_terminal(folders: list[Path], tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("probe")
    with running(tmp_path, (100, 30), program, "review", folders[0], folders[1]) as tmux:
        tmux.wait_for("mean NSS of 10 units", "Measure")


async def test_the_table_is_exported(folders: list[Path], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    app, run = ResultsReview(folders[:1]), Run.open(folders[0])
    async with app.run_test(size=(140, 36)) as pilot:
        await pilot.press("e", "enter")
        await pilot.pause()
        first = tmp_path / "colours-top10_crossval.csv"
        written = pd.read_csv(first).set_index("layer")
        assert written.loc["units", "text"] == pytest.approx(run.table().loc["units", "text"])
        await pilot.press("e", *"x", "enter")  # .csvx
        await pilot.pause()
        assert not list(tmp_path.glob("*x"))


async def test_an_export_replaces_nothing_unasked(
    folders: list[Path], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = ResultsReview(folders[:1])
    async with app.run_test(size=(140, 36)) as pilot:
        for _ in range(3):
            await pilot.press("e", "enter")
            await pilot.pause()
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names == [f"colours-top10_crossval{k}.csv" for k in ("-2", "-3", "")]
        for answer, kept in (("enter", True), ("down", False)):
            (tmp_path / names[0]).write_text("mine")
            await pilot.press("e")
            await named(pilot, names[0])
            await pilot.press(*([answer] if kept else [answer, "enter"]))
            await pilot.pause()
            assert ((tmp_path / names[0]).read_text() == "mine") is kept


async def test_what_has_moved_is_said_and_can_be_named(
    folders: list[Path], tmp_path: Path, small_world: Path
) -> None:
    shutil.copytree(folders[0], tmp_path / "run")
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    info["paths"]["masks"] = "/nowhere/masks.json"
    (tmp_path / "run" / "run.json").write_text(json.dumps(info))
    app = ResultsReview([tmp_path / "run"])
    async with app.run_test(size=(140, 36)) as pilot:
        await pilot.press("enter", "enter")
        await settled(app, pilot)
        said = str(app.query_one("#picture").query_one(Static).render())
        assert "/nowhere/masks.json: the mask file is missing; name it with --masks" in said
    moved = Moved(masks=small_world / "masks.json", root=small_world)
    app = ResultsReview([tmp_path / "run"], moved)
    async with app.run_test(size=(140, 36)) as pilot:
        await pilot.press("enter", "enter")
        await settled(app, pilot)
        assert app.query_one(HalfCells).display
    options = get_command(probe_app).commands["review"].params
    assert {f"--{name}" for name in vars(moved)} <= {one.opts[0] for one in options}


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (200, 60)])
async def test_it_works_at_any_size(folders: list[Path], size: tuple[int, int]) -> None:
    app = ResultsReview(folders)
    async with app.run_test(size=size) as pilot:
        await pilot.press("enter", "enter", "down", "escape", "question_mark", "question_mark")
        await pilot.resize_terminal(60, 16)
        await settled(app, pilot)
        assert app.level == "units"


async def test_the_measure_and_the_layers_stay_in_sight(folders: list[Path]) -> None:
    app = ResultsReview(folders)
    async with app.run_test(size=(60, 24)) as pilot:
        await pilot.press("m", "m", "m", *["right"] * 6)
        await pilot.pause()
        assert app.query_one("#table", DataTable).scroll_x > 0
        shown = text_of(app)
        for text in ("contrast of", "of its stimuli", "nets:colours", "pool"):
            assert text in shown


def test_a_map_is_warm_where_it_is_high() -> None:
    shown = np.asarray(warm(Image.new("RGB", (20, 10), "gray"), np.array([[0.0, 1.0]])))
    assert shown[5, 19].astype(int).sum() > shown[5, 0].astype(int).sum() + 100
    flat = np.asarray(warm(Image.new("RGB", (20, 10), "gray"), np.zeros((2, 2))))
    assert (flat == flat[0, 0]).all()


def test_without_a_terminal_or_a_run_it_says_so(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words, message in (
        ([str(folders[0])], "review needs a terminal"),
        ([str(tmp_path / "nowhere")], "no such run folder"),
        ([], "no run below runs/"),
    ):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(InputError, match=message):
            probe_app(["review", *words], standalone_mode=False)


async def test_a_units_sheet_is_made_and_shown(folders: list[Path]) -> None:
    app = ResultsReview(folders)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("u")  # no unit yet
        await pilot.pause()
        assert not isinstance(app.screen, Sheet)
        await pilot.press("right", "enter", "u")
        await pilot.pause()
        assert isinstance(app.screen, Sheet)
        picture = app.screen.query_one(Picture)

        async def until(text: str) -> None:
            for _ in range(600):
                if text in str(picture._text.render()):
                    return
                await pilot.pause(0.05)
            raise AssertionError(f"not seen: {text}")

        await until("Enter makes it")
        await pilot.press("enter")
        for _ in range(1200):
            if picture._draw is not None:
                break
            await pilot.pause(0.05)
        unit = int(app.shown.frame["unit"].iloc[0])
        (made,) = (folders[0] / "units").glob(f"*-{unit}.png")
        with Image.open(made) as sheet:
            assert picture._proportions == sheet.size
        width = picture.size.width
        await pilot.press("z")
        await pilot.pause()
        assert picture.size.width == 2 * width
        made.write_bytes(b"no picture")
        await pilot.press("escape", "enter", "u")  # from a region: the same unit
        picture = app.screen.query_one(Picture)
        await until("cannot be read")

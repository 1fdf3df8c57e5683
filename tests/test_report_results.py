"""Pages of results that are not runs: what they say, and how they are found."""

import json
import re
import shutil
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Group
from rich.text import Text
from sites import EVIL, Tags, data

import salprobe as sp
from salprobe.datasets.errors import InputError
from salprobe.probe.experiments.popout import SearchTables
from salprobe.probe.experiments.sweep import Sweep
from salprobe.probe.experiments.tasks import Tasks
from salprobe.probe.views.cells import change, score, shaded
from salprobe.probe.views.report.blocks import blocks_of
from salprobe.probe.views.report.results import results_of
from salprobe.probe.views.report.site import write_report
from salprobe.terminal.tables import plain_table


def test_a_view_becomes_tables_and_lines() -> None:
    table = plain_table("Of\x1b[31m two", "layer", ["a\nb", "c"])
    table.add_row("one", score(3.0, 2.5, 3.5), shaded(float("nan")))
    table.add_section()
    table.add_row("two", change(-1.0, -1.5, -0.5, 0.01), "plain")
    first, found = blocks_of(Group(Text("who\nwhat", style="bold"), table, Text("")))
    assert ([[piece.text for piece in line] for line in first.lines], first.look) == (
        [["who"], ["what"]],
        "strong",
    )
    assert found.title == "Of\\x1b[31m two" and found.columns == ["layer", "a b", "c"]
    assert found.apart == [False, True]
    cells = found.rows[0][1:]
    assert [[piece.text for line in cell.lines for piece in line] for cell in cells] == [
        ["3.00", "±0.50"],
        ["–"],
    ]
    assert [cell.shade for cell in cells] == [10, None]
    assert cells[0].lines[0][0].look == "strong" and cells[0].lines[1][0].look == "quiet"
    assert found.rows[1][1].lines[0][0].look == "strong down"


def texts(page: str) -> str:
    """Return a page's words, without its markup, scripts and styles."""
    page = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)
    return " ".join(unescape(re.sub(r"<.*?>", " ", page)).split())


WORDS = {
    "dissected": ("Dissection", "Detectors by layer", "The highest IoU"),
    "explained": ("Explanation", "How much of the units' maps is explained"),
    "searched": ("Search arrays", "Saliency models on search arrays", "nets:small: mean NMM"),
    "swept": ("Sweep", "Gain over tune 0", "Predicted maps", "search arrays"),
    "tasks": ("Tasks", "pt: pre-trained", "Gain over pt", "Table 8"),
    "fields": ("Receptive fields", "reliability", "suppression"),
    "swept/tune-1": ("Training", "best: epoch", "validation NSS"),
}


@pytest.mark.parametrize("name", WORDS)
def test_each_kind_has_a_page(results: Path, name: str, tmp_path: Path) -> None:
    page = write_report(results / name, tmp_path / "one.html", single=True).read_text("utf-8")
    assert all(word in texts(page) for word in WORDS[name])
    tags = Tags(page)
    drawn = [json.loads(text) for tag, text in tags.inline if tag == "script" and text[0] == "["]
    if name != "fields":
        assert drawn[0] and all(mark for plot in drawn[0] for mark in plot["series"])
    images = [one for tag, one in tags.tags if tag == "img"]
    assert len(images) == (name == "fields")
    assert all(str(one["src"]).startswith("data:image/webp;base64,") for one in images)


def test_what_is_read_again_is_what_was_written(results: Path) -> None:
    swept, tasks = Sweep.open(results / "swept"), Tasks.open(results / "tasks")
    assert (list(swept.runs), list(tasks.runs)) == (["0", "1"], ["pt", "sp", "sr"])
    assert (swept.model, swept.layer) == (tasks.model, tasks.layer) == ("nets:small", "three.1")
    for found, folder, names in (
        (swept, "swept", ("categories", "prediction", "popout")),
        (tasks, "tasks", ("categories", "between", "images", "attention")),
    ):
        for name in names:
            again = getattr(found, name)
            written = pd.read_csv(results / folder / f"{name}.csv")[list(again.columns)]
            written = written.astype({key: str for key in ("tune",) if key in written})
            pd.testing.assert_frame_equal(again, written, check_dtype=False)
    right = tasks.images.groupby("scene")["correct"].mean().mean()
    assert tasks.accuracy["test"] == pytest.approx(right)
    found = SearchTables.open(results / "searched")
    pd.testing.assert_frame_equal(
        found.layers, pd.read_parquet(results / "searched" / "layers.parquet")[found.layers.columns]
    )


def test_a_folder_of_folders_is_a_site_of_all(results: Path, tmp_path: Path) -> None:
    site = write_report(results, tmp_path / "site", pictures=False).parent
    page = (site / "index.html").read_text("utf-8")
    listed = re.findall(r'<a href="(\d+)/index.html">(.*?)</a>', page)
    names = [name for _, name in listed]
    # A sweep's and the tasks' own trainings and runs come with them.
    assert sorted(names) == sorted(
        [
            *("gabor", "dissected", "explained", "searched", "swept", "tasks", "fields"),
            *("tune-0", "tune-1", "run", "run"),
            *("run-pt", "run-sp", "run-sr", "sp", "sr"),
        ]
    )
    for number, name in listed:
        assert (site / number / "index.html").is_file(), name
    for path in site.rglob("index.html"):
        for _, one in Tags(path.read_text("utf-8")).tags:
            for where in (one.get("href"), one.get("src")):
                if where and not where.startswith("#"):
                    assert (path.parent / where).is_file(), f"{path}: {where}"
    # The dissection is of the same network as the run: its IoU is in the run's cells.
    place = dict(zip(names, (number for number, _ in listed), strict=True))["gabor"]
    layer = data(site / place, "layer-1")
    units = sp.Dissection.open(results / "dissected").units
    known = units.set_index(["layer", "unit", "category"])["iou"]
    for one in layer["cells"]["person-part"]:
        expected = known[layer["layer"], one["unit"], "person part"]
        assert one["iou"] == pytest.approx(expected, abs=1e-4)
    category, iou, detects = next(iter(layer["units"].values()))["iou"]
    unit = int(next(iter(layer["units"])))
    best = units[(units["layer"] == layer["layer"]) & (units["unit"] == unit)]["iou"].max()
    assert iou == pytest.approx(best, abs=1e-4) and detects == (best > 0.04)
    assert category in ("person head", "person part", "text")


def test_what_shows_stimuli_is_left_out_with_the_pictures(results: Path, tmp_path: Path) -> None:
    own = tmp_path / "tasks"
    shutil.copytree(results / "tasks", own)
    shutil.copy(results / "fields" / "fields.png", own / "tasks.png")
    found = results_of(own)
    assert found is not None and [path.name for _, path in found.stimuli] == ["tasks.png"]
    write_report(own, tmp_path / "site", pictures=False)
    assert not [*tmp_path.glob("site/**/figure-*.webp")]


def test_bad_folders(results: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder of results"):
        write_report(tmp_path / "nowhere", tmp_path / "site")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no results"):
        write_report(tmp_path / "empty", tmp_path / "site")
    with pytest.raises(InputError, match="no results; expected one or more"):
        write_report([], tmp_path / "site")
    with pytest.raises(InputError, match="one file holds one result, but these are"):
        write_report(results, tmp_path / "one.html", single=True)
    for name, record, said in (
        ("swept", "categories.csv", "this sweep is unfinished"),
        ("tasks", "between.csv", "this tasks is unfinished"),
        ("fields", "shares.csv", "these fields are unfinished"),
        ("searched", "measures.parquet", "measures.parquet"),
    ):
        own = tmp_path / name
        shutil.copytree(results / name, own, ignore=shutil.ignore_patterns(record))
        with pytest.raises(InputError, match=said):
            write_report(own, tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_what_cannot_be_read_is_left_out_of_several_and_said(results: Path, tmp_path: Path) -> None:
    several, site = tmp_path / "several", tmp_path / "site"
    shutil.copytree(results / "gabor", several / "good")
    shutil.copytree(results / "fields", several / "half")
    (several / "half" / "shares.csv").unlink()
    shutil.copytree(results / "gabor", several / EVIL)
    record = several / EVIL / "run.json"
    record.write_text(record.read_text().replace('"complete"', '"running"'))
    with pytest.raises(InputError, match=r"site: lacks 2 of 3 results: .*unfinished"):
        write_report(several, site, pictures=False)
    page = texts((site / "index.html").read_text("utf-8"))
    assert "2 of 3 results could not be read" in page
    for name in ("half", EVIL):
        assert f"{name} {several / name}: th" in page
    assert EVIL not in (site / "index.html").read_text("utf-8")
    assert "all results" in texts((site / "1" / "index.html").read_text("utf-8"))
    assert not (site / "2").exists()
    with pytest.raises(InputError, match="one file holds one result, but these are 3"):
        write_report(several, tmp_path / "one.html", single=True)
    shutil.rmtree(several / "good")
    with pytest.raises(InputError, match="unfinished"):
        write_report(several, tmp_path / "other", pictures=False)
    assert not (tmp_path / "other").exists()

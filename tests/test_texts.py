"""Names from files are text everywhere: in the terminal, HTML, LaTeX, Markdown, CSV, figures."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from textual.widgets import DataTable, OptionList

from salprobe.annotate.labels.stats import figure_of, statistics
from salprobe.annotate.review.journal import Review
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.stimuli import Stimuli
from salprobe.datasets.texts import as_cell, csv_of, figure_text, harmless, minus, of_cell
from salprobe.probe.training.split import read_labels
from salprobe.probe.training.store import write_table
from salprobe.probe.views.report.page import as_html
from salprobe.probe.views.run import formatted
from salprobe.terminal.console import TextConsole
from salprobe.terminal.tables import plain_table
from salprobe.tui.labels.review import LabelReview

EVIL = "[link=javascript:alert(1)]a[/b] \x1b]0;x\x07\x1b[31m\x9b2J$\\frac$<img src=x>"
CATEGORIES = [EVIL, "=1+1|2", "a_b & 100 %", "[bold]b", "\u202etxet", ":smile:"]


ALLOWED = {
    *("html", "head", "meta", "title", "style", "script", "body", "header", "main", "section"),
    *("h1", "h2", "p", "div", "span", "strong", "small", "pre", "code", "ul", "li", "cite", "a"),
    *("table", "thead", "tbody", "tfoot", "tr", "th", "td", "dl", "dt", "dd", "details", "summary"),
    *("figure", "button", "noscript"),
}


class Page(HTMLParser):
    """What a browser makes of a page: its elements with their attributes, and its title."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.title, self.text, self._inside = "", "", ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        self.title += data if self._inside == "title" else ""
        self.text += data


def checked(page: str) -> Page:
    found = Page(page)
    tags = {tag for tag, _ in found.elements}
    assert tags <= ALLOWED, tags
    scripts = [attrs for tag, attrs in found.elements if tag == "script"]
    assert not any("src" in attrs for attrs in scripts)  # by the policy, only ours run
    links = [attrs["href"] for tag, attrs in found.elements if tag == "a"]
    assert all(link.startswith(("#", "data:text/csv;charset=utf-8;base64,")) for link in links)
    assert not any(name.startswith("on") for _, attrs in found.elements for name in attrs)
    policy = [a for tag, a in found.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy and policy[0]["content"].startswith("default-src 'none'")
    assert "\x1b" not in page and "\x9b" not in page
    return found


def evil_masks(small_world: Path, **changes: str) -> MaskSet:
    content = MaskSet.read(small_world / "masks.json").to_dict()
    for entry, name in zip(content["categories"], CATEGORIES, strict=True):
        entry["name"] = name
    content["info"]["annotator"] = EVIL
    return MaskSet.from_dict(content)


def test_a_report_holds_names_as_text() -> None:
    table = plain_table(EVIL, EVIL, CATEGORIES)
    table.add_row(EVIL, *CATEGORIES)
    found = checked(as_html(table, f"salprobe: {EVIL}</title><script>alert(1)</script>"))
    assert "<script>alert(1)</script>" in found.title
    assert "[link=javascript:alert(1)]a[/b]" in found.text


def test_a_run_with_evil_names(command, small_world: Path, tmp_path: Path) -> None:
    masks, out = tmp_path / "[b]m.json", tmp_path / "run[link=javascript:x]"
    evil_masks(small_world).write(masks)
    run = ("probe", "run", "--masks", masks, "--root", small_world, "--model", "gabor")
    done = command(*run, "--out", out)
    assert "\x1b" not in done.stdout + done.stderr
    assert "[link=javascript:alert(1)]a[/b]" in done.stdout.replace("\n", "")
    checked((out / "report.html").read_text())
    for form in ("table", "csv", "latex", "md", "html", "json"):
        done = command("probe", "show", out, "--format", form)
        assert not re.search("[\x1b\x9b\x07\u202e]", done.stdout + done.stderr), form


def test_the_commands_of_annotate_with_evil_names(command, small_world, tmp_path: Path) -> None:
    masks = tmp_path / "[a]m.json"
    evil_masks(small_world).write(masks)
    for arguments in (
        ("stats", masks),
        ("stats", masks, "--json"),
        ("stats", masks, "--figure", tmp_path / "x.png"),
        ("agree", masks, masks),
        ("agree", masks, masks, "--json"),
        ("check", masks, "--root", small_world),
        ("check", masks, "--root", small_world, "--json"),
    ):
        done = command("annotate", *arguments)
        assert not re.search("[\x1b\x9b\x07\u202e]", done.stdout + done.stderr), arguments
        if "--json" in arguments:
            json.loads(done.stdout)
    done = command("annotate", "split", masks, "--by", "category", "-o", tmp_path, check=2)
    assert "\x1b" not in done.stderr and len(done.stderr.splitlines()) == 1
    done = command("annotate", "stats", "no\x1b]0;x\x07[/b]\n.json", check=2)
    assert done.stderr == "annotate: no\\x1b]0;x\\x07[/b] .json: no such file\n"


def test_a_terminal_gets_its_own_sequences_only() -> None:
    sink = io.StringIO()
    console = TextConsole(file=sink, force_terminal=True, width=200, color_system="truecolor")
    table = plain_table(EVIL, "x", [])
    table.add_row(EVIL)
    console.print(table)
    console.print(EVIL, CATEGORIES[-1])
    plain = re.sub(r"\x1b\[[0-9;]*m", "", sink.getvalue())
    assert "\x1b" not in plain and "\x07" not in plain and "\x9b" not in plain
    assert plain.count("[link=javascript:alert(1)]a[/b]") == 3 and ":smile:" in plain
    assert "\x1b]8" not in sink.getvalue()  # no link


@pytest.mark.parametrize("name", ["[/b]x.json", "[link=javascript:x]y"])
def test_progress_shows_names_as_text(name: str, tmp_path: Path) -> None:
    code = (
        "from salprobe.terminal.console import working\n"
        "from salprobe.terminal.progress import progress\n"
        f"with working({name!r}), progress.task({name!r}, 2) as advance: advance(1)\n"
        f"progress.say({name!r})"
    )
    parent, child = pty.openpty()
    done = subprocess.run([sys.executable, "-c", code], stderr=child)
    os.close(child)
    shown = os.read(parent, 100_000).decode()
    os.close(parent)
    assert done.returncode == 0, shown
    assert name in shown and "\x1b]8" not in shown


@given(st.text())
def test_json_stays_json(text: str) -> None:
    shown = harmless(json.dumps([text], ensure_ascii=False))
    assert json.loads(shown) == [text]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", shown)


@given(st.text(alphabet="=+-@\t\r'ab", max_size=6))
def test_cells_return(text: str) -> None:
    cell = as_cell(text)
    assert of_cell(str(cell)) == text
    assert not str(cell).startswith(tuple("=+-@\t\r"))


def test_csv_has_no_formula() -> None:
    frame = pd.DataFrame({"=x": ["=1+1", "@a", "b"], "n": [-1, 2, 3], "f": [-1.5, np.nan, 0]})
    rows = list(csv.reader(io.StringIO(csv_of(frame))))
    assert rows[0] == ["'=x", "n", "f"]
    assert rows[1] == ["'=1+1", "-1", "-1.5"]
    assert rows[2] == ["'@a", "2", ""]
    assert formatted(frame, "csv") == csv_of(frame).rstrip("\n")


def test_a_split_returns_from_its_table(small_world: Path, tmp_path: Path) -> None:
    for number, name in enumerate(("=1.png", "'-.png", "plain.png"), start=1):
        (tmp_path / name).write_bytes((small_world / f"{number}.png").read_bytes())
    stimuli = Stimuli.from_folder(tmp_path)
    labels = {image.file_name: f"={image.id}" for image in stimuli}
    write_table(
        tmp_path / "t.csv", pd.DataFrame({"image": labels.keys(), "split": labels.values()})
    )
    found = read_labels(tmp_path / "t.csv", stimuli, "split")
    assert found == {image.id: f"={image.id}" for image in stimuli}


def test_latex_and_markdown() -> None:
    frame = pd.DataFrame({"a_b": ["x|y & 5 % \\input{z} [a](javascript:b) <i>\n"], "n": [0.5]})
    latex = formatted(frame, "latex")
    assert r"a\_b & n" in latex
    assert (
        r"x|y \& 5 \% \textbackslash input\{z\} [a](javascript:b) <i>\textbackslash n & 0.50"
        in latex
    )
    markdown = formatted(frame, "md").splitlines()
    assert len(markdown) == 3
    assert (
        r"| x\|y & 5 % \\input{z} \[a\](javascript:b) &lt;i&gt;\\n | 0.50 |".replace(
            " & ", " &amp; "
        )
        == markdown[2]
    )


def test_figures_take_no_formulas(small_world: Path, tmp_path: Path) -> None:
    figure = Figure()
    axis = figure.subplots()
    axis.set_title(figure_text("a $\\frac$ b"))
    figure.savefig(tmp_path / "a.svg")
    table = statistics(evil_masks(small_world), None)
    figure_of(table, f"{EVIL}\nlabelled by: {EVIL}").savefig(tmp_path / "b.png")


async def test_the_label_review_shows_names_as_text(small_world: Path, tmp_path: Path) -> None:
    evil_masks(small_world).write(tmp_path / "m.json")
    content = MaskSet.read(tmp_path / "m.json")
    app = LabelReview(Review(tmp_path / "m.json"), Stimuli(small_world, tuple(content.images)))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.notify(EVIL)
        await pilot.pause()
        cells = app.query_one("#regions", DataTable).get_row_at(0)
        assert "[link=javascript" in str(cells) or "=1+1" in str(cells)
        strips = [app.screen.render_line(y) for y in range(40)]
        lines = [segment.text for strip in strips for segment in strip]
        assert not re.search("[\x1b\x9b\x07\u202e]", "".join(lines))
        assert app.query_one("#images", OptionList).option_count == 6
        await pilot.press("q")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-0.12 [-0.3, .5]", "−0.12 [−0.3, .5]"),
        ("-.5, (-1)", "−.5, (−1)"),
        ("2026-11-28 conv-1 1e-05 a.-1 --2 - 3 -x", "2026-11-28 conv-1 1e-05 a.-1 --2 - 3 -x"),
    ],
)
def test_a_minus_sign_stands_before_numbers_only(text: str, shown: str) -> None:
    assert minus(text) == shown

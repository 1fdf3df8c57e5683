"""The commands that the documentation shows exist, with the options that it shows."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from salprobe.annotate.cli.main import app as annotate
from salprobe.probe.cli.main import app as probe

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
APPS = {"annotate": annotate, "probe": probe}


def commands(page: Path) -> list[list[str]]:
    """Return the words of every command of ours in a page's shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [words for words in (shlex.split(line, comments=True) for line in lines) if words]


def options(program: str, command: str) -> set[str]:
    """Return the options of one of our commands."""
    known = typer.main.get_command(APPS[program]).commands  # type: ignore[attr-defined]
    assert command in known, f"no command {program} {command}"
    return {name for one in known[command].params for name in one.opts}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_have_the_options_that_a_page_shows(page: Path) -> None:
    for words in commands(page):
        if words[0] in APPS and len(words) > 1 and not words[1].startswith("-"):
            shown = {word.partition("=")[0] for word in words[2:] if re.match("--?[a-z]", word)}
            assert shown <= options(*words[:2]), shlex.join(words)


def test_the_page_on_the_paper_has_every_figure_and_table() -> None:
    page = (ROOT / "docs" / "paper.md").read_text("utf-8")
    named: dict[str, set[int]] = {"Figure": set(), "Table": set()}
    for kind, numbers in re.findall(r"^### (Figure|Table)s? ([\d and]+):", page, re.MULTILINE):
        named[kind] |= {int(number) for number in re.findall(r"\d+", numbers)}
    assert named == {"Figure": {*range(1, 12)}, "Table": {*range(1, 9)}}
    assert sum(len(words) > 2 for words in commands(ROOT / "docs" / "paper.md")) >= 20

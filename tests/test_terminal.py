"""What both command lines have: their version, and completion in the shell."""

import os
from importlib.metadata import version
from pathlib import Path

import pytest


@pytest.mark.parametrize("program", ["annotate", "probe"])
def test_the_version(program: str, command) -> None:
    assert command(program, "--version").stdout == f"{program} {version('salprobe')}\n"


@pytest.mark.parametrize("program", ["annotate", "probe"])
def test_completion_is_shown_and_installed(program: str, command, tmp_path: Path) -> None:
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # not the shell of the tests
    home = {"env": {**os.environ, "HOME": str(tmp_path), **named}}
    script = command(program, "--show-completion", "bash", **home).stdout
    assert f"complete -o default -F _{program}_completion {program}" in script
    command(program, "--install-completion", "bash", **home)
    installed = tmp_path / ".bash_completions" / f"{program}.sh"
    assert installed.read_text().strip() == script.strip()
    assert str(installed) in (tmp_path / ".bashrc").read_text()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["annotate", "cl"], ["cluster"]),
        (["annotate", "merge", "--rule", ""], ["majority", "first"]),
        (["probe", "su"], ["suggest"]),
    ],
)
def test_what_completion_offers(typed: list[str], offered: list[str], command) -> None:
    program = typed[0]
    asked = {
        f"_{program.upper()}_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(typed),
        "COMP_CWORD": str(len(typed) - 1),
    }
    assert command(program, env=os.environ | asked).stdout.split() == offered

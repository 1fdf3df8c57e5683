"""A fast slice of the faults, in a process of its own; ``make faults`` injects a thousand."""

import subprocess
import sys
from pathlib import Path

import pytest

QUICK = ["merge", "split by image", "export labelme", "popout over", "review", "run, resumed"]


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")
def test_every_fault_is_survived() -> None:
    # Forking this process would take its threads' locks along.
    campaign = Path(__file__).with_name("campaign.py")
    done = subprocess.run(
        [sys.executable, campaign, "--faults", "24", "--seed", "7", "--only", ";".join(QUICK)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "full: " in done.stdout and "kill: " in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")
def test_what_is_not_survived_is_told(tmp_path: Path) -> None:
    """The campaign itself: a command that writes in place, and one that says nothing."""
    script = tmp_path / "careless.py"
    script.write_text(CARELESS)
    done = subprocess.run(
        [sys.executable, script, Path(__file__).parent.parent],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    for words in ("mine.txt is half-written", "exit 70", "full at 1 (open)", "(write)"):
        assert words in done.stdout


CARELESS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from faults.campaign import campaign, load
from faults.commands import Command
load(floors=("terminal",))

def write():
    with Path("mine.txt").open("w") as file:
        file.write("a" * 100_000)

def swallow():
    try:
        write()
    except OSError as error:
        raise KeyError from error

commands = [Command("careless", write, ("mine.txt",)), Command("mute", swallow, ("mine.txt",))]
campaign(commands, 12, 0)
"""

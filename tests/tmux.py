"""A real terminal: what the pilot cannot see."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux")


class Tmux:
    """One window of a server of our own."""

    def __init__(self, socket: Path) -> None:
        self._server = ["tmux", "-S", str(socket), "-f", "/dev/null"]

    def __call__(self, *words: object) -> str:
        """Run a command of tmux; return what it prints."""
        done = subprocess.run(
            [*self._server, *map(str, words)],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return done.stdout

    def keys(self, *keys: str) -> None:
        """Press keys."""
        self("send-keys", *keys)

    def wait_for(self, *texts: str) -> str:
        """Wait until the screen shows all texts; return it."""
        return self.wait(lambda shown: all(text in shown for text in texts))

    def wait(self, ready: Callable[[str], bool]) -> str:
        """Wait until the screen is as it should be; return it."""
        end = time.monotonic() + 30
        while not ready(shown := self("capture-pane", "-p")):
            assert time.monotonic() < end, shown
            time.sleep(0.05)
        return shown


@contextmanager
def running(folder: Path, size: tuple[int, int], *command: object) -> Iterator[Tmux]:
    """Run a command in a terminal, which is closed afterwards: the command gets SIGHUP."""
    tmux = Tmux(folder / "tmux")
    width, height = size
    tmux("new-session", "-d", "-x", width, "-y", height, " ".join(map(str, command)))
    try:
        yield tmux
    finally:
        tmux("kill-server")

"""Measure the label review in a terminal: bytes sent, and time until all is drawn, for each key.

`python benchmarks/review.py` runs all; `keys` and `many` run one. Needs OSIE and its labels below
SALPROBE_DATA. Another checkout's program can be measured in turn: `--against /path/to/annotate`.
"""

import argparse
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path
from statistics import median

DATA = Path(os.environ.get("SALPROBE_DATA", ""))
LABELS = DATA / "labels" / "osie_sr.json"
SIZES = ((80, 24), (120, 36), (200, 60))
QUIET_S = 0.25  # a save follows 0.7 s after the last key, and is not meant
ANSWERS = b"\x1b[?62;22c"


class Terminal:
    """A program in a pseudo-terminal that answers as one without graphics does."""

    def __init__(self, size: tuple[int, int], *words: str) -> None:
        child, self._file = pty.fork()
        if not child:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.execv(words[0], words)
        self._child = child
        columns, rows = size
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
        self.seen = self.read(30, until=b"\x1b[c")[0]
        os.write(self._file, ANSWERS)
        self.seen += self.read(30, until="▀".encode())[0] + self.read(30, quiet=1.5)[0]

    def read(self, limit: float, quiet: float = QUIET_S, until: bytes = b"") -> tuple[bytes, float]:
        """Return what is written until it is quiet, or holds a text; and when it ended."""
        began = ended = time.perf_counter()
        content = b""
        while time.perf_counter() - began < limit:
            waited = quiet if not until else limit
            ready, _, _ = select.select([self._file], [], [], waited)
            if not ready:
                break
            content += os.read(self._file, 1 << 16)
            ended = time.perf_counter()
            if until and until in content:
                break
        return content, ended

    def press(self, keys: bytes) -> tuple[int, float, float]:
        """Press a key; return bytes written, milliseconds until the last, and of CPU time."""
        began, worked = time.perf_counter(), self._worked()
        os.write(self._file, keys)
        first, _ = self.read(30, until=b"\x1b[")  # however late it begins
        rest, ended = self.read(30)
        return len(first + rest), 1000 * (ended - began), self._worked() - worked

    def send(self, keys: bytes, quiet: float = QUIET_S) -> bytes:
        """Press keys; return what is written until it is quiet."""
        os.write(self._file, keys)
        try:
            return self.read(30, quiet=quiet)[0]
        except OSError:  # it has ended
            return b""

    def _worked(self) -> float:
        """Return the milliseconds that the program's threads have run."""
        threads = Path(f"/proc/{self._child}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e6

    def kill(self) -> None:
        os.close(self._file)
        os.kill(self._child, signal.SIGKILL)
        os.waitpid(self._child, 0)


def keys(programs: dict[str, str]) -> None:
    """700 images, 3 162 regions: a label, the next region, the next image."""
    pressed = {"label": b"5", "next region": b"j", "next image": b"]"}
    for size in SIZES:
        for name, program in programs.items():
            with tempfile.TemporaryDirectory() as folder:
                shutil.copy(LABELS, folder)
                path = str(Path(folder, LABELS.name))
                terminal = Terminal(size, program, "review", path)
                for what, key in pressed.items():
                    measured = [terminal.press(key) for _ in range(12)]
                    say(name, f"{size[0]}×{size[1]}", what, measured)
                terminal.kill()


def many(programs: dict[str, str]) -> None:
    """One image with 10 000 regions."""
    content = json.loads(LABELS.read_text("utf-8"))
    image = content["images"][0]
    content["images"] = [image]
    content.pop("fixations", None)
    content["annotations"] = [
        {
            **{"id": k + 1, "image_id": image["id"], "category_id": 1 + k % 12, "iscrowd": 0},
            **{"bbox": [x, y, 6, 4], "area": 24},
            "segmentation": [[x, y, x + 6, y, x + 6, y + 4, x, y + 4]],
        }
        for k in range(10_000)
        for x, y in [(8 * (k % 100), 6 * (k // 100))]
    ]
    for name, program in programs.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "many.json")
            path.write_text(json.dumps(content), "utf-8")
            terminal = Terminal((120, 36), program, "review", str(path))
            for what, key in {"label": b"5", "next region": b"j"}.items():
                say(name, "10 000 regions", what, [terminal.press(key) for _ in range(8)])
            terminal.kill()


def say(name: str, where: str, what: str, measured: list[tuple[int, float, float]]) -> None:
    """Print medians, and the first key apart, as it may have to import."""
    sent, took, worked = (median(values) for values in zip(*measured[1:], strict=True))
    print(
        f"{name:8} {where:15} {what:12} {sent / 1000:7.1f} kB {took:6.0f} ms, "
        f"CPU {worked:6.0f} ms; the first key CPU {measured[0][2]:6.0f} ms"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help="keys, many; by default both")
    parser.add_argument("--against")
    given = parser.parse_args()
    here = {"here": str(Path(sys.executable).with_name("annotate"))}
    programs = {"before": given.against, **here} if given.against else here
    for part in given.parts or ["keys", "many"]:
        globals()[part](programs)

"""Label 30 OSIE regions by keys and 10 by mouse in a terminal; print what was pressed and sent.

`python benchmarks/labelling.py` needs OSIE and its labels below SALPROBE_DATA. The labels are taken
from the file, given again, and compared. Another checkout's `annotate` may be named.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

from review import LABELS, SIZES, Terminal

KEYS = "1234567890-="
BY_KEYS, BY_MOUSE = 30, 10
TOKEN = re.compile(
    r"\x1b\[(\d*);?(\d*)H|\x1b\[[?<>=\d;:$]*[ -/]*[@-~]|\x1b[PX^_\]].*?\x1b\\|(.)", re.S
)


class Screen:
    """The letters on a terminal's screen: enough of one to find what to click."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.lines = [[" "] * size[0] for _ in range(size[1])]
        self._row = self._column = 0

    def take(self, content: bytes) -> None:
        """Draw what was written."""
        for row, column, letter in TOKEN.findall(content.decode(errors="replace")):
            if letter == "\n":
                self._row += 1
            elif letter == "\r":
                self._column = 0
            elif letter.isprintable() and letter:
                if self._row < len(self.lines) and self._column < len(self.lines[0]):
                    self.lines[self._row][self._column] = letter
                self._column += 1
            elif row or column:
                self._row, self._column = int(row or 1) - 1, int(column or 1) - 1

    def find(self, text: str) -> tuple[int, int]:
        """Return the column and row at which a text begins, the lowest on the screen."""
        rows = ["".join(line) for line in self.lines]
        row = max(k for k, line in enumerate(rows) if text in line)
        return rows[row].index(text), row

    def picture(self) -> tuple[int, int, int, int]:
        """Return the picture's left, top, right and bottom cells."""
        found = [
            (x, y) for y, line in enumerate(self.lines) for x, one in enumerate(line) if one == "▀"
        ]
        columns, rows = zip(*found, strict=True)
        return min(columns), min(rows), max(columns) + 1, max(rows) + 1


def main() -> None:
    """Label in each size."""
    content = json.loads(LABELS.read_text("utf-8"))
    ids = [image["id"] for image in content["images"]]
    regions = sorted(content["annotations"], key=lambda region: ids.index(region["image_id"]))
    truth = [region["category_id"] for region in regions[: BY_KEYS + BY_MOUSE]]
    content["categories"].append({"id": 13, "name": "unlabelled"})
    for region in content["annotations"]:
        region["category_id"] = 13
    program = sys.argv[1] if len(sys.argv) > 1 else str(Path(sys.executable).with_name("annotate"))
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, LABELS.name)
            path.write_text(json.dumps(content), "utf-8")
            terminal, screen = Terminal(size, program, "review", str(path)), Screen(size)
            screen.take(terminal.seen)
            sent = 0
            for category in truth[:BY_KEYS]:
                written = terminal.send(KEYS[category - 1].encode())
                screen.take(written)
                sent += len(written)
            clicked = clicks = 0
            images = {image["id"]: image for image in content["images"]}
            for region, category in zip(regions[BY_KEYS:], truth[BY_KEYS:], strict=False):
                name = content["categories"][category - 1]["name"]
                column, row = screen.find(f"{KEYS[category - 1]}  {name}")
                for cell in (spot(region, images[region["image_id"]], screen), (column + 4, row)):
                    for end in "Mm":
                        written = terminal.send(
                            f"\x1b[<0;{cell[0] + 1};{cell[1] + 1}{end}".encode()
                        )
                        screen.take(written)
                        clicked += len(written)
                    clicks += 1
            terminal.send(b"q", 2.0)
            terminal.kill()
            saved = json.loads(path.read_text("utf-8"))["annotations"]
            given = {region["id"]: region["category_id"] for region in saved}
            found = [given[region["id"]] for region in regions[: BY_KEYS + BY_MOUSE]]
            right = sum(a == b for a, b in zip(found, truth, strict=True))
        print(
            f"{size[0]}×{size[1]}: {BY_KEYS} regions by {BY_KEYS} keys, "
            f"{sent / BY_KEYS / 1000:.1f} kB each; {BY_MOUSE} by {clicks} clicks, "
            f"{clicked / BY_MOUSE / 1000:.1f} kB each; "
            f"{right} of {len(truth)} labels are as meant"
        )


def spot(region: dict, image: dict, screen: Screen) -> tuple[int, int]:
    """Return the cell in the middle of a region."""
    left, top, right, bottom = screen.picture()
    x, y, width, height = region["bbox"]
    column = left + (x + width / 2) / image["width"] * (right - left)
    row = top + (y + height / 2) / image["height"] * (bottom - top)
    return int(column), int(row)


if __name__ == "__main__":
    main()

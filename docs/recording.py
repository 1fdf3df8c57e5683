"""Record both reviews as an animation: ``recording.py demo RUN``, from what `make demo` leaves.

Both run in tmux; every frame is its screen. Letters stay letters; pictures of half cells become
small PNGs, which the animation scales.
"""

import base64
import io
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image
from rich.ansi import AnsiDecoder
from rich.color import Color
from rich.console import Console

from salprobe.datasets.categories import UNLABELLED_ID

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from tmux import Tmux, running

TARGET = Path(__file__).parent / "images" / "reviews.svg"
SIZE = (100, 30)
CELL = (8, 17)
GROUND, LETTERS = (20, 23, 27), (227, 230, 234)

Cell = tuple[str, tuple[int, ...], tuple[int, ...]]
"""A letter, its colour and its ground."""

# What is pressed, what is said about it, and for how many seconds it is shown.
LABELS = (
    ((), "annotate review: every region, a key for each category", 2.0),
    (("1",), "1: person head, and on to the next region", 1.2),
    (("1", "2"), "2: person part", 1.2),
    (("z",), "z: zoom to the region", 1.5),
    (("z", "p"), "p: scanpaths, with their durations", 1.8),
    (("p", "c"), "c: a new region", 1.2),
    (("Right", "Right", "Right", "Down", "+", "+"), "arrows move it, + grows it", 1.2),
    (("Enter", "5"), "enter keeps it; 5: object", 1.5),
    (("b", "Tab"), "b: the board, regions of one category side by side", 2.0),
    (("Escape", "Escape", "T"), "T: dark or light", 1.8),
)
RESULTS = (
    (("m",), "probe review: layers by categories, here as in the paper", 2.0),
    (("Down", "Down"), "choose a cell …", 1.0),
    (("Enter",), "… its best units, with intervals", 1.6),
    (("Enter",), "a unit's best regions, each with its map", 2.0),
    (("v", "Down"), "v keeps one beside the next", 2.2),
)


def screen(tmux: Tmux) -> list[list[Cell]]:
    """Return the cells of a terminal's screen."""
    console, decoder, rows = Console(width=SIZE[0]), AnsiDecoder(), []
    for line in tmux("capture-pane", "-e", "-p").rstrip("\n").split("\n"):
        cells: list[Cell] = []
        for segment in decoder.decode_line(line).render(console):
            style = segment.style
            colour = _rgb(style and style.color, LETTERS)
            ground = _rgb(style and style.bgcolor, GROUND)
            if style and style.reverse:
                colour, ground = ground, colour
            cells += [(letter, colour, ground) for letter in segment.text if letter != "\n"]
        rows.append((cells + [(" ", LETTERS, GROUND)] * SIZE[0])[: SIZE[0]])
    return rows


def _rgb(colour: Color | None, default: tuple[int, ...]) -> tuple[int, ...]:
    return default if colour is None or colour.is_default else tuple(colour.get_truecolor())


def drawn(rows: Sequence[Sequence[Cell]], said: str) -> str:
    """Return a frame as SVG: grounds and half cells as a picture, letters as text."""
    pixels = np.array(
        [
            [cell[1 if cell[0] == "▀" and half == 0 else 2] for cell in row]
            for row in rows
            for half in (0, 1)
        ],
        dtype=np.uint8,
    )
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    width, height = SIZE[0] * CELL[0], SIZE[1] * CELL[1]
    data = base64.b64encode(file.getvalue()).decode()
    parts = [
        f'<image width="{width}" height="{height}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
    ]
    for y, row in enumerate(rows):
        x = 0
        while x < len(row):
            end = x
            while end < len(row) and row[end][1] == row[x][1] and row[end][0] not in " ▀":
                end += 1
            if end > x:
                text = escape("".join(cell[0] for cell in row[x:end]))
                colour = "#{:02x}{:02x}{:02x}".format(*row[x][1])
                parts.append(
                    f'<text x="{x * CELL[0]}" y="{(y + 0.76) * CELL[1]:.0f}" fill="{colour}" '
                    f'textLength="{(end - x) * CELL[0]}">{text}</text>'
                )
            x = max(end, x + 1)
    parts.append(
        f'<text class="said" x="{width / 2}" y="{height + 22}" text-anchor="middle">'
        f"{escape(said)}</text>"
    )
    return "".join(parts)


def animated(frames: Sequence[tuple[str, float]]) -> str:
    """Return an SVG that shows frames, each for some seconds, over and over."""
    width, height = SIZE[0] * CELL[0], SIZE[1] * CELL[1] + 32
    whole, begins, groups, rules = sum(last for _, last in frames), 0.0, [], []
    for k, (frame, last) in enumerate(frames):
        start, end = 100 * begins / whole, 100 * (begins + last) / whole
        rules.append(
            f"@keyframes f{k}{{0%{{visibility:{'hidden' if k else 'visible'}}}"
            f"{start:.2f}%{{visibility:visible}}{end:.2f}%,100%{{visibility:hidden}}}}"
            f".f{k}{{animation:f{k} {whole:.1f}s step-end infinite}}"
        )
        groups.append(f'<g class="f f{k}">{frame}</g>')
        begins += last
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
        "<title>Labels and results reviewed in the terminal</title>"
        f"<style>text{{font:13px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
        f"white-space:pre}}.said{{fill:#ffb454;font-size:15px}}.f{{visibility:hidden}}"
        f"{''.join(rules)}</style>"
        f'<rect width="{width}" height="{height}" fill="#14171b"/>{"".join(groups)}</svg>\n'
    )


def record(
    words: Sequence[object], steps: Sequence[tuple], shown: str, patience_s: float
) -> list[tuple[str, float]]:
    """Run a program in tmux and return its frames, each with its seconds."""
    frames = []
    with tempfile.TemporaryDirectory() as folder:
        command = ("env", "COLORTERM=truecolor", *words)
        with running(Path(folder), SIZE, *command) as tmux:
            tmux.wait_for(shown)
            time.sleep(4)
            for keys, said, last in steps:
                for key in keys:
                    tmux.keys(key)
                    time.sleep(0.4)
                time.sleep(patience_s)
                frames.append((drawn(screen(tmux), said), last))
    return frames


if __name__ == "__main__":
    demo, run = map(Path, sys.argv[1:3])
    programs = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as folder:
        masks = Path(folder, "masks.json")
        content = json.loads((demo / "regions.json").read_text("utf-8"))
        for region in content["annotations"]:
            region["category_id"] = UNLABELLED_ID
        masks.write_text(json.dumps(content), "utf-8")
        words = (programs / "annotate", "review", masks, "--root", demo / "sample")
        frames = record(words, LABELS, "▀", 3)
    frames += record((programs / "probe", "review", run), RESULTS, "layer", 9)
    TARGET.write_text(animated(frames), "utf-8")

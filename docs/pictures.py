"""Draw the README's pictures: ``pictures.py demo [RUN]``.

regions.png is drawn from what `make demo` leaves in demo/, table.svg from a run on OSIE.
"""

import io
import re
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

from salprobe.datasets.categories import COLOURS
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.stimuli import Stimuli
from salprobe.probe.runs.run import Run
from salprobe.probe.views.run import render_run

TARGET = Path(__file__).parent / "images"
SHOWN = ("astronaut.png", "coffee.png", "chelsea.png")  # public domain and CC0
HEIGHT = 400
GAP = 8
FONT = ImageFont.load_default(14)

Point = tuple[float, float]
Box = tuple[float, float, float, float]


def regions(demo: Path) -> None:
    masks = MaskSet.read(demo / "regions.json")
    stimuli = Stimuli(demo / "sample", tuple(masks.images))
    names = masks.category_of()
    photographs: list[tuple[Image.Image, int]] = []
    outlines: list[tuple[str, list[Point]]] = []
    fixations: list[Point] = []
    left = 0
    for file_name in SHOWN:
        stimulus = next(stimulus for stimulus in stimuli if stimulus.file_name == file_name)
        photograph = stimuli.read(stimulus)
        scale = HEIGHT / photograph.height
        photographs.append((photograph.resize((round(photograph.width * scale), HEIGHT)), left))
        gaze = masks.fixations.of(stimulus.id)
        for x, y in zip(gaze.x, gaze.y, strict=True):
            fixations.append((left + (x + 0.5) * scale, (y + 0.5) * scale))
        for region in masks.annotations:
            if region.image_id == stimulus.id:
                flat = region.segmentation[0]
                corners = zip(flat[::2], flat[1::2], strict=True)
                points = [(left + x * scale, y * scale) for x, y in corners]
                outlines.append((names[region.category_id], points))
        left += photographs[-1][0].width + GAP

    sheet = Image.new("RGB", (left - GAP, HEIGHT), "white")
    for photograph, place in photographs:
        sheet.paste(photograph, (place, 0))
    # Before anything is drawn, so that the palette keeps colours for the categories.
    sheet = sheet.quantize(192).convert("RGB")
    draw = ImageDraw.Draw(sheet)
    for name, points in outlines:
        for width, fill in ((6, "black"), (4, COLOURS[name])):
            draw.line([*points, *points[:2]], fill=fill, width=width, joint="curve")
    for x, y in fixations:
        draw.ellipse([x - 2, y - 2, x + 2, y + 2], fill="white", outline="black")
    taken = [bounds(points) for _, points in outlines]
    for (name, _), region in zip(outlines, list(taken), strict=True):
        taken.append(sign(sheet, name, region, [box for box in taken if box != region]))
    sheet.quantize(256, dither=Image.Dither.NONE).save(TARGET / "regions.png", optimize=True)


def sign(sheet: Image.Image, name: str, region: Box, taken: list[Box]) -> Box:
    """Write a region's category above it, or below where something else is in the way."""
    width, height = FONT.getlength(name) + 8, 19
    x = min(region[0], sheet.width - width - 2)
    above, below = max(region[1] - height - 3, 2), min(region[3] + 4, HEIGHT - height - 2)
    boxes = [(x, y, x + width, y + height) for y in (above, below)]
    box = next((box for box in boxes if not any(overlap(box, other) for other in taken)), boxes[0])
    draw, colour = ImageDraw.Draw(sheet), COLOURS[name]
    draw.rectangle(box, fill=colour, outline="black")
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    is_dark = 0.299 * red + 0.587 * green + 0.114 * blue < 140
    draw.text((x + 4, box[1] + 1), name, fill="white" if is_dark else "black", font=FONT)
    return box


def bounds(points: list[Point]) -> Box:
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def overlap(box: Box, other: Box) -> bool:
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]


def table(run: str) -> None:
    console = Console(record=True, width=112, file=io.StringIO(), color_system="truecolor")
    console.print(render_run(Run.open(run)).renderables[1])
    svg = console.export_svg(title="probe show runs/osie_sr-squeezenet1_0")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # fonts from another server
    (TARGET / "table.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    regions(Path(sys.argv[1]))
    for run in sys.argv[2:]:
        table(run)

"""Draw the README's pictures from `make demo`: regions.png and table.svg."""

import io
import re
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.stimuli import Stimuli
from salprobe.probe.runs.run import Run
from salprobe.probe.views.run import render_run

SHOWN = ("astronaut.png", "coffee.png", "chelsea.png")  # public domain and CC0
# Okabe and Ito's palette, which colour-blind people tell apart.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#FFFFFF")
HEIGHT = 400


def picture(masks: MaskSet, stimuli: Stimuli, name: str) -> Image.Image:
    stimulus = next(one for one in stimuli if one.file_name == name)
    image = stimuli.read(stimulus)
    scale = HEIGHT / image.height
    image = image.resize((round(image.width * scale), HEIGHT))
    draw = ImageDraw.Draw(image)
    gaze = masks.fixations.of(stimulus.id)
    for x, y in zip(gaze.x, gaze.y, strict=True):
        x, y = (x + 0.5) * scale, (y + 0.5) * scale
        draw.ellipse([x - 2, y - 2, x + 2, y + 2], fill="#7CFC00", outline="black")
    font = ImageFont.load_default(15)
    names = masks.category_of()
    for region in masks.annotations:
        if region.image_id != stimulus.id:
            continue
        outline = [value * scale for value in region.segmentation[0]]
        points = list(zip(outline[::2], outline[1::2], strict=True))
        colour = COLOURS[region.category_id % len(COLOURS)]
        draw.line([*points, points[0]], fill=colour, width=3, joint="curve")
        text = names[region.category_id]
        left = min(region.bbox[0] * scale, image.width - draw.textlength(text, font) - 4)
        where = (max(left, 4), max(region.bbox[1] * scale - 20, 4))
        draw.text(where, text, fill="white", stroke_width=2, stroke_fill="black", font=font)
    return image


def main() -> None:
    demo, target = Path(sys.argv[1]), Path(__file__).parent / "images"
    masks = MaskSet.read(demo / "regions.json")
    stimuli = Stimuli(demo / "sample", tuple(masks.images))
    pictures = [picture(masks, stimuli, name) for name in SHOWN]
    width = sum(one.width for one in pictures) + 8 * (len(pictures) - 1)
    sheet = Image.new("RGB", (width, HEIGHT), "white")
    left = 0
    for one in pictures:
        sheet.paste(one, (left, 0))
        left += one.width + 8
    sheet.quantize(192).save(target / "regions.png", optimize=True)
    console = Console(record=True, width=112, file=io.StringIO(), color_system="truecolor")
    console.print(render_run(Run.open(sys.argv[2])).renderables[1])
    svg = console.export_svg(title="probe show runs/osie_sr-squeezenet1_0")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # fonts from another server
    (target / "table.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()

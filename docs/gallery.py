"""Draw the pictures of gallery.md anew, by the commands that it shows: ``gallery.py [WEIGHTS]``.

Everything is of the sample, whose photographs are in the public domain or CC0 and whose gaze is
simulated, and of search arrays. WEIGHTS is a file with SqueezeNet 1.0's ImageNet weights; without
it they are downloaded. Takes some minutes. Needs chromium, for the report and the terminal.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

from pictures import regions
from PIL import Image
from playwright.sync_api import sync_playwright
from textual.app import App

from salprobe.annotate.review.journal import Review
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.stimuli import Stimuli
from salprobe.tui.labels.review import LabelReview
from salprobe.tui.results.review import ResultsReview

TARGET = Path(__file__).parent / "images" / "gallery"
FOLDER = Path(__file__).parent.parent / "build" / "gallery"
"""Where the commands run; given again, they go on from what is there."""
WIDTH = 1200
COMMANDS = """\
annotate fetch sample --root sample
annotate cluster sample --labels sample/masks.json -o regions.json
probe run --masks regions.json --root sample --model squeezenet1_0 --weights {weights} --out run
probe figure run -o units.png --layers features.5,features.10 --categories vehicle,plant
probe unit run features.10:254 -o sheets
probe report run -o site
annotate popout -n 5 --features hue,orientation,size,curvature,density --contrast 1 -o popout
probe popout --masks popout/popout.json --models bms,itti,gbvs --figure popout.png
probe dissect regions.json --root sample --model squeezenet1_0 --weights {weights} -o dissect
probe explain squeezenet1_0 sample --weights {weights} --layers features.1 -o explain
probe figure explain -o explain.png
probe fields squeezenet1_0 sample --weights {weights} --layers features.3 -o fields
"""
PICTURES = {
    "units": "units.png",
    "unit": "sheets/features.10-254.png",
    "popout": "popout.png",
    "detectors": "dissect/detectors.png",
    "explain": "explain.png",
    "fields": "fields/fields.png",
    "report": "report.png",
    "labels": "labels.png",
    "results": "results.png",
}


def run(weights: str) -> None:
    """Run the commands in the current folder."""
    programs = Path(sys.executable).parent
    for line in COMMANDS.format(weights=weights).splitlines():
        print("$", line, flush=True)
        program, *words = line.split()
        subprocess.run([programs / program, *words], check=True, stdout=subprocess.DEVNULL)


async def screen(app: App, keys: list[str]) -> str:
    """Return what a terminal of 110×34 shows after some keys, as SVG."""
    async with app.run_test(size=(110, 34)) as pilot:
        await pilot.press(*keys)
        await pilot.pause(3)
        return app.export_screenshot()


def screenshots() -> None:
    """Write report.png, and labels.png and results.png of the terminal."""
    masks = MaskSet.read("regions.json")
    stimuli = Stimuli(Path("sample"), tuple(masks.images))
    labels = LabelReview(Review(Path("regions.json")), stimuli)
    Path("labels.svg").write_text(asyncio.run(screen(labels, ["right_square_bracket"] * 3)))
    Path("results.svg").write_text(asyncio.run(screen(ResultsReview([Path("run")]), ["m"])))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        context = browser.new_context(viewport={"width": WIDTH, "height": 1250}, offline=True)
        page = context.new_page()
        page.goto(Path("site/index.html").resolve().as_uri() + "#features.10/254")
        page.screenshot(path="report.png")
        page.set_viewport_size({"width": WIDTH, "height": 780})
        for name in ("labels", "results"):
            page.goto(Path(f"{name}.svg").resolve().as_uri())
            page.screenshot(path=f"{name}.png")
        browser.close()


def keep(source: Path, name: str) -> None:
    """Write a picture for the page: at most `WIDTH` wide, 256 colours."""
    with Image.open(source) as picture:
        small = picture.convert("RGB")
        small.thumbnail((WIDTH, 4 * WIDTH))
        small.quantize(256).save(TARGET / f"{name}.png", optimize=True)


def main() -> None:
    weights = str(Path(sys.argv[1]).resolve()) if len(sys.argv) > 1 else "default"
    TARGET.mkdir(parents=True, exist_ok=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    os.chdir(FOLDER)
    run(weights)
    regions(Path())
    screenshots()
    for name, source in PICTURES.items():
        keep(Path(source), name)


if __name__ == "__main__":
    main()

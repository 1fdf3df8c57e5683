"""Draw the pictures of gallery.md anew, by the commands that it shows: ``gallery.py [WEIGHTS]``.

Everything is of the sample, whose photographs are in the public domain or CC0 and whose gaze is
simulated, and of search arrays. WEIGHTS is a file with SqueezeNet 1.0's ImageNet weights; without
it they are downloaded. Takes some minutes. Needs chromium, for the report and the terminal.
"""

import os
import subprocess
import sys
from pathlib import Path

import screens
from pictures import regions

from salprobe.annotate.review.journal import Review
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.stimuli import Stimuli
from salprobe.tui.labels.review import LabelReview
from salprobe.tui.results.review import ResultsReview

TARGET = Path(__file__).parent / "images" / "gallery"
FOLDER = Path(__file__).parent.parent / "build" / "gallery"
"""Where the commands run; given again, they go on from what is there."""
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


def screenshots() -> None:
    """Write report.png, and labels.png and results.png of the terminal."""
    masks = MaskSet.read("regions.json")
    stimuli = Stimuli(Path("sample"), tuple(masks.images))
    labels = LabelReview(Review(Path("regions.json")), stimuli)
    screens.draw(labels, ["right_square_bracket"] * 3, Path("labels.png"))
    screens.draw(ResultsReview([Path("run")]), ["m"], Path("results.png"))
    with screens.browser(1250) as page:
        page.goto(Path("site/index.html").resolve().as_uri() + "#features.10/254")
        page.wait_for_selector(".grid figure")
        page.screenshot(path="report.png")


def main() -> None:
    weights = str(Path(sys.argv[1]).resolve()) if len(sys.argv) > 1 else "default"
    TARGET.mkdir(parents=True, exist_ok=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    os.chdir(FOLDER)
    run(weights)
    regions(Path())
    screenshots()
    screens.keep({name: Path(source) for name, source in PICTURES.items()}, TARGET)


if __name__ == "__main__":
    main()

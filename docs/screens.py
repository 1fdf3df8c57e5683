"""Pictures of the terminal's reviews: ``screens.py RUN`` draws images/results.png, of a run.

``make gallery`` draws those of the sample. Needs chromium.
"""

import asyncio
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from textual.app import App

from salprobe.tui.results.review import ResultsReview

TARGET = Path(__file__).parent / "images"
WIDTH = 1200
SHAPE = """() => {
    const { width, height } = document.documentElement.viewBox.baseVal;
    return height / width;
}"""


@contextmanager
def browser(height: int) -> Iterator[Page]:
    """Yield an empty page that reaches nothing but the disk."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        size = {"width": WIDTH, "height": height}
        yield found.new_context(viewport=size, offline=True).new_page()
        found.close()


async def screen(app: App, keys: Sequence[str], size: tuple[int, int]) -> str:
    """Return what a terminal shows after some keys, as SVG."""
    async with app.run_test(size=size) as pilot:
        await pilot.press(*keys)
        await pilot.pause(3)
        return app.export_screenshot()


def draw(app: App, keys: Sequence[str], picture: Path, size: tuple[int, int] = (110, 34)) -> None:
    """Write what a terminal of some columns and rows shows after some keys, as PNG."""
    svg = asyncio.run(screen(app, keys, size))
    with TemporaryDirectory() as folder, browser(800) as page:
        path = Path(folder) / "screen.svg"
        path.write_text(svg, "utf-8")
        page.goto(path.as_uri())
        height = round(WIDTH * page.evaluate(SHAPE))
        page.set_viewport_size({"width": WIDTH, "height": height})
        page.screenshot(path=picture)


def keep(sources: Mapping[str, Path], target: Path) -> None:
    """Write pictures for the pages: at most `WIDTH` wide, 256 colours."""
    for name, source in sources.items():
        with Image.open(source) as picture:
            small = picture.convert("RGB")
            small.thumbnail((WIDTH, 4 * WIDTH))
            small.quantize(256).save(target / f"{name}.png", optimize=True)


def main(run: Path) -> None:
    with TemporaryDirectory() as folder:
        shown = Path(folder) / "results.png"
        draw(ResultsReview([run]), [], shown, (120, 21))
        keep({"results": shown}, TARGET)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

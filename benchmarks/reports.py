"""Measure reports as a reader meets them, and follow every link: ``reports.py SITE …``.

Each SITE is what `probe report` wrote: a folder, or one file. Pages are opened from disk in
Chromium, each time in a new context: nothing is cached but by the system. Printed is, for each
site, its size, and the shortest of several times in ms: until the first page is loaded, until its
plots are drawn, and until the page of a unit shows its pictures. A link that leads nowhere is
printed and makes the exit status 1.
"""

import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from playwright.sync_api import sync_playwright

TIMES = 5
FILES = """[...document.querySelectorAll("[href], [src]")]
    .map((one) => one.href?.baseVal ?? one.href ?? one.src)"""
PLACES = """async () => {
    const [run, named] = [await load("run"), await pictures()];
    const places = [...document.querySelectorAll("#heat tbody a")].map((one) => one.hash);
    const shown = new Set(places);
    const [wrong, used] = [[], new Set()];
    for (const place of places) {
        const nodes = await page(run, place);
        if (nodes[1].textContent === "Nothing here") wrong.push(place);
        for (const node of nodes) {
            for (const link of node.querySelectorAll("a[href^='#']")) {
                if (link.hash.length < 2 || shown.has(link.hash)) continue;
                shown.add(link.hash);
                places.push(link.hash);
            }
            for (const image of node.querySelectorAll("image, img")) {
                used.add(image.getAttribute("href") ?? image.getAttribute("src"));
            }
        }
    }
    return [places, wrong, [...used]];
}"""
DECODED = """async () => {
    for (const one of document.querySelectorAll(".grid image")) {
        const image = new Image();
        image.src = one.getAttribute("href");
        await image.decode();
    }
    return performance.now();
}"""


def pages_of(site: Path) -> list[Path]:
    return [site] if site.is_file() else sorted(site.rglob("index.html"))


def links(browser: Any, site: Path) -> tuple[int, list[str], str]:
    """Return how many links there are, those that lead nowhere, and a unit's address or ""."""
    count, wrong, unit = 0, [], ""
    for path in pages_of(site):
        page = browser.new_page()
        page.goto(path.as_uri())
        page.wait_for_load_state()
        addresses = page.evaluate(FILES)
        if page.locator("#heat").count():
            places, nowhere, used = page.evaluate(PLACES)
            count += len(places)
            wrong += [f"{path}: {place}" for place in nowhere]
            addresses += [f"{path.parent.as_uri()}/{one}" for one in used if one[:5] != "data:"]
            unit = unit or next((one for one in places if one.rpartition("/")[2].isdecimal()), "")
        for address in set(addresses):
            parts = urlsplit(address)
            if parts.scheme != "file":
                continue
            count += 1
            if not Path(unquote(parts.path)).is_file():
                wrong.append(f"{path}: {address}")
        page.close()
    return count, wrong, unit


def times(browser: Any, path: Path, unit: str) -> tuple[float, float, float]:
    """Return ms until a page is loaded, its plots are drawn, and a unit's pictures are there."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    drawn = float("nan")
    if page.locator("[data-plot]").count():
        page.wait_for_selector("[data-plot] svg", state="attached")
        drawn = page.evaluate("performance.now()")
    context.close()
    if not unit:
        return loaded, drawn, float("nan")
    context = browser.new_context(viewport={"width": 1440, "height": 900}, offline=True)
    page = context.new_page()
    page.goto(path.as_uri() + unit)
    page.wait_for_selector(".grid figure")
    shown = page.evaluate(DECODED)
    context.close()
    return loaded, drawn, shown


def main(sites: list[Path]) -> int:
    failed = 0
    print("site: MB, files; first page loaded, plots drawn, a unit's pictures (ms); links")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for site in sites:
            files = [site] if site.is_file() else [one for one in site.rglob("*") if one.is_file()]
            size = sum(one.stat().st_size for one in files) / 1e6
            count, wrong, unit = links(browser, site)
            first = next(
                (path for path in pages_of(site) if "heat" in path.read_text("utf-8")), None
            )
            path = first or pages_of(site)[0]
            shortest = [
                min(found)
                for found in zip(*(times(browser, path, unit) for _ in range(TIMES)), strict=True)
            ]
            shown = ", ".join(f"{one:.0f}" for one in shortest)
            print(f"{site}: {size:.1f}, {len(files)}; {shown}; {count}, {len(wrong)} wrong")
            print(*wrong, sep="\n", end="\n" if wrong else "")
            failed += len(wrong)
        browser.close()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main([Path(one).resolve() for one in sys.argv[1:]]))

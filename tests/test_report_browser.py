"""Reports in a browser, opened from disk: what they do, show and load, and who can use them."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from sites import EVIL, Watched

import salprobe as sp

AXE = """async () => {
    const found = await axe.run(document, { resultTypes: ["violations"], preload: false });
    return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html)}`);
}"""


@pytest.fixture(scope="session")
def evil_file(evil_run: sp.Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report as one file."""
    return sp.write_report(evil_run, tmp_path_factory.mktemp("file") / "one.html", single=True)


@pytest.fixture(scope="session")
def all_site(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a site of all kinds of results."""
    return sp.write_report(results, tmp_path_factory.mktemp("all") / "site", pictures=False).parent


def check(page: Any) -> None:
    """Fail on whatever axe finds wrong with a page as it is shown."""
    module = pytest.importorskip("axe_playwright_python.base")
    page.evaluate(module.AXE_SCRIPT)
    assert page.evaluate(AXE) == []


def first_column(page: Any, table: str) -> list[str]:
    return page.locator(f"{table} tbody th").all_inner_texts()


def test_from_the_table_to_a_unit_and_back(browser: Any, evil_run: sp.Run, evil_site: Path) -> None:
    watched = Watched(browser, evil_site)
    page = watched.open()
    page.wait_for_selector("[data-plot] svg")
    # The table is sorted by a category, and back by the layer's place.
    column = evil_run.table("top10_crossval")["person head"]
    assert first_column(page, "#heat") == list(column.index)
    page.locator("#heat").get_by_role("button", name="person head").click()
    head = page.locator("#heat thead th").nth(1)
    assert head.get_attribute("aria-sort") == "descending"
    ordered = list(column.sort_values(ascending=False).index)
    assert first_column(page, "#heat") == ordered
    page.locator("#heat").get_by_role("button", name="person head").click()
    assert first_column(page, "#heat") == ordered[::-1]
    page.get_by_role("button", name="layer", exact=True).press("Enter")
    assert first_column(page, "#heat") == list(column.index)
    # Other measures.
    page.get_by_role("button", name="as in the paper").click()
    shown = page.locator("#heat tbody td").first.inner_text().strip()
    assert shown == f"{evil_run.table().iloc[0, 0]:.2f}"
    # To a cell and on to a unit, and back.
    layer, category = column.index[0], "person-head"
    page.locator("#heat tbody tr").first.locator("a").first.click()
    page.wait_for_selector("#detail table")
    assert page.evaluate("location.hash") == f"#{layer}/{category}"
    assert not page.locator("#overview").is_visible()
    units = list(map(str, evil_run.best_units("person head", 10, layer)["unit"]))
    assert first_column(page, "#detail") == units
    page.get_by_role("button", name="unit", exact=True).click()
    assert first_column(page, "#detail") == sorted(units, key=int)
    page.get_by_role("link", name=units[0], exact=True).click()
    page.wait_for_selector(".grid figure")
    assert page.evaluate("location.hash") == f"#{layer}/{units[0]}"
    assert page.title().startswith(f"{layer}, unit {units[0]}")
    assert page.locator(".grid figure").count() == 16
    before = page.locator(".grid svg").first.get_attribute("viewBox")
    page.locator(".grid button").first.click()
    assert page.locator(".grid svg").first.get_attribute("viewBox") == "0 0 96 72" != before
    assert page.locator(".grid .looked").count() == 16
    assert page.locator(".grid image").first.evaluate("one => one.getBBox().width") == 96
    page.go_back()
    page.wait_for_selector("#detail td .strip .interval", state="attached")
    page.go_back()
    page.wait_for_selector("#heat", state="visible")
    assert watched.wrong == []
    page.close()


def test_addresses_open_directly_and_wrong_ones_say_so(
    browser: Any, evil_run: sp.Run, evil_site: Path
) -> None:
    watched = Watched(browser, evil_site)
    unit = evil_run.best_units(EVIL, 1, "log_gabor")["unit"].iloc[0]
    page = watched.open(f"#log_gabor/{unit}")
    page.wait_for_selector(".grid figure")
    assert EVIL in page.locator("#detail").inner_text()
    assert page.locator("img").count() == 0
    for address in ("#log_gabor/99999", "#nowhere/1", "#log_gabor/nothing", "#%/1", f"#{EVIL}"):
        page = watched.open(address)
        assert page.locator("#detail h2").inner_text() == "Nothing here"
    assert watched.wrong == []
    page.close()


def test_of_two_runs_the_same_place_is_a_click_away(
    browser: Any, evil_run: sp.Run, tmp_path: Path
) -> None:
    other = tmp_path / "after"
    shutil.copytree(evil_run.folder, other)
    sp.write_report([evil_run, sp.Run.open(other)], tmp_path / "site", pictures=False)
    watched = Watched(browser, tmp_path / "site")
    page = watched.page
    page.goto((tmp_path / "site" / "index.html").as_uri())
    assert page.locator("main a").all_inner_texts() == [EVIL, "after"]
    page.get_by_role("link", name="after").click()
    page.wait_for_selector("#heat a")
    page.locator("#heat tbody a").first.click()
    page.wait_for_selector("#detail tbody a")
    page.locator("#detail tbody a").first.click()
    page.wait_for_selector(".grid figure")
    address = page.evaluate("location.hash")
    page.locator("a.run").click()
    page.wait_for_url(f"**/site/1/index.html{address}")
    page.wait_for_selector(".grid figure")
    assert watched.wrong == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_pages_without_scrolling_sideways(
    browser: Any, evil_run: sp.Run, evil_site: Path, scheme: str
) -> None:
    size = {"width": 390, "height": 800}
    watched = Watched(browser, evil_site, viewport=size, color_scheme=scheme)
    unit = evil_run.best_units("person head", 1, "log_gabor")["unit"].iloc[0]
    for address in ("", "#log_gabor/person-head", f"#log_gabor/{unit}"):
        page = watched.open(address)
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (colour == "rgb(255, 255, 255)") == (scheme == "light")
    assert watched.wrong == []
    page.close()


def test_one_file_does_the_same_and_loads_nothing(
    browser: Any, evil_run: sp.Run, evil_file: Path
) -> None:
    watched = Watched(browser, evil_file)
    page = watched.open()
    page.wait_for_selector("[data-plot] svg")
    layer = evil_run.table().index[0]
    page.locator("#heat tbody a").first.click()
    page.wait_for_selector("#detail tbody a")
    page.locator("#detail tbody a").first.click()
    page.wait_for_selector(".grid image")
    unit = evil_run.best_units("person head", 1, layer)["unit"].iloc[0]
    assert page.evaluate("location.hash") == f"#{layer}/{unit}"
    loaded = """async () => {
        const image = new Image();
        image.src = document.querySelector(".grid image").getAttribute("href");
        await image.decode();
        return [image.naturalWidth, image.naturalHeight];
    }"""
    assert page.evaluate(loaded) == [96, 72]
    assert EVIL in page.locator("h1").inner_text()
    assert watched.wrong == []
    page.close()


def test_a_plot_is_read_by_pointer_and_by_keyboard(
    browser: Any, evil_run: sp.Run, evil_site: Path
) -> None:
    watched = Watched(browser, evil_site, viewport={"width": 1200, "height": 900})
    page = watched.open()
    plot = page.locator("[data-plot='0'] svg").first
    plot.wait_for()
    marks = page.locator("[data-plot='0'] a.mark")
    first, second = (marks.nth(k).get_attribute("aria-label") for k in (0, 1))
    layers = [layer.name for layer in evil_run.info.layers]
    assert first and first.startswith(f"{layers[0]}, person head:")
    assert second and second.startswith(f"{layers[1]}, person head:")
    # One Tab stop for all marks; the arrow keys go on, Enter opens the cell.
    assert page.locator("[data-plot='0'] a.mark[tabindex='0']").count() == 1
    marks.first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#tip").inner_text() == second
    assert marks.nth(1).evaluate("one => one === document.activeElement")
    page.keyboard.press("Escape")
    assert not page.locator("#tip").is_visible()
    page.keyboard.press("ArrowDown")
    assert page.locator("#tip").inner_text().startswith(f"{layers[1]}, 12:")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.wait_for_selector("#detail h2")
    assert page.evaluate("location.hash") == f"#{layers[0]}/person-head"
    assert not page.locator("#tip").is_visible()
    page.go_back()
    plot.scroll_into_view_if_needed()
    box = marks.nth(1).locator("circle").bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    assert page.locator("#tip").is_visible()
    page.mouse.move(5, 5)
    assert not page.locator("#tip").is_visible()
    # One series alone; another category's distribution.
    legend = page.locator("[data-plot='0'] .legend button").first
    legend.click()
    assert legend.get_attribute("aria-pressed") == "true"
    assert page.locator("[data-plot='0'] .series.alone").count() == 1
    page.locator(".choice select").select_option(label=EVIL)
    bar = page.locator("[data-plot='2'] .bar").first.get_attribute("aria-label")
    assert bar and EVIL in bar
    assert page.evaluate("document.activeElement.tagName") == "SELECT"
    assert watched.wrong == []
    page.close()


def test_a_cell_says_all_that_is_known_of_it(
    browser: Any, evil_run: sp.Run, evil_site: Path
) -> None:
    watched = Watched(browser, evil_site)
    page = watched.open()
    page.wait_for_selector("[data-plot] svg")
    cell = page.locator("#heat tbody a").first
    cell.hover()
    said = page.locator("#tip").inner_text()
    row = evil_run.summary.set_index(["layer", "category"]).loc[
        evil_run.table().index[0], "person head"
    ]
    for name, key in (("chance (shuffled)", "shuffled"), ("ceiling", "ceiling")):
        assert f"{name}\n{row[key]:.2f}" in said
    page.close()


def test_by_keyboard_through_the_table_and_back(
    browser: Any, evil_run: sp.Run, evil_site: Path
) -> None:
    watched = Watched(browser, evil_site)
    page = watched.open()
    page.wait_for_selector("[data-plot] svg")
    here = "document.activeElement.getAttribute('href')"
    first, second = evil_run.table().index
    categories = page.locator("#heat tbody tr").first.locator("a")
    # One Tab stop for all cells; the arrow keys go on, over those without regions.
    assert page.locator("#heat tbody a[tabindex='0']").count() == 1
    page.locator("#heat thead button").last.focus()
    page.keyboard.press("Tab")
    assert page.evaluate(here) == f"#{first}/person-head"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(here) == categories.nth(1).get_attribute("href").replace(first, second)
    assert page.locator("#tip").inner_text().startswith(f"{second}, 12")
    cell = page.evaluate(here)
    page.keyboard.press("Enter")
    page.wait_for_selector("#detail tbody a")
    link = page.locator("#detail tbody a").nth(3)
    unit = link.get_attribute("href")
    link.press("Enter")
    page.wait_for_selector(".grid figure")
    assert page.evaluate("document.activeElement.tagName") == "H2"
    # Back, the focus is on the link that led there.
    for address in (unit, cell):
        page.go_back()
        page.wait_for_function(f"{here} === '{address}'")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('[data-plot]') !== null")
    assert watched.wrong == []
    page.close()


def test_axes_have_numbers_that_fit(browser: Any, evil_run: sp.Run, evil_site: Path) -> None:
    watched = Watched(browser, evil_site)
    page = watched.open()
    found = page.evaluate(
        "[[0, 1e12], [-2.5e5, 0], [0, 4e-6], [-0.3, 0.2], [1, 1.0004]].map("
        "(ends) => ticks(...ends).map(([, text]) => text))"
    )
    assert found == [
        ["0", "2·10¹¹", "4·10¹¹", "6·10¹¹", "8·10¹¹", "1·10¹²"],
        ["−2.5·10⁵", "−2·10⁵", "−1.5·10⁵", "−1·10⁵", "−5·10⁴", "0"],
        ["0", "1·10⁻⁶", "2·10⁻⁶", "3·10⁻⁶", "4·10⁻⁶"],
        ["−0.3", "−0.2", "−0.1", "0", "0.1", "0.2"],
        ["1", "1.0001", "1.0002", "1.0003", "1.0004"],
    ]
    unit = evil_run.best_units("person head", 1, "log_gabor")["unit"].iloc[0]
    for address in ("#log_gabor/person-head", f"#log_gabor/{unit}"):
        page = watched.open(address)
        assert "0" in page.locator("#detail thead .strip text").all_text_contents()
    page.close()


def test_a_picture_that_is_gone_is_said(
    browser: Any, evil_run: sp.Run, evil_site: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    shutil.copytree(evil_site, site, ignore=shutil.ignore_patterns("*.webp"))
    page = Watched(browser, site).open(
        f"#log_gabor/{evil_run.best_units('12', 1, 'log_gabor')['unit'].iloc[0]}"
    )
    page.wait_for_function("document.querySelectorAll('figcaption small + small').length === 16")
    assert ".webp is missing" in page.locator(".grid").first.inner_text()
    page.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 820), ("dark", 390)])
def test_everybody_can_use_it(
    browser: Any, evil_run: sp.Run, evil_site: Path, all_site: Path, scheme: str, width: int
) -> None:
    size = {"width": width, "height": 900}
    watched = Watched(browser, evil_site, viewport=size, color_scheme=scheme)
    unit = evil_run.best_units("person head", 1, "log_gabor")["unit"].iloc[0]
    for address in ("", "#log_gabor/person-head", f"#log_gabor/{unit}", "#nowhere/1"):
        page = watched.open(address)
        page.wait_for_timeout(200)
        check(page)
    page.close()
    watched = Watched(browser, all_site, viewport=size, color_scheme=scheme)
    folders = sorted(path.parent for path in all_site.glob("*/index.html"))
    kinds = set()
    for folder in (all_site, *folders):
        watched.page.goto((folder / "index.html").as_uri())
        kind = watched.page.locator("h1").inner_text().partition(":")[0]
        if kind in kinds:
            continue
        kinds.add(kind)
        watched.page.wait_for_timeout(100)
        wide = watched.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, folder
        check(watched.page)
    assert watched.wrong == []
    watched.page.close()


def test_tables_of_other_results_can_be_sorted(browser: Any, all_site: Path) -> None:
    watched = Watched(browser, all_site)
    page = watched.page
    page.goto((all_site / "index.html").as_uri())
    page.get_by_role("link", name="searched").click()
    page.wait_for_selector("[data-plot] svg")
    table = page.locator("table.sorted").first
    column = "td:nth-child(2)"
    table.get_by_role("button", name="NMM").click()
    shown = [
        float(text.split()[0].replace("−", "-")) for text in table.locator(column).all_inner_texts()
    ]
    assert len(shown) > 3 and shown == sorted(shown, reverse=True)
    assert table.locator("th[aria-sort='descending']").inner_text().startswith("NMM")
    page.get_by_role("link", name="gabor").click()
    page.wait_for_selector("#heat a")
    # Another network has no such place: its first page is linked.
    page.locator("#heat tbody a").first.click()
    page.wait_for_selector("#detail h2")
    addresses = page.locator("a.run").evaluate_all("all => all.map((one) => one.hash)")
    assert len(addresses) > 3 and set(addresses) == {""}
    assert watched.wrong == []
    page.close()


def test_on_paper_it_is_light_and_without_buttons(browser: Any, evil_site: Path) -> None:
    watched = Watched(browser, evil_site, color_scheme="dark")
    page = watched.open()
    page.wait_for_selector("[data-plot] svg")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for hidden in (".measures", ".screen >> nth=0"):
        assert not page.locator(hidden).is_visible()
    for key in (".legend >> nth=0", ".choice >> nth=0"):
        assert page.locator(key).is_visible()
    assert page.locator("#heat").is_visible() and page.locator("[data-plot] svg").first.is_visible()
    assert page.pdf()[:5] == b"%PDF-"
    page.close()


def test_without_scripts_the_table_is_there(browser: Any, evil_site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((evil_site / "index.html").as_uri())
    assert page.locator("#heat tbody td").first.is_visible()
    assert page.locator("noscript").inner_text().startswith("Sorting, plots, cells and units need")
    context.close()

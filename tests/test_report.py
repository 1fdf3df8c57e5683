"""`probe report`: a run as a site, read as files and in a browser, opened from disk."""

import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.masks.regions import mask_of
from salprobe.datasets.stimuli import Stimulus
from salprobe.probe.runs.probing import probe
from salprobe.probe.runs.run import Run
from salprobe.probe.views.report.content import Content
from salprobe.probe.views.report.pictures import contour, outline, window
from salprobe.probe.views.report.site import write_report

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def run(gaze_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run of two layers, whose folder, labeller, category and image have evil names."""
    folder = tmp_path_factory.mktemp("evil")
    content = json.loads((gaze_world / "masks.json").read_text())
    for path in gaze_world.glob("*.png"):
        shutil.copy(path, folder / path.name.replace("3.png", f"{EVIL}.png"))
    for image in content["images"]:
        image["file_name"] = image["file_name"].replace("3.png", f"{EVIL}.png")
    for category in content["categories"]:
        category["name"] = {"text": EVIL, "person part": "12"}.get(
            category["name"], category["name"]
        )
    content["info"]["annotator"] = f"{EVIL}, not verified"
    MaskSet.from_dict(content).write(folder / "masks.json")
    return probe(folder / "masks.json", root=folder, model="gabor", out=folder / EVIL)


@pytest.fixture(scope="module")
def site(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sites") / "site"
    assert write_report(run, folder) == folder / "index.html"
    return folder


def data(site: Path, name: str) -> Any:
    """Return the content of a data script."""
    text = (site / "data" / f"{name}.js").read_text("utf-8")
    start = f"salprobe.receive({json.dumps(name)},"
    assert text.startswith(start) and text.endswith(");\n")
    return json.loads(text.removeprefix(start).removesuffix(");\n"))


class Tags(HTMLParser):
    """The tags of a page, and what its attributes load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_loads_only_its_own_and_shows_names_as_text(site: Path) -> None:
    page = (site / "index.html").read_text("utf-8")
    tags = Tags(page).tags
    assert not [one for one in tags if one[0] in ("img", "style", "iframe", "object")]
    scripts = [attributes for tag, attributes in tags if tag == "script"]
    assert scripts == [{"src": "report.js", "defer": None}]
    assert not [one for one in tags if "style" in one[1] or any(k[:2] == "on" for k in one[1])]
    assert "unsafe" not in page and not re.search(r"https?://", page)
    assert "&lt;img src=x onerror=alert(1)&gt;, not verified" in page


def test_the_table_says_what_the_run_says(run: Run, site: Path) -> None:
    rows = re.findall(r"<tr data-place.*?</tr>", (site / "index.html").read_text("utf-8"), re.S)
    assert len(rows) == 2
    for row, (layer, values) in zip(rows, run.table("top10_crossval").iterrows(), strict=True):
        assert f">{layer}</th>" in row
        shown = re.findall(r"<span>(.*?)</span>", row)
        assert shown == ["–" if np.isnan(value) else f"{value:.2f}" for value in values]
    csv = (site / "summary.csv").read_text("utf-8").splitlines()
    assert len(csv) == 1 + len(run.summary)


def test_units_are_the_best_and_regions_the_highest_and_lowest(run: Run, site: Path) -> None:
    whole = json.loads((site / "units.json").read_text("utf-8"))
    assert whole["run"]["parameters"]["masks"] == run.info.parameters.masks
    slugs = Content(run).slugs
    assert slugs["person head"] == "person-head"
    assert not slugs["12"].isdecimal()
    for layer in whole["layers"]:
        name = layer["layer"]
        for category in run.categories:
            cell = layer["cells"][slugs[category]]
            best = run.best_units(category, 10, name).dropna(subset="mean")
            assert [one["unit"] for one in cell] == list(best["unit"])
            if len(best):
                assert cell[0]["mean_low"] == pytest.approx(best["mean_low"].iloc[0], abs=1e-4)
        for unit, one in layer["units"].items():
            scores = run.scores_of(name)[:, int(unit)]
            known = dict(zip(run.regions["annotation_id"], scores, strict=True))
            ordered = sorted(scores[~np.isnan(scores)])
            for ids, expected in (("best", ordered[::-1][:8]), ("worst", ordered[:8])):
                assert [nss for _, nss in one[ids]] == pytest.approx(expected, abs=1e-4)
                assert [known[region] for region, _ in one[ids]] == pytest.approx(expected)
            own = scores[(run.regions["category"] == EVIL) & ~np.isnan(scores)]
            quantiles = [*np.quantile(own, (0.05, 0.25, 0.5, 0.75, 0.95)), own.mean()]
            assert one["scores"][slugs[EVIL]] == pytest.approx(quantiles, abs=1e-4)


def test_each_shown_stimulus_has_one_picture(site: Path) -> None:
    shared = data(site, "regions")
    assert {path.stem for path in (site / "pictures").iterdir()} == set(shared["images"])
    with Image.open(site / "pictures" / "1.webp") as picture:
        assert (picture.format, picture.size) == ("WEBP", (96, 72))
    for place in range(2):
        for unit in data(site, f"layer-{place}")["units"].values():
            shown = {
                shared["regions"][str(one)]["image"] for one, _ in unit["best"] + unit["worst"]
            }
            assert set(unit["contours"]) == set(map(str, shown))


def filled(path: str, size: tuple[int, int]) -> np.ndarray:
    """Rasterise a path of relative whole steps by matplotlib's even-odd rule."""
    mask = np.zeros(size, np.uint8)
    polygons = []
    for part in path.split("M")[1:]:
        numbers = list(map(int, re.findall(r"-?\d+", part)))
        polygons.append(np.cumsum(np.reshape(numbers, (-1, 2)), axis=0).astype(np.int32))
    cv2.fillPoly(mask, polygons, 1)
    return mask.astype(bool)


def test_a_contour_encloses_what_scores_above_the_level() -> None:
    maps = np.random.default_rng(2).random((5, 6, 8), dtype=np.float32)
    for found in maps:
        full = cv2.resize(found, (800, 600))
        expected = (full - full.mean()) / full.std() > 1.5
        drawn = filled(contour(found, (600, 800), 1.5), (600, 800))
        assert (drawn & expected).sum() / (drawn | expected).sum() > 0.9
    assert contour(np.ones((5, 5)), (600, 800), 1.5) == ""


def test_outlines_and_windows() -> None:
    mask = np.zeros((60, 80), bool)
    mask[10:20, 30:50] = True
    assert (filled(outline(mask), (60, 80)) ^ mask).sum() < 40
    stimulus = Stimulus(id=1, file_name="1.png", width=80, height=60)
    region = MaskSet.from_dict(
        {
            "info": {"salprobe": {"format": 1, "px_per_degree": 20.0}},
            "images": [stimulus.model_dump(exclude_none=True)],
            "annotations": [
                {
                    "id": 1,
                    "image_id": 1,
                    "category_id": 1,
                    "segmentation": [[60, 0, 80, 0, 80, 10, 60, 10]],
                }
            ],
            "categories": [{"id": 1, "name": "object"}],
        }
    ).annotations[0]
    left, top, width, height = window(region, stimulus)
    rows, columns = np.nonzero(mask_of(region, stimulus))
    assert left <= columns.min() and columns.max() < left + width <= 80
    assert top <= rows.min() and rows.max() < top + height <= 60
    assert width / height == pytest.approx(80 / 60)


def test_without_pictures_nothing_of_the_stimuli_is_needed_or_kept(
    run: Run, tmp_path: Path
) -> None:
    copied = tmp_path / "run"
    shutil.copytree(run.folder, copied)
    content = json.loads((copied / "run.json").read_text())
    content["paths"] = dict.fromkeys(content["paths"], "/nowhere")
    (copied / "run.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="/nowhere"):
        write_report(Run.open(copied), tmp_path / "site")
    assert not (tmp_path / "site").exists()
    write_report(Run.open(copied), tmp_path / "site", pictures=False)
    names = {path.name for path in (tmp_path / "site").iterdir()}
    assert names == {
        *("index.html", "report.css", "report.js", "data", "units.json", "summary.csv"),
    }
    assert data(tmp_path / "site", "regions")["images"] == {}


def test_a_folder_of_another_kind_is_refused_and_a_report_replaced(
    run: Run, site: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="is not a report"):
        write_report(run, run.folder, pictures=False)
    assert (run.folder / "run.json").exists()
    own = tmp_path / "site"
    shutil.copytree(site, own)
    (own / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes.txt: is no part of a report"):
        write_report(run, own, pictures=False)
    (own / "notes.txt").unlink()
    write_report(run, own, pictures=False)
    assert not (own / "pictures").exists()


def test_an_interrupted_report_leaves_the_old_one(
    run: Run, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "site"
    shutil.copytree(site, own)
    before = sorted(own.rglob("*"))

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("salprobe.probe.views.report.site.draw", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_report(run, own)
    assert sorted(own.rglob("*")) == before
    assert list(tmp_path.iterdir()) == [own]


def test_the_command(command, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "site"
    done = command("probe", "report", run.folder, run.folder, "-o", out, "--no-pictures")
    assert f"report: {out / 'index.html'}" in done.stderr.replace("\n", "")
    assert EVIL not in (out / "index.html").read_text("utf-8")
    assert (out / "2" / "data" / "run.js").is_file()
    assert command("probe", "report", run.folder, "-o", run.folder, check=2).stdout == ""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield found
        found.close()


class Watched:
    """A page opened from disk, and everything it should not do."""

    def __init__(self, browser: Any, site: Path, **options: Any) -> None:
        self.site = site
        self.page = browser.new_page(**options)
        self.wrong: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.wrong.append("dialog"), dialog.dismiss()))
        self.page.on("request", self._asked)
        self.page.on("requestfailed", lambda request: self.wrong.append(request.url))

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(self.site.as_uri()):
            self.wrong.append(request.url)

    def open(self, address: str = "") -> Any:
        self.page.goto("about:blank")
        self.page.goto(f"{self.site.as_uri()}/index.html{address}")
        if address:
            self.page.wait_for_selector("#detail h2")
        else:
            self.page.wait_for_function("document.querySelector('#detail').hidden")
        return self.page


def first_column(page: Any, table: str) -> list[str]:
    return page.locator(f"{table} tbody th").all_inner_texts()


def test_in_a_browser(browser: Any, run: Run, site: Path) -> None:
    watched = Watched(browser, site)
    page = watched.open()
    page.wait_for_function("waiting.has('run')")
    page.wait_for_timeout(100)
    # The table is sorted by a category, and back by the layer's place.
    column = run.table("top10_crossval")["person head"]
    assert first_column(page, "#heat") == list(column.index)
    page.get_by_role("button", name="person head").click()
    head = page.locator("#heat thead th").nth(1)
    assert head.get_attribute("aria-sort") == "descending"
    ordered = list(column.sort_values(ascending=False).index)
    assert first_column(page, "#heat") == ordered
    page.get_by_role("button", name="person head").click()
    assert first_column(page, "#heat") == ordered[::-1]
    page.get_by_role("button", name="layer", exact=True).press("Enter")
    assert first_column(page, "#heat") == list(column.index)
    # Other measures.
    page.get_by_role("button", name="as in the paper").click()
    shown = page.locator("#heat tbody td").first.inner_text().strip()
    assert shown == f"{run.table().iloc[0, 0]:.2f}"
    # To a cell and on to a unit, and back.
    layer, category = column.index[0], "person-head"
    page.locator("#heat tbody tr").first.locator("a").first.click()
    page.wait_for_selector("#detail table")
    assert page.evaluate("location.hash") == f"#{layer}/{category}"
    assert not page.locator("#overview").is_visible()
    units = list(map(str, run.best_units("person head", 10, layer)["unit"]))
    assert first_column(page, "#detail") == units
    page.get_by_role("button", name="unit", exact=True).click()
    assert first_column(page, "#detail") == sorted(units, key=int)
    page.get_by_role("link", name=units[0], exact=True).click()
    page.wait_for_selector("figure")
    assert page.evaluate("location.hash") == f"#{layer}/{units[0]}"
    assert page.title().startswith(f"{layer}, unit {units[0]}")
    assert page.locator("figure").count() == 16
    before = page.locator("figure svg").first.get_attribute("viewBox")
    page.locator("figure button").first.click()
    assert page.locator("figure svg").first.get_attribute("viewBox") == "0 0 96 72" != before
    page.go_back()
    page.wait_for_selector("#detail td .strip .interval", state="attached")
    page.go_back()
    page.wait_for_selector("#heat", state="visible")
    assert watched.wrong == []
    page.close()


def test_addresses_open_directly_and_wrong_ones_say_so(browser: Any, run: Run, site: Path) -> None:
    watched = Watched(browser, site)
    unit = run.best_units(EVIL, 1, "log_gabor")["unit"].iloc[0]
    page = watched.open(f"#log_gabor/{unit}")
    page.wait_for_selector("figure")
    assert EVIL in page.locator("#detail").inner_text()
    assert page.locator("img").count() == 0
    for address in ("#log_gabor/99999", "#nowhere/1", "#log_gabor/nothing", "#%/1", f"#{EVIL}"):
        page = watched.open(address)
        assert page.locator("#detail h2").inner_text() == "Nothing here"
    assert watched.wrong == []
    page.close()


def test_of_two_runs_the_same_place_is_a_click_away(browser: Any, run: Run, tmp_path: Path) -> None:
    other = tmp_path / "after"
    shutil.copytree(run.folder, other)
    write_report([run, Run.open(other)], tmp_path / "site", pictures=False)
    watched = Watched(browser, tmp_path / "site")
    page = watched.page
    page.goto((tmp_path / "site" / "index.html").as_uri())
    assert page.locator("main a").all_inner_texts() == [EVIL, "after"]
    page.get_by_role("link", name="after").click()
    page.wait_for_selector("#heat a")
    page.locator("#heat tbody a").first.click()
    page.wait_for_selector("#detail tbody a")
    page.locator("#detail tbody a").first.click()
    page.wait_for_selector("figure")
    address = page.evaluate("location.hash")
    page.locator("a.run").click()
    page.wait_for_url(f"**/site/1/index.html{address}")
    page.wait_for_selector("figure")
    assert watched.wrong == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_pages_without_scrolling_sideways(
    browser: Any, run: Run, site: Path, scheme: str
) -> None:
    size = {"width": 390, "height": 800}
    watched = Watched(browser, site, viewport=size, color_scheme=scheme)
    unit = run.best_units("person head", 1, "log_gabor")["unit"].iloc[0]
    for address in ("", "#log_gabor/person-head", f"#log_gabor/{unit}"):
        page = watched.open(address)
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (colour == "rgb(255, 255, 255)") == (scheme == "light")
    assert watched.wrong == []
    page.close()

"""`probe report`: a run as a site, or as one file, read as files."""

import base64
import hashlib
import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sites import EVIL, Tags, data

from salprobe.datasets.categories import COLOURS
from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.masks.regions import mask_of
from salprobe.datasets.stimuli import Stimulus
from salprobe.datasets.texts import minus
from salprobe.probe.runs.inputs import masks_of
from salprobe.probe.runs.run import Run
from salprobe.probe.views.report.charts import colours
from salprobe.probe.views.report.content import Content, finite
from salprobe.probe.views.report.pictures import contour, outline, window
from salprobe.probe.views.report.run_page import write_short
from salprobe.probe.views.report.site import write_report


@pytest.fixture
def run(evil_run: Run) -> Run:
    return evil_run


@pytest.fixture
def site(evil_site: Path) -> Path:
    return evil_site


def test_the_page_loads_only_its_own_and_shows_names_as_text(site: Path) -> None:
    page = (site / "index.html").read_text("utf-8")
    tags = Tags(page).tags
    assert not [one for one in tags if one[0] in ("img", "style", "iframe", "object")]
    scripts = [attributes for tag, attributes in tags if tag == "script"]
    names = ("parts.js", "plots.js", "report.js")
    assert scripts == [{"src": name, "defer": None} for name in names]
    assert not [one for one in tags if "style" in one[1] or any(k[:2] == "on" for k in one[1])]
    assert "unsafe" not in page and not re.search(r"https?://", page)
    assert "&lt;img src=x onerror=alert(1)&gt;, not verified" in page


def test_the_table_says_what_the_run_says(run: Run, site: Path) -> None:
    rows = re.findall(r"<tr data-place.*?</tr>", (site / "index.html").read_text("utf-8"), re.S)
    assert len(rows) == 2
    for row, (layer, values) in zip(rows, run.table("top10_crossval").iterrows(), strict=True):
        assert f">{layer}</th>" in row
        shown = re.findall(r"<span>(.*?)</span>", row)
        assert shown == ["–" if np.isnan(value) else minus(f"{value:.2f}") for value in values]
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
        *("index.html", "report.css", "parts.js", "plots.js", "report.js", "data"),
        *("units.json", "summary.csv", "best-units.csv"),
    }
    assert data(tmp_path / "site", "regions")["images"] == {}


def test_one_file_holds_what_the_folder_does(run: Run, site: Path, tmp_path: Path) -> None:
    path = write_report(run, tmp_path / "one.html", single=True)
    assert list(tmp_path.iterdir()) == [path]
    page = Tags(path.read_text("utf-8"))
    assert not [one for tag, one in page.tags if tag in ("link", "img", "iframe")]
    assert not [one for _, one in page.tags if "style" in one or any(k[:2] == "on" for k in one)]
    assert [one["src"] for _, one in page.tags if "src" in one] == []
    # Only scripts and styles with their hash in the policy run; what else there is, is data.
    kinds = [one.get("type") for tag, one in page.tags if tag == "script"]
    texts = [text for tag, text in page.inline if tag == "script"]
    for tag, text in page.inline:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        runs = tag == "style" or kinds[texts.index(text)] is None
        assert (f"'sha256-{digest}'" in page.policy) == runs
    assert kinds.count(None) == 3 and "unsafe" not in page.policy
    assert page.policy.startswith("default-src 'none';")
    ids = [str(one["id"]) for tag, one in page.tags if tag == "script" and "id" in one]
    held = {
        name.removeprefix("data-"): json.loads(text)
        for name, text in zip(ids, [t for t in texts if t[0] in "[{"], strict=True)
    }
    embedded = held.pop("pictures")
    assert held == {path.stem: data(site, path.stem) for path in (site / "data").iterdir()}
    assert embedded.keys() == {path.name for path in (site / "pictures").iterdir()}
    for name, address in embedded.items():
        content = base64.b64decode(address.removeprefix("data:image/webp;base64,"))
        assert content == (site / "pictures" / name).read_bytes()
    links = {one["download"]: str(one["href"]) for _, one in page.tags if "download" in one}
    table = base64.b64decode(links["summary.csv"].partition(",")[2])
    assert table == (site / "summary.csv").read_bytes()
    write_report(run, path, single=True, pictures=False)  # a report is replaced
    path.write_text("mine")
    with pytest.raises(InputError, match="is not a report"):
        write_report(run, path, single=True)
    with pytest.raises(InputError, match="is a folder"):
        write_report(run, tmp_path, single=True)


def test_the_short_report_needs_no_scores(run: Run, tmp_path: Path) -> None:
    own = tmp_path / "run"
    shutil.copytree(run.folder, own)
    opened = Run.open(own)
    opened.__dict__["scores"] = None  # a cached property: whoever reads it fails
    path = write_short(opened)
    assert path == own / "report.html"
    page = path.read_text("utf-8")
    held = dict(re.findall(r'<script type="application/json" id="data-(.*?)">(.*?)</script>', page))
    assert held.keys() == {"run", "plots", "layer-0", "layer-1"}
    for layer in (json.loads(held["layer-0"]), json.loads(held["layer-1"])):
        assert layer["units"] == {}
        best = run.best_units("person head", 10, layer["layer"])["unit"]
        assert [one["unit"] for one in layer["cells"]["person-head"]] == list(best)


def test_plots_say_what_the_run_says(run: Run, site: Path) -> None:
    above, against, distribution = data(site, "plots")
    assert above["names"] == [layer.name for layer in run.info.layers]
    table, shown = run.table("above_threshold"), [one["name"] for one in above["series"]]
    assert shown == [name for name in run.categories if (run.regions["category"] == name).any()]
    for one in above["series"]:
        assert [mark["y"] for mark in one["marks"]] == list(table[one["name"]][above["names"]])
        assert all(mark["href"].startswith("#") for mark in one["marks"])
    summary = run.summary.set_index("category")
    for one in against["series"]:
        rows = summary.loc[[one["name"]]]
        for name, key in (("x", "top10_mean"), ("y", "top10_crossval"), ("low", "top10_low")):
            found = [mark[name] for mark in one["marks"]]
            assert found == pytest.approx(list(rows[key]), abs=1e-4)
    bins, units = distribution["bins"], run.units
    for row in bins["rows"]:
        for name, counts in zip(bins["choices"], row["counts"], strict=True):
            own = units[(units["layer"] == row["name"]) & (units["category"] == name)]["mean"]
            ends = [bins["start"] + k * bins["width"] for k in range(len(counts) + 1)]
            pairs = pairwise(ends)
            # The bounds are rounded in the file: a mean on one may fall to either side.
            for count, (low, high) in zip(counts, pairs, strict=True):
                inner = ((own > low + 1e-3) & (own < high - 1e-3)).sum()
                outer = ((own > low - 1e-3) & (own < high + 1e-3)).sum()
                assert inner <= count <= outer
            assert sum(counts) == own.notna().sum()


def test_fixations_and_extent(run: Run, tmp_path: Path) -> None:
    write_report(run, tmp_path / "site", units=2, regions=1)
    shared = data(tmp_path / "site", "regions")
    looked = masks_of(run)[2]
    for image, one in shared["images"].items():
        own = looked.of(int(image))
        places = re.findall(r"M(-?\d+) (-?\d+)h0", one["looked"])
        assert [tuple(map(int, place)) for place in places] == [
            (round(x), round(y)) for x, y in zip(own.x.tolist(), own.y.tolist(), strict=True)
        ]
    for place in range(2):
        layer = data(tmp_path / "site", f"layer-{place}")
        assert {len(cell) for cell in layer["cells"].values()} <= {0, 2}
        assert {len(unit["best"]) for unit in layer["units"].values()} == {1}
    with pytest.raises(InputError, match="units 0: expected 1 or more"):
        write_report(run, tmp_path / "none", units=0)


def test_sheets_of_the_same_run_are_shown(run: Run, tmp_path: Path) -> None:
    own = tmp_path / "run"
    shutil.copytree(run.folder, own)
    (own / "units").mkdir()
    scores = hashlib.sha256((own / "scores.npy").read_bytes()).hexdigest()
    listed = Content(run).listed("log_gabor")
    unlisted = next(unit for unit in range(24) if unit not in listed)
    for unit, made_of in ((unlisted, scores), (listed[0], "of another run"), (99, scores)):
        figure = own / "units" / f"log_gabor-{unit}.png"
        Image.new("RGB", (3000, 1500), (200, 30, 30)).save(figure)
        figure.with_suffix(".json").write_text(json.dumps({"made_of": {"scores": made_of}}))
    site = write_report(Run.open(own), tmp_path / "site").parent
    place = [layer.name for layer in run.info.layers].index("log_gabor")
    units = data(site, f"layer-{place}")["units"]
    assert {unit for unit, one in units.items() if "sheet" in one} == {str(unlisted)}
    name, width, height = units[str(unlisted)]["sheet"]
    assert (width, height) == (1600, 800)
    with Image.open(site / "pictures" / name) as picture:
        assert picture.size == (1600, 800)


def test_of_two_runs_each_lists_the_others_units(run: Run, tmp_path: Path) -> None:
    own = tmp_path / "after"
    shutil.copytree(run.folder, own)
    units = pd.read_parquet(own / "units.parquet")
    units["mean"] = units["mean"] * -1 + 7  # other units are the best
    units.to_parquet(own / "units.parquet")
    write_report([run, Run.open(own)], tmp_path / "site", pictures=False)
    for layer in range(2):
        before, after = (data(tmp_path / "site" / name, f"layer-{layer}") for name in "12")
        assert before["units"].keys() == after["units"].keys()
        listed = {one["unit"] for cell in before["cells"].values() for one in cell}
        assert {int(unit) for unit in before["units"]} > listed
        for unit, one in before["units"].items():
            (means,) = one["others"]
            rows = units[(units["layer"] == before["layer"]) & (units["unit"] == int(unit))]
            known = rows.set_index("category")["mean"]["person head"]
            assert means["person-head"] == pytest.approx(known, abs=1e-4)


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

    monkeypatch.setattr("salprobe.probe.views.report.run_page.draw", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_report(run, own)
    assert sorted(own.rglob("*")) == before
    assert list(tmp_path.iterdir()) == [own]


def test_the_command(command, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "site"
    shutil.copytree(run.folder, tmp_path / "after")
    both = (run.folder, tmp_path / "after")
    done = command("probe", "report", *both, "-o", out, "--no-pictures")
    assert f"report: {out / 'index.html'}" in done.stderr.replace("\n", "")
    assert EVIL not in (out / "index.html").read_text("utf-8")
    assert (out / "2" / "data" / "run.js").is_file()
    assert command("probe", "report", run.folder, "-o", run.folder, check=2).stdout == ""


def test_categories_of_ones_own_have_colours_of_their_own() -> None:
    mixed = ["person head", *(f"kind {number}" for number in range(14)), "text"]
    found = colours(mixed)
    assert len(set(found.values())) == len(mixed)
    assert found["text"] == COLOURS["text"]


@pytest.mark.parametrize(
    ("value", "written"),
    [(1.23456, 1.2346), (0.00100004, 0.001), (3.21987e-7, 3.22e-7), (0.0, 0.0), (np.nan, None)],
)
def test_small_numbers_are_not_written_as_nothing(value: float, written: float | None) -> None:
    assert finite(value) == written

"""Shared fixtures: the real data where it is at hand, and a small world of our own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from PIL import Image
from sites import EVIL, write_fields

import salprobe as sp
from salprobe.datasets.masks.mask_set import MaskSet, new_mask_set
from salprobe.datasets.sources.load import load_dataset
from salprobe.datasets.stimuli import Stimulus

# The machines that tests run on are noisy.
hypothesis.settings.register_profile("salprobe", deadline=None)
hypothesis.settings.load_profile("salprobe")


def _data(relative: str) -> Path:
    root = os.environ.get("SALPROBE_DATA")
    if not root or not (Path(root) / relative).exists():
        pytest.skip(f"SALPROBE_DATA has no {relative}")
    return Path(root) / relative


@pytest.fixture(scope="session")
def osie_root() -> Path:
    return _data("osie")


@pytest.fixture(scope="session")
def osie_labels() -> Path:
    return _data("labels/osie_sr.json")


@pytest.fixture(scope="session")
def squeezenet_weights() -> Path:
    return _data("weights/squeezenet1_0_imagenet_fp16.pth")


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six 96×72 images and masks.json: two labelled regions each, with fixations."""
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(3)
    content = world(folder, rng)
    MaskSet.from_dict(content).write(folder / "masks.json")
    return folder


@pytest.fixture(scope="session")
def gaze_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """21 images of 96×72 with a red square that everyone looks at: a folder and a table.

    Its masks.json holds two regions an image: the square, and a box that few look at.
    """
    folder = tmp_path_factory.mktemp("gaze")
    rng = np.random.default_rng(11)
    rows, images, annotations = ["image,subject,x,y"], [], []
    for number in range(1, 22):
        picture = rng.integers(60, 120, (72, 96, 3), dtype=np.uint8)
        left, top = rng.integers(4, 70), rng.integers(4, 50)
        picture[top : top + 16, left : left + 18] = (230, 30, 30)
        Image.fromarray(picture).save(folder / f"{number}.png")
        for subject in range(4):
            x, y = left + rng.integers(2, 16), top + rng.integers(2, 14)
            rows.append(f"{number}.png,{subject},{x},{y}")
        rows.append(f"{number}.png,9,{1 + number % 90},{number % 70}")
        images.append({"id": number, "file_name": f"{number}.png", "width": 96, "height": 72})
        boxes = ((left, top, 18, 16, 1 + number % 2), (0, 0, 95, 71, 6))
        for x, y, width, height, category in boxes:
            corners = [x, y, x + width, y, x + width, y + height, x, y + height]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": category,
                    "segmentation": [[float(one) for one in corners]],
                    "bbox": [float(x), float(y), float(width), float(height)],
                    "area": float(width * height),
                    "iscrowd": 0,
                }
            )
    (folder / "fixations.csv").write_text("\n".join(rows))
    (folder / "dataset.json").write_text('{"name": "gaze", "px_per_degree": 8.0}')
    dataset = load_dataset(str(folder))
    stimuli = [Stimulus(**one) for one in images]
    masks = new_mask_set(
        *(stimuli, annotations, dataset.fixations, "squares"), dataset="gaze", px_per_degree=8.0
    )
    masks.write(folder / "masks.json")
    return folder


def world(folder: Path, rng: np.random.Generator, n_images: int = 6) -> dict:
    images, annotations = [], []
    fixations: dict[str, list] = {k: [] for k in ("image_id", "subject", "x", "y", "duration_ms")}
    for number in range(1, n_images + 1):
        noise = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((96, 72)).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 96, "height": 72})
        for left, category in ((4, 1 + number % 2), (50, 6)):
            box = [left, 10, left + 40, 10, left + 40, 60, left, 60]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": category,
                    "segmentation": [[float(value) for value in box]],
                    "bbox": [left, 10, 40, 50],
                    "area": 2000.0,
                    "iscrowd": 0,
                }
            )
        for subject in range(8):
            fixations["image_id"].append(number)
            fixations["subject"].append(subject)
            fixations["x"].append(int(rng.integers(0, 96)))
            fixations["y"].append(int(rng.integers(12, 58)))
            fixations["duration_ms"].append(200)
    names = ("person head", "person part", "animal head", "animal part", "object", "text")
    return {
        "info": {"salprobe": {"format": 1, "px_per_degree": 20.0}},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for i, name in enumerate(names, start=1)],
        "fixations": fixations,
    }


@pytest.fixture
def command():
    """Run `annotate` or `probe` as a user does; returns the completed process."""

    def run(*arguments: object, check: int | None = 0, **options) -> subprocess.CompletedProcess:
        program, *rest = map(str, arguments)
        path = Path(sys.executable).with_name(program)
        done = subprocess.run(
            [str(path), *rest], capture_output=True, text=True, timeout=600, **options
        )
        if check is not None:
            assert done.returncode == check, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def evil_run(gaze_world: Path, tmp_path_factory: pytest.TempPathFactory) -> sp.Run:
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
    return sp.probe(folder / "masks.json", root=folder, model="gabor", out=folder / EVIL)


@pytest.fixture(scope="session")
def evil_site(evil_run: sp.Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of that run, as a folder."""
    folder = tmp_path_factory.mktemp("sites") / "site"
    assert sp.write_report(evil_run, folder) == folder / "index.html"
    return folder


@pytest.fixture(scope="session")
def results(gaze_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of folders: of every kind of results that has a page."""
    folder, masks = tmp_path_factory.mktemp("results") / "all", gaze_world / "masks.json"
    folder.mkdir()
    gabor = sp.Backbone("gabor", input_size=(36, 48))
    options = {"model": sp.Backbone("nets:small", input_size=(36, 48))}
    execution, dataset = sp.Execution(batch_size=4), load_dataset(str(gaze_world))
    recipe = sp.Recipe(epochs=2, rate=0.05, backbone_rate=0.01)
    sp.probe(masks, root=gaze_world, model=gabor, out=folder / "gabor")
    sp.dissect(masks, root=gaze_world, model=gabor, out=folder / "dissected")
    sp.explain(masks, root=gaze_world, out=folder / "explained", **options)
    arrays = sp.Arrays(count=3, width=400, height=300, catch=0)
    sp.write_arrays(arrays, folder.parent / "arrays")
    popout = folder.parent / "arrays" / "popout.json"
    sp.popout(popout, ["spectral", "nets:small"], out=folder / "searched")
    given = {"execution": execution, **options}
    sp.sweep(dataset, recipe, [0, 1], folder / "swept", masks, popout=popout, **given)
    scenes = {one.id: "odd" if one.id % 2 else "even" for one in dataset.stimuli}
    sp.compare_tasks(dataset, scenes, recipe, folder / "tasks", masks, **given)
    write_fields(folder / "fields")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Yield the system's Chromium."""
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

"""`annotate check` finds what is wrong, and its repair mends it."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from salprobe.annotate.labels.check import repair, suspicions
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.masks.regions import mask_of


def content_of(small_world: Path) -> dict:
    return MaskSet.read(small_world / "masks.json").to_dict()


def kinds(content: dict) -> list[tuple[str, str]]:
    masks = MaskSet.from_dict(content)
    return [(problem.kind, problem.place) for problem in suspicions(masks, masks.fixations)]


def test_a_good_file_has_no_problem(small_world: Path, command) -> None:
    assert kinds(content_of(small_world)) == []
    done = command("annotate", "check", small_world / "masks.json")
    assert done.stdout == ""
    assert "0 errors, 0 warnings" in done.stderr


BOW_TIE = [10.0, 10, 30, 40, 30, 10, 10, 40]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"segmentation": [BOW_TIE]}, {"self-intersection"}),
        ({"segmentation": [[-5.0, 10, 44, 10, 44, 60, -5, 60]]}, {"outside", "area", "bbox"}),
        ({"area": 17.0}, {"area"}),
        ({"bbox": [0, 0, 1, 1]}, {"bbox"}),
        ({"segmentation": [[4.1, 10.1, 4.2, 10.1, 4.2, 10.2]]}, {"empty", "bbox", "no-fixations"}),
        ({"segmentation": {"size": [72, 96], "counts": [72 * 96]}}, {"empty", "no-fixations"}),
        ({"category_id": 13}, {"unlabelled"}),
        (
            {"segmentation": [[50.0, 10, 90, 10, 90, 60, 50, 60]], "bbox": [50, 10, 40, 50]},
            {"overlap"},
        ),
    ],
)
def test_each_suspicion(small_world: Path, changes: dict, expected: set) -> None:
    content = content_of(small_world)
    content["categories"].append({"id": 13, "name": "unlabelled"})
    content["annotations"][0] |= changes
    found = kinds(content)
    assert {kind for kind, _ in found} - {"no-fixations"} == expected - {"no-fixations"}
    assert "no-fixations" not in expected or "no-fixations" in {kind for kind, _ in found}
    assert all(place.startswith("annotations[0]") for _, place in found)


def test_a_malformed_file_is_listed_whole(small_world: Path, tmp_path: Path, command) -> None:
    content = content_of(small_world)
    content["annotations"][2]["id"] = 1
    content["annotations"][5]["image_id"] = 99
    content["fixations"]["x"][0] = 500
    path = tmp_path / "masks.json"
    path.write_text(json.dumps(content))
    done = command("annotate", "check", path, "--root", small_world, check=1)
    assert done.stdout.splitlines() == [
        "error: malformed: annotations[2].id: 1 is used 2 times",
        "error: malformed: annotations[5].image_id: no image has id 99",
        "error: malformed: fixations.x[0]: 500 is outside the image (0 to 95)",
    ]
    done = command("annotate", "check", path, "--fix", tmp_path / "fixed.json", check=2)
    assert "cannot be repaired" in done.stderr
    assert not (tmp_path / "fixed.json").exists()


def test_images_are_compared_with_their_files(small_world: Path, tmp_path: Path, command) -> None:
    content = content_of(small_world)
    content["images"][0]["width"] = 100
    content["images"][1]["file_name"] = "gone.png"
    path = tmp_path / "masks.json"
    path.write_text(json.dumps(content))
    done = command("annotate", "check", path, "--root", small_world, "--json", check=1)
    found = json.loads(done.stdout)
    assert [(one["kind"], one["place"]) for one in found] == [
        ("image", "images[0]"),
        ("image", "images[1]"),
    ]
    assert "1.png is 96×72, the mask file says 100×72" in found[0]["text"]


def test_the_repair_mends_and_says_how_many(small_world: Path, tmp_path: Path, command) -> None:
    content = content_of(small_world)
    content["annotations"][0]["segmentation"] = [BOW_TIE]
    content["annotations"][1]["segmentation"] = [[50.0, -9, 90, -9, 90, 60, 50, 60]]
    content["annotations"][2]["area"] = 1.0
    path, fixed = tmp_path / "masks.json", tmp_path / "fixed.json"
    path.write_text(json.dumps(content))
    done = command("annotate", "check", path, "--root", small_world, "--fix", fixed)
    assert "3 regions repaired" in done.stderr
    mended = MaskSet.read(fixed)
    assert {problem.kind for problem in suspicions(mended, None)} <= {"overlap"}
    bow = mended.annotations[0]
    assert len(bow.segmentation) == 2  # two triangles
    assert bow.area == pytest.approx(300, abs=1)
    assert mended.annotations[1].bbox == [50, 0, 40, 60]
    assert mended.annotations[3] == MaskSet.from_dict(content).annotations[3]


def test_a_hole_survives_the_repair(small_world: Path) -> None:
    # One stroke: around the outside, in, around the inside the other way, and out.
    ring = [0, 0, 30, 0, 30, 30, 0, 30, 0, 0, 10, 10, 10, 20, 20, 20, 20, 10, 10, 10]
    content = content_of(small_world)
    content["annotations"][0]["segmentation"] = [[float(value) for value in ring]]
    mended, changed = repair(MaskSet.from_dict(content))
    assert changed == 1
    mask = mask_of(mended.annotations[0], mended.images[0])
    assert mask[5, 5] and not mask[15, 15]
    assert mended.annotations[0].area == mask.sum() == pytest.approx(800, abs=60)


@settings(max_examples=300, deadline=None)
@example([1.0, 1, 1, 0, 0, 0, 1, 2, -8e-56, 0, -1, 0])  # GEOS failed on it
@given(st.lists(st.floats(-20, 110), min_size=6, max_size=16))
def test_a_repaired_outline_is_clean(small_world_content: dict, numbers: list[float]) -> None:
    content = copy.deepcopy(small_world_content)
    outline = [max(-60.0, value) for value in numbers[: len(numbers) // 2 * 2]]
    content["annotations"][0]["segmentation"] = [outline]
    mended, _ = repair(MaskSet.from_dict(content))
    region, image = mended.annotations[0], mended.images[0]
    if region.segmentation == [outline]:
        return  # clean already, or nothing of it lies inside the image
    found = {problem.kind for problem in suspicions(mended, None)}
    assert not found & {"self-intersection", "outside", "bbox"}
    assert np.isfinite(region.area) and mask_of(region, image).shape == (72, 96)


@pytest.fixture(scope="module")
def small_world_content(small_world: Path) -> dict:
    content = content_of(small_world)
    content["annotations"] = content["annotations"][:1]
    return content


def test_the_shipped_labelling_is_clean(osie_root: Path, command) -> None:
    done = command("annotate", "check", "osie-sr", "--root", osie_root)
    assert done.stdout == ""

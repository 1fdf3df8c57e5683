"""The mask file: strict reading, faithful writing, masks as pycocotools has them."""

import copy
import json
import os
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.annotation import Annotation
from salprobe.datasets.masks.consistency import _covers
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.masks.outlines import outline_of_mask
from salprobe.datasets.masks.regions import distinct_pixels, inside, mask_of

GOOD = {
    "info": {"year": 2026, "salprobe": {"format": 1, "dataset": "toy", "mood": "fine"}},
    "licenses": [{"id": 1, "name": "MIT"}],
    "images": [
        {
            "id": 7,
            "file_name": "a.png",
            "width": 20,
            "height": 10,
            "flickr_url": "x",
            "popout": {"feature": "hue", "item_size": 4.5, "seed": [0, 1]},
            "label_studio": {"annotations": 1, "remote": "a1", "local": "b2"},
        }
    ],
    "annotations": [
        {
            "id": 1,
            "image_id": 7,
            "category_id": 1,
            "segmentation": [[2.0, 2.0, 8.0, 2.0, 8.0, 6.0, 2.0, 6.0]],
            "bbox": [2, 2, 6, 4],
            "area": 24.0,
            "iscrowd": 0,
            "n_fixations": 2,
            "note": "é",
            "unsure": True,
            "suggestion": {"category": "text", "confidence": 0.5, "by": ["a", "b"]},
            "disagreement": [None, "text"],
            "votes": {"text": 2},
        },
        {
            "id": 5,
            "image_id": 7,
            "category_id": 13,
            "segmentation": {"size": [10, 20], "counts": [0, 3, 197]},
            "bbox": [0, 0, 1, 3],
            "area": 3.0,
            "iscrowd": 1,
        },
    ],
    "categories": [{"id": 1, "name": "text", "keypoints": []}, {"id": 13, "name": "unlabelled"}],
    "fixations": {
        "image_id": [7, 7],
        "subject": ["a", "b"],
        "x": [3, 19],
        "y": [3, 9],
        "duration_ms": [100, None],
    },
    "ours_not": {"deep": [1, {"x": None}]},
}

CORRUPTIONS = [
    (("images",), None, "images: missing"),
    (("images",), 5, "images: expected a valid list"),
    (("images", 0, "width"), 0, "images[0].width: expected greater than 0"),
    (("images", 0, "width"), "20", "images[0].width: expected a valid integer"),
    (("images", 0, "file_name"), "../a.png", "images[0].file_name: '../a.png' is not a path below"),
    (("images", 0, "file_name"), "/etc/passwd", "images[0].file_name: '/etc/passwd' is not a path"),
    (("images", 0, "file_name"), "C:\\a.png", "images[0].file_name: 'C:\\\\a.png' is not a path"),
    (("images", 0, "file_name"), "x\\..\\..\\a.png", "is not a path below"),
    (("images", 0), 5, "images[0]: expected a valid dictionary"),
    (("images", 0, "popout"), "hue", "images[0].popout: expected a valid dictionary"),
    (("images", 0, "popout", "item_size"), 0, "images[0].popout.item_size: expected greater than"),
    (("images", 0, "popout", "contrast"), "1", "popout.contrast: expected a valid number"),
    (("images", 0, "label_studio", "local"), 5, "images[0].label_studio.local: expected a valid"),
    (("annotations", 0, "note"), 5, "annotations[0].note: expected a valid string"),
    (("annotations", 0, "unsure"), 1, "annotations[0].unsure: expected a valid boolean"),
    (("annotations", 0, "suggestion"), "text", "annotations[0].suggestion: expected a valid"),
    (("annotations", 0, "suggestion", "category"), None, "[0].suggestion.category: missing"),
    (("annotations", 0, "suggestion", "confidence"), 80, "suggestion.confidence: expected less"),
    (("annotations", 0, "disagreement"), [5], "annotations[0].disagreement[0]: expected a valid"),
    (("annotations", 0, "votes"), {"text": -1}, "annotations[0].votes.text: expected greater"),
    (("info", "salprobe", "label_studio"), 5, "info.salprobe.label_studio: expected a valid"),
    (("annotations", 1, "id"), 1, "annotations[1].id: 1 is used 2 times"),
    (("annotations", 1, "id"), "1", "annotations[1].id: expected a valid integer"),
    (("annotations", 1, "image_id"), 8, "annotations[1].image_id: no image has id 8"),
    (("annotations", 1, "category_id"), 2, "annotations[1].category_id: no category has id 2"),
    (("annotations", 0, "segmentation"), [], "annotations[0]: segmentation has no polygon"),
    (
        ("annotations", 0, "segmentation"),
        [[1, 2, 3, 4]],
        "annotations[0].segmentation[0]: polygon has 2 points, needs 3",
    ),
    (
        ("annotations", 0, "segmentation"),
        [[1, 2, 3, 4, 5, 6, 7]],
        "annotations[0].segmentation[0]: polygon has 7 numbers, needs an even count",
    ),
    (
        ("annotations", 0, "segmentation"),
        [[1, 2, 3, 4, 5, float("nan")]],
        "annotations[0].segmentation[0][5]: expected a finite number",
    ),
    (
        ("annotations", 0, "segmentation"),
        [[1, 2, 3, 4, 5, 1e12]],
        "annotations[0]: polygon reaches y = 1e+12, its image has 0 to 10",
    ),
    (("annotations", 0, "segmentation"), "abc", "annotations[0].segmentation: expected a valid"),
    (
        ("annotations", 1, "segmentation"),
        {"size": [10, 20]},
        "annotations[1].segmentation.counts: missing",
    ),
    (
        ("annotations", 1, "segmentation"),
        {"size": [20, 10], "counts": [200]},
        "annotations[1].segmentation.size: expected [10, 20] as its image, got [20, 10]",
    ),
    (
        ("annotations", 1, "segmentation"),
        {"size": [10, 20], "counts": [199]},
        "annotations[1].segmentation.counts: cover 199 pixels, the image has 200",
    ),
    (
        ("annotations", 1, "segmentation"),
        {"size": [10, 20], "counts": "garbage"},
        "annotations[1].segmentation.counts: no run-length encoding of its image",
    ),
    (("images", 0, "width"), 60_000_000, "images[0]: 60000000×10 pixels are more than can be read"),
    (("annotations", 0, "iscrowd"), 2, "annotations[0].iscrowd: expected 0 or 1"),
    (("annotations", 0, "area"), -1.0, "annotations[0].area: expected greater than or equal to 0"),
    (("categories", 1, "name"), "text", "categories[1].name: 'text' is used 2 times"),
    (("info", "salprobe", "format"), 99, "info.salprobe.format: 99 is newer"),
    (("fixations",), [], "fixations: expected an object of columns"),
    (("fixations", "x"), None, "fixations: column 'x' is missing"),
    (("fixations", "x"), [1], "fixations: columns differ in length"),
    (("fixations", "x"), ["a", 2], "fixations.x[0]: expected a whole number, got 'a'"),
    (("fixations", "x"), [1, float("nan")], "fixations.x[1]: expected a whole number, got nan"),
    (("fixations", "x"), [1, 1.5], "fixations.x[1]: expected a whole number, got 1.5"),
    (("fixations", "x"), [1, 20], "fixations.x[1]: 20 is outside the image (0 to 19)"),
    (("fixations", "y"), [-1, 0], "fixations.y[0]: -1 is outside the image (0 to 9)"),
    (("fixations", "image_id"), [7, 8], "fixations.image_id[1]: no image has id 8"),
    (("fixations", "subject"), [[1], [2]], "fixations.subject: expected integers or texts"),
    (("fixations", "duration_ms"), [1, -5], "fixations.duration_ms[1]: expected 0 or more, got -5"),
    (("fixations", "duration_ms"), ["a", 5], "fixations.duration_ms: expected numbers"),
]


def corrupted(path: tuple, value: object) -> dict:
    content = copy.deepcopy(GOOD)
    target = content
    for key in path[:-1]:
        target = target[key]
    if value is None:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return content


@pytest.mark.parametrize(("path", "value", "message"), CORRUPTIONS)
def test_a_malformed_file_is_refused_with_the_place(
    path: tuple, value: object, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "masks.json"
    file.write_text(json.dumps(corrupted(path, value)))
    with pytest.raises(InputError) as caught:
        MaskSet.read(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b'{"images": [', "not JSON (line 1 column 13"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[]", "expected a valid dictionary"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_file_that_is_no_mask_file(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "masks.json"
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        MaskSet.read(file)
    assert message in str(caught.value)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        MaskSet.read(tmp_path / "none.json")
    with pytest.raises(InputError, match="is a folder, expected a file"):
        MaskSet.read(tmp_path)


def test_an_image_by_its_id() -> None:
    masks = MaskSet.from_dict(GOOD)
    assert masks.image(7) is masks.images[0]
    with pytest.raises(KeyError):
        masks.image(8)
    assert masks.to_dict() == GOOD
    assert masks == MaskSet.from_dict({**GOOD, "fixations": masks.fixations})


def test_a_short_name_and_a_table_for_notebooks() -> None:
    content = copy.deepcopy(GOOD)
    content["info"]["salprobe"]["dataset"] = "<toy>"
    content["categories"][0]["name"] = "<script>alert(1)</script>"
    masks = MaskSet.from_dict(content)
    assert repr(masks) == str(masks) == "MaskSet(<toy>: 2 regions on 1 images, 1 categories)"
    table = masks._repr_html_()
    ElementTree.fromstring(f"<div>{table}</div>")
    assert "<p>&lt;toy&gt;: 2 regions on 1 images, 1 categories</p>" in table
    assert (
        '<tr><th scope="row">&lt;script&gt;alert(1)&lt;/script&gt;</th><td>1</td><td>1</td></tr>'
        '<tr><th scope="row">unlabelled</th><td>1</td><td>1</td></tr>' in table
    )


def test_write_then_read_is_identity_unknown_keys_included(tmp_path: Path) -> None:
    file = tmp_path / "masks.json"
    MaskSet.from_dict(GOOD).write(file)
    assert json.loads(file.read_text("utf-8")) == GOOD
    assert MaskSet.read(file).to_dict() == GOOD


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5).filter(lambda key: key not in GOOD["annotations"][0]),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.floats(-9, 9)),
        max_size=3,
    )
)
def test_any_unknown_key_survives(extra: dict) -> None:
    known = set(dir(MaskSet)) | set(Annotation.model_fields)
    extra = {key: value for key, value in extra.items() if key not in known}
    content = copy.deepcopy(GOOD)
    content["annotations"][0].update(extra)
    assert MaskSet.from_dict(json.loads(json.dumps(content))).to_dict() == content


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "masks.json"
    masks = MaskSet.from_dict(GOOD)
    masks.write(file)
    before = file.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"masks\.json: cannot be written: the disk is full$"):
        masks.write(file)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["masks.json"]


def test_pycocotools_loads_it(tmp_path: Path) -> None:
    file = tmp_path / "masks.json"
    masks = MaskSet.from_dict(GOOD)
    masks.write(file)
    theirs = COCO(str(file))
    for annotation in masks.annotations:
        expected = theirs.annToMask(theirs.loadAnns(annotation.id)[0])
        np.testing.assert_array_equal(mask_of(annotation, masks.images[0]), expected)


def test_masks_by_hand() -> None:
    masks = MaskSet.from_dict(GOOD)
    image = masks.images[0]
    box = np.zeros((10, 20), dtype=bool)
    box[2:6, 2:8] = True
    np.testing.assert_array_equal(mask_of(masks.annotations[0], image), box)
    column = np.zeros((10, 20), dtype=bool)
    column[:3, 0] = True
    np.testing.assert_array_equal(mask_of(masks.annotations[1], image), column)
    assert inside(masks.annotations[0], image, masks.fixations.of(7)).tolist() == [True, False]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.floats(-8, 27), min_size=6, max_size=12), min_size=1, max_size=3))
def test_inside_is_the_mask(polygons: list[list[float]]) -> None:
    content = copy.deepcopy(GOOD)
    outline = [polygon[: len(polygon) // 2 * 2] for polygon in polygons]
    outline = [[min(v, 19.0) if i % 2 else v for i, v in enumerate(one)] for one in outline]
    content["annotations"][0]["segmentation"] = outline
    y, x = (axis.ravel() for axis in np.mgrid[:10, :20])
    n = len(x)
    content["fixations"] = {"image_id": [7] * n, "subject": [1] * n, "x": x, "y": y}
    masks = MaskSet.from_dict(content)
    annotation, image = masks.annotations[0], masks.images[0]
    found = inside(annotation, image, masks.fixations)
    np.testing.assert_array_equal(found.reshape(10, 20), mask_of(annotation, image))


def test_two_fixations_on_one_pixel_are_one_pixel() -> None:
    x, y = distinct_pixels(np.array([5, 2, 5, 5]), np.array([1, 1, 1, 3]))
    assert sorted(zip(x.tolist(), y.tolist(), strict=True)) == [(2, 1), (5, 1), (5, 3)]


def test_the_labelled_osie_file_survives(osie_labels: Path, tmp_path: Path) -> None:
    masks = MaskSet.read(osie_labels)
    assert len(masks.images) == 700
    assert len(masks.annotations) == 3162
    assert len(masks.fixations) == 98_321
    masks.write(tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_bytes()) == json.loads(
        osie_labels.read_bytes()
    )


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(1, 40), st.integers(1, 40))
def test_a_run_length_encoding_covers_its_image(seed, share, height, width) -> None:
    rng = np.random.default_rng(seed)
    counts = outline_of_mask(rng.random((height, width)) < share).segmentation["counts"]
    assert _covers(counts, height * width)
    assert not _covers(counts, height * width + 1)
    assert not _covers(counts[:-1], height * width)


def test_an_encoding_that_covers_less_than_its_image_is_refused(small_world: Path) -> None:
    """pycocotools decodes it, and then compares it with another region without end."""
    content = MaskSet.read(small_world / "masks.json").to_dict()
    mask = np.zeros((72, 96), bool)
    mask[5:20, 5:30] = True
    outline = outline_of_mask(mask).to_coco()
    content["annotations"][0] |= outline
    assert MaskSet.from_dict(content)
    for counts in (outline["segmentation"]["counts"][:-3] + "0", "", "zz", "\x7f", "o" * 20):
        content["annotations"][0]["segmentation"] = {"size": [72, 96], "counts": counts}
        with pytest.raises(InputError, match="no run-length encoding of its image"):
            MaskSet.from_dict(content)

"""Other programs' files: what goes out comes back, and what cannot is said."""

import base64
import copy
import io
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from salprobe.annotate.choices import Format
from salprobe.annotate.formats.exchange import export_masks, import_masks
from salprobe.annotate.formats.registry import FORMATS, osie_sr, recognised
from salprobe.datasets.categories import CATEGORIES, UNLABELLED_ID
from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet, new_mask_set
from salprobe.datasets.masks.outlines import outline_of_mask, outline_of_polygons
from salprobe.datasets.masks.regions import mask_of
from salprobe.datasets.stimuli import Stimulus, voc_palette

WIDTH, HEIGHT = 47, 31
OUTPUT = {
    "labelme": "out",
    "osie-sr": "out",
    "png": "out",
    "coco": "o.json",
    "label-studio": "o.json",
    "pysaliency": "out",
    "yolo": "out",
}

points = st.tuples(
    st.floats(0, WIDTH).map(lambda v: round(v, 4)), st.floats(0, HEIGHT).map(lambda v: round(v, 4))
)
polygons = st.lists(points, min_size=3, max_size=9).map(lambda found: [v for p in found for v in p])


@st.composite
def outlines(draw):
    if draw(st.booleans()):
        return outline_of_polygons(draw(st.lists(polygons, min_size=1, max_size=3)))
    bits = draw(st.binary(min_size=8, max_size=40))
    rng = np.random.default_rng(list(bits))
    mask = rng.random((HEIGHT, WIDTH)) < 0.4  # holes and parts everywhere
    mask[3, 4] = True
    return outline_of_mask(mask)


@st.composite
def mask_sets(draw) -> MaskSet:
    images = [
        Stimulus(id=7, file_name="b.png", width=WIDTH, height=HEIGHT),
        Stimulus(id=3, file_name="sub/a b#é.jpg", width=WIDTH, height=HEIGHT),
    ]
    count = draw(st.integers(1, 5))
    ids = draw(st.lists(st.integers(1, 10**6), min_size=count, max_size=count, unique=True))
    regions = [
        {
            "id": number,
            "image_id": draw(st.sampled_from([3, 7])),
            "category_id": draw(st.integers(1, 13)),
            **draw(outlines()).to_coco(),
            "n_fixations": draw(st.integers(0, 99)),
        }
        for number in ids
    ]
    return new_mask_set(images, regions, None, "made")


def there_and_back(masks: MaskSet, form: str, **options):
    folder = Path(tempfile.mkdtemp())
    try:
        lost = export_masks(masks, folder / OUTPUT[form], form)
        return import_masks(folder / OUTPUT[form], form, **options), lost
    finally:
        shutil.rmtree(folder)


def by_id(masks: MaskSet) -> dict:
    names = masks.category_of()
    regions = masks.annotations
    return {one.id: (masks.image(one.image_id), names[one.category_id], one) for one in regions}


@pytest.mark.parametrize("form", ["labelme", "label-studio", "coco"])
@given(masks=mask_sets())
def test_outlines_return_to_a_hundredth_of_a_pixel_and_masks_exactly(form, masks) -> None:
    found, _ = there_and_back(masks, form)
    assert not found.lost
    before, after = by_id(masks), by_id(found.masks)
    assert before.keys() == after.keys()
    for number, (image, category, region) in before.items():
        back_image, back_category, back = after[number]
        assert (image.file_name, category) == (back_image.file_name, back_category)
        assert type(region.segmentation) is type(back.segmentation)
        if isinstance(region.segmentation, list):
            assert len(region.segmentation) == len(back.segmentation)
            for one, other in zip(region.segmentation, back.segmentation, strict=True):
                np.testing.assert_allclose(one, other, atol=0.01, rtol=0)
        else:
            assert (mask_of(region, image) == mask_of(back, back_image)).all()
        if form != "label-studio":
            assert back.n_fixations == region.n_fixations


@given(masks=mask_sets())
def test_png_masks_return_to_the_pixel(masks) -> None:
    drawn = [r for r in masks.annotations if mask_of(r, masks.image(r.image_id)).any()]
    assume(drawn)
    masks = masks.subset({3, 7}, {region.id for region in drawn})
    found, _ = there_and_back(masks, "png")
    before, after = by_id(masks), by_id(found.masks)
    assert before.keys() == after.keys()
    for number, (image, category, region) in before.items():
        back_image, back_category, back = after[number]
        assert (image.file_name, category) == (back_image.file_name, back_category)
        assert (mask_of(region, image) == mask_of(back, back_image)).all()


@pytest.mark.parametrize("form", ["labelme", "label-studio", "coco"])
@given(masks=mask_sets())
def test_with_the_exported_file_at_hand_everything_returns(form, masks) -> None:
    found, _ = there_and_back(masks, form, like=masks)
    assert found.masks.to_dict() == masks.to_dict()
    assert not found.changes


def test_instance_maps_return_to_the_pixel_where_nothing_overlaps(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    owner = rng.integers(0, 13, (HEIGHT, WIDTH))  # 0 is nobody's
    regions = [
        {"id": k, "image_id": 1001, "category_id": k, **outline_of_mask(owner == k).to_coco()}
        for k in range(1, 13)
    ]
    image = Stimulus(id=1001, file_name="1001.jpg", width=WIDTH, height=HEIGHT)
    masks = new_mask_set([image], regions, None, "made")
    lost = export_masks(masks, tmp_path / "sr", "osie-sr")
    assert lost == ["the fixations, ids and outlines (masks are kept to the pixel)"]
    assert recognised(tmp_path / "sr") == "osie-sr"
    found = import_masks(tmp_path / "sr").masks
    names = found.category_of()
    back = {names[one.category_id]: mask_of(one, image) for one in found.annotations}
    assert list(found.category_names()) == list(CATEGORIES)
    for number, name in enumerate(CATEGORIES, start=1):
        assert (back[name] == (owner == number)).all()
    values = np.asarray(Image.open(tmp_path / "sr" / "SegmentationClass" / "1001.png"))
    expected = np.array([0, *osie_sr.CLASSES])[owner]
    assert (values == expected).all()
    assert found.info.salprobe.dataset == "osie"
    assert "authors" in str(found.info.annotator)


def test_instance_maps_say_what_they_cannot_hold(tmp_path: Path) -> None:
    square = np.zeros((HEIGHT, WIDTH), dtype=bool)
    square[5:20, 5:20] = True
    small = np.zeros_like(square)
    small[10:15, 10:15] = True
    regions = [
        {"id": 1, "image_id": 1, "category_id": 6, **outline_of_mask(small).to_coco()},
        {"id": 2, "image_id": 1, "category_id": 5, **outline_of_mask(square).to_coco()},
        {"id": 3, "image_id": 1, "category_id": UNLABELLED_ID, **outline_of_mask(small).to_coco()},
        {"id": 4, "image_id": 1, "category_id": 6, **outline_of_mask(small).to_coco()},
    ]
    image = Stimulus(id=1, file_name="1.jpg", width=WIDTH, height=HEIGHT)
    lost = export_masks(new_mask_set([image], regions, None, ""), tmp_path / "sr", "osie-sr")
    assert lost[1:] == [
        "1 unlabelled regions",
        "50 pixels where regions overlap (they go to the smaller region)",
        "1 regions that are empty or entirely covered by others",
    ]


def voc(folder: Path, classes: np.ndarray, instances: np.ndarray, kind: str) -> Path:
    for name, values in (("SegmentationClass", classes), ("SegmentationObject", instances)):
        (folder / name).mkdir(parents=True)
        if kind == "npy":
            np.save(folder / name / "1002.npy", values.astype(np.int32))
            continue
        picture = Image.fromarray(values.astype(np.uint8), mode="L")
        if kind == "rgb":
            palette = np.array(voc_palette(), dtype=np.uint8).reshape(-1, 3)
            picture = Image.fromarray(palette[values])
        picture.save(folder / name / "1002.png")
    return folder


@pytest.mark.parametrize("kind", ["png", "npy", "rgb"])
def test_the_authors_maps(kind: str, tmp_path: Path) -> None:
    classes, instances = np.zeros((2, 600, 800), dtype=np.int64)
    classes[10:50, 10:50], instances[10:50, 10:50] = 1, 1
    classes[60:90, 10:50], instances[60:90, 10:50] = 10, 2
    classes[60:62, 10:12] = 27  # a few pixels of another class: the most frequent counts
    classes[200:300, 300:400], instances[200:300, 300:400] = 73, 3
    classes[240:260, 340:360], instances[240:260, 340:360] = 0, 0  # a hole
    classes[500:510, 500:510] = 63  # in no instance
    found = import_masks(voc(tmp_path, classes, instances, kind))
    names = found.masks.category_of()
    assert [names[one.category_id] for one in found.masks.annotations] == [
        "person head",
        "person part",
        "other",
    ]
    assert [one.area for one in found.masks.annotations] == [1600, 1200, 9600]
    assert found.masks.images[0].file_name == "1002.jpg"
    assert found.masks.images[0].id == 1002
    assert dict(found.lost) == {
        "the rarer class of an instance with two or more": 1,
        "pixels with a class that belong to no instance": 1,
    }


def test_an_unknown_class_and_a_missing_map_are_refused(tmp_path: Path) -> None:
    classes = np.full((6, 8), 2)
    folder = voc(tmp_path / "a", classes, classes, "npy")
    with pytest.raises(InputError, match=r"1002\.npy: class 2 is unknown; expected 1, 10, 16"):
        import_masks(folder)
    (folder / "SegmentationObject" / "1002.npy").unlink()
    with pytest.raises(InputError, match="SegmentationObject: no map of 1002"):
        import_masks(folder)
    np.save(folder / "SegmentationObject" / "1002.npy", np.array([{}]), allow_pickle=True)
    np.save(folder / "SegmentationClass" / "1002.npy", np.ones((6, 8), dtype=int))
    with pytest.raises(InputError, match=r"1002\.npy: not an array: .*objects"):
        import_masks(folder)
    np.save(folder / "SegmentationObject" / "1002.npy", np.ones((6, 9), dtype=int))
    with pytest.raises(InputError, match="9×6 pixels, the map of classes has 8×6"):
        import_masks(folder)


def labelme_file(folder: Path, **changes) -> Path:
    shape = {"label": "dog", "points": [[1, 2], [20, 2], [20, 20.5]], "shape_type": "polygon"}
    content = {
        "version": "5.2.1",
        "flags": {},
        "shapes": [{**shape, "group_id": None, "flags": {}}],
        "imagePath": "x.jpg",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }
    folder.mkdir(exist_ok=True)
    path = folder / "x.json"
    path.write_text(json.dumps({**content, **changes}))
    return path


def test_labelme_as_others_write_it(tmp_path: Path) -> None:
    mask = np.zeros((4, 5), dtype=bool)
    mask[1:3, 1:4] = True
    png = io.BytesIO()
    Image.fromarray(mask).save(png, format="PNG")
    shapes = [
        {"label": "dog", "points": [[1, 1], [9, 1], [9, 9]], "group_id": 1},
        {"label": "dog", "points": [[20, 10], [30, 20]], "group_id": 1, "shape_type": "rectangle"},
        {"label": "cat", "points": [[5, 5], [5, 9]], "shape_type": "circle"},
        {
            "label": "cat",
            "points": [[10, 12], [14, 15]],
            "shape_type": "mask",
            "mask": base64.b64encode(png.getvalue()).decode(),
            "description": "its tail",
        },
        {"label": "cat", "points": [[5, 5], [5, 9]], "shape_type": "line"},
    ]
    path = labelme_file(tmp_path / "in", shapes=shapes)
    found = import_masks(path, rename={"dog": "animal part", "cat": "animal head"})
    dog, circle, tail = found.masks.annotations
    assert dog.segmentation == [[1, 1, 9, 1, 9, 9], [20, 10, 30, 10, 30, 20, 20, 20]]
    assert dog.area == 32 + 100
    assert circle.area == pytest.approx(np.pi * 16, rel=0.01)
    whole = mask_of(tail, found.masks.images[0])
    assert whole.sum() == 6 and whole[13:15, 11:14].all()
    assert tail.note == "its tail"
    assert dict(found.lost) == {"a shape of type line, which has no area": 1}
    assert found.masks.category_names() == list(CATEGORIES)
    own = import_masks(path).masks
    assert own.category_names() == ["dog", "cat"]
    with pytest.raises(InputError, match="no region has the category 'cow'; there are: cat, dog"):
        import_masks(path, rename={"cow": "food"})


def test_labelme_finds_the_image_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    path = labelme_file(tmp_path / "labels", imagePath="../images/x.jpg")
    found = import_masks(path, root=tmp_path / "images").masks
    assert found.images[0].file_name == "x.jpg"
    with pytest.raises(InputError, match=r"'../images/x.jpg' is outside"):
        import_masks(path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"imagePath": "../../etc/passwd"}, "is outside"),
        ({"imagePath": "/etc/passwd"}, "is outside"),
        ({"imagePath": "https://example.com/x.jpg"}, "is not a path"),
        ({"imagePath": None}, "expected the image's path"),
        ({"salprobe": {"file_name": "../x"}}, "is not a path below the image root"),
        (
            {"shapes": [{"label": "a", "points": [[1, 2], [3, 4], [5, 6]], "group_id": [1]}]},
            r"group_id: expected a number, got \[1\]",
        ),
        ({"imageWidth": "47"}, "width: Input should be a valid integer"),
        ({"imageWidth": 60_000, "imageHeight": 60_000}, "more than can be read"),
        ({"shapes": [{"label": 3}]}, r"shapes\[0\]: expected an object with a label"),
        ({"shapes": [{"label": "a", "points": [[1, 2]]}]}, r"shapes\[0\].points: polygon has 1 po"),
        ({"shapes": [{"label": "a", "points": [[1, 2]] * 10**6}]}, "1000000 points, more than"),
        (
            {"shapes": [{"label": "a", "points": [[1, 2], [float("nan"), 1], [3, 4]]}]},
            r"points\[1\]: expected two numbers, got \[nan, 1\]",
        ),
        (
            {"shapes": [{"label": "a", "points": [[1, 1], [9, 9]], "shape_type": "mask"}]},
            "mask: not a readable image",
        ),
        (
            {"shapes": [{"label": "a", "points": [[1, 2], [1e8, 2], [3, 4]]}]},
            "polygon reaches x = 1e.08",
        ),
    ],
)
def test_hostile_labelme_files_are_refused(changes: dict, says: str, tmp_path: Path) -> None:
    path = labelme_file(tmp_path / "in", **changes)
    with pytest.raises(InputError, match=says):
        import_masks(path, "labelme")


def task(**changes) -> dict:
    value = {"points": [[10, 10], [50, 10], [50, 50]], "polygonlabels": ["text"], "closed": True}
    result = {
        "id": "aB3",
        "from_name": "label",
        "to_name": "image",
        "type": "polygonlabels",
        "original_width": 200,
        "original_height": 100,
        "value": value,
    }
    return {
        "id": 1,
        "data": {"image": "/data/upload/3/0f1e2d3c-street.jpg"},
        "annotations": [{"id": 2, "completed_by": 1, "result": [{**result, **changes}]}],
    }


def read_tasks(folder: Path, *tasks: dict, **options):
    path = folder / "tasks.json"
    path.write_text(json.dumps(tasks))
    return import_masks(path, **options)


def test_label_studio_as_others_export_it(tmp_path: Path) -> None:
    found = read_tasks(tmp_path, task())
    assert found.format == "label-studio"
    region = found.masks.annotations[0]
    assert region.segmentation == [[20, 10, 100, 10, 100, 50]]
    assert found.masks.images[0].file_name == "street.jpg"
    box = {"x": 10, "y": 20, "width": 20, "height": 30, "rotation": 90, "rectanglelabels": ["text"]}
    turned = read_tasks(tmp_path, task(type="rectanglelabels", value=box)).masks.annotations[0]
    # 40 × 30 pixels at (20, 20), turned clockwise about its corner
    np.testing.assert_allclose(turned.segmentation, [[20, 20, 20, 60, -10, 60, -10, 20]], atol=1e-9)
    ellipse = {"x": 50, "y": 50, "radiusX": 10, "radiusY": 10, "ellipselabels": ["text"]}
    round_one = read_tasks(tmp_path, task(type="ellipselabels", value=ellipse)).masks.annotations[0]
    assert round_one.area == pytest.approx(np.pi * 20 * 10, rel=0.01)
    point = {"x": 50, "y": 50, "width": 1, "keypointlabels": ["text"]}
    lost = read_tasks(
        tmp_path, task(), {**task(type="keypointlabels", value=point), "data": {"image": "b.jpg"}}
    )
    assert len(lost.masks.annotations) == 1


def test_a_suggestion_in_a_prediction_is_no_label(tmp_path: Path) -> None:
    outline = outline_of_polygons([[1, 1, 9, 1, 9, 9]]).to_coco()
    suggestion = {"category": "text", "confidence": 0.8}
    region = {"id": 1, "image_id": 1, "category_id": 13, **outline, "suggestion": suggestion}
    image = Stimulus(id=1, file_name="1.jpg", width=WIDTH, height=HEIGHT)
    masks = new_mask_set([image], [region], None, "")
    export_masks(masks, tmp_path / "t.json", "label-studio")
    tasks = json.loads((tmp_path / "t.json").read_text())
    result = tasks[0]["predictions"][0]["result"][0]
    assert result["value"]["polygonlabels"] == ["text"]
    assert result["score"] == 0.8
    back = import_masks(tmp_path / "t.json").masks.annotations[0]
    assert back.category_id == UNLABELLED_ID
    assert back.model_dump(exclude_unset=True)["suggestion"] == suggestion
    # a person submitted it: now it is a label
    tasks[0]["annotations"] = [{"id": 1, "completed_by": 1, "result": [result]}]
    (tmp_path / "t.json").write_text(json.dumps(tasks))
    done = import_masks(tmp_path / "t.json", like=masks).masks.annotations[0]
    assert done.category_id == 1 + CATEGORIES.index("text")
    assert done.label_source == "label-studio"
    assert "suggestion" not in done.model_dump(exclude_unset=True)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({"data": {"image": "/data/local-files/?d=../../etc/passwd"}}, "not a path below"),
        ({"data": {"image": "https://example.com/x.jpg"}}, "is on another server"),
        ({"data": {"image": 7}}, "expected an address, got 7"),
        ({"data": {"image": "x.jpg", "file_name": "/abs.jpg"}}, "not a path below"),
        ({"annotations": [3]}, "annotations: expected a list of objects"),
        (task(original_width=60_000, original_height=60_000), "more than can be read"),
        (task(original_width="200"), "width: Input should be a valid integer"),
        (task(value={"points": [[1, 2]] * 2, "polygonlabels": ["a"]}), "polygon has 2 points"),
        (task(value={"points": [[1, "a"]] * 3, "polygonlabels": ["a"]}), "expected two numbers"),
        (task(type="brushlabels", value={"rle": [255] * 9, "brushlabels": ["a"]}), "values, its"),
        (task(value={"points": [[1, 2]] * 3, "polygonlabels": [{}]}), "polygonlabels: expected na"),
    ],
)
def test_hostile_label_studio_files_are_refused(made: dict, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        read_tasks(tmp_path, {**task(), **made}, form="label-studio")


def coco_content() -> dict:
    return {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "text"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 0,
                "segmentation": [[1, 1, 9, 1, 9, 9], [1, 2]],
            },
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "segmentation": []},
            {
                "id": 3,
                "image_id": 1,
                "category_id": 1,
                "iscrowd": 1,
                "segmentation": {"size": [30, 40], "counts": [100, 50, 1050]},
            },
        ],
    }


def test_coco_as_others_write_it(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(coco_content()))
    found = import_masks(path)
    assert found.format == "coco"
    names = found.masks.category_of()
    assert {one.id: names[one.category_id] for one in found.masks.annotations} == {
        1: "cat",
        3: "text",
    }
    assert [one.area for one in found.masks.annotations] == [32, 50]
    assert dict(found.lost) == {
        "a polygon of fewer than three points": 1,
        "an annotation without an outline": 1,
    }


def square(**keys) -> dict:
    return {"segmentation": [[1, 1, 9, 1, 9, 9, 1, 9]], **keys}


def written(tmp_path: Path, images: list, annotations: list, categories: list) -> Path:
    path = tmp_path / "_annotations.coco.json"
    content = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(content))
    return path


def named(found) -> dict[int, str]:
    names = found.masks.category_of()
    return {one.id: names[one.category_id] for one in found.masks.annotations}


def test_coco_by_roboflow(tmp_path: Path) -> None:
    """All ids from 0; a category that stands for all; pictures under other names."""
    Image.new("RGB", (30, 20)).save(tmp_path / "beach.jpg")
    path = written(
        tmp_path,
        [
            {
                **{"id": 0, "license": 1, "file_name": "beach_jpg.rf.0a1b2c.jpg"},
                **{"height": 20, "width": 30, "extra": {"name": "beach.jpg"}},
            },
            {"id": 1, "file_name": "other_jpg.rf.9f.jpg", "height": 20, "width": 30},
        ],
        [
            square(id=0, image_id=0, category_id=1, iscrowd=0),
            square(id=1, image_id=1, category_id=2, iscrowd=0),
        ],
        [
            {"id": 0, "name": "things", "supercategory": "none"},
            {"id": 1, "name": "text", "supercategory": "things"},
            {"id": 2, "name": "food", "supercategory": "things"},
        ],
    )
    found = import_masks(path, root=tmp_path)
    assert named(found) == {1: "text", 2: "food"}
    assert [image.file_name for image in found.masks.images] == [
        "beach.jpg",
        "other_jpg.rf.9f.jpg",
    ]
    assert dict(found.lost) == {"the category 'things', which stands for all others": 1}
    plain = import_masks(path)
    assert plain.masks.images[0].file_name == "beach_jpg.rf.0a1b2c.jpg", "without --root"


@pytest.mark.parametrize("name", ["beach_jpg.rf.0a1b2c.jpg", "beach.jpg"])
def test_coco_of_a_picture_of_another_size_is_refused(name: str, tmp_path: Path) -> None:
    """Roboflow's resized copy is not the picture in the folder: outlines would be elsewhere."""
    Image.new("RGB", (60, 40)).save(tmp_path / "beach.jpg")
    image = {"id": 0, "file_name": name, "height": 20, "width": 30, "extra": {"name": "beach.jpg"}}
    regions = [square(id=0, image_id=0, category_id=1)]
    path = written(tmp_path, [image], regions, [{"id": 1, "name": "text"}])
    with pytest.raises(InputError, match=r"images\[0\]: 'beach.jpg' is 30×20 here, .* 60×40"):
        import_masks(path, root=tmp_path)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (30, 20)).save(tmp_path / "beach.jpg", exif=turned)
    with pytest.raises(InputError, match=r"is 30×20 here, .* 20×30"):
        import_masks(path, root=tmp_path)


def test_coco_by_fiftyone(tmp_path: Path) -> None:
    """Absolute paths, ids that are texts, categories from 0."""
    pictures = tmp_path / "data"
    (pictures / "sub").mkdir(parents=True)
    Image.new("RGB", (30, 20)).save(pictures / "sub" / "a.png")
    images = [
        {"id": "f0e1", "file_name": str(pictures / "sub" / "a.png"), "width": 30, "height": 20},
        {"id": "f0e2", "file_name": "/elsewhere/b.png", "width": 30, "height": 20},
        {"id": "f0e3", "file_name": "C:\\pictures\\c.png", "width": 30, "height": 20},
    ]
    regions = [
        square(id="x1", image_id="f0e1", category_id=0, supercategory=None),
        square(id="x2", image_id="f0e3", category_id=1),
    ]
    categories = [{"id": 0, "name": "text"}, {"id": 1, "name": "food", "supercategory": None}]
    found = import_masks(written(tmp_path, images, regions, categories), root=pictures)
    assert named(found) == {1: "text", 2: "food"}
    assert [image.file_name for image in found.masks.images] == ["sub/a.png", "b.png", "c.png"]
    assert [one.image_id for one in found.masks.annotations] == [
        found.masks.images[0].id,
        found.masks.images[2].id,
    ]
    again = [*images, {**images[1], "id": "f0e4", "file_name": "/another/b.png"}]
    path = written(tmp_path, again, regions, categories)
    with pytest.raises(InputError, match=r"b.png"):
        import_masks(path)


def test_coco_by_cvat(tmp_path: Path) -> None:
    """Masks as run lengths of columns, attributes, boxes without an outline."""
    rle = {"counts": [20, 4, 576], "size": [20, 30]}
    path = written(
        tmp_path,
        [{"id": 1, "file_name": "a.png", "width": 30, "height": 20, "date_captured": 0}],
        [
            square(id=1, image_id=1, category_id=1, attributes={"occluded": False}),
            {
                **{"id": 2, "image_id": 1, "category_id": 1, "iscrowd": 1},
                **{"segmentation": rle, "attributes": {"occluded": True}},
            },
            {"id": 3, "image_id": 1, "category_id": 1, "segmentation": [], "bbox": [1, 1, 4, 4]},
        ],
        [{"id": 1, "name": "text", "supercategory": ""}],
    )
    found = import_masks(path)
    assert [one.area for one in found.masks.annotations] == [64, 4]
    assert dict(found.lost) == {"an annotation without an outline": 1}


def test_coco_without_sizes_takes_them_from_the_pictures(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    images = [{"id": 1, "file_name": "a.png", "width": None}]
    categories = [{"id": 1, "name": "text"}]
    path = written(tmp_path, images, [square(id=1, image_id=1, category_id=1)], categories)
    assert import_masks(path, root=tmp_path).masks.images[0].size == (20, 30)
    with pytest.raises(InputError, match=r"images\[0\]: 'a.png' has no size: --root names"):
        import_masks(path)
    outside = [{"id": 1, "file_name": "../a.png"}]
    path = written(tmp_path, outside, [square(id=1, image_id=1, category_id=1)], categories)
    with pytest.raises(InputError, match=r"\.\./a\.png"):
        import_masks(path, root=tmp_path)


def test_an_unknown_category_does_not_become_another(tmp_path: Path) -> None:
    """With ids from 0, the number after the last is that of the last as we count."""
    images = [{"id": 0, "file_name": "a.png", "width": 30, "height": 20}]
    categories = [{"id": 0, "name": "text"}, {"id": 1, "name": "food"}]
    path = written(tmp_path, images, [square(id=0, image_id=0, category_id=2)], categories)
    with pytest.raises(InputError, match="no category has id 2"):
        import_masks(path)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("id", None, r"annotations\[0\].id: expected a valid integer"),
        ("id", "3", r"annotations: id '3' occurs twice"),
        ("image_id", 9, "no image has id 9"),
        ("segmentation", [[1, 1, float("nan"), 1, 9, 9]], "expected a finite number"),
        ("segmentation", [[0.5] * 10**6], "500000 points, more than 100000"),
        ("category_id", 5, r"annotations\[0\].category_id: no category has id 5"),
    ],
)
def test_hostile_coco_files_are_refused(key: str, value, says: str, tmp_path: Path) -> None:
    content = coco_content()
    content["annotations"][0][key] = value
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=says):
        import_masks(path)


def test_a_png_header_of_a_giant_image_is_refused(tmp_path: Path) -> None:
    png = io.BytesIO()
    Image.new("1", (8, 8)).save(png, format="PNG")
    data = bytearray(png.getvalue())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    (tmp_path / "m" / "a.jpg").mkdir(parents=True)
    (tmp_path / "m" / "a.jpg" / "1.text.png").write_bytes(data)
    with pytest.raises(InputError, match="broken image: Image size"):
        import_masks(tmp_path / "m")


def test_every_format_is_recognised(small_world: Path, tmp_path: Path) -> None:
    masks = MaskSet.read(small_world / "masks.json")
    for form in FORMATS:
        export_masks(masks, tmp_path / f"{form}-{OUTPUT[form]}", form, small_world)
        assert recognised(tmp_path / f"{form}-{OUTPUT[form]}") == form
    with pytest.raises(InputError, match="exists and is not empty"):
        export_masks(masks, tmp_path / "png-out", "png")
    with pytest.raises(InputError, match="unknown format"):
        recognised(small_world)


def test_every_format_can_be_chosen() -> None:
    assert tuple(FORMATS) == get_args(Format)


def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    image = Stimulus(id=1, file_name="1.jpg", width=8, height=8)
    content = new_mask_set([image], [], None, "").to_dict()
    content["categories"][0]["name"] = "<b>a/b</b>"
    outline = outline_of_polygons([[1, 1, 5, 1, 5, 5]]).to_coco()
    content["annotations"] = [{"id": 1, "image_id": 1, "category_id": 1, **outline}]
    masks = MaskSet.from_dict(content)
    for form in ("png", "osie-sr"):
        with pytest.raises(InputError, match="category '<b>a/b</b>'"):
            export_masks(masks, tmp_path / "out", form)
    assert list(tmp_path.iterdir()) == []


def test_the_authors_masks_take_the_name(command, tmp_path: Path, monkeypatch) -> None:
    classes, instances = np.zeros((2, 600, 800), dtype=np.int64)
    classes[10:50, 10:50], instances[10:50, 10:50] = 37, 1
    folder = voc(tmp_path / "downloaded", classes, instances, "png")
    monkeypatch.setenv("SALPROBE_DATA", str(tmp_path / "data"))
    assert "3162 regions" in command("annotate", "stats", "osie-sr").stdout
    command("annotate", "import", folder, "-o", "osie-sr")
    done = command("annotate", "stats", "osie-sr")
    assert "1 regions on 1 images" in done.stdout and "the authors of OSIE-SR" in done.stdout
    done = command("annotate", "import", folder, "-o", tmp_path / "no" / "x.json", check=2)
    assert "x.json: cannot be written" in done.stderr


def test_by_hand(command, small_world: Path, tmp_path: Path) -> None:
    world = tmp_path / "w"
    shutil.copytree(small_world, world)
    done = command(
        "annotate", "export", world / "masks.json", "--format", "labelme", "-o", world / "lm"
    )
    assert "left out: the fixations" in done.stderr
    # a person moves one corner and relabels another region
    path = world / "lm" / "1.json"
    content = json.loads(path.read_text())
    assert (path.parent / content["imagePath"]).is_file()
    content["shapes"][0]["points"][0] = [0, 0]
    content["shapes"][1]["label"] = "object"
    path.write_text(json.dumps(content))
    done = command(
        *("annotate", "import", world / "lm", "--like", world / "masks.json"),
        *("-o", world / "new.json", "--root", world),
    )
    assert "1 relabelled" in done.stderr and "1 reshaped" in done.stderr
    old, new = MaskSet.read(world / "masks.json"), MaskSet.read(world / "new.json")
    assert new.fixations is not None
    changed = [a.id for a, b in zip(old.annotations, new.annotations, strict=True) if a != b]
    assert changed == [1, 2]
    done = command("annotate", "import", world / "lm", "-o", world / "x.json", check=0)
    assert "the result holds no fixations" in done.stderr


def test_regions_are_recognised_by_overlap_and_not_by_their_number(
    small_world: Path, tmp_path: Path
) -> None:
    """Foreign ids mean nothing: what overlaps keeps the id, and the keys, of our region."""
    content = MaskSet.read(small_world / "masks.json").to_dict()
    for entry in content["annotations"]:
        entry["note"] = f"note of {entry['id']}"
    base = MaskSet.from_dict(content)
    foreign = {key: content[key] for key in ("images", "categories")}
    foreign["annotations"] = []
    for entry in content["annotations"]:
        moved = [value + 1.5 for value in entry["segmentation"][0]]
        number = 13 - entry["id"]  # the ids of other regions, most of them on other images
        foreign["annotations"].append(
            {**entry, "id": number, "segmentation": [moved], "note": f"note of {entry['id']}"}
        )
    path = tmp_path / "foreign.json"
    path.write_text(json.dumps(foreign))
    found = import_masks(path, like=base)
    assert sum(found.changes.values(), Counter()) == {"reshaped": 12}
    assert all(one.note == f"note of {one.id}" for one in found.masks.annotations)
    # In a mask set clustered anew, two ids have swapped places.
    swapped = copy.deepcopy(content)
    first, second = swapped["annotations"][:2]
    first["id"], second["id"] = second["id"], first["id"]
    exported = tmp_path / "labelme"
    export_masks(base, exported, "labelme")
    found = import_masks(exported, like=MaskSet.from_dict(swapped))
    assert found.changes == {}


def test_an_unlabelled_region_is_imported_into_a_file_without_that_category(
    small_world: Path, tmp_path: Path
) -> None:
    base = MaskSet.read(small_world / "masks.json")
    content = base.to_dict()
    content["categories"].append({"id": 7, "name": "unlabelled"})
    content["annotations"][0]["category_id"] = 7
    export_masks(MaskSet.from_dict(content), tmp_path / "png", "png")
    found = import_masks(tmp_path / "png", like=base).masks
    names = found.category_of()
    assert names[found.annotations[0].category_id] == "unlabelled"

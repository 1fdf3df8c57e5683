"""YOLO's outlines, and Pascal VOC's label images with classes of their own."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from salprobe.annotate.formats.exchange import export_masks, import_masks
from salprobe.annotate.formats.registry import recognised
from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet, new_mask_set
from salprobe.datasets.masks.outlines import outline_of_mask, outline_of_polygons
from salprobe.datasets.masks.regions import mask_of
from salprobe.datasets.stimuli import Stimulus

WIDTH, HEIGHT = 80, 60


def pictures(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / name)
    return folder


def masks_of(*outlines, file_name: str = "a/1.png") -> MaskSet:
    image = Stimulus(id=1, file_name=file_name, width=WIDTH, height=HEIGHT)
    regions = [
        {"id": number, "image_id": 1, "category_id": number, **outline.to_coco()}
        for number, outline in enumerate(outlines, 1)
    ]
    return new_mask_set([image], regions, None, "made")


def shape(*windows: tuple[slice, slice], hole: tuple[slice, slice] | None = None) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for window in windows:
        mask[window] = True
    if hole:
        mask[hole] = False
    return mask


def test_lines_by_hand_and_back(tmp_path: Path) -> None:
    masks = masks_of(
        outline_of_polygons([[0, 0, 40, 0, 40.25, 30, 1.5, 59]]),
        outline_of_mask(shape(np.s_[10:20, 5:9], np.s_[15:20, 9:30])),
    )
    lost = export_masks(masks, tmp_path / "y", "yolo")
    assert lost == ["the fixations, ids and notes"]
    first, second = (tmp_path / "y" / "labels" / "a" / "1.txt").read_text().splitlines()
    assert first == "0 0 0 0.5 0 0.503125 0.5 0.01875 0.9833333"
    assert second.startswith("1 ") and len(second.split()) == 13  # an L has six corners
    assert yaml.safe_load((tmp_path / "y" / "data.yaml").read_text())["names"][1] == "person part"

    assert recognised(tmp_path / "y") == "yolo"
    root = pictures(tmp_path / "images", "a/1.png")
    found = import_masks(tmp_path / "y", root=root).masks
    assert [one.file_name for one in found.images] == ["a/1.png"]
    names = found.category_of()
    assert [names[one.category_id] for one in found.annotations] == ["person head", "person part"]
    outline = found.annotations[0].segmentation
    np.testing.assert_allclose(outline, masks.annotations[0].segmentation, atol=0.01)
    for one, other in zip(masks.annotations, found.annotations, strict=True):
        image = masks.images[0]
        np.testing.assert_array_equal(mask_of(one, image), mask_of(other, found.images[0]))


def test_with_the_exported_file_at_hand_nothing_changes(small_world: Path, tmp_path: Path) -> None:
    masks = MaskSet.read(small_world / "masks.json")
    export_masks(masks, tmp_path / "y", "yolo")
    found = import_masks(tmp_path / "y", root=small_world, like=masks)
    assert found.changes == {} and found.masks.to_dict() == masks.to_dict()


def test_what_it_cannot_hold_is_counted(tmp_path: Path) -> None:
    parts = outline_of_polygons([[0, 0, 9, 0, 9, 9], [20, 20, 30, 20, 30, 30]])
    holed = outline_of_mask(shape(np.s_[10:30, 10:30], hole=np.s_[15:20, 15:20]))
    lost = export_masks(masks_of(parts, holed), tmp_path / "y", "yolo")
    assert lost[1:] == [
        "that parts belong together: 1 regions of several parts",
        "1 holes, which are filled",
    ]
    found = import_masks(tmp_path / "y", root=pictures(tmp_path / "i", "a/1.png"))
    assert len(found.masks.annotations) == 3
    assert found.masks.annotations[2].area == 400


@pytest.mark.parametrize(
    ("images", "labels"),
    [("train/images/1.jpg", "train/labels/1.txt"), ("images/val/1.jpg", "labels/val/1.txt")],
)
def test_layouts_of_other_programs(images: str, labels: str, tmp_path: Path) -> None:
    pictures(tmp_path, images)
    (tmp_path / labels).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / labels).write_text("0 0.5 0.5 0.2 0.2\n\n1 0 0 1 0 1 1\n")
    (tmp_path / "data.yaml").write_text("names: [car, text]\n")
    found = import_masks(tmp_path)
    assert [one.file_name for one in found.masks.images] == [images]
    assert found.lost == {"an annotation that is only a box": 1}
    assert found.masks.annotations[0].segmentation == [[0, 0, WIDTH, 0, WIDTH, HEIGHT]]


@pytest.mark.parametrize(
    ("names", "line", "message"),
    [
        ("names: [a]", "1 0 0 1 0 1 1", r"1.txt: line 1: category 1 is not in data.yaml"),
        ("names: [a]", "0 0 0 1 0 1 1 1", "expected x and y of each corner, got 7 numbers"),
        ("names: [a]", "0 0 0 80 0 80 60", "expected shares of the image's size, 0 to 1"),
        ("names: [a]", "0 0 0 1 0 nan 1", "expected two numbers, got"),
        ("names: [a]", "0 0 0 1 0 x 1", "expected numbers, got '0 0 0 1 0 x 1'"),
        ("names: [1, 2]", "0 0 0 1 0 1 1", "names: expected the categories by number"),
        ("names: {a: 1}", "0 0 0 1 0 1 1", "names: expected the categories by number"),
        ("names: [", "0 0 0 1 0 1 1", r"data.yaml: is no YAML"),
        ("!!python/name:os.system {}", "0 0 0 1 0 1 1", r"data.yaml: is no YAML"),
    ],
)
def test_malformed(names: str, line: str, message: str, tmp_path: Path) -> None:
    pictures(tmp_path, "images/1.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "1.txt").write_text(line)
    (tmp_path / "data.yaml").write_text(names)
    with pytest.raises(InputError, match=message):
        import_masks(tmp_path)


def test_an_image_is_found_or_named(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "1.txt").write_text("0 0 0 1 0 1 1")
    (tmp_path / "data.yaml").write_text("names: [a]")
    with pytest.raises(InputError, match=r"1.txt: has no image in .*--root names"):
        import_masks(tmp_path)
    pictures(tmp_path, "images/1.jpg", "images/1.png")
    with pytest.raises(InputError, match=r"1.txt: may be of 1.jpg or 1.png"):
        import_masks(tmp_path)


def test_label_images_with_classes_of_their_own(small_world: Path, tmp_path: Path) -> None:
    """As labelme writes Pascal VOC: class_names.txt beside the two folders."""
    masks = masks_of(outline_of_mask(shape(np.s_[3:9, 4:8])), file_name="1.jpg")
    export_masks(masks, tmp_path / "voc", "osie-sr")
    names = tmp_path / "voc" / "class_names.txt"
    names.write_text("__ignore__\n_background_\naeroplane\nbicycle\n")
    found = import_masks(tmp_path / "voc", rename={"aeroplane": "vehicle"})
    category = found.masks.category_of()[found.masks.annotations[0].category_id]
    assert category == "vehicle" and found.masks.annotations[0].area == 24
    assert found.masks.images[0].file_name == "1.jpg"
    names.write_text("aeroplane\n")
    with pytest.raises(InputError, match=r"class_names.txt: expected _background_, then"):
        import_masks(tmp_path / "voc")
    shutil.rmtree(tmp_path / "voc" / "SegmentationObject")
    with pytest.raises(InputError, match="unknown format"):
        import_masks(tmp_path / "voc")

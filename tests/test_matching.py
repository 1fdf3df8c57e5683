"""Regions matched by overlap, merged and dealt out: cases small enough to work out by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from salprobe.annotate.labels import agree as agreement
from salprobe.annotate.labels.agree import agree, labels_by, match
from salprobe.annotate.labels.merge import merge, split_by_image
from salprobe.annotate.labels.tables import agreement_record
from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.stimuli import Stimulus

CATEGORIES = ("text", "food", "unlabelled")
Box = tuple[int, int, int]
"""Left, right and category of a region that is 10 high."""


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds are of no interest here, and take most of the time."""
    monkeypatch.setattr(agreement, "RESAMPLES", 40, raising=False)


def mask_set(images: dict[str, list[Box]], categories: tuple[str, ...] = CATEGORIES) -> MaskSet:
    """Return images 400×10, each with its boxes; ids count from 1 in the order given."""
    annotations = []
    for number, boxes in enumerate(images.values(), start=1):
        for left, right, category in boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": category,
                    "segmentation": [[float(x) for x in (left, 0, right, 0, right, 10, left, 10)]],
                    "bbox": [left, 0, right - left, 10],
                    "area": 10.0 * (right - left),
                    "iscrowd": 0,
                }
            )
    return MaskSet.from_dict(
        {
            "images": [
                {"id": number, "file_name": name, "width": 400, "height": 10}
                for number, name in enumerate(images, start=1)
            ],
            "annotations": annotations,
            "categories": [{"id": k, "name": name} for k, name in enumerate(categories, start=1)],
        }
    )


def pairs(first: list[Box], second: list[Box], min_iou: float) -> list[tuple[int, int, float]]:
    image = Stimulus(id=1, file_name="a.png", width=400, height=10)
    return match(
        mask_set({"a.png": first}).annotations,
        mask_set({"a.png": second}).annotations,
        image,
        min_iou,
    )


def test_pairs_are_of_the_least_overlap_or_more() -> None:
    # 100 wide each, of which 50 are shared: 50 of 150.
    half = [(0, 100, 1)], [(50, 150, 1)]
    assert pairs(*half, min_iou=1 / 3) == [(0, 0, pytest.approx(1 / 3))]
    assert pairs(*half, min_iou=0.34) == []
    assert pairs([(0, 100, 1)], [(0, 100, 1)], min_iou=1) == [(0, 0, 1.0)]
    assert pairs([], [(0, 100, 1)], 0.5) == pairs([(0, 100, 1)], [], 0.5) == []


def test_a_large_overlap_is_not_given_up_for_two_that_are_too_small() -> None:
    first, second = [(100, 200, 1), (163, 263, 1)], [(125, 225, 1), (62, 162, 1)]
    # IoUs: 75 of 125 and 62 of 138 with the first, 62 of 138 and nothing with the other.
    assert pairs(first, second, 0.5) == [(0, 0, pytest.approx(0.6))]
    # Where the small ones count, both together are more.
    found = pairs(first, second, 0.4)
    assert [(i, j) for i, j, _ in found] == [(0, 1), (1, 0)]
    assert [iou for *_, iou in found] == pytest.approx([62 / 138, 62 / 138])


def test_what_another_file_says_of_ones_own_regions() -> None:
    mine = mask_set(
        {
            "only mine.png": [(0, 100, 3)],
            "b.png": [(0, 100, 3), (200, 300, 3), (300, 400, 3)],
            "c.png": [(0, 100, 3)],
        }
    )
    theirs = mask_set(
        {
            "c.png": [(20, 120, 2)],  # an overlap of 2/3
            "b.png": [(200, 300, 1), (0, 100, 3), (300, 400, 2)],
            "only theirs.png": [(0, 100, 1)],
        }
    )
    assert labels_by(theirs, mine) == {3: "text", 4: "food", 5: "food"}
    assert labels_by(theirs, mine, min_iou=0.7) == {3: "text", 4: "food"}
    narrow = mask_set({"c.png": [(33, 133, 2)], "b.png": []})  # 67 of 133, just half
    assert labels_by(narrow, mine) == {5: "food"}
    assert labels_by(mask_set({"c.png": [(34, 134, 2)]}), mine) == {}  # 66 of 134


def test_agreement_of_three_by_hand() -> None:
    first = mask_set(
        {
            "a.png": [(0, 100, 1), (200, 300, 2), (310, 390, 1)],
            "b.png": [(0, 100, 1)],
            "only in the first.png": [(0, 100, 2)],
        }
    )
    second = mask_set({"b.png": [(20, 120, 1)], "a.png": [(0, 100, 1), (200, 300, 2)]})
    third = mask_set({"a.png": [(200, 300, 1), (0, 100, 1)], "b.png": [(0, 100, 1), (200, 300, 2)]})
    found = agree([first, second, third])
    assert (found.n_images, found.n_regions) == (2, [4, 3, 4])
    expected = pd.DataFrame(
        {
            "image": ["a.png", "a.png", "b.png"],
            "0": ["text", "food", "text"],
            "1": ["text", "food", "text"],
            "2": ["text", "text", "text"],
            "iou": [1, 1, (2 / 3 + 1) / 2],
        }
    )
    pd.testing.assert_frame_equal(found.matched, expected)
    assert found.same == pytest.approx(2 / 3)
    # Fleiss: pairs agree in 1, 1/3 and 1; by chance (7/9)² + (2/9)².
    chance = (49 + 4) / 81
    assert found.kappa.value == pytest.approx((7 / 9 - chance) / (1 - chance))
    disputed = {region.id: region.disagreement for region in found.disagreements.annotations}
    # The third file's second region of b.png gets a new id; the first two files lack it.
    assert disputed == {2: ["food", "text"], 3: [None, None], 6: [None, None]}
    assert [image.file_name for image in found.disagreements.images] == ["a.png", "b.png"]
    record = agreement_record(found)
    assert record["kappa_name"] == "Fleiss'" and "confusion" not in record


def test_the_confusion_table_by_hand() -> None:
    first = mask_set({"a.png": [(0, 50, 1), (100, 150, 1), (200, 250, 1)]})
    second = mask_set({"a.png": [(0, 50, 1), (100, 150, 2), (200, 250, 2)]})
    found = agree([first, second])
    assert found.categories == list(CATEGORIES)
    table = found.confusion()
    assert table.to_numpy().tolist() == [[1, 2], [0, 0]]
    assert list(table.index) == list(table.columns) == ["text", "food"]
    record = agreement_record(found)
    assert record["kappa_name"] == "Cohen's"
    assert record["low"] is None and record["high"] is None  # of one image


def test_categories_are_compared_by_name_not_by_number() -> None:
    first = mask_set({"a.png": [(0, 50, 1), (100, 150, 2)]})
    second = mask_set({"a.png": [(0, 50, 2), (100, 150, 1)]}, ("food", "text", "drink"))
    found = agree([first, second])
    assert found.same == 1 and found.kappa.value == 1
    assert found.categories == ["text", "food", "unlabelled", "drink"]
    assert labels_by(second, first) == {1: "text", 2: "food"}
    third = mask_set({"a.png": [(0, 50, 2), (100, 150, 1)]}, ("food", "text", "unlabelled"))
    merged = merge([first, third]).masks
    assert [one["votes"] for one in told(merged)] == [{"text": 2}, {"food": 2}]
    assert [one["category_id"] for one in told(merged)] == [1, 2]


def test_one_category_alone_has_no_kappa() -> None:
    masks = mask_set({"a.png": [(0, 50, 1)], "b.png": [(0, 50, 1)]})
    for files in ([masks, masks], [masks, masks, masks]):
        found = agree(files)
        assert found.same == 1
        assert np.isnan(found.kappa.value)


def test_an_agreement_is_the_same_again_and_its_seed_is_0() -> None:
    rng = np.random.default_rng(0)
    given = rng.integers(1, 3, (2, 20))
    given[1, :12] = given[0, :12]
    files = [
        mask_set({f"{k}.png": [(0, 50, int(one))] for k, one in enumerate(row)}) for row in given
    ]
    again = [agreement_record(agree(files, seed=seed)) for seed in (0, 0, 1, 2, 3)]
    assert agreement_record(agree(files)) == again[0] == again[1]
    assert len({(one["low"], one["high"]) for one in again}) > 1


def test_two_images_are_enough_for_an_interval() -> None:
    first = mask_set({"a.png": [(0, 50, 1), (100, 150, 2)], "b.png": [(0, 50, 1), (100, 150, 2)]})
    second = mask_set({"a.png": [(0, 50, 1), (100, 150, 2)], "b.png": [(0, 50, 2), (100, 150, 1)]})
    found = agreement_record(agree([first, second]))
    # Kappa is 1 on a, -1 on b, 0 on both; a or b alone is drawn twice a quarter of the times.
    assert (found["low"], found["kappa"], found["high"]) == (-1, 0, 1)


def test_files_of_other_images_or_sizes_are_refused() -> None:
    masks = mask_set({"a.png": [(0, 50, 1)]})
    content = masks.to_dict()
    content["images"][0]["height"] = 11
    with pytest.raises(InputError, match=r"^a.png has different sizes in the mask files$"):
        agree([masks, MaskSet.from_dict(content)])
    assert agree([masks, masks], min_iou=1).same == 1
    for wrong in (1.01, 0, -0.5):
        with pytest.raises(InputError, match="expected a number above 0, at most 1"):
            agree([masks, masks], min_iou=wrong)


def told(masks: MaskSet) -> list[dict]:
    """Return the regions of a merged file, without their outlines."""
    kept = ("id", "image_id", "category_id", "votes", "label_source", "unsure")
    regions = [one.model_dump(exclude_unset=True) for one in masks.annotations]
    return [{key: region[key] for key in kept if key in region} for region in regions]


def test_a_merge_by_hand() -> None:
    first = mask_set({"a.png": [(200, 250, 1), (0, 50, 1), (100, 150, 3)], "b.png": []})
    second = mask_set({"a.png": [(0, 50, 2), (100, 150, 3)], "b.png": [(300, 350, 2)]})
    third = mask_set({"a.png": [(100, 150, 3), (0, 50, 2)]})
    merged = merge([first, second, third])
    assert told(merged.masks) == [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 2,
            "votes": {"text": 1, "food": 2},
            "label_source": "merge",
        },
        # Nobody labelled it, so it stays unlabelled.
        {"id": 2, "image_id": 1, "category_id": 3, "votes": {}},
        # One of the two files that have image b has it: half.
        {
            "id": 3,
            "image_id": 2,
            "category_id": 2,
            "votes": {"food": 1},
            "label_source": "merge",
        },
    ]
    # One of three files has the first region of a: fewer than half.
    assert (merged.disputed, merged.dropped) == (1, 1)
    assert [image.file_name for image in merged.masks.images] == ["a.png", "b.png"]


def test_a_tie_is_the_earlier_files_and_unsure() -> None:
    first, second = mask_set({"a.png": [(0, 50, 2)]}), mask_set({"a.png": [(0, 50, 1)]})
    by_majority, by_first = merge([first, second]), merge([first, second], "first")
    tie = {"id": 1, "image_id": 1, "category_id": 2, "votes": {"food": 1, "text": 1}}
    tie["label_source"] = "merge"
    assert told(by_majority.masks) == [{**tie, "unsure": True}]
    assert told(by_first.masks) == [tie]
    assert by_majority.disputed == by_first.disputed == 1


def test_the_first_rule_keeps_what_only_one_has_in_its_order() -> None:
    first = mask_set({"a.png": [(0, 50, 3)], "b.png": [(0, 50, 1)]})
    second = mask_set({"a.png": [(0, 50, 2), (100, 150, 1)]})
    third = mask_set({"a.png": [(200, 250, 1), (0, 50, 1)]})
    fourth = mask_set({"a.png": [(0, 50, 1)]})
    merged = merge([first, second, third, fourth], "first")
    assert [(one["image_id"], one["category_id"]) for one in told(merged.masks)] == [
        *((1, 2), (1, 1), (1, 1), (2, 1))  # the first file that labels it, not the most of them
    ]
    assert [one.bbox[0] for one in merged.masks.annotations] == [0, 100, 200, 0]
    assert (merged.disputed, merged.dropped) == (1, 0)


def test_regions_are_one_by_the_first_files_outline_that_has_them() -> None:
    first, second = mask_set({"a.png": []}), mask_set({"a.png": [(0, 100, 1)]})
    third = mask_set({"a.png": [(33, 133, 1)]})  # an overlap of 67 in 133 with the second's
    merged = merge([first, second, third])
    assert [one.bbox for one in merged.masks.annotations] == [[0, 0, 100, 10]]
    apart = merge([first, second, third], "first", min_iou=0.6)
    assert [one.bbox[0] for one in apart.masks.annotations] == [0, 33]


def test_what_cannot_be_merged() -> None:
    masks = mask_set({"a.png": [(0, 50, 1)]})
    with pytest.raises(InputError, match="two mask files or more"):
        merge([masks])
    other = mask_set({"a.png": [(0, 50, 1)]}, ("text", "drink", "unlabelled"))
    for files in ([masks, other], [masks, masks, other]):
        with pytest.raises(InputError, match="'drink' is not in the first mask file"):
            merge(files)


def test_images_are_dealt_out_by_share_and_the_rarest_category_evenly() -> None:
    # 12 images: all have a text, four a food, which are to be 3 to 1; four are bare.
    images: dict[str, list[Box]] = {f"{k}.png": [(0, 50, 1)] for k in range(8)}
    for k in range(4):
        images[f"{k}.png"].append((100, 150, 2))
    images |= {f"bare {k}.png": [] for k in range(4)}
    masks = mask_set(images)
    for seed in range(8):
        parts = split_by_image(masks, {"train": 6, "test": 2}, seed)
        assert list(parts) == ["train", "test"]
        counts = {
            name: [sum(one.category_id == k for one in part.annotations) for k in (1, 2)]
            for name, part in parts.items()
        }
        assert counts == {"train": [6, 3], "test": [2, 1]}
        assert [len(part.images) for part in parts.values()] == [9, 3]
    assert split_by_image(masks, {"a": 1, "b": 1}) == split_by_image(masks, {"a": 1, "b": 1}, 0)
    others = [split_by_image(masks, {"a": 1, "b": 1}, seed)["a"] for seed in range(4)]
    assert any(one != others[0] for one in others[1:])


def test_as_many_parts_as_images_get_one_each(small_world: Path) -> None:
    masks = MaskSet.read(small_world / "masks.json")
    parts = split_by_image(masks, dict.fromkeys("abcdef", 1))
    assert [len(part.images) for part in parts.values()] == [1] * 6
    assert [len(part.annotations) for part in parts.values()] == [2] * 6
    with pytest.raises(InputError, match="6 images cannot be split into 7 parts"):
        split_by_image(masks, dict.fromkeys("abcdefg", 1))

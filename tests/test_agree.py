"""Agreement, merging, splitting and counting of mask sets."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from salprobe.annotate.labels.agree import agree
from salprobe.annotate.labels.merge import merge, split_by_category, split_by_image
from salprobe.annotate.labels.stats import draw, figure_of, statistics
from salprobe.annotate.labels.tables import agreement_record
from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.sources.load import mask_path


@pytest.fixture(scope="module")
def content(small_world: Path) -> dict:
    return MaskSet.read(small_world / "masks.json").to_dict()


def relabelled(content: dict, **changes) -> MaskSet:
    """Return a copy in which annotation n (as "n3") has another category, or None: is gone."""
    changed = copy.deepcopy(content)
    for name, category in changes.items():
        for entry in list(changed["annotations"]):
            if entry["id"] == int(name[1:]):
                if category is None:
                    changed["annotations"].remove(entry)
                else:
                    entry["category_id"] = category
    return MaskSet.from_dict(changed)


def test_two_who_agree(content: dict) -> None:
    same = MaskSet.from_dict(content)
    found = agree([same, same])
    assert (found.same, *found.kappa) == (1, 1, 1, 1)
    assert (found.n_images, found.n_regions, len(found.matched)) == (6, [12, 12], 12)
    assert found.matched["iou"].tolist() == [1.0] * 12
    assert found.disagreements.annotations == []


def test_two_who_differ(content: dict) -> None:
    first, second = MaskSet.from_dict(content), relabelled(content, n2=5, n4=5, n6=None)
    found = agree([first, second])
    assert found.n_regions == [12, 11]
    assert len(found.matched) == 11
    assert found.same == pytest.approx(9 / 11)
    kappa, low, high = found.kappa
    assert kappa == cohen_kappa_score(found.matched["0"], found.matched["1"])
    assert low < kappa <= high
    assert agree([first, second], seed=0).kappa == found.kappa
    assert agree([first, second], seed=1).kappa != found.kappa
    assert found.confusion().loc["text", "object"] == 2
    assert list(found.confusion().columns) == ["person head", "person part", "object", "text"]
    disputed = {region.id: region.disagreement for region in found.disagreements.annotations}
    assert disputed == {2: ["object"], 4: ["object"], 6: [None]}
    assert {image.id for image in found.disagreements.images} == {1, 2, 3}
    assert set(found.disagreements.fixations.image_id) == {1, 2, 3}


def test_three_by_fleiss(content: dict) -> None:
    files = [MaskSet.from_dict(content), relabelled(content, n2=5), relabelled(content, n2=1)]
    found = agree(files)
    assert found.kappa_name == "Fleiss'"
    # By hand: 11 of 12 regions unanimous, one with three opinions.
    share = np.bincount([1, 2, 1, 2, 1, 2], minlength=3)[1:] * 3
    marginal = np.array([share[0] + 1, share[1], 1, 16]) / 36
    chance = (marginal**2).sum()
    assert found.kappa.value == pytest.approx((11 / 12 - chance) / (1 - chance))


def test_where_kappa_is_not_defined(content: dict) -> None:
    one_category = relabelled(content, **{f"n{number}": 6 for number in range(1, 13)})
    record = agreement_record(agree([one_category, one_category]))
    assert [record[key] for key in ("same_category", "kappa", "low", "high")] == [1, *[None] * 3]
    # Of two images one has a single category: resamples of it alone have no kappa.
    first = relabelled(content, n1=6).subset({1, 2}, {1, 2, 3, 4})
    found = agree([first, relabelled(content, n1=6, n3=6).subset({1, 2}, {1, 2, 3, 4})])
    assert np.isfinite(found.kappa).all()
    assert found.kappa.low <= found.kappa.value <= found.kappa.high
    only = first.subset({2}, {3, 4})
    found = agree([only, only])
    assert found.kappa.value == 1 and np.isnan(found.kappa[1:]).all()


def test_regions_are_matched_by_overlap_not_by_number(content: dict) -> None:
    shuffled = copy.deepcopy(content)
    shuffled["annotations"].reverse()
    for number, entry in enumerate(shuffled["annotations"], start=100):
        entry["id"] = number
        entry["segmentation"] = [[value + 3 for value in entry["segmentation"][0]]]
    found = agree([MaskSet.from_dict(content), MaskSet.from_dict(shuffled)])
    assert found.same == 1
    assert found.matched["iou"].between(0.7, 0.8).all()
    with pytest.raises(InputError, match="no region of the mask files overlaps"):
        agree([MaskSet.from_dict(content), MaskSet.from_dict(shuffled)], min_iou=0.95)


def test_what_cannot_be_compared(content: dict) -> None:
    masks = MaskSet.from_dict(content)
    with pytest.raises(InputError, match="two mask files or more"):
        agree([masks])
    with pytest.raises(InputError, match="IoU 0"):
        agree([masks, masks], min_iou=0)
    other = copy.deepcopy(content)
    for image in other["images"]:
        image["file_name"] = "x" + image["file_name"]
    with pytest.raises(InputError, match="share no image"):
        agree([masks, MaskSet.from_dict(other)])


def test_the_shipped_second_pass_agrees_as_its_card_says(command) -> None:
    done = command("annotate", "agree", "osie-sr", "osie-sr-second", "--json")
    found = json.loads(done.stdout)
    assert found["matched"] == 513
    assert found["same_category"] == pytest.approx(0.949, abs=0.0005)
    assert found["kappa"] == pytest.approx(0.94, abs=0.005)


def test_majority(content: dict) -> None:
    files = [
        relabelled(content, n2=5, n4=5, n6=None),
        relabelled(content, n2=6, n4=1, n6=None),
        relabelled(content, n4=2),
    ]
    merged = merge(files)
    regions = {(one.segmentation[0][0], one.image_id): one for one in merged.masks.annotations}
    two, four = regions[50.0, 1], regions[50.0, 2]
    assert two.category_id == 6
    assert two.votes == {"text": 2, "object": 1}
    assert four.category_id == 5  # three opinions: the first file's, unsure
    assert four.unsure
    assert (merged.disputed, merged.dropped) == (2, 1)
    assert len(merged.masks.annotations) == 11


def test_the_first_file_is_preferred(content: dict) -> None:
    merged = merge([relabelled(content, n2=5, n6=None), relabelled(content, n4=1)], "first")
    assert len(merged.masks.annotations) == 12
    found = sorted(region.category_id for region in merged.masks.annotations)
    assert found == sorted([1, 2] * 3 + [6] * 5 + [5])
    with pytest.raises(InputError, match="rule 'best'"):
        merge([MaskSet.from_dict(content)] * 2, "best")  # type: ignore[arg-type]


def test_merging_a_file_with_itself_changes_no_label(content: dict) -> None:
    masks = MaskSet.from_dict(content)
    merged = merge([masks, masks, masks]).masks
    assert [one.segmentation for one in merged.annotations] == [
        one.segmentation for one in masks.annotations
    ]
    assert [one.category_id for one in merged.annotations] == [
        one.category_id for one in masks.annotations
    ]


def test_split_by_category(content: dict) -> None:
    parts = split_by_category(MaskSet.from_dict(content))
    assert {name: len(part.annotations) for name, part in parts.items()} == {
        "person head": 3,
        "person part": 3,
        "text": 6,
    }
    assert {image.id for image in parts["person head"].images} == {2, 4, 6}
    assert set(parts["person head"].fixations.image_id) == {2, 4, 6}


def test_a_stratified_split_loses_and_doubles_nothing() -> None:
    masks = MaskSet.read(mask_path("osie-sr"))
    parts = split_by_image(masks, {"train": 8, "test": 2}, seed=1)
    ids = [region.id for part in parts.values() for region in part.annotations]
    assert sorted(ids) == sorted(region.id for region in masks.annotations)
    images = [image.id for part in parts.values() for image in part.images]
    assert sorted(images) == [image.id for image in masks.images]
    assert len(parts["test"].images) == pytest.approx(140, abs=7)
    for category in masks.categories:
        total = sum(one.category_id == category.id for one in masks.annotations)
        test = sum(one.category_id == category.id for one in parts["test"].annotations)
        assert test == pytest.approx(0.2 * total, abs=max(2, 0.03 * total)), category.name
    again = split_by_image(masks, {"train": 8, "test": 2}, seed=1)
    assert again["test"] == parts["test"]


def test_a_split_that_cannot_be() -> None:
    masks = MaskSet.read(mask_path("osie-sr-second"))
    for shares in ({"a": 1.0}, {"a": 1.0, "b": 0.0}):
        with pytest.raises(InputError, match="two parts or more"):
            split_by_image(masks, shares)
    few = masks.subset({masks.images[0].id}, set())
    with pytest.raises(InputError, match="1 images cannot be split into 2 parts"):
        split_by_image(few, {"a": 1, "b": 1})


def test_counts_by_hand(content: dict, tmp_path: Path) -> None:
    masks = relabelled(content, n2=5)
    table = statistics(masks, masks.fixations).set_index("category")
    names = ("person head", "person part", "animal head", "animal part", "object", "text")
    assert table["regions"].to_dict() == dict(zip(names, (3, 3, 0, 0, 1, 5), strict=True))
    assert table.loc["text", "images"] == 5
    assert table.loc["text", "area_share"] == pytest.approx(40 * 50 / (96 * 72), rel=0.01)
    on_first = masks.fixations.of(1)
    inside = ((on_first.x >= 50) & (on_first.x < 90) & (on_first.y >= 10) & (on_first.y < 60)).sum()
    assert table.loc["object", "fixations"] == inside
    without = statistics(masks, None)
    assert without["fixations"].isna().all()
    for suffix in ("png", "pdf", "svg"):
        draw(without, tmp_path / f"a.{suffix}", "title")
        assert (tmp_path / f"a.{suffix}").stat().st_size > 2000
    with pytest.raises(InputError, match=r"expected a \.png"):
        draw(without, tmp_path / "a.doc", "title")


def test_the_commands(small_world: Path, tmp_path: Path, command) -> None:
    masks = small_world / "masks.json"
    merged = tmp_path / "merged.json"
    assert "text" in command("annotate", "stats", masks).stdout
    assert "0 of them disputed" in command("annotate", "merge", masks, masks, "-o", merged).stderr
    assert "kappa: 1.00" in command("annotate", "agree", masks, merged).stdout
    command("annotate", "split", masks, "-o", tmp_path / "parts", "--parts", "a=1,b=1")
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == [
        "masks-a.json",
        "masks-b.json",
    ]
    for wrong, says in (
        ("a", "expected NAME=SHARE"),
        ("a=x,b=1", "expected NAME=SHARE"),
        ("../a=1,b=1", "'../a' cannot be part of a file name"),
    ):
        done = command("annotate", "split", masks, "-o", tmp_path / "no", "--parts", wrong, check=2)
        assert says in done.stderr
    assert not (tmp_path / "no").exists()


def test_merging_keeps_categories_by_name(content: dict) -> None:
    """A later file's ids may mean other categories, and only it may know ``unlabelled``."""
    second = copy.deepcopy(content)
    second["categories"] = [
        {"id": 1, "name": "unlabelled"},
        {"id": 2, "name": "text"},
        *({"id": 10 + k, "name": entry["name"]} for k, entry in enumerate(content["categories"])),
    ]
    del second["categories"][7]  # its "text" is 2
    for entry in second["annotations"]:
        entry["category_id"] = 2 if entry["category_id"] == 6 else 9 + entry["category_id"]
    second["annotations"][0]["category_id"] = 1
    first = relabelled(content, n1=None, n2=None)
    merged = merge([first, MaskSet.from_dict(second)]).masks
    names = merged.category_of()
    on_first = [names[one.category_id] for one in merged.annotations if one.image_id == 1]
    assert on_first == ["unlabelled", "text"]
    assert merged.category_names() == [entry["name"] for entry in content["categories"]]
    assert 13 in names  # the first file has no "unlabelled": it gets its usual id


def test_merging_the_shipped_labels_with_unlabelled_regions(content: dict) -> None:
    shipped = MaskSet.read(mask_path("osie-sr"))
    few = shipped.subset({1001, 1002}, {region.id for region in shipped.annotations})
    later = few.to_dict()
    later["categories"].append({"id": 99, "name": "unlabelled"})
    later["annotations"][0]["category_id"] = 99
    gone = few.to_dict()
    del gone["annotations"][0]
    merged = merge([MaskSet.from_dict(gone), MaskSet.from_dict(later)]).masks
    names = [merged.category_of()[region.category_id] for region in merged.annotations]
    assert names.count("unlabelled") == 1


def test_regions_that_only_a_later_file_has_are_disputed(content: dict) -> None:
    files = [relabelled(content, n2=None, n5=None), relabelled(content, n5=None), content]
    files[2] = relabelled(content, n2=5)
    found = agree(files).disagreements
    names = found.category_of()
    extra = {
        (one.image_id, names[one.category_id], *(one.disagreement or []))
        for one in found.annotations
        if one.id > 12
    }
    assert extra == {(1, "text", None, "object"), (3, "person part", None, None)}
    assert {one.id for one in found.annotations} == {13, 14}


def test_merging_refuses_images_of_other_sizes(content: dict) -> None:
    other = copy.deepcopy(content)
    other["images"][0]["width"] = 97
    with pytest.raises(InputError, match=r"1\.png has different sizes"):
        merge([MaskSet.from_dict(content), MaskSet.from_dict(other)])


def test_the_figure_shows_nothing_where_nothing_is_known(content: dict) -> None:
    table = statistics(MaskSet.from_dict(content), None)
    panels = figure_of(table, "title").axes
    texts = [[one.get_text() for one in panel.texts] for panel in panels]
    assert texts[0][:3] == ["3", "3", "0"]
    assert set(texts[1]) == {"–"}
    assert panels[1].get_xlabel() == "fixations inside, % of all (not known)"
    assert texts[2][2] == "–"  # no region of this category, and so no area

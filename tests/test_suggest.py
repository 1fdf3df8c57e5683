"""Suggested categories: votes by hand, a real network on real images, the command."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from published import cat2000

from salprobe.datasets.categories import UNLABELLED_ID
from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.probe.analysis.suggest import SHARPNESS, Neighbours, suggest
from salprobe.probe.networks.load import Backbone


def test_votes_by_hand() -> None:
    features = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    votes = Neighbours(features, ["text", "food", "text"], ["a", "b", "c"])
    categories, confidences = votes.vote(np.array([[5.0, 0.0], [0.0, 1.0]]), ["x", "x"])
    assert categories == ["text", "food"]
    near, middle, far = np.exp(SHARPNESS * np.array([1, np.sqrt(0.5), 0]))
    total = near + middle + far
    assert confidences == pytest.approx([(near + middle) / total, near / total])
    # a region's own image has no vote
    categories, _ = votes.vote(np.array([[0.0, 1.0]]), ["b"])
    assert categories == ["text"]


def test_left_out_by_hand() -> None:
    # Two images; each text is like the other image's text, the food is like nothing.
    features = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
    votes = Neighbours(features, ["text", "text", "food"], ["a", "b", "b"])
    accuracy, commonest = votes.left_out()
    assert (accuracy, commonest) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    with pytest.raises(InputError, match="expected labelled regions on other images"):
        Neighbours(features[:1], ["text"], ["a"]).vote(features[1:2], ["a"])


def unlabelled(masks: MaskSet, ids: set[int]) -> MaskSet:
    content = masks.to_dict()
    content["categories"] = [
        one for one in content["categories"] if one["name"] != "unlabelled"
    ] + [{"id": UNLABELLED_ID, "name": "unlabelled"}]
    for entry in content["annotations"]:
        if entry["id"] in ids:
            entry["category_id"] = UNLABELLED_ID
    return MaskSet.from_dict(content)


def test_the_command(command, small_world: Path, tmp_path: Path) -> None:
    masks = unlabelled(MaskSet.read(small_world / "masks.json"), {1, 2})
    masks.write(tmp_path / "open.json")
    base = ("probe", "suggest", tmp_path / "open.json", "-o", tmp_path / "out.json")
    options = ("--root", small_world, "--model", "gabor", "--input-size", "64")
    done = command(*base, *options)
    assert "2 suggestions from 10 labelled regions" in done.stderr
    found = MaskSet.read(tmp_path / "out.json")
    suggested = [one.suggestion for one in found.annotations]
    assert all(suggested[:2]) and not any(suggested[2:])
    assert suggested[0].category in ("person head", "person part", "text")
    assert 0 < suggested[0].confidence <= 1
    assert found.annotations[0].category_id == UNLABELLED_ID


def test_what_cannot_be_suggested(small_world: Path) -> None:
    masks = MaskSet.read(small_world / "masks.json")
    with pytest.raises(InputError, match="every region has a category already"):
        suggest(masks, small_world, model="gabor")
    everything = unlabelled(masks, {one.id for one in masks.annotations})
    with pytest.raises(
        InputError,
        match="no labelled region to learn from; name a labelled mask file with --labels",
    ):
        suggest(everything, small_world, model="gabor")
    content = masks.to_dict()
    content["categories"][0]["name"] = "face"
    content["annotations"] = [
        {**one, "category_id": 1} if one["id"] == 1 else one for one in content["annotations"]
    ]
    with pytest.raises(InputError, match="category 'face' is not among those of the mask file"):
        suggest(everything, small_world, MaskSet.from_dict(content), model="gabor")
    options = {"model": Backbone("gabor", input_size=(64, 64))}
    found = [suggest(everything, small_world, masks, **options) for _ in range(2)]
    assert found[0].count == len(everything.annotations)
    assert found[0].masks.to_dict() == found[1].masks.to_dict()


def test_images_are_twice_as_large_as_the_network_was_trained_on(small_world: Path) -> None:
    masks = unlabelled(MaskSet.read(small_world / "masks.json"), {1, 2, 7})

    def votes(input_size: tuple[int, int] | None = None) -> list:
        backbone = Backbone("nets:colours", input_size=input_size)
        made = suggest(masks, small_world, model=backbone, device="cpu").masks
        return [one.suggestion for one in made.annotations if one.suggestion]

    found = votes()
    assert len(found) == 3
    assert found == votes(input_size=(448, 448))  # that of a network of one's own is 224×224
    assert found != votes(input_size=(224, 224))


@pytest.mark.slow
def test_better_than_the_commonest_by_far(osie_root, osie_labels, squeezenet_weights) -> None:
    masks = MaskSet.read(osie_labels)
    some = {image.id for image in masks.images[:150]}
    masks = masks.subset(some, {one.id for one in masks.annotations})
    masks = unlabelled(masks, {masks.annotations[0].id})
    found = suggest(
        masks, osie_root, model=Backbone("squeezenet1_0", str(squeezenet_weights)), device="cpu"
    )
    assert found.accuracy > found.commonest + 0.15
    assert found.count == 1


def test_votes_come_from_other_pictures_whatever_their_names(
    small_world: Path, tmp_path: Path
) -> None:
    """Another data set's 1.png votes; a copy of the picture itself under another name does not."""
    theirs = MaskSet.read(small_world / "masks.json")
    image, other = theirs.images[:2]
    only = theirs.subset({image.id}, {one.id for one in theirs.annotations})
    gabor = Backbone("gabor", input_size=(64, 64))
    content = unlabelled(only, {one.id for one in only.annotations}).to_dict()
    content["images"][0]["file_name"] = "copy.png"
    copied = MaskSet.from_dict(content)
    shutil.copy(small_world / image.file_name, tmp_path / "copy.png")
    with pytest.raises(InputError, match="expected labelled regions on other images"):
        suggest(copied, tmp_path, only, small_world, model=gabor)

    content["images"][0]["file_name"] = image.file_name
    shutil.copy(small_world / other.file_name, tmp_path / image.file_name)
    found = suggest(MaskSet.from_dict(content), tmp_path, only, small_world, model=gabor)
    assert found.count == len(only.annotations)


def test_categories_are_carried_to_another_data_set(
    command, small_world: Path, tmp_path: Path
) -> None:
    cat2000(root := tmp_path / "cat2000")
    few = ("--min-subjects", 1, "--min-fixations", 3)
    regions = tmp_path / "cat2000.json"
    command("annotate", "cluster", "cat2000", "--root", root, *few, "-o", regions)
    labels = (
        "--labels",
        small_world / "masks.json",
        "--labels-root",
        small_world,
        "--model",
        "gabor",
        "--input-size",
        "64",
    )
    done = command("probe", "suggest", regions, "--root", root, *labels, "-o", tmp_path / "s.json")
    suggested = MaskSet.read(tmp_path / "s.json")
    assert suggested.info.salprobe.dataset == "cat2000" and len(suggested.annotations) == 3
    assert f"{len(suggested.annotations)} suggestions from 12 labelled regions" in done.stderr
    for region in suggested.annotations:
        assert region.category_id == UNLABELLED_ID and region.suggestion is not None
        assert region.suggestion.category in ("person head", "person part", "text")

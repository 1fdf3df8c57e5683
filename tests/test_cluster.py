"""Clusters, outlines and carried-over labels."""

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from counting import Counting
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from sklearn.cluster import MeanShift

from salprobe.annotate.labels.transfer import transfer_labels
from salprobe.annotate.regions.cluster import Clustering, cluster
from salprobe.annotate.regions.methods import NOISE, dbscan, hdbscan, mean_shift
from salprobe.datasets.errors import InputError
from salprobe.datasets.fixations import Fixations
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.sources.folder import load_folder
from salprobe.datasets.sources.osie import load_osie
from salprobe.datasets.sources.sample import sample_masks, write_sample
from salprobe.datasets.stimuli import Dataset, Stimuli, Stimulus


def dataset_of(points: np.ndarray, px_per_degree: float = 20.0, simulated: bool = False) -> Dataset:
    """One 800×600 stimulus; subjects 0 to 4 in turn."""
    n = len(points)
    image = Stimulus(id=1, file_name="a.png", width=800, height=600)
    fixations = Fixations(
        np.ones(n, int), np.arange(n) % 5, points[:, 0], points[:, 1], np.full(n, np.nan)
    )
    return Dataset("toy", Stimuli(Path(), (image,)), fixations, px_per_degree, simulated)


def blob(x: int, y: int, n: int = 20, seed: int = 0) -> np.ndarray:
    around = np.random.default_rng(seed).normal(0, 8, (n, 2)).round().astype(int)
    return np.clip(around + np.array([x, y]), 0, [799, 599])


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 60), st.integers(0, 2**16), st.sampled_from([0.5, 1.0, 2.0, 5.0]), st.booleans()
)
def test_mean_shift_labels_are_scikit_learns(
    n: int, seed: int, bandwidth: float, whole: bool
) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 10, (n, 2))
    if whole:  # coinciding points, as pixels do
        points = points.round(1)
    theirs = MeanShift(bandwidth=bandwidth * 1.0001).fit(points).labels_
    np.testing.assert_array_equal(mean_shift(points, bandwidth * 1.0001), theirs)


def test_no_points_no_clusters() -> None:
    nothing = np.empty((0, 2))
    for labels in (mean_shift(nothing, 1), hdbscan(nothing, 8), dbscan(nothing, 1, 5)):
        assert labels.shape == (0,)
    assert hdbscan(np.zeros((3, 2)), 8).tolist() == [NOISE] * 3


@pytest.mark.parametrize("method", ["mean-shift", "hdbscan", "dbscan"])
def test_two_blobs_are_two_regions(method: str) -> None:
    points = np.concatenate([blob(200, 200), blob(600, 400, n=15, seed=1)])
    masks = cluster(dataset_of(points), Clustering(method=method))
    assert len(masks.annotations) == 2
    found = [shapely.Polygon(np.reshape(a.segmentation[0], (-1, 2))) for a in masks.annotations]
    assert sorted(polygon.contains(shapely.Point(200, 200)) for polygon in found) == [False, True]
    for annotation, polygon in zip(masks.annotations, found, strict=True):
        assert annotation.area == pytest.approx(polygon.area, abs=0.01)
        left, top, right, bottom = polygon.bounds
        assert annotation.bbox == pytest.approx([left, top, right - left, bottom - top], abs=0.01)
        assert annotation.category_id == 13
        assert annotation.source == "cluster"
        assert annotation.n_subjects == 5


def test_a_straggler_does_not_inflate_the_outline() -> None:
    near = blob(300, 300)
    far = np.array([[335, 300]])  # 1.75 degrees away: in reach of the kernel, alone
    plain, with_straggler = (
        cluster(dataset_of(points)).annotations[0] for points in (near, np.concatenate([near, far]))
    )
    assert with_straggler.area == plain.area
    assert with_straggler.n_fixations == plain.n_fixations


def test_few_fixations_or_few_subjects_are_no_region() -> None:
    assert cluster(dataset_of(blob(300, 300, n=7))).annotations == []
    one_subject = dataset_of(blob(300, 300))
    object.__setattr__(one_subject.fixations, "subject", np.zeros(20, dtype=int))
    assert cluster(one_subject).annotations == []


def test_outlines_stay_inside_the_image() -> None:
    masks = cluster(dataset_of(np.concatenate([blob(0, 0), blob(799, 599)])))
    assert len(masks.annotations) == 2
    for annotation in masks.annotations:
        points = np.reshape(annotation.segmentation[0], (-1, 2))
        assert (points >= 0).all() and (points <= [800, 600]).all()


def test_values_out_of_range_are_named() -> None:
    for key, value in (("bandwidth", 0), ("margin", -1), ("min_fixations", 2), ("method", "k")):
        with pytest.raises(InputError, match=key.replace("_", " ")):
            Clustering(**{key: value})


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    write_sample(tmp_path)
    files = []
    for name in ("a.json", "b.json"):
        dataset = load_folder(tmp_path)
        counting = Counting()
        cluster(dataset, progress=counting).write(tmp_path / name)
        assert (counting.tasks, counting.steps) == ([("clustering", 8, 0)], [8])
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]
    assert json.loads(files[0])["info"]["salprobe"]["simulated"] is True


def test_the_sample_gets_its_labels(tmp_path: Path) -> None:
    write_sample(tmp_path)
    masks = cluster(load_folder(tmp_path))
    labelled = transfer_labels(masks, sample_masks(), "masks.json")
    names = labelled.category_of()
    found = {names[a.category_id] for a in labelled.annotations if a.label_source == "masks.json"}
    assert found >= {"person head", "animal head", "text", "vehicle", "plant", "drink", "symbol"}
    kept = [a.segmentation for a in labelled.annotations]
    assert kept == [a.segmentation for a in masks.annotations]


def test_labels_of_other_images_are_refused() -> None:
    masks = cluster(dataset_of(blob(300, 300)))
    with pytest.raises(InputError, match="labels none of these images"):
        transfer_labels(masks, sample_masks(), "sample")


def test_a_label_needs_half_of_the_region() -> None:
    masks = cluster(dataset_of(blob(300, 300)))
    content = masks.to_dict()
    content["annotations"][0] |= {"category_id": 6}
    for right, expected in ((301.0, 6), (290.0, 13)):
        content["annotations"][0]["segmentation"] = [
            [0.0, 0.0, right, 0.0, right, 600.0, 0.0, 600.0]
        ]
        labelled = transfer_labels(masks, MaskSet.from_dict(content), "other")
        assert labelled.annotations[0].category_id == expected, right


@pytest.mark.slow
def test_all_of_osie_as_scikit_learn_does_it(osie_root: Path) -> None:
    dataset = load_osie(osie_root)
    for stimulus in dataset.stimuli[::7]:
        fixations = dataset.fixations.of(stimulus.id)
        points = np.stack([fixations.x, fixations.y], axis=1) / dataset.px_per_degree
        theirs = MeanShift(bandwidth=2.0).fit(points).labels_
        np.testing.assert_array_equal(mean_shift(points, 2.0), theirs, str(stimulus.id))


def test_osie_has_four_or_five_regions_an_image(osie_root: Path, tmp_path: Path, command) -> None:
    output = tmp_path / "regions.json"
    done = command("annotate", "cluster", "osie", "--root", osie_root, "-o", output)
    assert "98321 fixations" in done.stderr
    coco = COCO(str(output))
    assert len(coco.imgs) == 700
    assert 4 <= len(coco.anns) / 700 <= 5
    assert min(a["n_fixations"] for a in coco.anns.values()) >= 8
    assert min(a["n_subjects"] for a in coco.anns.values()) >= 4

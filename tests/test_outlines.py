"""Outlines under review: moved, grown, simplified, drawn and found, each by hand or by pixels."""

from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from salprobe.annotate.regions.cluster import Clustering, regions_of
from salprobe.annotate.review import outlining
from salprobe.annotate.review.editing import Editor
from salprobe.annotate.review.journal import Review
from salprobe.datasets.errors import InputError
from salprobe.datasets.fixations import Fixations
from salprobe.datasets.masks.annotation import Annotation
from salprobe.datasets.masks.mask_set import MaskSet, new_mask_set
from salprobe.datasets.masks.outlines import outline_of_mask
from salprobe.datasets.masks.regions import mask_of
from salprobe.datasets.stimuli import Stimulus
from salprobe.tui.outlines.draft import Draft

IMAGE = Stimulus(id=1, file_name="1.png", width=80, height=60)


def gaze(seed: int, n: int = 60) -> Fixations:
    """Return fixations of six subjects around (20, 20) and (60, 40)."""
    rng = np.random.default_rng(seed)
    centre = np.where(np.arange(n)[:, None] % 2, (20, 20), (60, 40))
    x, y = np.clip(rng.normal(centre, 3), 0, (79, 59)).astype(np.int64).T
    subject = np.array([f"s{k // 2 % 6}" for k in range(n)])
    return Fixations(np.ones(n, dtype=np.int64), subject, x, y, np.full(n, np.nan))


def masks(**salprobe: object) -> MaskSet:
    box = {"segmentation": [[10, 10, 30, 10, 30, 20, 10, 20]], "bbox": [10, 10, 20, 10]}
    mask = np.zeros((60, 80), dtype=bool)
    mask[30:50, 40:70] = True
    regions = [
        {"id": 3, "image_id": 1, "category_id": 5, "iscrowd": 0, "area": 200, **box},
        {"id": 7, "image_id": 1, "category_id": 1, **outline_of_mask(mask).to_coco()},
    ]
    return new_mask_set([IMAGE], regions, gaze(0), "test", **{"px_per_degree": 5.0, **salprobe})


def read_back(editor: Editor) -> MaskSet:
    """Return the file as others read it: validated, with every outline on its image."""
    return MaskSet.from_dict(editor.to_dict())


def counted(region: Annotation, fixations: Fixations) -> tuple[int, int]:
    """Count fixations and subjects inside a mask, one by one."""
    mask, subjects, number = mask_of(region, IMAGE), set(), 0
    for x, y, subject in zip(fixations.x, fixations.y, fixations.subject, strict=True):
        if mask[y, x]:
            number += 1
            subjects.add(subject)
    return number, len(subjects)


def test_a_box_is_moved_grown_and_stretched() -> None:
    editor = Editor(masks())
    draft = Draft(editor, IMAGE, box=(10, 10, 30, 20))
    draft.move(5, -4)
    assert draft.bounds == (15, 6, 35, 16)
    draft.grow(2)  # a box stays one
    assert draft.bounds == (13, 4, 37, 18)
    assert draft.told().startswith("24×14 px at 13, 4; 4 corners")
    draft.stretch(-4, 8)
    assert draft.bounds == (13, 4, 33, 26)
    draft.move(100, -100)  # to the image's edge, not over it
    assert draft.bounds == (60, 0, 80, 22)
    editor.do(draft.edit())
    region = read_back(editor).annotations[-1]
    assert (region.id, region.area, region.bbox) == (8, 440, [60, 0, 20, 22])
    assert (region.source, editor.category(region)) == ("review", "unlabelled")
    assert (region.n_fixations, region.n_subjects) == counted(region, editor.masks.fixations)
    for _ in range(4):
        assert draft.undo()
    assert draft.bounds == (10, 10, 30, 20)
    assert not draft.undo()


def test_a_mask_stays_a_mask() -> None:
    editor = Editor(masks())
    draft = Draft(editor, IMAGE, 7)
    draft.move(-40, 100)
    assert draft.bounds == (0, 40, 30, 60)
    draft.grow(-3)  # the image's edge is one of the mask's, too
    assert draft.bounds == (3, 43, 27, 57)
    draft.grow(3)
    draft.simplify()
    assert "a mask" in draft.told()
    edit = draft.edit()
    editor.do(edit)
    region = editor.regions[7]
    assert editor.category(region) == "person head"  # only the outline changes
    assert not isinstance(region.segmentation, list)
    assert region.area == mask_of(region, IMAGE).sum()
    editor.undo()
    assert mask_of(editor.regions[7], IMAGE)[30:50, 40:70].all()


def test_a_mask_grows_by_the_distance_between_centres() -> None:
    mask = np.zeros((60, 80), dtype=bool)
    mask[30, 40] = True
    y, x = np.mgrid[:60, :80]
    expected = (x - 40) ** 2 + (y - 30) ** 2 <= 4**2
    assert (outlining.grown(mask, 4, IMAGE) == expected).all()


def test_simplifying_takes_corners_and_spikes_away() -> None:
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    circle = shapely.Polygon(np.stack([40 + 20 * np.cos(angles), 30 + 20 * np.sin(angles)], axis=1))
    simple = outlining.simplified(circle, 2)
    assert outlining.n_points(circle) == 60
    assert outlining.n_points(simple) < 15
    assert shapely.hausdorff_distance(circle.exterior, simple.exterior) <= 2
    mask = np.zeros((60, 80), dtype=bool)
    mask[20:40, 20:40], mask[30, 40:60] = True, True
    smooth = outlining.simplified(mask, 2)
    assert not smooth[:, 41:].any()
    assert smooth[22:38, 22:38].all()


def test_nothing_is_kept_of_an_outline_that_vanishes() -> None:
    draft = Draft(Editor(masks()), IMAGE, 3)
    with pytest.raises(InputError, match="nothing would be left"):
        draft.grow(-8)
    assert not draft.changed
    with pytest.raises(InputError, match="this is no box"):
        draft.stretch(1, 0)
    with pytest.raises(InputError, match="nothing would be left"):
        Draft(Editor(masks()), IMAGE, box=(90, 70, 99, 80))


def test_regions_are_found_in_a_box_as_cluster_finds_them() -> None:
    editor = Editor(masks(clustering={"min_fixations": 5}))
    draft = Draft(editor, IMAGE, box=(0, 0, 80, 60))
    draft.cluster()
    expected = regions_of(IMAGE, editor.fixations, 5.0, Clustering(min_fixations=5))
    assert len(expected) == 2
    assert draft.told() == "2 regions found"
    with pytest.raises(InputError, match="regions already"):
        draft.grow(1)
    editor.do(draft.edit())
    assert [region.id for region in editor.of(1)] == [3, 7, 8, 9]
    for region, entry in zip(read_back(editor).annotations[2:], expected, strict=True):
        assert region.model_dump(include=entry.keys()) == entry  # also what it counts
    editor.undo()
    assert [region.id for region in editor.of(1)] == [3, 7]
    draft.undo()
    draft.set_box((0, 0, 40, 40))
    draft.cluster()
    (region,) = draft.regions()
    assert region.bbox[0] < 20 < region.bbox[0] + region.bbox[2]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"px_per_degree": None}, "how many pixels a degree"),
        ({"clustering": {"colour": 1}}, "not understood"),
        ({"clustering": {"min_fixations": "many"}}, "not understood"),
        ({"clustering": {"min_fixations": 50}}, "60 fixations, and no cluster of 50 by 4"),
    ],
)
def test_what_cannot_be_found_is_said(keys: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Draft(Editor(masks(**keys)), IMAGE, box=(0, 0, 80, 60)).cluster()


def test_without_fixations_nothing_is_counted() -> None:
    content = masks().to_dict()
    del content["fixations"]
    editor = Editor(MaskSet.from_dict(content))
    draft = Draft(editor, IMAGE, box=(0, 0, 80, 60))
    with pytest.raises(InputError, match="no fixations to cluster"):
        draft.cluster()
    assert "fixations" not in draft.told()
    assert draft.regions()[0].n_fixations is None


steps = st.lists(
    st.one_of(
        st.tuples(st.just("move"), st.integers(-90, 90), st.integers(-90, 90)),
        st.tuples(st.just("grow"), st.sampled_from([-8, -3, -1, 1, 4, 16])),
        st.tuples(st.just("simplify")),
        st.tuples(st.just("stretch"), st.integers(-30, 30), st.integers(-30, 30)),
        st.tuples(st.just("undo")),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.sampled_from([3, 7, None]))
def test_whatever_is_pressed_the_file_stays_valid(keys: list, region: int | None) -> None:
    editor = Editor(masks())
    draft = Draft(editor, IMAGE, region)
    for name, *values in keys:
        try:
            getattr(draft, name)(*values)
        except InputError:
            continue
    left, top, right, bottom = draft.bounds
    assert 0 <= left < right <= 80 and 0 <= top < bottom <= 60
    editor.do(draft.edit())
    (number,) = {one.id for one in editor.regions.values()} - {3, 7} or {region}
    after = next(one for one in read_back(editor).annotations if one.id == number)
    mask = mask_of(after, IMAGE)
    assert (after.n_fixations, after.n_subjects) == counted(after, editor.fixations)
    # A mask's area counts pixels, a polygon's may differ by half a pixel along its edge.
    edge = 0 if not isinstance(after.segmentation, list) else 2 * sum(after.bbox[2:]) + 4
    assert abs(after.area - mask.sum()) <= edge


def test_an_outline_survives_in_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "masks.json"
    masks().write(path)
    review = Review(path)
    draft = Draft(review.editor, IMAGE, 3)
    draft.grow(2)
    review.do(draft.edit())
    again = Review(path)  # as after a crash
    assert again.recovered == 1
    assert again.editor.regions[3].bbox == [8, 8, 24, 14]
    again.save()
    assert MaskSet.read(path).annotations[0].area == 24 * 14

"""Search arrays: one item differs, its mask is exact, the same seed gives the same bytes."""

from pathlib import Path

import numpy as np
import pytest
from counting import Counting
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from salprobe.annotate.popout import shapes
from salprobe.annotate.popout.arrays import TARGET, Arrays, draw, write_arrays
from salprobe.annotate.popout.features import FEATURES
from salprobe.annotate.popout.layout import positions
from salprobe.datasets.masks.annotation import Annotation
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.masks.regions import mask_of
from salprobe.datasets.stimuli import Stimulus

SMALL = {"width": 320, "height": 240, "items": (12,)}


def grid(half: int) -> tuple[np.ndarray, np.ndarray]:
    values = np.arange(-half, half) + 0.5
    return values[None, :] + np.zeros((2 * half, 1)), values[:, None] + np.zeros((1, 2 * half))


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        (shapes.disc(20), np.pi * 400),
        (shapes.box(30, 12), 360),
        (shapes.polygon(3, 20), np.pi * 400),
        (shapes.polygon(6, 20), np.pi * 400),
        (shapes.ring(20, 6), np.pi * (23**2 - 17**2)),
        (shapes.ring(20, 6, 90), 0.75 * np.pi * (23**2 - 17**2)),
        (shapes.arc(40, 6, 90), 40 * 6 + np.pi * 9),
        (shapes.line(-10, 0, 10, 5, 6), np.hypot(20, 5) * 6 + np.pi * 9),
        (shapes.outlined(shapes.disc(20), 5), np.pi * (400 - 225)),
        (shapes.outlined(shapes.disc(20), 50), np.pi * 400),
        (shapes.joined(shapes.box(10, 10), shapes.moved(shapes.box(10, 10), 5, 0)), 150),
    ],
)
def test_shapes_have_their_area_and_true_distances(shape: shapes.Shape, area: float) -> None:
    x, y = grid(40)
    distance = shape(x, y)
    cover = np.clip(0.5 - distance, 0, 1)
    assert cover.sum() == pytest.approx(area, rel=0.02)
    assert (distance < 0).sum() == pytest.approx(area, rel=0.04)
    # a signed distance never changes faster than one moves
    assert np.abs(np.diff(distance, axis=0)).max() <= 1 + 1e-9
    assert np.abs(np.diff(distance, axis=1)).max() <= 1 + 1e-9


def masks_of(drawn, arrays: Arrays) -> list[tuple[int, np.ndarray]]:
    image = Stimulus(id=1, file_name="x.png", width=arrays.width, height=arrays.height)
    found = []
    for number, entry in enumerate(drawn.annotations, start=1):
        region = Annotation.model_validate({"id": number, "image_id": 1, **entry})
        mask = mask_of(region, image)
        assert region.area == mask.sum() > 0
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
        assert region.bbox == box
        found.append((region.category_id, mask))
    return found


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("contrast", [0.2, 1.0])
def test_masks_cover_what_was_painted(name: str, contrast: float) -> None:
    arrays = Arrays(3, (name,), (contrast,), **SMALL)
    for index in range(3):
        drawn = draw(arrays, index)
        found = masks_of(drawn, arrays)
        assert [category for category, _ in found].count(TARGET) == 1
        assert len(found) == 12
        together = np.sum([mask for _, mask in found], axis=0)
        assert together.max() == 1  # no two items overlap
        painted = np.abs(drawn.picture.astype(int) - 128).max(axis=-1) > 1
        if name == "blur":
            assert (painted | (together == 0)).all()
            continue
        # Every painted pixel is in a mask, or beside one (the anti-aliased edge).
        near = Image.fromarray(together.astype(bool))
        from scipy.ndimage import binary_dilation

        grown = binary_dilation(np.asarray(near), iterations=1, structure=np.ones((3, 3)))
        assert not (painted & ~grown).any()
        if name != "shading":  # whose middle is as grey as the background
            assert (painted | (together == 0)).mean() > 0.999


@pytest.mark.parametrize("name", FEATURES)
def test_the_target_differs_from_every_distractor(name: str) -> None:
    """In shape or in colour, by more than a few pixels' worth at the full difference."""
    feature = FEATURES[name]
    difference = feature.make(1.0, np.random.default_rng(0))
    x, y = grid(40)

    def seen(look) -> np.ndarray:
        turn = np.radians(look.turn)
        there = look.shape(51)(
            np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
        )
        soft = max(look.blur * 51, 0.5)
        cover = np.clip(0.5 - there / soft, 0, 1)[..., None]
        colour = np.asarray(look.colour) + (np.clip(-y / 21, -1, 1) * look.shade * 0.4)[..., None]
        return cover * (colour - 0.5)

    target = seen(difference.target)
    for look in difference.distractors:
        assert np.abs(target - seen(look)).sum() > 30


def test_differences_grow_with_the_contrast() -> None:
    for name, feature in FEATURES.items():
        amounts = [feature.make(c, np.random.default_rng(1)).amount for c in (0.2, 0.6, 1.0)]
        steps = np.diff(amounts)
        assert (steps > 0).all() or (name == "shape" and (steps < 0).all()), name


@given(
    st.sampled_from(["grid", "jittered", "random"]),
    st.integers(3, 30),
    st.integers(0, 2**32),
)
def test_items_never_touch(layout, items: int, seed: int) -> None:
    places = positions(layout, items, 300, 400, 40, np.random.default_rng(seed))
    assert places.shape == (items, 2)
    assert (places >= 20 - 1e-9).all() and (places <= np.array([380, 280]) + 1e-9).all()
    apart = np.hypot(*(places[:, None] - places[None, :]).transpose(2, 0, 1))
    assert apart[~np.eye(items, dtype=bool)].min() >= 40 - 1e-9


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    arrays = Arrays(8, catch=2, **SMALL)
    for name in ("a", "b"):
        counting = Counting()
        write_arrays(arrays, tmp_path / name, counting)
        assert (counting.tasks, counting.steps) == ([("drawing", 10, 0)], [10])
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(names) == 11
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    masks = MaskSet.read(tmp_path / "a" / "popout.json")
    about = [image.popout for image in masks.images]
    assert [one and one.target for one in about] == [True] * 8 + [False] * 2
    targets = [one.image_id for one in masks.annotations if one.category_id == TARGET]
    assert targets == list(range(1, 9))
    other = draw(Arrays(8, seed=1, **SMALL), 0).picture
    assert (other != draw(arrays, 0).picture).any()
    # an array is the same however many there are
    assert (draw(Arrays(800, **SMALL), 0).picture == draw(arrays, 0).picture).all()


def test_few_arrays_span_the_range_of_every_feature() -> None:
    arrays = Arrays(width=128, height=96, items=(3,), layouts=("grid",))
    seen: dict[str, set] = {}
    for index in range(arrays.count):
        about = draw(arrays, index).about
        seen.setdefault(about.feature, set()).add(about.contrast)
    assert len(seen) == 19
    assert all({0.2, 1.0} <= found and len(found) >= 4 for found in seen.values())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--items", "0"), "0 items: expected 3 or more"),
        (("--items", "many"), "--items 'many': expected numbers"),
        (("--contrast", "0"), "contrast 0: expected above 0 and at most 1"),
        (("--contrast", "nan"), "contrast nan: expected above 0 and at most 1"),
        (("--items", "5000"), "5000 items of 64 pixels do not fit into 800×600"),
        (("--items", "5000", "--layout", "random"), "5000 items of 64 pixels do not fit"),
        (("--features", "colour"), "no feature 'colour': expected hue, saturation"),
        (("--layout", "circle"), "layout 'circle': expected grid, jittered, random"),
        (("-n", "0"), "0 arrays: expected 1 or more"),
        (("--size", "8x6"), "8×6: expected 64×64"),
    ],
)
def test_bad_input(command, tmp_path: Path, options: tuple, says: str) -> None:
    done = command("annotate", "popout", "-o", tmp_path / "out", *options, check=2)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_command(command, tmp_path: Path) -> None:
    done = command(
        *("annotate", "popout", "-o", tmp_path / "out", "-n", 4, "--features", "hue,size"),
        *("--size", "320x240", "--items", "9", "--sheet", tmp_path / "sheet.png"),
    )
    assert "4 arrays" in done.stderr
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size[0] > 400
    masks = MaskSet.read(tmp_path / "out" / "popout.json")
    assert {image.width for image in masks.images} == {320}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    done = command("annotate", "popout", "-o", tmp_path / "mine", "-n", 1, check=2)
    assert "mine: exists and is not a folder of arrays" in done.stderr
    check = command("annotate", "check", tmp_path / "out" / "popout.json")
    assert "0 errors" in check.stderr

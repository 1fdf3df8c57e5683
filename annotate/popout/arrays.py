"""Drawing search arrays with the exact mask of every item."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image
from pycocotools import mask as coco
from scipy.special import ndtr

from ...datasets.errors import InputError
from ...datasets.files import atomic_folder, atomic_write
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.outlines import Outline
from ...datasets.progress import SILENT, Progress
from ...datasets.stimuli import Popout
from .features import FEATURES, GREY, Look
from .layout import Layout, positions

TARGET, DISTRACTOR = 1, 2
"""Category ids."""

_ITEM = 0.085  # size of an item, as a fraction of the array's shorter side
_ROOM = 1.25  # diameter of an item's space, in sizes, so that items do not touch
_SIZE_JITTER = 0.08


@dataclass(frozen=True)
class Arrays:
    """Which search arrays to make.

    Attributes
    ----------
    count : int
        Number of arrays with a target.
    features : tuple of str
        Used in turn; by default the preattentive ones.
    contrasts : tuple of float
        Strengths of the difference, above 0 and at most 1. Used in turn for each feature, from
        the strongest and the weakest inwards, so that even a few arrays span the range.
    items : tuple of int
        Numbers of items, drawn at random for each array.
    layouts : tuple of Layout
        Drawn at random for each array.
    width, height : int
        Pixels.
    catch : int
        Number of additional arrays without a target.
    seed : int

    Raises
    ------
    InputError
        If a value is out of range or unknown.
    """

    count: int = 80
    features: tuple[str, ...] = tuple(
        name for name, feature in FEATURES.items() if feature.preattentive
    )
    contrasts: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    items: tuple[int, ...] = (16, 24, 35, 48)
    layouts: tuple[Layout, ...] = get_args(Layout)
    width: int = 800
    height: int = 600
    catch: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.features:
            if name not in FEATURES:
                raise InputError(f"no feature {name!r}: expected {', '.join(FEATURES)}")
        for contrast in self.contrasts:
            if not 0 < contrast <= 1:
                raise InputError(f"contrast {contrast:g}: expected above 0 and at most 1")
        for items in self.items:
            if items < 3:
                raise InputError(f"{items} items: expected 3 or more, so that one can stand out")
        for layout in self.layouts:
            if layout not in get_args(Layout):
                raise InputError(f"layout {layout!r}: expected {', '.join(get_args(Layout))}")
        for name in ("features", "contrasts", "items", "layouts"):
            if not getattr(self, name):
                raise InputError(f"{name}: expected one or more, got none")
        if self.count < 0 or self.catch < 0 or self.count + self.catch < 1:
            raise InputError(f"{self.count + self.catch} arrays: expected 1 or more")
        if min(self.width, self.height) < 64 or self.width * self.height > 2**26:
            raise InputError(f"{self.width}×{self.height}: expected 64×64 to 67 million pixels")


@dataclass(frozen=True, eq=False)
class Drawn:
    """A search array.

    Attributes
    ----------
    picture : uint8 array, shape (height, width, 3)
    annotations : list of dict
        COCO annotations without ids, the target first.
    about : Popout
    """

    picture: np.ndarray
    annotations: list[dict]
    about: Popout


def draw(arrays: Arrays, index: int) -> Drawn:
    """Draw an array, which depends only on ``arrays`` and its index.

    Raises
    ------
    InputError
        If the items do not fit.
    """
    rng = np.random.default_rng([arrays.seed, index])
    catch = index >= arrays.count
    place = index - arrays.count if catch else index
    feature = FEATURES[arrays.features[place % len(arrays.features)]]
    contrast = _inwards(arrays.contrasts)[place // len(arrays.features) % len(arrays.contrasts)]
    items, layout = int(rng.choice(arrays.items)), arrays.layouts[rng.integers(len(arrays.layouts))]
    size = _ITEM * min(arrays.width, arrays.height)
    difference = feature.make(contrast, rng)
    centres = positions(layout, items, arrays.height, arrays.width, _ROOM * size, rng)
    canvas = np.empty((arrays.height, arrays.width, 3), dtype=np.float32)
    canvas[:] = GREY
    annotations = []
    for number, centre in enumerate(centres):
        is_target = number == 0 and not catch
        kinds = difference.distractors
        look = difference.target if is_target else kinds[number % len(kinds)]
        # Size must not reveal the target of another feature; size features need exact sizes.
        jitter = (
            1.0 if feature.name in ("size", "length", "width") else 1 - rng.uniform(0, _SIZE_JITTER)
        )
        if look.spun:
            look = replace(look, turn=look.turn + 90 * int(rng.integers(4)))
        mask, left, top = _paint(canvas, look, centre, size * jitter)
        annotations.append(
            {
                "category_id": TARGET if is_target else DISTRACTOR,
                **_outline(mask, left, top, arrays.height, arrays.width).to_coco(),
                "iscrowd": 0,
                "source": "popout",
                "centre": [round(float(value), 3) for value in centre],
            }
        )
    about = Popout(
        feature=feature.name,
        group=feature.group,
        preattentive=feature.preattentive,
        target=not catch,
        contrast=contrast,
        difference=round(difference.amount, 4),
        unit=difference.unit,
        items=items,
        layout=layout,
        item_size=round(size, 3),
        size_jitter=_SIZE_JITTER,
        seed=[arrays.seed, index],  # type: ignore[call-arg]
    )
    return Drawn((canvas * 255 + 0.5).astype(np.uint8), annotations, about)


def write_arrays(arrays: Arrays, folder: str | Path, progress: Progress = SILENT) -> MaskSet:
    """Write the arrays as PNG files and ``popout.json`` with their masks.

    The same arrays give the same bytes. A folder of earlier arrays is replaced completely or not
    at all.

    Returns
    -------
    MaskSet

    Raises
    ------
    InputError
        If the folder holds anything else, or the items do not fit.

    Examples
    --------
    >>> import salprobe as sp
    >>> arrays = sp.Arrays(features=("hue",), count=2, catch=0)
    >>> masks = sp.write_arrays(arrays, "popout")
    >>> len(masks.images), masks.category_names()
    (2, ['target', 'distractor'])
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and all(map(_is_ours, folder.iterdir()))):
        raise InputError(f"{folder}: exists and is not a folder of arrays")
    with atomic_folder(folder) as temporary:
        return _write(arrays, temporary, progress)


def _inwards(values: tuple[float, ...]) -> list[float]:
    left = sorted(values)
    return [left.pop(-1 if k % 2 == 0 else 0) for k in range(len(left))]


def _is_ours(path: Path) -> bool:
    return path.name == "popout.json" or bool(re.fullmatch(r"\d{4,}_[a-z-]+\.png", path.name))


def _write(arrays: Arrays, folder: Path, progress: Progress) -> MaskSet:
    count = arrays.count + arrays.catch
    images, annotations = [], []

    def make(index: int) -> tuple[str, Drawn]:
        drawn = draw(arrays, index)
        kind = drawn.about.feature if drawn.about.target else "catch"
        name = f"{index + 1:04d}_{kind}.png"
        with atomic_write(folder / name) as file:
            Image.fromarray(drawn.picture).save(file, format="PNG", compress_level=1)
        return name, drawn

    # NumPy and zlib release the GIL.
    with ThreadPoolExecutor() as pool, progress.task("drawing", count) as advance:
        for index, (name, drawn) in enumerate(pool.map(make, range(count)), start=1):
            size = {"width": arrays.width, "height": arrays.height}
            images.append(
                {"id": index, "file_name": name, **size, "popout": drawn.about.model_dump()}
            )
            for annotation in drawn.annotations:
                number = len(annotations) + 1
                annotations.append({"id": number, "image_id": index, **annotation})
            advance(1)
    masks = MaskSet.from_dict(
        {
            "info": {
                "description": "Search arrays in which one item stands out",
                "salprobe": {"format": 1, "dataset": "popout"},
            },
            "images": images,
            "annotations": annotations,
            "categories": [
                {"id": TARGET, "name": "target"},
                {"id": DISTRACTOR, "name": "distractor"},
            ],
        }
    )
    masks.write(folder / "popout.json")
    return masks


def _paint(
    canvas: np.ndarray, look: Look, centre: np.ndarray, size: float
) -> tuple[np.ndarray, int, int]:
    """Paint an item; return its mask, bool (h, w), and the mask's left and top."""
    reach = size * _ROOM / 2 + 3 * look.blur * size
    left, top = np.floor(np.maximum(centre - reach, 0)).astype(int)
    right = min(int(np.ceil(centre[0] + reach)), canvas.shape[1])
    bottom = min(int(np.ceil(centre[1] + reach)), canvas.shape[0])
    x = np.arange(left, right)[None, :] + 0.5 - centre[0]
    y = np.arange(top, bottom)[:, None] + 0.5 - centre[1]
    cosine, sine = np.cos(np.radians(look.turn)), np.sin(np.radians(look.turn))
    distance = look.shape(size)(cosine * x + sine * y, cosine * y - sine * x)
    soft = look.blur * size
    cover = ndtr(-distance / soft) if soft else np.clip(0.5 - distance, 0, 1)
    colour = np.broadcast_to(np.asarray(look.colour), (*distance.shape, 3))
    if look.shade:
        light = np.clip(-y / (0.42 * size), -1, 1) * look.shade * 0.42
        colour = colour + light[..., None]
    window = canvas[top:bottom, left:right]
    window += (cover[..., None] * (np.clip(colour, 0, 1) - window)).astype(np.float32)
    return distance < 0, int(left), int(top)


def _outline(mask: np.ndarray, left: int, top: int, height: int, width: int) -> Outline:
    """Return the outline of a mask in a window as an RLE of the image, as COCO: by columns."""
    columns = np.zeros((mask.shape[1], height), dtype=bool)
    columns[:, top : top + mask.shape[0]] = mask.T
    edges = np.flatnonzero(np.diff(columns.ravel().astype(np.int8), prepend=0, append=0))
    starts = edges + left * height
    counts = np.diff(np.concatenate([[0], starts, [width * height]]))
    runs: Any = {"size": [height, width], "counts": counts.tolist()}
    rle: Any = coco.frPyObjects(runs, height, width)
    return Outline(
        segmentation={"size": [height, width], "counts": rle["counts"].decode("ascii")},
        bbox=[float(value) for value in coco.toBbox(rle)],
        area=float(mask.sum()),
    )

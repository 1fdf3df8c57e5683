"""Stimuli: the images, where they lie and how they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import AfterValidator, Field, FiniteFloat, NonNegativeInt, PositiveInt

from .errors import InputError
from .files import check_relative
from .fixations import Fixations
from .kept import Kept
from .notebook import html_table

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
MOST_PIXELS = 178_956_970
"""Of an image: Pillow refuses larger ones, and a mask of one would take as many bytes."""

_ORIENTATION = 0x0112  # EXIF tag; 5 to 8 swap width and height


class Popout(Kept):
    """What is known of a search array: how its target differs from the distractors.

    Attributes
    ----------
    feature, group : str
        What the target differs in, and the group of features that this belongs to.
    preattentive : bool, optional
        Whether people find such a target at once.
    target : bool
        False for a catch array.
    contrast : float, optional
        How strong the difference is, above 0 to 1.
    difference : float, optional
        The same in ``unit``.
    items : int, optional
    layout : str
    item_size : float, optional
        Pixels.
    size_jitter : float, optional
        Share of the size by which items are smaller, at most.
    """

    feature: str = ""
    group: str = ""
    preattentive: bool | None = None
    target: bool = True
    contrast: FiniteFloat | None = None
    difference: FiniteFloat | None = None
    unit: str = ""
    items: PositiveInt | None = None
    layout: str = ""
    item_size: Annotated[FiniteFloat, Field(gt=0)] | None = None
    size_jitter: FiniteFloat | None = None


class LastPull(Kept):
    """What an image was on both sides when Label Studio's annotations were last pulled.

    Attributes
    ----------
    annotations : int
        How many there were.
    remote, local : str, optional
        Hash of the annotations, and of the image's regions.
    """

    annotations: NonNegativeInt = 0
    remote: str | None = None
    local: str | None = None


class Stimulus(Kept):
    """One image; also an entry of ``images`` in a mask file.

    Attributes
    ----------
    id : int
    file_name : str
        Relative to the images' folder.
    width, height : int
        Pixels.
    popout : Popout, optional
    label_studio : LastPull, optional
    """

    id: int
    file_name: Annotated[str, AfterValidator(check_relative)]
    width: PositiveInt
    height: PositiveInt
    popout: Popout | None = None
    label_studio: LastPull | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Pixels: (height, width)."""
        return self.height, self.width


@dataclass(frozen=True)
class Stimuli(Sequence[Stimulus]):
    """Images below one root folder.

    Attributes
    ----------
    root : Path
        File names are relative to it, or to its folder ``stimuli``.
    images : tuple of Stimulus
    """

    root: Path
    images: tuple[Stimulus, ...]

    def __getitem__(self, index):
        return self.images[index]

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def from_folder(cls, folder: Path, names: Sequence[str] | None = None) -> Stimuli:
        """Take every image in a folder (not below it), in the order of their names.

        Their ids are `numbered`.

        Raises
        ------
        InputError
            If the folder holds no image, or one that cannot be opened.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        if names is None:
            found = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
            names = sorted(path.name for path in found if not path.name.startswith("."))
        if not names:
            raise InputError(f"{folder}: no images ({', '.join(IMAGE_SUFFIXES)})")
        images = []
        for number, name in zip(numbered(names), names, strict=True):
            height, width = image_size(folder / name)
            images.append(Stimulus(id=number, file_name=name, width=width, height=height))
        return cls(folder, tuple(images))

    def path(self, stimulus: Stimulus) -> Path:
        """Return where a stimulus lies.

        Raises
        ------
        InputError
            If it is neither below the root nor below its folder ``stimuli``.
        """
        for folder in (self.root, self.root / "stimuli"):
            path = folder / stimulus.file_name
            if path.is_file():
                return path
        raise InputError(
            f"{self.root / stimulus.file_name}: no such image (--root names the images' folder)"
        )

    def read(self, stimulus: Stimulus) -> Image.Image:
        """Return the picture, in RGB, upright.

        Raises
        ------
        InputError
            If it is missing, broken, or not of the size that the stimulus has.
        """
        path = self.path(stimulus)
        picture = read_picture(path)
        if (picture.height, picture.width) != stimulus.size:
            raise InputError(
                f"{path}: expected {stimulus.width}×{stimulus.height} pixels, "
                f"got {picture.width}×{picture.height}"
            )
        return picture


@dataclass(frozen=True)
class Dataset:
    """Stimuli and the fixations on them.

    Attributes
    ----------
    name : str
    stimuli : Stimuli
    fixations : Fixations
        Only on these stimuli, and inside them.
    px_per_degree : float
        Pixels in one degree of visual angle.
    simulated : bool
        Whether the fixations come from a generator, not from people.
    dropped : int
        How many further fixations were left out as invalid.
    """

    name: str
    stimuli: Stimuli
    fixations: Fixations
    px_per_degree: float
    simulated: bool = False
    dropped: int = 0

    def __repr__(self) -> str:
        gaze = "simulated fixations" if self.simulated else "fixations"
        return (
            f"Dataset({self.name}: {len(self.fixations)} {gaze} of {self._n_subjects} subjects "
            f"on {len(self.stimuli)} images)"
        )

    def _repr_html_(self) -> str:
        rows = [
            ("images", len(self.stimuli)),
            ("subjects", self._n_subjects),
            ("fixations", len(self.fixations)),
            ("simulated", "yes" if self.simulated else "no"),
            ("pixels per degree", f"{self.px_per_degree:.4g}"),
            ("dropped fixations", self.dropped),
        ]
        return html_table(f"Dataset {self.name}", (), rows)

    @property
    def _n_subjects(self) -> int:
        return len(np.unique(self.fixations.subject))


def numbered(names: Sequence[str]) -> list[int]:
    """Return ids for images: their names' numbers (``1001.jpg``) if distinct, else from 1 on."""
    stems = [Path(name).stem for name in names]
    if all(stem.isascii() and stem.isdigit() and len(stem) < 16 for stem in stems):
        ids = [int(stem) for stem in stems]
        if len(set(ids)) == len(names) and 0 not in ids:
            return ids
    return list(range(1, len(names) + 1))


def image_size(path: Path) -> tuple[int, int]:
    """Return (height, width) in pixels of the upright image, from its header alone."""
    with _opened(path) as image:
        turned = image.getexif().get(_ORIENTATION, 1) >= 5
        return (image.width, image.height) if turned else (image.height, image.width)


def read_picture(path: Path) -> Image.Image:
    """Decode an image to 8-bit RGB, turned upright as its EXIF orientation says.

    Raises
    ------
    InputError
        If it is missing, truncated, of an unknown kind, or has more pixels than Pillow's limit.
    """
    with _opened(path) as image:
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode.startswith("I;16"):
            return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
        return image.copy() if image.mode == "RGB" else image.convert("RGB")


def read_values(source: Path | BinaryIO, place: str) -> tuple[np.ndarray, int]:
    """Decode an image of labels, not of colours.

    Returns
    -------
    values : int array, shape (height, width)
        A palette's indices; for an RGB image, the places of its colours in the palette of
        Pascal VOC.
    depth : int
        Bits of a value: 1, 8 or more.

    Raises
    ------
    InputError
        If it cannot be read, or has colours that are not in that palette.
    """
    with _opened(source, place) as image:
        image.load()
        if image.mode in ("1", "L", "P") or image.mode.startswith("I"):
            depth = 1 if image.mode == "1" else 16 if image.mode.startswith("I") else 8
            return np.asarray(image).astype(np.int64), depth
        colours = np.asarray(image.convert("RGB")).astype(np.int64)
    code = colours[..., 0] << 16 | colours[..., 1] << 8 | colours[..., 2]
    palette = np.array(voc_palette()).reshape(-1, 3) @ [1 << 16, 1 << 8, 1]
    order = np.argsort(palette)
    found = order[np.searchsorted(palette[order], code).clip(max=255)]
    if (palette[found] != code).any():
        raise InputError(f"{place}: has colours that are not in the palette of Pascal VOC")
    return found, 8


def voc_palette() -> list[int]:
    """Return the 256 colours of Pascal VOC's label images, as r, g, b, r, g, b."""
    colours = []
    for value in range(256):
        bits = [[value >> (3 * k + channel) & 1 for k in range(3)] for channel in range(3)]
        colours += [sum(bit << (7 - k) for k, bit in enumerate(channel)) for channel in bits]
    return colours


@contextmanager
def _opened(source: Path | BinaryIO, place: str = "") -> Iterator[Image.Image]:
    """Open an image; whatever Pillow raises becomes an InputError that names the place."""
    path = place or source
    try:
        with Image.open(source) as image:
            yield image
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such image") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: not an image that can be read") from error
    except Exception as error:  # Pillow's decoders raise nearly anything
        raise InputError(f"{path}: broken image: {error}") from error

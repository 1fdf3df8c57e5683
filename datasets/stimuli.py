"""Stimuli: the images, where they are and how to read them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
)

from .errors import InputError
from .files import check_relative
from .fixations import Fixations
from .texts import html_table, printable

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
MOST_PIXELS = 178_956_970
"""Maximum size of an image: Pillow refuses larger ones, and a mask takes a byte per pixel."""

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
"""What Pillow may open; it knows dozens of others, some of which start programs."""

_ORIENTATION = 0x0112  # EXIF tag; 5 to 8 swap width and height


class Kept(BaseModel):
    """A JSON object whose unknown keys survive reading and writing."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)


class Popout(Kept):
    """Description of a search array: how its target differs from the distractors.

    Attributes
    ----------
    feature, group : str
        What the target differs in, and the group of features it belongs to.
    preattentive : bool, optional
        Whether such a target pops out.
    target : bool
        False for a catch array.
    contrast : float, optional
        Strength of the difference, above 0 and at most 1.
    difference : float, optional
        The difference in ``unit``.
    items : int, optional
    layout : str
    item_size : float, optional
        Pixels.
    size_jitter : float, optional
        Maximum share of the size by which items are smaller.
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
    """State of an image on both sides when Label Studio's annotations were last pulled.

    Attributes
    ----------
    annotations : int
        How many there were on the server.
    remote, local : str, optional
        Hash of the annotations on the server, and of the image's regions.
    """

    annotations: NonNegativeInt = 0
    remote: str | None = None
    local: str | None = None


class Stimulus(Kept):
    """An image; also an entry of ``images`` in a mask file.

    Attributes
    ----------
    id : int
    file_name : str
        Path relative to the images' folder.
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
        """(height, width) in pixels."""
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
        """Return the images directly inside a folder, ordered by name, with ids from `numbered`.

        Parameters
        ----------
        folder : Path
        names : sequence of str, optional
            File names of the images to take; by default all.

        Raises
        ------
        InputError
            If the folder does not exist, holds no image, or an image cannot be opened.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        if names is None:
            paths = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
            names = sorted(path.name for path in paths if not path.name.startswith("."))
        if not names:
            raise InputError(f"{folder}: no images ({', '.join(IMAGE_SUFFIXES)})")
        images = []
        for number, name in zip(numbered(names), names, strict=True):
            height, width = image_size(folder / name)
            try:
                images.append(Stimulus(id=number, file_name=name, width=width, height=height))
            except ValidationError as error:
                message = error.errors()[0]["msg"].removeprefix("Value error, ")
                raise InputError(f"{folder}: {message}; rename the picture") from error
        return cls(folder, tuple(images))

    def path(self, stimulus: Stimulus) -> Path:
        """Return the path of a stimulus.

        Raises
        ------
        InputError
            If it is neither below the root nor below its folder ``stimuli``.
        """
        path = self.find(stimulus)
        if path is None:
            raise InputError(
                f"{self.root / stimulus.file_name}: no such image (--root names the images' folder)"
            )
        return path

    def find(self, stimulus: Stimulus) -> Path | None:
        """Return the path of a stimulus, or None if its file is missing."""
        for folder in (self.root, self.root / "stimuli"):
            path = folder / stimulus.file_name
            if path.is_file():
                return path
        return None

    def read(self, stimulus: Stimulus) -> Image.Image:
        """Return the image, upright and in RGB.

        Raises
        ------
        InputError
            If it is missing, broken, or does not have the size of the stimulus.
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
        On these stimuli only, and inside them.
    px_per_degree : float
        Pixels in one degree of visual angle.
    simulated : bool
        Whether the fixations come from a generator, not from people.
    dropped : int
        Number of invalid fixations that were left out.
    """

    name: str
    stimuli: Stimuli
    fixations: Fixations
    px_per_degree: float
    simulated: bool = False
    dropped: int = 0

    def __repr__(self) -> str:
        gaze = "simulated fixations" if self.simulated else "fixations"
        name = printable(self.name)
        return (
            f"Dataset({name}: {len(self.fixations)} {gaze} of {self._n_subjects} subjects "
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
    """Return image ids: the numbers in their names (``1001.jpg``) if distinct, else from 1 on."""
    stems = [Path(name).stem for name in names]
    if all(stem.isascii() and stem.isdigit() and len(stem) < 16 for stem in stems):
        ids = [int(stem) for stem in stems]
        if len(set(ids)) == len(names) and 0 not in ids:
            return ids
    return list(range(1, len(names) + 1))


def image_size(path: Path) -> tuple[int, int]:
    """Return (height, width) in pixels of the upright image, from its header alone.

    Raises
    ------
    InputError
        If it is missing or not an image.
    """
    with _opened(path) as image:
        turned = image.getexif().get(_ORIENTATION, 1) >= 5
        return (image.width, image.height) if turned else (image.height, image.width)


def read_picture(path: Path) -> Image.Image:
    """Decode an image to 8-bit RGB, rotated upright according to its EXIF orientation.

    Raises
    ------
    InputError
        If it is missing, truncated, of an unknown type, or larger than Pillow allows.
    """
    with _opened(path) as image:
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode.startswith("I;16"):
            return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
        return image.copy() if image.mode == "RGB" else image.convert("RGB")


def read_values(source: Path | BinaryIO, place: str) -> tuple[np.ndarray, int]:
    """Decode an image whose pixels are labels rather than colours.

    Parameters
    ----------
    source : Path or binary file
    place : str
        Begins error messages.

    Returns
    -------
    values : int array, shape (height, width)
        Palette indices; for an RGB image, the indices of its colours in Pascal VOC's palette.
    depth : int
        Bits per value: 1, 8 or 16.

    Raises
    ------
    InputError
        If it cannot be read, or has colours outside that palette.
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
    values = order[np.searchsorted(palette[order], code).clip(max=255)]
    if (palette[values] != code).any():
        raise InputError(f"{place}: has colours outside the palette of Pascal VOC")
    return values, 8


def voc_palette() -> list[int]:
    """Return Pascal VOC's 256 label colours as one flat list (r, g, b, r, g, b)."""
    colours = []
    for value in range(256):
        bits = [[value >> (3 * k + channel) & 1 for k in range(3)] for channel in range(3)]
        colours += [sum(bit << (7 - k) for k, bit in enumerate(channel)) for channel in bits]
    return colours


@contextmanager
def _opened(source: Path | BinaryIO, place: str = "") -> Iterator[Image.Image]:
    """Open an image; any exception from Pillow becomes an InputError that names the place."""
    path = place or source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MOST_PIXELS decides
            opened = Image.open(source, formats=FORMATS)
        with opened as image:
            if image.width * image.height > MOST_PIXELS:
                raise InputError(f"{path}: {image.width}×{image.height} is more than can be read")
            yield image
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such image") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: not a readable image") from error
    except Exception as error:  # Pillow's decoders raise almost anything
        raise InputError(f"{path}: broken image: {error!s:.150}") from error

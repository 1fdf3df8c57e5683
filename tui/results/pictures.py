"""A region on its stimulus, alone and with a unit's activation map; many of them in files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image

from ...datasets.errors import InputError
from ...datasets.files import atomic_write
from ...probe.runs.run import Run
from ..frame.drawing import draw, warm
from ..frame.mosaic import tiled
from .runs import Moved, maps, sources

BEST = 12
"""Regions of a contact sheet."""

_GRID, _SHEET = (4, 3), (1280, 720)


class Pictures:
    """Draws regions, and keeps what it has read for the next ones.

    Parameters
    ----------
    moved : Moved
    """

    def __init__(self, moved: Moved) -> None:
        self._moved = moved
        self._sources = lru_cache(maxsize=4)(sources)
        self._maps = lru_cache(maxsize=8)(maps)

    def plain(self, run: Run, image_id: int, region: int) -> Image.Image:
        """Draw a region on its stimulus.

        Raises
        ------
        InputError
            If the mask file or the image cannot be read.
        """
        return self._drawn(run, image_id, region, lambda picture: picture)

    def mapped(self, run: Run, layer: str, unit: int, image_id: int, region: int) -> Image.Image:
        """Draw a region on its stimulus with the unit's activation map.

        Raises
        ------
        InputError
            If the mask file, the image or the network cannot be read.
        """
        stimuli, _, _ = self._sources(run, self._moved)
        found = self._maps(run, self._moved, layer, image_id, stimuli)[unit]
        return self._drawn(run, image_id, region, lambda picture: warm(picture, found))

    def sheet(
        self, run: Run, layer: str, unit: int, regions: Sequence[tuple[int, int]]
    ) -> Image.Image:
        """Draw a contact sheet: twelve regions at most, each an image's and a region's id.

        Raises
        ------
        InputError
            As `mapped`.
        """
        return contact([self.mapped(run, layer, unit, *numbers) for numbers in regions[:BEST]])

    def _drawn(
        self, run: Run, image_id: int, region: int, over: Callable[[Image.Image], Image.Image]
    ) -> Image.Image:
        stimuli, outlines, names = self._sources(run, self._moved)
        stimulus = next(image for image in stimuli if image.id == image_id)
        size = stimulus.width, stimulus.height
        picture = over(stimuli.read(stimulus))
        return draw(
            picture,
            stimulus,
            [outlines[region]],
            lambda one: names[one.category_id],
            {region},
            size,
        )


def contact(pictures: Sequence[Image.Image | None]) -> Image.Image:
    """Return up to twelve pictures side by side."""
    return tiled(pictures, _GRID, _SHEET)


def write_pictures(
    folder: Path,
    pictures: Sequence[tuple[str, Callable[[], Image.Image]]],
    advance: Callable[[int], bool],
) -> None:
    """Write pictures into a folder, one after another.

    Parameters
    ----------
    folder : Path
        Is made; it must be empty.
    pictures : sequence of (name, callable)
        File names without their suffix, and what draws the pictures.
    advance : callable
        Is told how many are written, and returns whether to go on.

    Raises
    ------
    InputError
        If the folder is not empty or cannot be written, or a picture cannot be drawn.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        full = any(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from error
    if full:
        raise InputError(f"{folder}: is not empty; expected a new folder")
    for done, (name, picture) in enumerate(pictures):
        if not advance(done):
            return
        drawn = picture()
        with atomic_write(folder / f"{name.replace('/', '_')}.png") as file:
            drawn.save(file, format="PNG")

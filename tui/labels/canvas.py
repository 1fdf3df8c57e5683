"""The widget that shows an image with its regions, its fixations, and where they are clicked."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image
from textual import on
from textual.message import Message

from ...annotate.review.journal import Review
from ...datasets.errors import InputError
from ...datasets.fixations import Fixations
from ...datasets.stimuli import Stimuli, Stimulus
from ..frame.drawing import Box, around, draw
from ..frame.picture import Picture
from .pointing import described, fixation_at, regions_at


class Canvas(Picture):
    """Shows an image under review.

    Parameters
    ----------
    review : Review
    stimuli : Stimuli
    id : str, optional

    Attributes
    ----------
    zoomed, dots : bool
        Whether only the selected region's surroundings are shown; whether the fixations are.
    """

    class Chosen(Message):
        """A region or a fixation was clicked.

        Attributes
        ----------
        region : int or None
        said : str
            Whose fixation it is, and when.
        """

        def __init__(self, region: int | None, said: str) -> None:
            super().__init__()
            self.region, self.said = region, said

    def __init__(self, review: Review, stimuli: Stimuli, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.zoomed = self.dots = False
        self._review, self._stimuli = review, stimuli
        self._image: Stimulus | None = None
        self._region: int | None = None
        self._picture = lru_cache(maxsize=16)(self._read)

    def look(self, image: Stimulus, region: int | None) -> None:
        """Show an image, and a region of it as selected."""
        self._image, self._region = image, region
        picture, editor = self._picture(image.id), self._review.editor
        if isinstance(picture, str):
            self.say(picture)
            return
        box, dots = self._box(image), self._fixations(image) if self.dots else None
        self.show(
            (image.width, image.height),
            lambda size: draw(
                *(picture, image, editor.of(image.id), editor.category, region, size, dots, box)
            ),
        )

    @on(Picture.Pressed)
    def choose(self, event: Picture.Pressed) -> None:
        """Say what was clicked: a region, of several the next one below, or a fixation."""
        event.stop()
        image = self._image
        if image is None:
            return
        left, top, right, bottom = self._box(image)
        width, height = right - left, bottom - top
        a, b, c, d = event.box
        cell = left + a * width, top + b * height, left + c * width, top + d * height
        numbers = regions_at(self._review.editor.of(image.id), image, cell)
        if self._region in numbers:
            place = numbers.index(self._region) + 1
            numbers = [*numbers[place:], *numbers[:place]]
        looked, said = self._fixations(image) if self.dots else None, ""
        if looked is not None and (place := fixation_at(looked, cell)) is not None:
            said = described(looked, place)
        if numbers or said:
            self.post_message(self.Chosen(numbers[0] if numbers else None, said))

    def _fixations(self, image: Stimulus) -> Fixations | None:
        fixations = self._review.editor.fixations
        return None if fixations is None else fixations.of(image.id)

    def _box(self, image: Stimulus) -> Box:
        """Return the part of the image that is shown."""
        region = self._review.editor.regions.get(self._region or 0)
        if self.zoomed and region is not None:
            return around(region, image)
        return 0.0, 0.0, float(image.width), float(image.height)

    def _read(self, number: int) -> Image.Image | str:
        try:
            return self._stimuli.read(self._review.editor.masks.image(number))
        except InputError as error:
            return str(error)

"""The widget that shows an image with its regions, its fixations, and where they are clicked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from time import monotonic

import numpy as np
from PIL import Image
from textual import on
from textual.message import Message
from textual.timer import Timer

from ...annotate.review.journal import Review
from ...datasets.errors import InputError
from ...datasets.fixations import Fixations
from ...datasets.masks.annotation import Annotation
from ...datasets.stimuli import Stimuli, Stimulus
from ..frame.drawing import Box, around, draw, framed
from ..frame.picture import Mark, Picture
from .pointing import described, fixation_at, regions_at
from .scanpath import colours_of, marks, onsets, ordinals, told, trace

_TICK_S = 0.1

Point = tuple[float, float]
"""x, y."""


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
    path : bool
        Whether the scanpath is shown.
    subject : object or None
        Whose scanpath; None for all.
    drafts : sequence of Annotation
        Regions that are shown, as selected, instead of the selected one.
    box : Box or None
        Part of the image to show, whatever is selected.
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

    class Boxed(Message):
        """The mouse drew a box.

        Attributes
        ----------
        box : Box
            In the stimulus's pixels.
        way : ((x, y), (x, y))
            Where it was pressed, and where released.
        """

        def __init__(self, way: tuple[Point, Point]) -> None:
            super().__init__()
            (left, right), (top, bottom) = map(sorted, zip(*way, strict=True))
            self.box, self.way = (left, top, right, bottom), way

    def __init__(self, review: Review, stimuli: Stimuli, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.zoomed = self.dots = self.path = False
        self.subject: object | None = None
        self.drafts: Sequence[Annotation] = ()
        self.box: Box | None = None
        self._band: Box | None = None  # that the mouse is drawing
        self._review, self._stimuli = review, stimuli
        self._image: Stimulus | None = None
        self._region: int | None = None
        self._replay: Timer | None = None
        self._began = 0.0
        self._picture = lru_cache(maxsize=16)(self._read)

    def look(self, image: Stimulus, region: int | None) -> None:
        """Show an image, and a region of it as selected."""
        if image is not self._image:
            self.stop()
        self._image, self._region = image, region
        picture, editor = self._picture(image.id), self._review.editor
        if isinstance(picture, str):
            self.say(picture)
            return
        box, dots = self._box(image), self._fixations(image) if self.dots else None
        path, numbers = self._path(image)
        regions, selected, band = editor.of(image.id), {region or 0}, self._band
        if self.drafts:
            regions = [one for one in regions if one.id != region] + list(self.drafts)
            selected = {one.id for one in self.drafts}

        def drawn(size: tuple[int, int]) -> Image.Image:
            shown = draw(picture, image, regions, editor.category, selected, size, dots, box)
            shown = shown if path is None else trace(shown, *path, box)
            return shown if band is None else framed(shown, band, box)

        self.show((image.width, image.height), drawn, numbers)

    def told(self) -> str:
        """Return whose scanpath is shown, and how long it is."""
        looked = None if self._image is None else self._fixations(self._image)
        if looked is None or not len(looked):
            return "this image has no fixations"
        return told(self._own(looked), self.subject)

    def follow(self, step: int) -> None:
        """Show the next subject's scanpath; all subjects' come before the first and last."""
        looked = None if self._image is None else self._fixations(self._image)
        subjects = [None, *([] if looked is None else np.unique(looked.subject).tolist())]
        place = subjects.index(self.subject) if self.subject in subjects else 0
        self.subject, self.path = subjects[(place + step) % len(subjects)], True

    def replay(self) -> None:
        """Replay the scanpath as fast as it was, or stop that."""
        if self._replay is not None:
            self.stop()
            return
        self.path, self._began = True, monotonic()
        self._replay = self.set_interval(_TICK_S, self._tick)

    def stop(self) -> None:
        """Stop the replay."""
        if self._replay is not None:
            self._replay.stop()
            self._replay = None

    def _tick(self) -> None:
        looked = None if self._image is None else self._fixations(self._image)
        if looked is None or self._elapsed_ms() > onsets(looked).max(initial=0.0):
            self.stop()
        if self._image is not None:
            self.look(self._image, self._region)

    def _elapsed_ms(self) -> float:
        return float("inf") if self._replay is None else 1000 * (monotonic() - self._began)

    def _path(self, image: Stimulus) -> tuple[tuple[Fixations, np.ndarray] | None, Sequence[Mark]]:
        """Return the scanpath with its colours, and its numbers, as far as it is replayed."""
        looked = self._fixations(image) if self.path else None
        if looked is None:
            return None, ()
        seen = onsets(looked) <= self._elapsed_ms()
        if self.subject is not None:
            seen &= looked.subject == self.subject
        shown, colours = looked.where(seen), colours_of(looked)[seen]
        numbers = ordinals(looked)[seen]
        return (shown, colours), marks(shown, numbers, colours, self._box(image))

    def _own(self, looked: Fixations) -> Fixations:
        """Return the chosen subject's fixations, or all."""
        return looked if self.subject is None else looked.where(looked.subject == self.subject)

    @on(Picture.Pressed)
    def choose(self, event: Picture.Pressed) -> None:
        """Say what was clicked: a region, of several the next one below, or a fixation."""
        event.stop()
        image = self._image
        if image is None:
            return
        a, b, c, d = event.box
        cell = *self._point(image, (a, b)), *self._point(image, (c, d))
        numbers = regions_at(self._review.editor.of(image.id), image, cell)
        if self._region in numbers:
            place = numbers.index(self._region) + 1
            numbers = [*numbers[place:], *numbers[:place]]
        seen = self.dots or self.path
        looked, said = self._fixations(image) if seen else None, ""
        if looked is not None and (place := fixation_at(looked, cell)) is not None:
            said = described(looked, place)
        if numbers or said:
            self.post_message(self.Chosen(numbers[0] if numbers else None, said))

    @on(Picture.Dragged)
    def drag(self, event: Picture.Dragged) -> None:
        """Draw a box with the mouse."""
        event.stop()
        image = self._image
        if image is None:
            return
        way = self._point(image, event.start), self._point(image, event.end)
        boxed = self.Boxed(way)
        self._band = None if event.done else boxed.box
        self.look(image, self._region)
        if event.done:
            self.post_message(boxed)

    def _point(self, image: Stimulus, place: Point) -> Point:
        """Return a place in the picture, from 0 to 1, in the stimulus's pixels."""
        left, top, right, bottom = self._box(image)
        return left + place[0] * (right - left), top + place[1] * (bottom - top)

    def _fixations(self, image: Stimulus) -> Fixations | None:
        fixations = self._review.editor.fixations
        return None if fixations is None else fixations.of(image.id)

    def _box(self, image: Stimulus) -> Box:
        """Return the part of the image that is shown."""
        if self.box is not None:
            return self.box
        region = self._review.editor.regions.get(self._region or 0)
        if self.zoomed and region is not None:
            return around(region, image)
        return 0.0, 0.0, float(image.width), float(image.height)

    def _read(self, number: int) -> Image.Image | str:
        try:
            return self._stimuli.read(self._review.editor.masks.image(number))
        except InputError as error:
            return str(error)

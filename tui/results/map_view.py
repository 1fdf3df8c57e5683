"""The widget that shows a region on its stimulus, with a unit's activation map."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image
from textual import work
from textual.worker import get_current_worker

from ...datasets.errors import InputError
from ...datasets.masks.annotation import Annotation
from ...probe.runs.run import Run
from ..frame.drawing import draw, warm
from ..frame.picture import Picture
from .runs import Moved, maps, sources


class MapView(Picture):
    """Shows the stimulus at once, and the map over it when it is computed.

    Parameters
    ----------
    moved : Moved
    id : str, optional

    Attributes
    ----------
    drawn : Image or None
        What is shown, at the stimulus's size.
    """

    def __init__(self, moved: Moved, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.drawn: Image.Image | None = None
        self._moved = moved
        self._sources = lru_cache(maxsize=4)(sources)
        self._maps = lru_cache(maxsize=8)(maps)

    def say(self, text: str) -> None:
        """Show a text instead of the picture."""
        self.drawn = None
        super().say(text)

    @work(thread=True, exclusive=True, group="map")
    def look(self, run: Run, layer: str, unit: int, image_id: int, region: int) -> None:
        """Show a region; a later call takes the place of this one."""
        worker, call = get_current_worker(), self.app.call_from_thread
        try:
            stimuli, outlines, names = self._sources(run, self._moved)
            stimulus = next(image for image in stimuli if image.id == image_id)
            picture = stimuli.read(stimulus)
        except InputError as error:
            call(self.say, str(error))
            return

        def category(annotation: Annotation) -> str:
            return names[annotation.category_id]

        def drawn(image: Image.Image, size: tuple[int, int]) -> Image.Image:
            return draw(image, stimulus, [outlines[region]], category, region, size)

        def show(image: Image.Image) -> None:
            if worker.is_cancelled or not self.is_attached:
                return
            size = (stimulus.width, stimulus.height)
            self.drawn = drawn(image, size)
            self.show(size, lambda size: drawn(image, size))

        call(show, picture)
        try:
            layer_maps = self._maps(run, self._moved, layer, image_id, stimuli)
        except InputError as error:
            call(self.app.notify, str(error), severity="warning")
            return
        call(show, warm(picture, layer_maps[unit]))

"""The widget that shows a region on its stimulus, with a unit's activation map."""

from __future__ import annotations

from PIL import Image
from textual import work
from textual.worker import get_current_worker

from ...datasets.errors import InputError
from ...probe.runs.run import Run
from ..frame.picture import Picture
from .pictures import Pictures


class MapView(Picture):
    """Shows the stimulus at once, and the map over it when it is computed.

    Parameters
    ----------
    pictures : Pictures
    id : str, optional

    Attributes
    ----------
    drawn : Image or None
        What is shown, at the stimulus's size.
    """

    def __init__(self, pictures: Pictures, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.drawn: Image.Image | None = None
        self._pictures = pictures

    def say(self, text: str) -> None:
        """Show a text instead of the picture."""
        self.drawn = None
        super().say(text)

    @work(thread=True, exclusive=True, group="map")
    def look(self, run: Run, layer: str, unit: int, image_id: int, region: int) -> None:
        """Show a region; a later call takes the place of this one."""
        worker, call = get_current_worker(), self.app.call_from_thread

        def show(image: Image.Image) -> None:
            if worker.is_cancelled or not self.is_attached:
                return
            self.drawn = image
            self.show(image.size, lambda size: image.resize(size, Image.Resampling.BILINEAR))

        try:
            call(show, self._pictures.plain(run, image_id, region))
        except InputError as error:
            call(self.say, str(error))
            return
        try:
            call(show, self._pictures.mapped(run, layer, unit, image_id, region))
        except InputError as error:
            call(self.app.notify, str(error), severity="warning")

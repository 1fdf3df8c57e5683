"""A unit's twelve best regions side by side, each with the unit's map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from PIL import Image
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static
from textual.worker import get_current_worker

from ...datasets.errors import InputError
from ...datasets.files import atomic_write
from ...datasets.texts import printable
from ...probe.runs.run import Run
from ..frame.app import TextApp
from ..frame.mosaic import Mosaic
from .pictures import Pictures, contact
from .saving import save, suffix_of


class Contact(ModalScreen[None]):
    """Shows a contact sheet while it is computed.

    Parameters
    ----------
    pictures : Pictures
    run : Run
    layer : str
    unit : int
    regions : sequence of (image id, region id, NSS)
        Twelve at most.
    title : str
    """

    DEFAULT_CSS = """
    Contact { background: $surface; }
    Contact Mosaic { height: 1fr; }
    Contact #what, Contact #keys { height: 1; background: $panel; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,t,q", "dismiss", "Leave"),
        Binding("s", "save", "Save"),
    ]

    def __init__(
        self,
        pictures: Pictures,
        run: Run,
        layer: str,
        unit: int,
        regions: Sequence[tuple[int, int, float]],
        title: str,
    ) -> None:
        super().__init__()
        self._pictures, self._run, self._layer, self._unit = pictures, run, layer, unit
        self._regions, self._title = regions, title
        self._drawn: list[Image.Image | None] = [None] * len(regions)

    def compose(self) -> ComposeResult:
        """Lay out the sheet."""
        with Vertical():
            yield Static(Text(printable(self._title), no_wrap=True, overflow="ellipsis"), id="what")
            yield Mosaic()
            yield Static("region and NSS · s write to a file · esc leave", id="keys")

    def on_mount(self) -> None:
        """Begin to draw."""
        captions = [f"{region} {nss:.2f}" for _, region, nss in self._regions]
        mosaic = self.query_one(Mosaic)
        mosaic.fill(captions, "no region of this category has fixations")
        mosaic.focus()
        self._draw_all()

    def action_save(self) -> None:
        """Write the sheet as PNG."""
        app = self.app
        if not isinstance(app, TextApp) or None in self._drawn or not self._drawn:
            self.notify("the sheet is not complete yet", severity="warning")
            return
        sheet = contact(self._drawn)

        def write(path: Path) -> None:
            suffix_of(path, (".png",))
            with atomic_write(path) as file:
                sheet.save(file, format="PNG")

        name = f"{self._layer}-{self._unit}-best.png".replace("/", "_")
        save(app, "Write the sheet to (.png)", name, write)

    @work(thread=True, exclusive=True, group="contact")
    def _draw_all(self) -> None:
        worker, call = get_current_worker(), self.app.call_from_thread
        mosaic = self.query_one(Mosaic)
        for place, (image, region, _) in enumerate(self._regions):
            if worker.is_cancelled or not self.is_attached:
                return
            try:
                drawn = self._pictures.mapped(self._run, self._layer, self._unit, image, region)
            except InputError as error:
                call(mosaic.say, str(error))
                return
            self._drawn[place] = drawn
            call(mosaic.put, place, drawn)

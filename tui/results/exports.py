"""What the results review writes to files: the table, a picture, many pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
from PIL import Image
from textual import work
from textual.worker import get_current_worker

from ...datasets.errors import InputError
from ...datasets.files import atomic_write
from ...probe.choices import Format
from ...probe.runs.run import Run
from ...probe.views.run import formatted
from ..frame.app import TextApp
from ..frame.dialogs import Ask
from .levels import Level, regions
from .map_view import MapView
from .pictures import BEST, Pictures, write_pictures
from .runs import Moved
from .saving import save, suffix_of, unused


class Exporting(TextApp):
    """An app that writes what it shows.

    Parameters
    ----------
    moved : Moved
        Where the runs' inputs are now.
    """

    def __init__(self, moved: Moved) -> None:
        super().__init__()
        self.moved, self.pictures = moved, Pictures(moved)
        self.run_: Run | None = None
        self.other: Run | None = None
        self.measure, self.level = "top10_crossval", "run"
        self.layer = self.category = ""
        self.unit = 0
        self.worst = False
        self.shown = Level("", pd.DataFrame())

    @property
    def folder(self) -> Path:
        """Folder of the run shown."""
        raise NotImplementedError

    def action_export(self) -> None:
        """Write the table shown as .csv, .md, .tex or .json, by the file's suffix."""
        kinds: dict[str, Format] = {".csv": "csv", ".md": "md", ".tex": "latex", ".json": "json"}
        frame = self.shown.frame
        if frame.empty:
            self.notify("there is no table", severity="warning")
            return

        def write(path: Path) -> None:
            kind = kinds[suffix_of(path, tuple(kinds))]
            with atomic_write(path) as file:
                file.write((formatted(frame, kind) + "\n").encode())

        what = self.level if self.level != "run" else "change" if self.other else self.measure
        name = f"{self.folder.resolve().name}-{what}.csv"
        save(self, f"Write the table to ({', '.join(kinds)})", name, write)

    def action_picture(self) -> None:
        """Write the stimulus with the map as PNG, or the screen as SVG, by the file's suffix."""
        screen = self.export_screenshot()
        picture = self.query_one(MapView).drawn if self.level == "regions" else None

        def write(path: Path) -> None:
            suffix = suffix_of(path, (".png", ".svg") if picture else (".svg",))
            with atomic_write(path) as file:
                if suffix == ".svg" or picture is None:
                    file.write(screen.encode())
                else:
                    picture.save(file, format="PNG")

        if picture is None:
            save(self, "Write the screen to (.svg)", "screen.svg", write)
        else:
            name = f"{self.layer}-{self.unit}.png".replace("/", "_")
            save(self, "Write the picture to (.png), or the screen to (.svg)", name, write)

    def action_pictures(self) -> None:
        """Write the picture of every region listed, or the contact sheet of every unit listed."""
        run, frame = self.run_, self.shown.frame
        if run is None or frame.empty or self.level not in ("units", "regions"):
            self.notify("open a cell first: its units or regions are written", severity="warning")
            return
        layer, unit = self.layer, self.unit
        drawn: list[tuple[str, Callable[[], Image.Image]]] = []
        for row in frame.to_dict("records"):
            if self.level == "regions":
                numbers = int(row["image_id"]), int(row["annotation_id"])
                make = partial(self.pictures.mapped, run, layer, unit, *numbers)
                name = f"{len(drawn) + 1:03}-image-{numbers[0]}-region-{numbers[1]}"
            else:
                best = best_regions(run, layer, int(row["unit"]), self.category, self.worst)
                pairs = [(image, region) for image, region, _ in best]
                make = partial(self.pictures.sheet, run, layer, int(row["unit"]), pairs)
                name = f"{len(drawn) + 1:03}-{layer}-{row['unit']}"
            drawn.append((name, make))

        def named(text: str | None) -> None:
            if text:
                self._write_all(Path(text).expanduser(), drawn)

        what = f"{layer}-{unit}" if self.level == "regions" else f"{layer}-{self.category}"
        suggested = unused(what.replace("/", "_").replace(" ", "_"))
        kind = "pictures" if self.level == "regions" else "contact sheets"
        self.push_screen(Ask(f"Write {len(drawn)} {kind} into a new folder", suggested), named)

    @work(thread=True, exclusive=True, group="export")
    def _write_all(self, folder: Path, drawn: list[tuple[str, Callable[[], Image.Image]]]) -> None:
        worker, call = get_current_worker(), self.call_from_thread

        def advance(done: int) -> bool:
            if done % 10 == 0 and not worker.is_cancelled:
                call(self.notify, f"{folder}: {done} of {len(drawn)} written", timeout=2)
            return not worker.is_cancelled

        try:
            write_pictures(folder, drawn, advance)
        except (InputError, OSError) as error:
            call(self.notify, str(error), severity="error")
            return
        if not worker.is_cancelled:
            call(self.notify, f"written: {folder}, {len(drawn)} pictures")


def best_regions(
    run: Run, layer: str, unit: int, category: str, worst: bool
) -> list[tuple[int, int, float]]:
    """Return image, region and NSS of a unit's twelve best regions, or its worst."""
    return twelve(regions(run, layer, unit, category, worst))


def twelve(level: Level) -> list[tuple[int, int, float]]:
    """Return image, region and NSS of a table's first twelve regions."""
    rows = level.frame.head(BEST)[["image_id", "annotation_id", "nss"]]
    return [(int(a), int(b), float(c)) for a, b, c in rows.itertuples(index=False)]

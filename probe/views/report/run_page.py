"""A run as a page: its table, its cells, its units with their pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd

from ....datasets.files import read_json, sha256
from ....datasets.fixations import Fixations
from ....datasets.masks.mask_set import MaskSet
from ....datasets.progress import SILENT, Progress
from ....datasets.stimuli import Stimuli
from ....datasets.texts import csv_of, minus, printable
from ...layers.layers import Layer
from ...networks.model import Model
from ...runs.inputs import layers_of, masks_of, model_of
from ...runs.run import Run
from ..run import notes_of
from ..slices.table import render_slices
from . import overview
from .blocks import blocks_of
from .charts import plots_of
from .content import Content, regions_of
from .page import Page
from .pictures import Contours, draw, looked_at, places, small_picture

_SHEET_SIDE = 1600  # pixels
_SHEET = re.compile(r"(.+)-(\d+)\.png")

Links = Sequence[tuple[str, str]]
"""Names and addresses of other pages."""


@dataclass(frozen=True)
class Inputs:
    """What pictures are made from."""

    masks: MaskSet
    root: Path
    fixations: Fixations
    model: Model
    layers: dict[str, Layer]

    @classmethod
    def of(cls, run: Run, masks: Path | None, root: Path | None, model: Path | None) -> Inputs:
        """Find and check a run's inputs."""
        mask_set, where, fixations = masks_of(run, masks, root)
        network = model_of(run, model, "--model")
        return cls(mask_set, where, fixations, network, layers_of(run, network))


def sheets_of(run: Run) -> dict[tuple[str, int], str]:
    """Return the figures of a run's own sheets, by layer and unit, as names in ``units/``.

    Those that were made of another run are left out.
    """
    known = {layer.name: layer.units for layer in run.info.layers}
    scores, found = None, {}
    for path in sorted((run.folder / "units").glob("*.png")):
        named, record = _SHEET.fullmatch(path.name), path.with_suffix(".json")
        if named is None or not record.is_file():
            continue
        layer, unit = unquote(named[1]), int(named[2])
        content = read_json(record)
        made_of = content.get("made_of") if isinstance(content, dict) else None
        scores = scores or sha256(run.folder / "scores.npy")
        if not isinstance(made_of, dict) or made_of.get("scores") != scores:
            continue
        if unit < known.get(layer, 0):
            found[layer, unit] = path.name
    return found


def short_page(run: Run) -> Page:
    """Return the page that a run ends with: its table and its cells, without its units."""
    content = Content(run)
    cells = [
        {"layer": printable(layer.name), "cells": content.cells(layer.name), "units": {}}
        for layer in run.info.layers
    ]
    return _page(content, cells, {}, {}, pictures=False, units=False)


def write_short(run: Run) -> Path:
    """Write a run's short page into its folder, as ``report.html``, and return its path."""
    return short_page(run).write_single(run.folder / "report.html")


def whole_page(
    content: Content,
    more: dict[str, list[int]],
    inputs: Inputs | None,
    folder: Path,
    *,
    runs: Links = (),
    pages: Links = (),
    progress: Progress = SILENT,
) -> Page:
    """Return a run's page with its units, and write its pictures.

    Parameters
    ----------
    content : Content
    more : dict
        By layer, units that have a page beside those that the run lists.
    inputs : Inputs or None
        Without these there are no pictures.
    folder : Path
        Where the folder ``pictures`` is made.
    runs, pages : sequence of (name, address)
        Of other runs, in which the same place is linked, and of other pages.
    progress : Progress

    Raises
    ------
    InputError
        If a picture cannot be read.
    """
    run, layers = content.run, []
    with progress.task("units", len(run.layers)) as advance:
        for layer in run.layers:
            layers.append(content.layer(layer.name, more.get(layer.name, ())))
            advance(1)
    table = run.regions[run.regions["annotation_id"].isin(regions_of(layers))]
    columns = (table[name] for name in ("annotation_id", "image_id", "category"))
    regions: dict[str, Any] = {
        str(region): {"image": int(image), "category": content.slugs[category]}
        for region, image, category in zip(*columns, strict=True)
    }
    whole = {"run": run.info.model_dump(mode="json"), "layers": layers, "regions": regions}
    units = json.dumps(whole)  # before what is drawn is added
    images: dict[str, Any] = {}
    if inputs is not None:
        (folder / "pictures").mkdir()
        contours = _draw(run, folder / "pictures", inputs, layers, regions, images, progress)
        _add_contours(run, layers, regions, contours)
        _add_sheets(run, folder / "pictures", layers)
    shown = {"regions": regions, "images": images}
    tables = {"units.json": units}
    drawn = inputs is not None
    return _page(content, layers, shown, tables, pictures=drawn, runs=runs, pages=pages)


def _page(
    content: Content,
    layers: list[dict[str, Any]],
    regions: dict[str, Any],
    files: dict[str, str],
    *,
    pictures: bool,
    units: bool = True,
    runs: Links = (),
    pages: Links = (),
) -> Page:
    run, info, heat_map = content.run, content.run.info, overview.table(content)
    plots = [plot.data() for plot in plots_of(content)]
    categories = zip(heat_map["categories"], content.slugs.values(), strict=True)
    shown = {
        "categories": [{"name": name, "slug": slug} for name, slug in categories],
        "layers": [layer["layer"] for layer in layers],
        "facts": overview.facts(run)[::-1],
        "measures": heat_map["measures"],
        "threshold": info.parameters.threshold,
        "pictures": pictures,
        "units": units,
        "others": [name for name, _ in runs],
        "shared": [list(map(printable, content.shared(other))) for other in content.others],
    }
    data = {"run": shown, "plots": plots}
    data |= {f"layer-{place}": layer for place, layer in enumerate(layers)}
    if regions:
        data["regions"] = regions
    values = {
        "name": printable(run.name),
        "what": run.describe(),
        "annotator": printable(info.annotator) if info.annotator else None,
        "verified": overview.verified(run),
        "trained_on": info.trained_on,
        "simulated": info.simulated,
        "notes": [minus(printable(note.plain)) for note in notes_of(run)],
        "table": heat_map,
        "highlights": overview.highlights(content),
        "plots": plots,
        "slices": [] if info.parameters.by is None else list(blocks_of(render_slices(run))),
        "command": printable(info.command),
        "parameters": overview.parameters(run),
        "version": printable(info.salprobe),
        "pictures": pictures,
        "units": units,
        "others": list(runs),
        "pages": list(pages),
    }
    tables = {"summary.csv": csv_of(run.summary), "best-units.csv": csv_of(_best(content))}
    return Page("page.html", values, data, {**tables, **files})


def _best(content: Content) -> pd.DataFrame:
    """Return the best units of every cell, one a row."""
    rows = [
        {"layer": layer.name, "category": category, **unit}
        for layer in content.run.info.layers
        for category in content.run.categories
        for unit in content.best(layer.name, category)
    ]
    return pd.DataFrame(rows)


def _draw(
    run: Run,
    folder: Path,
    inputs: Inputs,
    layers: list[dict[str, Any]],
    regions: dict[str, Any],
    images: dict[str, Any],
    progress: Progress,
) -> Contours:
    """Write the pictures, and add to the regions and images what is drawn of them."""
    for region, place in places(inputs.masks, set(map(int, regions))).items():
        regions[region] |= place
    used = {region["image"] for region in regions.values()}
    images |= {
        str(image.id): {
            "name": printable(image.file_name),
            "width": image.width,
            "height": image.height,
            "looked": looked_at(inputs.fixations, image.id),
        }
        for image in inputs.masks.images
        if image.id in used
    }
    needed = {
        (known.name, int(unit), regions[str(region)]["image"])
        for known, layer in zip(run.layers, layers, strict=True)
        for unit, one in layer["units"].items()
        for region, _ in (*one["best"], *one["worst"])
    }
    return draw(
        folder,
        Stimuli(inputs.root, tuple(inputs.masks.images)),
        *(inputs.model, inputs.layers, needed),
        level=run.info.parameters.threshold,
        progress=progress,
    )


def _add_contours(
    run: Run, layers: list[dict[str, Any]], regions: dict[str, Any], contours: Contours
) -> None:
    """Add to each unit the contours of its map, by image."""
    for known, layer in zip(run.layers, layers, strict=True):
        for unit, one in layer["units"].items():
            shown = {regions[str(region)]["image"] for region, _ in (*one["best"], *one["worst"])}
            one["contours"] = {
                str(image): contours[known.name, int(unit), image] for image in sorted(shown)
            }


def _add_sheets(run: Run, folder: Path, layers: list[dict[str, Any]]) -> None:
    """Write the sheets' pictures, and add to their units what they are called."""
    for place, layer in enumerate(layers):
        for unit, one in layer["units"].items():
            if "sheet" not in one:
                continue
            name = f"sheet-{place}-{unit}.webp"
            source = run.folder / "units" / one["sheet"]
            one["sheet"] = [name, *small_picture(source, folder / name, _SHEET_SIDE)]

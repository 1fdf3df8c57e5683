"""Writes runs as a site: pages, data, pictures, all of them beside one another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ....datasets.errors import InputError
from ....datasets.files import atomic_folder
from ....datasets.masks.mask_set import MaskSet
from ....datasets.progress import SILENT, Progress
from ....datasets.stimuli import Stimuli
from ....datasets.texts import csv_of, printable
from ...layers.layers import Layer
from ...networks.model import Model
from ...runs.inputs import layers_of, masks_of, model_of
from ...runs.run import Run
from ..run import describe, notes_of
from . import overview
from .content import Content, regions_of
from .pictures import Contours, draw, places

_HERE = Path(__file__).parent
_ASSETS = ("report.css", "report.js")
_MARK = '<meta name="generator" content="salprobe report">'


def write_report(
    runs: Run | Sequence[Run],
    out: str | Path,
    *,
    pictures: bool = True,
    masks: str | Path | None = None,
    root: str | Path | None = None,
    model: str | Path | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Write runs as a site of static pages, which opens from disk and needs no network.

    Parameters
    ----------
    runs : Run or sequence of Run
        Of several, each has its own site in a folder ``1``, ``2`` …, below a page that lists them.
    out : path
        Folder to write; replaced if it is a report, and nothing else is in it.
    pictures : bool
        False leaves out whatever shows a stimulus, and needs only the run folders.
    masks, root, model : path, optional
        The mask file, the folder of images, and the file of weights or training folder, if they
        have moved since the run.
    progress : Progress

    Returns
    -------
    Path
        The first page.

    Raises
    ------
    InputError
        If the folder is something else, an input is missing or not the run's, or no region of a
        run has fixations.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> gaze = "sample/fixations.csv"
    >>> run = sp.probe("sample/masks.json", model="gabor", fixations=gaze, out="run")
    >>> sp.write_report(run, "site").name
    'index.html'
    """
    runs, out = [runs] if isinstance(runs, Run) else list(runs), Path(out)
    if not runs:
        raise InputError("no run; expected one or more")
    if len(runs) > 1 and model is not None:
        raise InputError("--model is for one run")
    _check_own(out)
    moved = [None if one is None else Path(one) for one in (masks, root, model)]
    inputs = [_Inputs.of(run, *moved) if pictures else None for run in runs]
    names = [printable(run.name) for run in runs]
    with atomic_folder(out) as folder:
        for place, (run, sources) in enumerate(zip(runs, inputs, strict=True), start=1):
            own = folder if len(runs) == 1 else folder / str(place)
            own.mkdir(exist_ok=True)
            others = [
                (name, f"../{other}/index.html")
                for other, name in enumerate(names, start=1)
                if other != place
            ]
            _write_run(run, own, sources, others, progress)
        if len(runs) > 1:
            listed = [(name, describe(run)) for name, run in zip(names, runs, strict=True)]
            _write_page(folder, "runs.html", runs=listed)
            shutil.copyfile(_HERE / "report.css", folder / "report.css")
    return out / "index.html"


def _check_own(out: Path) -> None:
    """Refuse a folder that is not a report, or that holds more than one."""
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir():
        raise InputError(f"{out}: is not a folder")
    names = {path.name for path in out.iterdir()}
    if not names:
        return
    page = out / "index.html"
    if not page.is_file() or _MARK not in page.read_text("utf-8", errors="replace")[:2000]:
        raise InputError(f"{out}: is not a report, and would be replaced; name another folder")
    own = {"index.html", *_ASSETS, "data", "pictures", "units.json", "summary.csv"}
    strange = {name for name in names - own if not name.isdecimal()}
    if strange:
        raise InputError(f"{out / min(strange)}: is no part of a report, and would be deleted")


@dataclass(frozen=True)
class _Inputs:
    """What pictures are made from."""

    masks: MaskSet
    root: Path
    model: Model
    layers: dict[str, Layer]

    @classmethod
    def of(cls, run: Run, masks: Path | None, root: Path | None, model: Path | None) -> _Inputs:
        """Find and check a run's inputs."""
        mask_set, where, _ = masks_of(run, masks, root)
        network = model_of(run, model, "--model")
        return cls(mask_set, where, network, layers_of(run, network))


def _write_run(
    run: Run,
    folder: Path,
    inputs: _Inputs | None,
    others: list[tuple[str, str]],
    progress: Progress,
) -> None:
    """Write one run's site; without pictures where there are no inputs."""
    content, info = Content(run), run.info
    if not any(content.counts.values()):
        raise InputError(f"{run.folder}: no labelled region has fixations")
    layers = []
    with progress.task("units", len(run.layers)) as advance:
        for layer in run.layers:
            layers.append(content.layer(layer.name))
            advance(1)
    table = run.regions[run.regions["annotation_id"].isin(regions_of(layers))]
    columns = (table[name] for name in ("annotation_id", "image_id", "category"))
    regions: dict[str, Any] = {
        str(region): {"image": int(image), "category": content.slugs[category]}
        for region, image, category in zip(*columns, strict=True)
    }
    data = {"run": info.model_dump(mode="json"), "layers": layers, "regions": regions}
    (folder / "units.json").write_text(json.dumps(data), "utf-8")
    (folder / "summary.csv").write_text(csv_of(run.summary), "utf-8")
    (folder / "data").mkdir()
    images: dict[str, Any] = {}
    if inputs is not None:
        contours = _draw(run, folder, inputs, layers, regions, images, progress)
        _add_contours(run, layers, regions, contours)
    for place, layer in enumerate(layers):
        _write_data(folder, f"layer-{place}", layer)
    _write_data(folder, "regions", {"regions": regions, "images": images})
    heat_map = overview.table(content)
    categories = zip(heat_map["categories"], content.slugs.values(), strict=True)
    shown = {
        "categories": [{"name": name, "slug": slug} for name, slug in categories],
        "layers": [layer["layer"] for layer in layers],
        "facts": overview.facts(run)[::-1],
        "measures": heat_map["measures"],
        "threshold": info.parameters.threshold,
        "pictures": inputs is not None,
    }
    _write_data(folder, "run", shown)
    for name in _ASSETS:
        shutil.copyfile(_HERE / name, folder / name)
    _write_page(
        *(folder, "page.html"),
        name=printable(run.name),
        what=run.describe(),
        annotator=printable(info.annotator) if info.annotator else None,
        trained_on=info.trained_on,
        simulated=info.simulated,
        notes=[note.plain for note in notes_of(run)],
        table=heat_map,
        command=printable(info.command),
        parameters=overview.parameters(run),
        version=printable(info.salprobe),
        pictures=inputs is not None,
        others=others,
    )


def _draw(
    run: Run,
    folder: Path,
    inputs: _Inputs,
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
        }
        for image in inputs.masks.images
        if image.id in used
    }
    (folder / "pictures").mkdir()
    needed = {
        (known.name, int(unit), regions[str(region)]["image"])
        for known, layer in zip(run.layers, layers, strict=True)
        for unit, one in layer["units"].items()
        for region, _ in (*one["best"], *one["worst"])
    }
    return draw(
        folder / "pictures",
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


def _write_data(folder: Path, name: str, content: dict[str, Any]) -> None:
    """Write what a page loads later: a script, as pages opened from disk may load no JSON."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    script = f"salprobe.receive({json.dumps(name)},{text});\n"
    (folder / "data" / f"{name}.js").write_text(script, "utf-8")


def _write_page(folder: Path, template: str, **values: Any) -> None:
    """Write ``index.html``."""
    pages = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = pages.get_template(template).render(**values)
    (folder / "index.html").write_text(page, "utf-8")

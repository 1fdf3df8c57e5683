"""Writes folders of results as a site, or one of them as one file."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import dropwhile, takewhile
from pathlib import Path

from ....datasets.errors import InputError, reading
from ....datasets.files import atomic_folder
from ....datasets.progress import SILENT, Progress
from ....datasets.texts import printable
from ...dissection.dissect import Dissection
from ...runs.run import Run
from ...statistics.selectivity import TOP
from ..run import describe
from .blocks import blocks_of
from .content import Content, Extent
from .page import MARK, SCRIPTS, STYLE, Page
from .pictures import small_picture
from .results import Results, results_of
from .run_page import Inputs, Links, sheets_of, whole_page

_FIGURE_SIDE = 2000  # pixels
_RUNS = "Runs"

Result = Run | str | Path
"""A run, or a folder of results."""


def write_report(
    results: Result | Sequence[Result],
    out: str | Path,
    *,
    single: bool = False,
    pictures: bool = True,
    units: int = TOP,
    regions: int = 8,
    masks: str | Path | None = None,
    root: str | Path | None = None,
    model: str | Path | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Write results as a site of static pages, which opens from disk and needs no network.

    Parameters
    ----------
    results : Run or path, or sequence of these
        Runs, and folders of any results or of such folders. Of several results, each has its own
        pages in a folder ``1``, ``2`` …, below a page that lists them.
    out : path
        Folder to write; replaced if it is a report, and nothing else is in it. With ``single``, a
        file.
    single : bool
        Whether to write one file, of one result.
    pictures : bool
        False leaves out whatever shows a stimulus, and needs only the folders.
    units, regions : int
        How many units of each cell are listed, and how many of each unit's highest, and lowest,
        regions are shown.
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
        If a number is out of range, the folder is something else, an input is missing or not the
        run's, or no result can be read. If only some of several cannot, such as unfinished ones,
        the site is written before: its first page says which, and why.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> gaze = "sample/fixations.csv"
    >>> run = sp.probe("sample/masks.json", model="gabor", fixations=gaze, out="run")
    >>> sp.write_report(run, "site").name
    'index.html'
    >>> sp.write_report(run, "report.html", single=True, pictures=False).name
    'report.html'
    """
    extent = Extent(units, regions)
    given = [results] if isinstance(results, Run | str | Path) else list(results)
    found, left_out = _found(given, parts=not single)
    out, count = Path(out), len(found) + len(left_out)
    runs = [one for one in found if isinstance(one, Run)]
    if len(runs) > 1 and model is not None:
        raise InputError("--model is for one run")
    if single and count > 1:
        raise InputError(f"one file holds one result, but these are {count}: write a folder")
    if single:
        _check_file(out)
    else:
        _check_own(out)
    moved = [None if one is None else Path(one) for one in (masks, root, model)]
    inputs = {one.folder: _inputs(one, *moved) for one in runs} if pictures else {}
    site = _Site(found, left_out, extent, inputs, pictures, progress)
    if single:
        with tempfile.TemporaryDirectory() as below:
            drawn = Path(below) / "pictures"
            page = site.page(0, Path(below))
            if isinstance(found[0], Results):  # which has its tables in its folder, at any size
                page = replace(page, tables={})
            return page.write_single(out, drawn if drawn.is_dir() else None)
    with atomic_folder(out) as folder:
        for place in range(len(found)):
            own = folder / str(place + 1) if site.several else folder
            own.mkdir(exist_ok=True)
            site.page(place, own).write(own)
        if site.several:
            site.index().write(folder)
    if left_out:
        why = "; ".join(map(str, left_out.values()))
        raise InputError(f"{out}: lacks {len(left_out)} of {count} results: {why}")
    return out / "index.html"


def write_results(folder: Path) -> Path:
    """Write the page of a folder of other results into it, as ``report.html``.

    Raises
    ------
    InputError
        If it holds none.
    """
    found = results_of(folder)
    if found is None:
        raise InputError(f"{folder}: holds no results")
    return _results_page(found, None, []).write_single(folder / "report.html")


def _found(
    given: Sequence[Result], *, parts: bool
) -> tuple[list[Run | Results], dict[Path, InputError]]:
    """Return the results in the folders, each once: what they hold, or what is right below.

    With ``parts``, also the trainings and runs that results consist of. Beside them, the folders
    that cannot be read, and why; it is an error if there are no others.
    """
    found: dict[Path, Run | Results] = {}
    left_out: dict[Path, InputError] = {}

    def add(folder: Path) -> bool:
        known = folder.resolve()
        if known in found or known in left_out:
            return True
        try:
            results = results_of(folder)
            if results is None and not (folder / "run.json").is_file():
                return False
            found[known] = results if results is not None else _run(folder)
        except InputError as error:
            left_out[known] = error
            return True
        for part in results.parts if results is not None and parts else ():
            add(part)
        return True

    for one in given:
        if isinstance(one, Run):
            found[one.folder.resolve()] = one
            continue
        folder = Path(one)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder of results")
        if not add(folder) and not [below for below in sorted(folder.iterdir()) if add(below)]:
            raise InputError(f"{folder}: holds no results, and no folder in it does")
    for error in left_out.values():
        if not found:
            raise error
    if not found:
        raise InputError("no results; expected one or more folders")
    return list(found.values()), left_out


def _run(folder: Path) -> Run:
    run = Run.open(folder)
    if not (run.regions["n_fixations"] > 0).any():
        raise InputError(f"{folder}: no labelled region has fixations")
    return run


def _inputs(run: Run, *moved: Path | None) -> Inputs:
    try:
        return Inputs.of(run, *moved)
    except InputError as error:
        raise InputError(f"{error}; --no-pictures does without them") from error


def _check_file(out: Path) -> None:
    """Refuse to write over a file that is not a report."""
    if out.is_dir():
        raise InputError(f"{out}: is a folder; expected the name of a file, as in report.html")
    if out.exists() and MARK not in out.read_text("utf-8", errors="replace")[:2000]:
        raise InputError(f"{out}: is not a report, and would be replaced; name another file")


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
    if not page.is_file() or MARK not in page.read_text("utf-8", errors="replace")[:2000]:
        raise InputError(f"{out}: is not a report, and would be replaced; name another folder")
    own = {"index.html", STYLE, *SCRIPTS, "data", "pictures"}
    own |= {"units.json", "summary.csv", "best-units.csv"}
    strange = {name for name in names - own if not name.isdecimal()}
    if strange:
        raise InputError(f"{out / min(strange)}: is no part of a report, and would be deleted")


@dataclass(frozen=True, eq=False)
class _Site:
    """Results, each with its page."""

    found: list[Run | Results]
    left_out: dict[Path, InputError]
    extent: Extent
    inputs: dict[Path, Inputs]
    pictures: bool
    progress: Progress

    @property
    def several(self) -> bool:
        """Whether a page lists them."""
        return len(self.found) + len(self.left_out) > 1

    def page(self, place: int, folder: Path) -> Page:
        """Return the page of a result, and write its pictures."""
        one = self.found[place]
        links = [
            (other, (printable(other.name), f"../{k + 1}/index.html"))
            for k, other in enumerate(self.found)
            if k != place
        ]
        runs = [link for other, link in links if isinstance(other, Run)]
        pages = [link for other, link in links if not isinstance(other, Run)]
        if self.several:
            pages.insert(0, ("all results", "../index.html"))
        if isinstance(one, Results):
            return _results_page(one, folder, [*pages, *runs], self.pictures)
        content = self._contents[one.folder]
        return whole_page(
            *(content, self._more(one), self.inputs.get(one.folder), folder),
            runs=runs,
            pages=pages,
            progress=self.progress,
        )

    def index(self) -> Page:
        """Return the page that lists the results."""
        groups: dict[str, list[tuple[str, str, str]]] = {}
        for place, one in enumerate(self.found, start=1):
            kind, what = (_RUNS, describe(one)) if isinstance(one, Run) else (one.kind, one.what)
            what = "\n".join(map(printable, what.split("\n")))
            groups.setdefault(kind, []).append((printable(one.name), what, f"{place}/index.html"))
        left_out = [(printable(one.name), printable(why)) for one, why in self.left_out.items()]
        values = {"groups": list(groups.items()), "left_out": left_out}
        return Page("list.html", {"count": len(self.found), **values})

    @cached_property
    def _contents(self) -> dict[Path, Content]:
        """What is said of each run, beside the others and its dissections."""
        runs = [one for one in self.found if isinstance(one, Run)]
        dissections = [one.source for one in self.found if isinstance(one, Results)]
        contents = {}
        for run in runs:
            own = run.info.parameters
            same = [
                one
                for one in dissections
                if isinstance(one, Dissection)
                and one.info.parameters.weights.sha256 == own.weights.sha256
                and one.info.parameters.model == own.model
            ]
            others = [other for other in runs if other is not run]
            contents[run.folder] = Content(run, self.extent, others, same, sheets_of(run))
        return contents

    def _more(self, run: Run) -> dict[str, list[int]]:
        """Return the units that other runs list of layers that this one has too."""
        own = {(layer.name, layer.units) for layer in run.info.layers}
        more: dict[str, set[int]] = {}
        for content in self._contents.values():
            for layer in content.run.info.layers:
                if (layer.name, layer.units) in own:
                    more.setdefault(layer.name, set()).update(content.listed(layer.name))
        return {name: sorted(units) for name, units in more.items()}


def _results_page(found: Results, folder: Path | None, links: Links, pictures: bool = True) -> Page:
    """Return the page of results that are no run, and write its figures into a folder."""
    figures, tables = [], {}
    if folder is not None:  # else the page lies beside them
        shown = [*found.figures, *(found.stimuli if pictures else ())]
        for place, (title, source) in enumerate(shown):
            (folder / "pictures").mkdir(exist_ok=True)
            name = f"figure-{place}.webp"
            size = small_picture(source, folder / "pictures" / name, _FIGURE_SIDE)
            figures.append((title, name, *size))
        for path in sorted(found.folder.glob("*.csv")):
            with reading(path):
                tables[f"data/{path.name}"] = path.read_text("utf-8")
    plots, blocks = [plot.data() for plot in found.plots], list(blocks_of(found.view))
    values = {
        **found.values(),
        "first": list(takewhile(lambda block: not block.rows, blocks)),
        "blocks": list(dropwhile(lambda block: not block.rows, blocks)),
        "plots": plots,
        "figures": figures,
        "others": list(links),
    }
    return Page("results.html", values, {"plots": plots}, tables)

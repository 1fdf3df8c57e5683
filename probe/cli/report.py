"""A run shown and written as a page, at the end of the commands that make one."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from ...datasets.files import atomic_write
from ...terminal.console import notes, print_data
from ..runs.run import Run
from ..views.run import as_html, render_run
from ..views.slices.table import render_slices


def report(run: Run) -> None:
    """Print a run's tables, and write them into its folder as ``report.html``."""
    view = render_run(run)
    if run.info.parameters.by is not None:
        view = Group(view, Text(), render_slices(run))
    print_data(view)
    page = run.folder / "report.html"
    with atomic_write(page) as file:
        file.write(as_html(view, f"salprobe: {run.name}").encode())
    notes.print(f"run folder: {run.folder}\nreport: {page}", markup=False)

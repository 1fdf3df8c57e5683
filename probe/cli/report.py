"""What the commands that make runs print at their end."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from ...terminal.console import notes, print_data
from ..runs.run import Run
from ..views.report.run_page import write_short
from ..views.run import render_run
from ..views.slices.table import render_slices


def report(run: Run) -> None:
    """Print a run's tables, and write its short report into its folder."""
    view = render_run(run)
    if run.info.parameters.by is not None:
        view = Group(view, Text(), render_slices(run))
    print_data(view)
    page = write_short(run)
    notes.print(f"run folder: {run.folder}\nreport: {page}", markup=False)

"""What both command lines share: errors in one line, progress and notes on stderr."""

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from .errors import InputError

notes = Console(stderr=True, highlight=False, soft_wrap=True)
"""Where everything goes that is not data."""

_INTERRUPTED = 130


def run_app(app: typer.Typer, program: str) -> None:
    """Run a command line; bad input is one line and exit code 2, Ctrl-C exit code 130."""
    try:
        if len(sys.argv) == 1:
            sys.argv.append("--help")
        status = app(prog_name=program, standalone_mode=False)
    except InputError as error:
        _fail(program, str(error), 2)
    except typer.TyperException as error:
        _fail(program, error.format_message(), 2)
    except (KeyboardInterrupt, typer.Abort):
        status = _INTERRUPTED
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            # The reader (head, less) has what it wanted.
            sys.stderr.close()
            sys.exit(0)
        _fail(program, f"{error.filename or ''}: {error.strerror or error}".lstrip(": "), 2)
    if status == _INTERRUPTED:  # typer turns Ctrl-C into this
        _fail(program, "interrupted; run the same command again to go on", _INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(program: str, message: str, code: int) -> NoReturn:
    one_line = " ".join(message.split())
    print(f"{program}: {one_line}", file=sys.stderr)
    sys.exit(code)


@contextmanager
def progress(
    description: str, total: int, *, done: int = 0, hidden: bool = False
) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr; yields the function that advances it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=notes, transient=True, disable=hidden or not notes.is_terminal
    ) as bar:
        task = bar.add_task(description, total=total, completed=done)
        yield lambda n: bar.update(task, advance=n)


def plain_table(title: str, first: str, columns: Iterable[str]) -> Table:
    """Return an empty table: names in the first column, numbers in the others."""
    table = Table(
        title=f"\n{title}",
        title_justify="left",
        title_style="italic",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column(first, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def category_table(title: str, first: str, categories: Iterable[str]) -> Table:
    """Return an empty table with a column for each category, its words beneath each other."""
    return plain_table(title, first, (name.replace(" ", "\n") for name in categories))


def print_data(data: RenderableType) -> None:
    """Print to stdout: texts as they are, tables at least as wide as 12 categories need."""
    if isinstance(data, str):
        print(data)
        return
    width = shutil.get_terminal_size((120, 24)).columns
    Console(width=max(width, 116), highlight=False).print(data)

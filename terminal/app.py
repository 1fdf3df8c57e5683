"""Building and running a command line: bad input is one line, never a traceback."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from ..datasets.disk import reason
from ..datasets.errors import InputError
from ..datasets.texts import printable

_INTERRUPTED = 130


def new_app(summary: str) -> typer.Typer:
    """Return a command line with help, version and shell completion, but no commands."""
    app = typer.Typer(
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
        help=summary,
    )
    app.callback()(_options)
    return app


def _print_version(context: typer.Context, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"{context.info_name} {version('salprobe')}")
        raise typer.Exit


VersionOption = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
    ),
]


def _options(version: VersionOption = False) -> None:
    pass


def refuse_given(context: typer.Context, reason: str, *names: str) -> None:
    """Refuse options that would do nothing here.

    Parameters
    ----------
    context : typer.Context
    reason : str
        Completes ``--option:``.
    *names : str
        Parameters of the command's function.

    Raises
    ------
    InputError
        If one of the options stands on the command line.
    """
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is not None and source.name == "COMMANDLINE":
            raise InputError(f"{parameter.opts[0]}: {reason}")


def run_app(app: typer.Typer, program: str) -> None:
    """Run a command line: bad input prints one line and exits with 2, Ctrl-C exits with 130."""
    try:
        if len(sys.argv) == 1:
            sys.argv.append("--help")
        status = app(prog_name=program, standalone_mode=False)
    except InputError as error:
        _fail(program, str(error), 2)
    except typer.TyperException as error:
        _fail(program, error.format_message().replace(": Value error, ", ": "), 2)
    except (KeyboardInterrupt, typer.Abort):
        status = _INTERRUPTED
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            # The reader (head, less) has closed the pipe.
            sys.stderr.close()
            sys.exit(0)
        _fail(program, f"{error.filename or ''}: {reason(error)}".lstrip(": "), 2)
    if status == _INTERRUPTED:  # typer turns Ctrl-C into this
        _fail(program, "interrupted; run the same command again to resume", _INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(program: str, message: str, code: int) -> NoReturn:
    one_line = printable(" ".join(message.split()))
    print(f"{program}: {one_line}", file=sys.stderr)
    sys.exit(code)

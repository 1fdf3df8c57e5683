"""Writing what is shown to a file that the user names; nothing is replaced unasked."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

from ...datasets.errors import InputError
from ..frame.app import TextApp
from ..frame.dialogs import Ask, Choose


def save(app: TextApp, question: str, suggested: str, write: Callable[[Path], None]) -> None:
    """Ask for a file's name, and write it.

    Parameters
    ----------
    app : TextApp
    question : str
    suggested : str
        A name to begin with; a number is added if there is such a file already.
    write : callable
        Writes the file, or raises an InputError or OSError.
    """

    def named(text: str | None) -> None:
        if not text:
            return
        path = Path(text).expanduser()

        def sure(answer: str | None = "replace") -> None:
            if answer != "replace":
                return
            try:
                write(path)
            except (InputError, OSError) as error:
                app.notify(str(error), severity="error")
            else:
                app.notify(f"written: {path}")

        if path.exists():
            choices = {"keep": "keep it", "replace": "replace it"}
            app.push_screen(Choose(f"{path} exists", choices), sure)
        else:
            sure()

    app.push_screen(Ask(question, unused(suggested)), named)


def unused(name: str) -> str:
    """Return a name of a file that there is not yet, by adding a number."""
    path = Path(name)
    names = (path.with_stem(f"{path.stem}-{k}") if k > 1 else path for k in count(1))
    return str(next(path for path in names if not path.exists()))


def suffix_of(path: Path, expected: tuple[str, ...]) -> str:
    """Return a file's suffix.

    Raises
    ------
    InputError
        If it is none of those expected.
    """
    if path.suffix not in expected:
        raise InputError(f"expected a name that ends in {' or '.join(expected)}")
    return path.suffix

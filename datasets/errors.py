"""The error that bad input raises."""

from collections.abc import Iterator
from contextlib import contextmanager

LONGEST = 299
"""Maximum characters of a message: a name in a file may be a megabyte long."""


class InputError(ValueError):
    """Input that cannot be used; a one-line message names the place and says why.

    The middle of a message longer than `LONGEST` is left out.
    """

    def __init__(self, message: str = "") -> None:
        if len(message) > LONGEST:
            message = f"{message[: LONGEST * 2 // 3]} … {message[-(LONGEST // 3 - 3) :]}"
        super().__init__(message)


@contextmanager
def reading(place: object) -> Iterator[None]:
    """Turn whatever a parser raises into an `InputError` that begins with the place.

    Parsers raise almost anything on damaged input, and their lists of exceptions do not last.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        kind = type(error).__name__
        raise InputError(f"{place}: cannot be read: {kind}: {reason:.120}") from error

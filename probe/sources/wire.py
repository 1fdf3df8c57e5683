"""The wire format of protocol buffers, read without the messages' definitions.

References
----------
https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator

Value = int | memoryview
"""A varint, or the bytes of anything else."""

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_LONGEST = 10  # bytes of a varint


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield the number and the value of each field of a message, in their order.

    Raises
    ------
    ValueError
        If it is malformed.
    """
    place = 0
    while place < len(message):
        tag, place = varint(message, place)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, place = varint(message, place)
            yield number, value
            continue
        if kind == _BYTES:
            size, place = varint(message, place)
        elif kind in (_EIGHT, _FOUR):
            size = 8 if kind == _EIGHT else 4
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        if size > len(message) - place:
            raise ValueError(f"a field of {size} bytes where {len(message) - place} are left")
        yield number, message[place : place + size]
        place += size


def varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return a varint at a place, and the place after it.

    Raises
    ------
    ValueError
        If the message ends within it, or it is too long.
    """
    value = 0
    for k, byte in enumerate(message[place : place + _LONGEST]):
        value |= (byte & 127) << 7 * k
        if byte < 128:
            return value, place + k + 1
    raise ValueError("a number that does not end")


def texts(message: memoryview, number: int) -> list[str]:
    """Return the texts of a repeated field."""
    return [bytes(value).decode() for value in parts(message, number)]


def parts(message: memoryview, number: int) -> list[memoryview]:
    """Return the bytes of each occurrence of a field; others of its number are left out."""
    return [value for one, value in fields(message) if one == number and not isinstance(value, int)]


def whole(message: memoryview, number: int, default: int = 0) -> int:
    """Return the last number in a field, or a default."""
    found = [value for one, value in fields(message) if one == number and isinstance(value, int)]
    return found[-1] if found else default

"""Options as objects: their values are checked when they are built."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from .errors import InputError


def check_types(options: Any) -> None:
    """Check the values of a dataclass against its fields' types, strictly.

    Raises
    ------
    InputError
        If a value has another type; the message names the field.
    """
    for name, adapter in _adapters(type(options)).items():
        value = getattr(options, name)
        try:
            adapter.validate_python(value, strict=True)
        except ValidationError as error:
            message = error.errors()[0]["msg"]
            expected = message.removeprefix("Input should be ")
            if expected == message:
                expected = get_type_hints(type(options))[name]
            text = f"{name.replace('_', ' ')} {value!r:.60}: expected {expected}"
            raise InputError(text) from error


def check_seed(seed: object) -> None:
    """Check a seed.

    Raises
    ------
    InputError
        If it is not a whole number from 0 that fits into 64 bits.
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**64:
        raise InputError(f"seed {seed!r:.60}: expected a whole number, 0 or more, below 2**64")


@lru_cache(maxsize=32)
def _adapters(kind: type) -> dict[str, TypeAdapter]:
    hints = get_type_hints(kind)
    return {field.name: TypeAdapter(hints[field.name]) for field in fields(kind)}

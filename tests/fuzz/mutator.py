"""Seeded mutations of files: of their bytes, and of the values in JSON."""

from __future__ import annotations

import copy
import json
import random
from typing import Any, Literal

Kind = Literal["bytes", "json", "jsonl"]

NASTY: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**64, -(2**63) - 1, 10**30, 10**400),
    *(0.5, -0.0, 1e308, -1e308, float("nan"), float("inf"), 5e-324),
    *(
        "",
        " ",
        "\0",
        "\ud800",
        "a" * 5000,
        "../../x",
        "/etc/passwd",
        "[/b]",
        "\x1b[2J",
        "nan",
        "13",
    ),
    *([], {}, [[]], [{}], {"": {}}, [None] * 50, [[0, 0]] * 3, [1, 2, 3, 4, 5, 6], {"id": 1}),
]


def deep(levels: int) -> list:
    """Return a list in a list in a list."""
    made: list = []
    for _ in range(levels):
        made = [made]
    return made


def mutated(content: bytes, rng: random.Random, kind: Kind) -> bytes:
    """Return a file's content, changed in one to four ways."""
    if kind != "bytes" and rng.random() < 0.8:
        try:
            if kind == "json":
                return _json(content, rng)
            lines = content.split(b"\n")
            place = rng.randrange(max(1, len(lines) - 1))
            lines[place] = _json(lines[place], rng)
            return b"\n".join(lines)
        except RecursionError:  # deep in deep cannot be written
            return b"[" * 3000 + content
    return _bytes(content, rng)


def _bytes(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(changed) + 1)
        if rng.random() < 0.5:  # headers are at the beginning
            place = min(place, rng.randrange(200))
        length = rng.choice((1, 1, 2, 4, 8, 64, 1000))
        kind = rng.randrange(6)
        if kind == 0:
            changed[place : place + length] = rng.randbytes(length)
        elif kind == 1:
            changed[place : place + length] = bytes([rng.choice((0, 255, 127, 128))]) * length
        elif kind == 2:
            del changed[place : place + length]
        elif kind == 3:
            changed[place:place] = changed[place : place + length]
        elif kind == 4:
            del changed[place:]
        elif place < len(changed):
            changed[place] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _json(content: bytes, rng: random.Random) -> bytes:
    value: Any = json.loads(content)
    for _ in range(rng.randint(1, 3)):
        holder, key = _place(value, rng)
        kind = rng.randrange(8)
        if holder is None:
            value = copy.deepcopy(rng.choice(NASTY))
        elif kind == 0 and isinstance(holder, dict):
            del holder[key]
        elif kind == 0:
            holder.append(json.loads(json.dumps(holder[key])))
        elif kind == 1 and isinstance(holder, dict):
            holder[rng.choice(("", "id", "\ud800", "a" * 300))] = holder.pop(key)
        elif kind == 2:
            other, name = _place(value, rng)
            holder[key] = json.loads(json.dumps(other[name])) if other is not None else None
        elif kind == 3:
            holder[key] = deep(rng.choice((5, 50, 200, 900)))
        else:
            holder[key] = copy.deepcopy(rng.choice(NASTY))
    text = json.dumps(value)
    if rng.random() < 0.05:
        text = "[" * 100_000 + text
    if rng.random() < 0.05:
        text = text.replace("1", "1" * 5000, 1)
    return text.encode()


def _place(value: Any, rng: random.Random) -> tuple[Any, Any]:
    """Return a container and a key in it, at a random depth."""
    holder, key = None, None
    while isinstance(value, dict | list) and value:
        holder = value
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        value = value[key]
        if rng.random() < 0.15:
            break
    return holder, key

"""Fewer bytes for the same screen: colours are not sent again while they stay as they are.

Rich sends every cell's colours in full, and resets them after it.
"""

from __future__ import annotations

import re
from functools import lru_cache

_PEN = re.compile(r"\x1b\[([\d;]*)m")
_COLOUR = re.compile(r"([34]8);(2;\d+;\d+;\d+|5;\d+)|(3[0-79]|9[0-7])|(4[0-79]|10[0-7])|(\d+)")


class Thrift:
    """Takes out of a terminal's output what would change nothing.

    The pen (colours and styles) is followed from one text to the next.
    """

    def __init__(self) -> None:
        self._pen = ""  # as the terminal has it; empty without colours and styles

    def take(self, text: str) -> str:
        """Return a text that shows the same."""
        kept, wanted, place = [], self._pen, 0
        for found in _PEN.finditer(text):
            if found.start() > place:
                kept += [self._turn(wanted), text[place : found.start()]]
            place = found.end()
            codes = found[1]
            wanted = "" if codes in ("", "0") else f"{wanted};{codes}" if wanted else codes
        # Last, the pen itself: what others write next begins with it.
        return "".join([*kept, self._turn(wanted), text[place:]])

    def _turn(self, pen: str) -> str:
        """Return what makes the terminal's pen another one, the shortest way."""
        if pen == self._pen:
            return ""
        before, after = _parts(self._pen), _parts(pen)
        self._pen = pen
        if not pen:
            return "\x1b[0m"
        if before[2] != after[2]:
            return f"\x1b[0;{pen}m"
        codes = [now for was, now in zip(before[:2], after[:2], strict=True) if was != now]
        return f"\x1b[{';'.join(codes)}m" if codes else ""


@lru_cache(maxsize=50_000)
def _parts(pen: str) -> tuple[str, str, str]:
    """Return a pen's colour, its ground and its styles, as codes."""
    colour, ground, styles = "39", "49", []
    for found in _COLOUR.finditer(pen):
        if found[1] == "38" or found[3]:
            colour = found[0]
        elif found[1] == "48" or found[4]:
            ground = found[0]
        elif found[5] == "0":
            colour, ground, styles = "39", "49", []
        else:
            styles.append(found[5])
    return colour, ground, ";".join(styles)

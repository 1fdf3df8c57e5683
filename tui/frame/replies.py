"""What a terminal answers, told apart from what a person types."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from textual.message import Message

PATIENCE_S = 3.0
"""Seconds to wait for the terminal's answers."""

CELL = (10, 20)
"""Pixels per cell of a terminal that does not say."""

_GAP_S = 2.0  # within a sequence that a network cuts in pieces

_SEQUENCE = re.compile(
    rb"\x1b\[(?P<parameters>[0-?]*)[ -/]*(?P<final>[@-~])|\x1b_G(?P<graphics>[^\x1b]*)\x1b\\"
)
_BEGUN = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|_(?:G[^\x1b]*\x1b?)?)\Z")
_FENCE = re.compile(rb"\x1b\[\?[\d;]*c")
_CELL = re.compile(rb"\x1b\[6;(\d+);(\d+)t")

# Of the sequences with parameters: keys, the mouse, a paste, whether the terminal has a mode
# (Textual asks), its new size.
_WANTED = re.compile(
    rb"\x1b\[(?:[\d:;]*[A-HP-SZu~]|<[-\d;]*[mM]|[-\d;]*M|\?[\d;]*\$y|48;[\d:;]*t|[@-~])"
)


@dataclass(frozen=True)
class Terminal:
    """What a terminal can do.

    Attributes
    ----------
    sixel, kitty : bool
        Whether it shows pixels, by either protocol.
    cell : (width, height)
        Pixels per cell.
    """

    sixel: bool = False
    kitty: bool = False
    cell: tuple[int, int] = CELL


class Answered(Message):
    """The terminal has said what it can do."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self.terminal = terminal


def questions() -> str:
    """Return what asks a terminal for its graphics, its cells' size, and last its attributes.

    Every terminal answers the last one, and answers in order: it is the fence behind which
    nothing is to come.
    """
    graphics = "\x1b_Gi=1,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
    if "TMUX" in os.environ:  # it would take this for the window's title
        graphics = ""
    return f"{graphics}\x1b[16t\x1b[c"


class Replies:
    """Takes a terminal's replies out of its input.

    All input is held until the fence is answered or the wait is over. A late reply is taken out
    too, and a sequence that was cut in pieces is put together, so that none becomes keys.

    Parameters
    ----------
    now : float
        When the terminal was asked, in seconds.
    cell : (width, height), optional
        Pixels per cell, if the terminal does not say.

    Attributes
    ----------
    terminal : Terminal
        What the terminal has answered so far.
    """

    def __init__(self, now: float, cell: tuple[int, int] = CELL) -> None:
        self.terminal = Terminal(cell=cell)
        self._fence: float | None = now + PATIENCE_S  # None once it is answered, or the wait over
        self._held, self._since = b"", now
        self._escaped = False

    @property
    def waiting(self) -> bool:
        """Whether the fence is still to be answered."""
        return self._fence is not None

    def take(self, data: bytes, now: float) -> bytes:
        """Return what of the input, and of what was held, is not a reply.

        Parameters
        ----------
        data : bytes
            New input; empty if there is none, to pass on what has been held for too long.
        now : float
            Seconds.
        """
        if not self._held:
            self._since = now
        text = self._held + data
        if self._fence is not None:
            if not _FENCE.search(text) and now < self._fence:
                self._held = text
                return b""
            self._fence = None
        # Escape alone is a key, and passes; what follows may show that it began a sequence.
        joined = self._escaped and text.startswith((b"[", b"_")) and len(text) > 1
        text = b"\x1b" * joined + text
        begun = _BEGUN.search(text)
        self._held = begun[0] if begun else b""
        whole = text[: begun.start()] if begun else text
        if whole:
            self._since = now
        elif now - self._since >= _GAP_S:  # its rest never came
            self._held = b""
        self._read(whole)
        kept = _SEQUENCE.sub(lambda found: found[0] if _WANTED.fullmatch(found[0]) else b"", whole)
        if text:
            self._escaped = kept.endswith(b"\x1b")
        return kept.removeprefix(b"\x1b" * joined)

    def _read(self, text: bytes) -> None:
        """Note the answers in a text."""
        sixel, kitty, cell = self.terminal.sixel, self.terminal.kitty, self.terminal.cell
        for found in _SEQUENCE.finditer(text):
            if _FENCE.fullmatch(found[0]):
                sixel = b"4" in found["parameters"][1:].split(b";")
            elif size := _CELL.fullmatch(found[0]):
                cell = (int(size[2]) or cell[0], int(size[1]) or cell[1])
            elif found["graphics"] is not None:
                kitty = found["graphics"].endswith(b";OK")
        self.terminal = Terminal(sixel, kitty, cell)

"""Terminals that answer late, in pieces, or never: no reply is read as keys, and no key is lost."""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time
from pathlib import Path

import pytest

from salprobe.annotate.review.journal import Review
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.tui.frame.replies import PATIENCE_S, Replies, questions

ATTRIBUTES = {
    "xterm": b"\x1b[?64;1;2;6;9;15;16;17;18;21;22;28c",
    "windows": b"\x1b[?61;4;6;7;14;21;22;23;24;28;32;42;52c",
    "tmux": b"\x1b[?1;2c",
    "iterm": b"\x1b[?62;4c",
    "kitty": b"\x1b[?62;c",
}
CELL = b"\x1b[6;20;9t"
SIXEL, PLACE = b"\x1bP", "\U0010eeee".encode()  # how pixels are shown
GRAPHICS = b"\x1b_Gi=1,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
KITTY = b"\x1b_Gi=1;OK\x1b\\"
OTHERS = [CELL, KITTY, b"\x1b_Gi=1;ENOTSUPPORTED:no\x1b\\", b"\x1b[?2026;2$y", b"\x1b[>1;10;0c"]
# What Textual understands: letters, arrows, function keys, the mouse, focus, a paste, Kitty's keys.
KEYS = [b"5", b"\x1b[A", b"\x1bOP", b"\x1b[15~", b"\x1b[1;5C", b"\x1b[<35;20;10M", b"\x1b[I"]
KEYS += [b"\x1b[200~a cat\x1b[201~", b"\x1b[53;;53u", b"\x1b[Z", "ü".encode(), b"\x1b\x1b[B"]


def answered() -> Replies:
    """Return replies whose fence is behind them."""
    replies = Replies(0.0)
    assert replies.take(ATTRIBUTES["tmux"], 0.1) == b""
    assert not replies.waiting
    return replies


def visible(text: bytes) -> bytes:
    """Return a text without the reports that Textual asks for and knows."""
    return text.replace(b"\x1b[?2026;2$y", b"")


def test_nothing_passes_before_the_fence_and_nothing_typed_is_lost() -> None:
    replies = Replies(0.0)
    for k, data in enumerate((b"5", KITTY + b"6", CELL[:4], CELL[4:] + b"\x1b[A")):
        assert replies.take(data, k / 10) == b""
    assert replies.take(ATTRIBUTES["iterm"] + b"7", 1.0) == b"56\x1b[A7"
    assert (replies.terminal.sixel, replies.terminal.kitty) == (True, True)
    assert replies.terminal.cell == (9, 20)


@pytest.mark.parametrize(("name", "sixel"), [("xterm", False), ("windows", True), ("tmux", False)])
def test_what_the_terminal_says_it_can(name: str, sixel: bool) -> None:
    replies = Replies(0.0, cell=(8, 16))
    replies.take(OTHERS[2] + ATTRIBUTES[name], 0.1)
    assert (replies.terminal.sixel, replies.terminal.kitty) == (sixel, False)
    assert replies.terminal.cell == (8, 16)


def test_a_terminal_that_never_answers_is_waited_for_once() -> None:
    replies = Replies(0.0)
    assert replies.take(b"5", PATIENCE_S - 0.1) == b""
    assert replies.take(b"", PATIENCE_S) == b"5"
    assert replies.take(b"6", PATIENCE_S + 0.1) == b"6"


@pytest.mark.parametrize("reply", [*ATTRIBUTES.values(), *OTHERS])
def test_a_late_reply_in_two_pieces_is_no_keys(reply: bytes) -> None:
    for cut in range(len(reply) + 1):
        replies = answered()
        said = replies.take(b"5" + reply[:cut], 5.0) + replies.take(b"", 5.4)
        said += replies.take(reply[cut:] + b"6", 5.5) + replies.take(b"7", 5.6)
        # Escape alone is a key, which cannot wait; nothing hangs on it.
        assert visible(said).replace(b"\x1b", b"") == b"567", (reply, cut)


@pytest.mark.parametrize("key", KEYS)
def test_keys_pass_at_once_whole_or_in_pieces(key: bytes) -> None:
    assert answered().take(key, 5.0) == key
    for cut in range(1, len(key)):
        replies = answered()
        assert replies.take(key[:cut], 5.0) + replies.take(key[cut:], 5.1) == key


def test_a_reply_whose_rest_never_comes_is_dropped() -> None:
    replies = answered()
    assert replies.take(b"\x1b[?64;1", 5.0) == b""
    assert replies.take(b"", 6.9) == replies.take(b"", 7.0) == b""
    assert replies.take(b"5", 7.1) == b"5"


class Late:
    """`annotate review` in a terminal that answers after a delay, maybe in two pieces."""

    def __init__(self, words: list[str], name: str, delay: float, cut: float) -> None:
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.environ.pop("TMUX", None)
            os.execv(words[0], words)
        size = struct.pack("HHHH", 30, 100, 0, 0)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, size)
        self.answers = {b"\x1b[c": ATTRIBUTES[name], b"\x1b[16t": CELL, b"\x1b[?2026$p": OTHERS[3]}
        if name == "kitty":
            self.answers[GRAPHICS] = KITTY
        self.delay, self.cut = delay, cut
        self.waiting: list[tuple[float, bytes]] = []
        self.shown, self.replied = b"", 0

    def step(self) -> bool:
        """Read what is shown, answer what is due; return whether the review still runs."""
        if select.select([self.terminal], [], [], 0.01)[0]:
            try:
                shown = os.read(self.terminal, 65536)
            except OSError:
                return False
            self.shown += shown
            for question in sorted(self.answers, key=shown.find):
                if question in shown:
                    answer, due = self.answers[question], time.monotonic() + self.delay
                    half = len(answer) // 2 if self.cut else len(answer)
                    pieces = [(due, answer[:half]), (due + self.cut, answer[half:])]
                    self.waiting += [piece for piece in pieces if piece[1]]
        while self.waiting and self.waiting[0][0] <= time.monotonic():
            self.type(self.waiting.pop(0)[1])
            self.replied += 1
        return True

    def type(self, keys: bytes) -> None:
        os.write(self.terminal, keys)

    def until(self, text: bytes) -> None:
        """Go on until a text has been shown."""
        end = time.monotonic() + 30
        while text not in self.shown:
            assert self.step() and time.monotonic() < end, self.shown[-2000:]

    def end(self) -> None:
        """Go on until the review ends."""
        while self.step():
            pass
        os.close(self.terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1]) == 0


CASES = [(name, delay, 0.0) for delay in (0.02, 0.25, 0.5, 1.0) for name in ATTRIBUTES]
CASES += [("xterm", 0.5, 0.3), ("tmux", 1.0, 1.0), ("iterm", PATIENCE_S + 0.5, 0.3)]
QUICK = [("iterm", 0.02, 0.0), ("kitty", 0.25, 0.0), ("xterm", 0.5, 0.3)]


@pytest.mark.parametrize(
    ("name", "delay", "cut"),
    [pytest.param(*case, marks=[] if case in QUICK else pytest.mark.slow) for case in CASES],
)
def test_no_reply_becomes_a_label_and_no_key_is_lost(
    small_world: Path, tmp_path: Path, name: str, delay: float, cut: float
) -> None:
    content = MaskSet.read(small_world / "masks.json").to_dict()
    content["categories"].append({"id": 13, "name": "unlabelled"})
    for region in content["annotations"]:
        region["category_id"] = 13
    path = tmp_path / "masks.json"
    MaskSet.from_dict(content).write(path)
    program = str(Path(sys.executable).with_name("annotate"))
    words = [program, "review", str(path), "--root", str(small_world)]
    late = Late(words, name, delay, cut)
    late.until(b"0/12")
    while late.waiting or not late.replied:
        assert late.step()
    late.type(b"56")  # as soon as the last reply is there
    late.until(b"2 of 12 labelled")
    late.until({"windows": SIXEL, "iterm": SIXEL, "kitty": PLACE}.get(name, "▀".encode()))
    late.type(b"q")
    late.end()
    assert [edit.what for edit in Review(path).editor.done] == ["object", "text"]
    saved = [one["category_id"] for one in json.loads(path.read_text())["annotations"]]
    assert saved == [5, 6, *[13] * 10]


def test_in_tmux_the_graphics_are_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes that question for the title of its window."""
    monkeypatch.setenv("TMUX", "/tmp/tmux,1,0")
    assert questions() == "\x1b[16t\x1b[c"
    monkeypatch.delenv("TMUX")
    assert questions().encode() == GRAPHICS + b"\x1b[16t\x1b[c"

"""Output without what changes nothing: the same cells, by a terminal as simple as can be."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from salprobe.tui.frame.picture import calmed, changes
from salprobe.tui.frame.thrift import Thrift

TOKEN = re.compile(r"\x1b\[([\d;]*)m|\x1b\[[\d;]*H|(.)", re.S)


def shown(text: str) -> list[tuple[str, tuple]]:
    """Return each letter with its pen, code by code."""
    pen: dict[str, str] = {}
    letters = []
    for found in TOKEN.finditer(text):
        if found[1] is not None:
            codes = (found[1] or "0").split(";")
            while codes:
                code = codes.pop(0)
                if code in ("38", "48"):
                    count = 4 if codes[0] == "2" else 2
                    pen[code], codes = ";".join(codes[:count]), codes[count:]
                elif code in ("39", "49"):
                    pen.pop(f"{code[0]}8", None)
                elif code == "0":
                    pen.clear()
                elif len(code) == 1:
                    pen[f"style {code}"] = ""
                else:
                    pen["38" if code[0] in "39" else "48"] = code
        elif found[2]:
            letters.append((found[2], tuple(sorted(pen.items()))))
    return letters


colours = st.sampled_from(["38;2;1;2;3", "38;5;7", "31", "97"])
grounds = st.sampled_from(["48;2;1;2;3", "48;2;200;2;3", "48;5;7", "41", "107"])
pens = st.one_of(
    st.tuples(colours, grounds).map(";".join),
    st.tuples(st.sampled_from(["1", "3", "1;4"]), grounds).map(";".join),
    colours,
    st.just("0"),
    st.just(""),
)
parts = st.one_of(pens.map("\x1b[{}m".format), st.sampled_from(["▀", "a b", "\x1b[2;7H", "\n"]))


@given(st.lists(st.lists(parts, max_size=12).map("".join), max_size=4))
def test_every_cell_looks_the_same(texts: list[str]) -> None:
    thrift = Thrift()
    taken = [thrift.take(text) for text in texts]
    assert shown("".join(taken)) == shown("".join(texts))
    # What others write after it, unseen by us, begins with the same pen.
    assert shown("".join(taken) + "x") == shown("".join(texts) + "x")


def test_a_colour_that_stays_is_sent_once() -> None:
    row = "\x1b[38;2;9;9;9;48;2;1;1;1m▀\x1b[0m\x1b[38;2;9;9;9;48;2;5;5;5m▀\x1b[0m"
    assert Thrift().take(row) == "\x1b[38;2;9;9;9;48;2;1;1;1m▀\x1b[48;2;5;5;5m▀\x1b[0m"


def test_only_what_differs_in_a_line_is_drawn() -> None:
    red, blue = Style.parse("red"), Style.parse("blue")

    def strip(text: str) -> Strip:
        return Strip([Segment("▀", red if one == "r" else blue) for one in text])

    before = [strip("rrrrr"), strip("rrrrr"), strip("rrrrr")]
    assert changes(before, [strip("rrrrr"), strip("rbrbr"), strip("rrrrb")]) == [
        (1, 1, 3),
        (2, 4, 1),
    ]
    assert changes(before, before) == []
    assert changes(before, before[:2]) is None
    assert changes(before, [strip("rrr")] * 3) is None
    assert changes([], before) is None


def test_no_pixel_changes_so_much_that_it_is_seen() -> None:
    pixels = np.random.default_rng(0).integers(100, 112, (20, 30, 3)).astype(np.uint8)
    calm = calmed(pixels)
    assert np.abs(calm - pixels.astype(int)).max() <= 4 + 3
    ramp = np.arange(0, 240, 2).astype(np.uint8)[None, :, None].repeat(3, axis=2)
    same = (calmed(ramp)[:, 1:] == calmed(ramp)[:, :-1]).all(axis=2)
    assert 0.4 < same.mean() < 0.8  # a slope stays one

"""The keys of the label review."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from ..frame.app import TextApp

CATEGORIES = "1234567890-="
"""Keys of the first twelve categories."""

BINDINGS: list[BindingType] = [
    Binding("question_mark", "help", "Keys", key_display="?", tooltip="this list"),
    Binding("q", "leave", "Quit", tooltip="save and quit"),
    Binding("tab", "open", "Unlabelled", priority=True, tooltip="next region without a label"),
    Binding("j,down", "region(1)", "Region", key_display="jk", tooltip="next, previous region"),
    Binding("k,up", "region(-1)", "", show=False, system=True),
    Binding(
        *("right_square_bracket", "image(1)", "Image"),
        key_display="][",
        tooltip="next, previous image",
    ),
    Binding("left_square_bracket", "image(-1)", "", show=False, system=True),
    Binding("n", "match(1)", "next match of the filter", show=False),
    Binding("N", "match(-1)", "previous match", show=False),
    Binding("u", "undo", "Undo", tooltip="undo, earlier days too"),
    Binding("r", "redo", "redo", show=False),
    Binding("backspace", "label('unlabelled')", "remove the label", show=False),
    Binding("l", "pick", "pick a category by name", show=False),
    Binding("a", "accept", "Accept", tooltip="accept the suggestion"),
    Binding("t", "take", "the second person's label", show=False),
    Binding("exclamation_mark", "unsure", "unsure, or no longer", show=False, key_display="!"),
    Binding("e", "note", "write a note", show=False),
    Binding("s", "split", "split by groups of fixations", show=False),
    Binding("m", "merge", "merge with the next region", show=False),
    Binding("x", "delete", "delete the region", show=False),
    Binding("c", "draw", "New", tooltip="new region, or drag the mouse"),
    Binding("o", "outline", "Outline", tooltip="change the outline"),
    Binding("z", "zoom", "Zoom", tooltip="zoom to the region, and out"),
    Binding("d", "dots", "show or hide the fixations", show=False),
    Binding("p", "path", "show or hide scanpaths", show=False),
    Binding(
        *("greater_than_sign", "subject(1)", "next, previous subject"),
        show=False,
        key_display="><",
    ),
    Binding("less_than_sign", "subject(-1)", "", show=False, system=True),
    Binding("space", "replay", "replay scanpaths", show=False),
    Binding("b", "board", "Board", tooltip="board: counts, thumbnails"),
    Binding("slash", "search", "search by name", show=False, key_display="/"),
    TextApp.LOOK,
    Binding("f", "filter", "Filter", tooltip="filter the images"),
]

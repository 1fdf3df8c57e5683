"""Colours that are seen: on the dark and on the light theme, and letters on every colour."""

import re

import pytest

from salprobe.datasets.categories import COLOURS
from salprobe.tui.frame.shades import SEEN, THEMES, contrast, legible, on, sequential


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#ffffff", "#000000") == 21
    assert contrast("#000000", "#ffffff") == 21
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # a published example


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_categories_are_seen_and_told_apart(theme) -> None:
    shown = {name: legible(colour, theme.dark) for name, colour in COLOURS.items()}
    assert len(set(shown.values())) == len(COLOURS)
    for colour in shown.values():
        for ground in (theme.background, theme.surface, theme.panel):
            assert contrast(colour, ground) >= SEEN


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_text_is_read_on_every_ground(theme) -> None:
    for ground in (theme.background, theme.surface, theme.panel):
        assert contrast(theme.foreground, ground) >= 7
        assert contrast(theme.primary, ground) >= 4.5
        assert contrast(theme.accent, ground) >= 4.5


def test_letters_are_read_on_the_categories_and_the_scale() -> None:
    styles = [on(*(int(colour[k : k + 2], 16) for k in (1, 3, 5))) for colour in COLOURS.values()]
    styles += [sequential(value / 10) for value in range(31)]
    for style in styles:
        letters, red, green, blue = re.fullmatch(
            r"(#\w+) on rgb\((\d+),(\d+),(\d+)\)", style
        ).groups()
        ground = f"#{int(red):02x}{int(green):02x}{int(blue):02x}"
        assert contrast(letters, ground) >= 4.5


def test_a_colour_that_is_seen_stays_as_it_is() -> None:
    assert legible("#ff7f00", dark=True) == "#ff7f00"
    assert legible("#1f78b4", dark=False) == "#1f78b4"

"""A picture of gaze on a few stimuli, to see whether it lies where it should."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...datasets.errors import InputError
from ...datasets.files import atomic_write
from ...datasets.fixations import Fixations
from ...datasets.stimuli import Stimuli, Stimulus
from ...datasets.texts import printable

_WIDTH, _CAPTION, _MARGIN = 480, 24, 10
_COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#42d4f4", "#f032e6", "#bfef45")
_SUFFIXES = (".png", ".jpg", ".jpeg")


def write_gaze_picture(
    stimuli: Stimuli, fixations: Fixations, target: Path, count: int = 3
) -> list[Stimulus]:
    """Draw fixations on stimuli side by side, a colour for each subject.

    Parameters
    ----------
    stimuli : Stimuli
    fixations : Fixations
    target : Path
        A .png or .jpg file.
    count : int
        How many stimuli: the one with the most fixations, the one with the fewest, and others at
        equal steps between.

    Returns
    -------
    list of Stimulus
        Those that were drawn.

    Raises
    ------
    InputError
        If an image cannot be read, or the file cannot be written.
    """
    if target.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{target}: expected a name that ends in {', '.join(_SUFFIXES)}")
    seen = [(len(fixations.of(stimulus.id)), stimulus) for stimulus in stimuli]
    ranked = sorted((pair for pair in seen if pair[0]), key=lambda pair: -pair[0])
    steps = np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int)
    drawn = [ranked[k][1] for k in steps]
    who = {name: k for k, name in enumerate(np.unique(fixations.subject).tolist())}
    panels = [_panel(stimuli, one, fixations.of(one.id), who) for one in drawn]
    height = max(panel.height for panel in panels)
    width = len(panels) * (_WIDTH + _MARGIN) + _MARGIN
    sheet = Image.new("RGB", (width, height + 2 * _MARGIN), "white")
    for k, panel in enumerate(panels):
        sheet.paste(panel, (_MARGIN + k * (_WIDTH + _MARGIN), _MARGIN))
    content = io.BytesIO()
    sheet.save(content, format="PNG" if target.suffix.lower() == ".png" else "JPEG")
    with atomic_write(target) as file:
        file.write(content.getvalue())
    return drawn


def _panel(
    stimuli: Stimuli, stimulus: Stimulus, looked: Fixations, who: dict[object, int]
) -> Image.Image:
    scale = _WIDTH / stimulus.width
    height = max(1, round(stimulus.height * scale))
    panel = Image.new("RGB", (_WIDTH, height + _CAPTION), "white")
    picture = stimuli.read(stimulus).resize((_WIDTH, height), Image.Resampling.LANCZOS)
    panel.paste(picture, (0, 0))
    pen = ImageDraw.Draw(panel)
    for subject, x, y in zip(looked.subject.tolist(), looked.x, looked.y, strict=True):
        at = float((x + 0.5) * scale), float((y + 0.5) * scale)
        colour = _COLOURS[who[subject] % len(_COLOURS)]
        pen.circle(at, 5, fill=colour, outline="white", width=1)
    people = len(np.unique(looked.subject))
    caption = f"{printable(stimulus.file_name)}: {len(looked)} fixations of {people} subjects"
    font = ImageFont.load_default(14)
    while caption and pen.textlength(caption, font) > _WIDTH:
        caption = f"{caption[: len(caption) * 9 // 10 - 1]}…"
    pen.rectangle((0, height, _WIDTH, height + _CAPTION), fill="white")
    pen.text((2, height + 3), caption, "black", font)
    return panel

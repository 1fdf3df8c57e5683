"""A contact sheet of all arrays: a row per feature, ordered by difference."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ...datasets.errors import InputError
from ...datasets.files import atomic_write
from ...datasets.masks.mask_set import MaskSet
from ...datasets.stimuli import Popout, Stimuli, Stimulus

_WIDTH, _CAPTION, _MARGIN, _LABEL = 240, 20, 6, 120


def write_sheet(masks: MaskSet, folder: Path, target: Path) -> None:
    """Draw the contact sheet of a folder of arrays as .png, .jpg or .pdf, by the target's suffix.

    Raises
    ------
    InputError
        If an image cannot be read or is not an array, or the sheet cannot be written.
    """
    rows: dict[str, list[tuple[Popout, Stimulus]]] = {}
    for image in masks.images:
        about = image.popout
        if about is None:
            raise InputError(f"{image.file_name}: not an array of `annotate popout`")
        rows.setdefault(about.feature if about.target else "catch", []).append((about, image))
    shape = masks.images[0].height / masks.images[0].width
    height = round(_WIDTH * shape)
    columns = max(len(entries) for entries in rows.values())
    sheet = Image.new(
        "RGB",
        (
            _LABEL + columns * (_WIDTH + _MARGIN),
            len(rows) * (height + _CAPTION + _MARGIN) + _MARGIN,
        ),
        "white",
    )
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    stimuli = Stimuli(folder, tuple(masks.images))
    for row, (name, entries) in enumerate(sorted(rows.items())):
        top = _MARGIN + row * (height + _CAPTION + _MARGIN)
        pen.text((_MARGIN, top + height / 2), name, "black", font)
        entries.sort(key=lambda array: array[0].contrast or 0)
        for column, (about, image) in enumerate(entries):
            left = _LABEL + column * (_WIDTH + _MARGIN)
            picture = stimuli.read(image).resize((_WIDTH, height), Image.Resampling.LANCZOS)
            sheet.paste(picture, (left, top))
            caption = f"{about.difference:.3g} {about.unit}, {about.items} items"
            pen.text((left, top + height + 1), caption, "black", font)
    with atomic_write(target) as file:
        kind = Image.registered_extensions().get(target.suffix.lower(), "PNG")
        sheet.save(file, format=kind)

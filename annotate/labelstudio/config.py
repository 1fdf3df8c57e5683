"""A project's labelling interface and instructions."""

from __future__ import annotations

import colorsys
from html import escape
from xml.etree import ElementTree

from ...datasets.categories import CATEGORIES, COLOURS, UNLABELLED
from ...datasets.errors import InputError
from ...datasets.masks.annotation import RLE
from ...datasets.masks.mask_set import MaskSet

OUTLINE, MASK, IMAGE = "outline", "mask", "image"
"""Names of the polygon tool, the brush tool and the image."""

_HOTKEYS = "1234567890qwe"

_EXAMPLES = {
    "person head": "a face, or the back of a head",
    "person part": "a hand on a cup; a body without its head",
    "animal head": "a dog's snout",
    "animal part": "a cat's paw; a whole bird too small to tell its head",
    "object": "a lamp, a ball, a phone",
    "text": "a shop's name, a page, a number plate",
    "symbol": "a logo, a traffic sign without words, an arrow",
    "vehicle": "a car, a bicycle, a boat",
    "food": "a cake, fruit in a bowl",
    "plant": "a flower, a tree",
    "drink": "a glass of juice, a bottle of water",
    "other": "sky, water, a shadow: none of the above",
}


def label_config(masks: MaskSet) -> str:
    """Return the labelling interface as XML: a label for each category, and ``unlabelled``.

    There is a brush only if a mask needs it (for holes), because it shows every label twice.
    """
    view = ElementTree.Element("View")
    ElementTree.SubElement(
        view, "Image", name=IMAGE, value="$image", zoom="true", zoomControl="true"
    )
    tools = [("PolygonLabels", OUTLINE, {"strokeWidth": "3", "pointSize": "small"})]
    if any(isinstance(region.segmentation, RLE) for region in masks.annotations):
        tools.append(("BrushLabels", MASK, {}))
    names = [*masks.category_names(), UNLABELLED]
    for tag, tool, options in tools:
        labels = ElementTree.SubElement(view, tag, {"name": tool, "toName": IMAGE, **options})
        for index, name in enumerate(names):
            colour = COLOURS.get(name) or _colour(index / len(names))
            label = ElementTree.SubElement(labels, "Label", value=name, background=colour)
            if tool == OUTLINE and index < len(_HOTKEYS):
                label.set("hotkey", _HOTKEYS[index])
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode")


def labels_of(config: str) -> dict[str, set[str]]:
    """Return the labels of a labelling interface (XML), by the name of the tool.

    Raises
    ------
    InputError
        If it is no labelling interface.
    """
    from label_studio_sdk.label_interface.interface import LabelInterface

    try:
        controls = list(LabelInterface(config).controls)
        return {control.name: set(control.labels or ()) for control in controls}
    except Exception as error:  # the SDK's parser raises almost anything
        raise InputError(
            f"the project's labelling interface cannot be read: {error!r:.80}"
        ) from error


def instructions(masks: MaskSet) -> str:
    """Return the annotators' instructions as HTML, with an example for each category."""
    rows = []
    for index, name in enumerate(masks.category_names()):
        key = f" ({_HOTKEYS[index]})" if index < len(_HOTKEYS) else ""
        example = _EXAMPLES.get(name, "") if name in CATEGORIES else ""
        rows.append(f"<li><b>{escape(name)}</b>{key}{': ' if example else ''}{example}</li>")
    return (
        "<p>Each outline surrounds a place that people looked at. Select it and press the key for "
        "what it shows; if it shows several things, choose the largest. You may move, reshape, "
        "delete and add outlines. Then submit; use <i>unlabelled</i> for what you leave "
        f"open.</p><ul>{''.join(rows)}</ul>"
    )


def _colour(hue: float) -> str:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.7, 0.9))
    return f"#{red:02x}{green:02x}{blue:02x}"

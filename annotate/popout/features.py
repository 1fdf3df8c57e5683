"""What makes the target stand out: a function for each feature of Healey & Enns (2012, Table 1).

Each takes the strength of the difference (above 0 and at most 1) and a random generator, and
returns the target, the kinds of distractor, and the difference as a number with its unit. Lengths
are in units of the item's size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from skimage.color import lab2rgb

from . import shapes

GREY = (0.5, 0.5, 0.5)
DARK = (0.12, 0.12, 0.12)

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """How an item looks.

    Attributes
    ----------
    shape : callable
        From an item's size in pixels to its `Shape`.
    colour : (r, g, b)
        0 to 1.
    turn : float
        Degrees, clockwise.
    blur : float
        Standard deviation of the edge, in sizes.
    shade : float
        Change of lightness from top to bottom, from -1 to 1.
    spun : bool
        Whether to turn each item by an additional random 0, 90, 180 or 270 degrees.
    """

    shape: Callable[[float], shapes.Shape]
    colour: Colour = DARK
    turn: float = 0.0
    blur: float = 0.0
    shade: float = 0.0
    spun: bool = False


@dataclass(frozen=True)
class Difference:
    """A target among distractors.

    Attributes
    ----------
    target : Look
    distractors : tuple of Look
        One kind, or several for a conjunction.
    amount : float
        Size of the difference.
    unit : str
    """

    target: Look
    distractors: tuple[Look, ...]
    amount: float
    unit: str


@dataclass(frozen=True)
class Feature:
    """A feature that a target can differ in.

    Attributes
    ----------
    name : str
    group : str
        ``colour``, ``form``, ``texture``, ``depth``, or ``control`` if not preattentive.
    make : callable
        From (contrast, generator) to a `Difference`.
    """

    name: str
    group: str
    make: Callable[[float, np.random.Generator], Difference]

    @property
    def preattentive(self) -> bool:
        """Whether people see the target at once, regardless of the number of items."""
        return self.group != "control"


def _lch(lightness: float, chroma: float, hue: float) -> Colour:
    """Return the sRGB colour of CIE LCh(ab)."""
    angle = np.radians(hue)
    lab = [[lightness, chroma * np.cos(angle), chroma * np.sin(angle)]]
    red, green, blue = np.clip(lab2rgb(lab)[0], 0, 1)
    return float(red), float(green), float(blue)


def _disc(size: float) -> shapes.Shape:
    return shapes.disc(0.42 * size)


def _bar(size: float, length: float = 0.95, width: float = 0.24) -> shapes.Shape:
    return shapes.bar(length * size, width * size)


def _two(target: Look, distractor: Look, amount: float, unit: str) -> Difference:
    return Difference(target, (distractor,), float(amount), unit)


def _hue(contrast: float, rng: np.random.Generator) -> Difference:
    hue, sign, amount = rng.uniform(0, 360), rng.choice([-1, 1]), 10 + 140 * contrast
    look = Look(_disc, _lch(62, 38, hue))
    return _two(replace(look, colour=_lch(62, 38, hue + sign * amount)), look, amount, "degrees")


def _saturation(contrast: float, rng: np.random.Generator) -> Difference:
    hue, amount = rng.uniform(0, 360), 4 + 34 * contrast
    more = rng.random() < 0.5
    low, high = _lch(62, 38 - amount, hue), _lch(62, 38, hue)
    look = Look(_disc, low if more else high)
    return _two(replace(look, colour=high if more else low), look, amount, "CIE chroma")


def _luminance(contrast: float, rng: np.random.Generator) -> Difference:
    # All items are lighter than the grey (L* 53), or all are darker.
    amount, light = 4 + 24 * contrast, rng.random() < 0.5
    extreme, nearer = (92, 92 - amount) if light else (12, 12 + amount)
    if rng.random() < 0.5:
        extreme, nearer = nearer, extreme
    look = Look(_disc, _lch(extreme, 0, 0))
    return _two(replace(look, colour=_lch(nearer, 0, 0)), look, amount, "CIE L*")


def _polarity(contrast: float, rng: np.random.Generator) -> Difference:
    # The grey is L* 53; the target is as much lighter as the others are darker, or vice versa.
    amount, sign = 6 + 39 * contrast, rng.choice([-1, 1])
    look = Look(_disc, _lch(53.4 - sign * amount, 0, 0))
    return _two(replace(look, colour=_lch(53.4 + sign * amount, 0, 0)), look, amount, "CIE L*")


def _orientation(contrast: float, rng: np.random.Generator) -> Difference:
    amount, turn = 6 + 84 * contrast, rng.uniform(0, 180)
    look = Look(_bar, turn=turn)
    return _two(replace(look, turn=turn + rng.choice([-1, 1]) * amount), look, amount, "degrees")


def _size(contrast: float, rng: np.random.Generator) -> Difference:
    del rng
    ratio = 1.1 + 0.9 * contrast
    small = Look(lambda size: shapes.disc(0.25 * size))
    return _two(Look(lambda size: shapes.disc(0.25 * ratio * size)), small, ratio, "times")


def _length(contrast: float, rng: np.random.Generator) -> Difference:
    ratio, turn = 1.15 + 0.85 * contrast, rng.uniform(0, 180)
    look = Look(lambda size: _bar(size, 0.5, 0.16), turn=turn)
    target = replace(look, shape=lambda size: _bar(size, 0.5 * ratio, 0.16))
    return _two(target, look, ratio, "times")


def _width(contrast: float, rng: np.random.Generator) -> Difference:
    ratio, turn = 1.2 + 2.3 * contrast, rng.uniform(0, 180)
    look = Look(lambda size: _bar(size, 0.9, 0.13), turn=turn)
    target = replace(look, shape=lambda size: _bar(size, 0.9, 0.13 * ratio))
    return _two(target, look, ratio, "times")


def _curvature(contrast: float, rng: np.random.Generator) -> Difference:
    bend, turn = 25 + 155 * contrast, rng.uniform(0, 360)
    look = Look(lambda size: shapes.arc(0.95 * size, 0.13 * size, 0), turn=turn)
    target = replace(look, shape=lambda size: shapes.arc(0.95 * size, 0.13 * size, bend))
    return _two(target, look, bend, "degrees")


def _form(contrast: float, rng: np.random.Generator) -> Difference:
    del rng
    sides = round(8 - 5 * contrast)  # the polygon has the same area as the discs
    target = Look(lambda size: shapes.polygon(sides, 0.38 * size))
    return _two(target, Look(lambda size: shapes.disc(0.38 * size)), sides, "sides")


def _closure(contrast: float, rng: np.random.Generator) -> Difference:
    gap, turn = 15 + 105 * contrast, rng.uniform(0, 360)
    closed = Look(lambda size: shapes.ring(0.37 * size, 0.12 * size))
    target = Look(lambda size: shapes.ring(0.37 * size, 0.12 * size, gap), turn=turn)
    return _two(target, closed, gap, "degrees")


def _intersection(contrast: float, rng: np.random.Generator) -> Difference:
    # Two bars form an L; in the target they move inwards until they form a +.
    turn, amount = rng.uniform(0, 360), contrast

    def bars(size: float, inwards: float) -> shapes.Shape:
        away = 0.335 * size * (1 - inwards)
        upright = shapes.moved(shapes.box(0.13 * size, 0.8 * size), -away, 0)
        return shapes.joined(upright, shapes.moved(shapes.box(0.8 * size, 0.13 * size), 0, away))

    corner = Look(lambda size: bars(size, 0), turn=turn)
    target = replace(corner, shape=lambda size: bars(size, amount))
    return _two(target, corner, amount, "of the way from L to +")


def _density(contrast: float, rng: np.random.Generator) -> Difference:
    del rng
    few, many = 4, round(5 + 13 * contrast)
    sparse = Look(lambda size: _dots(size, few))
    return _two(Look(lambda size: _dots(size, many)), sparse, many / few, "times")


def _number(contrast: float, rng: np.random.Generator) -> Difference:
    del rng
    count = round(2 + 4 * contrast)
    target = Look(lambda size: _row(size, count + 1))
    return _two(target, Look(lambda size: _row(size, 2)), count + 1, "discs instead of 2")


def _shading(contrast: float, rng: np.random.Generator) -> Difference:
    sign = rng.choice([-1, 1])
    look = Look(_disc, (0.55, 0.55, 0.55), shade=float(sign * contrast))
    return _two(replace(look, shade=-look.shade), look, contrast, "of the range of lightness")


def _fill(contrast: float, rng: np.random.Generator) -> Difference:
    hollow = 0.07
    width = hollow + 0.35 * contrast
    target = Look(lambda size: shapes.outlined(_disc(size), width * size))
    look = Look(lambda size: shapes.outlined(_disc(size), hollow * size))
    if rng.random() < 0.5:
        target, look = look, target
    return _two(target, look, width / hollow, "times the line")


def _blur(contrast: float, rng: np.random.Generator) -> Difference:
    sigma = 0.04 + 0.14 * contrast
    sharp = Look(lambda size: shapes.disc(0.3 * size))
    soft = replace(sharp, blur=sigma)
    target, look = (soft, sharp) if rng.random() < 0.5 else (sharp, soft)
    return _two(target, look, sigma, "sizes")


def _enclosure(contrast: float, rng: np.random.Generator) -> Difference:
    # The target is a disc in a ring, more open at weaker contrasts; the others have no ring.
    span = 360 * contrast
    inner = Look(lambda size: shapes.disc(0.2 * size), turn=rng.uniform(0, 360))

    def enclosed(size: float) -> shapes.Shape:
        around = shapes.ring(0.44 * size, 0.08 * size, 360 - span if span < 359 else 0)
        return shapes.joined(shapes.disc(0.2 * size), around)

    return _two(replace(inner, shape=enclosed), inner, span, "degrees of ring")


def _alignment(contrast: float, rng: np.random.Generator) -> Difference:
    # Two bars end to end; in the target they are shifted sideways.
    offset, turn = 0.08 + 0.4 * contrast, rng.uniform(0, 180)

    def pair(size: float, shift: float) -> shapes.Shape:
        half = shapes.bar(0.42 * size, 0.13 * size)
        above = shapes.moved(half, -shift * size / 2, -0.24 * size)
        return shapes.joined(above, shapes.moved(half, shift * size / 2, 0.24 * size))

    look = Look(lambda size: pair(size, 0), turn=turn)
    return _two(replace(look, shape=lambda size: pair(size, offset)), look, offset, "sizes")


def _conjunction(contrast: float, rng: np.random.Generator) -> Difference:
    # Some distractors share the target's hue, the others its orientation.
    hue, amount, turn = rng.uniform(0, 360), 20 + 130 * contrast, rng.uniform(0, 180)
    target_colour, other_colour = _lch(62, 38, hue), _lch(62, 38, hue + amount)
    target = Look(_bar, target_colour, turn)
    return Difference(
        target,
        (Look(_bar, target_colour, turn + 90), Look(_bar, other_colour, turn)),
        float(amount),
        "degrees",
    )


def _t_among_l(contrast: float, rng: np.random.Generator) -> Difference:
    del rng
    shift = 0.335 * contrast  # of the stem from the corner towards the middle

    def letter(size: float, middle: float) -> shapes.Shape:
        across = shapes.moved(shapes.box(0.8 * size, 0.13 * size), 0, -0.335 * size)
        return shapes.joined(
            across, shapes.moved(shapes.bar(0.8 * size, 0.13 * size), middle * size, 0)
        )

    corner = Look(lambda size: letter(size, -0.335), spun=True)
    return _two(
        replace(corner, shape=lambda size: letter(size, shift - 0.335)), corner, shift, "sizes"
    )


def _dots(size: float, count: int) -> shapes.Shape:
    return shapes.joined(
        *(shapes.moved(shapes.disc(0.065 * size), x * size, y * size) for x, y in _spiral(count))
    )


def _spiral(count: int) -> list[tuple[float, float]]:
    """Return points that fill a disc evenly (Vogel's spiral)."""
    turns = np.arange(count) * np.pi * (3 - np.sqrt(5))
    radii = 0.42 * np.sqrt((np.arange(count) + 0.5) / count)
    return list(
        zip((radii * np.cos(turns)).tolist(), (radii * np.sin(turns)).tolist(), strict=True)
    )


def _row(size: float, count: int) -> shapes.Shape:
    angles = 2 * np.pi * np.arange(count) / count
    return shapes.joined(
        *(
            shapes.moved(
                shapes.disc(0.11 * size), 0.3 * size * np.sin(angle), -0.3 * size * np.cos(angle)
            )
            for angle in angles
        )
    )


FEATURES: dict[str, Feature] = {
    feature.name: feature
    for feature in (
        Feature("hue", "colour", _hue),
        Feature("saturation", "colour", _saturation),
        Feature("luminance", "colour", _luminance),
        Feature("polarity", "colour", _polarity),
        Feature("orientation", "form", _orientation),
        Feature("size", "form", _size),
        Feature("length", "form", _length),
        Feature("width", "form", _width),
        Feature("curvature", "form", _curvature),
        Feature("shape", "form", _form),
        Feature("closure", "form", _closure),
        Feature("intersection", "form", _intersection),
        Feature("enclosure", "form", _enclosure),
        Feature("alignment", "form", _alignment),
        Feature("fill", "form", _fill),
        Feature("density", "texture", _density),
        Feature("number", "texture", _number),
        Feature("shading", "depth", _shading),
        Feature("blur", "depth", _blur),
        Feature("conjunction", "control", _conjunction),
        Feature("t-among-l", "control", _t_among_l),
    )
}
"""Features by name; the last two are not preattentive."""

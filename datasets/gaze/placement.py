"""Where on the screen a stimulus was: from positions on the screen to pixels of the image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import InputError

Scale = float | Literal["fit", "fill"]
_LARGEST = 100_000
_PER_DEGREE = (2, 500)


@dataclass(frozen=True)
class Placement:
    """Where a stimulus was shown.

    Attributes
    ----------
    screen : (width, height), optional
        Pixels.
    at : (x, y) or "centre", optional
        Pixels from the screen's upper left corner to the image's.
    scale : float, "fit" or "fill", optional
        Screen pixels per image pixel (default: 1); ``fit`` is the largest at which the image is
        wholly on the screen, ``fill`` stretches it to the screen's width and height.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    screen: tuple[float, float] | None = None
    at: tuple[float, float] | Literal["centre"] | None = None
    scale: Scale | None = None

    def __post_init__(self) -> None:
        if self.screen is not None and not all(0 < side <= _LARGEST for side in self.screen):
            raise InputError(f"--screen {self.screen[0]:g}x{self.screen[1]:g}: not a screen's size")
        if isinstance(self.at, tuple) and not all(abs(side) <= _LARGEST for side in self.at):
            raise InputError(f"--image-at {self.at[0]:g},{self.at[1]:g}: far off any screen")
        if isinstance(self.scale, float | int) and not 0.01 <= self.scale <= 100:
            raise InputError(f"--image-scale {self.scale:g}: expected 0.01 to 100")

    @property
    def given(self) -> bool:
        """Whether anything is said."""
        return self != UNPLACED

    def on(self, screen: tuple[float, float] | None) -> Placement:
        """Return this placement on a screen that a file tells of, unless one is given.

        Raises
        ------
        InputError
            If it is another one.
        """
        if self.screen and screen and self.screen != screen:
            raise InputError(
                f"--screen {self.screen[0]:g}x{self.screen[1]:g}, but the file's is "
                f"{screen[0]:g}x{screen[1]:g}"
            )
        return self if self.screen else Placement(screen, self.at, self.scale)

    def rectangles(self, width: np.ndarray, height: np.ndarray) -> np.ndarray:
        """Return where images were: (n, 4) of left, top, width and height in screen pixels.

        Parameters
        ----------
        width, height : arrays, shape (n,)
            Of the images in their own pixels.

        Raises
        ------
        InputError
            If the size of the screen is needed and not known.
        """
        scale = 1.0 if self.scale is None else self.scale
        if self.screen is None and (isinstance(scale, str) or not isinstance(self.at, tuple)):
            raise InputError(
                "positions are pixels of the screen: --screen WIDTHxHEIGHT says its size, "
                "--image-at where the images were (default: centre)"
            )
        screen = np.array(self.screen or (0, 0), dtype=np.float64)
        size = np.column_stack([width, height]).astype(np.float64)
        if scale == "fill":
            size = np.broadcast_to(screen, size.shape)
        elif scale == "fit":
            size = size * (screen / size).min(axis=1, keepdims=True)
        else:
            size = size * scale
        corner = self.at if isinstance(self.at, tuple) else (screen - size) / 2
        return np.column_stack([np.broadcast_to(corner, size.shape), size])

    def __str__(self) -> str:
        at = f"at {self.at[0]:g},{self.at[1]:g}" if isinstance(self.at, tuple) else "centred"
        scale = 1.0 if self.scale is None else self.scale
        words = {"fit": "as large as fits", "fill": "stretched to its size"}
        size = words[scale] if isinstance(scale, str) else f"at scale {scale:g}"
        where = f" on a {self.screen[0]:g}×{self.screen[1]:g} screen" if self.screen else ""
        assumed = " (assumed: --image-at)" if self.at is None and scale != "fill" else ""
        return f"images{where} {at}{assumed}, {size}"


UNPLACED = Placement()


def to_image(position: np.ndarray, start: np.ndarray, shown: np.ndarray, own: np.ndarray):
    """Return 0-based image pixels of positions on the screen, along one axis.

    Parameters
    ----------
    position : array, shape (n,)
        0-based screen pixels: a whole number is the centre of a pixel.
    start, shown : arrays, shape (n,)
        Where the image began, and how large it was, in screen pixels.
    own : array, shape (n,)
        How large the image is in its own pixels.
    """
    return (position + 0.5 - start) * own / shown - 0.5


def parse_placement(screen: str, at: str, scale: str) -> Placement:
    """Return a placement from the words of a command line, each "" where not given.

    Raises
    ------
    InputError
        If one is malformed.
    """
    size = _pair("--screen", screen, "x", "WIDTHxHEIGHT in pixels")
    factor: Scale | None = None
    if scale in ("fit", "fill"):
        factor = scale
    elif scale:
        factor = _number("--image-scale", scale, "a number, fit or fill")
    centre = at.strip().lower() in ("centre", "center")
    corner = "centre" if centre else _pair("--image-at", at, ",", "centre or X,Y in pixels")
    return Placement(size, corner, factor)


def _pair(option: str, text: str, between: str, expected: str) -> tuple[float, float] | None:
    if not text:
        return None
    parts = text.lower().replace("×", "x").split(between)
    if len(parts) != 2:
        raise InputError(f"{option} {text!r:.60}: expected {expected}")
    return _number(option, parts[0], expected), _number(option, parts[1], expected)


def _number(option: str, text: str, expected: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{option} {text!r:.60}: expected {expected}")
    return value


def px_per_degree(pixels: float, size: float, distance: float) -> float:
    """Return the pixels per degree of a screen of some width seen from some distance.

    The definition is that of docs/howto/own-data.md: pixels over 2·atan(size / (2·distance)).

    Raises
    ------
    InputError
        If a number is not above 0, or no screen has so many pixels per degree.
    """
    if not all(math.isfinite(one) and one > 0 for one in (pixels, size, distance)):
        raise InputError(f"a screen of {pixels:g} px and {size:g} m seen from {distance:g} m")
    found = pixels / math.degrees(2 * math.atan(size / (2 * distance)))
    if not _PER_DEGREE[0] <= found <= _PER_DEGREE[1]:
        raise InputError(
            f"a screen of {pixels:g} px and {size:g} m seen from {distance:g} m has {found:.4g} "
            "pixels per degree: expected metres"
        )
    return found

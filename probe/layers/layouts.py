"""How a module's output is laid out: which axes are height and width. Measured, never guessed.

The axis that counts the images is the one that grows with them; height and width are those that
grow with the picture's. Where that does not tell (tokens; networks of one size), every reading
that fits is tried, and the one in which cells answer to their own part of the picture is right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import torch

from ...datasets.errors import InputError

Size = tuple[int, int]

PICTURES = 4
"""How many pictures `pictures` returns."""

_BLOCK = 8  # pixels: noise of two scales, so that shallow and deep layers answer
_NUMBERS, _FEWEST_UNITS = 2**15, 8  # of a map that are looked at: more do not make it surer
_ROUNDING = 1e-5  # relative: a smaller difference between two pictures' outputs is none

_LEAST_AGREEMENT, _CLEARLY = 0.4, 0.1  # of a reading, and how much more than of any other
_DISAGREES, _LOCAL = 0.3, 0.85  # cells that answer to parts of the picture, but not to their own
_LOOKED_AT = 16  # rows and columns, to see that

NOT_IMAGES = "no axis counts the images: windows, or one image at a time"
ONE_AXIS = "its axes do not grow as the picture's height and width do"
NO_ORDER = "cells not in the picture's order (windows, reordered), or each sees the whole picture"
TWO_WAYS = "its axes can be read in more than one way"
MANY_AXES = "more axes than images, units, height and width"
NO_NUMBERS = "not floating-point numbers"
EMPTY = "empty"


@dataclass(frozen=True)
class Reading:
    """How to read an output as activation maps.

    Attributes
    ----------
    layout : str
        What each axis is: N images, C units, H height, W width, or T for tokens, the cells of the
        picture row by row.
    height, width : int
    prefix, suffix : int
        Tokens before and after the cells: the class token, distillation, registers.
    """

    layout: str
    height: int
    width: int
    prefix: int = 0
    suffix: int = 0

    def maps(self, output: torch.Tensor) -> torch.Tensor:
        """View an output as activation maps, shape (n, units, height, width).

        Raises
        ------
        InputError
            If the output has another number of tokens.
        """
        layout = self.layout
        if "T" in layout:
            axis = layout.index("T")
            cells = output.shape[axis] - self.prefix - self.suffix
            if cells != self.height * self.width:
                raise InputError(
                    f"expected tokens of {self.height}×{self.width} cells, got {cells}: the layer "
                    "was read for another size of input"
                )
            output = output.narrow(axis, self.prefix, cells)
            output = output.unflatten(axis, (self.height, self.width))
            layout = layout.replace("T", "HW")
        return output.permute([layout.index(axis) for axis in "NCHW"])


def second_size(size: Size) -> Size:
    """Return a small size that differs from an input's in height, width and proportions.

    Multiples of 32, which most networks accept; never much larger than 160×224.
    """
    height, width = (
        min(most, max(32, round(pixels * part / 32) * 32))
        for pixels, part, most in zip(size, (0.57, 0.86), (160, 224), strict=True)
    )
    height += 32 * (height == size[0])
    while width == size[1] or abs(width * size[0] / (height * size[1]) - 1) < 0.2:
        width += 32
    return height, width


def read(
    shape: Sequence[int],
    output: torch.Tensor,
    size: Size,
    measured: Size,
    tokens: int | None = None,
) -> Reading | str | None:
    """Find how an output is laid out.

    Parameters
    ----------
    shape : sequence of int
        Of the output for one image of ``size``.
    output : tensor
        For the `pictures` of ``measured``.
    size, measured : (height, width)
        The same, if the network accepts no other size.
    tokens : int, optional
        The axis of the tokens, where it is known.

    Returns
    -------
    Reading
        For images of ``size``.
    str
        Why it cannot be read.
    None
        It is no stack of maps, but numbers of the whole image.
    """
    axes = range(len(shape))
    if len(shape) == 2 and shape[0] > 1 and output.shape[0] != shape[0]:
        return NOT_IMAGES
    if len(shape) > 2 and 0 in (*shape, *output.shape):
        return EMPTY
    if len(shape) < 3 or sum(count > 1 for count in shape) < 2:
        return None
    if not output.is_floating_point():
        return NO_NUMBERS
    if output.ndim != len(shape):
        return NOT_IMAGES
    batch = next((a for a in axes if (shape[a], output.shape[a]) == (1, PICTURES)), None)
    if batch is None:
        return NOT_IMAGES
    if len(shape) > 4:
        return MANY_AXES
    growing = [a for a in axes if a != batch and shape[a] != output.shape[a]]
    # Windows of one size, padded, look like a whole picture of tokens.
    if len(growing) != len(shape) - 2 and (growing or (len(shape) == 3 and size != measured)):
        return ONE_AXIS
    if len(shape) == 4 and growing:
        return _by_growth(shape, output, batch, growing, size, measured)
    reading: Reading | str = NO_ORDER
    for whole in (False, True):
        if len(shape) == 4:
            found = _map_readings(output, batch, measured, whole)
        else:
            of_tokens = growing or [a for a in axes if a != batch]
            of_tokens = of_tokens if tokens is None else [tokens]
            found = _token_readings(
                *(shape, output, batch, of_tokens, bool(growing)), size, measured, whole
            )
        reading = _clearest(found)
        if reading != NO_ORDER:
            break
    return reading


def _clearest(found: Iterator[tuple[float, Reading]]) -> Reading | str:
    """Return the reading in which cells answer to their own part, if there is just one."""
    ranked = sorted(found, key=lambda one: -one[0])
    if not ranked:
        return NO_ORDER
    best, reading = ranked[0]
    chance = 1 / math.sqrt(reading.height * reading.width)  # standard deviation
    if best < min(0.9, max(_LEAST_AGREEMENT, 3.5 * chance)):
        return NO_ORDER
    rivals = [score for score, other in ranked if other != reading and score > best - _CLEARLY]
    return TWO_WAYS if rivals else reading


def _by_growth(
    shape: Sequence[int],
    output: torch.Tensor,
    batch: int,
    growing: list[int],
    size: Size,
    measured: Size,
) -> Reading | str:
    """Read two axes that grow: each as the side of the picture that grows as it does."""

    def misfit(*sides: int) -> float:
        """Return how differently two axes and the picture's height and width grow."""
        return sum(
            abs(math.log(output.shape[axis] / shape[axis] * pixels / fewer))
            for axis, pixels, fewer in zip(sides, size, measured, strict=True)
        )

    (rows, columns), other = sorted((growing, growing[::-1]), key=lambda sides: misfit(*sides))
    if misfit(rows, columns) == misfit(*other):
        return TWO_WAYS
    reading = Reading(
        _layout(4, N=batch, H=rows, W=columns), height=shape[rows], width=shape[columns]
    )
    step_down, step_across = (max(1, output.shape[axis] // _LOOKED_AT) for axis in (rows, columns))
    preferred = preferences(reading.maps(output)[:, :, ::step_down, ::step_across])
    # Layers that see the whole picture are maps too; shuffled cells are not.
    shuffled = agreement(preferred) < _DISAGREES and float(preferred.std()) > _LOCAL
    return NO_ORDER if shuffled else reading


def _map_readings(
    output: torch.Tensor, batch: int, measured: Size, whole: bool
) -> Iterator[tuple[float, Reading]]:
    """Yield every reading of four axes of which none grows, and how well it agrees."""
    for letters in permutations("CHW"):
        layout = "".join((*letters[:batch], "N", *letters[batch:]))
        grid = [output.shape[layout.index(side)] for side in "HW"]
        if min(grid) > 1 and _proportioned(grid[0], grid[1], measured):
            reading = Reading(layout, grid[0], grid[1])
            yield agreement(preferences(reading.maps(output), whole=whole)), reading


def _token_readings(
    shape: Sequence[int],
    output: torch.Tensor,
    batch: int,
    axes: Sequence[int],
    grows: bool,
    size: Size,
    measured: Size,
    whole: bool,
) -> Iterator[tuple[float, Reading]]:
    """Yield every reading of three axes for images of ``size``, and how well it agrees.

    Of ``axes``, one may be that of the tokens; it may grow with the picture.
    """
    for axis in axes:
        layout = _layout(3, N=batch, T=axis)
        tokens = output.shape[axis]
        in_a_row = output.permute([layout.index(letter) for letter in "NCT"])[:, :, None]
        preferred = preferences(in_a_row, whole=whole)[:, 0]
        for grid in _grids(tokens, measured):
            rest = tokens - math.prod(grid)
            there = _scaled(grid, shape[axis] - rest, size, measured) if grows else grid
            if there is None:
                continue
            for prefix in {0, rest}:
                cells = preferred[:, prefix : prefix + math.prod(grid)].unflatten(1, grid)
                yield agreement(cells), Reading(layout, there[0], there[1], prefix, rest - prefix)


def _grids(tokens: int, size: Size) -> Iterator[Size]:
    """Yield the grids that tokens may be the cells of, most of them."""
    for height in range(2, tokens // 2 + 1):
        width = size[1] * height / size[0]
        for columns in {height, math.floor(width), math.ceil(width)}:
            if columns > 1 and tokens / 2 <= height * columns <= tokens:
                yield height, columns


def _scaled(grid: Size, cells: int, size: Size, measured: Size) -> Size | None:
    """Return the grid of so many cells that another size of input gives, if there is one."""
    height, width = (
        side * pixels / fewer for side, pixels, fewer in zip(grid, size, measured, strict=True)
    )
    near = [
        (abs(columns - width), rows, columns)
        for rows in range(max(1, math.floor(height)), math.ceil(height) + 1)
        for columns in range(max(1, math.floor(width) - 1), math.ceil(width) + 2)
        if rows * columns == cells
    ]
    return min(near)[1:] if near else None


def _proportioned(height: int, width: int, size: Size) -> bool:
    """Return whether a grid is square, or has the picture's proportions up to a cell."""
    return height == width or abs(width - size[1] * height / size[0]) < 1


def _layout(axes: int, **at: int) -> str:
    letters = dict.fromkeys(range(axes), "C") | {axis: letter for letter, axis in at.items()}
    return "".join(letters.values())


def pictures(size: tuple[int, int]) -> torch.Tensor:
    """Return two pictures of noise; the second above the first, and to the left of it.

    Returns
    -------
    float32 tensor, shape (4, 3, height, width)
        About standard normal; the same in every call.
    """
    height, width = size
    random = torch.Generator().manual_seed(0)
    coarse = torch.randn(2, 3, *(-(-side // _BLOCK) for side in size), generator=random)
    coarse = coarse.repeat_interleave(_BLOCK, 2).repeat_interleave(_BLOCK, 3)
    fine = torch.randn(2, 3, height, width, generator=random)
    first, second = (coarse[:, :, :height, :width] + fine) / math.sqrt(2)
    above, left = first.clone(), first.clone()
    above[:, : height // 2] = second[:, : height // 2]
    left[:, :, : width // 2] = second[:, :, : width // 2]
    return torch.stack([first, second, above, left])


def preferences(maps: torch.Tensor, *, whole: bool = False) -> torch.Tensor:
    """Return how much more each cell resembles the second of `pictures` than the first.

    Parameters
    ----------
    maps : tensor, shape (4, units, height, width)
        Of `pictures`.
    whole : bool
        Compare the maps as they are, with what all cells have in common: attention gives much of
        each picture to all of them.

    Returns
    -------
    float32 tensor, shape (2, height, width)
        −1 (as the first) to 1 (as the second), of the picture with the second above, and of that
        with the second to the left; 0 where the pictures give the same.
    """
    units, cells = maps.shape[1], maps[0, 0].numel()
    maps = maps[:, :: -(-units // max(_FEWEST_UNITS, _NUMBERS // cells))].float()
    least = _ROUNDING**2 * maps.square().sum(1).mean()
    if not whole:
        maps = maps - maps.mean((2, 3), keepdim=True)
    first, second, *halves = maps
    preferred = []
    for half in halves:
        from_first, from_second = ((half - one).square().sum(0) for one in (first, second))
        total = from_first + from_second
        preferred.append(torch.where(total > least, (from_first - from_second) / total, 0.0))
    return torch.stack(preferred).cpu()


def agreement(preferred: torch.Tensor) -> float:
    """Return how well cells prefer the half that they lie in: about 0 by chance, at best 1.

    Parameters
    ----------
    preferred : tensor, shape (2, height, width)
        See `preferences`.

    Returns
    -------
    float
        The lower of the correlations upright and sideways.
    """
    _, height, width = preferred.shape
    rows = torch.sign(height - 1.0 - 2 * torch.arange(height))[:, None].expand(height, width)
    columns = torch.sign(width - 1.0 - 2 * torch.arange(width))[None].expand(height, width)
    expected = torch.stack([rows, columns]).flatten(1)
    seen = preferred.flatten(1)
    expected, seen = (one - one.mean(1, keepdim=True) for one in (expected, seen))
    scale = expected.norm(dim=1) * seen.norm(dim=1)
    return float(((expected * seen).sum(1) / scale.clamp_min(1e-30)).min())

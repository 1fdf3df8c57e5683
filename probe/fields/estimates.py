"""Linear receptive fields: gradients at a unit's best stimuli, and averages of noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from ...datasets.progress import SILENT, Advance, Progress
from ...datasets.stimuli import Stimuli
from ..networks.model import Model, network_input
from .windows import Window, frozen

CHANNELS = ("luminance", "red-green", "blue-yellow")

OPPONENT = np.array([[1, 1, 1], [1, -1, 0], [-1, -1, 2]], dtype=np.float32)
OPPONENT /= np.linalg.norm(OPPONENT, axis=1, keepdims=True)
"""Red, green and blue weigh so in luminance, red–green and blue–yellow; rows are orthonormal."""

_BATCH = 16  # patches in a pass
_NOISES = 8  # pictures of noise in a pass
_CELLS = 8  # along a side of a picture of noise: their fields overlap, which costs less


def linear_field(window: Window, unit: int, patches: np.ndarray) -> np.ndarray:
    """Return a unit's mean gradient over patches, its sign kept.

    Parameters
    ----------
    window : Window
    unit : int
        Counted from 0.
    patches : uint8 array, shape (n, patch, patch, 3)
        RGB, such as `Window.cut` cuts out around the unit's maxima.

    Returns
    -------
    float32 array, shape (3, grid, grid)
        Change of the response, before the ReLU, per change of a block of `Window.block` pixels, in
        luminance, red–green and blue–yellow; white is 1 and black 0.

    Examples
    --------
    >>> import salprobe as sp
    >>> model = sp.load_model("squeezenet1_0", "random", input_size=(64, 64))
    >>> window = sp.measure_window(model, model.layer("features.3"))
    >>> grey = np.full((2, window.patch, window.patch, 3), 128, np.uint8)
    >>> sp.linear_field(window, 5, grey).shape
    (3, 19, 19)
    """
    units = np.full(len(patches), unit)
    return opponent(blocks(window, gradients(window, patches, units).mean(0, keepdim=True)))[0]


def gradients(window: Window, patches: np.ndarray, units: np.ndarray) -> torch.Tensor:
    """Return the gradients of one unit's response to each patch.

    Parameters
    ----------
    window : Window
    patches : uint8 array, shape (n, patch, patch, 3)
    units : int array, shape (n,)

    Returns
    -------
    float32 tensor, shape (n, 3, side, side)
        By red, green and blue, on the CPU.
    """
    model, parts = window.model, []
    with frozen(model):
        for first in range(0, len(patches), _BATCH):
            some = slice(first, first + _BATCH)
            batch = model.images(patches[some], device_of(model)).requires_grad_(True)
            responses = window.responses(batch)
            chosen = torch.from_numpy(units[some]).to(responses.device)
            total = responses.gather(1, chosen[:, None]).sum()
            (gradient,) = torch.autograd.grad(total, batch)
            parts.append(gradient[:, :, window.start :, window.start :].cpu())
    return torch.cat(parts) * (model.range / torch.tensor(model.sd))[:, None, None]


def blocks(window: Window, field: torch.Tensor) -> torch.Tensor:
    """Sum fields over blocks: (n, 3, side, side) to (n, 3, grid, grid)."""
    after = window.grid * window.block - window.side - window.margin
    padded = F.pad(field, (window.margin, after, window.margin, after))
    return F.avg_pool2d(padded, window.block) * window.block**2


def opponent(field: torch.Tensor) -> np.ndarray:
    """Turn fields by red, green and blue, (n, 3, h, w), into fields by `CHANNELS`."""
    return torch.einsum("oc,nchw->nohw", torch.from_numpy(OPPONENT), field).numpy()


def best_places(
    window: Window, stimuli: Stimuli, best: int, progress: Progress = SILENT
) -> np.ndarray:
    """Find the stimuli that each unit answers to most, and where on them.

    Only cells that see a whole field count; of each stimulus, the unit's best one.

    Parameters
    ----------
    window : Window
    stimuli : Stimuli
    best : int
        Stimuli for each unit, at most as many as there are.
    progress : Progress

    Returns
    -------
    int64 array, shape (units, best, 3)
        Index of the stimulus, row and column of the cell (see `Window.cut`); the best first.
    """
    best = min(best, len(stimuli))
    top = torch.full((window.layer.units, 0), 0.0)
    places = torch.zeros((window.layer.units, 0, 3), dtype=torch.int64)
    with progress.task(f"{window.layer.name}: best stimuli", len(stimuli)) as advance:
        for index, stimulus in enumerate(stimuli):
            picture = network_input(stimuli.read(stimulus), window.model.resize)
            image = window.model.images(picture[None], device_of(window.model))
            with torch.no_grad():
                maps = window.maps(image)[0]
            highest, where = maps.flatten(1).max(1)
            rows, columns = where.cpu() // maps.shape[2], where.cpu() % maps.shape[2]
            place = torch.stack([torch.full_like(rows, index), rows, columns], 1)
            top = torch.cat([top, highest.cpu()[:, None]], 1)
            places = torch.cat([places, place[:, None]], 1)
            top, order = top.sort(dim=1, descending=True, stable=True)
            top = top[:, :best]
            places = places.gather(1, order[:, :best, None].expand(-1, -1, 3))
            advance(1)
    return places.numpy()


def gradient_halves(
    window: Window,
    stimuli: Stimuli,
    places: np.ndarray,
    units: Sequence[int],
    advance: Advance = lambda steps: None,
) -> np.ndarray:
    """Return units' mean gradients at their maxima, over each half of their best stimuli.

    Parameters
    ----------
    window : Window
    stimuli : Stimuli
    places : int array, shape (all units, best, 3)
        See `best_places`; the ranks are dealt to the halves in turn.
    units : sequence of int
    advance : callable
        Called with the number of gradients taken.

    Returns
    -------
    float32 array, shape (2, len(units), 3, grid, grid)
        By `CHANNELS`; see `linear_field`.
    """
    total = torch.zeros((2, len(units), 3, window.grid, window.grid))
    chosen = places[list(units)]
    count = chosen.shape[1]
    every = list(stimuli)
    for index in np.unique(chosen[..., 0]):
        picture = network_input(stimuli.read(every[index]), window.model.resize)
        which, rank = np.nonzero(chosen[..., 0] == index)
        for first in range(0, len(which), _BATCH):
            some, ranks = which[first : first + _BATCH], rank[first : first + _BATCH]
            cells = chosen[some, ranks, 1:]
            patches = np.stack([window.cut(picture, *cell) for cell in cells])
            found = blocks(window, gradients(window, patches, np.asarray(units)[some]))
            for unit, half, one in zip(some, ranks % 2, found, strict=True):
                total[half, unit] += one
            advance(len(some))
    number = torch.tensor([(count + 1) // 2, count // 2])
    mean = total / number[:, None, None, None, None]
    return np.stack([opponent(half) for half in mean])


def noise_halves(
    window: Window, count: int, seed: int = 0, progress: Progress = SILENT
) -> np.ndarray:
    """Return the response-triggered average of noise, for each half of it.

    Blocks of `Window.block` pixels have independent normal colours, in the network's normalised
    units: grey on average, with the contrast of photographs. A unit's responses, before the ReLU,
    weigh the noise in its field. Of each picture, up to 8×8 cells are used.

    Parameters
    ----------
    window : Window
    count : int
        Pictures of noise.
    seed : int
    progress : Progress

    Returns
    -------
    float32 array, shape (2, units, 3, grid, grid)
        The slope of the response on a block's colour, by `CHANNELS`, in the units of
        `linear_field`.
    """
    model, block, grid = window.model, window.block, window.grid
    apart = max(1, window.stride // block)  # blocks between the fields of the cells that are used
    skip = max(1, block // window.stride)
    side = grid + (_CELLS - 1) * apart
    pixels = window.patch + (_CELLS - 1) * apart * block
    before = window.start - window.margin
    after = pixels - before - side * block
    total = torch.zeros((2, window.layer.units, 3 * grid**2))
    seen = [0, 0]
    together = min(_NOISES, (count + 1) // 2)  # both halves get some
    starts = range(0, count, together)
    with progress.task(f"{window.layer.name}: noise", count) as advance, torch.no_grad():
        for number, first in enumerate(starts):
            size = min(together, count - first)
            generator = torch.Generator().manual_seed(_stream(seed, number))
            noise = torch.randn(size, 3, side, side, generator=generator)
            image = noise.repeat_interleave(block, 2).repeat_interleave(block, 3)
            image = F.pad(image, (before, after, before, after)).to(device_of(model))
            maps = window.maps(image)[:, :, ::skip, ::skip].float().cpu()
            answers = maps.transpose(0, 1).flatten(1)
            fields = F.unfold(noise, grid, stride=apart).transpose(0, 1).flatten(1)
            answers = answers - answers.mean(1, keepdim=True)
            total[number % 2] += answers @ fields.T
            seen[number % 2] += answers.shape[1]
            advance(size)
    scale = (model.range / torch.tensor(model.sd))[:, None, None]
    halves = [
        part.unflatten(1, (3, grid, grid)) / max(1, number) * scale
        for part, number in zip(total, seen, strict=True)
    ]
    return np.stack([opponent(half) for half in halves])


def _stream(seed: int, number: int) -> int:
    """Return a seed for a batch of noise that no other seed gives to one of its own."""
    return int(np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)[0])


def device_of(model: Model) -> torch.device:
    """Return the device that a model's network is on."""
    return next(model.network.parameters(), torch.empty(0)).device


def reliability(halves: np.ndarray) -> np.ndarray:
    """Return the correlation of fields from two halves of the data.

    Parameters
    ----------
    halves : float array, shape (2, n, height, width)

    Returns
    -------
    float64 array, shape (n,)
        Pearson's correlation over the blocks; NaN where a half is constant.
    """
    flat = halves.reshape(2, halves.shape[1], -1).astype(np.float64)
    flat = flat - flat.mean(2, keepdims=True)
    scale = np.sqrt((flat**2).sum(2)).prod(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > 0, (flat[0] * flat[1]).sum(1) / scale, math.nan)

"""Region-restricted NSS of every unit, in closed form: no map is ever resized.

Bilinear resizing is linear: U = A X Bᵀ, with A (H×h) and B (W×w) holding two weights a row.
So, with a and b the column means of A and B, and RᵀR = AᵀA/H and SᵀS = BᵀB/W,

    mean(U)    = aᵀ X b
    mean(U²)   = ‖R X Sᵀ‖²
    U at (x, y) = row y of A · X · row x of B

R and S are bidiagonal, two weights a row again, and the mean over a region's fixated pixels is
⟨K, X⟩ with a kernel K of at most four cells for each of them. This is exact, and its cost does not
depend on the stimulus's size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from ..records.run_info import Registration

Pixels = tuple[np.ndarray, np.ndarray]
"""Distinct fixated pixels (x, y) of one region: two int arrays of shape (n,)."""

_CPU_PART, _GPU_PART = 2**19, 2**27
"""Elements scored at a time: on a CPU, what stays in its cache is several times faster."""


@dataclass(frozen=True, eq=False)
class Resize:
    """Bilinear interpolation with half-pixel centres along one axis, ``size`` to ``length``.

    Attributes
    ----------
    low, high : int arrays, shape (length,)
        The two source positions of each target position.
    weight : float64 array, shape (length,)
        Weight of ``high``; ``low`` has 1 minus it.
    mean : float64 array, shape (size,)
        Column means of the interpolation matrix A.
    diagonal, beside : float64 arrays, shapes (size,) and (size - 1,)
        The diagonal of R and the one above it, where RᵀR = AᵀA / length.
    """

    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    diagonal: np.ndarray
    beside: np.ndarray


@lru_cache(maxsize=256)
def resize(size: int, length: int, start: float = 0.0, step: float | None = None) -> Resize:
    """Return the interpolation from ``size`` to ``length`` samples, as torch and OpenCV do it.

    Parameters
    ----------
    size, length : int
    start, step : float, optional
        Where the first source sample begins and how much each takes, in parts of the whole; by
        default they fill it. Beyond the outermost, their values go on.
    """
    place = (np.arange(length) + 0.5) / length
    place = place * size if step is None else (place - start) / step
    source = np.clip(place - 0.5, 0, size - 1)
    low = np.floor(source).astype(np.int64)
    high = np.minimum(low + 1, size - 1)
    weight = source - low
    mean = np.zeros(size)
    for place, share in ((low, 1 - weight), (high, weight)):
        np.add.at(mean, place, share / length)
    return Resize(low, high, weight, mean, *_factor(low, weight, size))


def _factor(low: np.ndarray, weight: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the diagonals of R, upper bidiagonal, with RᵀR = AᵀA / length.

    A QR decomposition of A, its rows taken together by their first column: without differences of
    what has been computed, so that it is exact even where a stimulus is smaller than its map and
    AᵀA is singular.
    """
    first, cross, second = (
        np.bincount(low, product / len(low), minlength=size).tolist()
        for product in ((1 - weight) ** 2, (1 - weight) * weight, weight**2)
    )
    own, beside = np.zeros(size), np.zeros(size)
    rest = 0.0  # what earlier rows leave in this column
    for i in range(size):
        own[i] = math.hypot(rest, math.sqrt(first[i]))
        if not first[i]:
            rest = 0.0
            continue
        beside[i] = cross[i] / own[i]
        along = cross[i] / math.sqrt(first[i])
        across = math.sqrt(max(second[i] - along**2, 0.0))
        rest = math.hypot(across, along * rest / own[i])
    return own, beside[:-1]


@dataclass(frozen=True, eq=False)
class Kernels:
    """What maps of one size are multiplied with; images of a batch one after another.

    Attributes
    ----------
    cells, weights : int64 and float32 tensors, shape (k,)
        The cells of all regions, counted through all images' maps, and their weights.
    starts : int64 array, shape (regions + 1,)
        Where each region's cells begin; last, their number.
    begins, image, empty : int64, int64 and bool tensors, shape (regions,)
        Where each region's cells begin, whose they are, and whether there are none; on the maps'
        device, so that scoring a layer moves nothing there and waits for nothing.
    mean : float32 tensor, shape (n, h, w)
        ⟨mean, X⟩ is the mean over the resized map.
    rows, columns : pairs of float32 tensors, shapes (n, h), (n, h - 1) and (n, w), (n, w - 1)
        The diagonals of R and S.
    """

    cells: torch.Tensor
    weights: torch.Tensor
    starts: np.ndarray
    begins: torch.Tensor
    image: torch.Tensor
    empty: torch.Tensor
    mean: torch.Tensor
    rows: tuple[torch.Tensor, torch.Tensor]
    columns: tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Targets:
    """Where the maps of a batch are scored.

    Attributes
    ----------
    regions : list of n lists of Pixels
        The regions of each image.
    sizes : list of n (H, W)
        The images' sizes.
    """

    regions: list[list[Pixels]]
    sizes: list[tuple[int, int]]
    _kernels: dict[tuple[int, int, torch.device, Registration | None], Kernels] = field(
        default_factory=dict, init=False, repr=False
    )

    def counts(self) -> list[int]:
        """Return the number of regions of each image."""
        return [len(regions) for regions in self.regions]

    def kernels(
        self,
        h: int,
        w: int,
        device: torch.device | None = None,
        registration: Registration | None = None,
    ) -> Kernels:
        """Return the kernels for maps of one size, computed once for all layers that have it."""
        key = (h, w, device or torch.device("cpu"), registration)
        if key not in self._kernels:
            self._kernels[key] = self._computed(*key)
        return self._kernels[key]

    def _computed(
        self, h: int, w: int, device: torch.device, registration: Registration | None
    ) -> Kernels:
        def on_device(arrays: list[np.ndarray], kind: type = np.float32) -> torch.Tensor:
            return torch.from_numpy(np.stack(arrays).astype(kind)).to(device)

        down, across = ((), ()) if registration is None else registration.axes()
        axes = [
            (resize(h, rows, *down), resize(w, columns, *across)) for rows, columns in self.sizes
        ]
        found = [_cells(regions, *both) for regions, both in zip(self.regions, axes, strict=True)]
        lengths = np.concatenate([lengths for _, _, lengths in found])
        cells = np.concatenate([place + i * h * w for i, (place, _, _) in enumerate(found)])
        weights = np.concatenate([weight for _, weight, _ in found])
        starts = np.concatenate([[0], np.cumsum(lengths)])
        image = np.repeat(np.arange(len(self.regions)), self.counts())
        return Kernels(
            *(torch.from_numpy(cells).to(device), torch.from_numpy(weights).to(device)),
            starts,
            *(torch.from_numpy(starts[:-1]).to(device), torch.from_numpy(image).to(device)),
            torch.from_numpy(lengths == 0).to(device),
            on_device([np.outer(rows.mean, columns.mean) for rows, columns in axes]),
            (on_device([r.diagonal for r, _ in axes]), on_device([r.beside for r, _ in axes])),
            (on_device([c.diagonal for _, c in axes]), on_device([c.beside for _, c in axes])),
        )


def _cells(
    regions: list[Pixels], rows: Resize, columns: Resize
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the cells of all regions of an image, their weights, and each region's number."""
    area = len(rows.mean) * len(columns.mean)
    counts = np.array([len(x) for x, _ in regions], dtype=np.int64)
    region = np.repeat(np.arange(len(regions)), counts)
    x, y = (np.concatenate([pixels[axis] for pixels in regions] or [counts]) for axis in (0, 1))
    share = np.repeat(1 / np.maximum(counts, 1), counts)
    places, weights = [], []
    for row, row_weight in ((rows.low, 1 - rows.weight), (rows.high, rows.weight)):
        for column, weight in ((columns.low, 1 - columns.weight), (columns.high, columns.weight)):
            places.append(region * area + row[y] * len(columns.mean) + column[x])
            weights.append(row_weight[y] * weight[x] * share)
    kernel = np.bincount(
        np.concatenate(places), np.concatenate(weights), minlength=area * len(regions)
    )
    taken = np.flatnonzero(kernel)
    lengths = np.bincount(taken // area, minlength=len(regions))
    return taken % area, kernel[taken].astype(np.float32), lengths


def region_nss(
    maps: torch.Tensor, targets: Targets, registration: Registration | None = None
) -> torch.Tensor:
    """Score every unit against every region: NSS (He et al. 2019, equation 1).

    Parameters
    ----------
    maps : float tensor, shape (n, c, h, w)
        Activation maps of n stimuli and c units; any memory format, any float type.
    targets : Targets
        The regions of the n stimuli.
    registration : Registration, optional
        Where the cells lie; by default they fill the stimulus.

    Returns
    -------
    float32 tensor, shape (regions of all stimuli, c)
        On the maps' device. The map is resized to the stimulus (bilinear, half-pixel centres),
        standardised over all of it (population sd) and averaged over the region's distinct
        fixated pixels. A constant map scores 0, a region without fixations NaN.

    Notes
    -----
    The map is first centred by its plain mean and scaled, by a power of two, to deviations of at
    most 1, which changes no NSS but keeps mean(U²) - mean(U)² from cancelling or underflowing in
    float32.
    """
    n, c, h, w = maps.shape
    kernels = targets.kernels(h, w, maps.device, registration)
    elements = _CPU_PART if maps.device.type == "cpu" else _GPU_PART
    step = min(n, max(1, elements // maps[0].numel()))
    rows = np.concatenate([[0], np.cumsum(targets.counts())])
    scores = torch.empty(int(rows[-1]), c, device=maps.device)
    # New memory costs a CPU more than the arithmetic; so all parts share it.
    work = torch.empty(2, step, h, w, c, device=maps.device)
    with torch.autocast(maps.device.type, enabled=False):
        for first in range(0, n, step):
            part = maps[first : first + step].permute(0, 2, 3, 1)
            begins = rows[first : first + step + 1]
            scores[begins[0] : begins[-1]] = _region_nss(part, work, kernels, first, begins)
    return scores


def resized_nss(
    saliency: torch.Tensor, pixels: Pixels, size: tuple[int, int], epsilon: float
) -> torch.Tensor:
    """Return the NSS of one map resized to its stimulus; differentiable.

    The same as `region_nss`, for training: its gradient needs no resized map either.

    Parameters
    ----------
    saliency : float tensor, shape (h, w)
    pixels : Pixels
        The fixated pixels of the stimulus.
    size : (H, W)
        Size of the stimulus.
    epsilon : float
        Added to the variance, to keep gradients finite where the map is constant.

    Returns
    -------
    float32 tensor, shape ()
        NaN without fixated pixels.
    """
    h, w = saliency.shape
    kernels = Targets([[pixels]], [size]).kernels(h, w, saliency.device)
    if not len(kernels.cells):
        return saliency.new_tensor(torch.nan, dtype=torch.float32)
    x = saliency.float()
    x = x - x.mean()
    mean = (kernels.mean[0] * x).sum()
    rows, columns = (
        torch.diag(diagonal[0]) + torch.diag(beside[0], 1)
        for diagonal, beside in (kernels.rows, kernels.columns)
    )
    variance = (rows @ x @ columns.T).square().sum() - mean**2
    fixated = (x.flatten()[kernels.cells] * kernels.weights).sum()
    return (fixated - mean) * torch.rsqrt(variance.clamp_min(0) + epsilon)


def map_nss(saliency: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the NSS of a map at fixations: the mean of the standardised map there.

    The plain form of what `region_nss` computes without resizing.

    Parameters
    ----------
    saliency : float tensor, shape (height, width)
        As large as the stimulus. A constant map scores 0.
    x, y : int tensors, shape (n,)
        Fixated pixels; a repeated pixel counts repeatedly.

    Returns
    -------
    float tensor, shape ()
    """
    deviation = saliency - saliency.mean()
    constant = saliency.amin() == saliency.amax()
    variance = deviation.square().mean().masked_fill(constant, torch.inf)
    return deviation[y, x].mean() * torch.rsqrt(variance)


def _region_nss(
    maps: torch.Tensor, work: torch.Tensor, kernels: Kernels, first: int, rows: np.ndarray
) -> torch.Tensor:
    """Score the images of a batch from the ``first`` on; ``rows`` is where their regions begin."""
    n, h, w, c = maps.shape
    low, high = (end.float() for end in (maps.amin((1, 2)), maps.amax((1, 2))))
    centre = maps.mean((1, 2), dtype=torch.float32)
    _, power = torch.frexp(torch.maximum(high - centre, centre - low))
    scale = torch.ldexp(torch.ones_like(centre), -power.clamp(-126, 126))
    # Exact but for the difference's rounding, because the factor is a power of two.
    x = torch.addcmul((-centre * scale)[:, None, None], maps, scale[:, None, None], out=work[0, :n])
    images = slice(first, first + n)
    mean = (kernels.mean[images].view(n, 1, h * w) @ x.view(n, h * w, c))[:, 0]
    own = slice(rows[0], rows[-1])
    start, end = kernels.starts[[rows[0], rows[-1]]]
    fixated = F.embedding_bag(
        kernels.cells[start:end] - first * h * w,
        x.view(n * h * w, c),
        kernels.begins[own] - start,
        mode="sum",
        per_sample_weights=kernels.weights[start:end],
    )
    variance = _mean_square(x, work[1, :n], kernels, images) - mean**2
    # A map that is not finite has no constant value: its scores come out as NaN.
    constant = ((low == high) & low.isfinite()) | (variance <= 1e-12)
    scale = torch.rsqrt(variance.masked_fill(constant, torch.inf))
    image = kernels.image[own] - first
    nss = fixated.sub_(mean[image]).mul_(scale[image])
    return nss.masked_fill_(kernels.empty[own, None], torch.nan)


def _mean_square(
    x: torch.Tensor, work: torch.Tensor, kernels: Kernels, images: slice
) -> torch.Tensor:
    """Return mean(U²) of maps of shape (n, h, w, c), as (n, c); overwrites the maps."""
    source, product = x, work
    for axis, diagonals in ((1, kernels.rows), (2, kernels.columns)):
        shape = [len(x), 1, 1, 1]
        shape[axis] = -1
        diagonal, beside = (values[images].view(shape) for values in diagonals)
        length = x.shape[axis] - 1
        torch.mul(source, diagonal, out=product)
        product.narrow(axis, 0, length).addcmul_(source.narrow(axis, 1, length), beside)
        source, product = product, source
    return source.mul_(source).sum((1, 2))

"""Region-restricted NSS of every unit, in closed form: no map is ever resized.

Bilinear resizing is linear: U = A X Bᵀ, with A (H×h) and B (W×w) holding two weights a row.
So, with a and b the column means of A and B, GA = AᵀA/H and GB = BᵀB/W,

    mean(U)    = aᵀ X b
    mean(U²)   = ⟨GA X, X GB⟩
    U at (x, y) = row y of A · X · row x of B

and the mean over a region's fixated pixels is ⟨K, X⟩ with one small kernel K. This
is exact, and its cost does not depend on the stimulus's size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

Pixels = tuple[np.ndarray, np.ndarray]
"""Distinct fixated pixels (x, y) of one region: two int arrays of shape (n,)."""


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
    gram : float64 array, shape (size, size)
        AᵀA / length; tridiagonal.
    """

    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    gram: np.ndarray


@lru_cache(maxsize=256)
def resize(size: int, length: int) -> Resize:
    """Return the interpolation from ``size`` to ``length`` samples, as torch and OpenCV do it."""
    source = np.clip((np.arange(length) + 0.5) * size / length - 0.5, 0, size - 1)
    low = np.floor(source).astype(np.int64)
    high = np.minimum(low + 1, size - 1)
    weight = source - low
    matrix = np.zeros((length, size))
    rows = np.arange(length)
    matrix[rows, low] += 1 - weight
    matrix[rows, high] += weight
    return Resize(low, high, weight, matrix.mean(axis=0), matrix.T @ matrix / length)


def kernels(
    regions: list[Pixels], map_size: tuple[int, int], image_size: tuple[int, int]
) -> np.ndarray:
    """Return the kernels that turn an activation map X into means of the resized map.

    Parameters
    ----------
    regions : list of Pixels
    map_size : (h, w)
        Size of the activation map.
    image_size : (H, W)
        Size of the stimulus.

    Returns
    -------
    float32 array, shape (1 + len(regions), h, w)
        ⟨first, X⟩ is the mean over the whole resized map, ⟨1 + r, X⟩ over region r's pixels;
        zeros for a region without pixels.
    """
    (h, w), n = map_size, 1 + len(regions)
    rows, columns = resize(h, image_size[0]), resize(w, image_size[1])
    counts = np.array([len(x) for x, _ in regions], dtype=np.int64)
    region = np.repeat(np.arange(1, n), counts)
    x, y = (np.concatenate([pixels[axis] for pixels in regions] or [counts]) for axis in (0, 1))
    result = np.zeros(n * h * w)
    share = np.repeat(1 / np.maximum(counts, 1), counts)
    for row, row_weight in ((rows.low, 1 - rows.weight), (rows.high, rows.weight)):
        for column, weight in ((columns.low, 1 - columns.weight), (columns.high, columns.weight)):
            place = (region * h + row[y]) * w + column[x]
            result += np.bincount(place, row_weight[y] * weight[x] * share, minlength=len(result))
    result = result.reshape(n, h, w)
    result[0] = np.outer(rows.mean, columns.mean)
    return result.astype(np.float32)


def region_nss(
    maps: torch.Tensor, regions: list[list[Pixels]], image_sizes: list[tuple[int, int]]
) -> list[torch.Tensor]:
    """Score every unit against every region: NSS (He et al. 2019, equation 1).

    Parameters
    ----------
    maps : float tensor, shape (n, c, h, w)
        Activation maps of n stimuli and c units; any memory format, any float type.
    regions : list of n lists of Pixels
    image_sizes : list of n (H, W)

    Returns
    -------
    list of n float32 tensors, shape (regions of the stimulus, c)
        On the maps' device. The map is resized to the stimulus (bilinear, half-pixel centres),
        standardised over all of it (population sd) and averaged over the region's distinct
        fixated pixels. A constant map scores 0, a region without fixations NaN.

    Notes
    -----
    The map is first centred by its plain mean and scaled by its largest deviation, which
    changes no NSS but keeps mean(U²) - mean(U)² from cancelling or underflowing in float32.
    """
    # On a CPU, chunks that stay in its cache are several times faster than the whole batch.
    elements = 2**19 if maps.device.type == "cpu" else 2**27
    step = max(1, elements // maps[0].numel())
    scores = []
    with torch.autocast(maps.device.type, enabled=False):
        for start in range(0, len(maps), step):
            part = slice(start, start + step)
            scores += _region_nss(maps[part], regions[part], image_sizes[part])
    return scores


def map_nss(
    saliency: torch.Tensor, x: torch.Tensor, y: torch.Tensor, *, epsilon: float = 0.0
) -> torch.Tensor:
    """Return the NSS of a map at fixations: the mean of the standardised map there.

    Differentiable; the plain form of what `region_nss` computes without resizing.

    Parameters
    ----------
    saliency : float tensor, shape (height, width)
        As large as the stimulus.
    x, y : int tensors, shape (n,)
        Fixated pixels; a repeated pixel counts repeatedly.
    epsilon : float
        Added to the variance, to keep gradients finite; without it a constant map scores 0.

    Returns
    -------
    float tensor, shape ()
    """
    deviation = saliency - saliency.mean()
    variance = deviation.square().mean() + epsilon
    constant = (saliency.amin() == saliency.amax()) & (epsilon == 0)
    return _nss(deviation[y, x].mean(), variance, constant)


def _nss(deviation: torch.Tensor, variance: torch.Tensor, constant: torch.Tensor) -> torch.Tensor:
    """Return mean deviations at fixations in standard deviations; 0 for constant maps."""
    nss = deviation * torch.rsqrt(variance.masked_fill(constant, 1.0))
    return nss.masked_fill(constant, 0.0)


def _region_nss(
    maps: torch.Tensor, regions: list[list[Pixels]], image_sizes: list[tuple[int, int]]
) -> list[torch.Tensor]:
    n, c, h, w = maps.shape
    x = maps.permute(0, 2, 3, 1).float().contiguous()  # no copy if channels are last already
    low, high, centre = x.amin((1, 2)), x.amax((1, 2)), x.mean((1, 2))
    reach = torch.maximum(high - centre, centre - low).clamp_min(torch.finfo(torch.float32).tiny)
    x = (x - centre[:, None, None]).mul_(1 / reach[:, None, None])
    most = max(len(fixated) for fixated in regions)
    kernel = np.zeros((n, 1 + most, h, w), dtype=np.float32)
    for i, (fixated, size) in enumerate(zip(regions, image_sizes, strict=True)):
        kernel[i, : 1 + len(fixated)] = kernels(fixated, (h, w), size)
    means = torch.from_numpy(kernel).flatten(2).to(x.device) @ x.view(n, h * w, c)
    variance = _mean_square(x, image_sizes) - means[:, 0] ** 2
    # A map that is not finite has no constant value: its scores come out as NaN.
    constant = ((low == high) & low.isfinite()) | (variance <= 1e-12)
    deviation = means[:, 1:] - means[:, :1]
    nss = _nss(deviation, variance[:, None], constant[:, None])
    empty = np.zeros((n, most), dtype=bool)
    for i, fixated in enumerate(regions):
        empty[i, : len(fixated)] = [len(pixels) == 0 for pixels, _ in fixated]
    if empty.any():
        nss = nss.masked_fill(torch.from_numpy(empty).to(x.device)[..., None], torch.nan)
    return [nss[i, : len(fixated)] for i, fixated in enumerate(regions)]


def _mean_square(x: torch.Tensor, image_sizes: list[tuple[int, int]]) -> torch.Tensor:
    """Return mean(U²) of maps of shape (n, h, w, c), as (n, c)."""
    n, h, w, c = x.shape
    result = torch.empty(n, c, device=x.device)
    for size in set(image_sizes):
        same = [i for i, image_size in enumerate(image_sizes) if image_size == size]
        maps = x if len(same) == n else x[same]
        rows = torch.from_numpy(resize(h, size[0]).gram).float().to(x.device)
        columns = torch.from_numpy(resize(w, size[1]).gram).float().to(x.device)
        left = (rows @ maps.view(-1, h, w * c)).view(-1, h * w, c)
        right = (columns @ maps.view(-1, w, c)).view(-1, h * w, c)
        result[same] = left.mul_(right).sum(1)
    return result

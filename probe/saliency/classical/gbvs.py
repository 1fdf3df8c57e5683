"""GBVS, and Itti–Koch as released with it.

References
----------
Harel, Koch & Perona, "Graph-based visual saliency", NIPS 2006, and its MATLAB release.
Itti, Koch & Niebur, "A model of saliency-based visual attention", PAMI 20(11), 1998.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from PIL import Image
from scipy import ndimage

from ....datasets.errors import InputError
from .pyramids import attenuated, dkl, opponent, orientation, pyramid

_GBVS_LONG_SIDE = 32  # of the saliency map
_ITTI_SHRINK = 8  # the picture's long side over the map's
_ANGLES = (0, 45, 90, 135)
_GBVS_LEVELS = (2, 3, 4)
_ITTI_LEVELS = ((2, 4), (3, 5))  # centre, surround
_GBVS_BLUR, _ITTI_BLUR = 0.02, 0.03  # of the long side
_SIGMA = 0.15  # of the map's mean side: how far apart connected nodes are
_TOLERANCE = 1e-4
_POWER = 1.5
_CENTRE = 1 / 3  # of a side
_EDGE = 4  # pixels over which the map fades out


def gbvs(rgb: np.ndarray) -> np.ndarray:
    """Return the saliency map of GBVS: colour (DKL), intensity and orientation.

    A random walk on a map's pixels moves between two pixels more often the more they differ and
    the nearer they are; pixels where it dwells are salient.
    """
    size = _map_size(rgb, _GBVS_LONG_SIDE)
    channels: list[list[np.ndarray]] = []
    pyramids = _levels(rgb, max(_GBVS_LEVELS))
    levels = [pyramids[k] for k in _GBVS_LEVELS if k < len(pyramids)] or pyramids[-1:]
    channels.append([channel for r, g, b, _ in levels for channel in dkl(r, g, b)])
    channels.append([light for *_, light in levels])
    channels.append([orientation(light, a) for *_, light in levels for a in _ANGLES])
    weights = _nearness(*size)
    total = np.zeros(size)
    for maps in channels:
        walked = [_dwell(_unit(_resized(feature, size)), weights) for feature in maps]
        # Not stretched to one range first: a walk that dwells nowhere in particular counts little.
        total += np.sum([dwell**_POWER for dwell in walked], axis=0)
    return _finished(total, _GBVS_BLUR, rgb.shape[:2])


def gbvs_uncentred(rgb: np.ndarray) -> np.ndarray:
    """Return GBVS's map without its bias to the centre.

    Nodes in the middle have more neighbours, so the walk dwells there. The map is weighted by
    0.5 + 0.5 (1 − g), where g is a Gaussian at the centre whose sd is a third of each side; the
    release uses a measured template instead.
    """
    saliency = gbvs(rgb)
    y, x = (np.linspace(-0.5, 0.5, length) for length in saliency.shape)
    centre = np.exp(-(y[:, None] ** 2 + x**2) / (2 * _CENTRE**2))
    return _unit(saliency * (0.5 + 0.5 * (1 - centre)))


def itti(rgb: np.ndarray) -> np.ndarray:
    """Return the saliency map of Itti–Koch: centre against surround, few strong peaks promoted.

    Raises
    ------
    InputError
        If the picture is too small to have a surround.
    """
    size = _map_size(rgb, max(1, round(max(rgb.shape[:2]) / _ITTI_SHRINK)))
    levels = _levels(rgb, max(surround for _, surround in _ITTI_LEVELS))
    pairs = [(c, s) for c, s in _ITTI_LEVELS if s < len(levels)]
    if not pairs:
        height, width = rgb.shape[:2]
        raise InputError(
            f"{width}×{height} pixels are too few for Itti–Koch, which halves them four times"
        )
    total = np.zeros(size)
    for kind in ("colour", "intensity", "orientation"):
        features = [list(_features(kind, *level)) for level in levels]
        maps = []
        for centre, surround in pairs:
            for fine, coarse in zip(features[centre], features[surround], strict=True):
                difference = (fine - _resized(coarse, fine.shape)) ** 2
                maps.append(_promoted(_unit(_resized(difference, size))))
        total += _promoted(_unit(np.sum(maps, axis=0)))
    return _finished(total, _ITTI_BLUR, rgb.shape[:2])


def _levels(rgb: np.ndarray, count: int) -> list[tuple[np.ndarray, ...]]:
    """Return (red, green, blue, intensity) at each level of the pyramid."""
    red, green, blue = np.moveaxis(rgb.astype(float) / 255, -1, 0)
    light = np.maximum(np.maximum(red, green), blue)
    channels = (red, green, blue, light)
    return list(zip(*(pyramid(channel, count) for channel in channels), strict=True))


def _features(
    kind: str, red: np.ndarray, green: np.ndarray, blue: np.ndarray, light: np.ndarray
) -> Iterator[np.ndarray]:
    if kind == "colour":
        yield from opponent(red, green, blue, light)
    elif kind == "intensity":
        yield light
    else:
        for angle in _ANGLES:
            yield orientation(light, angle)


def _map_size(rgb: np.ndarray, long_side: int) -> tuple[int, int]:
    height, width = rgb.shape[:2]
    scale = long_side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


@lru_cache(maxsize=4)
def _nearness(height: int, width: int) -> np.ndarray:
    """Return exp(−d² / 2σ²) between all pixels of a map."""
    rows, columns = np.divmod(np.arange(height * width), width)
    square = (rows[:, None] - rows) ** 2 + (columns[:, None] - columns) ** 2
    sigma = _SIGMA * (height + width) / 2
    return np.exp(-square / (2 * sigma**2))


def _dwell(image: np.ndarray, nearness: np.ndarray) -> np.ndarray:
    """Return the stationary distribution of the walk, by power iteration."""
    values = image.ravel()
    weights = np.abs(values[:, None] - values) * nearness
    out = weights.sum(axis=0)
    if not out.all():  # from a pixel equal to all others, the walk goes to any near it
        weights[:, out == 0] = nearness[:, out == 0]
        out = weights.sum(axis=0)
    weights /= out
    state = np.full(len(values), 1 / len(values))
    for _ in range(1000):
        after = weights @ state
        after /= after.sum()
        change, state = np.linalg.norm(after - state), after
        if change < _TOLERANCE:
            break
    return state.reshape(image.shape)


def _promoted(image: np.ndarray) -> np.ndarray:
    """Weight a map by (10 − mean local maximum)²: one peak counts for more than many."""
    image = 10 * image
    cross = ndimage.generate_binary_structure(2, 1)
    peaks = (image == ndimage.maximum_filter(image, footprint=cross, mode="nearest")) & (image > 1)
    peaks[[0, -1]], peaks[:, [0, -1]] = False, False
    count = int(peaks.sum())
    if count > 1:
        return image * (10 - image[peaks].mean()) ** 2
    return image * 100 if count == 1 else image


def _finished(total: np.ndarray, blur: float, shape: tuple[int, ...]) -> np.ndarray:
    image = _unit(attenuated(total, _EDGE))
    sigma = blur * max(image.shape)
    image = _unit(ndimage.gaussian_filter(image, sigma, mode="nearest", radius=round(2 * sigma)))
    return _unit(_resized(image, shape))


def _resized(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Resize bicubically, averaging when it shrinks, as MATLAB's imresize and Pillow do."""
    picture = Image.fromarray(image.astype(np.float32))
    resized = picture.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(resized, dtype=np.float64)


def _unit(image: np.ndarray) -> np.ndarray:
    low, high = image.min(), image.max()
    return (image - low) / (high - low) if high > low else np.zeros_like(image)

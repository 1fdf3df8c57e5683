"""Boolean map saliency (BMS): regions surrounded at some threshold of some colour are figure.

References
----------
Zhang & Sclaroff, "Saliency detection: a Boolean map approach", ICCV 2013; "Exploiting
surroundedness for saliency detection: a Boolean map approach", PAMI 38(5), 2016; and their C++
release.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

_LONG_SIDE = 400
_STEP = 8
_REGULARISER = 50.0
_DILATE_EACH, _DILATE_ALL = 3, 4  # iterations of a 3×3 dilation: widths of 7 and 9 pixels
_SIGMA = 9.0

_ICCV_WIDTH = 600
_ICCV_OPENING = np.ones((5, 5), dtype=np.uint8)
_ICCV_DILATE_ALL = 11  # a width of 23 pixels
_ICCV_SIGMA = 20.0


def bms(rgb: np.ndarray) -> np.ndarray:
    """Return the saliency map of BMS, in the form of the PAMI paper."""
    small = _shrunk(rgb, _LONG_SIDE / max(rgb.shape[:2]))
    booleans = (
        channel > threshold
        for channel in _whitened(small)
        for threshold in range(int(channel.min()), int(channel.max()), _STEP)
    )
    total = np.zeros(small.shape[:2], dtype=np.float32)
    for boolean in booleans:
        total += _attention(boolean, ~boolean)
    return _finished(total, _DILATE_ALL, _SIGMA, rgb.shape[:2])


def bms_iccv13(rgb: np.ndarray) -> np.ndarray:
    """Return the saliency map of BMS, in the form of the ICCV 2013 paper.

    Certain, since the release's comments and scripts name them: pictures 600 pixels wide,
    thresholds 8 apart, dilations 7 and 23 pixels wide, a Gaussian of 20 pixels, attention maps
    of unit L2 norm. From the paper: the channels are CIE Lab, not whitened, and every Boolean map
    and its complement are opened. Taken to be so: the opening's 5 pixels are the width of a
    square, as in the release's usage (a radius is another reading); the channels are OpenCV's
    8-bit Lab, not stretched, with blue and red changed as in `bms`; the blur's kernel is cut
    at 51 pixels, and the sum goes on in 8 bits, as in the later release. No map of the 2013
    program was at hand to compare with.
    """
    small = _shrunk(rgb, _ICCV_WIDTH / rgb.shape[1])
    total = np.zeros(small.shape[:2], dtype=np.float32)
    for boolean, complement in _opened(_lab(small)):
        total += _attention(boolean, complement)
    return _finished(total, _ICCV_DILATE_ALL, _ICCV_SIGMA, rgb.shape[:2])


def _shrunk(rgb: np.ndarray, scale: float) -> np.ndarray:
    height, width = rgb.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)


def _finished(total: np.ndarray, dilations: int, sigma: float, size: tuple[int, ...]) -> np.ndarray:
    """Dilate and blur the sum of the attention maps, as the release does: in 8 bits."""
    saliency = _eight_bits(total)
    saliency = cv2.dilate(saliency, None, iterations=dilations)  # type: ignore[call-overload]
    window = min(int(sigma) * 4 + 1, 51)
    saliency = cv2.GaussianBlur(saliency, (window, window), sigma)
    saliency = cv2.resize(saliency, size[::-1], interpolation=cv2.INTER_LINEAR).astype(float)
    low, high = saliency.min(), saliency.max()
    return (saliency - low) / (high - low) if high > low else np.zeros_like(saliency)


def _lab(rgb: np.ndarray) -> np.ndarray:
    """Return CIE Lab, uint8, of the picture with blue and red changed.

    The release hands OpenCV's BGR picture to the conversion from RGB.
    """
    return cv2.cvtColor(np.ascontiguousarray(rgb[..., ::-1]), cv2.COLOR_RGB2Lab)


def _opened(channels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a Boolean map and its complement, both opened, for every channel and threshold."""
    for channel in np.moveaxis(channels, -1, 0):
        for threshold in range(0, 256, _STEP):
            boolean = channel > threshold
            one, other = (
                cv2.morphologyEx(side.astype(np.uint8), cv2.MORPH_OPEN, _ICCV_OPENING) > 0
                for side in (boolean, ~boolean)
            )
            yield one, other


def _whitened(rgb: np.ndarray) -> list[np.ndarray]:
    """Return CIE Lab rotated so that its channels are uncorrelated, uint8 from 0 to 255.

    A habit of the release is kept, since its published maps have it: it rotates the colours
    without centring them. Which way an axis points decides the thresholds, so the decomposition
    is OpenCV's own, in float32.
    """
    pixels = _lab(rgb).reshape(-1, 3).astype(np.float32)
    flags = cv2.COVAR_NORMAL | cv2.COVAR_ROWS | cv2.COVAR_SCALE
    covariance, _ = cv2.calcCovarMatrix(pixels, None, flags, ctype=cv2.CV_32F)  # type: ignore[call-overload]
    covariance += np.eye(3, dtype=np.float32) * np.float32(_REGULARISER)
    spread, axes, _ = cv2.SVDecomp(covariance)
    rotated = pixels @ axes @ np.diag(1 / np.sqrt(spread.ravel()))
    return [cv2.medianBlur(_eight_bits(values.reshape(rgb.shape[:2])), 3) for values in rotated.T]


def _eight_bits(image: np.ndarray) -> np.ndarray:
    """Stretch an image to 0 to 255 and round it; a constant one becomes 0."""
    low, high = image.min(), image.max()
    if high == low:
        return np.zeros(image.shape, dtype=np.uint8)
    return np.rint((image - low) * (255 / (high - low))).astype(np.uint8)


def _attention(boolean: np.ndarray, complement: np.ndarray) -> np.ndarray:
    """Return the parts of a Boolean map and of its complement that do not touch the border."""
    attention = np.zeros(boolean.shape, dtype=np.float32)
    for side in (boolean, complement):
        _, labels = cv2.connectedComponents(side.astype(np.uint8), connectivity=8)
        edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        keep = np.ones(labels.max() + 1, dtype=np.uint8)
        keep[0], keep[edge] = 0, 0
        if not keep.any():
            continue
        inside = cv2.dilate(keep[labels], None, iterations=_DILATE_EACH)  # type: ignore[call-overload]
        attention += inside / np.sqrt(np.float32(inside.sum()))
    return attention

"""Boolean map saliency (BMS): regions surrounded at some threshold of some colour are figure.

References
----------
Zhang & Sclaroff, "Exploiting surroundedness for saliency detection", PAMI 38(5), 2016, and its
C++ release.
"""

from __future__ import annotations

import cv2
import numpy as np

_LONG_SIDE = 400
_STEP = 8
_REGULARISER = 50.0
_DILATE_EACH, _DILATE_ALL = 3, 4  # iterations of a 3×3 dilation: widths of 7 and 9 pixels
_SIGMA = 9.0


def bms(rgb: np.ndarray) -> np.ndarray:
    """Return the saliency map of BMS."""
    height, width = rgb.shape[:2]
    scale = _LONG_SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    total = np.zeros(small.shape[:2], dtype=np.float32)
    for channel in _whitened(small):
        for threshold in range(int(channel.min()), int(channel.max()), _STEP):
            total += _attention(channel > threshold)
    # The release goes on in 8 bits.
    saliency = _eight_bits(total)
    saliency = cv2.dilate(saliency, None, iterations=_DILATE_ALL)  # type: ignore[call-overload]
    window = min(int(_SIGMA) * 4 + 1, 51)
    saliency = cv2.GaussianBlur(saliency, (window, window), _SIGMA)
    saliency = cv2.resize(saliency, (width, height), interpolation=cv2.INTER_LINEAR).astype(float)
    low, high = saliency.min(), saliency.max()
    return (saliency - low) / (high - low) if high > low else np.zeros_like(saliency)


def _whitened(rgb: np.ndarray) -> list[np.ndarray]:
    """Return CIE Lab rotated so that its channels are uncorrelated, uint8 from 0 to 255.

    Two habits of the release are kept, since its published maps have them: it hands OpenCV's BGR
    picture to the conversion from RGB, and it rotates the colours without centring them. Which
    way an axis points decides the thresholds, so the decomposition is OpenCV's own, in float32.
    """
    lab = cv2.cvtColor(np.ascontiguousarray(rgb[..., ::-1]), cv2.COLOR_RGB2Lab)
    pixels = lab.reshape(-1, 3).astype(np.float32)
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


def _attention(boolean: np.ndarray) -> np.ndarray:
    """Return the parts of a boolean map and of its complement that do not touch the border."""
    attention = np.zeros(boolean.shape, dtype=np.float32)
    for side in (boolean, ~boolean):
        _, labels = cv2.connectedComponents(side.astype(np.uint8), connectivity=8)
        edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        keep = np.ones(labels.max() + 1, dtype=np.uint8)
        keep[0], keep[edge] = 0, 0
        if not keep.any():
            continue
        inside = cv2.dilate(keep[labels], None, iterations=_DILATE_EACH)  # type: ignore[call-overload]
        attention += inside / np.sqrt(np.float32(inside.sum()))
    return attention

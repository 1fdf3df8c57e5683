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
_DILATE_EACH, _DILATE_ALL = 7, 9  # iterations of a 3×3 dilation
_SIGMA = 9.0


def bms(rgb: np.ndarray) -> np.ndarray:
    """Return the saliency map of BMS."""
    height, width = rgb.shape[:2]
    scale = _LONG_SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    total = np.zeros(small.shape[:2], dtype=np.float32)
    for channel in _whitened(small):
        low, high = int(channel.min()), int(channel.max())
        for threshold in range(low, high, _STEP):
            total += _attention(channel > threshold)
    total = cv2.normalize(total, total, 0, 255, cv2.NORM_MINMAX)
    total = cv2.dilate(total, None, iterations=_DILATE_ALL)  # type: ignore[call-overload]
    window = min(int(_SIGMA) * 4 + 1, 51)
    total = cv2.GaussianBlur(total, (window, window), _SIGMA)
    total = cv2.resize(total, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float64)
    low, high = total.min(), total.max()
    return (total - low) / (high - low) if high > low else np.zeros_like(total)


def _whitened(rgb: np.ndarray) -> list[np.ndarray]:
    """Return CIE Lab rotated so that its channels are uncorrelated, each 0 to 255."""
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab).reshape(-1, 3).astype(np.float64)
    lab -= lab.mean(axis=0)
    covariance = lab.T @ lab / len(lab) + _REGULARISER * np.eye(3)
    axes, spread, _ = np.linalg.svd(covariance)
    channels = []
    for values in (lab @ axes / np.sqrt(spread)).T:
        image = values.reshape(rgb.shape[:2])
        low, high = image.min(), image.max()
        image = (image - low) * 255 / (high - low) if high > low else np.zeros_like(image)
        channels.append(cv2.medianBlur(np.rint(image).astype(np.uint8), 3))
    return channels


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

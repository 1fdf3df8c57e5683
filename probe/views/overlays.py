"""Maps drawn over their stimuli, as in the papers' figures."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure

from ...datasets.errors import InputError
from ...datasets.files import atomic_write


class ShownFigure(Figure):
    """A figure that notebooks display."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=120)
        return buffer.getvalue()


def panel(axis: Any, picture: np.ndarray, saliency: np.ndarray | None = None) -> None:
    """Draw a stimulus on matplotlib axes; with a map, the stimulus is grey and the map coloured.

    Parameters
    ----------
    axis : Axes
    picture : uint8 array, shape (height, width, 3)
    saliency : float array, shape (h, w), optional
        Resized to the stimulus (bilinear) and stretched from its minimum to its maximum.
    """
    axis.set_xticks([])
    axis.set_yticks([])
    if saliency is None:
        axis.imshow(picture)
        return
    height, width = picture.shape[:2]
    resized = cv2.resize(np.asarray(saliency, dtype=np.float32), (width, height))
    low, reach = resized.min(), np.ptp(resized)
    scaled = (resized - low) / reach if reach > 0 else np.zeros_like(resized)
    axis.imshow(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cmap="gray", vmin=-60, vmax=255)
    axis.imshow(scaled, cmap="inferno", alpha=0.15 + 0.7 * scaled, vmin=0, vmax=1)


def save_figure(figure: Figure, path: Path, dpi: int = 150) -> None:
    """Write a figure atomically, in the format that the file's suffix names.

    Raises
    ------
    InputError
        If matplotlib does not know the format.
    """
    with atomic_write(path) as file:
        try:
            figure.savefig(file, format=path.suffix.removeprefix(".") or "png", dpi=dpi)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error

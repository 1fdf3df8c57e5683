"""What a saliency network with its own way of feeding and reading out has."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import nn


class SaliencyNetwork(nn.Module):
    """A network from a picture to its saliency map, as its authors' program makes it.

    Called like any other network, on a batch of images of one size, it returns maps of that size.
    """

    @abstractmethod
    def predict(self, picture: np.ndarray) -> np.ndarray:
        """Return a picture's saliency map.

        Parameters
        ----------
        picture : uint8 array, shape (height, width, 3)
            RGB.

        Returns
        -------
        float32 array, shape (height, width)
        """


def check_sides(images: torch.Tensor, factor: int, name: str) -> None:
    """Refuse images whose sides are no multiples of a factor.

    Raises
    ------
    ValueError
        If a side of the images, (n, channels, height, width), is not.
    """
    height, width = images.shape[-2:]
    if height % factor or width % factor:
        raise ValueError(f"{name} takes sides that are multiples of {factor}, got {height}×{width}")

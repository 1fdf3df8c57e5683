"""MSI-Net, a VGG-16 with atrous spatial pyramid pooling.

References
----------
Kroner, Senden, Driessens & Goebel, "Contextual encoder–decoder network for visual saliency
prediction", Neural Networks 2020, with the graph of the released program (TensorFlow 1). The
program subtracts the means of blue, green and red from red, green and blue; so does this.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import torch
from torch import nn

from ...datasets.errors import InputError
from . import tensorflow1
from .saliency_network import SaliencyNetwork, check_sides

Size = tuple[int, int]

MEAN = (103.939, 116.779, 123.68)
"""Subtracted from red, green and blue in 0 to 255."""

STRIDE = 8
_PADDING = 126.0  # of pictures whose aspect is not the input's
_EPSILON = 1e-7
_BLOCKS = ((3, 64, 64), (64, 128, 128), (128, *[256] * 3), (256, *[512] * 3), (512, *[512] * 3))


class Convolution(nn.Conv2d):
    """A convolution that keeps the maps' size, and its ReLU."""

    def __init__(self, units_in: int, units: int, size: int = 3, dilation: int = 1) -> None:
        super().__init__(units_in, units, size, padding=size // 2 * dilation, dilation=dilation)
        self.relu = nn.ReLU()

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Map (n, units_in, h, w) to (n, units, h, w)."""
        return self.relu(super().forward(input))


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: dilated convolutions side by side, and the picture's mean."""

    def __init__(self, units_in: int, units: int = 256) -> None:
        super().__init__()
        self.conv1_1 = Convolution(units_in, units, 1)
        self.conv1_2 = Convolution(units_in, units, dilation=4)
        self.conv1_3 = Convolution(units_in, units, dilation=8)
        self.conv1_4 = Convolution(units_in, units, dilation=12)
        self.conv1_5 = Convolution(units_in, units, 1)
        self.conv2 = Convolution(5 * units, units, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (n, units_in, h, w) to (n, units, h, w)."""
        dilated = [self.conv1_1, self.conv1_2, self.conv1_3, self.conv1_4]
        whole = self.conv1_5(maps.mean((2, 3), keepdim=True)).expand(-1, -1, *maps.shape[2:])
        return self.conv2(torch.cat([*(branch(maps) for branch in dilated), whole], 1))


class Doubling(nn.Module):
    """Bilinear upsampling by 2, as TensorFlow 1 does it."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (n, units, h, w) to (n, units, 2h, 2w)."""
        return tensorflow1.doubled(maps)


class SamePool(nn.Module):
    """The maximum over 2×2 cells at stride 1, with TensorFlow's SAME padding."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (n, units, h, w) to the same size."""
        return tensorflow1.pooled(maps)


class MsiNet(SaliencyNetwork):
    """MSI-Net: from images to saliency maps, 0 to 1.

    Its keys are the names of TensorFlow's variables: ``conv1/conv1_1/kernel`` is
    ``conv1.conv1_1.weight``.

    Parameters
    ----------
    size : (height, width)
        Size of the input that `predict` fits pictures into.
    """

    def __init__(self, size: Size = (240, 320)) -> None:
        super().__init__()
        self.size = size
        for number, (units_in, *widths) in enumerate(_BLOCKS, start=1):
            block: OrderedDict[str, nn.Module] = OrderedDict()
            for index, units in enumerate(widths, start=1):
                dilation = 2 if number == 5 else 1
                block[f"conv{number}_{index}"] = Convolution(units_in, units, dilation=dilation)
                units_in = units
            self.add_module(f"conv{number}", nn.Sequential(block))
            self.add_module(f"pool{number}", nn.MaxPool2d(2, 2) if number < 4 else SamePool())
        self.aspp = Pyramid(256 + 512 + 512)
        decoder: OrderedDict[str, nn.Module] = OrderedDict()
        for number, (units_in, units) in enumerate(((256, 128), (128, 64), (64, 32)), start=1):
            decoder[f"up{number}"] = Doubling()
            decoder[f"conv{number}"] = Convolution(units_in, units)
        self.decoder = nn.Sequential(decoder)
        self.decoder.add_module("conv4", nn.Conv2d(32, 1, 3, padding=1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # TensorFlow's default
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return saliency maps, each stretched to the range 0 to 1.

        Parameters
        ----------
        images : float32 tensor, shape (n, 3, height, width)
            RGB in 0 to 255, less `MEAN`; sides are multiples of 8.

        Returns
        -------
        float32 tensor, shape (n, 1, height, width)
        """
        check_sides(images, STRIDE, "MSI-Net")
        maps, kept = images, []
        for number in range(1, 6):
            maps = self.get_submodule(f"conv{number}")(maps)
            maps = self.get_submodule(f"pool{number}")(maps)
            if number >= 3:
                kept.append(maps)
        maps = self.decoder(self.aspp(torch.cat(kept, 1)))
        maps = maps - maps.amin((1, 2, 3), keepdim=True)
        return maps / (_EPSILON + maps.amax((1, 2, 3), keepdim=True))

    def predict(self, picture: np.ndarray) -> np.ndarray:
        """Return a picture's saliency map, 0 to 1, of the picture's size.

        The picture keeps its aspect and is padded with grey; the map is resized and cropped.
        """
        pixels = fit(picture, self.size) - np.array(MEAN, np.float32)
        with torch.inference_mode():
            saliency = self(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0, 0].numpy()
        return cover(saliency, (picture.shape[0], picture.shape[1]))


def fit(picture: np.ndarray, size: Size) -> np.ndarray:
    """Resize a picture to lie within a size, keeping its aspect, and pad it around.

    Parameters
    ----------
    picture : array, shape (height, width, 3)
    size : (height, width)

    Returns
    -------
    float32 array, shape (*size, 3)
    """
    small = _resized(picture, size, min(size[0] / picture.shape[0], size[1] / picture.shape[1]))
    small = small.clip(0, 255)
    sides = zip(size, small.shape[:2], strict=True)
    around = [((of - cells) // 2, (of - cells + 1) // 2) for of, cells in sides]
    return np.pad(small, [*around, (0, 0)], constant_values=_PADDING)


def cover(saliency: np.ndarray, size: Size) -> np.ndarray:
    """Resize a map, 0 to 1, to cover a size, keeping its aspect, and crop it around.

    Parameters
    ----------
    saliency : array, shape (height, width)
    size : (height, width)

    Returns
    -------
    float32 array, shape size
    """
    ratio = max(size[0] / saliency.shape[0], size[1] / saliency.shape[1])
    large = _resized(saliency[:, :, None], size, ratio)[:, :, 0].clip(0, 1)
    top, left = ((cells - of) // 2 for cells, of in zip(large.shape, size, strict=True))
    return large[top : top + size[0], left : left + size[1]]


def _resized(picture: np.ndarray, size: Size, ratio: float) -> np.ndarray:
    """Resize (height, width, channels) by a ratio: area if a side shrinks, else bicubic."""
    before = picture.shape[:2]
    after = [round(side * ratio) for side in before]
    if min(after) < 1:
        raise InputError(f"{before[0]}×{before[1]} pixels are too narrow for {size[0]}×{size[1]}")
    sides = list(zip(after, before, strict=True))
    shrinks = any(new < old for new, old in sides)
    down, across = (
        tensorflow1.area(*side) if shrinks else tensorflow1.bicubic(*side) for side in sides
    )
    return np.einsum("yi,ijc,xj->yxc", down, picture, across, optimize=True).astype(np.float32)

"""Where the cells of a layer look, in pixels of the network's input; and patches of that size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from ...datasets.errors import InputError
from ..layers.layers import Layer
from ..networks.model import Model
from .rectifiers import maps_before_relu

_FINEST = 24  # a field is described on at most so many blocks along a side, if the stride allows
_NOISES = 8  # pictures of noise that a cell's field is measured on
_TOLERANCE = 1e-3  # of the units' standard deviation: rounding, not another neighbourhood


@dataclass(frozen=True, eq=False)
class Window:
    """The square of a network's input that each cell of a layer sees.

    Attributes
    ----------
    model : Model
    layer : Layer
    stride : int
        Pixels from a cell's field to the next one's.
    start : int
        Where the field of cell ``cell`` begins, down and across.
    cell : int
        The first row and column of the map whose field lies inside the input.
    side : int
        Of the field, in pixels: the theoretical receptive field.
    spare : int
        Pixels of a patch beyond the field: TensorFlow's padding lies on one side or on both,
        depending on the size of what is padded, and must be that of the whole input.
    """

    model: Model
    layer: Layer
    stride: int
    start: int
    cell: int
    side: int
    spare: int = 0

    @property
    def patch(self) -> int:
        """Side of an input with one cell that sees a whole field: `cell`."""
        return self.start + self.side + self.spare

    @property
    def block(self) -> int:
        """Side in pixels of the blocks that fields are described on.

        It divides the stride or is a multiple of it, so that blocks of noise fit every cell.
        """
        least = self.side / _FINEST
        fitting = (
            b
            for b in range(max(1, math.ceil(least)), self.side + self.stride + 1)
            if b % self.stride == 0 or self.stride % b == 0
        )
        return next(fitting)

    @property
    def grid(self) -> int:
        """Blocks along a side of a field."""
        return -(-self.side // self.block)

    @property
    def margin(self) -> int:
        """Pixels of the first block that lie before the field."""
        return (self.grid * self.block - self.side) // 2

    def whole_cells(self, length: int) -> int:
        """Return how many cells in a row see a whole field, for an input of ``length`` pixels."""
        return max(0, (length - self.patch) // self.stride + 1)

    def maps(self, images: torch.Tensor) -> torch.Tensor:
        """Return the layer's maps before its ReLU: those cells that see a whole field.

        Parameters
        ----------
        images : float tensor, shape (n, 3, height, width)
            Normalised; at least `patch` high and wide.

        Returns
        -------
        float tensor, shape (n, units, rows, columns)
        """
        rows, columns = (self.whole_cells(length) for length in images.shape[2:])
        maps = maps_before_relu(self.model.network, self.layer, images)
        return maps[:, :, self.cell :, self.cell :][:, :, :rows, :columns]

    def responses(self, patches: torch.Tensor) -> torch.Tensor:
        """Return all units' responses to patches, (n, units), before the ReLU.

        Parameters
        ----------
        patches : float tensor, shape (n, 3, patch, patch)
            Normalised.
        """
        return self.maps(patches)[:, :, 0, 0]

    def cut(self, picture: np.ndarray, row: int, column: int) -> np.ndarray:
        """Cut the patch that a cell sees out of an input, (height, width, 3).

        Row and column count from the first cell that sees a whole field.
        """
        top, left = row * self.stride, column * self.stride
        return picture[top : top + self.patch, left : left + self.patch]


def measure_window(model: Model, layer: Layer) -> Window:
    """Find what the cells of a layer see, from gradients; and check it on patches.

    Parameters
    ----------
    model : Model
    layer : Layer

    Raises
    ------
    InputError
        If cells see more than the input, the picture as a whole, one pixel, or something other than
        a square that moves from cell to cell; or the network cannot be differentiated or takes no
        patches.

    Examples
    --------
    >>> import salprobe as sp
    >>> model = sp.load_model("squeezenet1_0", "random", input_size=(64, 64))
    >>> window = sp.measure_window(model, model.layer("features.3"))
    >>> window.side, window.stride
    (19, 4)
    """
    if "H" not in layer.layout:
        raise _unfit(model, layer, "its cells are tokens, which may see the whole picture")
    with frozen(model):
        first = _extent(model, layer, 0)
        other = _extent(model, layer, -1)
        stride = first[0] - other[0]
        if not stride > 0 or first[1] - other[1] != stride:
            raise _unfit(model, layer, "its cells do not look at squares at equal distances")
        row = layer.height // 2
        begin = first[0] - row * stride
        cell = max(0, -(begin // stride))
        window = Window(
            *(model, layer, stride, begin + cell * stride, cell), side=first[1] - first[0]
        )
        if window.grid < 2:
            raise _unfit(model, layer, "a cell sees too few pixels to have a shape")
        for spare in (0, -window.patch % stride):
            found = replace(window, spare=spare)
            if _answers_alike(found):
                return found
    raise _unfit(model, layer, "its cells see more of the picture than their own part")


def _unfit(model: Model, layer: Layer, why: str) -> InputError:
    return InputError(f"{model.name}: {layer.name} has no receptive fields to describe: {why}")


def _extent(model: Model, layer: Layer, beyond: int) -> tuple[int, int]:
    """Return the first row that a cell sees, and the first one after its field."""
    generator = torch.Generator().manual_seed(0)
    device = next(model.network.parameters(), torch.empty(0)).device
    images = torch.randn(_NOISES, 3, *model.input_size, generator=generator).to(device)
    seen = torch.zeros(model.input_size, dtype=torch.bool)
    for image in images:  # one at a time: a map may be large
        batch = image[None].requires_grad_(True)
        try:
            maps = maps_before_relu(model.network, layer, batch)
            cells = maps[0, :, layer.height // 2 + beyond, layer.width // 2 + beyond]
            mixture = torch.randn(len(cells), generator=generator).to(device)
            (gradient,) = torch.autograd.grad(cells @ mixture, batch)
        except (RuntimeError, IndexError) as error:  # in anybody's code, or of one cell only
            reason = str(error).partition("\n")[0]
            raise _unfit(model, layer, f"no gradient of a cell: {reason}") from error
        seen |= (gradient[0] != 0).any(0).cpu()
    rows, columns = (seen.any(axis).nonzero().flatten().tolist() for axis in (1, 0))
    if not rows:
        raise _unfit(model, layer, "its cells answer to nothing")
    whole = any(
        one[0] == 0 or one[-1] == length - 1
        for one, length in zip((rows, columns), model.input_size, strict=True)
    )
    if whole:
        height, width = model.input_size
        raise _unfit(
            *(model, layer),
            f"a cell sees more than the {height}×{width} input; give a larger --input-size, or "
            "a layer nearer to it",
        )
    if rows[-1] - rows[0] != columns[-1] - columns[0]:
        raise _unfit(model, layer, "a cell's field is not square")
    return rows[0], rows[-1] + 1


def _answers_alike(window: Window) -> bool:
    """Return whether a cell answers to a patch as it does to the whole input.

    Raises
    ------
    InputError
        If the network takes no patch.
    """
    model, layer = window.model, window.layer
    device = next(model.network.parameters(), torch.empty(0)).device
    generator = torch.Generator().manual_seed(1)
    whole = torch.randn(2, 3, *model.input_size, generator=generator).to(device)
    with torch.no_grad():
        maps = window.maps(whole)
        row, column = (count - 1 for count in maps.shape[2:])
        top, left = row * window.stride, column * window.stride
        patches = whole[:, :, top : top + window.patch, left : left + window.patch]
        try:
            cut = window.responses(patches)
        except (RuntimeError, IndexError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise _unfit(model, layer, f"the network takes no patch: {reason}") from error
        apart = (maps[:, :, -1, -1] - cut).abs().max()
        return bool(apart <= _TOLERANCE * maps.std())


@contextmanager
def frozen(model: Model) -> Iterator[None]:
    """Take no gradients of a network's weights meanwhile."""
    trained = [one for one in model.network.parameters() if one.requires_grad]
    for one in trained:
        one.requires_grad_(False)
    try:
        yield
    finally:
        for one in trained:
            one.requires_grad_(True)

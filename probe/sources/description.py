"""A network of one's own, and how it is to be fed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ...datasets.errors import InputError
from ..choices import Interpolation

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)


class Resize(NamedTuple):
    """What a picture is resized to, whole, before a network sees it.

    Attributes
    ----------
    size : (height, width)
    interpolation : Interpolation
        Pillow's filter, which averages when it shrinks.
    """

    size: tuple[int, int]
    interpolation: Interpolation = "bilinear"


@dataclass(frozen=True, eq=False)
class Network:
    """A network of your own, and how it is to be fed.

    Parameters
    ----------
    module : Module
        Takes images, float32 (n, 3, height, width).
    mean, sd : 3 floats
        Normalisation of RGB, in units of ``range``.
    size : (height, width)
        Size of its input.
    range : float
        What white is before normalisation: 1, or 255.
    interpolation : Interpolation
        How pictures are resized: ``nearest``, ``bilinear``, ``bicubic`` or ``lanczos``.
    centre_bias : float array, shape (height, width), optional
        A log density that the module takes as its second argument, (n, height, width): resized to
        the images (nearest), its exponential summing to 1.
    px_per_degree : float, optional
        The resolution that the network expects. If given, stimuli are resized to it instead of to
        ``size``.

    Raises
    ------
    InputError
        If a value has another type or is out of range.

    Examples
    --------
    >>> import salprobe as sp, torch
    >>> module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())
    >>> network = sp.Network(module, mean=(0, 0, 0), sd=(1, 1, 1), size=(96, 128), range=255)
    """

    module: nn.Module
    mean: tuple[float, ...] = IMAGENET_MEAN
    sd: tuple[float, ...] = IMAGENET_SD
    size: tuple[int, int] = (224, 224)
    range: float = 1.0
    interpolation: Interpolation = "bilinear"
    centre_bias: np.ndarray | None = None
    px_per_degree: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.module, nn.Module):
            raise InputError(
                f"Network: module is a {type(self.module).__name__}, expected a torch.nn.Module"
            )
        for name, count, whole in (("mean", 3, False), ("sd", 3, False), ("size", 2, True)):
            values = _numbers(getattr(self, name), whole)
            if len(values) != count or (name != "mean" and min(values) <= 0):
                positive = "" if name == "mean" else " above 0"
                raise InputError(
                    f"Network: {name} is {getattr(self, name)!r:.60}, expected {count} "
                    f"{'whole ' if whole else ''}numbers{positive}"
                )
            object.__setattr__(self, name, values)
        for name in ("range", "px_per_degree"):
            value = getattr(self, name)
            if value is not None and not (_numbers((value,), False) and value > 0):
                raise InputError(f"Network: {name} is {value!r:.60}, expected a number above 0")
        known = get_args(Interpolation)
        if self.interpolation not in known:
            raise InputError(
                f"Network: interpolation is {self.interpolation!r:.60}, expected {', '.join(known)}"
            )
        if self.centre_bias is not None:
            bias = np.asarray(self.centre_bias, dtype=np.float64)
            if bias.ndim != 2 or not np.isfinite(bias).all():
                raise InputError(
                    f"Network: centre_bias is {bias.shape}, expected finite values (height, width)"
                )
            object.__setattr__(self, "centre_bias", bias)


class CentreBias:
    """Hands a centre bias to a module as its second argument; a forward pre-hook."""

    def __init__(self, log_density: np.ndarray) -> None:
        self.log_density = torch.from_numpy(log_density)

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Add the bias to the inputs, at the images' size."""
        images = inputs[0]
        bias = F.interpolate(self.log_density[None, None], images.shape[-2:], mode="nearest")[0]
        bias = (bias - bias.logsumexp((1, 2))).to(images)
        return images, bias.expand(len(images), -1, -1)


def _numbers(values: Any, whole: bool) -> tuple:
    """Return a sequence's numbers as a tuple; an empty one if it holds anything else."""
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    try:
        numbers = tuple(values)
    except TypeError:
        return ()
    right = all(
        isinstance(one, kinds) and not isinstance(one, bool) and np.isfinite(one) for one in numbers
    )
    return tuple(int(one) if whole else float(one) for one in numbers) if right else ()

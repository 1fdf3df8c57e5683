"""Maps of the frozen part of a network, computed once for each stimulus of a training.

Fine-tuning the last layers leaves the others as they were, and most of the time would go into
them. A frontier is a module through whose output alone the trained part depends on the picture. Its
output is kept for each stimulus; from then on the module returns what was kept, and what comes
before it runs on a small blank picture, of which nothing remains.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from ..networks.heads import Headed

LIMIT = 2**31
"""Bytes of maps that a training keeps in memory."""

_TRIED, _SMALLER = 12, 4  # modules tried as the frontier; how much smaller the blank picture is


class Frozen:
    """What the frozen part of a network gives for each stimulus.

    Parameters
    ----------
    network : Headed
        Tuned: its trained parameters require gradients. On its device.
    input_size : (height, width)
    stimuli : int
        How many stimuli the training has.
    limit : int
        Bytes. If twice the maps of all stimuli need more, none are kept.

    Notes
    -----
    A batch with a new stimulus is computed as a whole, and a map is kept for batches of its size: a
    convolution may round an image otherwise in batches of another size. So kept maps equal those of
    a training that keeps none, bit for bit.
    """

    def __init__(
        self, network: Headed, input_size: tuple[int, int], stimuli: int, limit: int = LIMIT
    ) -> None:
        self._network, self._stimuli, self._limit = network, stimuli, limit
        self._kept: dict[tuple[int, int], torch.Tensor] = {}  # by stimulus and size of the batch
        self._layout = torch.contiguous_format
        self._device = next(network.parameters()).device
        self._frontier: nn.Module | None = None
        self._find(input_size)

    def forward(
        self, network: Any, ids: Sequence[int], images: Callable[[], torch.Tensor]
    ) -> torch.Tensor:
        """Return what a network gives for a batch, from its kept maps if it has all of them.

        Parameters
        ----------
        network : Headed, or the same in DistributedDataParallel
        ids : sequence of n int
            The stimuli's ids.
        images : callable
            Returns the network's input, shape (n, 3, height, width).
        """
        if self._frontier is None:
            return network(images())
        keys = [(number, len(ids)) for number in ids]
        if all(key in self._kept for key in keys):
            maps = torch.stack([self._kept[key] for key in keys]).to(self._device)
            with _giving(self._frontier, maps.contiguous(memory_format=self._layout)):
                return network(self._blank)
        with _seeing(self._frontier) as seen:
            output = network(images())
        self._keep(keys, seen[0].detach())
        return output

    def _keep(self, keys: Sequence[tuple[int, int]], maps: torch.Tensor) -> None:
        # In time, a stimulus has been in whole batches, and in an epoch's last one.
        if 2 * maps[0].nbytes * self._stimuli > self._limit:
            self._frontier = None
            return
        if maps.ndim == 4 and maps.is_contiguous(memory_format=torch.channels_last):
            self._layout = torch.channels_last
        for key, one in zip(keys, maps, strict=True):
            if key not in self._kept:
                self._kept[key] = one.cpu().clone()  # not a view that keeps its whole batch

    def _find(self, input_size: tuple[int, int]) -> None:
        """Find the last frontier, and the smallest blank picture that the network runs on."""
        height, width = input_size
        sizes = [(height // _SMALLER, width // _SMALLER), input_size]
        images = self._images(input_size, 0)
        if not torch.equal(self._network.features(images), self._network.features(images)):
            return  # something in it is random: no map is like the one before
        for module in self._before_training(images)[: -_TRIED - 1 : -1]:
            for size in sizes:
                blank = torch.zeros_like(self._images(size, 0)[:1])
                if all(
                    self._is_frontier(module, self._images(input_size, seed), blank)
                    for seed in (1, 2)
                ):
                    self._frontier, self._blank = module, blank
                    return

    def _before_training(self, image: torch.Tensor) -> list[nn.Module]:
        """Return the backbone's modules that end before the first trained one begins, in order."""
        backbone = self._network.backbone
        ended: list[nn.Module] = []
        calls: Counter[nn.Module] = Counter()
        begun = False

        def begin(module: nn.Module, *_: object) -> None:
            nonlocal begun
            own = module.parameters(recurse=False)
            begun = begun or any(parameter.requires_grad for parameter in own)

        def end(module: nn.Module, _inputs: object, output: object) -> None:
            calls[module] += 1
            if not begun and isinstance(output, torch.Tensor):
                ended.append(module)

        hooks = [module.register_forward_pre_hook(begin) for module in backbone.modules()]
        hooks += [module.register_forward_hook(end) for module in backbone.modules()]
        try:
            self._network.features(image)
        finally:
            for hook in hooks:
                hook.remove()
        return [module for module in ended if calls[module] == 1]

    def _is_frontier(self, module: nn.Module, images: torch.Tensor, blank: torch.Tensor) -> bool:
        """Return whether the module's output depends on no trained weight, and all else on it.

        The blank picture is a single one: a module that counts the pictures is not fooled.
        """
        with _seeing(module) as seen:
            expected = self._network.features(images).detach().clone()
        if len(seen) != 1 or seen[0].requires_grad:
            return False
        try:
            with torch.no_grad(), _giving(module, seen[0]):
                return torch.equal(self._network.features(blank), expected)
        except Exception:  # anybody's code, on a picture that may be too small for it
            return False

    def _images(self, size: tuple[int, int], seed: int) -> torch.Tensor:
        images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(seed))
        return images.to(self._device).contiguous(memory_format=torch.channels_last)


@contextmanager
def _giving(module: nn.Module, maps: torch.Tensor) -> Iterator[None]:
    """Have a module return given maps."""
    hook = module.register_forward_hook(lambda *_: maps)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def _seeing(module: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collect a module's output, before anything may change it in place."""
    seen: list[torch.Tensor] = []
    hook = module.register_forward_hook(lambda *call: seen.append(call[2].clone()))
    try:
        yield seen
    finally:
        hook.remove()

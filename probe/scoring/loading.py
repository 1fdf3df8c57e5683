"""Stimuli decoded in threads: beside the network, or in turns with one that needs the cores."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import cache
from typing import Protocol, TypeVar

import torch
from threadpoolctl import ThreadpoolController

from ...datasets.errors import InputError
from ...datasets.progress import Progress
from ...datasets.stimuli import Stimulus
from ..sources.description import Resize

OFFER = "(--skip-bad leaves it out)"
"""What the commands that have this option say of an image that cannot be read."""


class OnStimulus(Protocol):
    """Work on one stimulus."""

    @property
    def stimulus(self) -> Stimulus:
        """The stimulus."""
        ...


Item = TypeVar("Item", bound=OnStimulus)
Loaded = TypeVar("Loaded", covariant=True)


class Work(Protocol[Item, Loaded]):
    """Batches of stimuli, and how each is loaded."""

    @property
    def batches(self) -> list[list[Item]]:
        """The batches, in order."""
        ...

    def load(self, item: Item, resize: Resize) -> Loaded:
        """Prepare one stimulus for the network."""
        ...


def load_batches(
    plan: Work[Item, Loaded],
    numbers: Sequence[int],
    resize: Resize,
    device: torch.device,
    workers: int | None = None,
    skip_bad: Progress | None = None,
    advice: str = "",
) -> Iterator[tuple[int, list[Loaded], list[dict]]]:
    """Load batches in order; Pillow releases the GIL while it decodes.

    Parameters
    ----------
    plan : Work
    numbers : sequence of int
        Numbers of the batches to load.
    resize : Resize
    device : torch.device
        Where the network runs. On a CPU a few batches are decoded while it waits: decoding beside
        it, threads wait for each other most of the time.
    workers : int, optional
        Threads; by default one per CPU, at most 16.
    skip_bad : Progress, optional
        If given, images that cannot be read are left out and reported here.
    advice : str
        Ends the error of an image that cannot be read.

    Yields
    ------
    number : int
        Number of the batch.
    loaded : list of Loaded
    bad : list of dict
        ``image_id`` and ``reason`` of each image left out.

    Raises
    ------
    InputError
        If an image cannot be read and ``skip_bad`` is None.
    """
    threads = workers or min(16, os.cpu_count() or 1)
    beside = device.type != "cpu"
    depth = 3 + threads // max(1, len(plan.batches[0]))
    ahead: deque[tuple[int, list[Future]]] = deque()
    remaining = iter(numbers)

    def submit() -> None:
        while len(ahead) < depth and (number := next(remaining, None)) is not None:
            batch = plan.batches[number]
            ahead.append((number, [pool.submit(plan.load, item, resize) for item in batch]))

    pool = ThreadPoolExecutor(threads)
    with ExitStack() as stack:
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        if beside:
            stack.enter_context(_blas().limit(limits=1))
        while True:
            if beside:
                submit()
            elif not ahead:
                with _blas().limit(limits=1):
                    submit()
                    wait([future for _, futures in ahead for future in futures])
            if not ahead:
                break
            number, futures = ahead.popleft()
            loaded, bad = [], []
            for item, future in zip(plan.batches[number], futures, strict=True):
                try:
                    loaded.append(future.result())
                except InputError as error:
                    if skip_bad is None:
                        raise InputError(f"{error} {advice}".strip()) from error
                    skip_bad.say(f"skipped: {error}")
                    bad.append({"image_id": item.stimulus.id, "reason": str(error)})
            yield number, loaded, bad


@cache
def _blas() -> ThreadpoolController:
    """Return NumPy's linear algebra: its threads would get in the way of ours."""
    return ThreadpoolController().select(user_api="blas")

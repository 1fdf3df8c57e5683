"""A `Progress` that remembers what it was told."""

from collections.abc import Iterator
from contextlib import contextmanager

from salprobe.datasets.progress import Advance


class Counting:
    def __init__(self) -> None:
        self.tasks: list[tuple[str, int, int]] = []
        self.steps: list[int] = []  # of each task
        self.said: list[str] = []

    @contextmanager
    def task(self, text: str, total: int, *, done: int = 0) -> Iterator[Advance]:
        self.tasks.append((text, total, done))
        self.steps.append(0)
        place = len(self.steps) - 1

        def advance(steps: int) -> None:
            self.steps[place] += steps

        yield advance

    def say(self, text: str) -> None:
        self.said.append(text)

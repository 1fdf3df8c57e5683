"""A `Progress` that remembers what it was told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Recorder:
    """Keeps the lines that were said, and how far each task came: (text, done, total)."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.tasks: list[tuple[str, int, int]] = []

    @contextmanager
    def task(self, text: str, total: int, *, done: int = 0) -> Iterator[Callable[[int], None]]:
        place = len(self.tasks)
        self.tasks.append((text, done, total))

        def advance(steps: int) -> None:
            self.tasks[place] = (text, self.tasks[place][1] + steps, total)

        yield advance

    def say(self, text: str) -> None:
        self.said.append(text)

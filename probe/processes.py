"""Several processes that share a job, on one machine or on more: torchrun's, or srun's."""

from __future__ import annotations

import math
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from threading import Event, Thread
from typing import Any

from ..datasets.errors import InputError

BEAT_S = 2.0
"""Seconds between two signs of life."""

LOST_S = 120.0
"""Seconds without one after which a process counts as dead."""

ENTER_S = 600.0
"""The same before the processes first meet, while each reads its inputs and may do nothing else."""

_LEAVE_S = 10.0  # what a process has to leave in order, once another is lost
_POLL_S = 0.05
_STOPPED, _DONE = b"has stopped", b"done"
_AGAIN = "run the same command again to resume"
_UNREACHED = f"the first process has stopped, or its machine does not answer; {_AGAIN}"


def environment_number(name: str, default: int) -> int:
    """Return a whole number that torchrun puts into the environment.

    Raises
    ------
    InputError
        If it is something else.
    """
    text = os.environ.get(name, "").strip() or str(default)
    if not (text.isascii() and text.isdecimal()):
        raise InputError(f"{name}={text} in the environment: expected a whole number")
    return int(text)


def n_processes() -> int:
    """Return how many processes share the job."""
    return max(1, environment_number("WORLD_SIZE", 1))


def first_process() -> bool:
    """Return whether this process prints: it is the only one, or the first."""
    return n_processes() == 1 or environment_number("RANK", 0) == 0


def check_alone(what: str) -> None:
    """Refuse to go on under torchrun.

    Raises
    ------
    InputError
        If several processes share the job.
    """
    if n_processes() > 1:
        raise InputError(f"{what} runs in one process; expected no torchrun")


class Processes:
    """The processes that share a job, as one of them sees them.

    They meet in a store, which torchrun's first agent or the first process keeps, and which needs
    neither a shared drive nor an idea of time that all agree on. Waiting there can be interrupted,
    and each process gives signs of life there, so that nobody waits for a dead one.

    Attributes
    ----------
    rank, world : int
        This process's number, and the number of processes.
    """

    def __init__(self, rank: int = 0, world: int = 1, store: Any = None) -> None:
        self.rank, self.world, self._store = rank, world, store
        self._meetings = 0
        self._met = False
        self._grouped = False
        self._left = Event()
        self._lost = ""
        self._beat = 0  # the last that was exchanged with the store

    def wait(self) -> None:
        """Wait until all processes have reached this point."""
        if self.world > 1:
            self._meetings += 1
            self._gather(f"meeting {self._meetings}")
            self._met = True

    def from_first(self, text: str) -> str:
        """Return what the first process passes."""
        if self.world == 1:
            return text
        if self.rank == 0:
            self._store.set(f"told {self._meetings + 1}", text)
        self.wait()
        return self._store.get(f"told {self._meetings}").decode()

    def group(self) -> None:
        """Prepare torch's collectives, which training needs."""
        from torch import distributed

        if self.world > 1 and not self._grouped:
            self._grouped = True
            distributed.init_process_group(
                "gloo",
                store=distributed.PrefixStore("gloo", self._store),  # pyright: ignore
                rank=self.rank,
                world_size=self.world,
                timeout=timedelta(hours=1),
            )

    def _gather(self, place: str, within: float = math.inf) -> None:
        self._store.add(place, 1)
        limit = time.monotonic() + within
        while (here := self._store.add(place, 0)) < self.world:
            if time.monotonic() > limit:
                raise InputError(f"only {here} of {self.world} processes came in {within:g} s")
            time.sleep(_POLL_S)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Give signs of life meanwhile, and leave if another process dies."""
        store = self._store.clone()
        for key, value in (("host", socket.gethostname()), ("alive", "0"), ("end", "")):
            store.set(f"{key} {self.rank}", value)
        watch = Thread(target=self._watch, args=(store,), daemon=True)
        watch.start()
        Thread(target=self._guard, daemon=True).start()
        try:
            self._gather("entrance", ENTER_S)
            yield
            self._gather("exit")
            self._store.set(f"end {self.rank}", _DONE)
            if self.rank == 0:  # it may keep the store: it goes last
                self._see_off()
        except BaseException as error:
            why = f": {error}" if isinstance(error, InputError) else ""
            with suppress(Exception):
                self._store.set(f"end {self.rank}", _STOPPED + why.encode())
            if self._lost:
                raise InputError(self._lost) from error
            if _of_connection(error):
                message = f"another process has stopped, and its own message says why; {_AGAIN}"
                raise InputError(message) from error
            raise
        finally:
            self._left.set()
            watch.join(_LEAVE_S)
            if self._grouped:
                from torch import distributed

                with suppress(Exception):  # its peers may be dead
                    distributed.destroy_process_group()

    def _see_off(self) -> None:
        keys = [f"end {rank}" for rank in range(1, self.world)]
        limit = time.monotonic() + _LEAVE_S
        while time.monotonic() < limit and any(self._store.get(key) != _DONE for key in keys):
            time.sleep(_POLL_S)

    def _watch(self, store: Any) -> None:
        """Give signs of life and watch the others'; runs in a thread."""
        others = [rank for rank in range(self.world) if rank != self.rank]
        seen: dict[int, tuple[bytes, float]] = {}  # the last sign, and for how long
        beat = 0
        while not self._lost and not self._left.wait(BEAT_S):
            try:
                beat += 1
                store.set(f"alive {self.rank}", str(beat))
                for rank in others:
                    if not store.check([f"end {rank}"]):
                        continue  # it has not come yet
                    sign, end = store.get(f"alive {rank}"), store.get(f"end {rank}")
                    last, silent = seen.get(rank, (b"", 0.0))
                    silent = silent + BEAT_S if sign == last and end != _DONE else 0.0
                    seen[rank] = sign, silent
                    stopped = end.startswith(_STOPPED)
                    if stopped or silent > (LOST_S if self._met else ENTER_S):
                        host = store.get(f"host {rank}").decode()
                        what = end.decode() if stopped else "gives no sign of life"
                        self._leave(f"process {rank} on {host} {what}; {_AGAIN}")
                        return
                self._beat = beat
            except RuntimeError:  # torch's errors of connections
                self._leave(_UNREACHED)

    def _guard(self) -> None:
        """Notice that the store's machine is silent: torch then waits without end."""
        last, silent = 0, 0.0
        while not self._lost and not self._left.wait(BEAT_S):
            silent = silent + BEAT_S if self._beat == last else 0.0
            last = self._beat
            if silent > LOST_S:
                self._leave(_UNREACHED)

    def _leave(self, why: str) -> None:
        """Interrupt the main thread; if it hangs, as in torch's code, end the process.

        Whatever is on the disk is as after a kill, from which every run and training resumes.
        """
        self._lost = why
        if self._left.is_set():
            return
        os.kill(os.getpid(), signal.SIGINT)
        if not self._left.wait(_LEAVE_S):
            print(f"probe: {why}", file=sys.stderr, flush=True)
            os._exit(2)


@contextmanager
def processes() -> Iterator[Processes]:
    """Join the processes that torchrun started, or that the environment describes as it does.

    Raises
    ------
    InputError
        If they cannot be reached, or another one stops meanwhile.
    """
    world = n_processes()
    if world == 1:
        yield Processes()
        return
    rank = environment_number("RANK", -1) if os.environ.get("RANK") else None
    if rank is None or not rank < world:
        raise InputError(
            f"WORLD_SIZE={world} and RANK={rank} in the environment: expected torchrun, or a RANK "
            f"from 0 to {world - 1}, MASTER_ADDR and MASTER_PORT"
        )
    from torch.distributed import PrefixStore  # pyright: ignore

    try:
        store = _meeting_place()
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"the other processes cannot be reached: {reason}") from error
    _entered.append(rank)
    team = Processes(rank, world, PrefixStore(f"salprobe {len(_entered)}", store))
    with team._watched():
        yield team


_entered: list[int] = []  # each time in a place of its own in the store


@cache
def _meeting_place() -> Any:
    """Return the store in which the processes meet; the first may have to keep it."""
    from torch.distributed import rendezvous  # pyright: ignore

    store, _, _ = next(rendezvous("env://"))
    return store


def _of_connection(error: BaseException) -> bool:
    """Return whether an error is torch's of a connection to another process."""
    if not isinstance(error, RuntimeError):
        return False
    from torch.distributed import DistError

    return isinstance(error, DistError) or "gloo" in str(error).lower()

"""Faults of the disk in every command that writes: each ends in one line, and nothing is lost.

The long form: ``python tests/faults/campaign.py --faults 1000``. For each fault a command runs in
a forked process on toy data, and then again on a disk that works.
"""

from __future__ import annotations

import argparse
import atexit
import importlib
import json
import os
import pkgutil
import random
import re
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from faults import injector
from faults.commands import COMMANDS, Command, make_world, run_line
from faults.injector import AT_OPERATIONS, Fault, Kind
from faults.survival import Tree, damage, difference, tree_of

_SECONDS = 120


@dataclass
class Tally:
    """What happened to a command's faults."""

    operations: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative: the signal), stderr, operations."""

    code: int
    error: str
    operations: list[str]


_known: set[str] = set()
"""Modules that a forked process begins with."""


def load(floors: Sequence[str] = ("annotate", "datasets", "probe", "terminal")) -> None:
    """Import all that the commands use, so that a forked process begins at once."""
    os.environ.update(OMP_NUM_THREADS="1", SOURCE_DATE_EPOCH="0", MPLBACKEND="agg", COLUMNS="120")
    injector.install()
    for floor in floors:
        package = importlib.import_module(f"salprobe.{floor}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(("worker", "__main__")):
                importlib.import_module(module.name)
    import torch
    from PIL import Image

    Image.init()
    torch.set_num_threads(1)
    agree = importlib.import_module("salprobe.annotate.labels.agree")
    agree.RESAMPLES = 20  # type: ignore[attr-defined]
    _known.update(sys.modules)


def forked(place: Path, does: Callable[[], None], fault: Fault | None = None) -> Ended:
    """Make a call in a forked process in the folder ``place``, with a fault."""
    error, error_in = os.pipe()
    count, count_in = os.pipe()
    number = os.fork()
    if not number:
        _become(place, does, fault, error_in, count_in)
    os.close(error_in)
    os.close(count_in)
    _, status = os.waitpid(number, 0)
    code = os.waitstatus_to_exitcode(status)
    text = _rest(error)
    operations, imported = json.loads(_rest(count) or "[[], []]")
    for name in imported if fault is None else ():  # the next process begins with them
        with suppress(ImportError):
            importlib.import_module(name)
    _known.update(sys.modules)
    return Ended(code, text, operations)


def _rest(pipe: int) -> str:
    """Return what is in a pipe, whoever still holds its other end."""
    content = b""
    while select.select([pipe], [], [], 0)[0] and (part := os.read(pipe, 1 << 20)):
        content += part
    os.close(pipe)
    return content.decode(errors="replace")


def _become(
    place: Path, does: Callable[[], None], fault: Fault | None, error: int, count: int
) -> None:
    """Make the call in this process and end it, with 70 if something else was raised."""
    code: object = 70
    try:
        signal.alarm(_SECONDS)
        os.chdir(place)
        os.environ["XDG_DATA_HOME"] = str(place / "data")
        os.environ.pop("SALPROBE_DATA", None)
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)
        os.dup2(error, 2)
        disk = injector.start(place, fault)
        try:
            does()
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
        atexit._run_exitfuncs()
        sys.stderr.flush()
        injector.stop()
        os.write(count, json.dumps([disk.operations, sorted(sys.modules.keys() - _known)]).encode())
    except BaseException:
        traceback.print_exc()
        code = 70
    finally:
        os._exit(code if isinstance(code, int) else 70)


class Stage:
    """A folder in which a command is given again and again from the same beginning."""

    def __init__(self, folder: Path, command: Command) -> None:
        self.command, self.place, self._saved = command, folder / "here", folder / "saved"
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.rmtree(self._saved, ignore_errors=True)
        self.place.mkdir()
        make_world(self.place)
        for does in command.before:
            ended = forked(self.place, lambda does=does: run_line(does))
            assert ended.code == 0, (command.name, does, ended)
        shutil.copytree(self.place, self._saved)
        self.before = tree_of(self.place)
        self.undisturbed = self.give()
        self.final: Tree = tree_of(self.place)
        if self.undisturbed.code:
            raise AssertionError(f"{command.name}: {self.undisturbed}")

    def give(self, fault: Fault | None = None, *, fresh: bool = True) -> Ended:
        """Give the command, in a folder as it was, or as the last fault left it."""
        if fresh:
            shutil.rmtree(self.place)
            shutil.copytree(self._saved, self.place)
        return forked(self.place, lambda: run_line(self.command.does), fault)

    def faults(self) -> list[Fault]:
        """Return every fault by operation, and some by bytes."""
        found = []
        for place, name in enumerate(self.undisturbed.operations, start=1):
            found += [
                Fault(kind, place) for kind in AT_OPERATIONS if kind != "short" or name == "write"
            ]
        sizes = {len(data) for name, data in self.final.items() if data != self.before.get(name)}
        for size in sorted(sizes):
            for bytes_ in {size // 3, size - 1}:
                if bytes_ > 0:
                    found += [Fault("limit", bytes_), Fault("cut", bytes_)]
        return found

    def survives(self, fault: Fault) -> str | None:
        """Return what went wrong under a fault, or None."""
        ended = self.give(fault)
        now = tree_of(self.place)
        wrong = self._said(fault, ended) or damage(
            self.before, self.final, now, self.command.unfinished
        )
        if wrong is None and ended.code == 0:
            wrong = difference(self.final, now, hidden=True)
        if wrong:
            return f"{wrong} [{_line(ended)}]"
        again = self.give(fresh=False)
        wrong = difference(self.final, tree_of(self.place))
        if again.code and (wrong or difference(self.final, now)):
            return f"again: exit {again.code}: {_line(again)}"
        return wrong and f"again: {wrong} [{_line(ended)}]"

    def _said(self, fault: Fault, ended: Ended) -> str | None:
        """Return what is wrong with how a command ended."""
        if ended.code == 0 or ended.code == {"kill": -9, "cut": -signal.SIGXFSZ}.get(fault.kind):
            return None
        if ended.code != 2 or "Traceback" in ended.error:
            return f"exit {ended.code}"
        lines = ended.error.splitlines()
        program, _, said = lines[-1].partition(": ")
        if program != self.command.program:
            return "no message"
        path = said.partition(": ")[0]
        named = any(re.match(rf"(.*/)?{re.escape(one)}(/|$)", path) for one in self.command.writes)
        if not named or path.endswith(".partial"):
            return "the message does not name the file"
        if fault.kind in ("full", "short") and "the disk is full" not in said:
            return "the message does not say that the disk is full"
        threads = "popout" in self.command.name  # which operation is the n-th differs
        if fault.kind == "short" and not threads and not re.search(r"\d bytes", said):
            return "the message does not say how much is missing"
        return None


def _line(ended: Ended) -> str:
    lines = ended.error.strip().splitlines()
    return lines[-1][:300] if lines else f"exit {ended.code}"


def chosen(stage: Stage, count: int, seed: int) -> list[Fault]:
    """Return some of a command's faults, as many of each kind as can be."""
    rng = random.Random(seed * 1_000_003 + zlib.crc32(stage.command.name.encode()))
    kinds: dict[Kind, list[Fault]] = {}
    for fault in stage.faults():
        kinds.setdefault(fault.kind, []).append(fault)
    for faults in kinds.values():
        rng.shuffle(faults)
    kinds = {kind: kinds[kind] for kind in rng.sample(list(kinds), len(kinds))}
    found: list[Fault] = []
    while len(found) < count and any(kinds.values()):
        found += [faults.pop() for faults in kinds.values() if faults]
    return found[:count]


def campaign(commands: list[Command], each: int, seed: int) -> dict[str, Tally]:
    """Inject faults into commands, and print a line for each."""
    tallies = {}
    folder = tempfile.mkdtemp()  # a TemporaryDirectory would be removed as a forked process ends
    try:
        for command in commands:
            started = time.monotonic()
            stage, tally = Stage(Path(folder), command), Tally()
            tally.operations = len(stage.undisturbed.operations)
            for fault in chosen(stage, each, seed):
                tally.faults[fault.kind] += 1
                wrong = stage.survives(fault)
                if wrong:
                    place = fault.place if fault.kind in AT_OPERATIONS else 0
                    at = f" ({stage.undisturbed.operations[place - 1]})" if place else ""
                    tally.wrong.append(f"{fault}{at}: {wrong}")
            tallies[command.name] = tally
            total = tally.faults.total()
            survived = total - len(tally.wrong)
            print(
                f"{command.name:28} {tally.operations:10} {total:7} {survived:9} "
                f"{len(tally.wrong):5} {time.monotonic() - started:6.1f}",
                flush=True,
            )
            for text in tally.wrong:
                print(f"    {text}", flush=True)
    finally:
        shutil.rmtree(folder)
    return tallies


def main() -> None:
    """Print a table; exit with 1 if anything did not survive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=1000, help="of all commands together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", default="", help="commands whose names have one of these (one;other)"
    )
    options = parser.parse_args()
    load()
    wanted = options.only.split(";")
    commands = [command for command in COMMANDS if any(name in command.name for name in wanted)]
    print(f"{'command':28} {'operations':>10} {'faults':>7} {'survived':>9} {'lost':>5} {'s':>6}")
    tallies = campaign(commands, -(-options.faults // len(commands)), options.seed)
    kinds: Counter[str] = sum((tally.faults for tally in tallies.values()), Counter())
    lost = sum(len(tally.wrong) for tally in tallies.values())
    total = kinds.total()
    print(f"{'all':28} {'':10} {total:7} {total - lost:9} {lost:5}")
    print(", ".join(f"{kind}: {count}" for kind, count in kinds.items()))
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()

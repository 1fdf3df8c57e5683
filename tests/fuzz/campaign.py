"""Mutations of every reader's file: each is read, or refused in one line.

The long form: ``python tests/fuzz/campaign.py --mutations 10000``.
"""

from __future__ import annotations

import argparse
import math
import random
import resource
import signal
import sys
import tempfile
import traceback
import warnings
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from salprobe.datasets.errors import InputError

sys.path.insert(0, str(Path(__file__).parent.parent))

from fuzz.mutator import mutated
from fuzz.reader import Reader
from fuzz.readers import READERS, write_seeds

_SECONDS = 30
_LONGEST = 300


class Hang(BaseException):
    """A reader took too long."""


@dataclass
class Tally:
    """What happened to a reader's mutations."""

    mutations: int = 0
    refused: int = 0
    hangs: int = 0
    uncaught: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)


def fuzz(reader: Reader, folder: Path, mutations: int, seed: int) -> Tally:
    """Read mutations of a reader's file below a folder with all seeds."""
    tally, path = Tally(), folder / reader.file
    original = path.read_bytes()
    rng = random.Random(seed * 1_000_003 + zlib.crc32(reader.name.encode()))
    for _ in range(mutations):
        content = mutated(original, rng, reader.kind)
        path.write_bytes(content)
        tally.mutations += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                signal.alarm(_SECONDS)
                try:
                    reader.read(path)
                finally:
                    signal.alarm(0)
        except InputError as error:
            tally.refused += 1
            if len(str(error)) >= _LONGEST or "\n" in str(error):
                tally.uncaught["a message that is too long"] += 1
        except Hang:
            tally.hangs += 1
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            what = f"{type(error).__name__}: {error!s:.80} ({where})"
            tally.uncaught[what] += 1
            tally.examples.setdefault(what, traceback.format_exc())
        finally:
            path.write_bytes(original)
    return tally


def on_alarm(*_: object) -> None:
    """Leave a reader that takes too long."""
    raise Hang


def main() -> None:
    """Print a table; exit with 1 if anything was uncaught or hung."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=10_000, help="of all readers together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="readers whose name has this")
    parser.add_argument("--traces", action="store_true", help="print a traceback of each kind")
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, on_alarm)
    chosen = [reader for reader in READERS if options.only in reader.name]
    each = options.mutations / sum(reader.share for reader in chosen)
    total = Tally()
    print(f"{'reader':30} {'mutations':>9} {'refused':>8} {'uncaught':>8} {'hangs':>6} {'MB':>6}")
    with tempfile.TemporaryDirectory() as place:
        write_seeds(Path(place))
        for reader in chosen:
            tally = fuzz(reader, Path(place), math.ceil(each * reader.share), options.seed)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            wrong = tally.uncaught.total()
            print(
                f"{reader.name:30} {tally.mutations:9} {tally.refused:8} {wrong:8} "
                f"{tally.hangs:6} {peak:6}",
                flush=True,
            )
            for what, times in tally.uncaught.most_common():
                print(f"    {times} × {what}")
                if options.traces:
                    print(tally.examples.get(what, ""))
            total.mutations += tally.mutations
            total.refused += tally.refused
            total.hangs += tally.hangs
            total.uncaught += tally.uncaught
    wrong = total.uncaught.total()
    print(f"{'all':30} {total.mutations:9} {total.refused:8} {wrong:8} {total.hangs:6} {peak:6}")
    sys.exit(bool(wrong or total.hangs))


if __name__ == "__main__":
    main()

"""A fast slice of the mutations; ``make fuzz`` reads ten thousand."""

import signal
from pathlib import Path

import pytest
from fuzz.campaign import fuzz, on_alarm
from fuzz.readers import READERS, write_seeds


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("seeds")
    write_seeds(folder)
    before = signal.signal(signal.SIGALRM, on_alarm)
    yield folder
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_mutations_are_read_or_refused(seeds: Path, reader) -> None:
    reader.read(seeds / reader.file)  # the seed itself is fine
    tally = fuzz(reader, seeds, mutations=int(20 * reader.share) or 2, seed=7)
    assert tally.uncaught == {} and tally.hangs == 0, "\n".join(tally.examples.values())
    assert tally.refused > 0 or reader.share < 1

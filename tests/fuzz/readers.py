"""Every reader, with a small file that it reads: what the mutator starts from."""

from __future__ import annotations

from pathlib import Path

from fuzz.inputs import INPUTS, write_inputs
from fuzz.results import RESULTS, write_results
from fuzz.trainings import TRAININGS, write_trainings

READERS = [*INPUTS, *RESULTS, *TRAININGS]


def write_seeds(folder: Path) -> None:
    """Write the seed of every reader below a folder."""
    write_inputs(folder)
    write_results(folder)
    write_trainings(folder)

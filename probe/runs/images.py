"""The contents of a run's images, on which its numbers depend."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ...datasets.errors import InputError
from ...datasets.files import sha256
from ...datasets.progress import Progress
from ..scoring.batches import Plan


def check_images(target: Path, plan: Plan, known: Mapping[int, str], progress: Progress) -> None:
    """Refuse a run folder whose scores come from other pictures.

    Parameters
    ----------
    target : Path
        The run folder.
    plan : Plan
    known : mapping
        From the id of each stimulus that was scored to the SHA-256 of its image file.
    progress : Progress

    Raises
    ------
    InputError
        If a file differs or is missing; the message names it.
    """

    def same(stimulus) -> bool:
        return sha256(plan.stimuli.path(stimulus)) == known[stimulus.id]

    stimuli = [item.stimulus for batch in plan.batches for item in batch]
    stimuli = [stimulus for stimulus in stimuli if stimulus.id in known]
    if not stimuli:
        return
    with (
        ThreadPoolExecutor() as pool,
        progress.task("comparing images", len(stimuli)) as advance,
    ):
        for stimulus, found in zip(stimuli, pool.map(same, stimuli), strict=True):
            if not found:
                raise InputError(
                    f"{target}: was begun with other pictures ({stimulus.file_name} differs); "
                    "choose another --out"
                )
            advance(1)

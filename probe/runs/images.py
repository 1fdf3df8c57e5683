"""The contents of a run's images, on which its numbers depend."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ...datasets.errors import InputError
from ...datasets.files import sha256
from ...datasets.progress import SILENT, Progress
from ...datasets.stimuli import Stimuli


def check_images(
    target: Path, stimuli: Stimuli, known: Mapping[int, str], progress: Progress = SILENT
) -> None:
    """Refuse a run folder whose scores come from other pictures.

    Parameters
    ----------
    target : Path
        The run folder.
    stimuli : Stimuli
    known : mapping
        From the id of each stimulus that was scored to the SHA-256 of its image file.
    progress : Progress

    Raises
    ------
    InputError
        If a file differs or is missing; the message names it.
    """

    def same(stimulus) -> bool:
        return sha256(stimuli.path(stimulus)) == known[stimulus.id]

    scored = [stimulus for stimulus in stimuli if stimulus.id in known]
    if not scored:
        return
    with (
        ThreadPoolExecutor() as pool,
        progress.task("comparing images", len(scored)) as advance,
    ):
        for stimulus, found in zip(scored, pool.map(same, scored), strict=True):
            if not found:
                raise InputError(
                    f"{target}: its scores are of other pictures ({stimulus.file_name} differs)"
                )
            advance(1)

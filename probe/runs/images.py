"""The contents of images, on which all numbers depend."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from ...datasets.errors import InputError
from ...datasets.files import sha256
from ...datasets.progress import SILENT, Progress
from ...datasets.stimuli import Stimuli, Stimulus

Result = TypeVar("Result")


def read_images(stimuli: Stimuli, progress: Progress = SILENT) -> dict[int, str]:
    """Decode every image, so that a broken one is found before hours of work on the others.

    Parameters
    ----------
    stimuli : Stimuli
    progress : Progress

    Returns
    -------
    dict
        The SHA-256 of each image file, by its stimulus's id.

    Raises
    ------
    InputError
        If an image is missing, broken or has another size.
    """

    def checked(stimulus: Stimulus) -> str:
        stimuli.read(stimulus)
        return sha256(stimuli.path(stimulus))

    hashes = _each(checked, list(stimuli), "checking images", progress)
    return {stimulus.id: found for stimulus, found in zip(stimuli, hashes, strict=True)}


def contents(stimuli: Stimuli, progress: Progress = SILENT) -> dict[int, str]:
    """Return the SHA-256 of each image file, by its stimulus's id.

    Raises
    ------
    InputError
        If an image is missing.
    """
    used = list(stimuli)
    hashes = _each(
        lambda stimulus: sha256(stimuli.path(stimulus)), used, "comparing images", progress
    )
    return {stimulus.id: found for stimulus, found in zip(used, hashes, strict=True)}


def digest(stimuli: Stimuli, progress: Progress = SILENT) -> str:
    """Return one SHA-256 of all images' contents and ids; see `read_images`."""
    return hashlib.sha256(json.dumps(read_images(stimuli, progress)).encode()).hexdigest()


def check_images(
    target: Path, stimuli: Stimuli, known: Mapping[int, str], progress: Progress = SILENT
) -> None:
    """Refuse a folder of results that were made with other pictures.

    Parameters
    ----------
    target : Path
        The folder.
    stimuli : Stimuli
    known : mapping
        From the id of each stimulus that was used to the SHA-256 of its image file.
    progress : Progress

    Raises
    ------
    InputError
        If a file differs or is missing; the message names it.
    """
    used = tuple(stimulus for stimulus in stimuli if stimulus.id in known)
    found = contents(Stimuli(stimuli.root, used), progress)
    for stimulus in used:
        if found[stimulus.id] != known[stimulus.id]:
            raise InputError(
                f"{target}: was made with other pictures ({stimulus.file_name} differs)"
            )


def _each(
    function: Callable[[Stimulus], Result],
    stimuli: Sequence[Stimulus],
    text: str,
    progress: Progress,
) -> Iterator[Result]:
    """Yield a function's results in order, computed in threads; at once interrupted."""
    if not stimuli:
        return
    pool = ThreadPoolExecutor()
    try:
        with progress.task(text, len(stimuli)) as advance:
            for result in pool.map(function, stimuli):
                yield result
                advance(1)
    finally:
        pool.shutdown(cancel_futures=True)

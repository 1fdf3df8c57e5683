"""Downloads of published datasets: hash-checked, resumable, atomic, several at a time."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import pooch
import requests

from ..errors import InputError
from ..files import atomic_write, sha256
from .description import Description

_AT_A_TIME = 8


def missing_files(description: Description, root: Path) -> dict[str, str]:
    """Return the SHA-256 of every file that is not below ``root`` as it should be, by path."""
    return {
        path: digest
        for path, digest in description.files().items()
        if not (root / path).is_file() or sha256(root / path) != digest
    }


def copy(
    description: Description, root: Path, source: Path, advance: Callable[[int], None]
) -> None:
    """Copy what is missing from a local copy, checking every file.

    ``source`` may hold the files at their paths (``stimuli/``, ``eye/fixations.mat``), below a
    folder ``data``, or without the folder ``eye``.

    Raises
    ------
    InputError
        Naming the first file that is missing or differs; files copied before it stay.
    """
    if not source.is_dir():
        raise InputError(f"{source}: no such folder")
    for path, digest in missing_files(description, root).items():
        places = (source / path, source / "data" / path, source / Path(path).name)
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise InputError(f"{source}: {path} is not there")
        content = found.read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise InputError(f"{found}: is not the published file (its SHA-256 differs)")
        _make_folder((root / path).parent)
        with atomic_write(root / path) as file:
            file.write(content)
        advance(1)


def download(
    description: Description,
    root: Path,
    advance: Callable[[int], None],
    base_url: str | None = None,
) -> None:
    """Download what is missing; an interrupted download goes on with the files not there yet.

    Parameters
    ----------
    base_url : str, optional
        A mirror, instead of the published address.

    Raises
    ------
    InputError
        If a file cannot be had; says what to download by hand and where to put it.
    """
    wanted = missing_files(description, root)
    for folder in {(root / path).parent for path in wanted} | {root}:
        _make_folder(folder)  # pooch's threads would race for it
    pooch.get_logger().setLevel(logging.WARNING)
    base_url = base_url or description.base_url
    store = pooch.create(path=root, base_url=base_url, registry=wanted, retry_if_failed=2)
    downloader: Any = pooch.HTTPDownloader(timeout=30)
    pool = ThreadPoolExecutor(_AT_A_TIME)
    try:
        jobs = [pool.submit(store.fetch, path, downloader=downloader) for path in wanted]
        for job in as_completed(jobs):
            job.result()
            advance(1)
    except (requests.RequestException, OSError, ValueError) as error:
        raise InputError(
            f"{description.name} cannot be downloaded from {base_url} "
            f"({type(error).__name__}). By hand: get {description.homepage}, then "
            f"`annotate fetch {description.name} --from FOLDER`, the folder that holds "
            f"{next(iter(description.files()))} and the others; it goes to {root}"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from error

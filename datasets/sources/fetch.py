"""Downloads of published datasets: hash-checked, resumable, atomic and parallel."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Sized
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pooch
import requests

from ..disk import reason
from ..errors import InputError
from ..files import atomic_write, sha256
from ..progress import SILENT, Advance, Progress
from .description import Description

_AT_A_TIME = 8


def missing_files(description: Description, root: Path) -> dict[str, str]:
    """Return the SHA-256, by path, of every file that is missing or wrong below ``root``."""
    return {
        path: digest
        for path, digest in description.files().items()
        if not (root / path).is_file() or sha256(root / path) != digest
    }


def copy(description: Description, root: Path, source: Path, progress: Progress = SILENT) -> int:
    """Copy missing files from a local copy, verifying each.

    Parameters
    ----------
    description : Description
    root : Path
        Where to put the files.
    source : Path
        Holds the files at their paths (``stimuli/``, ``eye/fixations.mat``), the same below a
        folder ``data``, or all files directly.
    progress : Progress
        Counts the dataset's files.

    Returns
    -------
    int
        Number of files that were missing.

    Raises
    ------
    InputError
        If a file is missing or differs; files already copied stay.
    """
    if not source.is_dir():
        raise InputError(f"{source}: no such folder")
    wanted = missing_files(description, root)
    with _fetching(description, wanted, progress) as advance:
        for path, digest in wanted.items():
            places = (source / path, source / "data" / path, source / Path(path).name)
            original = next((place for place in places if place.is_file()), None)
            if original is None:
                raise InputError(f"{source}: has no {path}")
            content = original.read_bytes()
            if hashlib.sha256(content).hexdigest() != digest:
                raise InputError(f"{original}: not the published file (its SHA-256 differs)")
            make_folder((root / path).parent)
            with atomic_write(root / path) as file:
                file.write(content)
            advance(1)
    return len(wanted)


def download(
    description: Description,
    root: Path,
    base_url: str | None = None,
    progress: Progress = SILENT,
) -> int:
    """Download missing files; an interrupted download resumes with those still missing.

    Parameters
    ----------
    description : Description
    root : Path
        Where to put the files.
    base_url : str, optional
        Address of a mirror to use instead of the published one.
    progress : Progress
        Counts the dataset's files.

    Returns
    -------
    int
        Number of files that were missing.

    Raises
    ------
    InputError
        If a file cannot be downloaded; the message says how to fetch it by hand.
    """
    wanted = missing_files(description, root)
    for folder in {(root / path).parent for path in wanted} | {root}:
        make_folder(folder)
    base_url = base_url or description.base_url

    def fetch(path: str) -> None:
        content = _downloaded(base_url + path, wanted[path])
        with atomic_write(root / path) as file:
            file.write(content)

    pool = ThreadPoolExecutor(_AT_A_TIME)
    try:
        jobs = [pool.submit(fetch, path) for path in wanted]
        with _fetching(description, wanted, progress) as advance:
            for job in as_completed(jobs):
                job.result()
                advance(1)
    except InputError:  # the disk
        raise
    except (requests.RequestException, OSError, ValueError) as error:
        raise InputError(
            f"{description.name} cannot be downloaded from {base_url} "
            f"({type(error).__name__}). Download it by hand from {description.homepage}, then "
            f"run `annotate fetch {description.name} --from FOLDER`, where FOLDER holds "
            f"{next(iter(description.files()))} and the other files; they are copied to {root}"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return len(wanted)


def _downloaded(url: str, digest: str, attempts: int = 3) -> bytes:
    """Return the content of a file with this SHA-256; ask again if it does not arrive."""
    downloader: Any = pooch.HTTPDownloader(timeout=30)
    content = io.BytesIO()
    try:
        downloader(url, content, None)
        if hashlib.sha256(content.getbuffer()).hexdigest() != digest:
            raise ValueError(f"{url}: its SHA-256 differs")
    except (requests.RequestException, ValueError):
        if attempts == 1:
            raise
        time.sleep(1)
        return _downloaded(url, digest, attempts - 1)
    return content.getvalue()


def _fetching(
    description: Description, wanted: Sized, progress: Progress
) -> AbstractContextManager[Advance]:
    total = len(description.files())
    return progress.task(f"fetching {description.name}", total, done=total - len(wanted))


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it.

    Raises
    ------
    InputError
        If the disk refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {reason(error)}") from error

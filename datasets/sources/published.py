"""The files of a card of the catalogue: downloaded or taken from a folder, checked, unpacked."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..catalogue.cards import Card, PublishedFile
from ..errors import InputError
from ..files import atomic_write, read_json
from ..locks import held
from ..progress import SILENT, Progress
from .archives import is_archive, unpack
from .fetch import make_folder
from .resume import Unreachable, download, forget, part_of, resumed

RECORD = "fetched.json"
"""In the data set's folder: the address, size and hashes of each file that was fetched."""


def fetch_published(
    card: Card,
    root: Path,
    source: str = "",
    only: Sequence[str] = (),
    progress: Progress = SILENT,
) -> int:
    """Fetch the files of a data set that are not there yet.

    Archives are unpacked, each into a folder of its name, and removed. What was fetched is
    recorded in `RECORD`.

    Parameters
    ----------
    card : Card
    root : Path
        The data set's folder.
    source : str
        A mirror's address, below which the files have their names, or a folder that holds them;
        "" for the published addresses.
    only : sequence of str
        Names of the files to fetch; by default all that are not optional.
    progress : Progress
        Is told the licence before anything is downloaded.

    Returns
    -------
    int
        Number of files that were not there.

    Raises
    ------
    InputError
        If a file comes by a form or login alone, cannot be had, is not the published one, or is an
        archive that cannot be unpacked safely.
    """
    files = _chosen(card, only)
    by_address = source.startswith(("http://", "https://"))
    if source and not by_address and not Path(source).is_dir():
        raise InputError(f"{source}: no such folder")
    if not source:
        _check_public(card, files)
    progress.say(terms(card))
    make_folder(root)
    with held(root / ".fetch.lock", f"{root}: another process is fetching into it"):
        record = _record(root)
        new = 0
        for file in files:
            if _is_here(root, file, record.get(file.name)):
                progress.say(f"{file.name}: already here")
                continue
            base = source.rstrip("/")
            urls = [f"{base}/{quote(file.name)}"] if by_address else [file.url, *file.mirrors]
            folder = Path(source) if source and not by_address else None
            record[file.name] = _fetch(card, file, root, urls, folder, progress)
            with atomic_write(root / RECORD) as output:
                output.write(json.dumps(record, indent=1, sort_keys=True).encode())
            new += 1
    return new


def terms(card: Card) -> str:
    """Return a data set's licence and what to cite, in two lines."""
    licence = card.text("licence") if card.licence else "not known, read the authors' page"
    return f"{card.title}: licence: {licence}\nPlease cite: {card.citation}"


def _chosen(card: Card, only: Sequence[str]) -> list[PublishedFile]:
    names = {file.name: file for file in card.files}
    for name in only:
        if name not in names:
            raise InputError(f"{card.name} has no file {name!r:.60}: {', '.join(names)}")
    return [file for file in card.files if (file.name in only if only else not file.optional)]


def _check_public(card: Card, files: Sequence[PublishedFile]) -> None:
    """Refuse to download what is not public."""
    hint = f"then run `annotate fetch {card.name} --from FOLDER`"
    if card.form:
        raise InputError(f"{card.name} comes by a form or login: get it at {card.form}, {hint}")
    for file in files:
        if not file.url:
            raise InputError(f"{card.name}: no address of {file.name} is known: get it, {hint}")


def _is_here(root: Path, file: PublishedFile, known: Any) -> bool:
    """Return whether a file was fetched and is still there; of an archive, its folder."""
    if not isinstance(known, dict):
        return False
    if known.get("unpacked"):
        return _folder(root, file).is_dir()
    path = root / file.name
    return path.is_file() and _hashes(path)[1] == known.get("sha256")


def _fetch(
    card: Card,
    file: PublishedFile,
    root: Path,
    urls: Sequence[str],
    source: Path | None,
    progress: Progress,
) -> dict[str, Any]:
    """Bring a file to the folder; return what is recorded of it."""
    path, came_from = root / file.name, ""
    if not path.is_file() and source is not None:
        path = source / file.name
        if not path.is_file():
            raise InputError(f"{source}: has no {file.name}")
    if path.is_file():  # by hand
        hashes = _verified(file, path, str(path), progress)
    else:
        came_from, hashes = _downloaded(card, file, path, urls, progress)
    unpacked = is_archive(path)
    if unpacked:
        count = unpack(path, _folder(root, file), progress)
        progress.say(f"{file.name}: {count} files unpacked into {_folder(root, file)}")
        if came_from:
            path.unlink()
    elif path.parent != root:
        with path.open("rb") as original, atomic_write(root / file.name) as copy:
            shutil.copyfileobj(original, copy, 2**20)
    return {"url": came_from, "md5": hashes[0], "sha256": hashes[1], "unpacked": unpacked}


def _downloaded(
    card: Card, file: PublishedFile, path: Path, urls: Sequence[str], progress: Progress
) -> tuple[str, tuple[str, str]]:
    """Download a file and check it; one address may have other bytes than another."""
    left, reasons = list(urls), []
    anew: set[str] = set()
    while left:
        try:
            came_from = download(left, path, progress)
        except Unreachable as error:
            reasons.append(str(error))
            break
        try:
            hashes = _verified(file, part_of(path), came_from, progress)
        except InputError as error:
            again = resumed(path) and came_from not in anew
            forget(path)
            left = left[left.index(came_from) + (not again) :]
            if again:
                anew.add(came_from)
                progress.say(f"{file.name}: its parts do not fit together; downloaded anew")
                continue
            reasons.append(str(error))
            if left:
                progress.say(f"{reasons[-1]}; another address is asked")
            continue
        part_of(path).replace(path)
        forget(path)
        return came_from, hashes
    raise InputError(
        f"{file.name} cannot be downloaded: {'; '.join(reasons)}. Get it by hand, then run "
        f"`annotate fetch {card.name} --from FOLDER`"
    )


def _verified(file: PublishedFile, path: Path, place: str, progress: Progress) -> tuple[str, str]:
    """Return a file's MD5 and SHA-256 if they are the published ones; say what was compared.

    Raises
    ------
    InputError
        If they differ.
    """
    md5, sha256 = _hashes(path)
    for kind, found, expected in (("SHA-256", sha256, file.sha256), ("MD5", md5, file.md5)):
        if expected and found != expected:
            raise InputError(
                f"{place}: not the published file: its {kind} is {found}, not {expected}"
            )
    if not file.sha256:
        known = "MD5 as published, no SHA-256 is" if file.md5 else "no hash is published"
        progress.say(f"{file.name}: {known}; SHA-256 {sha256}")
    return md5, sha256


def _hashes(path: Path) -> tuple[str, str]:
    """Return a file's MD5 and SHA-256."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            md5.update(chunk)
            sha256.update(chunk)
    return md5.hexdigest(), sha256.hexdigest()


def _folder(root: Path, file: PublishedFile) -> Path:
    """Return the folder that an archive is unpacked into."""
    name = Path(file.name)
    return root / (name.stem if name.suffix else f"{name} files")


def _record(root: Path) -> dict[str, Any]:
    path = root / RECORD
    if not path.exists():
        return {}
    known = read_json(path)
    if not isinstance(known, dict):
        raise InputError(f"{path}: expected an object of files")
    return known

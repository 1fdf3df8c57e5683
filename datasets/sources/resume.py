"""One file over HTTP: an interrupted download goes on where the server allows it."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Sequence
from http.client import responses
from pathlib import Path

import requests

from ..disk import CountingFile, write_all, writing
from ..errors import InputError
from ..files import atomic_write
from ..progress import SILENT, Advance, Progress

MOST_BYTES = 64 * 2**30
"""Maximum size of a download: a server that never ends does not fill the disk."""

ATTEMPTS = 3
"""How often an address is asked without a byte having arrived."""

BUSY = (408, 429, 500, 502, 503, 504)
"""Answers that may be others when asked again."""

WAIT = 1.0  # seconds between attempts
_CHUNK = 2**16  # what of it has arrived when a connection breaks is lost
_MB = 10**6


class Unreachable(Exception):
    """An address from which a file could not be had, with the reason."""


def download(urls: Sequence[str], target: Path, progress: Progress = SILENT) -> str:
    """Download a file to ``NAME.part`` beside its target; nothing is checked or renamed.

    Parameters
    ----------
    urls : sequence of str
        Addresses, the best first. A download is resumed at the address where it began, if that
        still has the same file; at another it starts anew.
    target : Path
    progress : Progress
        Counts megabytes.

    Returns
    -------
    str
        The address that the file came from.

    Raises
    ------
    Unreachable
        If it comes from none of them.
    InputError
        If it does not fit on the disk, or is larger than `MOST_BYTES`.
    """
    reasons = []
    for url in urls:
        try:
            _from_one(url, target, progress)
            return url
        except Unreachable as error:
            reasons.append(f"{url} ({error})")
            if url != urls[-1]:
                progress.say(f"{target.name}: not from {reasons[-1]}; another address is asked")
    raise Unreachable("; ".join(reasons))


def part_of(target: Path) -> Path:
    """Return the path of a target's unfinished download."""
    return target.with_name(f"{target.name}.part")


def forget(target: Path) -> None:
    """Remove a target's unfinished download."""
    for path in (part_of(target), _note_of(target)):
        path.unlink(missing_ok=True)


def _note_of(target: Path) -> Path:
    """Return the path of what is known of an unfinished download: its address and version."""
    return target.with_name(f"{target.name}.part.json")


def _from_one(url: str, target: Path, progress: Progress) -> None:
    left, most = ATTEMPTS, _size(part_of(target))
    while True:
        try:
            return _ask(url, target, progress)
        except InputError:  # the disk
            raise
        except (requests.RequestException, ConnectionError) as error:
            here = _size(part_of(target))
            left = ATTEMPTS if here > most else left - 1
            most = max(most, here)  # a server without ranges begins anew each time
            if not left or _refused(error):
                raise Unreachable(_reason(error)) from error
            time.sleep(WAIT)
        except ValueError as error:
            raise Unreachable("leads to a malformed address") from error


def _refused(error: Exception) -> bool:
    """Return whether a server answered that it does not give the file, now or later."""
    code = _code(error)
    return code is not None and code not in BUSY


def _reason(error: Exception) -> str:
    code = _code(error)
    return type(error).__name__ if code is None else f"{code} {responses.get(code, '')}".strip()


def _code(error: Exception) -> int | None:
    answer = error.response if isinstance(error, requests.HTTPError) else None
    return None if answer is None else answer.status_code


def _ask(url: str, target: Path, progress: Progress) -> None:
    """Get the file, or what is missing of it."""
    part, note = part_of(target), _note_of(target)
    have, version = _begun(url, part, note)
    headers = {"Accept-Encoding": "identity", "User-Agent": "salprobe"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    with requests.get(url, headers=headers, stream=True, timeout=(10, 60)) as answer:
        if answer.status_code == 416:
            if answer.headers.get("Content-Range") == f"bytes */{have}":
                _remember(note, url, version, True)
                return  # it had come to its end
            forget(target)
            raise ConnectionError("the file has become shorter")
        answer.raise_for_status()
        if answer.status_code == 206:
            if not re.match(rf"bytes {have}-", answer.headers.get("Content-Range", "")):
                forget(target)
                raise ConnectionError("another range than was asked for")
            if _other_version(answer, version):
                forget(target)
                raise ConnectionError("the file has changed")
            progress.say(f"{target.name}: resumed at {have / _MB:.1f} MB")
        else:
            have, version = 0, _version(answer)
        total = _total(answer, have)
        _check_room(target, have, total)
        _remember(note, url, version, have > 0)
        label = f"fetching {target.name} (MB)"
        with progress.task(label, (total or 0) // _MB, done=have // _MB) as advance:
            _receive(answer, part, have, advance)
    if total is not None and _size(part) != total:
        raise ConnectionError("the answer was cut short")


def _receive(answer: requests.Response, part: Path, have: int, advance: Advance) -> None:
    with writing(part):
        file = CountingFile(part, "ab" if have else "wb")
    with file:
        for chunk in answer.iter_content(_CHUNK):
            with writing(part):  # a network's errors are an OSError too
                write_all(file, chunk)
            advance((have + len(chunk)) // _MB - have // _MB)
            have += len(chunk)
            if have > MOST_BYTES:
                raise InputError(f"{part}: larger than {MOST_BYTES >> 30} GiB")


def _remember(note: Path, url: str, version: str, resumed: bool) -> None:
    with atomic_write(note) as file:
        file.write(json.dumps({"url": url, "version": version, "resumed": resumed}).encode())


def _begun(url: str, part: Path, note: Path) -> tuple[int, str]:
    """Return the size and version of what is here of the file at an address; (0, "") if nothing."""
    try:
        known = json.loads(note.read_text("utf-8"))
        if known["url"] == url and known["version"]:
            return _size(part), str(known["version"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, ""


def resumed(target: Path) -> bool:
    """Return whether a target's download was put together from several answers."""
    try:
        return json.loads(_note_of(target).read_text("utf-8"))["resumed"] is True
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _other_version(answer: requests.Response, version: str) -> bool:
    """Return whether a part is of another version of the file than that which is known."""
    header = "ETag" if version.startswith('"') else "Last-Modified"
    return answer.headers.get(header, version) != version


def _version(answer: requests.Response) -> str:
    """Return what names the version of a file: a strong ETag, or its date; "" if neither."""
    tag = answer.headers.get("ETag", "")
    return tag if tag.startswith('"') else answer.headers.get("Last-Modified", "")


def _total(answer: requests.Response, have: int) -> int | None:
    """Return the size of the whole file, or None where the server does not say it."""
    whole = re.fullmatch(
        r"bytes [0-9]+-[0-9]+/([0-9]{1,18})", answer.headers.get("Content-Range", "")
    )
    if answer.status_code == 206 and whole:
        return int(whole[1])  # a server may send less than the rest
    length = answer.headers.get("Content-Length", "")
    if (
        not re.fullmatch("[0-9]{1,18}", length)
        or answer.headers.get("Content-Encoding", "identity") != "identity"
    ):
        return None
    return have + int(length)


def _check_room(target: Path, have: int, total: int | None) -> None:
    if total is None:
        return
    if total > MOST_BYTES:
        raise InputError(f"{target}: {total} bytes, more than {MOST_BYTES >> 30} GiB")
    missing = total - have - shutil.disk_usage(target.parent).free
    if missing > 0:
        raise InputError(f"{target}: the disk is full, at least {missing} bytes are missing")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0

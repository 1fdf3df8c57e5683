"""Zip archives that cannot be trusted, unpacked below one folder."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from ..disk import CountingFile, write_all
from ..errors import InputError, reading
from ..files import atomic_folder, check_relative
from ..progress import SILENT, Progress

MOST_FILES = 200_000
MOST_BYTES = 64 * 2**30
MOST_TIMES = 100
"""How many times its archive's size the files may take (and 1 GiB in any case)."""

_LEFT_OUT = ("__MACOSX", ".DS_Store", ".svn")


def is_archive(path: Path) -> bool:
    """Return whether a file is a zip archive, by its content."""
    return zipfile.is_zipfile(path)


def unpack(archive: Path, folder: Path, progress: Progress = SILENT) -> int:
    """Unpack an archive into a folder that appears once it is complete.

    Parameters
    ----------
    archive : Path
    folder : Path
        Is replaced if it exists and holds nothing but files of this archive.
    progress : Progress
        Counts files.

    Returns
    -------
    int
        Number of files.

    Raises
    ------
    InputError
        If the folder holds other files; or if the archive is damaged or encrypted, holds a link, a
        device, a name twice or one that leaves the folder, takes more room than there is, or more
        than `MOST_FILES`, `MOST_BYTES` or `MOST_TIMES` allow.
    """
    with reading(archive), zipfile.ZipFile(archive) as file:
        entries = _checked(archive, file)
        _check_own(archive, folder, entries)
        free = shutil.disk_usage(folder.parent).free
        if (needed := sum(entry.file_size for entry in entries.values())) > free:
            raise InputError(
                f"{folder}: the disk is full, at least {needed - free} bytes are missing"
            )
        with (
            atomic_folder(folder) as made,
            progress.task(f"unpacking {archive.name}", len(entries)) as advance,
        ):
            for name, entry in entries.items():
                target = made / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with CountingFile(target, "xb") as output, file.open(entry) as source:
                    while chunk := source.read(2**20):
                        write_all(output, chunk)
                advance(1)
    return len(entries)


def _check_own(archive: Path, folder: Path, entries: dict[str, zipfile.ZipInfo]) -> None:
    """Refuse a folder with files that are not the archive's: they would be lost."""
    if not (folder.exists() or folder.is_symlink()):
        return
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file, but {archive.name} is unpacked into this folder")
    for path in folder.rglob("*"):
        entry = entries.get(path.relative_to(folder).as_posix())
        if path.is_symlink() or (
            not path.is_dir() and (entry is None or entry.file_size != path.stat().st_size)
        ):
            raise InputError(
                f"{path}: not of {archive.name}, which is unpacked into {folder}: move it away, or "
                "fetch to another --root"
            )


def _checked(archive: Path, file: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the files of an archive by their relative paths; refuse whatever else it holds."""
    infos = file.infolist()
    total = sum(info.file_size for info in infos)
    most = min(MOST_BYTES, max(2**30, MOST_TIMES * archive.stat().st_size))
    if len(infos) > MOST_FILES or total > most:
        raise InputError(f"{archive}: {len(infos)} files of {total} bytes, more than is unpacked")
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        try:
            name = check_relative(info.filename).replace("\\", "/")
        except ValueError as error:
            raise InputError(f"{archive}: {error}") from error
        if info.is_dir() or any(part in _LEFT_OUT for part in PurePosixPath(name).parts):
            continue
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise InputError(f"{archive}: {name!r:.60} is a link or a device, expected a file")
        if info.flag_bits & 1:
            raise InputError(f"{archive}: {name!r:.60} is encrypted")
        if PurePosixPath(name).as_posix() in entries:
            raise InputError(f"{archive}: {name!r:.60} occurs twice")
        entries[PurePosixPath(name).as_posix()] = info
    return entries

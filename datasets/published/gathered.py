"""What a reader of a published data set gathers: images, and the fixations on them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..fixations import Fixations, pixel
from ..stimuli import Stimuli, Stimulus, image_size, numbered


@dataclass
class Gathered:
    """Images and the fixations that were found on them so far.

    Attributes
    ----------
    stimuli : Stimuli
    again : int
        How often a subject has looked at an image that it had seen before.
    """

    stimuli: Stimuli
    again: int = 0
    _columns: list[list[np.ndarray]] = field(default_factory=list)
    _seen: set[tuple[int, str]] = field(default_factory=set)

    def add(
        self,
        image: Stimulus,
        subject: int | str | np.ndarray,
        x: Any,
        y: Any,
        duration_ms: Any = np.nan,
        start_ms: Any = np.nan,
    ) -> None:
        """Add a scanpath's fixations on an image, in their order, with those outside it.

        Parameters
        ----------
        image : Stimulus
        subject : int, str, or an array of shape (n,)
        x, y : float arrays, shape (n,)
            0-based pixels; a whole number is the centre of a pixel.
        duration_ms, start_ms : float, or arrays of shape (n,)
        """
        x, y = (np.atleast_1d(np.asarray(one, dtype=np.float64)) for one in (x, y))
        with np.errstate(invalid="ignore"):
            inside = (x >= -0.5) & (x < image.width - 0.5) & (y >= -0.5) & (y < image.height - 0.5)
        x, y = (pixel(np.where(inside, one, -1)) for one in (x, y))
        rest = (np.broadcast_to(np.asarray(one), x.shape) for one in (duration_ms, start_ms))
        if np.ndim(subject) == 0 and len(x):
            self.again += (image.id, str(subject)) in self._seen
            self._seen.add((image.id, str(subject)))
        subject = np.broadcast_to(np.asarray(subject), x.shape)
        self._columns.append([np.full(len(x), image.id), subject, x, y, *rest])

    def fixations(self) -> tuple[Fixations, int]:
        """Return the fixations inside their images, and the number of the others.

        They are image by image, those of an image as they were added; the others count in the
        order of a scanpath.
        """
        if not self._columns:
            return Fixations(*(np.empty(0) for _ in range(5))), 0
        place = {image.id: k for k, image in enumerate(self.stimuli)}
        parts = sorted(
            (one for one in self._columns if len(one[0])), key=lambda one: place[one[0][0]]
        )
        *columns, start = (
            np.concatenate(one) for one in zip(*(parts or self._columns), strict=True)
        )
        whole = Fixations(*columns, start_ms=None if np.isnan(start).all() else start)
        return whole.leave_out(whole.x < 0), int((whole.x < 0).sum())


def files_below(root: Path, pattern: str) -> list[Path]:
    """Return the files below a folder that match, without hidden ones and those of archivers.

    The pattern is of their names, in any case.
    """
    found = []
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        named = fnmatchcase(path.name.lower(), pattern.lower())
        if (
            named
            and path.is_file()
            and not any(part[0] == "." or part == "__MACOSX" for part in parts)
        ):
            found.append(path)
    return sorted(found, key=lambda path: natural(path.relative_to(root).as_posix()))


def file_below(root: Path, *patterns: str) -> Path:
    """Return the only file below a folder that matches one of the patterns.

    Raises
    ------
    InputError
        If there is none, or more than one.
    """
    found = [path for pattern in patterns for path in files_below(root, pattern)]
    if len(found) != 1:
        many = f"{len(found)} files" if found else "no file"
        raise InputError(f"{root}: has {many} {' or '.join(patterns)}, expected one")
    return found[0]


def images_of(root: Path, paths: Iterable[Path]) -> Stimuli:
    """Return images as stimuli, in the order given; ids as by `numbered`.

    Raises
    ------
    InputError
        If there are none, or one cannot be opened.
    """
    paths = list(paths)
    if not paths:
        raise InputError(f"{root}: has none of the images")
    images = []
    for number, path in zip(numbered([path.name for path in paths]), paths, strict=True):
        height, width = image_size(path)
        name = path.relative_to(root).as_posix()
        images.append(Stimulus(id=number, file_name=name, width=width, height=height))
    return Stimuli(root, tuple(images))


def in_number(root: Path, paths: Iterable[Path]) -> list[Path]:
    """Return images by the numbers that end their names: fixations say an image by its number.

    Raises
    ------
    InputError
        If the numbers are not 1 to n, as one of n images would get another's fixations.
    """
    known: dict[int, Path] = {}
    for path in paths:
        found = re.search(r"[0-9]+$", path.stem)
        if found is None or int(found[0]) in known:
            raise InputError(f"{path}: expected an image for each number, once")
        known[int(found[0])] = path
    missing = next((k for k in range(1, len(known) + 1) if k not in known), None)
    if missing is not None:
        raise InputError(
            f"{root}: {max(known)} is the last of its images, but has no number {missing}"
        )
    return [known[k] for k in sorted(known)]


def by_name(stimuli: Stimuli) -> dict[str, Stimulus]:
    """Return images by their file names without folders.

    Raises
    ------
    InputError
        If two have the same.
    """
    known: dict[str, Stimulus] = {}
    for image in stimuli:
        name = image.file_name.rpartition("/")[2]
        if name in known:
            raise InputError(
                f"{stimuli.root}: {image.file_name} and {known[name].file_name} have the same name"
            )
        known[name] = image
    return known


def natural(text: str) -> list[tuple[int, int, str]]:
    """Return a key by which ``image_2`` is before ``image_10``."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return [(0, int(one), "") if one[0] in "0123456789" else (1, 0, one) for one in parts]


def structs(value: Any) -> list[Any]:
    """Return a MATLAB array of structures as a list: one comes as itself, none as an array."""
    if isinstance(value, dict):
        return [value]
    return list(value) if value is not None else []


def whole(values: np.ndarray, what: str) -> np.ndarray:
    """Return whole numbers as int64; ``what`` they are is said of others.

    Raises
    ------
    ValueError
        If one is not a whole number.
    """
    wrong = ~(np.isfinite(values) & (values % 1 == 0))
    if wrong.any():
        raise ValueError(f"{what} {values[wrong][0]}: expected a whole number")
    return values.astype(np.int64)


def rows(value: Any, columns: int) -> np.ndarray:
    """Return a MATLAB matrix as float64 (n, columns); one row comes as a vector, none as empty.

    Raises
    ------
    ValueError
        If it has another number of columns.
    """
    found = np.asarray(value, dtype=np.float64)
    if found.size == 0:
        return np.empty((0, columns))
    found = found[None] if found.ndim == 1 else found
    if found.ndim != 2 or found.shape[1] != columns:
        raise ValueError(f"expected {columns} columns, found {found.shape}")
    return found

"""Which stimulus a name in a table means: nothing is guessed between two."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from unicodedata import normalize

from ..errors import InputError
from ..stimuli import IMAGE_SUFFIXES, Stimuli

_SUFFIXES = (*IMAGE_SUFFIXES, ".gif", ".tga", ".avi", ".mp4", ".jp2", ".ppm", ".pgm", ".heic")


class Names:
    """The names of stimuli, and how those of a table match them.

    A name matches the file name as it is, with or without its suffix. If it does not, a path before
    it, another suffix, another case or another Unicode form (NFC, NFD) is overlooked.

    Attributes
    ----------
    ways : Counter
        How many names matched in which other way than as they are.
    """

    def __init__(self, stimuli: Stimuli) -> None:
        self.stimuli = stimuli
        self.ways: Counter[str] = Counter()
        self._index = {stimulus.file_name: i for i, stimulus in enumerate(stimuli)}
        self._stems: dict[str, list[int]] = {}
        self._tails: dict[str, list[int]] = {}
        self._folded_stems: dict[str, list[int]] = {}
        self._without_zeros: dict[str, int] = {}
        for i, stimulus in enumerate(stimuli):
            self._stems.setdefault(Path(stimulus.file_name).stem, []).append(i)
            parts = _folded(stimulus.file_name).split("/")
            for k in range(len(parts)):
                self._tails.setdefault("/".join(parts[k:]), []).append(i)
            stem = _stem(parts[-1])
            self._folded_stems.setdefault(stem, []).append(i)
            self._without_zeros.setdefault(_no_zeros(stem), i)

    def exact(self, name: str, place: str) -> int | None:
        """Return the index of the stimulus whose file name this is, with or without suffix.

        Raises
        ------
        InputError
            If there are two; the message begins with ``place``.
        """
        found = [self._index[name]] if name in self._index else self._stems.get(name, [])
        if len(found) > 1:
            raise InputError(
                f"{place} may be {self._both(found)}: expected the name with its suffix"
            )
        return found[0] if found else None

    def all(self, names: Iterable[tuple[str, str]]) -> dict[str, int | None]:
        """Return the stimulus of each (name, place), None where there is none.

        Raises
        ------
        InputError
            If a name may mean two stimuli, two names that differ in more than case or Unicode form
            would mean one, or a name differs from a stimulus's by leading zeros alone.
        """
        found: dict[str, int | None] = {}
        loose: dict[int, str] = {}
        for name, place in names:
            index = self.exact(name, place)
            if index is None:
                index = self._loose(name, place)
                if index is not None:
                    loose[index] = place
            found[name] = index
        meant: dict[int, str] = {}
        for name, index in found.items():
            if index is None:
                continue
            other = meant.setdefault(index, name)
            if index in loose and _folded(other) != _folded(name):
                own = self.stimuli[index].file_name
                raise InputError(f"{loose[index]}: {other!r} and {name!r} would both be {own}")
        return found

    def said(self) -> list[str]:
        """Return in words how names matched, if not all did as they are."""
        ways = (f"{count} {way}" for way, count in self.ways.items())
        return [f"images matched {', '.join(ways)}"] if self.ways else []

    def _loose(self, name: str, place: str) -> int | None:
        """Return the stimulus that a name means if path, suffix, case and form are overlooked."""
        parts = _folded(name).strip("/").split("/")
        candidates, way = [], ""
        for k in range(len(parts)):
            candidates = self._tails.get("/".join(parts[k:]), [])
            if candidates:
                way = "without its path" if k else "in another case or Unicode form"
                break
        if not candidates and parts[-1]:
            candidates = self._folded_stems.get(_stem(parts[-1]), [])
            way = "without its suffix"
        if len(candidates) > 1:
            raise InputError(f"{place} may be {self._both(candidates)}")
        if candidates:
            self.ways[way] += 1
            return candidates[0]
        near = self._without_zeros.get(_no_zeros(_stem(parts[-1])))
        if near is not None and parts[-1]:
            own = self.stimuli[near].file_name
            raise InputError(f"{place} differs from {own} by leading zeros: expected one spelling")
        return None

    def _both(self, found: list[int]) -> str:
        return " or ".join(self.stimuli[i].file_name for i in found[:2])


def _folded(name: str) -> str:
    return normalize("NFC", normalize("NFC", name).casefold()).strip().replace("\\", "/")


def _stem(folded: str) -> str:
    suffix = Path(folded).suffix
    return folded.removesuffix(suffix) if suffix in _SUFFIXES else folded


def _no_zeros(text: str) -> str:
    return re.sub(r"(?<!\d)0+(?=\d)", "", text)


_UNITS = {
    "pixels": ("px", "pix", "pixel", "pixels", "dacspx", "mcspx", "adcspx"),
    "degrees": ("deg", "degree", "degrees", "dva"),
    "millimetres": ("mm", "dacsmm"),
    "centimetres": ("cm",),
    "fractions": ("norm", "normalized", "mcsnorm"),
}


_MILLISECONDS = {"ns": 1e-6, "us": 1e-3, "μs": 1e-3, "ms": 1.0, "msec": 1.0, "s": 1e3, "sec": 1e3}


def milliseconds_said(column: str) -> float | None:
    """Return the unit of time that a column's name ends with, in ms: ``time_s``, ``time [μs]``."""
    words = re.findall("[a-zμ]+", column.casefold())
    return _MILLISECONDS.get(words[-1]) if len(words) > 1 else None


def unit_said(column: str) -> str | None:
    """Return the unit that a column's name ends with: ``x_deg``, ``Fixation point X [DACS px]``."""
    words = re.findall("[a-z]+", column.lower())
    return next((unit for unit, known in _UNITS.items() if words and words[-1] in known), None)

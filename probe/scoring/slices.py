"""Slices of the fixations: by their order, by time, by groups of subjects."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from ...datasets.catalogue.cards import cards
from ...datasets.errors import InputError
from ...datasets.fixations import Fixations
from ...datasets.masks.regions import distinct_pixels
from ...datasets.readers.tables import read_columns
from ...datasets.texts import printable
from .nss import Pixels

Kind = Literal["order", "time", "subjects"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MOST = 20
"""Largest number of slices."""

_NEEDS = {"order": ("order", "subject"), "time": ("order", "subject"), "subjects": ("subject",)}
_FORMS = "order:1,2,3-5,6+, time:0-500,500-1500 (ms), or subjects:FILE (subject,group)"


@dataclass(frozen=True)
class Slicing:
    """How fixations are sliced; none is in two slices.

    Attributes
    ----------
    kind : "order", "time" or "subjects"
    names : tuple of str
        The slices' names.
    ranges : tuple of (float, float)
        By order and time: from where, and to where without it.
    groups : mapping
        By subjects: the slice of each subject.
    """

    kind: Kind
    names: tuple[str, ...]
    ranges: tuple[tuple[float, float], ...] = ()
    groups: Mapping[str, int] | None = None

    @classmethod
    def parse(cls, text: str) -> Slicing:
        """Parse ``order:1,2,3-5,6+``, ``time:0-500,500-1500`` or ``subjects:FILE``.

        Raises
        ------
        InputError
            If the text has another form, slices overlap, or the file cannot be read.
        """
        begins, _, rest = text.partition(":")
        kind: Kind | None = next((one for one in KINDS if begins == one), None)
        if kind is None or not rest.strip():
            raise InputError(f"--by {text!r}: expected {_FORMS}")
        if kind == "subjects":
            return cls._of_groups(Path(rest))
        names = tuple(word.strip() for word in rest.split(","))
        ranges = tuple(_range(text, name, whole=kind == "order") for name in names)
        ordered = sorted(zip(ranges, names, strict=True))
        for (one, name), (other, second) in pairwise(ordered):
            if other[0] < one[1]:
                raise InputError(f"--by {text!r}: {name} and {second} overlap")
        return cls(kind, _checked(text, names), ranges)

    @classmethod
    def _of_groups(cls, path: Path) -> Slicing:
        table = read_columns(path, ["subject", "group"])
        twice = table["subject"].duplicated()
        if twice.any():
            subject = table["subject"][twice].iloc[0]
            raise InputError(f"{path}: subject {subject!r:.60} occurs twice")
        if (table["group"] == "").any() or table.empty:
            raise InputError(f"{path}: expected a subject and its group in every row")
        names = tuple(dict.fromkeys(table["group"]))
        groups = {
            subject: names.index(group)
            for subject, group in zip(table["subject"], table["group"], strict=True)
        }
        return cls("subjects", _checked(str(path), names), groups=groups)

    @property
    def unit(self) -> str:
        """What the slices' names are of, in words."""
        return {"order": "fixation", "time": "ms", "subjects": "group"}[self.kind]

    def sha256(self) -> str:
        """Return the SHA-256 of everything that tells which fixation is in which slice."""
        groups = None if self.groups is None else sorted(self.groups.items())
        content = [self.kind, self.names, self.ranges, groups]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def of(self, fixations: Fixations) -> np.ndarray:
        """Return the slice of each fixation as an index, −1 for none; int64 (n,)."""
        if self.groups is not None:
            subjects, place = np.unique(fixations.subject, return_inverse=True)
            known = [self.groups.get(str(subject), -1) for subject in subjects.tolist()]
            return np.array([*known, -1], dtype=np.int64)[place]
        values = fixations.orders() if self.kind == "order" else fixations.starts()
        slices = np.full(len(fixations), -1, dtype=np.int64)
        for number, (low, high) in enumerate(self.ranges):
            slices[(values >= low) & (values < high)] = number
        return slices

    def check(self, fixations: Fixations, dataset: str | None) -> list[str]:
        """Refuse fixations that cannot be sliced so; return what a reader has to know.

        Parameters
        ----------
        fixations : Fixations
        dataset : str or None
            Name of the data set that they are of, if they are its own.

        Raises
        ------
        InputError
            If the data set has no order or no subjects, times are unknown, a subject is in no
            group, or a slice is empty.
        """
        card = cards().get(dataset or "")
        for lacking in _NEEDS[self.kind]:
            if card is not None and lacking in card.lacks:
                what = {"order": "no order of fixations", "subject": "no subjects"}[lacking]
                raise InputError(f"--by {self.kind}: {card.title} tells {what}")
        said = []
        if self.kind == "time":
            unknown = np.flatnonzero(np.isnan(fixations.starts()))
            if unknown.size:
                raise InputError(
                    f"--by time: {unknown.size} of {len(fixations)} fixations have no time: "
                    "neither start_ms nor the durations of all earlier ones are known "
                    "(some may have been left out)"
                )
            if fixations.start_ms is None:
                said.append(
                    "time: the fixations' durations summed up; what saccades take is not known"
                )
        slices = self.of(fixations)
        found = np.bincount(slices[slices >= 0], minlength=len(self.names))
        if not found.all():
            name = self.names[int(found.argmin())]
            raise InputError(f"--by {self.kind}: no fixation is in slice {name!r:.60}")
        if self.groups is not None:
            subjects = [str(subject) for subject in np.unique(fixations.subject)]
            left_out = [subject for subject in subjects if subject not in self.groups]
            if left_out:
                said.append(f"subjects in no group, left out: {_listed(left_out)}")
            unseen = [subject for subject in self.groups if subject not in subjects]
            if unseen:
                said.append(f"subjects of the groups without a fixation: {_listed(unseen)}")
        if (slices < 0).any():
            said.append(f"{int((slices < 0).sum())} of {len(slices)} fixations are in no slice")
        return [printable(line) for line in said]


@dataclass(frozen=True, eq=False)
class Looks:
    """The regions' fixations on one stimulus by slices, and by slices and subjects.

    Attributes
    ----------
    slices : list of Pixels
        Region by region, each slice's distinct fixated pixels.
    n_fixations : list of int
        Fixations in each of these.
    looks : list of Pixels
        Each subject's in them, where there is one.
    region, slice, subject : lists of int, int and str
        Whose: the region's place among those of the stimulus.
    """

    slices: list[Pixels]
    n_fixations: list[int]
    looks: list[Pixels]
    region: list[int]
    slice: list[int]
    subject: list[str]


def looks_of(slicing: Slicing, fixations: Fixations, within: Sequence[np.ndarray]) -> Looks:
    """Return how the fixations inside regions of one stimulus are sliced.

    A region stays as it is; a slice of it is some of its fixations.

    Parameters
    ----------
    slicing : Slicing
    fixations : Fixations
        The n fixations on the stimulus.
    within : sequence of bool arrays, shape (n,)
        Which of them lie inside each region.
    """
    found = Looks([], [], [], [], [], [])
    number = slicing.of(fixations)
    subjects, subject = np.unique(fixations.subject, return_inverse=True)

    def pixels(rows: np.ndarray) -> Pixels:
        return distinct_pixels(fixations.x[rows], fixations.y[rows])

    for region, inside in enumerate(within):
        for k in range(len(slicing.names)):
            rows = inside & (number == k)
            found.slices.append(pixels(rows))
            found.n_fixations.append(int(rows.sum()))
            for who in np.unique(subject[rows]).tolist():
                found.looks.append(pixels(rows & (subject == who)))
                found.region.append(region)
                found.slice.append(k)
                found.subject.append(str(subjects[who]))
    return found


def _listed(subjects: Sequence[str], most: int = 10) -> str:
    more = len(subjects) - most
    return ", ".join(subjects[:most]) + (f" and {more} more" if more > 0 else "")


def _range(text: str, word: str, *, whole: bool) -> tuple[float, float]:
    """Parse ``3-5``, ``6+`` or, by order, ``1``; the end of an order is part of it."""
    pattern = r"(\d{1,9})(?:-(\d{1,9})|(\+))?" if whole else r"(\d{1,9})(?:-(\d{1,9})|(\+))"
    match = re.fullmatch(pattern, word, re.ASCII)
    if match is None:
        forms = "1, 3-5 or 6+" if whole else "0-500 or 1500+"
        raise InputError(f"--by {text!r}: {word!r}: expected {forms}")
    low, high, beyond = int(match[1]), match[2], match[3]
    end = np.inf if beyond else int(high) + whole if high else low + 1
    if end <= low or (whole and low < 1):
        raise InputError(f"--by {text!r}: {word!r} holds no fixation")
    return float(low), float(end)


def _checked(text: str, names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) > MOST:
        raise InputError(f"--by {text!r}: {len(names)} slices, expected at most {MOST}")
    if len(max(names, key=len)) > 100:
        raise InputError(f"--by {text!r}: a slice's name has more than 100 characters")
    return names

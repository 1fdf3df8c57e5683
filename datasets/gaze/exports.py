"""The forms of other programs' tables of fixations, as `exports.toml` describes them."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..readers.text import key

Names = tuple[str, ...]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RowKind(_Strict):
    """How the rows of fixations are told from others.

    Attributes
    ----------
    column : tuple of str
    is_, begins : tuple of str
        What the column holds, or begins with, without regard to case.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=lambda n: n.rstrip("_"))

    column: Names
    is_: Names = ()
    begins: Names = ()

    def holds(self, cell: str) -> bool:
        """Return whether a cell is that of a fixation."""
        text = cell.casefold()
        return text in self.is_folded or any(text.startswith(one) for one in self.begins)

    @property
    def is_folded(self) -> frozenset[str]:
        """What the column holds, without case."""
        return frozenset(one.casefold() for one in self.is_)


class Export(_Strict):
    """One program's table of fixations.

    Attributes
    ----------
    name : str
    marks : tuple of str
        Columns by which it is recognised.
    image, subject, x, y, duration, eye : tuple of str
        Columns, the first that is there counts; if empty, the `Usual` ones.
    time : tuple of str
        Columns of a sample's time, of which the first counts.
    time_unit : str
        Unless the column's name says another one.
    left, right : (str, str)
        Columns of x and y of samples that have them for each eye.
    zeros_are_lost : bool
        Whether a sample at 0, 0 is one without a position.
    image_is : str
        The image's name, if it is always the same.
    image_from_file, subject_from_file : str
        A regular expression whose group is the name, matched to the file's stem.
    subject_from_folder : bool
        Whether each subject's files are in a folder.
    row : RowKind, optional
        Which rows are fixations; by default all.
    fixation : tuple of str
        Columns that a fixation's rows share, if it has several.
    position : str
        Which of these rows has its place and duration; its image is the first row's.
    unit : str
        Of x and y.
    origin : str
        From where; for all but the upper left, y points upwards.
    duration_unit : str
    screen : tuple
        Columns of the screen's width and height.
    shown : tuple
        Columns of left, top, width and height of the image on the screen.
    refused : str
        Why it cannot be used.
    samples : bool
        Whether it holds raw samples.
    """

    name: str
    marks: Names
    image: Names = ()
    subject: Names = ()
    x: Names = ()
    y: Names = ()
    duration: Names = ()
    eye: Names = ()
    time: Names = ()
    time_unit: Literal["ms", "us"] = "ms"
    left: tuple[str, str] | None = None
    right: tuple[str, str] | None = None
    zeros_are_lost: bool = False
    image_is: str = ""
    image_from_file: str = ""
    subject_from_file: str = ""
    subject_from_folder: bool = False
    row: RowKind | None = None
    fixation: Names = ()
    position: Literal["first", "last", "mean"] = "first"
    unit: Literal[
        "screen pixels", "image pixels", "fractions of the screen", "fractions of the image"
    ] = "screen pixels"
    origin: Literal["upper left", "lower left", "centre"] = "upper left"
    duration_unit: Literal["ms", "s"] = "ms"
    screen: tuple[Names, Names] | None = None
    shown: tuple[Names, Names, Names, Names] | None = None
    refused: str = ""
    samples: bool = False

    def recognises(self, keys: set[str]) -> bool:
        """Return whether all marks are among a table's columns."""
        return all(key(mark) in keys for mark in self.marks)


def name_in(pattern: str, stem: str) -> str:
    """Return the name that a file's stem tells by a pattern's group, or "" if it tells none."""
    found = re.fullmatch(pattern, stem) if pattern else None
    return found[1] if found else ""


class Usual(_Strict):
    """What columns are usually called, where no program says."""

    image: Names
    subject: Names
    eye: Names
    x: Names
    y: Names
    duration: Names
    time: Names


class _Exports(_Strict):
    usual: Usual
    export: tuple[Export, ...]


@lru_cache(maxsize=1)
def exports() -> tuple[Usual, tuple[Export, ...]]:
    """Return the usual names and all forms, the first to be asked first."""
    text = (resources.files(str(__package__)) / "exports.toml").read_text("utf-8")
    found = _Exports.model_validate(tomllib.loads(text))
    return found.usual, found.export

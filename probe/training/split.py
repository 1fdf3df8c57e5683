"""Splits of stimuli into those to train on, to validate with, and to test on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ...datasets.errors import InputError
from ...datasets.readers.tables import read_columns
from ...datasets.stimuli import Dataset, Stimuli

PARTS = ("train", "validation", "test")

_PERIOD, _TEST, _VALIDATION = 7, (2, 5), 0


@dataclass(frozen=True)
class Split:
    """Ids of stimuli, each in one part.

    Attributes
    ----------
    train, validation, test : tuple of int
        Validation decides when training stops and which weights are best; together with train
        it makes up what is usually called the training set.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    @classmethod
    def of(cls, parts: Mapping[int, str]) -> Split:
        """Build from each stimulus's part.

        Raises
        ------
        InputError
            If no stimulus is left to train on or to validate with.
        """
        by_part = {
            part: tuple(number for number in parts if parts[number] == part) for part in PARTS
        }
        for part in PARTS[:2]:
            if not by_part[part]:
                raise InputError(f"no stimulus is left for {part}; {len(parts)} in all")
        return cls(**by_part)

    def sha256(self) -> str:
        """Return the SHA-256 of the ids, as 64 hexadecimal digits."""
        return hashlib.sha256(json.dumps(vars(self)).encode()).hexdigest()

    def parts(self) -> dict[int, str]:
        """Return each stimulus's part."""
        return {number: part for part in PARTS for number in getattr(self, part)}


def usual_split(dataset: Dataset) -> Split:
    """Split a dataset: SALICON as it is published, others by place.

    SALICON's training and validation images are recognised by their names. Its validation images
    are the test, because the fixations on its test images are not published; every tenth of its
    training images validates. In any other dataset, stimuli are counted from 0 in the order of
    their ids: places that leave 2 or 5 when divided by 7 are the test, those that leave 0
    validate, and the others train. OSIE's 700 images give 400, 100 and 200.

    Raises
    ------
    InputError
        If no stimulus has fixations, or too few are left for a part.
    """
    usable = [image for image in dataset.stimuli if len(dataset.fixations.of(image.id))]
    if not usable:
        raise InputError(f"{dataset.name}: no stimulus has fixations to learn from")
    names = {image.id: PurePosixPath(image.file_name).name for image in usable}
    published = {number for number, name in names.items() if name.startswith("COCO_val")}
    if published and all(name.startswith("COCO_") for name in names.values()):
        train = sorted(set(names) - published)
        validation = set(train[::10])
        parts = {number: "validation" if number in validation else "train" for number in train}
        return Split.of({**parts, **dict.fromkeys(sorted(published), "test")})
    return Split.of(_by_place(sorted(names)))


def stratified_split(labels: Mapping[int, str]) -> Split:
    """Split as `usual_split` does, within each scene.

    Parameters
    ----------
    labels : mapping
        From a stimulus's id to its scene.

    Raises
    ------
    InputError
        If no stimulus is left to train on or to validate with.
    """
    parts: dict[int, str] = {}
    for scene in sorted(set(labels.values())):
        parts.update(_by_place(sorted(number for number in labels if labels[number] == scene)))
    return Split.of(dict(sorted(parts.items())))


def read_split(path: Path, stimuli: Stimuli) -> Split:
    """Read a table ``image, split`` (CSV); stimuli without a row are left out.

    Raises
    ------
    InputError
        If the table is malformed, or a split is not train, validation or test.
    """
    rows = read_labels(path, stimuli, "split")
    strange = sorted(set(rows.values()) - set(PARTS))
    if strange:
        raise InputError(f"{path}: split {strange[0]!r}, expected {', '.join(PARTS)}")
    return Split.of(rows)


def read_labels(path: Path, stimuli: Stimuli, column: str) -> dict[int, str]:
    """Read a table ``image, <column>`` (CSV): each stimulus's label, by its id.

    Raises
    ------
    InputError
        If a column is missing, or a row's image is unknown, repeated or without a label.
    """
    frame = read_columns(path, ["image", column])
    ids = {stimulus.file_name: stimulus.id for stimulus in stimuli}
    ids |= {PurePosixPath(name).name: number for name, number in list(ids.items())}
    labels: dict[int, str] = {}
    for row, (image, label) in enumerate(zip(frame["image"], frame[column], strict=True), start=1):
        number = ids.get(image)
        if number is None:
            raise InputError(f"{path}: row {row}: image {image!r} is not in {stimuli.root}")
        if number in labels:
            raise InputError(f"{path}: row {row}: image {image!r} occurs twice")
        if not label.strip():
            raise InputError(f"{path}: row {row}: no {column}")
        labels[number] = label.strip()
    return labels


def describe(split: Split) -> str:
    """Return the number of stimuli in each part, as text."""
    return ", ".join(f"{len(getattr(split, part))} {part}" for part in PARTS)


def _by_place(ids: Sequence[int]) -> dict[int, str]:
    place = np.arange(len(ids)) % _PERIOD
    part = np.where(np.isin(place, _TEST), "test", np.where(place == _VALIDATION, *PARTS[1::-1]))
    return dict(zip(ids, part.tolist(), strict=True))

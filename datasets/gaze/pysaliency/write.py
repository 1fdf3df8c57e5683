"""Writing pysaliency's files: FileStimuli 2.1 and FixationTrains 1.2, which 0.2.22 and 0.3 read."""

from __future__ import annotations

import json
import os
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from ...errors import InputError, reading
from ...files import atomic_write
from ...fixations import Fixations
from ...stimuli import Stimuli
from .files import FIXATIONS, STIMULI
from .read import NAMES


def write_pysaliency(folder: Path, stimuli: Stimuli, fixations: Fixations) -> list[str]:
    """Write ``stimuli.hdf5`` and ``fixations.hdf5`` into a folder.

    Parameters
    ----------
    folder : Path
        Image files are named relative to it.
    stimuli : Stimuli
    fixations : Fixations
        Pixels are written as whole numbers; times in seconds, or where they are not known, as 0,
        1, 2, …

    Returns
    -------
    list of str
        What has to be known of them.

    Raises
    ------
    InputError
        If there are no fixations, an image is missing, or a file cannot be written.
    """
    if not len(fixations):
        raise InputError("no fixations to write")
    contents = {name: BytesIO() for name in (STIMULI, FIXATIONS)}
    with h5py.File(contents[STIMULI], "w") as file:
        _stimuli(file, folder, stimuli)
    with h5py.File(contents[FIXATIONS], "w") as file:
        said = _trains(file, stimuli, fixations)
    for name, content in contents.items():  # HDF5 itself crashes on a full disk
        with atomic_write(folder / name) as file:
            file.write(content.getvalue())
    return said


def _stimuli(file: h5py.File, folder: Path, stimuli: Stimuli) -> None:
    names, shapes, here = [], [], folder.resolve()
    for stimulus in stimuli:
        path = stimuli.path(stimulus).resolve()
        with reading(path), Image.open(path) as picture:
            bands = len(picture.getbands())
        names.append(Path(os.path.relpath(path, here)).as_posix())
        shapes.append([stimulus.height, stimulus.width, *([bands] if bands > 1 else [])])
    file.attrs.update({"type": np.bytes_("FileStimuli"), "version": np.bytes_("2.1")})
    file.attrs.update({"__attributes__": np.bytes_("[]"), "size": len(names)})
    file.create_dataset(
        "filenames", data=[name.encode() for name in names], dtype=h5py.string_dtype()
    )
    made = file.create_dataset("shapes", (len(shapes),), dtype=h5py.vlen_dtype(np.int64))
    for k, shape in enumerate(shapes):
        made[k] = np.array(shape)


def _trains(file: h5py.File, stimuli: Stimuli, fixations: Fixations) -> list[str]:
    said = []
    place = {stimulus.id: k for k, stimulus in enumerate(stimuli)}
    image = np.array([place[number] for number in fixations.image_id.tolist()])
    subjects, subject = np.unique(fixations.subject, return_inverse=True)
    row = np.lexsort((fixations.orders(), subject, image))
    starts = np.r_[True, (np.diff(image[row]) != 0) | (np.diff(subject[row]) != 0)]
    train = np.cumsum(starts) - 1
    first = np.flatnonzero(starts)
    column = np.arange(len(row)) - first[train]
    shape = (len(first), int(column.max()) + 1)

    def padded(values: np.ndarray) -> np.ndarray:
        made = np.full(shape, np.nan)
        made[train, column] = values[row]
        return made

    if fixations.start_ms is not None and not np.isnan(fixations.start_ms).any():
        times = fixations.start_ms / 1000
    else:
        times = fixations.orders() - 1.0
        said.append("times, which are not known: they are written as 0, 1, 2, …")
    own = subjects.dtype.kind in "iu"
    file.attrs.update({"type": np.bytes_("FixationTrains"), "version": np.bytes_("1.2")})
    file.attrs.update(
        {"__attributes__": np.bytes_("[]"), "scanpath_attribute_mapping": np.bytes_("{}")}
    )
    if not own:
        file.attrs[NAMES] = json.dumps(subjects.tolist())
        said.append("subjects' names, but for salprobe: pysaliency numbers them")
    for name, values in {"xs": fixations.x, "ys": fixations.y, "ts": times}.items():
        file.create_dataset(f"train_{name}", data=padded(values.astype(np.float64)))
    who = subjects[subject] if own else subject
    file.create_dataset("train_ns", data=image[row][first])
    file.create_dataset("train_subjects", data=who[row][first])
    file.create_group("scanpath_attributes").attrs["__attributes__"] = np.bytes_("[]")
    each = file.create_group("scanpath_fixation_attributes")
    durations = [] if np.isnan(fixations.duration_ms).all() else ["durations"]
    for name in durations:
        each.create_dataset(name, data=padded(fixations.duration_ms / 1000))
    each.attrs["__attributes__"] = np.bytes_(json.dumps(durations))
    return said

"""Datasets by name or folder."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import numpy as np
import platformdirs

from ..errors import InputError
from ..fixations import Fixations
from ..gaze.read import EXPORT_SUFFIXES, read_gaze
from ..masks.consistency import check_inside
from ..masks.mask_set import MaskSet
from ..progress import SILENT, Progress
from ..published.read import READERS, load_published, scale_of
from ..stimuli import Dataset, Stimuli
from .folder import (
    PLAIN,
    TABLE_SUFFIXES,
    TableFormat,
    find_table,
    load_folder,
    read_description,
    say_understood,
)
from .osie import OSIE, find_fixations_mat, load_osie, read_fixations_mat
from .salicon import NAME as SALICON
from .salicon import load_salicon

PUBLISHED = {OSIE.name: OSIE}

NAMED = (*PUBLISHED, SALICON, *READERS)
"""Published data sets that are read by name."""

SHIPPED = {"osie-sr": "osie_sr.json", "osie-sr-second": "osie_sr.second.json"}
"""Mask sets shipped with the package, without fixations: see docs/osie-sr.md."""

SHIPPED_SCENES = {"osie-scenes": "osie_scenes.csv"}
"""Tables of scenes shipped with the package: see docs/osie-scenes.md."""

IMPORTED = "osie-sr"
"""Name of the authors' own labelling; once imported, it replaces the shipped one."""


def imported_path(output: str | Path) -> Path:
    """Return the path to write an import to; `IMPORTED` goes to the user's data folder."""
    if str(output) == IMPORTED:
        return default_root(IMPORTED).with_suffix(".json")
    return Path(output)


def mask_path(source: str | Path) -> Path:
    """Return the path of a mask file given by path, or by the name of a shipped or imported one."""
    if str(source) in SHIPPED and Path(source).is_file():
        return Path(source)
    if str(source) == IMPORTED and imported_path(source).exists():
        return imported_path(source)
    if str(source) in SHIPPED:
        return Path(str(resources.files(str(__package__)) / SHIPPED[str(source)]))
    return Path(source)


def load_masks(source: str | Path) -> MaskSet:
    """Read a mask file given by path, or by the name of a shipped or imported one.

    Parameters
    ----------
    source : path, ``osie-sr`` or ``osie-sr-second``

    Raises
    ------
    InputError
        If the file is missing or malformed; the message names the place.

    Examples
    --------
    >>> import salprobe as sp
    >>> masks = sp.load_masks("osie-sr")
    >>> len(masks.images), len(masks.annotations)
    (700, 3162)
    """
    return MaskSet.read(mask_path(source))


def scenes_path(source: str | Path) -> Path:
    """Return the path of a table or folder of scenes, or of a shipped table by its name."""
    if str(source) in SHIPPED_SCENES and not Path(source).exists():
        return Path(str(resources.files(str(__package__)) / SHIPPED_SCENES[str(source)]))
    return Path(source)


def default_root(name: str) -> Path:
    """Return a dataset's default folder, below ``$SALPROBE_DATA`` or the user's data folder."""
    data = os.environ.get("SALPROBE_DATA")
    return Path(data or platformdirs.user_data_path("salprobe")) / name


def load_dataset(
    source: str,
    root: str | Path | None = None,
    table: str | Path | None = None,
    px_per_degree: float | None = None,
    table_format: TableFormat = PLAIN,
    progress: Progress = SILENT,
) -> Dataset:
    """Load a dataset.

    Parameters
    ----------
    source : str
        A published data set (``osie``, ``mit1003``: see ``annotate datasets``), a folder of images,
        or a table of fixations next to its images.
    root : path, optional
        Folder of the images, if not the default one.
    table : path, optional
        Table of the fixations on your own images.
    px_per_degree : float, optional
        Pixels in one degree of visual angle, for your own images and for published ones whose
        scale is not known.
    table_format : TableFormat
        How to read the table.
    progress : Progress

    Raises
    ------
    InputError
        If there is no such dataset, it cannot be read, or an argument does not apply to it.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> dataset = sp.load_dataset("sample")
    >>> len(dataset.stimuli), len(dataset.fixations), dataset.simulated
    (8, 1320, True)
    """
    root, table = (Path(path) if path else None for path in (root, table))
    scaled = px_per_degree is not None and source not in READERS
    if source in NAMED and (table is not None or scaled or table_format != PLAIN):
        raise InputError(
            f"{source} has its own fixations and scale; --fixations, --columns, --unit, "
            "--drop-invalid, --screen, --image-at, --image-scale, --eye and --px-per-degree are "
            "for a folder of images"
        )
    if source in NAMED:
        root = root or default_root(source)
        if source in READERS:
            scale_of(source, px_per_degree)
        if not root.is_dir():
            hint = f"`annotate fetch {source}` downloads it there, --root names another"
            raise InputError(f"{root}: no such folder; {hint}")
        return _load_named(source, root, px_per_degree, progress)
    path = Path(source)
    if path.is_file() and path.suffix.lower() in (*TABLE_SUFFIXES, *EXPORT_SUFFIXES):
        if table is not None:
            raise InputError(f"{source} is a table of fixations itself; expected no --fixations")
        return load_folder(root or path.parent, path, px_per_degree, table_format, progress)
    if not path.is_dir():
        raise InputError(
            f"{source}: expected a data set (`annotate datasets` lists them), a folder, or a "
            f"table of fixations ({', '.join((*TABLE_SUFFIXES, *EXPORT_SUFFIXES))})"
        )
    if root is not None:
        raise InputError(f"{source} is the images' folder itself; expected no --root")
    return load_folder(path, table, px_per_degree, table_format, progress)


def root_of(masks: MaskSet, root: str | Path | None, beside: Path) -> Path:
    """Return the folder of a mask set's images: ``root``, else its dataset's, else ``beside``.

    Raises
    ------
    InputError
        If the folder does not exist.
    """
    name = masks.info.salprobe.dataset
    root = Path(root) if root else (default_root(name) if name in NAMED else beside)
    if not root.is_dir():
        hint = f"; `annotate fetch {name}` or --root" if name in NAMED else ""
        raise InputError(f"{root}: no such folder of images{hint}")
    return root


def fixations_of(
    masks: MaskSet, root: Path, table: Path | None = None, progress: Progress = SILENT
) -> Fixations:
    """Return the fixations that belong to a mask set.

    ``progress`` is told how another program's table was understood.

    They come from ``table`` if given, else from the mask file, else from its dataset below
    ``root``: a published data set's files, or a table ``fixations.csv`` (``.tsv``, ``.parquet``).

    Raises
    ------
    InputError
        If there are none, or they are malformed or outside their images.
    """
    stimuli = Stimuli(root, tuple(masks.images))
    dataset = masks.info.salprobe.dataset
    if table is not None:
        if table.suffix == ".mat":
            fixations = read_fixations_mat(table, stimuli, partly=True)
        else:
            gaze = read_gaze(table, stimuli, masks.info.salprobe.px_per_degree)
            say_understood(gaze, progress)
            fixations = gaze.fixations
    elif masks.fixations is not None:
        fixations = masks.fixations
    elif dataset == OSIE.name:
        fixations = read_fixations_mat(find_fixations_mat(root), stimuli, partly=True)
    elif dataset in NAMED:
        scale = masks.info.salprobe.px_per_degree if dataset in READERS else None
        fixations = _on(stimuli, _load_named(dataset, root, scale, progress))
    else:
        try:
            table = find_table(root)
        except InputError as error:
            raise InputError(f"the mask file holds no fixations, and {error}") from error
        scale = masks.info.salprobe.px_per_degree or read_description(root).px_per_degree
        gaze = read_gaze(table, stimuli, scale, partly=True)
        say_understood(gaze, progress)
        fixations = gaze.fixations
    check_inside(fixations, masks.images)
    return fixations


def _load_named(name: str, root: Path, px_per_degree: float | None, progress: Progress) -> Dataset:
    if name == OSIE.name:
        return load_osie(root)
    if name == SALICON:
        return load_salicon(root, progress)
    return load_published(name, root, px_per_degree, progress)


def _on(stimuli: Stimuli, whole: Dataset) -> Fixations:
    """Return a data set's fixations on some of its images, which may have other ids."""
    known = {image.file_name: image.id for image in whole.stimuli}
    parts = [whole.fixations.of(known.get(image.file_name, -1)) for image in stimuli]
    ids = np.repeat([image.id for image in stimuli], [len(part) for part in parts])
    names = whole.fixations.columns()[1:]
    columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    return Fixations(ids, **columns)

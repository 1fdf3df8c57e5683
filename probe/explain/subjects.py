"""What an explanation is made of: pictures, with regions and fixations where there are any."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...datasets.errors import InputError
from ...datasets.fixations import Fixations
from ...datasets.masks.mask_set import MaskSet, new_mask_set
from ...datasets.sources.folder import find_table
from ...datasets.sources.load import SHIPPED, fixations_of, load_dataset, mask_path, root_of
from ...datasets.stimuli import Stimuli


@dataclass(frozen=True, eq=False)
class Source:
    """Pictures, their regions and the fixations on them.

    Attributes
    ----------
    masks : MaskSet
        Without regions, where none are known.
    path : Path or None
        The mask file.
    root : Path
        Folder of the images.
    fixations : Fixations or None
    lacking : str
        Why there are no fixations.
    name : str
        For the folder of results.
    """

    masks: MaskSet
    path: Path | None
    root: Path
    fixations: Fixations | None
    lacking: str
    name: str


def source_of(
    source: str | Path | MaskSet,
    root: str | Path | None,
    fixations: str | Path | None,
    px_per_degree: float | None = None,
) -> Source:
    """Open a mask file (or one of ours by its name), a dataset, or a folder of pictures.

    Parameters
    ----------
    source : str, path or MaskSet
    root : path, optional
        Folder of the images.
    fixations : path, optional
        A table of fixations.
    px_per_degree : float, optional
        For a dataset that does not say it.

    Raises
    ------
    InputError
        If there is no such source, it is malformed, or a mask file is given pixels per degree.
    """
    table = None if fixations is None else Path(fixations)
    if isinstance(source, MaskSet) or Path(source).suffix == ".json" or str(source) in SHIPPED:
        if px_per_degree is not None:
            raise InputError("a mask file holds its pixels per degree; expected no --px-per-degree")
        if isinstance(source, MaskSet):
            return _of_masks(source, None, root, table)
        path = mask_path(source)
        return _of_masks(MaskSet.read(path), path, root, table)
    folder = Path(source)
    if folder.is_dir() and table is None:
        try:
            find_table(folder)
        except InputError as error:
            if root is not None:
                message = f"{source} is the images' folder itself; expected no --root"
                raise InputError(message) from error
            stimuli = Stimuli.from_folder(folder)
            masks = new_mask_set(stimuli, [], None, folder.name)
            return Source(masks, None, folder, None, str(error), folder.resolve().name)
    dataset = load_dataset(str(source), root, table, px_per_degree)
    masks = new_mask_set(
        *(dataset.stimuli, [], dataset.fixations, dataset.name),
        dataset=dataset.name,
        px_per_degree=dataset.px_per_degree,
        simulated=dataset.simulated,
    )
    return Source(masks, None, dataset.stimuli.root, dataset.fixations, "", dataset.name)


def _of_masks(
    masks: MaskSet, path: Path | None, root: str | Path | None, table: Path | None
) -> Source:
    folder = root_of(masks, root, path.parent if path else Path())
    looked, lacking = None, ""
    if masks.info.salprobe.px_per_degree is None:
        lacking = "pixels per degree unknown"
    else:
        try:
            looked = fixations_of(masks, folder, table)
        except InputError as error:
            if table is not None:
                raise
            lacking = str(error)
    name = path.stem if path else masks.info.salprobe.dataset or "masks"
    return Source(masks, path, folder, looked, lacking, name)

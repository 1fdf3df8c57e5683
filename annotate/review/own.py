"""A mask file of one's own, to be edited."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...datasets.errors import InputError
from ...datasets.sources.load import mask_path


def own(source: str) -> Path:
    """Return the mask file to edit; a name such as ``osie-sr`` is copied to this folder first.

    Parameters
    ----------
    source : str
        Path, or the name of a shipped or imported mask set.

    Raises
    ------
    InputError
        If the copy would replace a file.
    """
    path = mask_path(source)
    if path == Path(source):
        return path
    copy = Path(path.name)
    if copy.exists():
        raise InputError(
            f"{source} would be copied to {copy}, which exists; review that, or move it away"
        )
    shutil.copyfile(path, copy)
    return copy

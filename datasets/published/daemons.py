"""DAEMONS (Schwetlick et al. 2024): 250 subjects on 2400 photographs, in degrees."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError, reading
from ..files import read_bytes
from ..progress import Progress
from .gathered import Gathered, by_name, files_below, images_of

if TYPE_CHECKING:
    import pandas as pd

PX_PER_DEGREE = 60.0
SIZE = (1080, 1920)
"""(height, width) of all images, on which degrees depend."""

FLAGS = ("blinkFix", "sticky", "mask_shown", "forced_end")
"""Columns that mark a fixation; those marked are kept, and counted."""

MEANING = {"1": "TRUE", "1.0": "TRUE", "T": "TRUE", "0": "FALSE", "0.0": "FALSE", "F": "FALSE"}
"""Other spellings of a mark."""


def read_daemons(root: Path, progress: Progress) -> Gathered:
    """Read DAEMONS: ``SAC_train.csv``, ``SAC_val.csv`` and the images, anywhere below a folder.

    Raises
    ------
    InputError
        If files are missing, or a table is not DAEMONS'.
    """
    tables = files_below(root, "SAC_*.csv")
    if not tables:
        raise InputError(f"{root}: has no SAC_train.csv or SAC_val.csv")
    if len({path.name for path in tables}) < len(tables):
        raise InputError(f"{root}: has a table twice: {', '.join(path.name for path in tables)}")
    paths = [path for path in files_below(root, "*") if path.suffix.lower() in (".jpg", ".png")]
    found = Gathered(images_of(root, paths))
    for image in found.stimuli:
        if image.size != SIZE:
            size = f"{image.width}×{image.height}"
            raise InputError(f"{root / image.file_name}: is {size}, expected 1920×1080 as shown")
    images = by_name(found.stimuli)
    stems = Counter(Path(name).stem for name in images)
    images |= {
        Path(name).stem: image for name, image in images.items() if stems[Path(name).stem] == 1
    }
    forced = several = missing = 0
    marked = dict.fromkeys(FLAGS, 0)
    for path in tables:
        table = _table(path)
        first = table[table["forced_fix"]]
        forced += len(first)
        several += int((first.groupby(["VP", "trial"]).size() > 1).sum())
        table = table[~table["forced_fix"]]
        trials = table.groupby(["Img", "VP"])["trial"].nunique()
        found.again += int((trials - 1).sum())
        nowhere = table[["x", "y"]].isna().any(axis=1)
        missing += int(nowhere.sum())
        for name in FLAGS:
            marked[name] += int(table[name].sum())
        for name, part in table.groupby("Img", sort=False):
            if name not in images:
                raise InputError(f"{path}: {name!r:.60} is not among the images")
            image = images[str(name)]
            x, y = pixels(part["x"].to_numpy(), part["y"].to_numpy(), image.height)
            subjects, durations = part["VP"].to_numpy(dtype=str), part["fixdur"].to_numpy()
            found.add(image, subjects, x, y, durations)
    progress.say(
        f"daemons: degrees from the lower left, {PX_PER_DEGREE:g} px/°; {forced} forced fixations "
        f"left out ({several} trials have more than one); {missing} without a position"
    )
    flags = ", ".join(f"{count} {name}" for name, count in marked.items())
    progress.say(f"daemons: marked, and kept: {flags}; the fixations of the test part are held out")
    progress.say("daemons: images 493 and 681, and 831 and 832, of the Potsdam corpus are the same")
    return found


def _table(path: Path) -> pd.DataFrame:
    """Return the columns that are used: texts, float64 (NaN for ``NA``), and bool."""
    import pandas as pd

    texts, numbers, flags = ("VP", "trial", "Img"), ("x", "y", "fixdur"), ("forced_fix", *FLAGS)
    with reading(path):
        table = pd.read_csv(
            io.BytesIO(read_bytes(path)),
            usecols=[*texts, *numbers, *flags],
            dtype=dict.fromkeys((*texts, *flags), str) | dict.fromkeys(numbers, np.float64),
            na_values=["NA"],
            keep_default_na=False,
        )
        if table[list(texts)].isna().any(axis=None):
            raise InputError(f"{path}: a row without {', '.join(texts)}")
        for name in flags:
            known = table[name].str.upper().replace(MEANING)
            if (wrong := known[~known.isin(("TRUE", "FALSE"))].dropna()).size:
                raise InputError(f"{path}: {name} {wrong.iloc[0]!r:.60}: expected TRUE or FALSE")
            table[name] = known == "TRUE"
        return table


def pixels(x: np.ndarray, y: np.ndarray, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return degrees from the lower left as 0-based pixels: (60 x, height - 60 y).

    The position 0° is the image's edge, which is half a pixel before the first pixel's centre.
    """
    return x * PX_PER_DEGREE - 0.5, height - y * PX_PER_DEGREE - 0.5

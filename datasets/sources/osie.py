"""OSIE (Xu et al., Journal of Vision 2014): 700 photographs, 15 subjects, free viewing."""

from pathlib import Path

import numpy as np

from ..errors import InputError, reading
from ..fixations import Fixations, pixel
from ..masks.consistency import check_inside
from ..readers.arrays import read_mat
from ..stimuli import Dataset, Stimuli
from .description import Description

OSIE = Description(
    name="osie",
    title="Object and Semantic Images and Eye-tracking (OSIE)",
    licence="MIT",
    citation=(
        "Xu, J., Jiang, M., Wang, S., Kankanhalli, M. S., & Zhao, Q. (2014). Predicting human "
        "gaze beyond pixels. Journal of Vision, 14(1), 28."
    ),
    homepage="https://github.com/NUS-VIP/predicting-human-gaze-beyond-pixels",
    size_px=(600, 800),
    size_deg=(25.3, 33.7),
    base_url=(
        "https://raw.githubusercontent.com/NUS-VIP/predicting-human-gaze-beyond-pixels/master/data/"
    ),
    hashes="osie.sha256",
)


def load_osie(root: Path) -> Dataset:
    """Load OSIE from its folder.

    Parameters
    ----------
    root : Path
        Holds ``stimuli/*.jpg`` and ``eye/fixations.mat`` (or ``fixations.mat``).

    Raises
    ------
    InputError
        If files are missing, or ``fixations.mat`` is not OSIE's.

    Notes
    -----
    ``fixations.mat`` is 1-based (MATLAB): pixel = floor(x + 0.5) - 1 reproduces the authors'
    own binary fixation maps.
    """
    root = Path(root)
    stimuli = Stimuli.from_folder(root / "stimuli")
    stimuli = Stimuli(root, stimuli.images)
    fixations = read_fixations_mat(find_fixations_mat(root), stimuli)
    check_inside(fixations, stimuli)
    return Dataset(OSIE.name, stimuli, fixations, OSIE.px_per_degree)


def find_fixations_mat(root: Path) -> Path:
    """Return the path of ``fixations.mat`` below OSIE's folder.

    Raises
    ------
    InputError
        If it is missing.
    """
    for path in (root / "eye" / "fixations.mat", root / "fixations.mat"):
        if path.is_file():
            return path
    raise InputError(f"{root}: has neither eye/fixations.mat nor fixations.mat")


def read_fixations_mat(path: Path, stimuli: Stimuli, *, partly: bool = False) -> Fixations:
    """Read OSIE's ``fixations.mat``; subjects are numbered from 1 in file order.

    Parameters
    ----------
    path : Path
    stimuli : Stimuli
    partly : bool
        Skip images that are not among the stimuli, instead of refusing them.

    Raises
    ------
    InputError
        If the file is malformed, or holds no stimulus, or (unless ``partly``) a foreign image.
    """
    ids = {stimulus.file_name: stimulus.id for stimulus in stimuli}
    columns: list[list[np.ndarray]] = [[], [], [], [], []]
    content = read_mat(path)
    try:
        for image in content["fixations"]:
            number = ids.get(image["img"])
            if number is None:
                if partly:
                    continue
                raise InputError(f"{path}: image {image['img']} is not among the stimuli")
            for subject, scanpath in enumerate(image["subjects"], start=1):
                x = np.atleast_1d(scanpath["fix_x"]).astype(np.float64)
                y = np.atleast_1d(scanpath["fix_y"]).astype(np.float64)
                duration = np.atleast_1d(scanpath["fix_duration"]).astype(np.float64)
                if not (np.isfinite(x).all() and np.isfinite(y).all()):
                    raise InputError(f"{path}: {image['img']}, subject {subject}: not finite")
                rows = (np.full(len(x), number), np.full(len(x), subject))
                for column, values in zip(
                    columns, (*rows, pixel(x - 1), pixel(y - 1), duration), strict=True
                ):
                    column.append(values)
    except InputError:
        raise
    except Exception as error:  # whatever else may be in the place of what is expected
        raise InputError(f"{path}: not OSIE's fixations.mat ({error!r:.150})") from error
    if not columns[0]:
        raise InputError(f"{path}: has none of the {len(stimuli)} images")
    with reading(path):
        return Fixations(*(np.concatenate(column) for column in columns))

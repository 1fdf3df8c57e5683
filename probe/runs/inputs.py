"""A run's inputs, found again: its masks, images, fixations and network."""

from __future__ import annotations

from pathlib import Path

from ...datasets.errors import InputError
from ...datasets.files import sha256
from ...datasets.fixations import Fixations
from ...datasets.masks.mask_set import MaskSet
from ...datasets.sources.load import fixations_of, mask_path, root_of
from ..networks.load import load_model
from ..networks.model import Model
from .run import Run


def masks_of(
    run: Run, masks: Path | None = None, root: Path | None = None
) -> tuple[MaskSet, Path, Fixations]:
    """Return a run's masks, the folder of their images, and the fixations.

    Parameters
    ----------
    masks, root : Path, optional
        Where they are, if they are not where they were when the run was made.

    Raises
    ------
    InputError
        If they are gone, or are not those of the run.
    """
    paths = run.info.paths
    path = mask_path(masks) if masks else _known(run, paths.masks, "mask file", "--masks")
    if sha256(path) != run.info.parameters.masks:
        raise InputError(f"{path}: is not the mask file that {run.name} was made of")
    mask_set = MaskSet.read(path)
    folder = root or _known(run, paths.root, "folder of images", "--root")
    table = Path(paths.fixations) if paths.fixations else None
    fixations = fixations_of(mask_set, root_of(mask_set, folder, path.parent), table)
    return mask_set, folder, fixations


def model_of(run: Run, source: Path | None = None) -> Model:
    """Return a run's network.

    Parameters
    ----------
    source : Path, optional
        Its file of weights or training folder, if it is not where it was.

    Raises
    ------
    InputError
        If it is gone, or has other weights now.
    """
    paths, parameters = run.info.paths, run.info.parameters
    name, weights = parameters.model, parameters.weights.source
    if weights == "trained":
        name = str(source or _known(run, paths.model, "training folder", "--before, --after"))
        weights = "default"
    elif weights == "file":
        weights = str(source or _known(run, paths.weights, "weights", "--before, --after"))
    elif weights in ("factory", "none"):
        weights = "default"
    model = load_model(name, weights, seed=parameters.seed, input_size=parameters.input_size)
    if model.weights.sha256 != parameters.weights.sha256:
        raise InputError(f"{name}: its weights are not those that {run.name} was made of")
    return model


def _known(run: Run, path: str | None, what: str, option: str) -> Path:
    if path is None:
        raise InputError(f"{run.folder}: does not say where its {what} is; {option} names it")
    if not Path(path).exists():
        raise InputError(f"{path}: no such {what} any more; {option} names it")
    return Path(path)

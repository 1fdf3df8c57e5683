"""A run's inputs, located and checked: its masks, images, fixations and network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from ...datasets.errors import InputError
from ...datasets.files import sha256
from ...datasets.fixations import Fixations
from ...datasets.masks.mask_set import MaskSet
from ...datasets.readers.tables import read_columns
from ...datasets.sources.load import fixations_of, mask_path, root_of
from ...datasets.stimuli import Stimuli
from ..layers.layers import Layer, layer_named
from ..networks.load import load_model
from ..networks.model import Model
from ..records.run_info import LayerInfo, NetworkParameters, Paths
from ..records.train_info import TrainInfo
from .images import check_images, contents
from .run import Run


class NetworkRecord(Protocol):
    """A record of what a network was examined with."""

    @property
    def parameters(self) -> NetworkParameters:
        """What tells the network."""
        ...

    @property
    def paths(self) -> Paths:
        """Where its inputs were."""
        ...

    @property
    def layers(self) -> list[LayerInfo]:
        """The layers that were examined."""
        ...


class Examined(Protocol):
    """A folder of results that were made with a network: a run, or an explanation."""

    @property
    def folder(self) -> Path:
        """The folder."""
        ...

    @property
    def name(self) -> str:
        """The folder's name."""
        ...

    @property
    def info(self) -> NetworkRecord:
        """Its record."""
        ...


def masks_of(
    run: Run, masks: Path | None = None, root: Path | None = None
) -> tuple[MaskSet, Path, Fixations]:
    """Return a run's masks, the folder of their images, and the fixations.

    Parameters
    ----------
    run : Run
    masks, root : Path, optional
        The mask file and the folder of images, if they have moved since the run.

    Raises
    ------
    InputError
        If an input is missing, or the mask file or the images are not the run's.
    """
    paths = run.info.paths
    path = mask_path(masks) if masks else _known(run, paths.masks, "mask file", "--masks")
    if sha256(path) != run.info.parameters.masks:
        raise InputError(f"{path}: not the mask file of {run.name} (its SHA-256 differs)")
    mask_set = MaskSet.read(path)
    known = {(region.id, region.image_id) for region in mask_set.annotations}
    for pair in zip(run.regions["annotation_id"], run.regions["image_id"], strict=True):
        if pair not in known:
            place = run.folder / "regions.parquet"
            raise InputError(f"{place}: {path} has no region {pair[0]} of image {pair[1]}")
    folder = root or _known(run, paths.root, "folder of images", "--root")
    table = Path(paths.fixations) if paths.fixations else None
    fixations = fixations_of(mask_set, root_of(mask_set, folder, path.parent), table)
    if (run.folder / "images.parquet").exists():  # older runs lack it
        known = dict(zip(run.images["image_id"], run.images["sha256"], strict=True))
        check_images(run.folder, Stimuli(folder, tuple(mask_set.images)), known)
    return mask_set, folder, fixations


def model_of(run: Examined, source: Path | None = None, option: str = "--before, --after") -> Model:
    """Return a run's network.

    Parameters
    ----------
    run : Run or Explanation
    source : Path, optional
        The file of weights or the training folder, if it has moved since the run.
    option : str
        The option that names it, for messages.

    Raises
    ------
    InputError
        If the network is missing, or its weights are not those of the run.
    """
    paths, parameters = run.info.paths, run.info.parameters
    name, weights = parameters.model, parameters.weights.source
    moved = None if source is None else str(source)
    if weights == "module":
        raise InputError(
            f"{run.folder}: its network was a Module of the caller's, {name}, and cannot be loaded"
        )
    if weights == "trained":
        name = str(_known(run, moved or paths.model, "training folder", option))
        weights = "default"
    elif weights == "file":
        weights = str(_known(run, moved or paths.weights, "file of weights", option))
    elif moved is not None:
        raise InputError(f"{moved}: {run.name} takes no weights from a file; expected no {option}")
    elif weights in ("factory", "none"):
        weights = "default"
    model = load_model(
        *(name, weights),
        seed=parameters.seed,
        input_size=parameters.input_size,
        named_by=run.folder,
        layers=[layer.name for layer in run.info.layers],
        weights_key=parameters.weights.key,
        weights_prefix=parameters.weights.prefix,
    )
    if parameters.code not in (None, model.code):
        raise InputError(f"{name}: its code is not that of {run.name} (the SHA-256 differs)")
    if model.weights.sha256 != parameters.weights.sha256:
        raise InputError(f"{name}: its weights are not those of {run.name} (the SHA-256 differs)")
    return model


def layers_of(run: Examined, model: Model) -> dict[str, Layer]:
    """Return a run's layers in its network, by name.

    Raises
    ------
    InputError
        If the network lacks one, or it has another number of units there.
    """
    known = model.layers(pre_relu=run.info.parameters.pre_relu)
    layers = {
        layer.name: replace(layer_named(known, layer.name), registration=layer.registration)
        for layer in run.info.layers
    }
    for layer in run.info.layers:
        if layers[layer.name].units != layer.units:
            found = f"{layers[layer.name].units} units, in its record {layer.units}"
            raise InputError(f"{run.folder}: the network's {layer.name} has {found}")
    return layers


def trained_on(folder: Path, masks: MaskSet, root: Path) -> int:
    """Count the images of a mask set that a network was trained on or validated with.

    They are known by their pictures, and by their names if the training was on the same data set.

    Parameters
    ----------
    folder : Path
        The training folder.
    masks : MaskSet
    root : Path
        Folder of its images; those that are missing count by their names only.

    Raises
    ------
    InputError
        If the folder holds no training, or its ``split.csv`` cannot be read.
    """
    same = TrainInfo.read(folder).dataset == masks.info.salprobe.dataset
    table = folder / "split.csv"
    try:
        split = read_columns(table, ["image", "split", "sha256"])
    except InputError:  # older trainings record the names only
        split = read_columns(table, ["image", "split"]).assign(sha256="")
    learnt = split[split["split"] != "test"]
    names, pictures = set(learnt["image"]) if same else set(), set(learnt["sha256"]) - {""}
    stimuli = Stimuli(root, tuple(masks.images))
    there = tuple(image for image in masks.images if stimuli.find(image) is not None)
    own = contents(Stimuli(root, there)) if pictures else {}
    return sum(image.file_name in names or own.get(image.id) in pictures for image in masks.images)


def _known(run: Examined, path: str | None, what: str, option: str) -> Path:
    if path is None:
        raise InputError(f"{run.folder}: does not record its {what}; name it with {option}")
    if not Path(path).exists():
        raise InputError(f"{path}: the {what} is missing; name it with {option}")
    return Path(path)

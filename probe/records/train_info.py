"""``train.json``: one training of one network."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from ...datasets.errors import InputError
from ...datasets.files import check_part, sha256
from .record import InputSize, Part, Record, Weights


class BackboneInfo(Part):
    """The network that was trained, and where it was cut.

    Attributes
    ----------
    model : str
    weights : Weights
        The weights that training began with.
    layer : str
    input_size : (height, width)
    code : str or None
        SHA-256 of the source of the network's own code, if it is a factory.
    """

    model: str
    weights: Weights | None = None
    layer: str
    input_size: InputSize
    code: str | None = None


class TrainParameters(Part):
    """Everything that a training's outcome depends on, including the values of its recipe."""

    backbone: BackboneInfo
    task: str = "saliency"
    tune: int | Literal["all"] = 0


class TrainResult(Part):
    """How a training ended.

    Attributes
    ----------
    epochs, best_epoch : int
        Counted from 1.
    validation : float
        The best epoch's NSS, or balanced accuracy.
    test : float or None
        The same measure on the test stimuli, if there are any.
    """

    epochs: int
    best_epoch: int
    validation: float
    test: float | None = None


class TrainInfo(Record):
    """The content of ``train.json``.

    Attributes
    ----------
    parameters : TrainParameters
    tuned : list of str
        Names of the parameters that were trained.
    scenes : list of str or None
        The scenes of a scene classifier, in the order of its outputs.
    dataset : str
    simulated : bool
        Whether the fixations come from a generator, not from people.
    px_per_degree : float
    finished : str
    result : TrainResult or None
        None while training is unfinished.
    sha256 : dict of str
        SHA-256 of ``split.csv`` and, when training is complete, of each file of weights and table.
    """

    file_name: ClassVar[str] = "train.json"
    kind: ClassVar[str] = "training"

    parameters: TrainParameters
    tuned: list[str] = []
    scenes: list[str] | None
    dataset: str | None = None
    simulated: bool = False
    px_per_degree: float | None = None
    finished: str = ""
    result: TrainResult | None = None
    sha256: dict[str, str] = {}

    def check_files(self, folder: Path, *names: str) -> None:
        """Refuse a training folder whose files are not those that the training wrote.

        Parameters
        ----------
        folder : Path
        *names : str
            Some of the files; by default all that are recorded.

        Raises
        ------
        InputError
            If one is missing or its SHA-256 differs.
        """
        for name, expected in self.sha256.items():
            if names and name not in names:
                continue
            path = folder / check_part(name)
            if not path.is_file():
                raise InputError(f"{path}: is missing, and train.json records it")
            if sha256(path) != expected:
                raise InputError(f"{path}: is not what the training wrote (its SHA-256 differs)")

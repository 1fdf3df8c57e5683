"""``explain.json``: the activation maps of one network, explained on one set of stimuli."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from ..choices import RegistrationMethod
from .record import Record
from .run_info import LayerInfo, NetworkParameters, Paths


class ExplainParameters(NetworkParameters):
    """Everything that an explanation's numbers depend on.

    Attributes
    ----------
    images : str
        SHA-256 of all images' ids and contents.
    fixations : str or None
        SHA-256 of the fixations, where there are any.
    registration : str
        As for a run.
    cells : int
        Most cells of a map that are taken from one stimulus.
    folds : int
    features : str
        SHA-256 of the list of features.
    """

    images: str
    fixations: str | None = None
    registration: RegistrationMethod
    cells: int
    folds: Annotated[int, Field(ge=3, le=100)]
    features: str


class ExplainInfo(Record):
    """The content of ``explain.json``.

    Attributes
    ----------
    parameters : ExplainParameters
    masks, dataset : str or None
        Names of the mask file and of its dataset.
    simulated : bool
        Whether the fixations come from a generator, not from people.
    paths : Paths
    annotator : str or None
        Who labelled the regions.
    layers : list of LayerInfo
    categories : list of str
        Those whose regions are looked at apart.
    images : int
    readout : str or None
        The layer that a readout was fitted on, where there are fixations.
    finished : str
    sha256 : dict of str
        SHA-256 of the folder's other files.
    """

    file_name: ClassVar[str] = "explain.json"
    kind: ClassVar[str] = "explanation"

    parameters: ExplainParameters
    masks: str | None = None
    dataset: str | None = None
    simulated: bool = False
    paths: Paths = Paths()
    annotator: str | None = None
    layers: list[LayerInfo]
    categories: list[str] = []
    images: int = 0
    readout: str | None = None
    finished: str = ""
    sha256: dict[str, str] = {}

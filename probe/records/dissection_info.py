"""``dissection.json``: one dissection of one network with one mask set."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from .record import InputSize, Record
from .run_info import LayerInfo, NetworkParameters, Paths


class DissectionParameters(NetworkParameters):
    """Everything that a dissection's numbers depend on.

    Attributes
    ----------
    quantile : float
        Share of a unit's positions that its level leaves above.
    grid : (height, width)
        Size that masks and maps are compared at.
    """

    quantile: Annotated[float, Field(gt=0, lt=1)]
    grid: InputSize


class DissectionInfo(Record):
    """The content of ``dissection.json``.

    Attributes
    ----------
    parameters : DissectionParameters
    masks, dataset : str or None
        Names of the mask file and of its dataset.
    paths : Paths
    annotator : str or None
        Who labelled the regions.
    layers : list of LayerInfo
    categories : list of str
        In the order of their ids.
    images : int
    areas : dict of int
        How many places of the grid each category covers, over all images.
    sha256 : dict of str
        SHA-256 of the folder's tables.
    finished : str
    """

    file_name: ClassVar[str] = "dissection.json"
    kind: ClassVar[str] = "dissection"

    parameters: DissectionParameters
    masks: str | None = None
    dataset: str | None = None
    paths: Paths = Paths()
    annotator: str | None = None
    layers: list[LayerInfo]
    categories: list[str]
    images: int = 0
    areas: dict[str, int] = {}
    sha256: dict[str, str] = {}
    finished: str = ""

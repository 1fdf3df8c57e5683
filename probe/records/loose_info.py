"""Records that were written without a format: of receptive fields, and of search arrays."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from .record import Part, Record, Weights


class LooseRecord(Record):
    """A record without a format; whether it is complete, its folder's tables tell."""

    format: int = 1
    status: Literal["running", "complete"] = "complete"
    parameters: dict[str, Any] = {}


class FieldsNetwork(Part):
    """A network whose units' fields were estimated."""

    model: str
    weights: Weights

    def called(self) -> str:
        """Name the network, with its weights where they are not its own."""
        if self.weights.source in ("random", "file"):
            return f"{self.model}, {self.weights.file or self.weights.source}"
        return self.model


class FieldsLayer(Part):
    """A layer: the side of its cells' fields, and of the blocks they are described on."""

    side: int
    block: int


class FieldsInfo(LooseRecord):
    """The content of ``fields.json``."""

    file_name: ClassVar[str] = "fields.json"
    kind: ClassVar[str] = "fields"

    networks: dict[Literal["before", "after"], FieldsNetwork]
    layers: dict[str, FieldsLayer]


class SearchInfo(LooseRecord):
    """The content of a pop-out folder's ``run.json``.

    Attributes
    ----------
    masks : dict
        File and SHA-256 of the search arrays.
    models : list of str
        Saliency models.
    networks : dict
        Networks whose units were scored, with their weights.
    arrays : int or None
        How many there were; None while it is unfinished.
    """

    file_name: ClassVar[str] = "run.json"
    kind: ClassVar[str] = "pop-out"

    masks: dict[str, str]
    models: list[str]
    networks: dict[str, Any]
    arrays: int | None = None
    finished: str = ""

"""``ablation.json``: what a saliency model's output becomes without some of its units."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, PositiveInt

from .record import Part, Record


class AblationParameters(Part):
    """Everything that an ablation's numbers depend on.

    Attributes
    ----------
    scores, masks, fixations : str
        SHA-256 of the run's scores, mask file and fixations.
    layer : str
        The layer whose units are set to zero.
    draws : int
        Sets of random units for each category.
    batch_size : int
    device : str
    seed : int
    """

    scores: str
    masks: str
    fixations: str
    layer: str
    draws: PositiveInt
    batch_size: PositiveInt
    device: str
    seed: Annotated[int, Field(ge=0, lt=2**64)]


class AblationInfo(Record):
    """The content of ``ablation.json``.

    Attributes
    ----------
    parameters : AblationParameters
    run : str
        The run's folder.
    categories : list of str
        In the order of their ids.
    """

    file_name: ClassVar[str] = "ablation.json"
    kind: ClassVar[str] = "unit-ablation"

    parameters: AblationParameters
    run: str
    categories: list[str]

"""The recipe of a training: everything that decides its outcome, except the data."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ...datasets.errors import InputError
from ...datasets.options import check_seed, check_types
from ..choices import Schedule, Task
from ..networks.heads import Tune
from .losses import Loss

_RATES = {"saliency": 1e-2, "scenes": 1e-4}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained.

    Attributes
    ----------
    task : "saliency" or "scenes"
    tune : int or "all"
        How many of the last convolution layers are trained; 0 is the paper's setup I.
    loss : str
        Loss for saliency; see `Loss`. Scenes use the cross-entropy, weighted so that each scene
        counts the same.
    epochs : int
        Maximum number of epochs.
    patience : int
        Training stops after this many epochs without a better validation.
    rate, backbone_rate : float
        Adam's learning rates: for the added layers (by default 0.01 for the 1×1 convolution, 0.0001
        for the scene classifier), and for the backbone.
    schedule : "constant" or "cosine"
        Schedule of both rates; cosine falls to 0 over all epochs.
    accumulate : int
        Batches accumulated per step of Adam.
    seed : int
        Seed for the added layers, the order of the stimuli, and dropout.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    task: Task = "saliency"
    tune: Tune = 0
    loss: str = "nss"
    epochs: int = 20
    patience: int = 5
    rate: float | None = None
    backbone_rate: float = 1e-4
    schedule: Schedule = "cosine"
    accumulate: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_seed(self.seed)
        Loss.parse(self.loss)
        if self.tune != "all" and self.tune < 0:
            raise InputError(f"tune {self.tune}: expected all, or 0 or more")
        for name in ("epochs", "patience", "accumulate"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: expected 1 or more")
        for value in (self.added_rate, self.backbone_rate):
            if not 0 < value < float("inf"):
                raise InputError(f"learning rate {value}: expected more than 0")

    @property
    def added_rate(self) -> float:
        """The learning rate of the added layers: ``rate``, or the task's default."""
        return self.rate if self.rate is not None else _RATES[self.task]

    def to_dict(self) -> dict:
        """Return the values, ready for JSON."""
        return {**asdict(self), "rate": self.added_rate}


def parse_tune(text: str) -> Tune:
    """Parse ``all`` or a number of layers.

    Raises
    ------
    InputError
        If it is neither.
    """
    if text.strip() == "all":
        return "all"
    if text.strip().isdecimal() and text.strip().isascii():
        return int(text)
    raise InputError(f"--tune {text!r}: expected a number of convolution layers, or all")

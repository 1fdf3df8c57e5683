"""``run.json``: one probing of one network on one mask set."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, FiniteFloat, PositiveInt, model_validator

from ..choices import Interpolation, RegistrationMethod
from .record import InputSize, Part, Record, Weights


class NetworkParameters(Part):
    """What a network is, how it is fed, and with what.

    Attributes
    ----------
    model : str
    weights : Weights
    input_size : (height, width)
    pre_relu : bool
    precision : str
    batch_size : int
    device : str
        Type of the device: ``cpu``, ``cuda``, ``mps``.
    mean, sd : list of float
        What the network's input is normalised with.
    range : float
        What white is before that.
    interpolation : str
        How stimuli are resized to ``input_size``.
    centre_bias : str or None
        SHA-256 of the centre bias that the network is given.
    code : str or None
        SHA-256 of the source of the factory's module, or of the class of a Module that was passed;
        modules that this imports are not known.
    seed : int
    masks : str
        SHA-256 of the mask file.
    """

    model: str
    weights: Weights
    input_size: InputSize
    pre_relu: bool = False
    precision: str = "fp32"
    batch_size: int = 16
    device: str = "cpu"
    mean: list[FiniteFloat] = []
    sd: list[FiniteFloat] = []
    range: FiniteFloat = 1.0
    interpolation: Interpolation = "bilinear"
    centre_bias: str | None = None
    code: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**64)]
    masks: str

    def network(self) -> str:
        """Name the network with its weights, in a few words."""
        origin = self.weights.file or self.weights.source
        return self.model + ("" if origin == "none" else f" ({origin})")


class By(Part):
    """How a run's fixations are sliced.

    Attributes
    ----------
    kind : "order", "time" or "subjects"
    names : list of str
        The slices' names.
    sha256 : str
        SHA-256 of what tells which fixation is in which slice.
    said : list of str
        What a reader has to know.
    """

    kind: Literal["order", "time", "subjects"]
    names: Annotated[list[str], Field(min_length=1)]
    sha256: str = ""
    said: list[str] = []


class RunParameters(NetworkParameters):
    """Everything that a run's numbers depend on; other parameters make another run.

    Attributes
    ----------
    fixations : str
        SHA-256 of all fixations.
    registration : str
        Whether a map fills the stimulus, as in the paper, or its cells lie where they were measured
        to look.
    threshold : float
        T of Table 2.
    by : By, optional
        How the fixations are sliced; where they are not, nothing is said.
    """

    fixations: str = ""
    registration: RegistrationMethod = "plain"
    threshold: FiniteFloat = 1.5
    by: By | None = None


class Paths(Part):
    """Paths of a run's inputs when it was made; None for inputs that were not files."""

    masks: str | None = None
    root: str | None = None
    fixations: str | None = None
    model: str | None = None
    weights: str | None = None


class Registration(NamedTuple):
    """Where a layer's maps lie in a picture, in parts of its height and width.

    Attributes
    ----------
    top, left : float
        Where the first row and column of cells begin.
    rows, columns : float
        How much of the picture each takes.
    """

    top: FiniteFloat
    left: FiniteFloat
    rows: Annotated[FiniteFloat, Field(gt=0)]
    columns: Annotated[FiniteFloat, Field(gt=0)]

    def axes(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return offset and scale down, and across."""
        return (self.top, self.rows), (self.left, self.columns)


class LayerInfo(Part):
    """A probed layer: its name, its units (and their names, where they have any), its maps' size.

    ``registration`` is None where its maps fill the stimuli.

    The columns of ``scores.npy`` go layer by layer in this order.
    """

    name: str
    units: PositiveInt
    height: PositiveInt | None = None
    width: PositiveInt | None = None
    unit_names: list[str] = []
    registration: Registration | None = None


class BadImage(Part):
    """An image that could not be read and was left out."""

    image_id: int
    reason: str


class MergedRun(Part):
    """A run that was merged into this one: its folder, how it was made, and its inputs' SHA-256."""

    folder: str
    command: str = ""
    salprobe: str = ""
    versions: dict[str, str] = {}
    masks: str = ""
    fixations: str = ""
    images: int = 0
    regions: int = 0


class RunInfo(Record):
    """The content of ``run.json``. Format 1 had other statistics, which are computed anew.

    Attributes
    ----------
    parameters : RunParameters
    masks, dataset : str or None
        Names of the mask file and of its dataset.
    paths : Paths
    trained_on : int
        How many of the images the network was trained on.
    unlabelled : int
        How many regions without a label were left out.
    annotator : str or None
        Who labelled the regions.
    simulated : bool
        Whether the fixations come from a generator, not from people.
    layers : list of LayerInfo
    categories : list of str
        In the order of their ids.
    images, regions, without_fixations : int
        For a complete run: how much was scored, and how many regions have no score.
    bad_images : list of BadImage
    finished : str
    timings_s : dict of float
        Seconds of wall time.
    merged : list of MergedRun
        For a merged run: those it came from, in their order.
    """

    file_name: ClassVar[str] = "run.json"
    kind: ClassVar[str] = "run"
    newest: ClassVar[int] = 2

    parameters: RunParameters
    masks: str | None = None
    paths: Paths = Paths()
    dataset: str | None = None
    trained_on: int = 0
    unlabelled: int = 0
    annotator: str | None = None
    simulated: bool = False
    layers: list[LayerInfo]
    categories: list[str]
    images: int = 0
    regions: int = 0
    without_fixations: int = 0
    bad_images: list[BadImage] = []
    finished: str = ""
    timings_s: dict[str, float] = {}
    merged: list[MergedRun] = []

    @model_validator(mode="after")
    def _says_what_was_scored(self) -> Self:
        needed = (
            *("simulated", "annotator", "masks", "dataset"),
            *("images", "regions", "without_fixations", "bad_images"),
        )
        for names in ([layer.name for layer in self.layers], self.categories):
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ValueError(f"{twice[0]!r} occurs twice")
        missing = [name for name in needed if name not in self.model_fields_set]
        if self.status == "complete" and missing:
            raise ValueError(f"{missing[0]!r} is missing")
        return self

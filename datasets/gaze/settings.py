"""What a user says about a table of fixations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..choices import Detection, Eye, Unit
from .placement import UNPLACED, Placement


@dataclass(frozen=True)
class TableFormat:
    """How to read a table of fixations.

    Attributes
    ----------
    columns : mapping
        Maps our names (``image, subject, x, y, duration_ms``, of samples ``time``) to the table's,
        where they differ.
    unit : Unit
        Pixels are 0-based, from the centre of the upper left pixel. Degrees are from the centre
        of the stimulus; x to the right, y downwards.
    drop_invalid : bool
        Drop fixations without coordinates or outside their stimulus, instead of refusing them.
        An eye tracker's export is always read so.
    placement : Placement
        Where on the screen the stimuli were, if positions are on the screen.
    eye : Eye or None
        Which eye counts for subjects of whom both were recorded.
    detect : Detection or None
        The table holds gaze samples: detect their fixations with pymovements, by velocity
        (``ivt``) or dispersion (``idt``).
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    unit: Unit = "px"
    drop_invalid: bool = False
    placement: Placement = UNPLACED
    eye: Eye | None = None
    detect: Detection | None = None


PLAIN = TableFormat()

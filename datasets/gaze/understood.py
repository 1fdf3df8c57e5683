"""What was understood of a table of fixations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..fixations import Fixations
from ..texts import printable


@dataclass(frozen=True)
class Gaze:
    """Fixations that were read, and how.

    Attributes
    ----------
    fixations : Fixations
        On the stimuli, and inside them.
    form : str
        Which form the table has.
    said : tuple of str
        How it was read: encoding, columns, screen, names; a line each.
    rows : int
        Rows of the table, without comments.
    found : int
        Fixations in it.
    dropped : mapping
        How many of these were left out, by the reason.
    px_per_degree : float or None
        Pixels of the stimuli in one degree of visual angle, where the file tells.
    foreign : bool
        Whether it is another program's form, of which a command has to say what it understood.
    """

    fixations: Fixations
    form: str
    said: tuple[str, ...]
    rows: int
    found: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    px_per_degree: float | None = None
    foreign: bool = False

    @property
    def n_dropped(self) -> int:
        """Number of fixations that were left out."""
        return sum(self.dropped.values())

    def lines(self) -> list[str]:
        """Return all of it in words, a line each."""
        subjects = len(np.unique(self.fixations.subject))
        images = len(np.unique(self.fixations.image_id))
        lines = [
            self.form,
            *self.said,
            f"{self.rows} rows, {self.found} fixations; kept {len(self.fixations)} of "
            f"{subjects} subjects on {images} images",
        ]
        lines += [f"dropped {count}: {reason}" for reason, count in self.dropped.items()]
        return [printable(line) for line in lines]

    def record(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return {
            **{"form": self.form, "read_as": list(self.said), "rows": self.rows},
            **{"fixations": self.found, "kept": len(self.fixations)},
            "subjects": np.unique(self.fixations.subject).tolist(),
            "images": len(np.unique(self.fixations.image_id)),
            "dropped": dict(self.dropped),
            "px_per_degree": self.px_per_degree,
        }

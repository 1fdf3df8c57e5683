"""What may be chosen by name, kept apart so that a command's help loads nothing else."""

from typing import Literal

Unit = Literal["px", "deg"]
"""Of a table's positions."""

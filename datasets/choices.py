"""Choices by name, kept apart so that a command's help loads nothing else."""

from typing import Literal

Unit = Literal["px", "deg"]
"""Unit of a table's positions."""

Eye = Literal["left", "right"]

Detection = Literal["ivt", "idt"]
"""How fixations are detected in samples: by velocity or by dispersion."""
"""Which eye's fixations count, where both were recorded."""

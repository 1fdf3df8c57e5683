"""Choices by name, in a file of their own so that a command's help loads nothing else."""

from typing import Literal

Precision = Literal["fp32", "bf16"]
"""Precision of a network's forward pass; scores are always float32."""

Task = Literal["saliency", "scenes"]
"""Task that a network is trained for."""

Schedule = Literal["constant", "cosine"]
"""Schedule of the learning rates over a training."""

MapFormat = Literal["npy", "png", "hdf5"]
"""Format of the maps that `probe maps` writes."""

Format = Literal["table", "md", "csv", "json", "latex", "html"]
"""Output format of a table."""

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
"""Filter with which pictures are resized to a network's input; Pillow's."""

RegistrationMethod = Literal["plain", "measured"]
"""Where the cells of activation maps lie: they fill the stimulus, or where they look."""

"""What may be chosen by name, kept apart so that a command's help loads nothing else."""

from typing import Literal

Precision = Literal["fp32", "bf16"]
"""Of a network's forward pass; scores are always float32."""

Task = Literal["saliency", "scenes"]
"""What a network is trained for."""

Schedule = Literal["constant", "cosine"]
"""How learning rates change over a training."""

Format = Literal["table", "md", "csv", "json", "latex", "html"]
"""How a table is printed."""

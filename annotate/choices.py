"""What may be chosen by name, kept apart so that a command's help loads nothing else."""

from typing import Literal

Method = Literal["mean-shift", "hdbscan", "dbscan"]
"""How fixations are clustered."""

Rule = Literal["majority", "first"]
"""How mask files are merged."""

Part = Literal["image", "category"]
"""What a mask file is split by."""

Format = Literal["labelme", "osie-sr", "coco", "label-studio", "png"]
"""Other programs' files of labelled regions."""

Edits = Literal["mine", "theirs"]
"""Whose edits count if a mask file has changed under review."""

Side = Literal["local", "remote", "newest"]
"""Which side counts if an image has changed here and in Label Studio."""

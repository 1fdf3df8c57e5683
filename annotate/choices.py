"""Choices by name, kept apart so that a command's help loads nothing else."""

from typing import Literal

Method = Literal["mean-shift", "hdbscan", "dbscan"]
"""How to cluster fixations."""

Rule = Literal["majority", "first"]
"""Which file's category wins when mask files are merged."""

Part = Literal["image", "category"]
"""What to split a mask file by."""

Format = Literal["labelme", "osie-sr", "coco", "label-studio", "png", "pysaliency", "yolo"]
"""Other programs' file formats for labelled regions."""

Edits = Literal["mine", "theirs"]
"""Whose edits to keep if a mask file changed while under review."""

Side = Literal["local", "remote", "newest"]
"""Which side wins if an image changed both locally and in Label Studio."""

"""What made a result: for ``run.json`` and ``train.json``."""

from __future__ import annotations

import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from ..networks.device import device_name


def provenance(device: torch.device) -> dict:
    """Return ``salprobe, command, started, device, versions``."""
    packages = ("torch", "torchvision", "numpy", "pillow")
    return {
        "salprobe": version("salprobe"),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device_name(device),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
    }

"""What the two records share: their file, their provenance, and how they are checked."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, PositiveInt, ValidationError

from ...datasets.errors import InputError
from ...datasets.files import atomic_write, read_json


class Part(BaseModel):
    """An object in a record; keys that this version does not know are kept."""

    model_config = ConfigDict(extra="allow")


MOST_INPUT = 2**24
"""Maximum pixels of a network's input: its first layer's maps take 4 GB then."""


def _input_size(size: tuple[int, int]) -> tuple[int, int]:
    if size[0] * size[1] > MOST_INPUT:
        raise ValueError(f"{size[0]}×{size[1]} pixels are more than can be used")
    return size


InputSize = Annotated[tuple[PositiveInt, PositiveInt], AfterValidator(_input_size)]
"""Height and width of a network's input."""


class Weights(Part):
    """Where a network's weights come from.

    Attributes
    ----------
    source : str
        ``default``, ``random``, ``file``, ``factory``, ``module``, ``trained`` or ``none``.
    file : str or None
        The name of the file, or of what was published.
    sha256 : str or None
        SHA-256 of the file, or of the parameters if there is no file.
    key, prefix : str or None
        Where in the file the network was found, if that had to be said.
    """

    source: str
    file: str | None = None
    sha256: str | None = None
    key: str | None = None
    prefix: str | None = None


class Record(Part):
    """A JSON file in a folder of results with everything needed to repeat them.

    Attributes
    ----------
    format : int
    status : "running" or "complete"
    salprobe : str
        The version that wrote it.
    command, started, device : str
    versions : dict of str
        Versions of Python and of the libraries that the numbers depend on.
    """

    file_name: ClassVar[str]
    kind: ClassVar[str]
    newest: ClassVar[int] = 1

    format: int
    status: Literal["running", "complete"]
    salprobe: str = ""
    command: str = ""
    started: str = ""
    device: str = ""
    versions: dict[str, str] = {}

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a folder's record.

        Raises
        ------
        InputError
            If the record is missing or malformed, or a newer salprobe wrote it.
        """
        path = folder / cls.file_name
        if not path.is_file():
            article = "an" if cls.kind[0] in "aeio" else "a"  # a unit-ablation
            raise InputError(f"{folder}: not {article} {cls.kind} folder (no {cls.file_name})")
        content = read_json(path)
        if not isinstance(content, dict):
            raise InputError(f"{path}: expected an object, got {type(content).__name__}")
        version = content.get("format")
        if isinstance(version, int) and version > cls.newest:
            raise InputError(f"{path}: format {version} is newer than this salprobe reads")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(map(str, problem["loc"]))
            missing = problem["type"] == "missing"
            what = f"{place!r} is missing" if missing else f"{place}: {problem['msg']}"
            what = what.replace("Value error, ", "").removeprefix(": ")
            raise InputError(f"{path}: {what}") from error

    def write(self, folder: Path) -> None:
        """Write the record atomically."""
        with atomic_write(folder / self.file_name) as file:
            file.write((json.dumps(self.content(), indent=1, ensure_ascii=False) + "\n").encode())

    def content(self) -> dict[str, Any]:
        """Return what `write` writes: the fields that were set, ready for JSON."""
        return self.model_dump(mode="json", exclude_unset=True)


_EXTRAS = {"timm": "timm", "transformers": "transformers", "open_clip": "open_clip_torch"}
"""Distributions of the extras by their modules, of which only those in use are recorded."""


def provenance(device: str) -> dict[str, Any]:
    """Return the fields ``salprobe, command, started, device, versions`` of a new record.

    Parameters
    ----------
    device : str
        What the record calls the device.
    """
    packages = ["torch", "torchvision", "numpy", "pillow"]
    packages += [name for module, name in _EXTRAS.items() if module in sys.modules]
    return {
        "salprobe": version("salprobe"),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
    }

"""A folder of sheets: what it may hold, what is there already, and the data beside a figure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from ...datasets.errors import InputError
from ...datasets.files import atomic_write, read_json, sha256
from ...datasets.options import check_seed
from ..runs.run import Run
from .recipes import METHODS

if TYPE_CHECKING:
    from .sheet import Sheet  # with torch, which who looks for a sheet need not wait for

UnitName = tuple[str, int]
"""A layer's name, and a unit's number from 0."""


@dataclass(frozen=True)
class Contents:
    """What sheets show.

    Attributes
    ----------
    patches : int
        How many of the best stimuli.
    seed : int
        Of the shuffled weights, and of the pictures that units prefer.
    prefer : tuple of "maco", "yosinski" and "accentuation"
        How pictures that a unit prefers are made, if they are.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    patches: int = 9
    seed: int = 0
    prefer: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_seed(self.seed)
        for one in self.prefer:
            if one not in METHODS:
                raise InputError(f"prefer {one!r}: expected {', '.join(METHODS)}")
        if self.patches < 1:
            raise InputError(f"patches {self.patches}: expected 1 or more")


DEFAULT_CONTENTS = Contents()

_OWN = re.compile(rf".+-\d+(\.({'|'.join(METHODS)})(-\d+)?)?\.(json|png|svg|pdf)")
"""Names of a sheet, its data, and the pictures that its unit prefers."""


def stem_of(unit: UnitName) -> str:
    """Return what the names of a unit's files begin with."""
    return f"{quote(unit[0], safe='')}-{unit[1]}"


def is_foreign(folder: Path) -> bool:
    """Return whether a folder holds anything but sheets."""
    names = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    return not all(_OWN.fullmatch(name) for name in names)


def mark_of(run: Run, unit: UnitName, contents: Contents) -> dict[str, Any]:
    """Return what a sheet depends on: its run and unit, and what it shows."""
    parameters = run.info.parameters
    return {
        "layer": unit[0],
        "unit": unit[1],
        "masks": parameters.masks,
        "fixations": parameters.fixations,
        "scores": sha256(run.folder / "scores.npy"),
        "contents": {**vars(contents), "prefer": list(contents.prefer)},
        "salprobe": version("salprobe"),
    }


def preference_mark(
    run: Run, unit: UnitName, contents: Contents, size: tuple[int, int]
) -> dict[str, Any]:
    """Return what the pictures that a unit prefers depend on, besides their recipe."""
    parameters = run.info.parameters
    return {
        "layer": unit[0],
        "unit": unit[1],
        "model": parameters.model,
        "weights": parameters.weights.sha256,
        "masks": parameters.masks,
        "input_size": list(parameters.input_size),
        "size": list(size),
        "seed": contents.seed,
    }


def is_there(figure: Path, mark: dict[str, Any]) -> bool:
    """Return whether a sheet is there that was made of the same, and shows the same.

    Raises
    ------
    InputError
        If a sheet is there that was made of something else.
    """
    path = figure.with_name(figure.stem + ".json")
    if not path.exists():
        return False
    content = read_json(path)
    made_of = content.get("made_of") if isinstance(content, dict) else None
    if made_of is None:
        raise InputError(f"{path}: not a unit's sheet")
    if made_of != mark:
        changed = [
            key for key in mark if not isinstance(made_of, dict) or made_of.get(key) != mark[key]
        ]
        if changed == ["contents"]:  # asked for anew
            return False
        raise InputError(
            f"{path}: was made with other parameters ({', '.join(changed)}); choose another --out"
        )
    return figure.exists()


def write_data(sheet: Sheet, run: Run, figure: Path, mark: dict[str, Any]) -> None:
    """Write a sheet's data beside its figure."""
    fields = sheet.fields
    own = run.units[(run.units["layer"] == sheet.layer) & (run.units["unit"] == sheet.unit)]
    content = {
        "made_of": mark,
        "run": run.name,
        "level_99": None if np.isnan(sheet.level) else sheet.level,
        "field": {
            "height": fields.size[0],
            "width": fields.size[1],
            "down": fields.step[0],
            "across": fields.step[1],
            "effective_side": None if np.isnan(sheet.effective) else sheet.effective,
        },
        "nss": {
            str(row["category"]): None if np.isnan(row["mean"]) else row["mean"]
            for row in own.to_dict("records")
        },
        "examples": [
            {
                "image_id": one.peak.stimulus.id,
                "file_name": one.peak.stimulus.file_name,
                "value": one.peak.value,
                "cell": [one.peak.row, one.peak.column],
                "box": list(one.box),
                "fixations": len(one.x),
            }
            for one in sheet.examples
        ],
        "preferred": {
            method: {"responses": shown.responses} for method, shown in sheet.preferred.items()
        },
        "notes": sheet.notes,
    }
    with atomic_write(figure.with_name(figure.stem + ".json")) as file:
        file.write((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())

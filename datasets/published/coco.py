"""COCO-FreeView and COCO-Search18 (Chen et al. 2021, 2022): COCO images, looked at or searched."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError, reading
from ..files import read_json, sha256
from ..progress import Progress
from .gathered import Gathered, by_name, files_below, images_of

SAME = ("name", "subject", "X", "Y", "T")
"""Keys by which two trials are one; a task, if there is one, is another."""

SIZE = (1050, 1680)
"""(height, width) of all images, as they were shown."""


def read_coco_freeview(root: Path, progress: Progress) -> Gathered:
    """Read COCO-FreeView: ``COCOFreeView_fixations_*.json`` and COCO-Search18's images.

    Raises
    ------
    InputError
        If files are missing, or a file is not COCO-FreeView's.
    """
    return _read("coco-freeview", root, ("COCOFreeView_fixations*.json",), progress)


def read_coco_search18(root: Path, progress: Progress) -> Gathered:
    """Read COCO-Search18, target present and absent: ``coco_search18_fixations_*.json``, images.

    Raises
    ------
    InputError
        If files are missing, or a file is not COCO-Search18's.
    """
    return _read("coco-search18", root, ("coco_search18_fixations*.json",), progress)


def _read(name: str, root: Path, patterns: Sequence[str], progress: Progress) -> Gathered:
    tables = [path for pattern in patterns for path in files_below(root, pattern)]
    if not tables:
        raise InputError(f"{root}: has no {' or '.join(patterns)}")
    paths, again = _once(root)
    found = Gathered(images_of(root, paths))
    images = by_name(found.stimuli)
    for image in found.stimuli:
        if image.size != SIZE:
            size = f"{image.width}×{image.height}"
            raise InputError(f"{root / image.file_name}: is {size}, expected 1680×1050 as shown")
    told: Counter[str] = Counter()
    known: set[str] = set()
    for path in tables:
        trials = read_json(path)
        with reading(path):
            if not isinstance(trials, list):
                raise InputError(f"{path}: expected a list of trials")
            for trial in trials:
                if trial["name"] not in images:
                    raise InputError(f"{path}: {trial['name']!r:.60} is not among the images")
                x, y, durations = (trial[key] for key in ("X", "Y", "T"))
                if not len(x) == len(y) == len(durations) == int(trial["length"]):
                    raise InputError(f"{path}: {trial['name']:.60}: X, Y, T differ in length")
                if (
                    text := json.dumps([trial[key] for key in SAME] + [trial.get("task")])
                ) in known:
                    raise InputError(f"{path}: a trial on {trial['name']:.60} occurs twice")
                known.add(text)
                found.add(images[trial["name"]], int(trial["subject"]), x, y, durations)
                told[f"split {trial['split']}"] += 1
                if "condition" in trial:
                    told[f"target {trial['condition']}"] += 1
    counts = ", ".join(f"{count} of {what:.40}" for what, count in sorted(told.items()))
    progress.say(
        f"{name}: {sum(told[one] for one in told if one[:5] == 'split')} trials ({counts})"
    )
    if again:
        progress.say(f"{name}: {again} images occur under several targets, with equal bytes: once")
    progress.say(f"{name}: the fixations of the test part are held out")
    return found


def _once(root: Path) -> tuple[list[Path], int]:
    """Return the images, one of each name; and how many others there are, of equal bytes."""
    known: dict[str, Path] = {}
    again = 0
    for path in files_below(root, "*.jpg"):
        first = known.setdefault(path.name, path)
        if first != path:
            again += 1
            if sha256(first) != sha256(path):
                raise InputError(f"{path}: other bytes than {first.relative_to(root)}")
    return sorted(known.values(), key=lambda path: path.name), again

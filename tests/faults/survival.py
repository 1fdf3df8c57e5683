"""What may remain after a fault: whole files, and a folder that the next call completes."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_TIMES = {"started", "finished", "timings_s", "date_created", "time"}
"""Keys of JSON that differ between two calls."""

_TIME = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?")
"""A report says when its run began and ended."""

Tree = Mapping[str, bytes]


def tree_of(folder: Path) -> dict[str, bytes]:
    """Return the content of each file below a folder, and b"" for folders, by relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


def essence(name: str, content: bytes) -> object:
    """Return what of a file's content must be the same in two calls."""
    if name.endswith("maps.jsonl"):
        entries = [json.loads(line) for line in content.splitlines() if line.strip()]
        return {entry["file"]: entry for entry in entries}
    if name.endswith(".review"):
        return name  # how often it was saved may differ
    if name.endswith(".json"):
        return _timeless(json.loads(content))
    if name.endswith(".hdf5"):
        return _datasets(content)
    if name.endswith(".html"):
        content = _TIME.sub(b"", content)
    return hashlib.sha256(content).hexdigest()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(one) for key, one in value.items() if key not in _TIMES}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


def _datasets(content: bytes) -> object:
    import io

    import h5py

    found: dict[str, object] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = (item[()].tobytes(), dict(item.attrs))

    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(visit)
    return found


def difference(final: Tree, now: Tree, *, hidden: bool = False) -> str | None:
    """Return how a tree differs from the undisturbed one, or None; hidden files may remain."""
    for name in {**final, **now}:
        if name not in now:
            return f"{name} is missing"
        if name not in final:
            if hidden and _hidden(name):
                continue
            return f"{name} is left over"
        if now[name] != final[name] and essence(name, now[name]) != essence(name, final[name]):
            return f"{name} differs"
    return None


def damage(before: Tree, final: Tree, now: Tree, unfinished: Sequence[str]) -> str | None:
    """Return what is damaged or only looks complete after a fault, or None."""
    for name in before:
        if name not in now and name in final:
            return f"{name} is lost"
    for name, content in now.items():
        if content == before.get(name, b"") or _hidden(name):
            continue
        if any(fnmatch.fnmatch(name, pattern) for pattern in unfinished):
            problem = _unreadable(name, content)
            if problem:
                return f"{name} is damaged: {problem}"
            continue
        if name not in final:
            return f"{name} is left over"
        try:
            whole = content == final[name] or essence(name, content) == essence(name, final[name])
        except Exception as error:
            return f"{name} is damaged: {error}"
        if not whole:
            return f"{name} is half-written"
    return _too_early(final, now)


def _hidden(name: str) -> bool:
    """Return whether a path is a temporary or lock file, or lies in a temporary folder."""
    parts = name.split("/")
    return any(part.startswith(".") and part.endswith((".partial", ".lock")) for part in parts)


def _too_early(final: Tree, now: Tree) -> str | None:
    """Return what is missing from a folder whose record says that it is complete."""
    for record in now:
        if not record.endswith(("/run.json", "/train.json")) or _hidden(record):
            continue
        if json.loads(now[record]).get("status") != "complete":
            continue
        folder = record.rpartition("/")[0]
        for name in final:
            if name.startswith(f"{folder}/") and "/" not in name[len(folder) + 1 :]:
                if name.endswith(("report.html", "output", "/run")):
                    continue
                if name not in now or essence(name, now[name]) != essence(name, final[name]):
                    return f"{record} says complete, but {name} is not"
    return None


def _unreadable(name: str, content: bytes) -> str | None:
    """Return why a file cannot be read; a journal's last line may be cut off."""
    import io

    try:
        if name.endswith((".jsonl", ".review")):
            for line in content.split(b"\n")[:-1]:
                if line.strip():
                    json.loads(line)
        elif name.endswith(".json"):
            json.loads(content)
        elif name.endswith(".npy"):
            import numpy as np

            np.load(io.BytesIO(content))
        elif name.endswith(".csv"):
            import pandas as pd

            pd.read_csv(io.BytesIO(content))
        elif name.endswith(".parquet"):
            import pandas as pd

            pd.read_parquet(io.BytesIO(content))
        elif name.endswith(".safetensors"):
            from safetensors import deserialize

            deserialize(content)
        elif name.endswith(".pt"):
            import torch

            torch.load(io.BytesIO(content), weights_only=True)
        elif not name.endswith(".part"):
            return "no reader"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None

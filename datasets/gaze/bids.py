"""BIDS eye tracking (BIDS 1.11, BEP 20): fixation events joined with what was shown.

A fixation is an event of ``_physioevents.tsv.gz``; its place is the mean of the samples of
``_physio.tsv.gz`` in it, and its image the ``stim_file`` of ``_events.tsv`` that was shown
when it began.
"""

from __future__ import annotations

import csv
import gzip
import io
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, reading
from ..files import LARGEST, read_bytes, read_json
from ..readers.process import check_file
from .exports import Export
from .placement import px_per_degree
from .rows import NOWHERE, Rows

if TYPE_CHECKING:
    import pandas as pd

_ORIGINS: dict[tuple[str, ...], Export] = {
    ("top", "left"): Export(name="BIDS eye tracking", marks=()),
    ("bottom", "left"): Export(name="BIDS eye tracking", marks=(), origin="lower left"),
    ("center", "center"): Export(name="BIDS eye tracking", marks=(), origin="centre"),
}
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_EVENTS, _SAMPLES = "_physioevents.tsv.gz", "_physio.tsv.gz"


def recordings(folder: Path) -> list[Path]:
    """Return a BIDS folder's files of eye events; none if it is no such folder."""
    return sorted(path for path in folder.rglob(f"sub-*{_EVENTS}") if path.is_file())


def read_recording(path: Path, folder: Path) -> Rows:
    """Read the fixations of one recording.

    Parameters
    ----------
    path : Path
        Its ``_physioevents.tsv.gz``.
    folder : Path
        The BIDS dataset or a folder in it; sidecars of folders above ``path`` count (BIDS's
        inheritance).

    Raises
    ------
    InputError
        If a file or a field is missing or malformed, or gaze is not in pixels of a screen.
    """
    top = next((one for one in path.parents if (one / "dataset_description.json").exists()), folder)
    base = path.name.removesuffix(_EVENTS)
    samples_path = path.with_name(base + _SAMPLES)
    about, events_about = _sidecar(samples_path, top), _sidecar(path, top)
    _check(samples_path, about, events_about)
    task = "_".join(part for part in base.split("_") if not part.startswith("recording-"))
    shown_path = path.with_name(f"{task}_events.tsv")
    screen_about = _sidecar(shown_path, top).get("StimulusPresentation", {})
    unit = _unit(samples_path, about)
    eyes = _table(path, _columns(path, events_about, "onset", "duration", "trial_type"))
    samples = _table(samples_path, _columns(samples_path, about, "timestamp", *_AXES))
    clock, x, y = (_numbers(samples_path, samples[name]) for name in ("timestamp", *_AXES))
    if not len(clock) or np.isnan(clock).any() or (np.diff(clock) < 0).any():
        raise InputError(f"{samples_path}: timestamps are missing or out of order")
    fixations = eyes[eyes["trial_type"].str.casefold() == "fixation"]
    lines = np.flatnonzero(eyes["trial_type"].str.casefold() == "fixation") + 1
    onset, duration = (_numbers(path, fixations[name]) for name in ("onset", "duration"))
    lasting = _field(events_about, "duration", "Units")
    if isinstance(lasting, str) and lasting in _SECONDS:  # else in the timestamps' unit
        duration = duration * _SECONDS[lasting] / unit
    at = _mean_of(clock, onset, onset + duration, np.column_stack([x, y]))
    zero = about.get("StartTime", 0)
    if not isinstance(zero, int | float) or isinstance(zero, bool) or not abs(zero) < 1e9:
        raise InputError(f"{samples_path}: StartTime is {zero!r:.40}, expected seconds")
    start = (onset - clock[0]) * unit + zero
    images = _images_at(shown_path, start)
    there = np.array([image is not None for image in images], dtype=bool)
    count = int((~there).sum())
    eye = about.get("RecordedEye", "")
    export, screen, scale = _screen(shown_path, screen_about)
    kept = np.flatnonzero(there)
    return Rows(
        form=f"{folder}: {export.name}",
        said=["image: stim_file, subject: sub-, place: the mean of a fixation's samples"],
        total=len(eyes),
        export=export,
        places=[(path, int(lines[k])) for k in kept],
        image=[image for image in images if image is not None],
        subject=[base.split("_")[0].removeprefix("sub-")] * len(kept),
        eye=[eye if eye in ("left", "right") else ""] * len(kept),
        x=at[there, 0],
        y=at[there, 1],
        duration_ms=duration[there] * unit * 1000,
        shown=np.full((len(kept), 4), NOWHERE),
        centred=np.zeros(len(kept), dtype=bool),
        screen=screen,
        screen_px_per_degree=scale,
        dropped=Counter({"that began while no image was shown": count} if count else {}),
    )


_AXES = ("x_coordinate", "y_coordinate")


def _sidecar(path: Path, top: Path) -> dict[str, Any]:
    """Return the fields of all sidecars that apply to a file, the nearest last."""
    *entities, suffix = path.name.split(".")[0].split("_")
    found: dict[str, Any] = {}
    folders = [
        one for one in (path.parent, *path.parent.parents) if one == top or top in one.parents
    ]
    for folder in reversed(folders):
        candidates = []
        for sidecar in folder.glob(f"*{suffix}.json"):
            *theirs, kind = sidecar.stem.split("_")
            if kind == suffix and set(theirs) <= set(entities):
                candidates.append((len(theirs), sidecar))
        for _, sidecar in sorted(candidates):
            content = read_json(sidecar)
            if not isinstance(content, dict):
                raise InputError(f"{sidecar}: expected an object")
            found |= content
    return found


def _check(path: Path, about: dict[str, Any], events: dict[str, Any]) -> None:
    system = about.get("SampleCoordinateSystem", "gaze-on-screen")
    if system != "gaze-on-screen":
        raise InputError(f"{path}: SampleCoordinateSystem is {system!r:.40}, not gaze-on-screen")
    units = [_field(about, axis, "Units") for axis in _AXES]
    if units[0] != units[1]:
        raise InputError(f"{path}: mixed units: x is in {units[0]!r:.20}, y in {units[1]!r:.20}")
    if units[0] not in ["pixel", "pixels", "px"]:
        raise InputError(f"{path}: gaze is in {units[0]!r:.40}, expected pixel (Units)")
    source = events.get("OnsetSource", "timestamp")
    if source != "timestamp":
        raise InputError(f"{path}: OnsetSource is {source!r:.40}, expected timestamp")


def _field(about: dict[str, Any], *names: str) -> Any:
    """Return a field of a field, None if either is missing."""
    value: Any = about
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _unit(path: Path, about: dict[str, Any]) -> float:
    """Return the timestamps' unit in seconds."""
    unit = _field(about, "timestamp", "Units")
    if not isinstance(unit, str) or unit not in _SECONDS:
        raise InputError(f"{path}: timestamp's Units is {unit!r:.40}, expected s, ms, us or ns")
    return _SECONDS[unit]


def _columns(path: Path, about: dict[str, Any], *wanted: str) -> list[str]:
    names = about.get("Columns")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: no sidecar says its Columns")
    missing = [name for name in wanted if names.count(name) != 1]
    if missing:
        raise InputError(f"{path}: expected one column {missing[0]!r}; Columns are {names!r:.150}")
    return names


def _table(path: Path, names: list[str] | None = None) -> pd.DataFrame:
    """Return a table as texts, "" where missing; one without a header gets names."""
    import pandas as pd

    check_file(path)
    content = read_bytes(path)
    with reading(path):
        if path.suffix == ".gz":
            with gzip.open(io.BytesIO(content)) as stream:
                content = stream.read(LARGEST + 1)
            if len(content) > LARGEST:
                raise InputError(f"{path}: too large to be read")
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # pandas drops cells beyond the columns
            return pd.read_csv(
                io.BytesIO(content),
                sep="\t",
                header=0 if names is None else None,
                names=names,
                index_col=False,
                dtype=str,
                keep_default_na=False,
                na_values=["n/a"],
                quoting=csv.QUOTE_MINIMAL if names is None else csv.QUOTE_NONE,  # messages have any
                encoding="utf-8-sig",
            ).fillna("")


def _numbers(path: Path, column: pd.Series) -> np.ndarray:
    import pandas as pd

    values = pd.to_numeric(column.mask(column == ""), errors="coerce").to_numpy(np.float64)
    wrong = np.flatnonzero(np.isnan(values) & (column != "").to_numpy())
    if wrong.size:
        found = column.iloc[wrong[0]]
        raise InputError(f"{path}: {column.name} is {found!r:.60}, expected a number")
    return values


def _mean_of(
    clock: np.ndarray, start: np.ndarray, end: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Return the mean of the samples in each interval, ends included; NaN where there is none."""
    first, last = np.searchsorted(clock, start, "left"), np.searchsorted(clock, end, "right")
    made = np.full((len(start), values.shape[1]), np.nan)
    for k, (a, b) in enumerate(zip(first, last, strict=True)):
        inside = values[a:b][~np.isnan(values[a:b]).any(axis=1)]
        if len(inside):
            made[k] = inside.mean(axis=0)
    return made


def _images_at(path: Path, start: np.ndarray) -> list[str | None]:
    """Return the image on screen at some times (s), None where there was none."""
    events = _table(path)
    if "stim_file" not in events:  # as of another task
        return [None] * len(start)
    for name in ("onset", "duration"):
        if name not in events:
            raise InputError(f"{path}: no column {name!r}, which says what was shown when")
    events = events[events["stim_file"] != ""]
    onset, duration = (_numbers(path, events[name]) for name in ("onset", "duration"))
    unknown = np.flatnonzero(np.isnan(onset + duration))
    if unknown.size:
        name = events["stim_file"].iloc[unknown[0]]
        raise InputError(f"{path}: stimulus {name!r:.80} has no onset or duration")
    order = np.argsort(onset, kind="stable")
    onset, duration, names = onset[order], duration[order], events["stim_file"].to_numpy()[order]
    if (onset[1:] < (onset + duration)[:-1] - 1e-3).any():
        raise InputError(f"{path}: stimuli overlap in time: a fixation's image is not known")
    k = np.searchsorted(onset, start, "right") - 1
    with np.errstate(invalid="ignore"):
        inside = (k >= 0) & (start < (onset + duration)[k.clip(0)]) if len(onset) else k >= 0
    return [str(names[i]) if ok else None for i, ok in zip(k, inside, strict=True)]


def _screen(path: Path, about: Any) -> tuple[Export, tuple[float, float] | None, float | None]:
    """Return the form with its origin, the screen's size, and its pixels per degree."""

    def pair(name: str) -> tuple[float, float] | None:
        value = _field(about, name)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != 2 or not all(map(_positive, value)):
            raise InputError(f"{path}: {name} is {value!r:.40}, expected two numbers above 0")
        return float(value[0]), float(value[1])

    origin = _field(about, "ScreenOrigin") or ["top", "left"]
    if not isinstance(origin, list) or tuple(map(str, origin)) not in _ORIGINS:
        raise InputError(f"{path}: ScreenOrigin is {origin!r:.40}, expected top, left")
    pixels, size, distance = pair("ScreenResolution"), pair("ScreenSize"), None
    if _positive(_field(about, "ScreenDistance")):
        distance = float(about["ScreenDistance"])
    scale = None
    if pixels and size and distance:
        scale = px_per_degree(pixels[0], size[0], distance)
    return _ORIGINS[tuple(map(str, origin))], pixels, scale


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9

"""Regions as Label Studio stores them: in percent of the image, a result for each part."""

from __future__ import annotations

import math
import re
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np

from ...datasets.categories import UNLABELLED
from ...datasets.errors import InputError
from ...datasets.files import check_relative
from ...datasets.masks.annotation import RLE, Annotation
from ...datasets.masks.regions import mask_of
from ...datasets.stimuli import MOST_PIXELS, Stimulus
from ..regions.draft import Draft, Region, is_finite, polygon_at, united
from .config import IMAGE, MASK, OUTLINE

_OUR_ID = re.compile(r"([1-9]\d{0,14})(?:-\d+)?")  # "12", or "12-1" for a part
_LOCAL = "/data/local-files/"


def to_results(region: Annotation, image: Stimulus, category: str) -> list[dict]:
    """Return a region as Label Studio results: one per polygon, or a brush for a mask.

    Result ids begin with ours, which ``meta`` repeats; a suggested category replaces
    ``unlabelled``, with its confidence as the score.
    """
    meta: dict[str, Any] = {"annotation_id": region.id}
    score = None
    if category == UNLABELLED and region.suggestion is not None:
        meta["suggestion"] = region.suggestion.model_dump(exclude_unset=True)
        category, score = region.suggestion.category, region.suggestion.confidence
    if region.note:
        meta["text"] = [region.note]
    common = {
        "to_name": IMAGE,
        "original_width": image.width,
        "original_height": image.height,
        "image_rotation": 0,
        "meta": meta,
        **({} if score is None else {"score": score}),
    }
    outline = region.segmentation
    if isinstance(outline, RLE):
        from label_studio_sdk.converter.brush import mask2rle

        runs = mask2rle(mask_of(region, image).astype(np.uint8) * 255)
        value = {"format": "rle", "rle": [int(run) for run in runs], "brushlabels": [category]}
        shape = {"id": str(region.id), "from_name": MASK, "type": "brushlabels"}
        return [{**common, **shape, "value": value}]
    results = []
    for part, polygon in enumerate(outline):
        points = np.reshape(polygon, (-1, 2)) * 100 / [image.width, image.height]
        value = {"points": points.tolist(), "polygonlabels": [category], "closed": True}
        number = str(region.id) if len(outline) == 1 else f"{region.id}-{part}"
        shape = {"id": number, "from_name": OUTLINE, "type": "polygonlabels"}
        results.append({**common, **shape, "value": value})
    return results


def from_results(
    place: str, results: Any, image: Stimulus, draft: Draft, suggested: bool = False
) -> None:
    """Add the regions of an annotation or a prediction to a draft.

    Parameters
    ----------
    place : str
        Begins error messages.
    results : list of dict
    image : Stimulus
    draft : Draft
        Receives the regions.
    suggested : bool
        Whether it is a prediction, whose suggested categories are not labels yet.

    Raises
    ------
    InputError
        If a result is malformed, or was drawn on an image of a different size.
    """
    if not isinstance(results, list):
        raise InputError(f"{place}: result: expected a list")
    parts: dict[str, list] = {}
    labels: dict[str, str] = {}
    metas: dict[str, dict] = {}
    for index, result in enumerate(results):
        where = f"{place}: result[{index}]"
        if not isinstance(result, dict) or not isinstance(result.get("type"), str):
            raise InputError(f"{where}: expected an object with a type")
        value = result.get("value")
        if result["type"] == "relation" or not isinstance(value, dict):
            draft.lost[f"a {result['type']}"] += 1
            continue
        key, meta = str(result.get("id", index)), result.get("meta")
        meta = meta if isinstance(meta, dict) else {}
        ours = _OUR_ID.fullmatch(key)
        if ours and meta.get("annotation_id") == int(ours[1]):
            key = ours[1]  # a copy made in the browser has the same meta, but a different id
        label = _label(where, value, draft)
        part = _part(where, result, value, image)
        if part is None and label is None:
            draft.lost[f"a {result['type']}, which has no area"] += 1
            continue
        if label is not None:
            labels[key] = label
        if part is not None and not (key in parts and result["type"] == "labels"):
            parts.setdefault(key, []).append(part)
            metas.setdefault(key, meta)
    for key, pieces in parts.items():
        meta, category = metas[key], labels.get(key, UNLABELLED)
        keys: dict[str, Any] = {}
        number = int(key) if key == str(meta.get("annotation_id")) else None
        if number is None:
            keys["label_studio_region"] = key
        if suggested and isinstance(meta.get("suggestion"), dict):
            category, keys["suggestion"] = UNLABELLED, meta["suggestion"]
        text = meta.get("text")
        if text:
            keys["note"] = "\n".join(map(str, text)) if isinstance(text, list) else str(text)
        outline = united(pieces, image.height, image.width)
        draft.regions.append(Region(image.file_name, category, outline, number, keys))


def local_url(path: str) -> str:
    """Return the address at which a server serves a file below its document root."""
    return f"{_LOCAL}?d={quote(path)}"


def file_name_of(place: str, address: object) -> str:
    """Return an image's path from the address at which a server serves it.

    Raises
    ------
    InputError
        If the address is on another server, or the path leaves its folder.
    """
    if not isinstance(address, str):
        raise InputError(f"{place}: data.image: expected an address, got {address!r:.60}")
    split = urlsplit(address)
    if split.scheme or split.netloc:
        raise InputError(f"{place}: data.image: {address!r:.80} is on another server")
    name = address
    if split.path.rstrip("/") == _LOCAL.rstrip("/"):
        name = parse_qs(split.query).get("d", [""])[0]
    elif split.path.startswith("/data/upload/"):
        # The server prefixes uploads with eight random hexadecimal digits.
        name = re.sub(r"^[0-9a-f]{8}-", "", split.path.rsplit("/", 1)[1])
    try:
        return check_relative(name)
    except ValueError as error:
        raise InputError(f"{place}: data.image: {error}") from error


def _label(place: str, value: dict, draft: Draft) -> str | None:
    for key, names in value.items():
        if key.endswith("labels") and isinstance(names, list) and names:
            if not all(isinstance(name, str) for name in names):
                raise InputError(f"{place}: {key}: expected names, got {names!r:.60}")
            if len(names) > 1:
                draft.lost["the second category of a region with two"] += 1
            return names[0]
    return None


def _part(place: str, result: dict, value: dict, image: Stimulus) -> Any:
    """Return a polygon in pixels, a mask, or None if the result has no area."""
    size = [result.get("original_width"), result.get("original_height")]
    shaped = {"points", "rle", "radiusX"} & value.keys() or {"x", "width"} <= value.keys()
    if not shaped or result["type"].startswith(("keypoint", "vector")):
        return None
    if size != [image.width, image.height]:
        raise InputError(
            f"{place}: drawn on {size[0]}×{size[1]} pixels, {image.file_name} has "
            f"{image.width}×{image.height}"
        )
    if "rle" in value:
        return _brush(place, value["rle"], image)
    scale = np.array([image.width, image.height]) / 100
    if "points" in value:
        points = np.reshape(polygon_at(f"{place}: points", value["points"]), (-1, 2))
    else:
        sides = ("radiusX", "radiusY") if "radiusX" in value else ("width", "height")
        x, y, a, b = _numbers(place, value, ("x", "y", *sides))
        if "radiusX" in value:
            turns = np.linspace(0, 2 * np.pi, 64, endpoint=False)
            offsets = np.stack([a * np.cos(turns), b * np.sin(turns)], axis=1)
        else:
            offsets = np.array([[0, 0], [a, 0], [a, b], [0, b]], dtype=float)
        (rotation,) = _numbers(place, {"rotation": 0, **value}, ("rotation",))
        turn = math.radians(rotation)  # clockwise, about (x, y), in pixels
        matrix = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
        return ([x, y] * scale + (offsets * scale) @ matrix).ravel().tolist()
    return (points * scale).ravel().tolist()


def _numbers(place: str, value: dict, names: tuple[str, ...]) -> list[float]:
    for name in names:
        if not is_finite(value.get(name)):
            raise InputError(f"{place}: {name}: expected a number, got {value.get(name)!r:.60}")
    return [float(value[name]) for name in names]


def _brush(place: str, runs: Any, image: Stimulus) -> np.ndarray:
    from label_studio_sdk.converter.brush import decode_rle

    pixels = image.width * image.height
    if not isinstance(runs, list) or not all(
        type(value) is int and 0 <= value < 256 for value in runs
    ):
        raise InputError(f"{place}: rle: expected bytes")
    claimed = int.from_bytes(bytes(runs[:4]), "big")
    if claimed != 4 * pixels or pixels > MOST_PIXELS:
        raise InputError(f"{place}: rle: has {claimed} values, its image needs {4 * pixels}")
    try:
        values = decode_rle(runs)
    except (ValueError, IndexError) as error:
        raise InputError(f"{place}: rle: cannot be read: {error}") from error
    return np.asarray(values).reshape(image.height, image.width, 4)[..., 3] > 0

"""Tasks: an image with its regions as a prediction, and people's annotations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...datasets.errors import InputError
from ...datasets.files import atomic_write, is_stream, read_json
from ...datasets.masks.annotation import Annotation
from ...datasets.masks.mask_set import MaskSet
from ...datasets.stimuli import Stimuli, Stimulus, image_size
from ..regions.draft import Draft
from .codec import file_name_of, from_results, local_url, to_results
from .config import label_config


def task_data(image: Stimulus, address: str) -> dict:
    """Return a task's ``data``; ``image_id`` identifies tasks."""
    return {
        "image": address,
        "image_id": image.id,
        "file_name": image.file_name,
        "width": image.width,
        "height": image.height,
    }


_MOST_VERSIONS = 50


def pushed_before(task: dict, wanted: str) -> dict:
    """Return the part of a task's ``data`` that says which predictions it had before.

    Parameters
    ----------
    task : dict
        With its data and predictions.
    wanted : str
        Version that the next push leaves; it replaces any other.

    Returns
    -------
    dict
        ``pushed``: pairs of a prediction's version and when it was made; empty if there are none.
    """
    pushed = _pairs(task["data"].get("pushed"))
    for pair in _shown(task):
        if pair[0] != wanted and pair not in pushed:
            pushed.append(pair)
    return {"pushed": pushed[-_MOST_VERSIONS:]} if pushed else {}


def versions_of(task: dict) -> list[list[str]]:
    """Return the predictions that a task has had: pairs of a version and when it was made."""
    return _pairs(task["data"].get("pushed")) + _shown(task)


def _shown(task: dict) -> list[list[str]]:
    predictions = task.get("predictions") or []
    return [[str(one.get("model_version")), str(one.get("created_at"))] for one in predictions]


def _pairs(value: object) -> list[list[str]]:
    listed = value if isinstance(value, list) else []
    return [
        pair
        for pair in listed
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, str) for one in pair)
    ]


def prediction(regions: Sequence[Annotation], image: Stimulus, names: dict[int, str]) -> dict:
    """Return an image's regions as a prediction, whose ``model_version`` is their hash."""
    results = [
        result
        for region in regions
        for result in to_results(region, image, names[region.category_id])
    ]
    return {"model_version": content_hash(regions, names), "result": results}


def content_hash(regions: Sequence[Annotation], names: dict[int, str]) -> str:
    """Return a hash of everything that annotators see of an image's regions."""
    content = [
        {
            "id": region.id,
            "category": names[region.category_id],
            "outline": region.model_dump(include={"segmentation"}),
            "suggestion": region.suggestion and region.suggestion.model_dump(exclude_unset=True),
            "note": region.note,
        }
        for region in regions
    ]
    return json_hash(content)


def json_hash(content: object) -> str:
    """Return a hash of JSON content that does not depend on the order of keys."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:24]


def annotations_of(task: dict, annotator: str | None = None) -> list[dict]:
    """Return the latest finished annotation of each annotator, the newest last."""
    latest: dict[str, dict] = {}
    for annotation in sorted(task.get("annotations") or [], key=updated):
        if not annotation.get("was_cancelled") and annotator in (None, annotator_of(annotation)):
            latest[annotator_of(annotation)] = annotation
    return sorted(latest.values(), key=updated)


def updated(entry: dict) -> tuple[str, int]:
    """Return a sort key: the time of an annotation's last change, then its id."""
    number = entry.get("id")
    return str(entry.get("updated_at") or ""), number if isinstance(number, int) else 0


def annotator_of(annotation: dict) -> str:
    """Return the e-mail address of an annotation's author, or their number if it is unknown."""
    person = annotation.get("completed_by")
    if isinstance(person, dict):
        person = person.get("email") or person.get("id")
    return str(person)


def recognises(source: Path) -> bool:
    """Return whether a path is a file of Label Studio tasks."""
    if source.suffix.lower() != ".json" or not source.is_file():
        return False
    content = read_json(source)
    first = content[0] if isinstance(content, list) and content else content
    return isinstance(first, dict) and isinstance(first.get("data"), dict)


def read(source: Path, root: Path | None = None) -> Draft:
    """Read a file of tasks, exported by Label Studio as JSON or written by `write`.

    The newest annotation of a task counts; a task without annotations gives its prediction,
    whose suggestions are not labels.

    Raises
    ------
    InputError
        If anything is malformed; the message names the place.
    """
    content = read_json(source)
    tasks: Any = [content] if isinstance(content, dict) else content
    if not isinstance(tasks, list) or not tasks:
        raise InputError(f"{source}: expected a list of Label Studio tasks")
    draft = Draft("label-studio")
    for index, task in enumerate(tasks):
        place = f"{source}: [{index}]"
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            raise InputError(f"{place}: no task with data (export as JSON, not JSON-MIN)")
        for key in ("annotations", "predictions"):
            entries = task.get(key) or []
            if not isinstance(entries, list) or not all(
                isinstance(entry, dict) for entry in entries
            ):
                raise InputError(f"{place}: {key}: expected a list of objects")
        read_task(place, task, draft, root)
    return draft


def read_task(place: str, task: dict, draft: Draft, root: Path | None = None) -> None:
    """Add a task's image and regions to a draft; see `read`.

    Parameters
    ----------
    place : str
        Begins error messages.
    task : dict
    draft : Draft
    root : Path, optional
        Folder of the images, for sizes that the task lacks.

    Raises
    ------
    InputError
        If the task is malformed.
    """
    annotations = annotations_of(task)
    if len(annotations) > 1:
        draft.lost["an older annotation of an image that several people labelled"] += (
            len(annotations) - 1
        )
    predictions = sorted(task.get("predictions") or [], key=updated)
    chosen = (annotations or predictions or [{}])[-1]
    image = add_image(place, task["data"], chosen.get("result") or [], draft, root)
    if image is None:
        draft.lost["an image without regions, as its size is unknown (--root)"] += 1
        return
    from_results(place, chosen.get("result") or [], image, draft, suggested=not annotations)


def add_image(
    place: str, data: dict, results: Any, draft: Draft, root: Path | None = None
) -> Stimulus | None:
    """Add a task's image to a draft and return it; None if its size is unknown.

    Parameters
    ----------
    place : str
        Begins error messages.
    data : dict
        The task's ``data``.
    results : list of dict
        Results drawn on the image, for a size that ``data`` lacks.
    draft : Draft
    root : Path, optional
        Folder of the images, for a size that both lack.

    Raises
    ------
    InputError
        If the image's name or size is invalid.
    """
    name = data.get("file_name")
    if not isinstance(name, str):
        name = file_name_of(place, data.get("image"))
        if root is not None and not (root / name).is_file() and "/" in name:
            name = name.partition("/")[2]  # the first folder is the root's own name
    size = (data.get("height"), data.get("width"))
    drawn = [
        result for result in results if isinstance(result, dict) and result.get("original_width")
    ]
    if None in size and drawn:
        size = (drawn[0].get("original_height"), drawn[0].get("original_width"))
    if None in size and root is not None:
        stimuli = Stimuli(root, ())
        probe = Stimulus(id=0, file_name=name, width=1, height=1)
        size = image_size(stimuli.path(probe))
    if None in size:
        return None
    number = data.get("image_id")
    draft.add_image(place, name, *size, number=number if type(number) is int else 0)  # type: ignore[misc]
    return draft.images[name]


def write(masks: MaskSet, target: Path, root: Path | None = None) -> list[str]:
    """Write a file of tasks for import in the browser, and the labelling interface next to it.

    Returns
    -------
    list of str
        What tasks cannot hold.

    Raises
    ------
    InputError
        If a file cannot be written, or an image below ``root`` is missing.
    """
    folder = root.absolute() if root else None
    names, regions = masks.category_of(), masks.by_image()
    tasks = []
    for image in masks.images:
        path = image.file_name
        if folder is not None:
            path = Stimuli(folder, ()).path(image).relative_to(folder.parent).as_posix()
        own_regions = regions.get(image.id, [])
        tasks.append(
            {
                "data": task_data(image, local_url(path)),
                "predictions": [prediction(own_regions, image, names)],
            }
        )
    with atomic_write(target) as file:
        file.write(json.dumps(tasks, ensure_ascii=False).encode())
    if not is_stream(target):
        with atomic_write(target.with_suffix(".xml")) as file:
            file.write(label_config(masks).encode())
    return ["the fixations and the origin of the regions"]

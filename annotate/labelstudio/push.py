"""Mask sets sent to a server: only what is missing or stale there, so that repeating is safe."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from ...datasets.categories import UNLABELLED
from ...datasets.errors import InputError
from ...datasets.masks.annotation import RLE
from ...datasets.masks.mask_set import MaskSet
from ...datasets.progress import SILENT, Advance, Progress
from .client import Client, Project, Unreachable
from .config import MASK, OUTLINE, label_config
from .tasks import annotations_of, prediction, task_data

_BATCH = 50  # tasks in one request
_ATTEMPTS = 4
_WAIT_SECONDS = 2


@dataclass
class Plan:
    """What a push has to do.

    Attributes
    ----------
    add : list of dict
        Tasks of images that have none.
    predict : list of dict
        Predictions that are missing or stale, each with its ``task``.
    update : list of (task id, data)
        Tasks whose image has another address now.
    delete : list of int
        Tasks without annotations of an image that has another: left by a broken import.
    annotated : int
        Stale images that people have annotated: their annotations stay as they are.
    foreign : list of str
        Images of tasks that the mask set does not have.
    """

    add: list[dict] = field(default_factory=list)
    predict: list[dict] = field(default_factory=list)
    update: list[tuple[int, dict]] = field(default_factory=list)
    delete: list[int] = field(default_factory=list)
    annotated: int = 0
    foreign: list[str] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """How many tasks have to be touched."""
        return len(self.add) + len(self.predict) + len(self.update) + len(self.delete)


def plan_push(masks: MaskSet, tasks: Sequence[dict], address: Callable[[Any], str]) -> Plan:
    """Compare a mask set with a project's tasks.

    Parameters
    ----------
    tasks : sequence of dict
        With annotations, predictions and drafts.
    address : callable
        From an image to where the server shows it.

    Raises
    ------
    InputError
        If a task's ``image_id`` stands for an image of another name.
    """
    plan = Plan()
    names, regions = masks.category_of(), masks.by_image()
    of_image = tasks_by_image(tasks)
    images = {image.id: image for image in masks.images}
    for number, found in of_image.items():
        name = found[0]["data"].get("file_name")
        if number not in images:
            plan.foreign.append(str(name))
        elif name != images[number].file_name:
            raise InputError(
                f"task {found[0]['id']} of the project is of {name}, the mask file calls image "
                f"{number} {images[number].file_name}: another set of images"
            )
    for image in masks.images:
        wanted = prediction(regions.get(image.id, []), image, names)
        data = task_data(image, address(image))
        found = of_image.get(image.id, [])
        if not found:
            plan.add.append({"data": data, "predictions": [wanted]})
            continue
        worked_on = [one for one in found if one.get("annotations") or one.get("draft_exists")]
        kept = worked_on or found[:1]
        plan.delete += [one["id"] for one in found if one not in kept]
        for task in kept:
            if task["data"] != data:
                plan.update.append((task["id"], data))
            versions = [one.get("model_version") for one in task.get("predictions") or []]
            if versions != [wanted["model_version"]]:
                plan.predict.append({"task": task["id"], **wanted})
                plan.annotated += bool(annotations_of(task))
    return plan


def tasks_by_image(tasks: Sequence[dict]) -> dict[int, list[dict]]:
    """Return the tasks of each image, those that salprobe did not make left out."""
    found: dict[int, list[dict]] = defaultdict(list)
    for task in tasks:
        number = task["data"].get("image_id")
        if type(number) is int:
            found[number].append(task)
    return found


def push(
    masks: MaskSet,
    client: Client,
    title: str,
    address: Callable[[Any], str],
    storage: str,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> tuple[Plan, Project | None]:
    """Bring a project to where it shows a mask set; people's annotations are never touched.

    Parameters
    ----------
    title : str
        Of the project, which is made if there is none.
    address : callable
        From an image to where the server shows it.
    storage : str
        The folder of the images on the server.
    dry_run : bool
        Only find out what there is to do.
    progress : Progress
        Counts the images' tasks after each request.

    Returns
    -------
    plan : Plan
        What there was to do.
    project : Project or None
        None if a dry run found none.

    Raises
    ------
    InputError
        If the server refuses, shows no image, or stops answering for longer than a moment.
    """
    if not 3 <= len(title) <= 50:
        raise InputError(f"--project {title!r}: Label Studio wants 3 to 50 letters")
    uuid = project_uuid(masks)
    if dry_run:
        project = client.find(title, uuid)
        return plan_push(masks, client.tasks(project) if project else [], address), project
    with progress.task("pushing", len(masks.images)) as advance:
        return _push(masks, client, title, address, storage, advance)


def _push(
    masks: MaskSet,
    client: Client,
    title: str,
    address: Callable[[Any], str],
    storage: str,
    advance: Advance,
) -> tuple[Plan, Project]:
    uuid = project_uuid(masks) or str(uuid4())
    first: Plan | None = None
    for attempt in range(_ATTEMPTS):
        try:
            # Looked up anew each time: a request whose answer was lost may have been obeyed.
            project = client.find(title, project_uuid(masks)) or client.create(title, masks, uuid)
            project = _with_labels(client, project, masks)
            client.serve_images(project, storage)
            if masks.images and not client.shows(address(masks.images[0])):
                raise InputError(
                    f"{client.url}: does not show {masks.images[0].file_name}; is "
                    "--document-root the server's LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT?"
                )
            for _ in range(_ATTEMPTS):
                plan = plan_push(masks, client.tasks(project), address)
                first = first or plan
                if not plan.steps:
                    return first, project
                _carry_out(plan, client, project, advance)
        except Unreachable:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(_WAIT_SECONDS)
    raise InputError(f"{client.url}: the project keeps changing; is another push running?")


def project_uuid(masks: MaskSet) -> str | None:
    """Return the UUID of the project that a mask set was pulled from, if it was."""
    return masks.info.salprobe.label_studio


def _with_labels(client: Client, project: Project, masks: MaskSet) -> Project:
    """Check that a project has all labels that are needed, and add what is only missing."""
    names = {*masks.category_names(), UNLABELLED}
    tools = {OUTLINE}
    if any(isinstance(region.segmentation, RLE) for region in masks.annotations):
        tools.add(MASK)
    labels = client.labels(project)
    if all(names <= labels.get(tool, set()) for tool in tools):
        return project
    renamed = sorted(set().union(*labels.values()) - names)
    if renamed:
        missing = sorted(names - labels.get(OUTLINE, set())) or ["a brush"]
        raise InputError(
            f"{client.url}: the project's labels lack {', '.join(missing)} and have "
            f"{', '.join(renamed)}: were they renamed there?"
        )
    config = label_config(masks)
    client.set_config(project, config)
    return replace(project, config=config)


def _carry_out(plan: Plan, client: Client, project: Project, advance: Advance) -> None:
    if plan.delete:
        client.delete_tasks(project, plan.delete)
        advance(len(plan.delete))
    for start in range(0, len(plan.add), _BATCH):
        batch = plan.add[start : start + _BATCH]
        client.import_tasks(project, batch)
        advance(len(batch))
    for start in range(0, len(plan.predict), _BATCH):
        batch = plan.predict[start : start + _BATCH]
        client.replace_predictions(project, batch)
        advance(len(batch))
    for task, data in plan.update:
        client.set_data(task, data)
        advance(1)

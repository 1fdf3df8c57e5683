"""Sending mask sets to a server: only what is missing or stale, so that repeating is safe."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from ...datasets.categories import UNLABELLED
from ...datasets.errors import InputError, reading
from ...datasets.masks.annotation import RLE
from ...datasets.masks.mask_set import MaskSet
from ...datasets.progress import SILENT, Advance, Progress
from .client import Client, Project, Unreachable
from .config import MASK, OUTLINE, label_config
from .tasks import annotations_of, prediction, pushed_before, task_data

_BATCH = 50  # tasks per request
_ATTEMPTS = 4
_WAIT_SECONDS = 2


@dataclass
class Plan:
    """What a push has to do.

    Attributes
    ----------
    add : list of dict
        New tasks, for images without one.
    predict : list of dict
        Missing or stale predictions, each with its ``task``.
    update : list of (task id, data)
        Tasks whose image has a new address.
    delete : list of int
        Duplicate tasks without annotations, left by an interrupted import.
    annotated : int
        Number of stale images that people have annotated; the annotations stay unchanged.
    foreign : list of str
        Images of the project that the mask set lacks.
    """

    add: list[dict] = field(default_factory=list)
    predict: list[dict] = field(default_factory=list)
    update: list[tuple[int, dict]] = field(default_factory=list)
    delete: list[int] = field(default_factory=list)
    annotated: int = 0
    foreign: list[str] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Number of changes to make."""
        return len(self.add) + len(self.predict) + len(self.update) + len(self.delete)


def plan_push(masks: MaskSet, tasks: Sequence[dict], address: Callable[[Any], str]) -> Plan:
    """Compare a mask set with a project's tasks.

    Parameters
    ----------
    masks : MaskSet
    tasks : sequence of dict
        With annotations, predictions and drafts.
    address : callable
        From an image to its address on the server.

    Raises
    ------
    InputError
        If a task's ``image_id`` belongs to an image with a different name.
    """
    with reading("the project's tasks"):
        return _plan(masks, tasks, address)


def _plan(masks: MaskSet, tasks: Sequence[dict], address: Callable[[Any], str]) -> Plan:
    plan = Plan()
    names, regions = masks.category_of(), masks.by_image()
    of_image = tasks_by_image(tasks)
    images = {image.id: image for image in masks.images}
    for number, copies in of_image.items():
        name = copies[0]["data"].get("file_name")
        if number not in images:
            plan.foreign.append(str(name))
        elif name != images[number].file_name:
            raise InputError(
                f"task {copies[0]['id']} of the project is of {name}, the mask file calls image "
                f"{number} {images[number].file_name}: another set of images"
            )
    for image in masks.images:
        wanted = prediction(regions.get(image.id, []), image, names)
        data = task_data(image, address(image))
        copies = of_image.get(image.id, [])
        if not copies:
            plan.add.append({"data": data, "predictions": [wanted]})
            continue
        worked_on = [task for task in copies if task.get("annotations") or task.get("draft_exists")]
        kept = worked_on or copies[:1]
        plan.delete += [task["id"] for task in copies if task not in kept]
        for task in kept:
            versions = [entry.get("model_version") for entry in task.get("predictions") or []]
            data = task_data(image, address(image)) | pushed_before(task, wanted["model_version"])
            if versions != [wanted["model_version"]]:
                plan.predict.append({"task": task["id"], **wanted})
                plan.annotated += bool(annotations_of(task))
            if task["data"] != data:
                plan.update.append((task["id"], data))
    return plan


def tasks_by_image(tasks: Sequence[dict]) -> dict[int, list[dict]]:
    """Return the tasks by image id, without tasks that salprobe did not create."""
    by_image: dict[int, list[dict]] = defaultdict(list)
    for task in tasks:
        number = task["data"].get("image_id")
        if type(number) is int:
            by_image[number].append(task)
    return by_image


def push(
    masks: MaskSet,
    client: Client,
    title: str,
    address: Callable[[Any], str],
    storage: str,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> tuple[Plan, Project | None]:
    """Make a project show a mask set, without ever touching people's annotations.

    Parameters
    ----------
    masks : MaskSet
    client : Client
    title : str
        Title of the project, which is created if necessary.
    address : callable
        From an image to its address on the server.
    storage : str
        Folder of the images on the server.
    dry_run : bool
        Only find out what there is to do.
    progress : Progress
        Counts tasks after each request.

    Returns
    -------
    plan : Plan
        What there was to do.
    project : Project or None
        None if a dry run found no project.

    Raises
    ------
    InputError
        If the server refuses, does not show the images, or stays unreachable.
    """
    if not 3 <= len(title) <= 50:
        raise InputError(f"--project {title!r}: Label Studio requires 3 to 50 characters")
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
            # Looked up again each time: a request may have succeeded although its answer was lost.
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
    """Return the UUID of the project that a mask set was pulled from, or None."""
    return masks.info.salprobe.label_studio


def _with_labels(client: Client, project: Project, masks: MaskSet) -> Project:
    """Check that a project has all necessary labels, and add missing ones unless some differ."""
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
    for task, data in plan.update:  # first, as it records what the next step replaces
        client.set_data(task, data)
        advance(1)
    for start in range(0, len(plan.predict), _BATCH):
        batch = plan.predict[start : start + _BATCH]
        client.replace_predictions(project, batch)
        advance(len(batch))

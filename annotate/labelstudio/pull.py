"""Bringing people's annotations back into a mask set by a three-way comparison per image.

Each image records under ``label_studio`` its state at the last pull: a hash of the server's
annotations and one of our regions. A change since then on one side only is taken from that side; a
change on both sides is a conflict, and is never merged silently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, get_args

from ...datasets.categories import UNLABELLED
from ...datasets.errors import InputError, reading
from ...datasets.fixations import Fixations
from ...datasets.masks.mask_set import MaskSet
from ...datasets.stimuli import LastPull, Stimulus
from ..choices import Side
from ..regions.draft import Draft, Region, revise
from .client import Project
from .codec import from_results
from .config import labels_of
from .push import project_uuid, tasks_by_image
from .tasks import (
    add_image,
    annotations_of,
    annotator_of,
    content_hash,
    json_hash,
    updated,
    versions_of,
)


@dataclass(frozen=True)
class Conflict:
    """An image on which the sides differ."""

    file_name: str
    reason: str


@dataclass
class Pulled:
    """Result of a pull.

    Attributes
    ----------
    masks : MaskSet
    changes : dict of Counter
        For each changed image, regions ``added``, ``removed``, ``relabelled`` and ``reshaped``.
    images : Counter
        Numbers of images ``taken`` from the server, only ``changed here`` (a push sends them),
        ``with drafts, not submitted`` (and so not taken), ``without task``, ``no longer
        annotated``, and ``not in the mask file``.
    conflicts : list of Conflict
        Left unchanged in the mask set.
    lost : Counter
        What could not be kept, and how often.
    """

    masks: MaskSet
    changes: dict[str, Counter[str]] = field(default_factory=dict)
    images: Counter[str] = field(default_factory=Counter)
    conflicts: list[Conflict] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)


def pull(
    masks: MaskSet,
    project: Project,
    tasks: Sequence[dict],
    prefer: Side | None = None,
    annotator: str | None = None,
    rename: dict[str, str] | None = None,
    fixations: Fixations | None = None,
    trusted: bool = True,
) -> Pulled:
    """Bring a project's annotations into a mask set.

    Parameters
    ----------
    masks : MaskSet
    project : Project
    tasks : sequence of dict
        With annotations, predictions and drafts; ``completed_by`` holds e-mail addresses.
    prefer : "local", "remote" or "newest", optional
        The side to take in a conflict: the mask set, or the newest annotation. ``newest`` decides
        between several annotators, and does not override changes in the mask set.
    annotator : str, optional
        Take only this person's annotations.
    rename : dict, optional
        Maps the project's categories to the mask set's.
    fixations : Fixations, optional
        To count in new and reshaped regions, if the mask set has none.
    trusted : bool
        False for a mask set from `from_project`, which has no changes of its own.

    Raises
    ------
    InputError
        If an annotation is malformed or has a category that the mask set lacks, or the mask set
        was pulled from a different project before.
    """
    if prefer is not None and prefer not in get_args(Side):
        raise InputError(f"--prefer {prefer!r}: expected {', '.join(get_args(Side))}")
    with reading("the project's tasks"):
        return _pull(masks, project, tasks, prefer, annotator, rename, fixations, trusted)


def _pull(
    masks: MaskSet,
    project: Project,
    tasks: Sequence[dict],
    prefer: Side | None,
    annotator: str | None,
    rename: dict[str, str] | None,
    fixations: Fixations | None,
    trusted: bool,
) -> Pulled:
    if project_uuid(masks) not in (None, project.mark["project"]):
        raise InputError("the mask file was pulled from another project of this title")
    names, regions = masks.category_of(), masks.by_image()
    of_image = tasks_by_image(tasks)
    pulled = Pulled(masks)
    draft = Draft("label-studio")
    people: dict[int, str] = {}
    remembered: dict[int, dict] = {}
    for image in masks.images:
        own_regions = regions.get(image.id, [])
        memory = image.label_studio or LastPull()
        copies = of_image.get(image.id, [])
        pulled.images["without task"] += not copies
        pulled.images["with drafts, not submitted"] += any(
            task.get("draft_exists") for task in copies
        )
        task = {"annotations": [a for copy in copies for a in copy.get("annotations") or []]}
        annotations = annotations_of(task, annotator)
        remote = json_hash(
            [[a.get("id"), str(a.get("updated_at")), a["result"]] for a in annotations]
        )
        local = content_hash(own_regions, names)
        before = memory.local or (
            _pushed(copies, annotations, local) if trusted and copies else local
        )
        changed_here = before != local
        if not annotations:
            pulled.images["no longer annotated"] += memory.annotations > 0
            pulled.images["changed here"] += changed_here
            continue
        if remote == memory.remote:
            pulled.images["changed here"] += changed_here
            continue
        reason = _conflict(annotations, changed_here)
        if reason is not None and not (
            prefer in ("local", "remote") or (prefer == "newest" and not changed_here)
        ):
            pulled.conflicts.append(Conflict(image.file_name, reason))
            continue
        remembered[image.id] = {"annotations": len(annotations), "remote": remote}
        if reason is not None and prefer == "local":
            continue
        newest = annotations[-1]
        people[image.id] = annotator_of(newest)
        draft.images[image.file_name] = image
        place = f"annotation {newest.get('id')} of {image.file_name}"
        from_results(place, newest["result"], image, draft)
        pulled.images["taken"] += 1
    present = {region.category for region in draft.regions}
    _check_names(rename or {}, present | set().union(*labels_of(project.config).values()))
    draft.rename({old: new for old, new in (rename or {}).items() if old in present})
    _finish(pulled, draft, project, people, remembered, fixations)
    known = {image.id for image in masks.images}
    pulled.images["not in the mask file"] = sum(number not in known for number in of_image)
    return pulled


def _check_names(rename: Mapping[str, str], known: set[str]) -> None:
    for old in rename:
        if old not in known:
            labels = ", ".join(sorted(known)) or "none"
            raise InputError(f"the project has no label {old!r}; there are: {labels}")


def from_project(project: Project, tasks: Sequence[dict]) -> MaskSet:
    """Rebuild the pushed mask set from the project alone, without fixations.

    Raises
    ------
    InputError
        If it has no tasks, or one is malformed.
    """
    with reading("the project's tasks"):
        return _from_project(project, tasks)


def _from_project(project: Project, tasks: Sequence[dict]) -> MaskSet:
    draft = Draft("label-studio", dataset=project.mark.get("dataset"))
    for number, copies in tasks_by_image(tasks).items():
        place = f"task {copies[0]['id']}"
        predictions = sorted(copies[0].get("predictions") or [], key=updated)
        image = add_image(place, copies[0]["data"], [], draft)
        if image is None:
            raise InputError(f"{place}: its data lack the size of image {number}")
        if predictions:
            from_results(place, predictions[-1]["result"], image, draft, suggested=True)
    if not draft.images:
        raise InputError("the project has no tasks of `annotate push`")
    return draft.masks()


def _finish(
    pulled: Pulled,
    draft: Draft,
    project: Project,
    people: dict[int, str],
    remembered: dict[int, dict],
    fixations: Fixations | None,
) -> None:
    """Revise the mask set, and record the state of both sides."""
    images = {image.file_name: image for image in pulled.masks.images}
    drawn = {
        (region.image_id, region.label_studio_region): region.id
        for region in pulled.masks.annotations
        if region.label_studio_region
    }
    draft.regions = [
        _known(region, images[region.file_name], drawn, people) for region in draft.regions
    ]
    revision = revise(pulled.masks, draft, fixations)
    pulled.changes, pulled.lost = revision.changes, draft.lost
    content = revision.masks.to_dict()
    names, regions = revision.masks.category_of(), revision.masks.by_image()
    for entry in content["images"]:
        if entry["id"] in remembered:
            local = content_hash(regions.get(entry["id"], []), names)
            entry["label_studio"] = {**remembered[entry["id"]], "local": local}
    info = content.setdefault("info", {})
    info.setdefault("salprobe", {})["label_studio"] = project.mark["project"]
    if people:
        info["annotator"] = _annotators(info.get("annotator"), sorted(set(people.values())))
    pulled.masks = MaskSet.from_dict(content)


def _known(
    region: Region, image: Stimulus, drawn: dict[tuple[int, Any], int], people: dict[int, str]
) -> Region:
    """Return a region with its id in the mask set and its annotator."""
    key = region.keys.get("label_studio_region")
    number = region.id or drawn.get((image.id, key))
    keys: dict[str, Any] = {**region.keys, "annotator": people[image.id]}
    if region.category != UNLABELLED:
        keys["label_source"] = "label-studio"  # a person saw it, as it was submitted
    return Region(region.file_name, region.category, region.outline, number, keys)


def _conflict(annotations: Sequence[dict], changed_here: bool) -> str | None:
    shown = {
        json_hash([[result.get("type"), result.get("value")] for result in a["result"]])
        for a in annotations
    }
    if len(shown) > 1:
        people = ", ".join(annotator_of(annotation) for annotation in annotations)
        return f"{len(annotations)} people annotated it differently: {people}"
    return "changed here and on the server" if changed_here else None


def _pushed(copies: Sequence[dict], annotations: Sequence[dict], local: str) -> str | None:
    """Return the hash of the regions that annotators saw; None if unknown.

    That is ``local`` if it had been pushed before the first annotation, even if something else
    was pushed since: the mask set then has no changes of its own.
    """
    versions = [pair for task in copies for pair in versions_of(task)]
    earliest = min((_time(entry.get("created_at")) for entry in annotations), default=None)
    seen = {v: _time(made) for v, made in versions if earliest is None or _time(made) <= earliest}
    if not seen:
        return None  # pushed after it was annotated
    return local if local in seen else max(seen, key=lambda version: seen[version])


def _time(text: object) -> datetime:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _annotators(before: str | None, people: list[str]) -> str:
    text = "Label Studio: " + ", ".join(people)
    kept = (before or "").partition("; Label Studio: ")[0]
    if not kept or kept.startswith("Label Studio: "):
        return text
    return f"{kept}; {text}"

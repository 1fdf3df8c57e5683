"""People's annotations brought back into a mask set: a three-way comparison, image by image.

Each image remembers under ``label_studio`` what it was when it was last pulled: a hash of the
server's annotations and one of our regions. What changed since then on one side only is taken
from that side; what changed on both is a conflict, and never merged silently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args

from ...datasets.categories import UNLABELLED
from ...datasets.errors import InputError
from ...datasets.fixations import Fixations
from ...datasets.masks.mask_set import MaskSet
from ...datasets.stimuli import LastPull, Stimulus
from ..choices import Side
from ..regions.draft import Draft, Region, revise
from .client import Project
from .codec import from_results
from .push import project_uuid, tasks_by_image
from .tasks import add_image, annotations_of, annotator_of, content_hash, json_hash, updated


@dataclass(frozen=True)
class Conflict:
    """An image on which the sides differ."""

    file_name: str
    reason: str


@dataclass
class Pulled:
    """What a pull finds.

    Attributes
    ----------
    masks : MaskSet
    changes : dict of Counter
        For each image that changed: regions ``added``, ``removed``, ``relabelled``, ``reshaped``.
    images : Counter
        Images ``taken`` from the server, ``changed here`` only (a push sends them), ``with
        drafts, not submitted`` (and so not taken), ``without task``, ``no longer annotated``;
        and those that are ``not in the mask file``.
    conflicts : list of Conflict
        Left as they are here.
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
    tasks : sequence of dict
        With annotations, predictions and drafts; ``completed_by`` as e-mail addresses.
    prefer : "local", "remote" or "newest", optional
        The side to take in a conflict: the mask set's, or the newest annotation's. ``newest`` is
        for several annotators, and does not overrule changes in the mask set.
    annotator : str, optional
        Take only this person's annotations.
    rename : dict, optional
        From the project's categories to the mask set's.
    fixations : Fixations, optional
        To count on new and reshaped regions, if the mask set has none.
    trusted : bool
        Whether the mask set is a person's; one that `from_project` made has no changes of its own.

    Raises
    ------
    InputError
        If an annotation is malformed or has a category that the mask set does not, or the
        project is another than the one pulled from before.
    """
    if prefer is not None and prefer not in get_args(Side):
        raise InputError(f"--prefer {prefer!r}: expected {', '.join(get_args(Side))}")
    if project_uuid(masks) not in (None, project.mark["project"]):
        raise InputError("the mask file was pulled from another project of this title")
    names, regions = masks.category_of(), masks.by_image()
    of_image = tasks_by_image(tasks)
    found = Pulled(masks)
    draft = Draft("label-studio")
    people: dict[int, str] = {}
    remembered: dict[int, dict] = {}
    for image in masks.images:
        here = regions.get(image.id, [])
        memory = image.label_studio or LastPull()
        copies = of_image.get(image.id, [])
        found.images["without task"] += not copies
        found.images["with drafts, not submitted"] += any(one.get("draft_exists") for one in copies)
        task = {"annotations": [a for one in copies for a in one.get("annotations") or []]}
        annotations = annotations_of(task, annotator)
        remote = json_hash(
            [[a.get("id"), str(a.get("updated_at")), a["result"]] for a in annotations]
        )
        local = content_hash(here, names)
        before = memory.local or (_pushed(copies, annotations) if trusted and copies else local)
        changed_here = before != local
        if not annotations:
            found.images["no longer annotated"] += memory.annotations > 0
            found.images["changed here"] += changed_here
            continue
        if remote == memory.remote:
            found.images["changed here"] += changed_here
            continue
        reason = _conflict(annotations, changed_here)
        if reason is not None and not (
            prefer in ("local", "remote") or (prefer == "newest" and not changed_here)
        ):
            found.conflicts.append(Conflict(image.file_name, reason))
            continue
        remembered[image.id] = {"annotations": len(annotations), "remote": remote}
        if reason is not None and prefer == "local":
            continue
        newest = annotations[-1]
        people[image.id] = annotator_of(newest)
        draft.images[image.file_name] = image
        place = f"annotation {newest.get('id')} of {image.file_name}"
        from_results(place, newest["result"], image, draft)
        found.images["taken"] += 1
    present = {region.category for region in draft.regions}
    draft.rename({old: new for old, new in (rename or {}).items() if old in present})
    _finish(found, draft, project, people, remembered, fixations)
    known = {image.id for image in masks.images}
    found.images["not in the mask file"] = sum(number not in known for number in of_image)
    return found


def from_project(project: Project, tasks: Sequence[dict]) -> MaskSet:
    """Build the mask set that was pushed, from a project alone: without the fixations.

    Raises
    ------
    InputError
        If it has no tasks, or one is malformed.
    """
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
    found: Pulled,
    draft: Draft,
    project: Project,
    people: dict[int, str],
    remembered: dict[int, dict],
    fixations: Fixations | None,
) -> None:
    """Revise the mask set, and remember what both sides are now."""
    images = {image.file_name: image for image in found.masks.images}
    drawn = {
        (region.image_id, region.label_studio_region): region.id
        for region in found.masks.annotations
        if region.label_studio_region
    }
    draft.regions = [
        _known(region, images[region.file_name], drawn, people) for region in draft.regions
    ]
    revision = revise(found.masks, draft, fixations)
    found.changes, found.lost = revision.changes, draft.lost
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
    found.masks = MaskSet.from_dict(content)


def _known(
    region: Region, image: Stimulus, drawn: dict[tuple[int, Any], int], people: dict[int, str]
) -> Region:
    """Return a region with the id that it has here, and who annotated it."""
    key = region.keys.get("label_studio_region")
    number = region.id or drawn.get((image.id, key))
    keys: dict[str, Any] = {**region.keys, "annotator": people[image.id]}
    if region.category != UNLABELLED:
        keys["label_source"] = "label-studio"  # submitted, so a person has seen it
    return Region(region.file_name, region.category, region.outline, number, keys)


def _conflict(annotations: Sequence[dict], changed_here: bool) -> str | None:
    shown = {
        json_hash([[one.get("type"), one.get("value")] for one in a["result"]]) for a in annotations
    }
    if len(shown) > 1:
        people = ", ".join(annotator_of(one) for one in annotations)
        return f"{len(annotations)} people annotated it differently: {people}"
    return "changed here and on the server" if changed_here else None


def _pushed(copies: Sequence[dict], annotations: Sequence[dict]) -> str | None:
    """Return the hash of the regions that the annotators were shown; None if it is not known."""
    predictions = [one for task in copies for one in task.get("predictions") or []]
    shown = max(predictions, key=updated, default=None)
    if shown is None:
        return None
    earliest = min((_time(one.get("created_at")) for one in annotations), default=None)
    if earliest is not None and earliest < _time(shown.get("created_at")):
        return None  # pushed anew after it was annotated
    return shown.get("model_version")


def _time(text: object) -> datetime:
    return datetime.fromisoformat(str(text))


def _annotators(before: str | None, people: list[str]) -> str:
    text = "Label Studio: " + ", ".join(people)
    kept = (before or "").partition("; Label Studio: ")[0]
    if not kept or kept.startswith("Label Studio: "):
        return text
    return f"{kept}; {text}"

"""What a push would do and what a pull takes, decided from tasks without a server."""

from copy import deepcopy

import pytest

from salprobe.annotate.labelstudio.client import Project
from salprobe.annotate.labelstudio.config import instructions, label_config
from salprobe.annotate.labelstudio.pull import from_project, pull
from salprobe.annotate.labelstudio.push import plan_push
from salprobe.annotate.labelstudio.tasks import content_hash
from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet, new_mask_set
from salprobe.datasets.masks.outlines import outline_of_mask, outline_of_polygons
from salprobe.datasets.stimuli import Stimulus

PROJECT = Project(1, {"project": "uuid-1", "dataset": "osie"}, "<View/>")


def masks_of(n_images: int = 3) -> MaskSet:
    images = [
        Stimulus(id=10 * k, file_name=f"{k}.jpg", width=200, height=100)
        for k in range(1, n_images + 1)
    ]
    regions = []
    for image in images:
        for left in (10, 90):
            polygon = [left, 20, left + 50, 20, left + 50, 70, left, 70]
            regions.append(
                {
                    "id": len(regions) + 1,
                    "image_id": image.id,
                    "category_id": 13,
                    **outline_of_polygons([polygon]).to_coco(),
                    "n_fixations": 9,
                }
            )
    return new_mask_set(images, regions, None, "made", dataset="osie")


def address(image: Stimulus) -> str:
    return f"/data/local-files/?d=set/{image.file_name}"


def carried_out(masks: MaskSet, tasks: list[dict], day: int = 1) -> list[dict]:
    """Do to tasks what a server would."""
    plan = plan_push(masks, tasks, address)
    tasks = [deepcopy(task) for task in tasks if task["id"] not in plan.delete]
    number = max((task["id"] for task in tasks), default=0)
    stamp = f"2026-01-0{day}T00:00:00Z"
    for data in plan.add:
        number += 1
        predictions = [{**one, "id": number, "created_at": stamp} for one in data["predictions"]]
        tasks.append({**deepcopy(data), "id": number, "predictions": predictions})
    for task in tasks:
        for new in plan.predict:
            if new["task"] == task["id"]:
                task["predictions"] = [{**new, "id": 99, "created_at": stamp}]
        task["data"] = dict(plan.update).get(task["id"], task["data"])
    return tasks


def submitted(task: dict, change=lambda result: None, who: str = "ann@x.org", day: int = 2) -> dict:
    """Add somebody's annotation to a task: the prediction, changed."""
    result = deepcopy(task["predictions"][0]["result"])
    change(result)
    number = 100 + len(task.get("annotations", []))
    stamp = f"2026-01-0{day}T12:00:00Z"
    task.setdefault("annotations", []).append(
        {
            **{"id": number, "completed_by": who, "result": result, "was_cancelled": False},
            **{"created_at": stamp, "updated_at": stamp},
        }
    )
    return task


def labels(category: str):
    def change(result: list[dict]) -> None:
        result[0]["value"]["polygonlabels"] = [category]

    return change


def test_a_push_repeated_has_nothing_to_do() -> None:
    masks = masks_of()
    plan = plan_push(masks, [], address)
    assert (len(plan.add), plan.steps) == (3, 3)
    tasks = carried_out(masks, [])
    assert plan_push(masks, tasks, address).steps == 0
    assert carried_out(masks, tasks) == tasks


def test_a_broken_import_is_mended_without_losing_work() -> None:
    masks = masks_of()
    tasks = carried_out(masks, [])
    whole = deepcopy(tasks)
    # the request was obeyed twice, and once without its predictions
    tasks += [{**deepcopy(tasks[0]), "id": 7}, {**deepcopy(tasks[1]), "id": 8, "predictions": []}]
    tasks[2]["predictions"] = []
    plan = plan_push(masks, tasks, address)
    assert plan.delete == [7, 8]
    assert [one["task"] for one in plan.predict] == [3]
    mended = carried_out(masks, tasks)
    assert [one["predictions"][0]["result"] for one in mended] == [
        one["predictions"][0]["result"] for one in whole
    ]
    # the double on which somebody has worked is the one that stays
    tasks[3] = submitted({**deepcopy(whole[0]), "id": 7}, labels("text"))
    assert plan_push(masks, tasks, address).delete == [1, 8]
    tasks[3] = {**deepcopy(whole[0]), "id": 7, "draft_exists": True}
    assert plan_push(masks, tasks, address).delete == [1, 8]


def test_a_changed_region_replaces_the_prediction_never_an_annotation() -> None:
    masks = masks_of()
    tasks = carried_out(masks, [])
    submitted(tasks[0])
    content = masks.to_dict()
    content["annotations"][0]["category_id"] = 6
    changed = MaskSet.from_dict(content)
    plan = plan_push(changed, tasks, address)
    assert [one["task"] for one in plan.predict] == [1]
    assert (plan.annotated, plan.add, plan.delete) == (1, [], [])
    assert carried_out(changed, tasks)[0]["annotations"] == tasks[0]["annotations"]


def test_images_that_moved_and_images_of_others() -> None:
    masks = masks_of()
    tasks = carried_out(masks, [])
    plan = plan_push(masks, tasks, lambda image: f"/data/local-files/?d=new/{image.file_name}")
    assert [number for number, _ in plan.update] == [1, 2, 3]
    fewer = masks.subset({10, 20}, {1, 2, 3, 4})
    assert plan_push(fewer, tasks, address).foreign == ["3.jpg"]
    tasks[0]["data"]["file_name"] = "other.jpg"
    with pytest.raises(InputError, match=r"is of other\.jpg, the mask file calls image 10 1\.jpg"):
        plan_push(masks, tasks, address)


def test_exactly_what_people_did_is_pulled() -> None:
    masks = masks_of(4)
    tasks = carried_out(masks, [])

    def reshape(result: list[dict]) -> None:
        result[1]["value"]["points"][0] = [50.0, 25.0]
        result[1]["origin"] = "prediction"

    def add_and_delete(result: list[dict]) -> None:
        del result[0]
        points = [[1.0, 2.0], [11.0, 2.0], [11.0, 22.0]]
        value = {"points": points, "polygonlabels": ["plant"], "closed": True}
        result.append({**result[0], "id": "x-Y_9", "meta": {}, "value": value})

    submitted(tasks[0], labels("person head"))
    submitted(tasks[1], reshape)
    submitted(tasks[2], add_and_delete)
    found = pull(masks, PROJECT, tasks)
    assert {name: dict(count) for name, count in found.changes.items()} == {
        "1.jpg": {"relabelled": 1},
        "2.jpg": {"reshaped": 1},
        "3.jpg": {"added": 1, "removed": 1},
    }
    assert not found.conflicts
    names = found.masks.category_of()
    after = {one.id: one for one in found.masks.annotations}
    assert names[after[1].category_id] == "person head"
    assert after[1].annotator == "ann@x.org"
    assert after[1].n_fixations == 9
    assert after[4].segmentation == [[100, 25, 140, 20, 140, 70, 90, 70]]
    assert after[4].n_fixations is None  # the outline is another, and there are no fixations
    assert 5 not in after
    assert after[9].segmentation == [[2, 2, 22, 2, 22, 22]]
    assert names[after[9].category_id] == "plant"
    untouched = {one.id: one for one in masks.annotations}
    assert [after[k] for k in (7, 8)] == [untouched[k] for k in (7, 8)]
    assert found.masks.info.annotator == "Label Studio: ann@x.org"
    # again: nothing is new, and the same bytes come out
    again = pull(found.masks, PROJECT, tasks)
    assert again.masks.to_dict() == found.masks.to_dict()
    assert not again.changes and not again.images["taken"]
    # the new region is known by its key in the browser, also after an edit there
    tasks[2]["annotations"][0]["result"][-1]["value"]["polygonlabels"] = ["food"]
    tasks[2]["annotations"][0]["updated_at"] = "2026-01-05T00:00:00Z"
    edited = pull(found.masks, PROJECT, tasks)
    assert {name: dict(count) for name, count in edited.changes.items()} == {
        "3.jpg": {"relabelled": 1}
    }


def test_a_copy_made_in_the_browser_is_a_region_of_its_own() -> None:
    masks = masks_of(1)
    tasks = carried_out(masks, [])
    submitted(tasks[0], lambda result: result.append({**deepcopy(result[0]), "id": "c0py"}))
    found = pull(masks, PROJECT, tasks)
    assert dict(found.changes["1.jpg"]) == {"added": 1}


def test_parts_and_holes_return() -> None:
    masks = masks_of(1)
    content = masks.to_dict()
    parts = [[10, 20, 60, 20, 60, 70], [70, 20, 90, 20, 90, 30]]
    content["annotations"][0] |= outline_of_polygons(parts).to_coco()
    mask = __import__("numpy").zeros((100, 200), dtype=bool)
    mask[10:50, 100:150] = True
    mask[20:30, 110:120] = False
    content["annotations"][1] |= outline_of_mask(mask).to_coco()
    masks = MaskSet.from_dict(content)
    assert "BrushLabels" in label_config(masks)
    tasks = carried_out(masks, [])
    submitted(tasks[0], labels("text"))
    tasks[0]["annotations"][0]["result"][1]["value"]["polygonlabels"] = ["text"]
    found = pull(masks, PROJECT, tasks)
    assert dict(found.changes["1.jpg"]) == {"relabelled": 1}
    assert [one.segmentation for one in found.masks.annotations] == [
        one.segmentation for one in masks.annotations
    ]


def test_cancelled_annotations_and_drafts_are_not_taken() -> None:
    masks = masks_of(2)
    tasks = carried_out(masks, [])
    submitted(tasks[0], labels("text"))["annotations"][0]["was_cancelled"] = True
    tasks[1]["draft_exists"] = True
    found = pull(masks, PROJECT, tasks)
    assert found.masks.annotations == masks.annotations
    assert +found.images == {"with drafts, not submitted": 1}


def changed_here(masks: MaskSet, category: int) -> MaskSet:
    content = masks.to_dict()
    content["annotations"][0]["category_id"] = category
    return MaskSet.from_dict(content)


def category(masks: MaskSet, region: int = 1) -> str:
    names = masks.category_of()
    return next(names[one.category_id] for one in masks.annotations if one.id == region)


def test_an_edit_on_both_sides_is_a_conflict() -> None:
    masks = masks_of()
    tasks = carried_out(masks, [])
    submitted(tasks[0], labels("text"))
    mine = changed_here(masks, 5)
    found = pull(mine, PROJECT, tasks)
    assert [vars(one) for one in found.conflicts] == [
        {"file_name": "1.jpg", "reason": "changed here and on the server"}
    ]
    assert category(found.masks) == "object"
    assert category(pull(mine, PROJECT, tasks, "remote").masks) == "text"
    kept = pull(mine, PROJECT, tasks, "local")
    assert category(kept.masks) == "object" and not kept.conflicts
    assert not pull(kept.masks, PROJECT, tasks).conflicts  # decided: not asked again
    # since a pull: only here, then on both sides
    pulled = pull(masks, PROJECT, tasks).masks
    later = changed_here(pulled, 7)
    found = pull(later, PROJECT, tasks)
    assert category(found.masks) == "symbol" and found.images["changed here"] == 1
    tasks[0]["annotations"][0]["updated_at"] = "2026-01-08T00:00:00Z"
    assert len(pull(later, PROJECT, tasks).conflicts) == 1


def test_a_push_after_the_annotation_does_not_hide_a_conflict() -> None:
    masks = masks_of(1)
    tasks = carried_out(masks, [])
    submitted(tasks[0], labels("text"), day=2)
    mine = changed_here(masks, 5)
    tasks = carried_out(mine, tasks, day=3)
    found = pull(mine, PROJECT, tasks)
    assert [one.reason for one in found.conflicts] == ["changed here and on the server"]


def test_two_annotators() -> None:
    masks = masks_of()
    tasks = carried_out(masks, [])
    submitted(submitted(tasks[0], labels("text"), "ann@x.org", 2), labels("food"), "bob@x.org", 3)
    submitted(submitted(tasks[1], labels("text"), "ann@x.org"), labels("text"), "bob@x.org", 3)
    found = pull(masks, PROJECT, tasks)
    assert [vars(one) for one in found.conflicts] == [
        {
            "file_name": "1.jpg",
            "reason": "2 people annotated it differently: ann@x.org, bob@x.org",
        }
    ]
    assert category(found.masks, 3) == "text"  # on which they agree
    for prefer in ("newest", "remote"):
        assert category(pull(masks, PROJECT, tasks, prefer).masks) == "food"  # type: ignore[arg-type]
    ann = pull(masks, PROJECT, tasks, annotator="ann@x.org")
    assert category(ann.masks) == "text" and not ann.conflicts
    assert pull(masks, PROJECT, tasks, annotator="eve@x.org").masks.annotations == masks.annotations


def test_a_deleted_task_and_a_deleted_annotation() -> None:
    masks = masks_of()
    tasks = carried_out(masks, [])
    submitted(tasks[0], labels("text"))
    pulled = pull(masks, PROJECT, tasks).masks
    found = pull(pulled, PROJECT, tasks[1:])
    assert category(found.masks) == "text"
    assert +found.images == {"without task": 1, "no longer annotated": 1}
    assert plan_push(pulled, tasks[1:], address).add[0]["data"]["image_id"] == 10


def test_a_renamed_category() -> None:
    masks = masks_of()
    tasks = carried_out(masks, [])
    submitted(tasks[0], labels("Face"))
    with pytest.raises(InputError, match=r"1\.jpg: category 'Face' is not in the mask file; --ren"):
        pull(masks, PROJECT, tasks)
    rename = {"Face": "person head"}
    renamed = label_config(masks).replace("person head", "Face")
    project = Project(1, PROJECT.mark, renamed)
    with pytest.raises(InputError, match="the project has no label 'Faec'; there are: Face, "):
        pull(masks, project, tasks, rename={"Faec": "person head"})
    found = pull(masks, project, tasks, rename=rename)
    assert category(found.masks) == "person head"
    again = pull(found.masks, project, tasks, rename=rename)  # nothing is left to be renamed
    assert again.masks.to_dict() == found.masks.to_dict()


def test_another_project_of_the_same_title() -> None:
    masks = masks_of()
    tasks = carried_out(masks, [])
    pulled = pull(masks, PROJECT, tasks).masks
    with pytest.raises(InputError, match="from another project"):
        pull(pulled, Project(2, {"project": "uuid-2"}, ""), tasks)


def test_without_the_file_that_was_pushed() -> None:
    masks = masks_of()
    tasks = carried_out(masks, [])
    submitted(tasks[0], labels("text"))
    base = from_project(PROJECT, tasks)
    assert [one.segmentation for one in base.annotations] == [
        one.segmentation for one in masks.annotations
    ]
    assert base.info.salprobe.dataset == "osie"
    found = pull(base, PROJECT, tasks, trusted=False)
    assert category(found.masks) == "text" and not found.conflicts


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"points": [[1, 2], [3, 4]], "polygonlabels": ["text"]}, "polygon has 2 points"),
        ({"points": [[1, 2], [3, float("nan")], [3, 4]]}, "expected two numbers"),
        ({"points": [[1, 2], [3, 1e7], [3, 4]]}, "polygon reaches y = 1e\\+07"),
    ],
)
def test_what_the_server_accepts_but_cannot_be(value: dict, says: str) -> None:
    masks = masks_of()
    tasks = carried_out(masks, [])
    submitted(tasks[0], lambda result: result[0].update(value=value))
    with pytest.raises(InputError, match=says):
        pull(masks, PROJECT, tasks)


def test_names_cannot_break_the_interface() -> None:
    content = masks_of(1).to_dict()
    content["categories"][0]["name"] = '<script>alert("x")</script>'
    masks = MaskSet.from_dict(content)
    assert "<script>" not in label_config(masks)
    assert "<script>" not in instructions(masks)


def test_two_annotators_without_a_false_conflict() -> None:
    """Push, pull, push, then pull one person's work into the file that was pushed first."""
    masks = masks_of()
    tasks = carried_out(masks, [], day=1)
    for task in tasks:
        submitted(task, labels("text"), "ann@x.org", day=2)
        submitted(task, labels("text"), "bob@x.org", day=3)
    pulled = pull(masks, PROJECT, tasks).masks
    tasks = carried_out(pulled, tasks, day=4)
    assert plan_push(pulled, tasks, address).steps == 0
    assert [version for version, _ in tasks[0]["data"]["pushed"]] == [
        content_hash(masks.by_image()[10], masks.category_of())
    ]
    found = pull(masks, PROJECT, tasks, annotator="bob@x.org")
    assert (found.conflicts, found.images["taken"]) == ([], 3)
    assert category(found.masks) == "text"


def test_what_was_pushed_only_after_the_annotation_is_a_change_here() -> None:
    masks = masks_of()
    tasks = carried_out(masks, [], day=1)
    submitted(tasks[0], labels("text"), day=2)
    content = masks.to_dict()
    content["annotations"][0]["category_id"] = 5
    changed = MaskSet.from_dict(content)
    tasks = carried_out(changed, tasks, day=3)
    found = pull(changed, PROJECT, tasks)
    assert [one.reason for one in found.conflicts] == ["changed here and on the server"]
    assert pull(masks, PROJECT, tasks).conflicts == []

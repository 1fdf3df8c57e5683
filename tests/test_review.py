"""Editing regions, and the journal that loses nothing."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salprobe.annotate.review import journal
from salprobe.annotate.review.editing import Editor, reapply
from salprobe.annotate.review.journal import Conflict, Review, alone
from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.masks.regions import mask_of


@pytest.fixture
def path(small_world: Path, tmp_path: Path) -> Path:
    content = MaskSet.read(small_world / "masks.json").to_dict()
    content["categories"].append({"id": 13, "name": "unlabelled"})
    content["annotations"][3] |= {"category_id": 13, "suggestion": {"category": "text"}}
    target = tmp_path / "masks.json"
    MaskSet.from_dict(content).write(target)
    return target


@pytest.fixture
def editor(path: Path) -> Editor:
    return Editor(MaskSet.read(path))


def test_labels_notes_and_suggestions(editor: Editor) -> None:
    editor.do(editor.label(1, "text"))
    assert editor.category(editor.regions[1]) == "text"
    assert editor.regions[1].label_source == "review"
    assert editor.suggestion(editor.regions[4]) == "text"
    editor.do(editor.accept(4))
    assert editor.category(editor.regions[4]) == "text"
    assert "suggestion" not in editor.to_dict()["annotations"][3]
    with pytest.raises(InputError, match="nothing is suggested"):
        editor.accept(4)
    editor.do(editor.set(2, "note", "behind the tree"))
    editor.do(editor.set(2, "unsure", True))
    assert (editor.regions[2].note, editor.regions[2].unsure) == ("behind the tree", True)
    with pytest.raises(InputError, match="no category 'cloud'"):
        editor.label(1, "cloud")
    MaskSet.from_dict(editor.to_dict())


def test_a_label_is_removed_from_a_file_without_a_name_for_that(
    small_world: Path, tmp_path: Path
) -> None:
    path = tmp_path / "masks.json"
    path.write_bytes((small_world / "masks.json").read_bytes())
    before = MaskSet.read(path).to_dict()
    review = Review(path)
    review.do(review.editor.label(1, "unlabelled"))
    assert Review(path).editor.category(Review(path).editor.regions[1]) == "unlabelled"
    review.save()
    saved = MaskSet.read(path)
    assert saved.category_of()[saved.annotations[0].category_id] == "unlabelled"
    assert saved.category_names() == MaskSet.from_dict(before).category_names()
    review.undo()
    review.save()
    assert MaskSet.read(path).to_dict() == before


def test_a_split_cuts_between_two_groups_of_fixations(editor: Editor) -> None:
    image = editor.masks.image(1)
    before = editor.regions[1]
    whole = mask_of(before, image)
    editor.do(editor.split(1))
    parts = editor.of(1)
    assert len(parts) == 3
    assert parts[0].id == 1
    new = next(one for one in parts if one.id not in (1, 2))
    masks = [mask_of(one, image) for one in (editor.regions[1], new)]
    assert not (masks[0] & masks[1]).sum() > whole.sum() * 0.02
    assert (masks[0] | masks[1]).sum() > whole.sum() * 0.97
    counted = editor.regions[1].n_fixations + new.n_fixations
    looked = editor.fixations.of(1)
    assert counted == pytest.approx(int(whole[looked.y, looked.x].sum()), abs=1)
    assert new.n_fixations > 0 and editor.regions[1].n_fixations > 0
    editor.do(editor.merge(1, new.id))
    assert len(editor.of(1)) == 2
    assert (mask_of(editor.regions[1], image) ^ whole).sum() < whole.sum() * 0.03


def test_masks_are_split_and_merged_too(path: Path) -> None:
    from salprobe.datasets.masks.outlines import outline_of_mask

    content = json.loads(path.read_text())
    mask = np.zeros((72, 96), dtype=bool)
    mask[10:60, 4:44] = True
    content["annotations"][0] |= outline_of_mask(mask).to_coco()
    editor = Editor(MaskSet.from_dict(content))
    editor.do(editor.split(1))
    parts = [mask_of(one, editor.masks.image(1)) for one in editor.of(1) if one.id != 2]
    assert np.array_equal(parts[0] | parts[1], mask)
    assert not (parts[0] & parts[1]).any()
    editor.do(editor.merge(1, 13))
    assert np.array_equal(mask_of(editor.regions[1], editor.masks.image(1)), mask)


operations = st.lists(
    st.tuples(
        st.sampled_from(["label", "delete", "merge", "split", "note", "undo", "redo"]),
        st.integers(0, 30),
        st.integers(0, 5),
    ),
    max_size=15,
)


def act(review: Editor | Review, kind: str, which: int, what: int) -> None:
    """Do something, if it can be done."""
    editor = review.editor if isinstance(review, Review) else review
    if kind in ("undo", "redo"):
        getattr(review, kind)()
        return
    numbers = sorted(editor.regions)
    if not numbers:
        return
    number = numbers[which % len(numbers)]
    siblings = [one.id for one in editor.of(editor.regions[number].image_id) if one.id != number]
    if kind == "merge" and not siblings:
        return
    try:
        edit = {
            "label": lambda: editor.label(number, list(editor.categories)[what]),
            "delete": lambda: editor.delete(number),
            "merge": lambda: editor.merge(number, siblings[0]),
            "split": lambda: editor.split(number),
            "note": lambda: editor.set(number, "note", str(what)),
        }[kind]()
    except InputError:
        return
    review.do(edit)


@given(operations)
@settings(max_examples=30)
def test_undoing_everything_gives_the_file_back(small_world: Path, found) -> None:
    masks = MaskSet.read(small_world / "masks.json")
    editor = Editor(masks)
    for one in found:
        act(editor, *one)
    after = editor.to_dict()
    MaskSet.from_dict(after)
    steps = 0
    while editor.undo():
        steps += 1
    assert editor.to_dict() == masks.to_dict()
    for _ in range(steps):
        editor.redo()
    assert editor.to_dict() == after


def test_what_is_done_is_there_again_with_its_history(path: Path) -> None:
    review = Review(path)
    review.do(review.editor.label(1, "text"))
    review.save()
    review.do(review.editor.delete(2))
    again = Review(path)  # as after a crash: the deletion is in the journal alone
    assert again.recovered == 1
    assert 2 not in again.editor.regions
    assert not again.saved
    again.save()
    assert again.saved
    assert len(MaskSet.read(path).annotations) == 11
    third = Review(path)
    assert third.recovered == 0
    assert [edit.what for edit in third.editor.done] == ["text", "delete"]
    third.undo()
    third.undo()
    third.save()
    assert {one.category_id for one in MaskSet.read(path).annotations if one.id == 1} == {2}


def test_a_journal_cut_short_loses_its_last_line_only(path: Path) -> None:
    review = Review(path)
    for number in (1, 2, 5):
        review.do(review.editor.label(number, "text"))
    content = review.journal.read_bytes()
    review.journal.write_bytes(content[:-30])
    again = Review(path)
    assert again.recovered == 2
    again.do(again.editor.label(6, "text"))  # not on what was cut short
    assert Review(path).recovered == 3
    review.journal.write_bytes(content.replace(b'"what"', b"what", 1))
    with pytest.raises(InputError, match="line 2 is damaged"):
        Review(path)


def test_a_crash_between_the_journal_and_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    review = Review(path)
    review.do(review.editor.label(1, "text"))

    def crash(_path):
        raise OSError("power cut")

    monkeypatch.setattr("salprobe.annotate.review.journal.atomic_write", crash)
    with pytest.raises(OSError, match="power cut"):
        review.save()
    monkeypatch.undo()
    again = Review(path)
    assert again.editor.category(again.editor.regions[1]) == "text"
    again.save()
    assert Review(path).recovered == 0


def test_a_save_that_began_earlier_does_not_undo_a_later_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    review, slow, go = Review(path), Event(), Event()
    write = journal.atomic_write

    def slow_at_first(path: Path):
        if not slow.is_set():
            slow.set()
            assert go.wait(30)
        return write(path)

    review.do(review.editor.label(1, "text"))
    monkeypatch.setattr(journal, "atomic_write", slow_at_first)
    earlier = review.snapshot()
    first = Thread(target=review.write, args=[earlier])
    first.start()
    assert slow.wait(30)
    review.do(review.editor.label(2, "object"))
    second = Thread(target=review.save)
    second.start()
    second.join(0.2)
    go.set()
    first.join(30)
    second.join(30)
    assert [one.category_id for one in MaskSet.read(path).annotations[:2]] == [6, 5]
    review.write(earlier)  # too late
    assert [one.category_id for one in MaskSet.read(path).annotations[:2]] == [6, 5]
    assert review.saved and Review(path).recovered == 0


def test_a_save_from_before_the_file_was_loaded_again_is_too_late(path: Path) -> None:
    review = Review(path)
    review.do(review.editor.label(1, "text"))
    earlier = review.snapshot()
    changed_elsewhere(path, 2)
    review.resolve("theirs")
    review.write(earlier)
    assert [one.category_id for one in MaskSet.read(path).annotations[:2]] == [2, 4]


def changed_elsewhere(path: Path, number: int) -> None:
    content = json.loads(path.read_text())
    content["annotations"][number - 1]["category_id"] = 4
    path.write_text(json.dumps(content))


def test_a_file_that_others_changed_is_a_conflict(path: Path) -> None:
    review = Review(path)
    review.do(review.editor.label(1, "text"))
    review.do(review.editor.label(2, "object"))
    changed_elsewhere(path, 1)
    with pytest.raises(Conflict, match="changed by another program"):
        review.save()
    with pytest.raises(Conflict, match="2 unsaved edits"):
        Review(path)
    review.resolve("mine")
    assert [edit.what for edit in review.refused] == ["text"]  # region 1 is another's now
    review.save()
    kept = {one.id: one.category_id for one in MaskSet.read(path).annotations}
    assert (kept[1], kept[2]) == (4, 5)
    review.do(review.editor.label(2, "text"))
    changed_elsewhere(path, 3)
    theirs = Review(path, prefer="theirs")
    assert theirs.saved
    assert theirs.editor.category(theirs.editor.regions[2]) == "object"


def test_edits_undone_after_a_save_are_undone_on_another_file_too(path: Path) -> None:
    review = Review(path)
    review.do(review.editor.label(2, "object"))
    review.save()
    review.undo()
    changed_elsewhere(path, 1)
    review.resolve("mine")
    assert review.refused == []
    assert review.editor.category(review.editor.regions[2]) == "text"


def test_a_file_changed_after_all_was_saved_is_no_conflict(path: Path) -> None:
    review = Review(path)
    review.do(review.editor.label(1, "text"))
    review.save()
    changed_elsewhere(path, 2)
    again = Review(path)
    assert again.saved and again.editor.done == []


def test_edits_that_do_not_fit_are_told(editor: Editor) -> None:
    edits = [editor.label(1, "text"), editor.delete(2), editor.label(2, "text")]
    assert reapply(editor, edits) == [edits[2]]


def test_a_full_disk_makes_no_edit_and_spoils_no_journal(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    review = Review(path)
    review.do(review.editor.label(1, "text"))

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for step in (lambda: review.do(review.editor.label(2, "object")), review.undo, review.save):
        with pytest.raises(InputError, match="cannot be written: the disk is full"):
            step()
    monkeypatch.undo()
    assert [edit.what for edit in review.editor.done] == ["text"]
    review.do(review.editor.label(5, "object"))
    assert [edit.what for edit in Review(path).editor.done] == ["text", "object"]


def test_two_do_not_review_one_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(lock: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    script = (
        "import sys; from pathlib import Path\n"
        "from salprobe.annotate.review.journal import alone\n"
        "with alone(Path(sys.argv[1])): print('mine', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"mine\n"
        with pytest.raises(InputError, match="under review in another terminal"), alone(path):
            pass
        other.kill()  # and leaves no lock behind
    with (
        alone(path),
        pytest.raises(InputError, match="under review in another terminal"),
        alone(path),
    ):
        pass
    with alone(path):  # it is free again
        pass
    with monkeypatch.context() as patch, alone(path):
        patch.setattr("filelock.FileLock.acquire", no_locks)
        with alone(path):  # nothing is kept where there are no locks
            pass
    with pytest.raises(InputError, match="no such file"), alone(path.with_name("other.json")):
        pass
    assert not list(path.parent.glob(".other*"))


@pytest.mark.slow
def test_kill_9_loses_the_last_key_at_most(path: Path, tmp_path: Path) -> None:
    script = (
        "import sys, itertools; from pathlib import Path\n"
        "from salprobe.annotate.review.journal import Review\n"
        "review = Review(Path(sys.argv[1]))\n"
        "names = ['text', 'object', 'person head']\n"
        "for k in itertools.count(len(review.editor.done)):\n"
        "    review.do(review.editor.label(1 + k % 3, names[(k // 3) % 3]))\n"
        "    print(k + 1, flush=True)\n"
        "    if k % 7 == 0: review.save()\n"
    )
    rng, seen = np.random.default_rng(1), 0
    for _ in range(10):
        words = [sys.executable, "-c", script, str(path)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            last = ""
            for _ in range(int(rng.integers(3, 60))):
                last = process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
            rest = process.stdout.read().split("\n")
        seen = max([int(last), *(int(one) for one in rest[:-1] if one)])
        found = Review(path)
        assert len(found.editor.done) in (seen, seen + 1)
        MaskSet.from_dict(found.editor.to_dict())

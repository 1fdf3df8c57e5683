"""A run that is interrupted, by any means and anywhere, ends as if it had not been."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import world

from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.probe.networks.device import Execution
from salprobe.probe.networks.load import Backbone
from salprobe.probe.records.run_info import RunInfo
from salprobe.probe.runs import finishing
from salprobe.probe.runs import partial as partials
from salprobe.probe.runs import probing as job
from salprobe.probe.runs.partial import Partial
from salprobe.probe.runs.probing import probe
from salprobe.probe.runs.run import Run

TABLES = ("regions", "units", "summary")


def assert_same(run: Run, whole: Run) -> None:
    np.testing.assert_array_equal(run.scores, whole.scores)
    np.testing.assert_array_equal(run.shuffled, whole.shuffled)
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(run, name), getattr(whole, name))
    assert {path.name for path in run.folder.iterdir()} == {
        path.name for path in whole.folder.iterdir()
    }


def gabor(world: Path, out: Path) -> Run:
    return probe(
        world / "masks.json",
        model=Backbone("gabor", input_size=(32, 32)),
        root=world,
        out=out,
        execution=Execution(batch_size=1),
    )


def test_interrupted_in_every_batch(
    small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = gabor(small_world, tmp_path / "whole")
    write = Partial.write
    for stop in range(6):
        scored: list[int] = []

        def interrupt(self, batch, rows, entry, sliced, stop=stop, scored=scored):
            if len(scored) == stop:
                raise KeyboardInterrupt
            scored.append(batch)
            write(self, batch, rows, entry, sliced)

        out = tmp_path / f"run{stop}"
        monkeypatch.setattr(Partial, "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            gabor(small_world, out)
        with pytest.raises(InputError, match="unfinished"):
            Run.open(out)
        again: list[int] = []

        def count(self, batch, rows, entry, sliced, again=again):
            again.append(batch)
            write(self, batch, rows, entry, sliced)

        monkeypatch.setattr(Partial, "write", count)
        assert_same(gabor(small_world, out), whole)
        assert sorted(scored + again) == list(range(6))  # nothing is done twice


@pytest.mark.parametrize("where", ["write_table", "summarise", "write"])
def test_interrupted_while_finishing(
    where: str, small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = gabor(small_world, tmp_path / "whole")
    place = RunInfo if where == "write" else finishing
    original = getattr(place, where)

    def interrupt(*arguments, **options):
        if where == "write" and arguments[0].status == "running":
            return original(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(place, where, interrupt)
    with pytest.raises(KeyboardInterrupt):
        gabor(small_world, tmp_path / "run")
    monkeypatch.setattr(place, where, original)
    monkeypatch.setattr(job.Scorer, "score", lambda *_: pytest.fail("scored again"))
    assert_same(gabor(small_world, tmp_path / "run"), whole)


def test_a_torn_journal_line_does_not_count(tmp_path: Path) -> None:
    partial = Partial(tmp_path, (4, 3))
    partial.create()
    partial.write(0, [(0, np.ones((2, 2, 3)))], {"bad": []})
    with (tmp_path / "journal.0.jsonl").open("ab") as file:
        file.write(b'{"batch": 1, "ba')
    assert list(partial.done()) == [0]
    partial = Partial(tmp_path, (4, 3))  # whoever wrote that line is dead
    partial.write(1, [(2, np.stack([np.full((2, 3), value) for value in (2.0, 5.0)]))], {"bad": []})
    assert list(partial.done()) == [0, 1]
    partial.finish(np.ones(4, dtype=bool))
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy")[:, 0], [1, 1, 2, 2])
    np.testing.assert_array_equal(np.load(tmp_path / "shuffled.npy")[:, 0], [1, 1, 5, 5])


@pytest.mark.parametrize("damage", ["batch", "region", "image", "header", "length"])
def test_what_an_interrupted_run_left_must_fit_the_masks(
    damage: str, small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of a journal or an array that do not fit would be written to other regions' places."""
    monkeypatch.setattr(Partial, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        gabor(small_world, tmp_path / "run")
    monkeypatch.undo()
    journal, array = tmp_path / "run" / "journal.0.jsonl", tmp_path / "run" / "scores.partial.npy"
    changes = {
        "batch": (journal, b'{"batch": 5', b'{"batch": 9'),
        "region": (journal, b'"n_fixations": {"2"', b'"n_fixations": {"3"'),
        "image": (journal, b'"images": {"2"', b'"images": {"7"'),
        "header": (array, b"(12, 24)", b"(24, 12)"),
        "length": (array, b"'shape'", b"'shape'"),
    }
    path, before, after = changes[damage]
    content = path.read_bytes()
    if damage == "header":
        shape = np.load(path).shape
        before, after = (str(one).encode() for one in (shape, shape[::-1]))
    assert content.count(before) >= 1
    path.write_bytes(content.replace(before, after, 1) + b"x" * (damage == "length"))
    with pytest.raises(InputError, match=r"remove .* to begin anew"):
        gabor(small_world, tmp_path / "run")


@pytest.fixture(scope="module")
def larger_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("larger")
    content = world(folder, np.random.default_rng(9), n_images=60)
    MaskSet.from_dict(content).write(folder / "masks.json")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_at_random_ten_times(larger_world: Path, tmp_path: Path, how: int) -> None:
    log = tmp_path / "stderr.txt"

    def start(out: Path) -> subprocess.Popen:
        arguments = [
            *(str(Path(sys.executable).with_name("probe")), "run", "--model", "gabor"),
            *("--masks", str(larger_world / "masks.json"), "--root", str(larger_world)),
            *("--batch-size", "1", "--input-size", "64x64", "--out", str(out)),
        ]
        with log.open("w") as file:
            return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=file)

    began = time.monotonic()
    assert start(tmp_path / "whole").wait() == 0
    duration = time.monotonic() - began
    whole = Run.open(tmp_path / "whole")
    chance = random.Random(f"resume {how}")
    killed = 0
    for attempt in range(40):
        out = tmp_path / f"run{attempt}"
        began = time.monotonic()
        process = start(out)
        try:
            process.wait(timeout=chance.uniform(0.4, 0.98) * duration)
        except subprocess.TimeoutExpired:
            process.send_signal(how)
            process.wait()
        if process.returncode != 0:
            killed += 1
            # -SIGINT: it came when all was done and Python was already shutting down.
            assert process.returncode in ((-how, 130) if how == signal.SIGINT else (-how,))
            assert "Traceback" not in log.read_text()
            if process.returncode == 130:
                assert log.read_text().endswith(
                    "probe: interrupted; run the same command again to resume\n"
                )
            assert start(out).wait() == 0, log.read_text()
        else:
            duration = time.monotonic() - began  # the machine is less busy than it was
        assert_same(Run.open(out), whole)
        if killed == 10:
            return
    pytest.fail(f"only {killed} of 40 runs were killed before they were done")


@pytest.mark.parametrize(
    "line", ["nonsense", "[1, 2]", '{"batch": "1", "bad": []}', '{"batch": 1}', "\udcff"]
)
def test_a_damaged_journal_is_refused_with_its_place(line: str, tmp_path: Path) -> None:
    partial = Partial(tmp_path, (4, 3))
    partial.create()
    partial.write(0, [(0, np.ones((2, 2, 3)))], {"bad": []})
    with (tmp_path / "journal.0.jsonl").open("ab") as file:
        file.write(line.encode(errors="surrogateescape") + b"\n")
    with pytest.raises(InputError, match=r"journal.0.jsonl, line 2: cannot be read"):
        partial.done()


def test_a_run_that_lacks_a_batch_is_never_complete(
    small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where another machine's journal is not seen."""
    with monkeypatch.context() as patch:
        patch.setattr(job, "_score", lambda *_: None)
        with pytest.raises(InputError, match="run: 6 of 6 batches are not in its journals"):
            gabor(small_world, tmp_path / "run")
    assert_same(gabor(small_world, tmp_path / "run"), gabor(small_world, tmp_path / "whole"))


@pytest.mark.skipif(not hasattr(os, "O_DSYNC"), reason="the system has no O_DSYNC")
def test_rows_go_to_the_disk_alone_and_those_that_follow_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial, opened, written = Partial(tmp_path, (6, 3)), [], []
    partial.create()
    open_, write_all = os.open, partials.write_all
    monkeypatch.setattr(os, "open", lambda *a: opened.append(a[1]) or open_(*a))
    monkeypatch.setattr(partials, "write_all", lambda *a: written.append(a) or write_all(*a))
    rows = [(first, np.full((2, 1, 3), first, dtype=np.float32)) for first in (0, 1, 3, 4, 5)]
    partial.write(0, rows, {"bad": []})
    assert sum(bool(flags & os.O_DSYNC) for flags in opened) == 2  # both arrays
    assert [content.shape for _, content in written] == [(2, 3), (3, 3)] * 2
    partial.finish(np.ones(6, dtype=bool))
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy")[:, 0], [0, 1, np.nan, 3, 4, 5])

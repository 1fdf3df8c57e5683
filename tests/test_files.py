"""Writing: completely or not at all, through links, to streams, and without leftovers."""

import io
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

from salprobe.datasets import files
from salprobe.datasets.disk import append
from salprobe.datasets.errors import InputError
from salprobe.datasets.files import (
    atomic_folder,
    atomic_write,
    check_part,
    parse_json,
    read_bytes,
)
from salprobe.datasets.masks.mask_set import MaskSet


def write(path: Path, content: bytes = b"new") -> None:
    with atomic_write(path) as file:
        file.write(content)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("target", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("sink", ["pipe", "file"])
def test_a_mask_file_is_streamed(
    command, small_world: Path, tmp_path: Path, target: str, sink: str
) -> None:
    masks = small_world / "masks.json"
    merged = ("annotate", "merge", masks, masks, "-o", target)
    if sink == "pipe":
        content = command(*merged).stdout
    else:
        program = Path(sys.executable).with_name("annotate")
        with (tmp_path / "out.json").open("wb") as file:
            file.write(b" ")
            file.flush()
            done = subprocess.run([program, *merged[1:]], stdout=file, stderr=subprocess.DEVNULL)
        assert done.returncode == 0
        content = (tmp_path / "out.json").read_text()
        assert content[0] == " "  # what was there before is not overwritten
    assert len(MaskSet.from_dict(parse_json(content.encode(), "stdout")).annotations) == 12
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_devices_and_pipes_stay_what_they_are(tmp_path: Path) -> None:
    write(Path("/dev/null"))
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write(pipe)
    reader.join()
    assert got == [b"new"]
    assert pipe.is_fifo()


def test_a_stream_gets_all_or_nothing(capfdbinary) -> None:
    with pytest.raises(RuntimeError), atomic_write("-") as file:
        file.write(b"half")
        raise RuntimeError
    assert capfdbinary.readouterr().out == b""


def test_links_are_written_through(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    target, link, second = tmp_path / "far" / "real", tmp_path / "link", tmp_path / "second"
    link.symlink_to("far/real")  # which does not exist yet
    second.symlink_to(link)
    write(second, b"1")
    assert (target.read_bytes(), link.is_symlink(), second.is_symlink()) == (b"1", True, True)
    write(link, b"2")
    assert target.read_bytes() == b"2"
    assert [path.name for path in target.parent.iterdir()] == ["real"]
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    with pytest.raises(InputError, match="circle"):
        write(circle)
    (tmp_path / "made").symlink_to("far")
    with atomic_folder(tmp_path / "made") as folder:
        (folder / "one").write_bytes(b"1")
    assert (tmp_path / "made").is_symlink()
    assert [path.name for path in (tmp_path / "far").iterdir()] == ["one"]


def test_modes_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    before = os.umask(0o027)
    try:
        write(path)
        assert mode(path) == 0o640
        path.chmod(0o600)
        with atomic_write(path) as file:
            (temporary,) = tmp_path.glob(".secret.*.partial")
            assert mode(temporary) == 0o600  # nobody else may read it even before it is complete
            file.write(b"newer")
        assert (mode(path), path.read_bytes()) == (0o600, b"newer")
        path.chmod(0o755)
        write(path)
        assert mode(path) == 0o755
        with atomic_folder(tmp_path / "folder"):
            pass
        assert mode(tmp_path / "folder") == 0o750
        (tmp_path / "folder").chmod(0o700)
        with atomic_folder(tmp_path / "folder"):
            pass
        assert mode(tmp_path / "folder") == 0o700
    finally:
        os.umask(before)


def test_what_goes_wrong_leaves_everything(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, b"old")
    with pytest.raises(RuntimeError), atomic_write(path) as file:
        file.write(b"half")
        raise RuntimeError
    full = f"{path}: cannot be written: the disk is full"
    with pytest.raises(InputError, match=full), atomic_write(path):
        raise OSError(28, "No space left on device")
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "folder"):
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


KILLED = """
import os, signal, sys
from salprobe.datasets.files import atomic_folder, atomic_write
with atomic_write(sys.argv[1] + "/file") as file, atomic_folder(sys.argv[1] + "/folder") as made:
    file.write(b"half")
    (made / "half").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / ".file.review").write_text("not a leftover")
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path])
    assert done.returncode < 0
    assert len(list(tmp_path.glob(".*.partial"))) == 2
    monkeypatch.setattr(files, "_cleaned", set())
    with atomic_write(tmp_path / "other") as file:  # a writer that lives keeps its file
        assert len(list(tmp_path.glob(".*.partial"))) == 1
        monkeypatch.setattr(files, "_cleaned", set())
        write(tmp_path / "file")
        file.write(b"other")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "other", ".file.review"}


def test_the_folder_is_on_disk_after_the_rename(tmp_path: Path, monkeypatch) -> None:
    synced = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(handle).st_mode), (tmp_path / "file").exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    write(tmp_path / "file")
    assert synced == [(False, False), (True, True)]


@pytest.mark.parametrize("name", ["../x", "..", "a/b", "a\\b", "", "x" * 201, "a\0b", "a\x1b[2J"])
def test_parts_of_file_names(name: str) -> None:
    with pytest.raises(InputError, match="cannot be part of a file name"):
        check_part(name)
    assert check_part("person head") == "person head"


def test_splitting_writes_inside_its_folder(command, small_world: Path, tmp_path: Path) -> None:
    content = MaskSet.read(small_world / "masks.json").to_dict()
    content["categories"][0]["name"] = "../../outside"
    MaskSet.from_dict(content).write(tmp_path / "m.json")
    split = ("annotate", "split", tmp_path / "m.json", "-o", tmp_path / "a" / "b")
    done = command(*split, "--by", "category", check=2)
    assert "'../../outside' cannot be part of a file name" in done.stderr
    content["categories"][0]["name"], content["categories"][1]["name"] = "a b", "a_b"
    MaskSet.from_dict(content).write(tmp_path / "m.json")
    done = command(*split, "--by", "category", check=2)
    assert "two of its categories would share a file" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"]
    done = command(*split, "--parts", "../x=1,y=2", check=2)
    assert "'../x' cannot be part of a file name" in done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "j: key 'c' occurs twice in an object"),
        ("[" * 100_000, "j: not JSON"),
        ("9" * 5000, "j: not JSON"),
        ('["\\ud800"]', "j: not JSON"),
        ("[1,", "j: not JSON \\(line 1 column 4"),
    ],
)
def test_json_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_json(text.encode(), "j")


def test_endless_input_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(files, "LARGEST", 1000)
    with pytest.raises(InputError, match="larger than"):
        read_bytes("/dev/zero")


def folder_of(path: Path, content: bytes) -> None:
    with atomic_folder(path) as made:
        (made / "one").write_bytes(content)


@pytest.mark.parametrize("swaps", [True, False])
def test_a_folder_is_replaced_as_a_whole(tmp_path: Path, monkeypatch, swaps: bool) -> None:
    if not swaps:
        monkeypatch.setattr(files, "exchange", lambda *_: False)
    made, aside = tmp_path / "made", tmp_path / ".made.replaced"
    folder_of(made, b"old")
    (made / "two").write_bytes(b"old")
    folder_of(made, b"new")
    assert [path.name for path in tmp_path.rglob("*")] == ["made", "one"]
    assert (made / "one").read_bytes() == b"new"
    made.rename(aside)  # as a writer leaves it that is killed between two renames
    with pytest.raises(RuntimeError), atomic_folder(made):
        raise RuntimeError
    assert (made / "one").read_bytes() == b"new" and not aside.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges folders in one step")
def test_there_is_always_a_folder(tmp_path: Path, monkeypatch) -> None:
    folder_of(tmp_path / "made", b"old")
    renamed = []
    monkeypatch.setattr(Path, "replace", lambda one, other: renamed.append((one, other)))
    folder_of(tmp_path / "made", b"new")
    assert (tmp_path / "made" / "one").read_bytes() == b"new" and renamed == []


def test_errors_in_a_folder_name_where_it_will_be(tmp_path: Path) -> None:
    def fail(name: str | None) -> None:
        with atomic_folder(tmp_path / "made") as folder, atomic_write(folder / "one.json"):
            raise OSError(5, "Input/output error", name and str(folder / name))

    for name, said in ((None, "one.json"), ("two.png", "two.png")):
        with pytest.raises(InputError) as caught:
            fail(name)
        expected = f"{tmp_path}/made/{said}: cannot be written: Input/output error"
        assert str(caught.value) == expected
    with pytest.raises(FileNotFoundError), atomic_folder(tmp_path / "made"):
        Path("nowhere").read_bytes()  # not an error of what is written
    assert list(tmp_path.iterdir()) == []


def test_a_full_device_is_said(command, small_world: Path, tmp_path: Path) -> None:
    masks = small_world / "masks.json"
    done = command("annotate", "merge", masks, masks, "-o", "/dev/full", check=2)
    assert done.stderr.endswith("annotate: /dev/full: cannot be written: the disk is full\n")


def test_an_append_is_whole_or_not_there(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "journal"
    append(path, b"one\n")

    def fail(handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match=f"{path}: cannot be written: Input/output error"):
        append(path, b"two\n")
    monkeypatch.undo()
    assert path.read_bytes() == b"one\n"
    path.write_bytes(b"one\nha")  # what a disk leaves that fails at the truncation too
    append(path, b"three\n", size=4)
    assert path.read_bytes() == b"one\nthree\n"


def test_c_libraries_find_no_number_to_write_to(tmp_path: Path) -> None:
    """Pillow's JPEG would write by number, and take a write cut short for a whole one."""
    with atomic_write(tmp_path / "one.jpg") as file:
        with pytest.raises(io.UnsupportedOperation):
            file.fileno()
        Image.new("RGB", (64, 64)).save(file, "JPEG")
    with Image.open(tmp_path / "one.jpg") as picture:
        assert picture.size == (64, 64)

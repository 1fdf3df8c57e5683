"""Downloads: checked, resumed, atomic; from a real server on loopback."""

import gc
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from counting import Counting
from server import serving

from salprobe.datasets.errors import InputError
from salprobe.datasets.sources.description import Description
from salprobe.datasets.sources.fetch import copy, download, missing_files
from salprobe.datasets.sources.osie import OSIE

CONTENT = {f"stimuli/{n}.jpg": f"picture {n}".encode() * 500 for n in range(20)} | {
    "eye/fixations.mat": b"gaze" * 1000
}


class Toy(Description):
    def files(self) -> dict[str, str]:
        return {path: hashlib.sha256(data).hexdigest() for path, data in CONTENT.items()}


TOY = Toy(**{**vars(OSIE), "name": "toy"})


@pytest.fixture
def published(tmp_path: Path) -> Path:
    folder = tmp_path / "published"
    for path, data in CONTENT.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def assert_complete(root: Path) -> None:
    found = {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    assert found == CONTENT
    assert missing_files(TOY, root) == {}


def test_download_everything_and_then_nothing(published: Path, tmp_path: Path) -> None:
    counting = Counting()
    with serving(published) as (url, requests):
        assert download(TOY, tmp_path / "root", url, counting) == 21
        assert_complete(tmp_path / "root")
        assert download(TOY, tmp_path / "root", url, counting) == 0
        assert sum(requests.values()) == 21
    assert counting.tasks == [("fetching toy", 21, 0), ("fetching toy", 21, 21)]
    assert counting.steps == [21, 0]


def test_a_download_goes_on_where_it_stopped(published: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    with serving(published, gone={"/stimuli/19.jpg"}) as (url, _), pytest.raises(InputError):
        download(TOY, root, url)
    (root / "stimuli" / "0.jpg").write_bytes(b"truncated")
    lost = len(missing_files(TOY, root))
    assert 2 <= lost < 21
    with serving(published) as (url, requests):
        download(TOY, root, url)
        assert sum(requests.values()) == lost
    assert_complete(root)


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_an_answer_cut_short_is_asked_for_again(published: Path, tmp_path: Path) -> None:
    with serving(published, cut={"/stimuli/3.jpg"}) as (url, requests):
        download(TOY, tmp_path / "root", url)
        assert requests["/stimuli/3.jpg"] == 2
    gc.collect()  # pooch leaves the cut answer's socket to the collector: here, not in another test
    assert_complete(tmp_path / "root")


def test_a_changed_file_is_refused(published: Path, tmp_path: Path) -> None:
    (published / "stimuli" / "5.jpg").write_bytes(b"something else")
    with serving(published) as (url, _), pytest.raises(InputError, match="cannot be downloaded"):
        download(TOY, tmp_path / "root", url)
    assert not (tmp_path / "root" / "stimuli" / "5.jpg").exists()


def test_without_a_network_it_says_what_to_do_by_hand(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        download(TOY, tmp_path / "root", "http://127.0.0.1:9/")
    for part in ("by hand from https://github.com/", "annotate fetch toy --from", "/root"):
        assert part in str(caught.value)


@pytest.mark.parametrize("layout", ["", "data", "flat"])
def test_a_local_copy(layout: str, published: Path, tmp_path: Path) -> None:
    source = tmp_path / "copy"
    published.rename(source if layout != "data" else tmp_path / "data")
    if layout == "data":
        source = tmp_path
    if layout == "flat":
        (source / "eye" / "fixations.mat").rename(source / "fixations.mat")
    copy(TOY, tmp_path / "root", source)
    assert_complete(tmp_path / "root")


def test_a_local_copy_that_is_not_the_published_one(published: Path, tmp_path: Path) -> None:
    (published / "stimuli" / "5.jpg").write_bytes(b"something else")
    with pytest.raises(InputError, match=r"5\.jpg: not the published file"):
        copy(TOY, tmp_path / "root", published)
    (published / "stimuli" / "5.jpg").unlink()
    with pytest.raises(InputError, match=r"has no stimuli/5\.jpg"):
        copy(TOY, tmp_path / "root", published)
    with pytest.raises(InputError, match="no such folder"):
        copy(TOY, tmp_path / "root", tmp_path / "nowhere")


def test_osie_from_a_local_copy(osie_root: Path, tmp_path: Path, command) -> None:
    done = command("annotate", "fetch", "osie", "--root", tmp_path / "osie", "--from", osie_root)
    assert "OSIE: licence: MIT" in done.stderr
    assert "701 files, 701 of them new" in done.stderr
    assert len(list((tmp_path / "osie" / "stimuli").iterdir())) == 700
    assert (tmp_path / "osie" / "eye" / "fixations.mat").exists()


def test_the_description_is_complete() -> None:
    assert OSIE.base_url.endswith("/")
    assert replace(OSIE, name="x").px_per_degree == pytest.approx(23.74, abs=0.01)

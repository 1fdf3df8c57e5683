"""Downloads of published data sets: resumed, mirrored, checked, unpacked; from a real server."""

from __future__ import annotations

import hashlib
import io
import json
import re
import signal
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import published
import pytest
from counting import Counting
from hypothesis import given, settings
from hypothesis import strategies as st
from server import running
from typer.testing import CliRunner

from salprobe.annotate.cli.main import app
from salprobe.datasets.catalogue.cards import Card, PublishedFile, cards
from salprobe.datasets.errors import InputError
from salprobe.datasets.sources import archives, resume
from salprobe.datasets.sources.archives import unpack
from salprobe.datasets.sources.load import load_dataset
from salprobe.datasets.sources.published import fetch_published

BODY = bytes(range(256)) * 8000  # 2 MB
CHUNK = 2**16
TERMS = "Toy: licence: not known, read the authors' page\nPlease cite: c"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "WAIT", 0)


@dataclass
class Site:
    """What a server has, and how it behaves."""

    files: dict[str, bytes]
    ranges: bool = True
    etag: bool = True
    cut: list[int] = field(default_factory=list)  # after how many bytes the next answers end
    redirect: dict[str, str] = field(default_factory=dict)
    slow: float = 0.0
    asked: list[tuple[str, str]] = field(default_factory=list)  # path and range
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site, path = self.site, self.path
        site.asked.append((path, self.headers.get("Range", "")))
        if path in site.redirect:
            self.send_response(302)
            self.send_header("Location", site.redirect[path])
            self.end_headers()
            return
        if path not in site.files:
            self.send_error(404)
            return
        body = site.files[path]
        tag = f'"{hashlib.sha1(body).hexdigest()}"'
        start = 0
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if site.ranges and asked and self.headers.get("If-Range") == tag:
            start = int(asked[1])
        if start >= len(body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if site.etag:
            self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        if site.cut:
            self.wfile.write(rest[: site.cut.pop(0)])
        else:
            for place in range(0, len(rest), 100_000):
                self.wfile.write(rest[place : place + 100_000])
                time.sleep(site.slow)
        self.close_connection = True

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    with running(type("H", (Handler,), {"site": site})) as site.url:
        yield site


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def card(*files: PublishedFile, **more: str) -> Card:
    return Card(name="toy", title="Toy", citation="c", task="t", files=files, **more)


def one(site: Site, name: str = "a.bin", body: bytes = BODY, **more: object) -> Card:
    return card(
        PublishedFile(**{"name": name, "url": f"{site.url}/{name}", "md5": md5(body), **more})
    )


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return content.getvalue()


def left(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_a_file_once_and_its_record(tmp_path: Path) -> None:
    told = Counting()
    with serving(Site({"/a.bin": BODY})) as site:
        assert fetch_published(one(site), tmp_path, progress=told) == 1
        assert fetch_published(one(site), tmp_path, progress=told) == 0
        assert len(site.asked) == 1
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert left(tmp_path) == {"a.bin", "fetched.json"}
    sha256 = hashlib.sha256(BODY).hexdigest()
    known = json.loads((tmp_path / "fetched.json").read_text())["a.bin"]
    assert (known["md5"], known["sha256"]) == (md5(BODY), sha256)
    assert f"a.bin: MD5 as published, no SHA-256 is; SHA-256 {sha256}" in told.said
    assert "a.bin: already here" in told.said
    assert (told.tasks[0][1], told.steps[0]) == (2, 2)  # MB


def test_a_hash_that_is_pinned_or_not_published(tmp_path: Path) -> None:
    sha256 = hashlib.sha256(BODY).hexdigest()
    with serving(Site({"/a.bin": BODY})) as site:
        told = Counting()
        fetch_published(one(site, sha256=sha256), tmp_path / "a", progress=told)
        assert told.said == [TERMS]
        fetch_published(one(site, md5=""), tmp_path / "b", progress=told)
        assert told.said[1:] == [TERMS, f"a.bin: no hash is published; SHA-256 {sha256}"]
        with pytest.raises(InputError, match="its SHA-256 is"):
            fetch_published(one(site, sha256="0" * 64), tmp_path / "c")


def test_a_cut_connection_is_resumed_within_the_file(tmp_path: Path) -> None:
    told = Counting()
    with serving(Site({"/a.bin": BODY}, cut=[20 * CHUNK, 5 * CHUNK + 1])) as site:
        fetch_published(one(site), tmp_path, progress=told)
    assert [asked for _, asked in site.asked] == [
        "",
        f"bytes={20 * CHUNK}-",
        f"bytes={25 * CHUNK}-",
    ]
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert "a.bin: resumed at 1.3 MB" in told.said


@pytest.mark.parametrize("behaviour", [{"ranges": False}, {"etag": False}])
def test_a_server_that_cannot_resume_sends_it_anew(behaviour: dict, tmp_path: Path) -> None:
    with serving(Site({"/a.bin": BODY}, cut=[1_500_000], **behaviour)) as site:
        fetch_published(one(site), tmp_path)
    assert len(site.asked) == 2
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_file_that_changed_meanwhile_is_not_patched_together(tmp_path: Path) -> None:
    other = BODY[::-1]
    with serving(Site({"/a.bin": BODY}, cut=[CHUNK, 0, 0, 0])) as site:
        with pytest.raises(InputError, match="cannot be downloaded"):
            fetch_published(one(site), tmp_path)
        assert (tmp_path / "a.bin.part").stat().st_size == CHUNK
        site.files["/a.bin"] = other
        fetch_published(one(site, body=other), tmp_path)
        assert site.asked[-1][1] == f"bytes={CHUNK}-"
    assert (tmp_path / "a.bin").read_bytes() == other


def test_what_had_come_to_its_end_is_not_asked_for_again(tmp_path: Path) -> None:
    with serving(Site({"/a.bin": BODY})) as site:
        resume.download([f"{site.url}/a.bin"], tmp_path / "a.bin")
        fetch_published(one(site), tmp_path)
        assert len(site.asked) == 2
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_other_bytes_are_refused_and_the_mirror_is_asked(tmp_path: Path) -> None:
    with serving(Site({"/a.bin": b"<html>gone", "/b/a.bin": BODY})) as site:
        with pytest.raises(InputError, match=r"a\.bin: not the published file: its MD5 is"):
            fetch_published(one(site), tmp_path)
        assert left(tmp_path) == set()
        mirrors = (f"{site.url}/c/a.bin", f"{site.url}/b/a.bin")
        told = Counting()
        fetch_published(one(site, mirrors=mirrors), tmp_path, progress=told)
        assert [path for path, _ in site.asked[1:]] == ["/a.bin", "/c/a.bin", "/b/a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert any("404" in line and "another address is asked" in line for line in told.said)


def test_a_redirect_is_followed_and_a_circle_is_not(tmp_path: Path) -> None:
    site = Site({"/real": BODY}, redirect={"/a.bin": "/real", "/x": "/y", "/y": "/x"})
    with serving(site):
        fetch_published(one(site), tmp_path)
        with pytest.raises(InputError, match="TooManyRedirects"):
            fetch_published(one(site, "x"), tmp_path)
        site.redirect["/z"] = "file:///etc/passwd"
        with pytest.raises(InputError, match="InvalidSchema"):
            fetch_published(one(site, "z"), tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_without_a_network_it_says_what_to_do_by_hand(tmp_path: Path) -> None:
    lost = card(PublishedFile(name="a.zip", url="http://127.0.0.1:9/a.zip", md5="0" * 32))
    with pytest.raises(InputError, match="Get it by hand, then run `annotate fetch toy --from"):
        fetch_published(lost, tmp_path)


def test_a_download_that_is_too_large_or_does_not_fit(tmp_path: Path, monkeypatch) -> None:
    with serving(Site({"/a.bin": BODY})) as site:
        monkeypatch.setattr(
            resume.shutil, "disk_usage", lambda _: type("U", (), {"free": len(BODY) - 7})
        )
        with pytest.raises(InputError, match="at least 7 bytes are missing"):
            fetch_published(one(site), tmp_path)
        monkeypatch.setattr(resume, "MOST_BYTES", len(BODY) - 1)
        with pytest.raises(InputError, match="2048000 bytes, more than"):
            fetch_published(one(site), tmp_path)


def test_ctrl_c_and_the_same_command_again(tmp_path: Path) -> None:
    """The first process is interrupted within the file; the second asks for the rest alone."""
    site = Site({"/eyetrackingdata.zip": BODY}, slow=0.1)
    script = (
        "import sys; from salprobe.datasets.catalogue import cards as c\n"
        "from salprobe.annotate.cli.main import main\n"
        "url, md5 = sys.argv.pop(1), sys.argv.pop(1)\n"
        "file = c.PublishedFile(name='eyetrackingdata.zip', url=url, md5=md5)\n"
        "card = c.card_of('toronto').model_copy(update={'files': (file,)})\n"
        "c.card_of = lambda name: card\n"
        "main()\n"
    )
    with serving(site):
        run = [sys.executable, "-c", script, f"{site.url}/eyetrackingdata.zip", md5(BODY)]
        run += ["fetch", "toronto", "--root", str(tmp_path / "d")]
        first = subprocess.Popen(run, stderr=subprocess.PIPE, text=True)
        part = tmp_path / "d" / "eyetrackingdata.zip.part"
        end = time.monotonic() + 60
        while not (part.is_file() and part.stat().st_size) and time.monotonic() < end:
            time.sleep(0.02)
        first.send_signal(signal.SIGINT)
        error = first.communicate(timeout=60)[1]
        assert first.returncode == 130
        assert "interrupted; run the same command again to resume" in error
        assert "none stated: for research" in error.partition("interrupted")[0]
        size = part.stat().st_size
        assert 0 < size < len(BODY)
        site.slow = 0
        done = subprocess.run(run, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert site.asked[-1][1] == f"bytes={size}-"
    assert (tmp_path / "d" / "eyetrackingdata.zip").read_bytes() == BODY  # no archive: kept


def test_an_archive_is_unpacked_and_read_by_name(tmp_path: Path) -> None:
    built = tmp_path / "built"
    published.toronto(built)
    files = {path.relative_to(built).as_posix(): path.read_bytes() for path in built.rglob("*.*")}
    body = zipped({**files, "__MACOSX/._1.jpg": b"x", "eyetrackingdata/.DS_Store": b"x"})
    root = tmp_path / "root"
    with serving(Site({"/eyetrackingdata.zip": body})) as site:
        toy = one(site, "eyetrackingdata.zip", body)
        fetch_published(toy, root)
        assert fetch_published(toy, root) == 0
        assert len(site.asked) == 1
    folder = root / "eyetrackingdata"
    assert left(folder) == set(files)
    assert left(root) == {f"eyetrackingdata/{name}" for name in files} | {"fetched.json"}
    assert len(load_dataset("toronto", root, px_per_degree=30).fixations) == 24


def test_from_a_folder_or_another_address(tmp_path: Path) -> None:
    body = zipped({"x/1.txt": b"one"})
    (tmp_path / "have").mkdir()
    (tmp_path / "have" / "a.zip").write_bytes(body)
    hidden = card(PublishedFile(name="a.zip", md5=md5(body)), form="https://example.org/form")
    for source in ("", None):
        with pytest.raises(InputError, match="comes by a form or login: get it at https://example"):
            fetch_published(hidden, tmp_path / "no", source or "")
    fetch_published(hidden, tmp_path / "folder", str(tmp_path / "have"))
    assert (tmp_path / "folder" / "a" / "x" / "1.txt").read_bytes() == b"one"
    assert (tmp_path / "have" / "a.zip").exists()
    with serving(Site({"/m/a.zip": body})) as site:
        fetch_published(hidden, tmp_path / "mirror", f"{site.url}/m/")
    assert (tmp_path / "mirror" / "a" / "x" / "1.txt").exists()
    (tmp_path / "have" / "a.zip").write_bytes(b"other")
    with pytest.raises(InputError, match=r"have/a\.zip: not the published file"):
        fetch_published(hidden, tmp_path / "wrong", str(tmp_path / "have"))
    (tmp_path / "have" / "a.zip").unlink()
    with pytest.raises(InputError, match=r"have: has no a\.zip"):
        fetch_published(hidden, tmp_path / "wrong", str(tmp_path / "have"))
    with pytest.raises(InputError, match="nowhere: no such folder"):
        fetch_published(hidden, tmp_path / "wrong", "nowhere")


def test_files_are_chosen(tmp_path: Path) -> None:
    with serving(Site({"/a": b"a", "/b": b"b"})) as site:
        files = [
            PublishedFile(name=name, url=f"{site.url}/{name}", optional=name == "b")
            for name in "ab"
        ]
        fetch_published(card(*files), tmp_path)
        assert left(tmp_path) == {"a", "fetched.json"}
        fetch_published(card(*files), tmp_path, only=["b"])
        assert left(tmp_path) == {"a", "b", "fetched.json"}
        with pytest.raises(InputError, match="toy has no file 'c': a, b"):
            fetch_published(card(*files), tmp_path, only=["c"])


def entry(name: str, mode: int = 0, flags: int = 0) -> Callable[[zipfile.ZipFile], None]:
    def write(file: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("x")
        info.filename = name
        info.external_attr = mode << 16
        file.writestr(info, "/etc/passwd")
        info.flag_bits |= flags

    return write


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("write", "message"),
    [
        (entry("../out.txt"), "not a path below"),
        (entry("a/../../out.txt"), "not a path below"),
        (entry("/out.txt"), "not a path below"),
        (entry("..\\out.txt"), "not a path below"),
        (entry("C:\\out.txt"), "not a path below"),
        (entry("link", stat.S_IFLNK | 0o777), "link or a device"),
        (entry("pipe", stat.S_IFIFO | 0o777), "link or a device"),
        (entry("a.txt", flags=1), "encrypted|cannot be read"),
        (lambda file: (entry("a")(file), entry("a")(file)), "occurs twice"),
        (lambda file: file.writestr("zeros", bytes(5_000_000)), "more than is unpacked"),
        (lambda file: [file.writestr(str(k), b"") for k in range(60)], "60 files of 0 bytes"),
    ],
)
def test_an_archive_that_is_not_safe(write, message: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(archives, "MOST_FILES", 50)
    monkeypatch.setattr(archives, "MOST_BYTES", 4_000_000)
    path = tmp_path / "in" / "a.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        write(file)
    with pytest.raises(InputError, match=message):
        unpack(path, tmp_path / "in" / "a")
    assert left(tmp_path) == {"in/a.zip"}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_archive_is_unpacked_or_refused(data: st.DataObject, tmp_path_factory) -> None:
    root = tmp_path_factory.mktemp("zip")
    content = bytearray(zipped({"a/1.txt": b"one" * 50, "a/2.txt": b"two" * 50}))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (root / "a.zip").write_bytes(content)
    try:
        unpack(root / "a.zip", root / "a")
    except InputError as error:
        assert "\n" not in str(error)
        assert not (root / "a").exists()
    assert {path.name for path in root.iterdir()} <= {"a", "a.zip"}


def test_a_data_set_by_a_form_is_refused_in_a_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["fetch", "koehler", "--root", str(tmp_path)])
    assert isinstance(done.exception, InputError)
    assert "koehler comes by a form or login: get it at https://labs.psych.ucsb.edu" in str(
        done.exception
    )
    assert done.stderr == "" and left(tmp_path) == set()


def test_every_card_has_an_address_for_what_is_fetched_or_a_form() -> None:
    for known in cards().values():
        assert known.form or all(file.url or file.optional for file in known.files), known.name

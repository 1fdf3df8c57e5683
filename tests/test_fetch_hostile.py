"""Downloads from servers that lie, change or break off; nothing of a person's own is lost."""

import hashlib
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from counting import Counting
from server import running
from test_fetch_published import BODY, card, zipped

from salprobe.datasets.catalogue.cards import Card, PublishedFile
from salprobe.datasets.errors import InputError
from salprobe.datasets.sources import resume
from salprobe.datasets.sources.published import fetch_published

SIZE, HALF, THIRD = len(BODY), len(BODY) // 2, len(BODY) // 3
Answer = tuple[int, dict[str, object], bytes]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "WAIT", 0)


def fetch(answer: Callable[[int, int], Answer], root: Path) -> tuple[int, list[str]]:
    """Fetch `BODY` from a server; return how often it was asked, and what was told.

    It is given the number of the request, from 1, and the first byte asked for.
    """
    count, told = 0, Counting()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal count
            count += 1
            asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            code, headers, body = answer(count, int(asked[1]) if asked else 0)
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with running(Handler) as url:
        fetch_published(toy(f"{url}/a.bin"), root, progress=told)
    assert (root / "a.bin").read_bytes() == BODY
    return count, told.said


def toy(url: str, body: bytes = BODY, name: str = "a.bin", **more: object) -> Card:
    md5 = hashlib.md5(body).hexdigest()
    return card(PublishedFile(**{"name": name, "url": url, "md5": md5, **more}))


def whole(body: bytes = BODY, tag: str = "a") -> Answer:
    return 200, {"Content-Length": SIZE, "ETag": f'"{tag}"'}, body


def part(start: int, body: bytes, tag: str = "a", length: int | None = None) -> Answer:
    said = len(body) if length is None else length
    place = f"bytes {start}-{start + said - 1}/{SIZE}"
    return 206, {"Content-Length": said, "Content-Range": place, "ETag": f'"{tag}"'}, body


def test_answers_that_end_at_changing_places_end(tmp_path: Path) -> None:
    """Without ranges, the second half-way end is no progress: it was asked for ever."""
    count = 0

    def answer(number: int, _: int) -> Answer:
        nonlocal count
        count = number
        if number > 30:
            return whole()
        return 200, {"Content-Length": SIZE}, BODY[: HALF if number % 2 else THIRD]

    with pytest.raises(InputError, match="cannot be downloaded"):
        fetch(answer, tmp_path)
    assert count <= 2 * resume.ATTEMPTS


def test_a_rest_that_comes_in_pieces(tmp_path: Path) -> None:
    def answer(number: int, start: int) -> Answer:
        return part(start, BODY[start : start + 300_000]) if start else whole(BODY[:THIRD])

    assert fetch(answer, tmp_path)[0] > 3


def test_a_rest_of_another_version_is_not_taken(tmp_path: Path) -> None:
    """The server ignores If-Range."""

    def answer(number: int, start: int) -> Answer:
        if number == 1:
            return whole(bytes(HALF), tag="old")
        return part(start, BODY[start:], tag="new") if start else whole(tag="new")

    count, told = fetch(answer, tmp_path)
    assert count == 3 and not any("anew" in line for line in told)


def begun(number: int) -> Answer:
    return whole(BODY[:HALF] if number == 1 else BODY)


def wrong_place(number: int, start: int) -> Answer:
    """Say the right range, and send something else."""
    return part(start, bytes(SIZE - start)) if start else begun(number)


def wrong_end(number: int, start: int) -> Answer:
    """Say that the half was all."""
    ended = {"Content-Range": f"bytes */{start}", "Content-Length": 0}
    return (416, ended, b"") if start else begun(number)


@pytest.mark.parametrize("answer", [wrong_place, wrong_end])
def test_parts_that_do_not_fit_are_downloaded_anew_once(
    answer: Callable[[int, int], Answer], tmp_path: Path
) -> None:
    count, told = fetch(answer, tmp_path / "once")
    assert count == 3
    assert "a.bin: its parts do not fit together; downloaded anew" in told

    def always(number: int, start: int) -> Answer:
        return answer(1, start)

    with pytest.raises(InputError, match="not the published file"):
        fetch(always, tmp_path / "always")


def test_a_busy_server_is_asked_again_and_one_without_the_file_is_not(tmp_path: Path) -> None:
    busy: Answer = 503, {"Content-Length": 0}, b""
    assert fetch(lambda number, _: busy if number < 3 else whole(), tmp_path / "busy")[0] == 3
    with pytest.raises(InputError, match=r"\(503 Service Unavailable\)"):
        fetch(lambda *_: busy, tmp_path / "closed")
    gone: Answer = 404, {"Content-Length": 0}, b""
    with pytest.raises(InputError, match=r"\(404 Not Found\)"):
        fetch(lambda number, _: gone if number == 1 else whole(), tmp_path / "gone")


def test_headers_that_no_number_or_address_can_be_made_of(tmp_path: Path) -> None:
    fetch(lambda *_: (200, {"Content-Length": "9" * 5000}, BODY), tmp_path / "length")
    nowhere: Answer = 302, {"Location": "http://[::1/x", "Content-Length": 0}, b""
    with pytest.raises(InputError, match="leads to a malformed address"):
        fetch(lambda *_: nowhere, tmp_path / "address")


def test_a_mirror_is_asked_aloud(tmp_path: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = BODY if self.path == "/b" else b"<html>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    told = Counting()
    with running(Handler) as url:
        fetch_published(toy(f"{url}/a", mirrors=(f"{url}/b",)), tmp_path, progress=told)
    assert any(
        "/a: not the published file" in line and line.endswith("another address is asked")
        for line in told.said
    )


def test_a_folder_of_ones_own_is_not_replaced(tmp_path: Path) -> None:
    """DATA.zip is unpacked into DATA, which a person may have."""
    source, root = tmp_path / "source", tmp_path / "root"
    archive = zipped({"x/1.txt": b"one", "2.txt": b"two"})
    (root / "DATA").mkdir(parents=True)
    source.mkdir()
    (source / "DATA.zip").write_bytes(archive)
    data = toy("", archive, "DATA.zip")
    (root / "DATA" / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match=r"mine\.txt: not of DATA\.zip, .*: move it away"):
        fetch_published(data, root, source=str(source))
    assert (root / "DATA" / "mine.txt").read_text() == "precious"
    (root / "DATA" / "mine.txt").rename(root / "DATA" / "2.txt")  # another size
    with pytest.raises(InputError, match=r"2\.txt: not of DATA\.zip"):
        fetch_published(data, root, source=str(source))
    (root / "DATA" / "2.txt").write_text("TWO")  # as if it was killed before it was recorded
    fetch_published(data, root, source=str(source))
    assert (root / "DATA" / "2.txt").read_text() == "two"
    (root / "fetched.json").unlink()
    (root / "DATA").rename(root / "old")
    (root / "DATA").write_text("a file")
    with pytest.raises(InputError, match="is a file, but"):
        fetch_published(data, root, source=str(source))

"""Whom the token of Label Studio is sent to, and what the local server may show."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import pytest
from server import running

from salprobe.annotate.labelstudio import client as client_module
from salprobe.annotate.labelstudio import server as server_module
from salprobe.annotate.labelstudio.client import Client, Project
from salprobe.annotate.labelstudio.server import LocalServer
from salprobe.datasets.errors import InputError

WHOAMI = {"id": 1, "email": "a@b.c", "username": "a", "first_name": "", "last_name": ""}


@contextmanager
def answering(answer):
    """Run a server; ``answer`` gets a path and returns (status, body, headers)."""
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Authorization")))
            status, body, headers = answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    with running(Handler) as address:
        yield address, asked


def healthy(path: str):
    return 200, json.dumps({"status": "UP"}).encode(), {"Content-Type": "application/json"}


@pytest.fixture
def local(tmp_path: Path) -> LocalServer:
    (tmp_path / "data" / "images").mkdir(parents=True)
    return LocalServer(tmp_path / "data", tmp_path / "venv")


def test_a_stranger_on_a_stale_port_is_not_our_server(local: LocalServer) -> None:
    local._secret()
    with answering(healthy) as (url, asked):
        (local.data / "address.json").write_text(json.dumps({"url": url}))
        assert local.url is None
    assert [path.rpartition("/")[0] for path, _ in asked] == ["/salprobe"]
    assert all(token is None for _, token in asked)
    for content in ("{}", "[]", '{"url": 5}', '{"url": "http://127.0.0.1:x"}', "{"):
        (local.data / "address.json").write_text(content)
        assert local.url is None


def test_whoever_knows_the_secret_is_our_server_on_its_own_port(
    local: LocalServer, monkeypatch
) -> None:
    """What the server is given as its settings, run here in a server of our own."""
    secret, made = local._secret(), {}
    assert secret.stat().st_mode & 0o777 == 0o600
    assert local._secret().read_bytes() == secret.read_bytes()  # made once
    code = (
        server_module._SETTINGS.replace(
            "from label_studio.core.settings.label_studio import *", "MIDDLEWARE = []"
        )
        .replace("from core.settings.base import *", "")
        .replace("from django.http import HttpResponse", "HttpResponse = str")
    )
    monkeypatch.setenv("SALPROBE_SECRET", str(secret))

    def answer(path: str):
        identity = made["Identity"](lambda request: "the page")
        return 200, identity(SimpleNamespace(path=path)).encode(), {}

    with answering(answer) as (url, _):
        (local.data / "address.json").write_text(json.dumps({"url": url}))
        monkeypatch.setenv("SALPROBE_PORT", url.rpartition(":")[2])
        exec(code, made)
        assert made["MIDDLEWARE"] == ["salprobe_settings.Identity"]
        assert local.url == url
        assert answer("/projects")[1] == b"the page"
        monkeypatch.setenv("SALPROBE_PORT", "1")  # a relay of what another port answers
        exec(code, made)
        assert local.url is None


def test_an_endless_or_redirecting_answer_is_no_proof(local: LocalServer) -> None:
    local._secret()
    with answering(healthy) as (far, asked):
        with answering(lambda path: (302, b"", {"Location": far + path})) as (url, _):
            (local.data / "address.json").write_text(json.dumps({"url": url}))
            assert local.url is None
        assert asked == []
    with answering(lambda path: (200, b"x" * 10_000_000, {})) as (url, _):
        (local.data / "address.json").write_text(json.dumps({"url": url}))
        assert local.url is None


def whoami(path: str):
    return 200, json.dumps(WHOAMI).encode(), {"Content-Type": "application/json"}


def test_no_proxy_gets_what_is_meant_for_this_machine(monkeypatch) -> None:
    with answering(whoami) as (proxy, asked), answering(whoami) as (url, direct):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        for host in ("127.0.0.1", "localhost"):
            Client(url.replace("127.0.0.1", host), "secret").close()
        assert asked == []
        assert [token for _, token in direct] == ["Token secret"] * 2


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://localhost:8080", True),
        ("http://127.0.0.5", True),
        ("http://[::1]:8080", True),
        ("https://label.example.org", False),
        ("http://127.0.0.1.example.org", False),
        ("http://localhost.example.org", False),
    ],
)
def test_what_this_machine_is(url: str, loopback: bool) -> None:
    assert client_module._is_loopback(url) == loopback


def test_a_redirection_to_another_server_is_refused() -> None:
    with answering(whoami) as (far, asked):
        away = far.replace("127.0.0.1", "localhost")
        with (
            answering(lambda path: (307, b"", {"Location": away + path})) as (url, _),
            pytest.raises(
                InputError, match=r"127\.0\.0\.1: redirects to another server, localhost"
            ),
        ):
            Client(url, "secret")
        assert asked == []


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"5", b"<html>", b'{"id": []}', b"[" * 50_000, b'{"id": "\\ud800"'],
)
def test_strange_answers_are_errors(body: bytes) -> None:
    answer = (200, body, {"Content-Type": "application/json"})
    with answering(lambda path: answer) as (url, _):
        try:
            with Client(url, "secret") as client:
                client.find("title")
        except InputError as error:
            assert len(str(error)) < 300


def test_endless_pages_end(monkeypatch) -> None:
    monkeypatch.setattr(client_module, "_MOST", 1000)

    def endless(**_: object):
        while True:
            yield SimpleNamespace(json=lambda: '{"id": 1}')

    with answering(whoami) as (url, _), Client(url, "secret") as client:
        client._ls = SimpleNamespace(tasks=SimpleNamespace(list=endless))
        with pytest.raises(InputError, match="lists more than 1000 tasks"):
            client.tasks(Project(1, {"project": "u"}, ""))


class _Projects:
    def __init__(self, *projects: tuple[int, str, str]) -> None:
        self.all = [
            SimpleNamespace(
                id=number,
                title=title,
                label_config="<View/>",
                description="x\nsalprobe " + json.dumps({"project": uuid}) if uuid else "mine",
            )
            for number, title, uuid in projects
        ]

    def list(self, title: str | None = None):
        return iter([one for one in self.all if title is None or title in one.title])


def test_a_renamed_project_is_found_by_its_uuid() -> None:
    with answering(whoami) as (url, _), Client(url, "secret") as client:
        client._ls = SimpleNamespace(
            projects=_Projects((1, "New name", "u1"), (2, "Old name", "u2"), (3, "Other", ""))
        )
        for title in ("Old name", "New name", "Nobody"):
            found = client.find(title, "u1")
            assert found is not None and found.id == 1
        assert client.find("Old name").id == 2
        assert client.find("Nobody", "u9") is None
        with pytest.raises(InputError, match="is not the one that the mask file was pulled from"):
            client.find("Old name", "u9")
        with pytest.raises(InputError, match="was not created by"):
            client.find("Other", "u9")
        client._ls.projects = _Projects((1, "A", "u1"), (2, "B", "u1"))
        with pytest.raises(InputError, match="projects 1, 2 are copies of the one"):
            client.find("A", "u1")


def test_only_images_are_shared(local: LocalServer, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "stimuli").mkdir(parents=True)
    for name in ("secrets.txt", "masks.json", "stimuli/1.png", "stimuli/2.png"):
        (home / name).write_text(name)
    shared = local.share(home, [home / "stimuli" / "1.png"])
    assert shared.parent == local.data / "images"
    assert [
        path.relative_to(shared).as_posix() for path in shared.rglob("*") if path.is_file()
    ] == ["stimuli/1.png"]
    assert (shared / "stimuli" / "1.png").read_text() == "stimuli/1.png"
    (shared / "stimuli" / "1.png").unlink()
    (shared / "stimuli").rmdir()
    shared.rmdir()
    shared.symlink_to(home, target_is_directory=True)  # as earlier versions left it
    assert local.share(home, [home / "stimuli" / "2.png"]) == shared
    assert not shared.is_symlink() and not (shared / "secrets.txt").exists()
    assert local.share(home, [home / "stimuli" / "2.png"]) == shared  # again

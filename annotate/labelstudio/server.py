"""A local Label Studio with its own environment and data folder, on the loopback interface."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import os
import secrets
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs

from ...datasets.disk import writing
from ...datasets.errors import InputError
from ...datasets.files import atomic_write

VERSION = "1.23.2"
EMAIL = "annotator@localhost.local"
"""The local server's only user, who chooses the password."""

_START_SECONDS = 180  # the first start sets up the database: 21 to 39 s on two cores
_STOP_SECONDS = 20


_SETTINGS = '''\
"""Label Studio's settings, and an answer by which salprobe knows its own server."""

import hashlib
import hmac
import os
from pathlib import Path

from core.settings.base import *  # first: the next line already looks settings up
from label_studio.core.settings.label_studio import *

MIDDLEWARE = ["salprobe_settings.Identity", *MIDDLEWARE]
_SECRET = Path(os.environ["SALPROBE_SECRET"]).read_bytes()
_PORT = os.environ["SALPROBE_PORT"]


class Identity:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        from django.http import HttpResponse

        start, challenge = "/salprobe/", request.path.rpartition("/")[2]
        if not request.path.startswith(start) or len(challenge) > 64:
            return self.get_response(request)
        text = f"{_PORT} {challenge}".encode()
        return HttpResponse(hmac.new(_SECRET, text, hashlib.sha256).hexdigest())
'''
"""Given to the server as its settings; the secret never leaves the data folder."""


@dataclass(frozen=True)
class LocalServer:
    """A local Label Studio.

    Attributes
    ----------
    data : Path
        Data folder, with the database, the log and links to folders of images.
    venv : Path
        Virtual environment that it is installed in.
    """

    data: Path
    venv: Path

    @classmethod
    def default(cls) -> LocalServer:
        """Return the server in the user's data folder, with its environment in their cache."""
        data = platformdirs.user_data_path("salprobe") / "label-studio"
        return cls(data, platformdirs.user_cache_path("salprobe") / f"label-studio-{VERSION}")

    @property
    def is_installed(self) -> bool:
        """Whether Label Studio is completely installed."""
        return (self.venv / "complete").is_file()

    @property
    def is_set_up(self) -> bool:
        """Whether it was started before, and therefore has its user."""
        return (self.data / "user").is_file()

    @property
    def url(self) -> str | None:
        """Its address if it is running, else None.

        Another program may have its port by now: only our own server knows the secret in its
        data folder.
        """
        try:
            address = json.loads((self.data / "address.json").read_text())["url"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return address if isinstance(address, str) and self._is_ours(address) else None

    def install(self) -> None:
        """Install Label Studio (about 1 GB, once).

        Raises
        ------
        InputError
            If pip fails; the message ends with pip's last line.
        """
        if self.is_installed:
            return
        shutil.rmtree(self.venv, ignore_errors=True)  # left by an interrupted installation
        self.venv.parent.mkdir(parents=True, exist_ok=True)
        for command in (
            [sys.executable, "-m", "venv", str(self.venv)],
            [str(self._bin / "python"), "-m", "pip", "install", f"label-studio=={VERSION}"],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                last = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
                raise InputError(f"Label Studio cannot be installed: {last}")
        (self.venv / "complete").touch()

    def start(self, port: int, password: str | None = None) -> subprocess.Popen:
        """Start the server on the loopback interface, and wait until it answers.

        Parameters
        ----------
        port : int
            0 takes a free one.
        password : str, optional
            Password of `EMAIL`; needed only for the first start.

        Raises
        ------
        InputError
            If the port is taken, or the server does not start.
        """
        port = _free_port(port)  # Label Studio would silently take the next one
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.data / "images").mkdir(exist_ok=True)
        log = self.data / "server.log"
        with log.open("ab") as sink:
            process = subprocess.Popen(
                [
                    str(self._bin / "label-studio"),
                    *("start", "--no-browser", "--internal-host", "127.0.0.1"),
                    *("--port", str(port)),
                ],
                env=self._environment(port, password),
                cwd=self.data,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,  # shields it from Ctrl-C: we stop it ourselves
            )
        address = f"http://127.0.0.1:{port}"
        try:
            limit = time.monotonic() + _START_SECONDS
            while not self._is_ours(address):
                if process.poll() is not None or time.monotonic() > limit:
                    raise InputError(f"Label Studio did not start; its log is {log}")
                time.sleep(0.2)
        except BaseException:
            stop(process)
            raise
        (self.data / "user").write_text(EMAIL)
        with atomic_write(self.data / "address.json") as file:
            file.write(json.dumps({"url": address}).encode())
        return process

    def token(self) -> str:
        """Return the local user's token, from the server's own database.

        Raises
        ------
        InputError
            If the database has no token.
        """
        path = self.data / "label_studio.sqlite3"
        query = (
            "select t.key from authtoken_token t join htx_user u on u.id = t.user_id "
            "where u.email = ?"
        )
        try:
            with contextlib.closing(
                sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
            ) as database:
                row = database.execute(query, (EMAIL,)).fetchone()
        except sqlite3.Error as error:
            raise InputError(f"{path}: no token of {EMAIL}: {error}") from error
        if row is None:
            raise InputError(f"{path}: no token of {EMAIL}")
        return row[0]

    def share(self, folder: Path, images: Iterable[Path]) -> Path:
        """Link images into the served folder, and nothing that lies beside them.

        Parameters
        ----------
        folder : Path
            Above all of the images.
        images : iterable of Path

        Returns
        -------
        Path
            The folder that the server sees instead of ``folder``.
        """
        name = f"{folder.name}-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"
        shared = self.data / "images" / name
        if shared.is_symlink():  # earlier versions shared the whole folder
            shared.unlink()
        wanted = {shared / path.relative_to(folder): path.resolve() for path in images}
        for link, path in wanted.items():
            if link.is_symlink() and link.readlink() == path:
                continue
            link.parent.mkdir(parents=True, exist_ok=True)
            with writing(link):
                link.unlink(missing_ok=True)
                link.symlink_to(path)
        return shared

    def _secret(self) -> Path:
        """Return the path of the secret, which is made once and which only its owner can read."""
        path = self.data / "secret"
        if not path.is_file():
            with atomic_write(path, mode=0o600) as file:
                file.write(secrets.token_bytes(32))
        return path

    def _is_ours(self, address: str) -> bool:
        """Ask the program at an address to prove that it knows the secret."""
        challenge = secrets.token_hex(16)
        try:
            secret = (self.data / "secret").read_bytes()
            answer = _get(f"{address}/salprobe/{challenge}")
            text = f"{urlsplit(address).port} {challenge}".encode()
        except (OSError, ValueError, http.client.HTTPException):
            return False
        expected = hmac.new(secret, text, hashlib.sha256).hexdigest()
        return hmac.compare_digest(answer, expected.encode())

    def _environment(self, port: int, password: str | None) -> dict[str, str]:
        settings = self.data / "settings" / "salprobe_settings.py"
        settings.parent.mkdir(exist_ok=True)
        with atomic_write(settings) as file:
            file.write(_SETTINGS.encode())
        return _environment(self.data, password) | {
            "DJANGO_SETTINGS_MODULE": settings.stem,
            "PYTHONPATH": str(settings.parent.absolute()),
            "SALPROBE_SECRET": str(self._secret().absolute()),
            "SALPROBE_PORT": str(port),
        }

    @property
    def _bin(self) -> Path:
        return self.venv / ("Scripts" if os.name == "nt" else "bin")


def stop(process: subprocess.Popen) -> None:
    """Stop a server that `LocalServer.start` started."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _environment(data: Path, password: str | None) -> dict[str, str]:
    private: Mapping[str, str] = {
        "HOME": str(data),
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        **({"LABEL_STUDIO_USERNAME": EMAIL, "LABEL_STUDIO_PASSWORD": password} if password else {}),
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(data / "images"),
        # Nothing leaves the machine.
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    dropped = ("LABEL_STUDIO_", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "DJANGO_")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    return {**inherited, **private}


def _free_port(port: int) -> int:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(f"port {port} is taken; --port names another") from error
        return trial.getsockname()[1]


def _get(address: str) -> bytes:
    """Return the beginning of an answer; no proxy, no redirection."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    with opener.open(address, timeout=5) as answer:
        return answer.read(200)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl) -> None:
        return None

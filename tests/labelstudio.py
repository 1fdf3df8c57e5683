"""A real Label Studio for tests: its people, and what they do in it."""

import json
import re
import signal
import time
from pathlib import Path

import httpx

from salprobe.annotate.labelstudio.client import Client
from salprobe.annotate.labelstudio.server import EMAIL, VERSION, LocalServer, stop

ROOT = Path(__file__).parent.parent
PASSWORD = "only-for-tests-1"


class Server:
    """A server with a data folder of its own, that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        cache = ROOT / ".cache"
        self.local = LocalServer(
            folder / "salprobe" / "label-studio", cache / "salprobe" / f"label-studio-{VERSION}"
        )
        self.environment = {"XDG_DATA_HOME": str(folder), "XDG_CACHE_HOME": str(cache)}
        self.open: list = []
        self.local.install()
        self.port = 0
        self.start()

    def start(self) -> None:
        self.process = self.local.start(self.port, PASSWORD)
        self.port = int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        for one in self.open:
            one.close()
        stop(self.process)

    @property
    def url(self) -> str:
        return json.loads((self.local.data / "address.json").read_text())["url"]

    def client(self) -> Client:
        self.open.append(Client(self.url, self.local.token()))
        return self.open[-1]


class Person:
    """Somebody who is logged in as in a browser."""

    def __init__(self, server: Server, email: str = EMAIL) -> None:
        self.email = email
        self.http = httpx.Client(base_url=server.url, follow_redirects=True, timeout=60)
        server.open.append(self.http)
        page = "/user/login/"
        if email != EMAIL:
            admin = Person(server)
            page = admin.http.get("/api/invite").json()["invite_url"]
        form = self.http.get(page).text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        assert token, form[:500]
        done = self.http.post(
            page,
            data={"csrfmiddlewaretoken": token[1], "email": email, "password": PASSWORD},
            headers={"Referer": server.url},
        )
        assert done.status_code == 200, done.text[:500]
        assert self.http.get("/api/current-user/whoami").json()["email"] == email

    def _send(self, method: str, path: str, content: dict) -> dict:
        headers = {"X-CSRFToken": self.http.cookies.get("csrftoken") or ""}
        headers["Referer"] = str(self.http.base_url)
        done = self.http.request(method, path, json=content, headers=headers)
        assert done.status_code < 300, (done.status_code, done.text[:500])
        return done.json() if done.content else {}

    def submit(self, task: int, result: list[dict], **keys) -> int:
        made = self._send("POST", f"/api/tasks/{task}/annotations/", {"result": result, **keys})
        return made["id"]

    def edit(self, annotation: int, result: list[dict]) -> None:
        time.sleep(0.01)
        self._send("PATCH", f"/api/annotations/{annotation}/", {"result": result})

    def delete(self, annotation: int) -> None:
        self._send("DELETE", f"/api/annotations/{annotation}/", {})

    def draft(self, task: int, result: list[dict]) -> None:
        self._send("POST", f"/api/tasks/{task}/drafts", {"result": result})

    def configure(self, project: int, config: str) -> None:
        self._send("PATCH", f"/api/projects/{project}/", {"label_config": config})

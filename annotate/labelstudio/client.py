"""Requests to a Label Studio server through its SDK; errors become one-line messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from ...datasets.errors import InputError
from ...datasets.masks.mask_set import MaskSet
from .config import MASK, OUTLINE, instructions, label_config, labels_of

if TYPE_CHECKING:
    import httpx
    from label_studio_sdk import LabelStudio

_MARK = "salprobe "  # precedes the JSON in a project's description
_TIMEOUT = 120  # seconds per request
_MOST = 200_000  # tasks, users or projects; SALICON has 20 000 images
_ONCE: Any = {"max_retries": 0}  # a retry by the SDK could import twice


class Unreachable(InputError):
    """The server does not answer, or no longer does."""


@dataclass(frozen=True)
class Project:
    """A project created by salprobe.

    Attributes
    ----------
    id : int
        Id on the server.
    mark : dict
        ``project`` (a UUID) and the mask set's ``dataset`` and ``px_per_degree``.
    config : str
        XML of its labelling interface, which people may have changed.
    """

    id: int
    mark: dict
    config: str


class Client:
    """A connection to a server.

    Parameters
    ----------
    url : str
    token : str
        A legacy token or a personal access token; never shown.

    Raises
    ------
    InputError
        From every method, if the server refuses (with its reason) or does not answer
        (`Unreachable`).
    """

    def __init__(self, url: str, token: str) -> None:
        import httpx
        from label_studio_sdk import LabelStudio

        if not url.startswith(("http://", "https://")):
            raise InputError(f"{url}: expected an address that begins with http:// or https://")
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            timeout=_TIMEOUT,
            follow_redirects=True,
            event_hooks={"response": [_stay]},
            trust_env=not _is_loopback(self.url),  # which would name proxies
        )
        with self._asking():
            self._ls: LabelStudio = LabelStudio(
                base_url=self.url, api_key=token, httpx_client=self._http, max_retries=0
            )
            self._ls.users.whoami(request_options=_ONCE)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def find(self, title: str, uuid: str | None = None) -> Project | None:
        """Return the project with a UUID, else the one with a title, or None.

        A UUID finds its project even if it has been renamed in Label Studio.

        Raises
        ------
        InputError
            If several projects have the UUID or the title, salprobe did not create the project,
            or its UUID differs.
        """
        with self._asking():
            if uuid is None:
                listed = self._limited(self._ls.projects.list(title=title), "projects")
            else:
                listed = self._limited(self._ls.projects.list(), "projects")
        titled = [project for project in listed if project.title == title]
        ours = [
            (project.title, Project(int(project.id or 0), mark, project.label_config or ""))
            for project in listed
            if (mark := _mark_of(project.description)) is not None
        ]
        found = [project for _, project in ours if project.mark["project"] == uuid]
        if not found:
            found = [project for name, project in ours if name == title]
            if uuid is not None and found:
                raise InputError(
                    f"{self.url}: project {title!r} is not the one that the mask file was pulled "
                    "from"
                )
        if len(found) > 1:
            numbers = ", ".join(str(project.id) for project in found)
            what = f"all titled {title!r}; rename all but one"
            if uuid is not None:
                what = "copies of the one that the mask file was pulled from; delete all but one"
            raise InputError(f"{self.url}: projects {numbers} are {what}")
        if titled and not found:
            raise InputError(
                f"{self.url}: project {titled[0].id}, titled {title!r}, was not created by "
                "`annotate push`; choose another title"
            )
        return found[0] if found else None

    def create(self, title: str, masks: MaskSet, uuid: str | None = None) -> Project:
        """Create a project for a mask set's categories."""
        mark = {"project": uuid or str(uuid4())}
        for key in ("dataset", "px_per_degree"):
            value = getattr(masks.info.salprobe, key)
            mark |= {} if value is None else {key: value}
        config = label_config(masks)
        with self._asking():
            created = self._ls.projects.create(
                title=title,
                description=f"Salient regions to be labelled.\n{_MARK}{json.dumps(mark)}",
                label_config=config,
                expert_instruction=instructions(masks),
                show_instruction=True,
                request_options=_ONCE,
            )
        return Project(created.id or 0, mark, config)

    def labels(self, project: Project) -> dict[str, set[str]]:
        """Return the labels of a project's polygon and brush tools, by tool name."""
        return {k: v for k, v in labels_of(project.config).items() if k in (OUTLINE, MASK)}

    def set_config(self, project: Project, config: str) -> None:
        """Replace a project's labelling interface."""
        with self._asking():
            self._ls.projects.update(project.id, label_config=config, request_options=_ONCE)

    def serve_images(self, project: Project, path: str) -> None:
        """Let a project show the images of a folder on the server, unless it already does."""
        hint = "is it below the server's LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT?"
        with self._asking(f"{path} cannot be served; {hint}"):
            known = self._ls.import_storage.local.list(project=project.id)
            if path not in [storage.path for storage in known]:
                self._ls.import_storage.local.create(
                    project=project.id, path=path, title="images", request_options=_ONCE
                )

    def shows(self, address: str) -> bool:
        """Return whether the server shows the image at an address."""
        path, _, query = address.lstrip("/").partition("?")
        with self._asking():
            http = self._ls._client_wrapper.httpx_client  # the SDK has no method for this
            return http.request(f"{path}?{query}", method="GET").status_code == 200

    def tasks(self, project: Project) -> list[dict]:
        """Return all tasks with annotations, predictions and drafts, ordered by id."""
        with self._asking():
            pages = self._ls.tasks.list(project=project.id, fields="all", page_size=500)
            tasks = [json.loads(task.json()) for task in self._limited(pages, "tasks")]
        return sorted(tasks, key=lambda task: task["id"])

    def emails(self) -> dict[int, str]:
        """Return the users' e-mail addresses by user id."""
        with self._asking():
            people = self._limited(self._ls.users.list(), "users")
        return {
            person.id: person.email or str(person.id) for person in people if person.id is not None
        }

    def import_tasks(self, project: Project, tasks: Sequence[dict]) -> None:
        """Add tasks to a project."""
        request: Any = tasks
        with self._asking():
            self._ls.projects.import_tasks(id=project.id, request=request, request_options=_ONCE)

    def replace_predictions(self, project: Project, predictions: Sequence[dict]) -> None:
        """Replace the predictions of tasks; each prediction has its task's id as ``task``."""
        request: Any = predictions
        self._act(
            project, "delete_tasks_predictions", [prediction["task"] for prediction in predictions]
        )
        with self._asking():
            self._ls.projects.import_predictions(
                id=project.id, request=request, request_options=_ONCE
            )

    def delete_tasks(self, project: Project, ids: Sequence[int]) -> None:
        """Delete tasks of a project."""
        self._act(project, "delete_tasks", ids)

    def set_data(self, task: int, data: dict) -> None:
        """Replace a task's data."""
        with self._asking():
            self._ls.tasks.update(str(task), data=data, request_options=_ONCE)

    def _act(self, project: Project, action: Any, ids: Sequence[int]) -> None:
        chosen: Any = {"all": False, "included": list(ids)}
        with self._asking():
            self._ls.actions.create(
                id=action, project=project.id, selected_items=chosen, request_options=_ONCE
            )

    def _limited(self, pages: Iterable[Any], what: str) -> list[Any]:
        """Return what a server lists page by page, unless it never ends."""
        listed = list(islice(pages, _MOST + 1))
        if len(listed) > _MOST:
            raise InputError(f"{self.url}: lists more than {_MOST} {what}")
        return listed

    @contextmanager
    def _asking(self, failure: str = "the server refuses") -> Iterator[None]:
        import httpx
        from label_studio_sdk.core.api_error import ApiError

        try:
            yield
        except ApiError as error:
            if error.status_code == 401:
                raise InputError(
                    f"{self.url}: the token is not accepted (LABEL_STUDIO_API_KEY)"
                ) from error
            if error.status_code and error.status_code >= 500:
                raise Unreachable(f"{self.url}: the server fails ({error.status_code})") from error
            reason = _reason(error.body)
            raise InputError(f"{self.url}: {failure} ({error.status_code}): {reason}") from error
        except httpx.HTTPError as error:
            raise Unreachable(f"{self.url}: no answer ({type(error).__name__})") from error
        except InputError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split()):.120}"
            raise InputError(f"{self.url}: not an answer of Label Studio's ({reason})") from error


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _stay(response: httpx.Response) -> None:
    """Refuse a redirection to another host, which would get what was meant for this one."""
    if response.has_redirect_location:
        target = response.url.join(response.headers["location"])
        if target.host != response.url.host:
            raise InputError(f"{response.url.host}: redirects to another server, {target.host}")


def _mark_of(description: str | None) -> dict | None:
    for line in (description or "").split("\n"):
        if line.startswith(_MARK + "{"):
            try:
                mark = json.loads(line.removeprefix(_MARK))
            except (ValueError, RecursionError):
                return None
            known = isinstance(mark, dict) and isinstance(mark.get("project"), str)
            return mark if known else None
    return None


def _reason(body: Any) -> str:
    """Return the reason from a server's answer, without the page around it."""
    if isinstance(body, dict):
        errors = body.get("validation_errors") or body.get("detail") or body
        body = json.dumps(errors, ensure_ascii=False) if not isinstance(errors, str) else errors
    text = " ".join(str(body).split())
    return "not found" if text.startswith("<") else text[:150]

"""The commands of ``annotate`` that work with a Label Studio server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...datasets.errors import InputError
from ...datasets.texts import printable
from ...terminal.app import refuse_given
from ...terminal.console import notes, print_data, working
from ...terminal.progress import progress
from ..choices import Side
from .exchange import RenameOption, RootOption, changes_text, parse_pairs, total
from .labels import JsonOption, MasksArgument

if TYPE_CHECKING:
    from ..labelstudio.client import Client
    from ..labelstudio.server import LocalServer

app = typer.Typer()

ProjectOption = Annotated[str, typer.Option("--project", help="Title of the Label Studio project.")]
UrlOption = Annotated[
    str, typer.Option(envvar="LABEL_STUDIO_URL", help="Address of the Label Studio server.")
]
ServeOption = Annotated[
    bool, typer.Option("--serve", help="Use the local server that `annotate serve` starts.")
]
PortOption = Annotated[int, typer.Option(help="Port of the local server; 0 takes a free one.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Report what would be done, and change nothing.")
]
DEFAULT_URL = "http://localhost:8080"
DEFAULT_PORT = 8080


@app.command(epilog="Example: [bold]annotate serve[/bold]")
def serve(port: PortOption = DEFAULT_PORT) -> None:
    """Start a local Label Studio, installing it first if necessary; Ctrl-C stops it.

    Only this machine can reach it. The first start asks for the password to log in with, or takes
    it from LABEL_STUDIO_PASSWORD.
    """
    with _local(port) as (server, process):
        if process is None:
            notes.print(f"Label Studio is already running: {server.url}")
        else:
            notes.print("Ctrl-C stops it")
            _wait(process)


@app.command(
    epilog="Example: [bold]annotate push osie_regions.json --project OSIE-SR --serve[/bold]"
)
def push(
    context: typer.Context,
    masks: MasksArgument,
    project: ProjectOption,
    url: UrlOption = DEFAULT_URL,
    root: RootOption = None,
    document_root: Annotated[
        Path | None,
        typer.Option(
            envvar="LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT",
            help="Folder that the server serves files from (default: the image folder's parent).",
        ),
    ] = None,
    serve: ServeOption = False,
    port: PortOption = DEFAULT_PORT,
    dry_run: DryRunOption = False,
) -> None:
    """Send regions to Label Studio for labelling; repeating it duplicates nothing.

    Annotations made by people are never touched. The token comes from LABEL_STUDIO_API_KEY, or is
    asked for.
    """
    from ...datasets.masks.mask_set import MaskSet
    from ...datasets.sources.load import mask_path, root_of
    from ...datasets.stimuli import Stimuli
    from ..labelstudio.client import Client

    _refuse_unused(context, serve, "document_root")
    path = mask_path(masks)
    mask_set = MaskSet.read(path)
    folder = root_of(mask_set, root, path.parent).absolute()
    if not serve:
        with _client(url) as client:
            _push(mask_set, folder, project, client, document_root or folder.parent, dry_run)
        return
    with _local(port) as (server, process):
        with Client(str(server.url), server.token()) as client:
            stimuli, images = Stimuli(folder, tuple(mask_set.images)), server.data / "images"
            served = server.share(folder, map(stimuli.path, stimuli))
            _push(mask_set, folder, project, client, images, dry_run, served)
        if process is not None and not dry_run:
            notes.print("Ctrl-C stops the server; `annotate serve` starts it again")
            _wait(process)


@app.command(
    epilog="Example: [bold]annotate pull --project OSIE-SR --masks osie_regions.json "
    "-o osie_sr.json --serve[/bold]"
)
def pull(
    context: typer.Context,
    project: ProjectOption,
    output: Annotated[Path, typer.Option("--output", "-o", help="Mask file to write or update.")],
    masks: Annotated[
        str | None,
        typer.Option(
            help="Mask file that was pushed, to start from if the output does not exist yet."
        ),
    ] = None,
    url: UrlOption = DEFAULT_URL,
    root: RootOption = None,
    annotator: Annotated[
        str | None,
        typer.Option(help="E-mail address of the only person whose annotations to take."),
    ] = None,
    prefer: Annotated[
        Side | None,
        typer.Option(
            help="What wins a conflict: the mask file, the server, or the newest annotation on it."
        ),
    ] = None,
    rename: RenameOption = "",
    serve: ServeOption = False,
    port: PortOption = DEFAULT_PORT,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bring the annotations of a Label Studio project into a mask file, and report what changed.

    Exits with 1 if an image changed on both sides, or several people annotated it differently;
    such images are listed and left unchanged unless --prefer takes a side.
    """
    from ...datasets.masks.mask_set import MaskSet
    from ...datasets.sources.load import fixations_of, load_masks, root_of
    from ..labelstudio.pull import from_project
    from ..labelstudio.pull import pull as bring

    _refuse_unused(context, serve)
    base = None
    if output.exists():
        base = MaskSet.read(output)
    elif masks is not None:
        base = load_masks(masks)
    if not output.parent.is_dir():
        raise InputError(f"{output}: cannot be written: no such folder")
    with _connected(url, serve, port) as client, working("asking Label Studio"):
        remote = client.find(project, _uuid(base))
        if remote is None:
            raise InputError(f"{client.url}: no project titled {project!r}")
        tasks = client.tasks(remote)
        emails = client.emails()
    for task in tasks:
        for annotation in task.get("annotations") or []:
            annotation["completed_by"] = emails.get(
                annotation.get("completed_by"), annotation.get("completed_by")
            )
    trusted = base is not None
    base = base or from_project(remote, tasks)
    try:
        fixations = fixations_of(base, root_of(base, root, output.parent))
    except InputError:
        fixations = None
    pulled = bring(
        base,
        remote,
        tasks,
        prefer,
        annotator,
        rename=parse_pairs("--rename", rename),
        fixations=fixations,
        trusted=trusted,
    )
    if not dry_run:
        pulled.masks.write(output)
    if as_json:
        record = {
            "changes": {name: dict(count) for name, count in pulled.changes.items()},
            "images": dict(+pulled.images),
            "conflicts": [vars(conflict) for conflict in pulled.conflicts],
            "lost": dict(pulled.lost),
        }
        print_data(json.dumps(record, ensure_ascii=False))
    else:
        for name, count in pulled.changes.items():
            print_data(f"{printable(name)}: {changes_text(count)}")
        for conflict in pulled.conflicts:
            print_data(printable(f"{conflict.file_name}: CONFLICT: {conflict.reason}"))
    state = "would be written" if dry_run else "written"
    notes.print(
        f"{output}: {state}: {len(pulled.masks.annotations)} regions; "
        f"{changes_text(total(pulled.changes))}",
    )
    for what, times in (+pulled.images).items():
        notes.print(f"images {what}: {times}")
    for text, times in pulled.lost.items():
        notes.print(f"left out: {text} ({times} times)")
    if not trusted and fixations is None:
        notes.print("the server holds no fixations: --masks names the file that has them")
    if pulled.conflicts:
        notes.print(f"{len(pulled.conflicts)} conflicts left unchanged; --prefer takes a side")
        raise typer.Exit(1)


def _push(
    masks: Any,
    folder: Path,
    title: str,
    client: Client,
    document_root: Path,
    dry_run: bool,
    served: Path | None = None,
) -> None:
    """Push, and report what was done."""
    from ...datasets.stimuli import Stimuli
    from ..labelstudio.codec import local_url
    from ..labelstudio.push import push as send

    stimuli = Stimuli(folder, tuple(masks.images))
    served = served or folder  # the images' folder as the server sees it
    if document_root.absolute() not in served.absolute().parents:
        raise InputError(f"{served}: is not below the document root {document_root}")

    def address(image: Any) -> str:
        path = served / stimuli.path(image).relative_to(folder)
        return local_url(path.relative_to(document_root.absolute()).as_posix())

    plan, project = send(masks, client, title, address, str(served), dry_run, progress)
    verb = "to be " if dry_run else ""
    notes.print(
        f"{client.url}: project {title!r}: {len(plan.add)} images {verb}added, "
        f"{len(plan.predict)} {verb}updated, {len(plan.delete)} duplicates {verb}removed",
    )
    if plan.annotated:
        notes.print(
            f"{plan.annotated} of them are already annotated; those annotations stay unchanged"
        )
    if plan.foreign:
        notes.print(f"{len(plan.foreign)} images of the project are not in the mask file")
    if project is not None:
        notes.print(f"label at {client.url}/projects/{project.id}")


def _refuse_unused(context: typer.Context, serve: bool, *others: str) -> None:
    if serve:
        refuse_given(context, "does nothing with --serve", "url", *others)
    else:
        refuse_given(context, "does nothing without --serve", "port")


def _uuid(masks: Any) -> str | None:
    from ..labelstudio.push import project_uuid

    return None if masks is None else project_uuid(masks)


def _client(url: str) -> Client:
    from ..labelstudio.client import Client

    token = os.environ.get("LABEL_STUDIO_API_KEY")
    if not token:
        token = _secret("LABEL_STUDIO_API_KEY", f"Token of {url} (Account & Settings)")
    return Client(url, token)


def _secret(variable: str, question: str, confirm: bool = False) -> str:
    if not sys.stdin.isatty():
        raise InputError(f"{variable} is not set, and there is no terminal to ask on")
    return typer.prompt(question, hide_input=True, confirmation_prompt=confirm, err=True)


@contextmanager
def _connected(url: str, serve: bool, port: int) -> Iterator[Client]:
    from ..labelstudio.client import Client

    if not serve:
        with _client(url) as client:
            yield client
        return
    with _local(port) as (server, _), Client(str(server.url), server.token()) as client:
        yield client


@contextmanager
def _local(port: int) -> Iterator[tuple[LocalServer, subprocess.Popen | None]]:
    """Yield the local server, and its process if it had to be started."""
    from ..labelstudio.server import EMAIL, VERSION, LocalServer, stop

    server = LocalServer.default()
    if server.url is not None:
        yield server, None
        return
    if not server.is_installed:
        with working(f"installing Label Studio {VERSION} (about 1 GB, only once)"):
            server.install()
    password = None
    if not server.is_set_up:
        password = os.environ.get("LABEL_STUDIO_PASSWORD") or _secret(
            "LABEL_STUDIO_PASSWORD", f"Choose a password for {EMAIL}", confirm=True
        )
    with working("starting Label Studio"):
        process = server.start(port, password)
    try:
        notes.print(f"Label Studio: {server.url}, log in as {EMAIL}")
        yield server, process
    finally:
        stop(process)


def _wait(process: subprocess.Popen) -> None:
    """Wait until Ctrl-C or SIGTERM stops the server."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        process.wait()
    except KeyboardInterrupt:
        notes.print("stopped")
        return
    raise InputError("Label Studio stopped unexpectedly")

"""A page with all that belongs to it, written as a folder or as one file."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.console import RenderableType

from ....datasets.files import atomic_write
from ....datasets.texts import printable
from .blocks import blocks_of

STYLE = "report.css"
SCRIPTS = ("parts.js", "plots.js", "report.js")
MARK = '<meta name="generator" content="salprobe report">'
"""What tells a report from other pages."""

_HERE = Path(__file__).parent
_FOLDER_POLICY = "script-src 'self' file:; style-src 'self' file:; img-src 'self' file:"
_REST = "base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class Page:
    """A page, before it is written.

    Attributes
    ----------
    template : str
    values : dict
        What the template shows.
    data : dict
        What its scripts load, by name: plain data.
    tables : dict of str
        Files that can be downloaded from it, by where they lie in its folder.
    """

    template: str
    values: Mapping[str, Any]
    data: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the page as ``index.html`` and what it loads, beside ``pictures/`` if there are."""
        if self.data:
            (folder / "data").mkdir()
        for name, text in self.tables.items():
            (folder / name).write_text(text, "utf-8")
        for name, content in self.data.items():
            script = f"salprobe.receive({json.dumps(name)},{_compact(content)});\n"
            (folder / "data" / f"{name}.js").write_text(script, "utf-8")
        for name in (STYLE, *(SCRIPTS if self.data else ())):
            shutil.copyfile(_HERE / name, folder / name)
        page = self._render(
            inline=None,
            policy=_FOLDER_POLICY,
            files=[(Path(name).name, name) for name in self.tables],
            picture=lambda name: f"pictures/{name}",
        )
        (folder / "index.html").write_text(page, "utf-8")

    def single(self, pictures: Path | None = None) -> str:
        """Return the page as one file.

        Parameters
        ----------
        pictures : Path, optional
            The folder of its pictures.
        """
        drawn = {
            path.name: _address(path.read_bytes(), "image/webp")
            for path in (sorted(pictures.iterdir()) if pictures is not None else ())
        }
        figures = {name for _, name, *_ in self.values.get("figures", ())}
        data = dict(self.data)
        if drawn.keys() - figures:
            data["pictures"] = {name: drawn[name] for name in drawn.keys() - figures}
        style = (_HERE / STYLE).read_text("utf-8")
        scripts = [(_HERE / name).read_text("utf-8") for name in SCRIPTS if data]
        hashes = " ".join(map(_hash, scripts)) or "'none'"
        # `<` would end the element, or begin a comment, wherever a name holds it.
        inline = {
            "style": style,
            "scripts": scripts,
            "data": [
                (name, _compact(content).replace("<", "\\u003c")) for name, content in data.items()
            ],
        }
        policy = f"script-src {hashes}; style-src {_hash(style)}; img-src data:"
        files = [  # what else is a file beside a folder's page is in this one anyway
            (Path(name).name, _address(text.encode(), "text/csv;charset=utf-8"))
            for name, text in self.tables.items()
            if name.endswith(".csv")
        ]
        return self._render(inline=inline, policy=policy, files=files, picture=drawn.get)

    def write_single(self, path: Path, pictures: Path | None = None) -> Path:
        """Write the page as one file, and return its path; see `single`."""
        text = self.single(pictures)
        with atomic_write(path) as file:
            file.write(text.encode())
        return path

    def _render(self, **form: Any) -> str:
        policy = f"default-src 'none'; {form.pop('policy')}; {_REST}"
        pages = Environment(
            loader=FileSystemLoader(_HERE),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        template = pages.get_template(self.template)
        return template.render(**self.values, **form, policy=policy, scripts=SCRIPTS)


def as_html(view: RenderableType, title: str) -> str:
    """Return a terminal view as an HTML page in one file, which may load and run nothing."""
    values = {"title": printable(title), "blocks": list(blocks_of(view))}
    return Page("view.html", values).single()


def _compact(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def _address(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _hash(text: str) -> str:
    """Return what a policy calls a script or style that stands in the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

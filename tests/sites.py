"""What tests of reports share: an evil name, a report's data, and a watched browser page."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from PIL import Image

EVIL = "<img src=x onerror=alert(1)>"
"""A name that does harm wherever it is taken for markup."""


def data(site: Path, name: str) -> Any:
    """Return the content of a data script."""
    text = (site / "data" / f"{name}.js").read_text("utf-8")
    start = f"salprobe.receive({json.dumps(name)},"
    assert text.startswith(start) and text.endswith(");\n")
    return json.loads(text.removeprefix(start).removesuffix(");\n"))


def write_fields(folder: Path) -> None:
    """Write what `probe fields` leaves, with numbers by hand: estimating fields takes a minute."""
    folder.mkdir()
    network = {"model": "toy", "weights": {"source": "random"}, "input_size": [64, 64]}
    record = {
        "networks": {"before": network},
        "layers": {"conv": {"side": 7, "stride": 2, "block": 1, "grid": 7}},
        "parameters": {"best": 2, "noise": 4, "seed": 0},
        "command": "probe fields toy pictures",
    }
    (folder / "fields.json").write_text(json.dumps(record))
    rows = ["layer,measure,estimate,units,before,before_low,before_high"]
    rows += [f"conv,reliability,{one},24,0.51,0.4,0.62" for one in ("gradient", "noise")]
    rows += ["conv,opponent,,24,0.25,0.1,0.4", "conv,suppression,,24,0.33,,"]
    (folder / "shares.csv").write_text("\n".join(rows))
    Image.new("RGB", (300, 200), (90, 90, 90)).save(folder / "fields.png")


class Tags(HTMLParser):
    """The tags of a page with their attributes, and what stands in its scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in ("script", "style") and data.strip():
            self.inline.append((self.tags[-1][0], data))

    @property
    def policy(self) -> str:
        """The page's content-security policy."""
        found = [one for _, one in self.tags if one.get("http-equiv") == "Content-Security-Policy"]
        assert len(found) == 1
        return str(found[0]["content"])


class Watched:
    """A page opened from disk, and everything it should not do."""

    def __init__(self, browser: Any, site: Path, **options: Any) -> None:
        self.site = site
        self.page = browser.new_page(**options)
        self.wrong: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.wrong.append("dialog"), dialog.dismiss()))
        self.page.on("request", self._asked)
        self.page.on("requestfailed", lambda request: self.wrong.append(request.url))

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.site.as_uri(), "data:image/webp;base64,")):
            self.wrong.append(request.url)

    def open(self, address: str = "") -> Any:
        """Open the first page, or what an address names there."""
        first = self.site if self.site.suffix == ".html" else self.site / "index.html"
        self.page.goto("about:blank")
        self.page.goto(f"{first.as_uri()}{address}")
        if address:
            self.page.wait_for_selector("#detail h2")
        else:
            self.page.wait_for_function("document.querySelector('#detail')?.hidden ?? true")
        return self.page

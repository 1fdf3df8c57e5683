"""The tutorials run, find what they say, and their pages show the code that ran."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parent.parent / "docs"
TUTORIALS = sorted((DOCS / "tutorials").glob("*.py"))


def cells(source: str) -> list[str]:
    """Return the code cells of a notebook in the percent format."""
    parts = re.split(r"^# %%(.*)\n", source, flags=re.MULTILINE)
    heads, bodies = parts[1::2], parts[2::2]
    return [
        body.strip() for head, body in zip(heads, bodies, strict=True) if "[markdown]" not in head
    ]


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_page_shows_the_code_that_ran(path: Path) -> None:
    page = path.with_suffix(".md").read_text("utf-8")
    shown = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert [one.strip() for one in shown] == cells(path.read_text("utf-8"))
    for name in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page):
        assert (path.parent / name).is_file(), name
    assert "![png]" not in page


@pytest.mark.slow
def test_the_sample_leads_to_its_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a notebook, output and all, where Jupyter is installed (the extra `docs`)."""
    pytest.importorskip("ipykernel")
    pytest.importorskip("jupytext")
    pytest.importorskip("nbconvert")
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    tools: dict[str, Any] = runpy.run_path(str(DOCS / "notebooks.py"))
    notebook = tools["executed"]("sample")
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 5
    (table,) = [
        output["data"]["text/plain"]
        for output in outputs
        if "nmm_crossval" in output.get("data", {}).get("text/plain", "")
    ]
    rows = [line.split() for line in table.splitlines()[2:]]
    found = {(row[-5], row[-4]): [float(value) for value in row[-3:]] for row in rows}
    assert found["centre_surround", "orientation"] == [0, 0, 0]
    for layer, feature in (
        ("centre_surround", "hue"),
        ("log_gabor", "hue"),
        ("log_gabor", "orientation"),
    ):
        assert found[layer, feature][1] > 0, (layer, feature)  # the interval is above chance

"""The import rules of the floors, and what must not be loaded."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = {
    "datasets": {"datasets"},
    "annotate": {"annotate", "datasets"},
    "probe": {"probe", "datasets"},
    "tui": {"tui", "annotate", "probe", "datasets"},
}
# A library that only some files may import.
ONLY = {
    "torch": ("probe/",),
    "torchvision": ("probe/",),
    "textual": ("tui/",),
    "label_studio_sdk": ("annotate/labelstudio/",),
}
# The door up: the `review` commands start the TUI by a lazy import.
DOORS = ("annotate/cli.py", "probe/cli.py")

FILES = [path for floor in FLOORS for path in sorted((ROOT / floor).rglob("*.py"))]


def imports(path: Path) -> list[tuple[str, bool]]:
    """Return (absolute name, whether inside a function) of everything a file imports."""
    tree = ast.parse(path.read_text("utf-8"))
    package = ("salprobe", *path.relative_to(ROOT).parts[:-1])
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    lazy = {id(node) for function in functions for node in ast.walk(function)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in lazy) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            name = ".".join([*base, *([node.module] if node.module else [])])
            found.append((name, id(node) in lazy))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_its_floor_may(path: Path) -> None:
    where = path.relative_to(ROOT).as_posix()
    floor = where.split("/")[0]
    for name, lazy in imports(path):
        parts = name.split(".")
        assert parts[0] not in FLOORS, f"{where} imports {name}: inside the package use dots"
        if parts[0] == "salprobe" and len(parts) > 1:
            door = where in DOORS and lazy and parts[1] == "tui"
            assert parts[1] in FLOORS[floor] or door, f"{where} may not import {name}"
        allowed = ONLY.get(parts[0])
        assert allowed is None or where.startswith(allowed), f"{where} may not import {name}"


def test_the_rules_catch_a_breach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "datasets" / "bad.py"
    file.parent.mkdir()
    file.write_text("from ..probe.run import Run\n")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    with pytest.raises(AssertionError, match=r"may not import salprobe\.probe\.run"):
        test_a_file_imports_only_what_its_floor_may(file)


def modules_after(code: str, *arguments: object) -> set[str]:
    script = (
        f"import sys; sys.argv = {['x', *map(str, arguments)]!r}\n"
        f"try:\n    {code}\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('\\nMODULES', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rsplit("MODULES", 1)[1].split())


@pytest.mark.parametrize("program", ["annotate", "probe"])
def test_help_loads_nothing_heavy(program: str) -> None:
    loaded = modules_after(f"from salprobe.{program}.cli import main; main()", "--help")
    assert f"salprobe.{program}.cli" in loaded
    assert not loaded & {"torch", "numpy", "pandas", "textual", "sklearn", "pydantic"}


def test_clustering_never_loads_torch(tmp_path: Path) -> None:
    code = "from salprobe.annotate.cli import main; main()"
    modules_after(code, "fetch", "sample", "--root", tmp_path / "sample")
    for method in ("mean-shift", "hdbscan", "dbscan"):
        output = tmp_path / f"{method}.json"
        loaded = modules_after(
            code, "cluster", tmp_path / "sample", "-o", output, "--method", method
        )
        assert output.exists()
        assert "shapely" in loaded
        assert not loaded & {"torch", "torchvision", "textual"}

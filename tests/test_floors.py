"""The import rules of the house: its floors, their rooms, and what must not be loaded."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = {
    "salprobe": set(),
    "datasets": {"datasets"},
    "terminal": {"terminal", "datasets"},
    "annotate": {"annotate", "datasets", "terminal"},
    "probe": {"probe", "datasets", "terminal"},
    "tui": {"tui", "annotate", "probe", "datasets"},
}
# Each floor's rooms, the lowest first: a room imports only those before it. A floor's own files
# are its room "".
ROOMS = {
    "datasets": ("", "readers", "masks", "gaze", "catalogue", "published", "sources"),
    "annotate": (*("", "regions", "labels", "review", "labelstudio", "formats", "popout", "cli"),),
    "probe": (
        *(
            "",
            "records",
            "sources",
            "architectures",
            "layers",
            "networks",
            "statistics",
            "scoring",
            "runs",
            "explain",
            "saliency",
        ),
        *("training", "popout", "analysis", "dissection", "fields", "inside"),
        *("experiments", "views", "cli"),
    ),
    "terminal": ("",),
    "tui": ("", "frame", "stimulus", "outlines", "labels", "results"),
}
# A library that only some files may import.
ONLY = {
    "torch": ("probe/",),
    "torchvision": ("probe/",),
    "textual": ("tui/",),
    "jinja2": ("probe/views/report/",),
    "label_studio_sdk": ("annotate/labelstudio/",),
    "matplotlib": ("annotate/labels/stats.py", "annotate/popout/", "probe/views/", "tui/"),
    "typer": ("annotate/cli/", "probe/cli/", "terminal/"),
    "rich": (
        *("annotate/cli/", "annotate/labels/tables.py", "probe/cli/", "probe/views/"),
        *("terminal/", "tui/"),
    ),
}
# The doors up, by a lazy import: the `review` commands start the TUI, and the package that can be
# called reaches its function.
DOORS = {
    "annotate/cli/main.py": "salprobe.tui",
    "probe/cli/main.py": "salprobe.tui",
    "probe/__init__.py": "salprobe.probe.runs.probing",
}
LARGEST_ROOM = 12

FILES = [path for floor in FLOORS for path in sorted((ROOT / floor).rglob("*.py"))]


def imports(path: Path) -> list[tuple[str, bool]]:
    """Return (absolute name, whether inside a function) of everything a file imports."""
    tree = ast.parse(path.read_text("utf-8"))
    package = [part for part in path.relative_to(ROOT).parts[:-1] if part != "salprobe"]
    package = ["salprobe", *package]
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    lazy = {id(node) for function in functions for node in ast.walk(function)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in lazy) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            name = ".".join([*base, *([node.module] if node.module else [])])
            if node.level and is_package(name):
                found += [(f"{name}.{alias.name}", id(node) in lazy) for alias in node.names]
            else:
                found.append((name, id(node) in lazy))
    return found


def is_package(name: str) -> bool:
    return ROOT.joinpath(*name.split(".")[1:]).is_dir()


def room(floor: str, name: str) -> int:
    """Return the place of the room that a module (``salprobe.probe.runs.run``) lies in."""
    parts = name.split(".")[2:]
    inside = parts and ROOT.joinpath(floor, parts[0]).is_dir()
    return ROOMS[floor].index(parts[0] if inside else "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_its_place_may(path: Path) -> None:
    where = path.relative_to(ROOT).as_posix()
    floor = where.split("/")[0]
    for name, lazy in imports(path):
        parts = name.split(".")
        assert parts[0] not in FLOORS.keys() - {"salprobe"}, f"{where}: {name} needs dots"
        if parts[0] == "salprobe" and len(parts) > 1 and parts[1] in FLOORS:
            if lazy and name.startswith(DOORS.get(where, "nowhere")):
                continue
            assert parts[1] in FLOORS[floor], f"{where} may not import {name}"
            if parts[1] == floor:
                own = "salprobe." + where.removesuffix(".py").replace("/", ".")
                assert room(floor, name) <= room(floor, own), f"{where} may not import {name}"
        allowed = ONLY.get(parts[0])
        assert allowed is None or where.startswith(allowed), f"{where} may not import {name}"


def test_every_mapped_folder_is_a_floor() -> None:
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    assert set(setup["package-dir"].values()) == set(FLOORS)


@pytest.mark.parametrize("floor", ROOMS)
def test_every_room_has_a_place_and_a_line_that_says_what_it_is(floor: str) -> None:
    folders = [path for path in (ROOT / floor).rglob("*") if (path / "__init__.py").is_file()]
    assert {path.relative_to(ROOT / floor).parts[0] for path in folders} | {""} == set(ROOMS[floor])
    for folder in (ROOT / floor, *folders):
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))), folder
        assert len(list(folder.glob("*.py"))) - 1 <= LARGEST_ROOM, folder


def test_no_file_imports_itself_in_a_circle() -> None:
    graph = {}
    for path in FILES:
        own = path.relative_to(ROOT).with_suffix("").as_posix().removeprefix("salprobe/")
        graph[f"salprobe.{own.replace('/', '.')}"] = {name for name, _ in imports(path)}
    done: set[str] = set()
    while ready := {k for k in graph.keys() - done if not (graph[k] & graph.keys()) - done - {k}}:
        done |= ready
    assert not graph.keys() - done


@pytest.mark.parametrize(
    ("place", "line", "said"),
    [
        ("datasets/bad.py", "from ..probe.runs.run import Run", r"salprobe\.probe\.runs\.run"),
        ("datasets/bad.py", "from ..terminal.console import notes", r"salprobe\.terminal\.console"),
        ("terminal/bad.py", "from ..probe.runs.run import Run", r"salprobe\.probe\.runs\.run"),
        ("tui/bad.py", "from ..terminal.console import notes", r"salprobe\.terminal\.console"),
        ("probe/networks/bad.py", "from ..views import cells", r"salprobe\.probe\.views\.cells"),
        ("annotate/labels/bad.py", "from ..cli.main import app", r"salprobe\.annotate\.cli\.main"),
        ("probe/analysis/bad.py", "import matplotlib", "matplotlib"),
    ],
)
def test_the_rules_catch_a_breach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, line: str, said: str
) -> None:
    for floor, rooms in ROOMS.items():
        for name in rooms:
            (tmp_path / floor / name).mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text(f"{line}\n")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    with pytest.raises(AssertionError, match=rf"may not import {said}"):
        test_a_file_imports_only_what_its_place_may(tmp_path / place)


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
    loaded = modules_after(f"from salprobe.{program}.cli.main import main; main()", "--help")
    assert f"salprobe.{program}.cli.main" in loaded
    assert not loaded & {"torch", "numpy", "pandas", "textual", "sklearn", "pydantic"}


def test_clustering_never_loads_torch(tmp_path: Path) -> None:
    code = "from salprobe.annotate.cli.main import main; main()"
    modules_after(code, "fetch", "sample", "--root", tmp_path / "sample")
    for method in ("mean-shift", "hdbscan", "dbscan"):
        output = tmp_path / f"{method}.json"
        loaded = modules_after(
            code, "cluster", tmp_path / "sample", "-o", output, "--method", method
        )
        assert output.exists()
        assert "shapely" in loaded
        assert not loaded & {"torch", "torchvision", "textual"}


def test_the_ground_floor_loads_no_terminal() -> None:
    names = ("sources.load", "sources.salicon", "sources.fetch", "masks.mask_set")
    code = "; ".join(f"import salprobe.datasets.{name}" for name in names)
    assert not modules_after(code) & {"typer", "rich", "torch", "textual"}

"""What an install brings: every package, every file beside the code, and the tests' own needs."""

import fnmatch
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
FLOORS = {Path(folder): package for package, folder in SETUP["package-dir"].items()}
NEEDED = ("tests", "benchmarks", "docs", ".ci")
"""Folders that the source distribution holds beside the packages."""


def files(folder: Path) -> list[Path]:
    """Return the files below a folder, relative to the root, less what Python leaves behind."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(ROOT) for path in paths if "__pycache__" not in path.parts)


def package_of(folder: Path) -> str:
    """Return the package that a folder, relative to the root, is installed as."""
    floor, *rooms = folder.parts
    return ".".join([FLOORS[Path(floor)], *rooms])


def test_every_folder_of_code_is_a_package_that_is_installed() -> None:
    code = [path for floor in FLOORS for path in files(ROOT / floor) if path.suffix == ".py"]
    assert {package_of(path.parent) for path in code} == set(SETUP["packages"])
    for folder in {path.parent for path in code}:
        assert (ROOT / folder / "__init__.py").is_file(), folder
    floors = {path.parent.relative_to(ROOT) for path in ROOT.glob("[!.]*/__init__.py")}
    assert floors == FLOORS.keys()


def test_every_file_beside_the_code_is_installed_and_no_pattern_is_idle() -> None:
    patterns = SETUP["package-data"]
    used = set()
    for path in (path for floor in FLOORS for path in files(ROOT / floor)):
        if path.suffix in (".py", ".pyi"):
            continue
        package = package_of(path.parent)
        matching = [one for one in patterns.get(package, ()) if fnmatch.fnmatch(path.name, one)]
        assert matching, f"{path} is not in package-data"
        used |= {(package, pattern) for pattern in matching}
    assert used == {(package, pattern) for package in patterns for pattern in patterns[package]}


def test_make_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    targets = re.findall(r"^([a-z]+):", text, flags=re.MULTILINE)
    listed = re.findall(r"^([a-z]+):.*##", text, flags=re.MULTILINE)
    phony = re.findall(r"^\.PHONY: (.*)", text, flags=re.MULTILINE)
    assert sorted(targets) == sorted(listed) == sorted(phony[0].split())


def test_the_distributions_hold_what_the_folders_hold(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, source)
    for folder in (*FLOORS, *NEEDED):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, source / folder, ignore=ignored)

    def build(kind: str, tree: Path) -> Path:
        script = f"from setuptools.build_meta import *; print(build_{kind}({str(tmp_path)!r}))"
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=tree, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return tmp_path / done.stdout.split()[-1]

    sdist = build("sdist", source)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    for folder in (*FLOORS, *NEEDED):
        for path in files(ROOT / folder):
            assert (unpacked / path).is_file(), path
    for name in ("Makefile", "CHANGELOG.md", "CITATION.cff", "constraints.txt", "mkdocs.yml"):
        assert (unpacked / name).is_file(), name

    with zipfile.ZipFile(build("wheel", unpacked)) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    installed = [path for floor in FLOORS for path in files(ROOT / floor)]
    assert names == {
        Path(*package_of(path.parent).split("."), path.name).as_posix() for path in installed
    }


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    codemeta = json.loads((ROOT / "codemeta.json").read_text("utf-8"))
    assert project["version"] == citation["version"] == codemeta["version"]
    assert project["description"] == codemeta["description"]
    assert citation["keywords"] == codemeta["keywords"]
    dois = {one["identifier"] for one in codemeta["referencePublication"]}
    assert dois == {f"https://doi.org/{one['doi']}" for one in citation["references"]}


def test_the_package_index_gets_no_relative_address() -> None:
    text = (ROOT / "docs" / "package.md").read_text("utf-8")
    addresses = re.findall(r"\]\(([^)]*)\)", text)
    assert addresses and all(one.startswith("https://") for one in addresses)
    for one in addresses:
        path = one.partition("/blob/main/")[2]
        assert not path or (ROOT / path).is_file(), one

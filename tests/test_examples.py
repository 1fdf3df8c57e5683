"""The examples in docstrings hold."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ("annotate", "datasets", "probe", "salprobe", "terminal", "tui")
FILES = [path.relative_to(ROOT) for floor in FLOORS for path in (ROOT / floor).rglob("*.py")]
SHOWING = sorted(path for path in FILES if ">>>" in (ROOT / path).read_text("utf-8"))


@pytest.mark.parametrize("path", SHOWING, ids=Path.as_posix)
def test_the_examples_give_what_they_say(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rooms = [part for part in path.with_suffix("").parts if part not in ("salprobe", "__init__")]
    module = importlib.import_module(".".join(["salprobe", *rooms]))
    monkeypatch.chdir(tmp_path)
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(module, optionflags=options, verbose=False)
    assert result.attempted
    assert not result.failed, capsys.readouterr().out

"""`make mutants`: does a test notice when the code that results hang on is changed?

mutmut changes one expression at a time (mutants) in a copy of the repository, laid out as the
package ``salprobe``, and runs the tests that reach the function. Prints the share of mutants that
fail a test, by module, and the diffs of those that survive.
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
COPY = ROOT / ".cache" / "mutants"
FOLDERS = ("annotate", "datasets", "probe", "terminal", "tui")

MODULES = (
    "probe/statistics/cross_fit.py",
    "probe/statistics/category_tests.py",
    "probe/statistics/selectivity.py",
    "probe/scoring/batches.py",
    "probe/scoring/loading.py",
    "probe/scoring/nss.py",
    "probe/scoring/scorer.py",
    "probe/saliency/metrics.py",
    "annotate/labels/agree.py",
    "annotate/labels/merge.py",
)

# mutmut finds out which of their tests reach a function, and runs those.
TESTS = (
    "tests/test_agree.py",
    "tests/test_batches.py",
    "tests/test_cross_fit.py",
    "tests/test_fixation_metrics.py",
    "tests/test_matching.py",
    "tests/test_output.py",
    "tests/test_resume.py",
    "tests/test_run.py",
    "tests/test_scoring.py",
    "tests/test_statistics.py",
    "tests/test_suggest.py",
)

# Those that start commands would take most of the time.
SKIPPED = (
    "tests/test_agree.py::test_the_commands",
    "tests/test_run.py::test_formats",
    "tests/test_suggest.py::test_the_command",
)

# Its five collections of garbage at the end take longer than most tests.
FASTER = ("-p", "no:unraisableexception")

# What is left out: texts of messages, which tests quote in part; the cache, as a decorated
# function is never changed; strict=True, which can only ever say that a caller is wrong.
NOT_CHANGED = ["raise InputError", "raise ValueError", r"notes\.print"]
TAKEN_OUT = re.compile(r"@lru_cache\(.*\)\n|,\s*strict=True|strict=True,\s*")

SECTION = f"""
[tool.mutmut]
source_paths = ["salprobe"]
only_mutate = {[f"salprobe/{name}" for name in MODULES]}
do_not_mutate_patterns = {NOT_CHANGED}
pytest_add_cli_args_test_selection = {list(TESTS)}
pytest_add_cli_args = {[*FASTER, *(f"--deselect={name}" for name in SKIPPED)]}
process_isolation = "forkserver"
timeout_multiplier = 5.0
timeout_constant = 4.0
"""


def copy() -> None:
    shutil.rmtree(COPY, ignore_errors=True)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "salprobe", COPY / "salprobe", ignore=ignore)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, COPY / "salprobe" / name, ignore=ignore)
    shutil.copytree(ROOT / "tests", COPY / "tests", ignore=ignore)
    for name in MODULES:
        path = COPY / "salprobe" / name
        path.write_text(TAKEN_OUT.sub("", path.read_text("utf-8")), "utf-8")
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    (COPY / "pyproject.toml").write_text(text + SECTION, "utf-8")


def mutants() -> list[str]:
    from mutmut.mutation.file_mutation import mutate_file_contents
    from mutmut.utils.format_utils import get_mutant_name

    names = []
    for module in MODULES:
        path = Path("salprobe") / module
        made = mutate_file_contents(str(path), path.read_text("utf-8"))
        names += [get_mutant_name(path, name) for name in made.mutant_names]
    return names


def results(names: list[str]) -> dict[str, str]:
    """Return each mutant's fate: ``killed``, ``survived``, ``timeout``, ``no tests`` …"""
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.stats import status_by_exit_code

    fates = {}
    for module in MODULES:
        data = SourceFileMutationData(path=Path("salprobe") / module)
        data.load()
        fates |= {name: status_by_exit_code[code] for name, code in data.exit_code_by_key.items()}
    return {name: fates[name] for name in names}


def report(fates: dict[str, str]) -> None:
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    survivors = [name for name, fate in fates.items() if fate not in ("killed", "timeout")]
    for name in survivors:
        print(f"\n{name}: {fates[name]}")
        lines = get_diff_for_mutant(name).splitlines()
        print("\n".join(line for line in lines if re.match(r"[-+](?![-+])|@@", line)))
    print()
    for module in MODULES:
        start = f"salprobe/{module.removesuffix('.py')}".replace("/", ".") + "."
        here = [fate for name, fate in fates.items() if name.startswith(start)]
        killed = sum(fate in ("killed", "timeout") for fate in here)
        if here:
            print(f"{module:40} {killed:4} of {len(here):4}  {killed / len(here):4.0%}")
    killed = len(fates) - len(survivors)
    print(f"{'all':40} {killed:4} of {len(fates):4}  {killed / len(fates):4.0%}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sample", type=int, help="try so many, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    copy()
    os.chdir(COPY)
    Path("mutants").mkdir()  # Python forgets a folder in its path that is not there yet
    # Commands that tests start are to find the copy, not what is installed; threads do not
    # outlive a fork, and slow two of them on one core.
    os.environ |= {"PYTHONPATH": str(COPY / "mutants"), "OMP_NUM_THREADS": "1"}
    os.environ.pop("SALPROBE_DATA", None)
    names = mutants()
    if asked.sample and asked.sample < len(names):
        names = sorted(random.Random(asked.seed).sample(names, asked.sample))
    print(f"{len(names)} mutants", flush=True)
    subprocess.run([sys.executable, "-m", "mutmut", "run", *names], check=True)
    report(results(names))


if __name__ == "__main__":
    main()

"""Print constraints.txt: the versions that pip chooses today for ``.[dev,docs]``."""

import json
import subprocess
import sys

HEADER = """\
# The versions that are tested: what `.[dev,docs]` resolves to on Linux with Python 3.11.
# `make lock` renews them; `make demo CONSTRAINTS=constraints.txt` installs them.
# The libraries of CUDA are left to torch, which pins its own for each platform.
"""
LEFT_TO_TORCH = ("cuda-", "nvidia-", "triton")


def main() -> None:
    resolve = "install --dry-run --ignore-installed --quiet --report - .[dev,docs]"
    report = subprocess.run(
        [sys.executable, "-m", "pip", *resolve.split()], stdout=subprocess.PIPE, check=True
    )
    chosen = (one["metadata"] for one in json.loads(report.stdout)["install"])
    versions = {one["name"].lower().replace("_", "-"): one["version"] for one in chosen}
    print(HEADER, end="")
    for name in sorted(versions.keys() - {"salprobe"}):
        if not name.startswith(LEFT_TO_TORCH):
            print(f"{name}=={versions[name].split('+')[0]}")  # no +cpu: a local build's name


if __name__ == "__main__":
    main()

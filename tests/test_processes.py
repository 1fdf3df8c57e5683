"""Several processes, on one machine or on two: they meet, agree, and notice who is dead."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from spread import run_and_train
from torch import distributed

from salprobe.datasets.errors import InputError
from salprobe.probe import processes as module
from salprobe.probe.networks.device import resolve_device
from salprobe.probe.processes import first_process, processes

TESTS = Path(__file__).parent
PROBE = Path(sys.executable).with_name("probe")
FILES = ("scores.npy", "shuffled.npy", "regions.parquet", "images.parquet", "units.parquet")
RAN_S = 120

Start = Callable[..., subprocess.Popen[str]]


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start one of two processes, as srun does: their environment says who they are."""
    port, started = free_port(), []

    def begin(rank: int, *words: object, world: int = 2, **changes: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            **{"OMP_NUM_THREADS": "1", "PYTHONPATH": str(TESTS), "MASTER_ADDR": "127.0.0.1"},
            **{"MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": str(world)},
            **changes,
        }
        process = subprocess.Popen(
            [str(word) for word in words],
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def words(world: Path, out: Path, *more: object) -> list[object]:
    masks = ("--masks", world / "masks.json", "--root", world, "--out", out, "--batch-size", 1)
    network = ("--model", "gabor", "--input-size", "32x32", "--device", "cpu")
    return [PROBE, "run", *masks, *network, *more]


def own_words(text: str) -> str:
    """Return what probe says on stderr, without torch's words."""
    return "\n".join(line for line in text.splitlines() if line.startswith("probe: "))


@pytest.mark.slow
def test_processes_without_torchrun_give_the_bytes_of_one(
    small_world: Path, tmp_path: Path, start: Start
) -> None:
    two = [start(rank, *words(small_world, tmp_path / "two")) for rank in (0, 1)]
    said = [process.communicate(timeout=RAN_S) for process in two]
    assert [process.returncode for process in two] == [0, 0], said
    assert [text.count("Regions:") for text, _ in said] == [1, 0]  # the first alone prints
    assert "report" not in said[1][1]
    one = start(5, *words(small_world, tmp_path / "one"), world=1)  # alone, whatever its RANK
    assert "Regions:" in one.communicate(timeout=RAN_S)[0]
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert {path.name for path in (tmp_path / "two").iterdir()} == {
        path.name for path in (tmp_path / "one").iterdir()
    }


@pytest.mark.slow
def test_another_folder_or_another_job_is_refused_by_all(
    small_world: Path, tmp_path: Path, start: Start
) -> None:
    """As where a machine has another disk at the folder's place, or another version of a file."""
    cases = {
        "folder": ((tmp_path / "mine", tmp_path / "yours"), ((), ()), "drive that all machines"),
        "job": ((tmp_path / "run",) * 2, ((), ("--seed", 1)), "(seed: 0, now 1)"),
        "input": ((tmp_path / "in",) * 2, ((), ("--root", tmp_path)), "no such image"),
    }
    begun = {}
    for case, (folders, more, _) in cases.items():
        port = {"MASTER_PORT": str(free_port())}
        begun[case] = [
            start(rank, *words(small_world, folders[rank], *more[rank]), **port) for rank in (0, 1)
        ]
    for case, (folders, _, expected) in cases.items():
        two = begun[case]
        said = [own_words(process.communicate(timeout=RAN_S)[1]) for process in two]
        assert [process.returncode for process in two] == [2, 2], (case, said)
        assert expected in said[1] and "\n" not in said[1], (case, said)
        assert "run the same command again" in said[0] and "\n" not in said[0], (case, said)
        assert not (folders[0] / "scores.npy").exists()


SCRIPT = """
import sys, time
from pathlib import Path
from salprobe.datasets.errors import InputError
from salprobe.probe import processes as module
module.BEAT_S, module.LOST_S, module._LEAVE_S = 0.2, 1.0, 1.0
try:
    with module.processes() as team:
        team.wait()
        print("met", flush=True)
        {rest}
except InputError as error:
    print(error, flush=True)
    sys.exit(2)
"""


@pytest.mark.parametrize(
    ("rest", "how", "said"),
    [
        ("team.wait()", signal.SIGKILL, "process 1 on .* gives no sign of life; run the same"),
        pytest.param(
            *("team.wait()", signal.SIGINT, "process 1 on .* has stopped; run the same command"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("time.sleep(60)", signal.SIGSTOP, "process 1 on .* gives no sign of life"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_nobody_waits_for_a_dead_process(
    rest: str, how: signal.Signals, said: str, start: Start
) -> None:
    script = SCRIPT.format(rest=f"{rest} if team.rank == 0 else time.sleep(60)")
    first, second = (start(rank, sys.executable, "-c", script) for rank in (0, 1))
    assert second.stdout is not None
    assert second.stdout.readline() == "met\n"
    second.send_signal(how)
    began = time.monotonic()
    text, error = first.communicate(timeout=RAN_S)
    assert first.returncode == 2, error
    assert time.monotonic() - began < 20
    assert re.search(said, text), text


def test_a_silent_store_ends_its_clients(start: Start) -> None:
    """Torch waits without end for a machine that is silent, where no signal interrupts it."""
    script = SCRIPT.format(rest="team.wait() if team.rank == 1 else time.sleep(60)")
    first, second = (start(rank, sys.executable, "-c", script) for rank in (0, 1))
    assert first.stdout is not None
    assert first.stdout.readline() == "met\n"
    first.send_signal(signal.SIGSTOP)  # it keeps the store
    _, error = second.communicate(timeout=RAN_S)
    assert second.returncode == 2
    assert "the first process has stopped, or its machine does not answer" in error


def test_processes_that_never_come_are_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_PORT", str(free_port()))
    monkeypatch.setattr(module, "ENTER_S", 0.3)
    monkeypatch.setattr(module, "_meeting_place", distributed.HashStore)
    with pytest.raises(InputError, match=r"only 1 of 2 processes came in 0\.3 s"), processes():
        pass


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE=two in the environment: expected a whole number"),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE=2 and RANK=None in the environment: expected torchrun"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "WORLD_SIZE=2 and RANK=2 in the environment"),
        ({"WORLD_SIZE": "2", "RANK": "1"}, "cannot be reached: .*MASTER_ADDR"),
    ],
)
def test_an_environment_that_does_not_say_who_is_who_is_refused(
    environment: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=said), processes():
        pass


def test_one_of_several_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    for rank, world, prints in (("1", "2", False), ("0", "2", True), ("1", "1", True)):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", world)
        assert first_process() == prints


def test_each_process_of_a_machine_has_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.zeros", lambda *_, **__: None)
    monkeypatch.setenv("RANK", "11")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert resolve_device("auto").index == resolve_device("cuda").index == 3
    assert resolve_device("cuda:1").index == 1
    monkeypatch.setenv("LOCAL_RANK", "x")
    with pytest.raises(InputError, match="LOCAL_RANK=x"):
        resolve_device("cuda")


COMMANDS = {
    "sweep": ["osie", "-m", "osie-sr"],
    "tasks": ["osie", "--scenes", "s", "-m", "osie-sr"],
    "merge": ["a", "b", "-o", "c"],
    "popout": ["-m", "p.json"],
    "maps": ["."],
    "score": ["osie"],
    "output": ["run"],
    "figure": ["run", "-o", "f.png"],
    "suggest": ["m.json", "-o", "s.json"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_of_one_process_refuse_several(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    from salprobe.probe.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(sys, "argv", ["probe", name, *COMMANDS[name]])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 2
    expected = f"probe: probe {name} runs in one process; expected no torchrun\n"
    assert capsys.readouterr().err == expected
    assert not list(tmp_path.iterdir())


@pytest.fixture
def two_hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces, joined by a cable."""
    names = tuple(f"salprobe{os.getpid()}{side}" for side in "ab")

    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    made = []
    try:
        for name in names:
            ip("netns", "add", name)
            made.append(name)
        here = ("link", "add", "cable", "netns", names[0], "type", "veth")
        ip(*here, "peer", "name", "cable", "netns", names[1])
        for number, name in enumerate(names, start=1):
            ip("-n", name, "addr", "add", f"10.77.7.{number}/24", "dev", "cable")
            for device in ("cable", "lo"):
                ip("-n", name, "link", "set", device, "up")
    except (OSError, subprocess.CalledProcessError) as error:
        for name in made:
            ip("netns", "del", name)
        pytest.skip(f"no network namespaces here: {error}")
    yield names
    for name in names:
        ip("netns", "del", name)


@pytest.mark.slow
def test_torchrun_on_two_hosts(
    two_hosts: tuple[str, str], small_world: Path, gaze_world: Path, tmp_path: Path
) -> None:
    def begin(rank: int) -> subprocess.Popen[str]:
        torchrun = ["--nnodes=2", f"--node-rank={rank}", "--nproc-per-node=1"]
        torchrun += ["--master-addr=10.77.7.1", "--master-port=29500"]
        program = [sys.executable, "-m", "torch.distributed.run", *torchrun, TESTS / "spread.py"]
        return subprocess.Popen(
            ["ip", "netns", "exec", two_hosts[rank], *program, small_world, gaze_world, two],
            env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "cable"},
            text=True,
            stderr=subprocess.PIPE,
        )

    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    both = [begin(rank) for rank in (0, 1)]
    run_and_train(small_world, gaze_world, one)
    try:
        said = [process.communicate(timeout=RAN_S)[1] for process in both]
    finally:
        for process in both:
            process.terminate()
    assert [process.returncode for process in both] == [0, 0], said
    for name in FILES:
        assert (one / "run" / name).read_bytes() == (two / "run" / name).read_bytes(), name
    for name in ("steps.csv", "epochs.csv"):
        alone, spread = (pd.read_csv(folder / "trained" / name) for folder in (one, two))
        pd.testing.assert_frame_equal(alone, spread, atol=1e-4)

"""The process of its own that reads files which cannot be trusted, and how it is asked."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Lock, Timer
from typing import Any, BinaryIO, Literal

import numpy as np

from ..errors import InputError
from ..files import LARGEST

Kind = Literal[
    "mat",
    "mat-map",
    "hdf5",
    "hdf5-cells",
    "hdf5-marks",
    "hdf5-names",
    "hdf5-dataset",
    "hdf5-tree",
    "parquet",
]
_IN_PARTS = ("hdf5-marks", "hdf5-names", "hdf5-dataset")  # of files of any size

_SECONDS, _BYTES_A_SECOND = 120, 5e6  # for one file
_lock = Lock()
_process: subprocess.Popen | None = None
_owner = 0  # a process that was forked from the one that started it must not use its pipes


def _forget_lock() -> None:
    """Make a new lock: another thread may have held the old one when this process was forked."""
    global _lock
    _lock = Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_lock)


def check_file(path: Path, *, whole: bool = True) -> None:
    """Refuse what is no file, is empty, or too large to be read as a whole.

    Raises
    ------
    InputError
    """
    if not path.is_file():
        what = "is a folder, expected a file" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}")
    size = path.stat().st_size
    if not 0 < size <= (LARGEST if whole else size):
        raise InputError(f"{path}: {'the file is empty' if not size else 'too large to be read'}")


def asked(
    path: Path,
    kind: Kind,
    most_bytes: int,
    **options: Any,
) -> dict[str, Any]:
    """Return what the process reads from a file.

    Parameters
    ----------
    path : Path
    kind : str
        Which of the worker's readers.
    most_bytes : int
        Maximum size in memory.
    **options
        For the reader.

    Raises
    ------
    InputError
        If it is missing, malformed or too large, or crashes or stalls the process.
    """
    check_file(path, whole=kind not in _IN_PARTS)
    request = {
        **{"path": str(path.absolute()), "kind": kind, "most_bytes": most_bytes},
        "options": options,
    }
    with _lock:
        process = _started()
        assert process.stdin is not None and process.stdout is not None
        stalled = Timer(_SECONDS + path.stat().st_size / _BYTES_A_SECOND, process.kill)
        stalled.start()
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            length = int.from_bytes(_exactly(process.stdout, 8), "little")
            head = json.loads(_exactly(process.stdout, length))
            content = _unpacked(head.get("content"), process.stdout)
        except (OSError, EOFError) as error:
            process.kill()
            code = process.wait()
            raise InputError(f"{path}: damaged: its reader crashed or stalled ({code})") from error
        except BaseException:
            process.kill()  # half an answer may be left in the pipe
            process.wait()
            raise
        finally:
            stalled.cancel()
    if "error" in head:
        raise InputError(f"{path}: {head['error']}")
    return content


def _started() -> subprocess.Popen:
    """Return the reading process, which serves any number of files."""
    global _process, _owner
    if _process is None or _owner != os.getpid() or _process.poll() is not None:
        _owner = os.getpid()
        _process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("worker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for us
        )
        atexit.register(_stop, _process)
    return _process


def _stop(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _exactly(stream: Any, count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise EOFError
    return content


def _unpacked(value: Any, blobs: BinaryIO | Any) -> Any:
    """Return what `packed` in the worker made JSON of."""
    if not isinstance(value, dict):
        return value
    if "d" in value:
        return {key: _unpacked(one, blobs) for key, one in value["d"].items()}
    if "l" in value:
        return [_unpacked(one, blobs) for one in value["l"]]
    dtype, shape, size = value["a"]
    return np.frombuffer(bytearray(_exactly(blobs, size)), dtype=dtype).reshape(shape)

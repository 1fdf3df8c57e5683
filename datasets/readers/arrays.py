"""Arrays in MATLAB, HDF5 and NumPy files; what they declare is checked before it is believed."""

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

MOST_BYTES = 2**30
"""Maximum size in bytes of the arrays of a file; an OSIE map in float64 takes 4 MB."""

_SECONDS = 120  # for one file
_lock = Lock()
_process: subprocess.Popen | None = None
_owner = 0  # a process that was forked from the one that started it must not use its pipes


def read_mat(path: Path) -> dict[str, Any]:
    """Read the variables of a MATLAB file (version 4 to 7.2) in a process of its own.

    Returns
    -------
    dict
        Structures become dicts, cells lists, texts str; numbers are arrays or scalars. Whatever
        else a file can hold is None.

    Raises
    ------
    InputError
        If it is missing, malformed, larger than `MOST_BYTES`, or crashes or stalls the reader.
    """
    return _asked(path, "mat")


def read_hdf5(path: Path) -> dict[str, Any]:
    """Read the arrays of numbers at the root of an HDF5 file in a process of its own.

    Raises
    ------
    InputError
        If it is missing, malformed, larger than `MOST_BYTES`, crashes or stalls the reader, or
        has links or data in other files.
    """
    return _asked(path, "hdf5")


def read_npy(path: Path) -> np.ndarray:
    """Read an array of NumPy's; nothing is unpickled.

    Raises
    ------
    InputError
        If it is missing, malformed, or larger than `MOST_BYTES`.
    """
    _check_file(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("expected .npy, got .npz")
    except Exception as error:  # a damaged header raises almost anything
        raise InputError(f"{path}: not an array: {error!s:.150}") from error
    if array.nbytes > MOST_BYTES:
        raise InputError(f"{path}: an array of {array.nbytes} bytes, more than can be read")
    return np.array(array)


def read_arrays(path: Path) -> dict[str, Any]:
    """Read a file of arrays by its suffix: ``.npy`` (named ``array``), ``.mat``, or HDF5.

    Raises
    ------
    InputError
        As `read_npy`, `read_mat` or `read_hdf5`.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return {"array": read_npy(path)}
    return read_mat(path) if suffix == ".mat" else read_hdf5(path)


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    size = path.stat().st_size
    if not 0 < size <= LARGEST:
        raise InputError(f"{path}: {'the file is empty' if not size else 'too large to be read'}")


def _asked(path: Path, kind: Literal["mat", "hdf5"]) -> dict[str, Any]:
    _check_file(path)
    request = {"path": str(path.absolute()), "kind": kind, "most_bytes": MOST_BYTES}
    with _lock:
        process = _started()
        assert process.stdin is not None and process.stdout is not None
        stalled = Timer(_SECONDS, process.kill)
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

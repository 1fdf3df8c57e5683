"""A process of its own that reads MATLAB and HDF5 files, whose libraries crash on damaged ones.

It is run as a script, with Python and the readers alone. For each line of input (JSON: ``path,
kind, most_bytes``), it writes the length of the answer's head as eight bytes, the head (JSON), and
the arrays' bytes one after the other.
"""

import json
import sys
from typing import Any

import numpy as np

_ADDRESS_SPACE = 4 * 2**30  # bytes; what a compressed file unpacks to is not known beforehand


class Refused(Exception):
    """A file that cannot be read, with the reason."""


def read_mat(path: str, most_bytes: int) -> dict:
    """Return the variables of a MATLAB file."""
    from scipy.io import loadmat, whosmat

    declared = sum(int(np.prod([float(n) for n in shape])) for _, shape, _ in whosmat(path))
    if declared > most_bytes:
        raise Refused(f"declares {declared} values, more than can be read")
    content = loadmat(path, simplify_cells=True)
    return {key: value for key, value in content.items() if not key.startswith("__")}


def read_hdf5(path: str, most_bytes: int) -> dict:
    """Return the datasets at the root of an HDF5 file: those whose data are in this file."""
    import h5py

    arrays, total = {}, 0
    with h5py.File(path, "r") as file:
        for name in file:
            if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                raise Refused(f"{name!r:.60} is a link; expected the data themselves")
            data = file[name]
            if not isinstance(data, h5py.Dataset):
                continue
            if data.is_virtual or data.external:
                raise Refused(f"{name!r:.60} takes its data from other files")
            total += int(data.nbytes)
            if total > most_bytes:
                raise Refused(f"declares {total} bytes, more than can be read")
            if data.dtype.kind in "biuf" and data.shape is not None:
                arrays[name] = data[()]
    return arrays


def packed(value: Any, blobs: list[bytes]) -> Any:
    """Return a value as JSON; arrays of numbers go to the blobs."""
    if isinstance(value, dict):
        return {"d": {str(key): packed(one, blobs) for key, one in value.items()}}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        if value.dtype.itemsize > 8:
            value = value.astype(np.float64)
        content = np.ascontiguousarray(value).tobytes()
        blobs.append(content)
        return {"a": [value.dtype.str, list(value.shape), len(content)]}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return {"l": [packed(one, blobs) for one in value]}
    return value if isinstance(value, str | int | float | bool) else None


def answer(request: dict) -> tuple[dict, list[bytes]]:
    """Return the head of the answer to a request, and its blobs."""
    blobs: list[bytes] = []
    reader = {"mat": read_mat, "hdf5": read_hdf5}[request["kind"]]
    try:
        content = packed(reader(request["path"], request["most_bytes"]), blobs)
    except Refused as error:
        return {"error": str(error)}, []
    except BaseException as error:  # the readers raise almost anything
        reason = " ".join(str(error).split()) or type(error).__name__
        return {"error": f"cannot be read: {reason:.150}"}, []
    if sum(map(len, blobs)) > request["most_bytes"]:
        return {"error": "holds more than can be read"}, []
    return {"content": content}, blobs


def main() -> None:
    """Answer requests until the input ends."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass  # Windows has none
    output = sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing that a library prints gets into an answer
    for line in sys.stdin:
        head, blobs = answer(json.loads(line))
        text = json.dumps(head).encode()
        output.write(len(text).to_bytes(8, "little"))
        for part in (text, *blobs):
            output.write(part)
        output.flush()


if __name__ == "__main__":
    main()

"""A process of its own that reads MATLAB, HDF5 and Parquet files.

The libraries for the first two crash on damaged files; Parquet files can say that they are small,
and unpack to any size. It is run as a script, with Python and the readers alone. For each line of
input (JSON: ``path, kind, most_bytes, options``), it writes the length of the answer's head as
eight bytes, the head (JSON), and the arrays' bytes one after the other.
"""

import json
import sys
from collections import UserDict
from collections.abc import Callable
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


def read_mat_map(path: str, most_bytes: int, name: str) -> dict:
    """Return a variable of a MATLAB file that is a containers.Map with texts as keys.

    SciPy does not know the objects of MATLAB's classes.
    """
    import matio

    found: Any = matio.load_from_mat(path, variable_names=[name]).get(name)
    if not isinstance(found, UserDict):
        raise Refused(f"has no containers.Map {name!r}")
    if any(not isinstance(key, str) for key in found):
        raise Refused(f"the keys of {name!r} are not texts")
    if (size := sum(map(_size, found.values()))) > most_bytes:
        raise Refused(f"holds {size} bytes, more than can be read")
    return {key: _simple(value) for key, value in found.items()}


def _size(value: Any) -> int:
    """Return the bytes of an array and of all arrays in it."""
    value = np.asarray(value)
    if value.dtype.names or value.dtype == object:
        parts = value.ravel().tolist()  # of structures, tuples of what their fields hold
        return sum(sum(map(_size, one)) if isinstance(one, tuple) else _size(one) for one in parts)
    return value.nbytes


def _simple(value: Any) -> Any:
    """Return MATLAB's arrays of structures, cells and texts as dicts, lists and str."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.names:
        made = [
            {name: _simple(part) for name, part in zip(value.dtype.names, one, strict=True)}
            for one in value.ravel().tolist()
        ]
        return made[0] if len(made) == 1 else made
    if value.dtype == object:
        return [_simple(one) for one in value.ravel().tolist()]
    if value.dtype.kind in "US":
        return str(value.ravel()[0]) if value.size == 1 else [str(one) for one in value.ravel()]
    return value


def read_hdf5_cells(path: str, most_bytes: int, name: str) -> dict:
    """Return the arrays of a MATLAB cell array in an HDF5 file, where it is one of references."""
    import h5py

    with h5py.File(path, "r") as file:
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise Refused(f"has no {name!r} of its own")
        cells = file[name]
        if not isinstance(cells, h5py.Dataset) or cells.dtype != h5py.ref_dtype:
            raise Refused(f"{name!r} is not a cell array")
        if cells.is_virtual or cells.external or 8 * (cells.size or 0) > most_bytes:
            raise Refused(f"{name!r} is too large, or takes its data from other files")
        arrays, total = [], 0
        for reference in cells[()].ravel():
            data = file[reference]
            if not isinstance(data, h5py.Dataset) or data.is_virtual or data.external:
                raise Refused(f"a cell of {name!r} is not an array of its own")
            if data.dtype.kind not in "biuf" or data.shape is None:
                raise Refused(f"a cell of {name!r} is not an array of numbers")
            total += int(data.nbytes)
            if total > most_bytes:
                raise Refused(f"declares {total} bytes, more than can be read")
            # MATLAB writes an empty array as its shape, and a mark.
            arrays.append(np.empty(0) if "MATLAB_empty" in data.attrs else data[()])
        return {"cells": arrays}


def read_hdf5_marks(path: str, most_bytes: int) -> dict:
    """Return the texts that an HDF5 file and its datasets, at any depth, have as attributes.

    Each dataset has been read then; the SHA-256 of its values is its ``content``.
    """
    import hashlib

    import h5py

    def texts(one: Any) -> dict[str, str]:
        return {key: value for key, value in one.attrs.items() if isinstance(value, str)}

    datasets: dict[str, dict[str, str]] = {}

    def see(name: str, one: Any) -> None:
        if isinstance(one, h5py.Dataset):
            if one.is_virtual or one.external or one.dtype.kind not in "biuf" or one.shape is None:
                raise Refused(f"{name!r:.60} is not an array of numbers of its own")
            if one.nbytes > most_bytes:
                raise Refused(f"{name!r:.60} declares {one.nbytes} bytes, more than can be read")
            digest = hashlib.sha256(np.ascontiguousarray(one[()]).tobytes())
            datasets[name] = {**texts(one), "content": digest.hexdigest()}

    with h5py.File(path, "r") as file:
        file.visititems(see)
        return {"file": texts(file), "datasets": datasets}


def read_hdf5_names(path: str, most_bytes: int) -> dict:
    """Return the paths of an HDF5 file's datasets, at any depth."""
    import h5py

    names: list[str] = []

    def see(name: str, one: Any) -> None:
        if isinstance(one, h5py.Dataset):
            names.append(name)
            if len(names) * 8 > most_bytes:
                raise Refused("has more datasets than can be read")

    with h5py.File(path, "r") as file:
        file.visititems(see)
    return {"names": names}


def read_hdf5_dataset(path: str, most_bytes: int, name: str) -> dict:
    """Return one dataset of an HDF5 file, of numbers that are in this file."""
    import h5py

    with h5py.File(path, "r") as file:
        data = file.get(name)
        if not isinstance(data, h5py.Dataset) or data.is_virtual or data.external:
            raise Refused(f"{name!r:.60} is not an array of its own")
        if data.dtype.kind not in "biuf" or data.shape is None:
            raise Refused(f"{name!r:.60} is not an array of numbers")
        if data.nbytes > most_bytes:
            raise Refused(f"{name!r:.60} declares {data.nbytes} bytes, more than can be read")
        return {"array": data[()]}


def read_hdf5_tree(path: str, most_bytes: int) -> dict:
    """Return all of an HDF5 file: attributes by group, and datasets of numbers and texts by path.

    Numbers of varying length (as pysaliency's shapes) become lists; other values are left out.
    """
    import h5py

    def text(value: Any) -> Any:
        return value.decode("utf-8") if isinstance(value, bytes) else value

    found: dict[str, Any] = {}
    attributes: dict[str, dict[str, Any]] = {}
    total = 0

    def walk(group: Any, place: str) -> None:
        nonlocal total
        attributes[place] = {name: text(group.attrs[name]) for name in group.attrs}
        for name in group:
            where = f"{place}{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise Refused(f"{where!r:.60} is a link; expected the data themselves")
            one = group[name]
            if isinstance(one, h5py.Group):
                if where.count("/") > 4:
                    raise Refused("groups lie deeper than pysaliency's")
                walk(one, f"{where}/")
                continue
            if one.is_virtual or one.external:
                raise Refused(f"{where!r:.60} takes its data from other files")
            total += int(one.nbytes)
            if total > most_bytes:
                raise Refused(f"declares {total} bytes, more than can be read")
            if one.shape is None:
                continue
            if one.dtype.kind in "biuf":
                found[where] = one[()]
            elif one.dtype.kind in "SO":
                values = [
                    v.tolist() if isinstance(v, np.ndarray) else text(v) for v in one[()].flat
                ]
                found[where] = values

    with h5py.File(path, "r") as file:
        walk(file, "")
    return {"attributes": attributes, "datasets": found}


def read_parquet(path: str, most_bytes: int, wanted: list[str]) -> dict:
    """Return the names of all columns, and the wanted ones as a stream of Arrow's.

    Texts become dictionaries, in which a repeated one takes room once.
    """
    import pyarrow as pa
    from pyarrow import parquet

    file = parquet.ParquetFile(path)
    info, schema = file.metadata, file.schema_arrow
    if len(set(schema.names)) < len(schema.names):
        raise Refused("a column occurs twice")
    columns = [name for name in schema.names if name in wanted]
    for name in columns:
        if pa.types.is_nested(schema.field(name).type):
            raise Refused(f"column {name!r:.60} holds lists; expected numbers or texts")
    size = sum(info.row_group(k).total_byte_size for k in range(info.num_row_groups))
    if max(size, 8 * info.num_rows * len(columns)) > most_bytes:
        raise Refused(f"{info.num_rows} rows of {size} bytes, more than can be read")
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    file = parquet.ParquetFile(path, read_dictionary=texts)
    table = file.read(columns=columns, use_threads=False).replace_schema_metadata(None)
    if table.nbytes > most_bytes:  # the file need not tell the truth
        raise Refused("holds more than can be read")
    table.validate(full=True)  # texts may not be UTF-8
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.unify_dictionaries())
    return {"names": schema.names, "table": np.frombuffer(sink.getvalue(), np.uint8)}


_READERS: dict[str, Callable[..., dict]] = {
    "mat": read_mat,
    "mat-map": read_mat_map,
    "hdf5": read_hdf5,
    "hdf5-cells": read_hdf5_cells,
    "hdf5-marks": read_hdf5_marks,
    "hdf5-names": read_hdf5_names,
    "hdf5-dataset": read_hdf5_dataset,
    "hdf5-tree": read_hdf5_tree,
    "parquet": read_parquet,
}


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
    reader = _READERS[request["kind"]]
    try:
        found = reader(request["path"], request["most_bytes"], **request["options"])
        content = packed(found, blobs)
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

"""Files that try to harm their reader: bombs, links to other files, crashes, formats."""

import io
import os
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pytest
from PIL import EpsImagePlugin, Image
from pyarrow import parquet
from scipy.io import savemat

from salprobe.datasets.errors import InputError
from salprobe.datasets.readers import arrays, process, tables
from salprobe.datasets.readers.arrays import read_arrays, read_hdf5, read_mat, read_npy
from salprobe.datasets.readers.tables import read_parquet
from salprobe.datasets.sources.folder import load_folder
from salprobe.datasets.stimuli import Stimuli, Stimulus, image_size, read_picture, read_values
from salprobe.probe.saliency.given import MapFolder


def test_a_mat_file_is_read_as_it_is(tmp_path: Path) -> None:
    values = {
        "number": 1.5,
        "text": "hé",
        "map": np.arange(6.0).reshape(2, 3),
        "small": np.array([[1, 2]], dtype=np.uint8),
        "gaze": {"x": np.array([1.0, 2.0]), "who": ["a", "b"]},
        "cells": np.array([np.array([1.0, 2.0]), "t"], dtype=object),
    }
    savemat(tmp_path / "a.mat", values)
    found = read_mat(tmp_path / "a.mat")
    assert (found["number"], found["text"]) == (1.5, "hé")
    np.testing.assert_array_equal(found["map"], values["map"])
    assert found["small"].dtype == np.uint8
    np.testing.assert_array_equal(found["gaze"]["x"], [1, 2])
    assert [one.strip() for one in found["gaze"]["who"]] == ["a", "b"]
    np.testing.assert_array_equal(found["cells"][0], [1, 2])
    assert found["cells"][1] == "t"


def test_a_crash_of_the_reader_is_an_error_of_the_file(tmp_path: Path, monkeypatch) -> None:
    """A stand-in for the worker dies as on a segmentation fault; the next file is read."""
    savemat(tmp_path / "a.mat", {"a": 1.0})
    assert read_mat(tmp_path / "a.mat") == {"a": 1.0}
    dying = [
        sys.executable,
        "-c",
        "import os, signal; input(); os.kill(os.getpid(), signal.SIGSEGV)",
    ]
    crashed = subprocess.Popen(dying, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    working = process._process
    monkeypatch.setattr(process, "_process", crashed)
    monkeypatch.setattr(process, "_owner", os.getpid())
    with pytest.raises(InputError, match=r"a\.mat: damaged: its reader crashed or stalled \(-11\)"):
        read_mat(tmp_path / "a.mat")
    process._stop(crashed)
    assert read_mat(tmp_path / "a.mat") == {"a": 1.0}
    if working is not None:
        process._stop(working)


def test_a_stalled_reader_is_stopped(tmp_path: Path, monkeypatch) -> None:
    savemat(tmp_path / "a.mat", {"a": 1.0})
    stalled = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    monkeypatch.setattr(process, "_process", stalled)
    monkeypatch.setattr(process, "_owner", os.getpid())
    monkeypatch.setattr(process, "_SECONDS", 0.2)
    with pytest.raises(InputError, match="stalled"):
        read_mat(tmp_path / "a.mat")
    process._stop(stalled)


def test_damaged_mat_files_never_take_us_along(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    savemat(buffer, {"s": {"a": np.arange(20.0), "b": "text"}, "m": np.eye(4)})
    content = buffer.getvalue()
    rng = np.random.default_rng(5)
    path = tmp_path / "x.mat"
    for _ in range(60):
        damaged = bytearray(content)
        for place in rng.integers(128, len(content), 4):
            damaged[place] = rng.integers(256)
        path.write_bytes(bytes(damaged[: rng.integers(100, len(content) + 1)]))
        try:
            read_mat(path)
        except InputError as error:
            assert len(str(error)) < 300


def mat_bomb(path: Path, megabytes: int) -> None:
    """Write a MATLAB 5 file whose compressed matrix is a thousand times larger."""
    rows = megabytes * 2**17
    header = b"MATLAB 5.0 MAT-file".ljust(116) + bytes(8) + struct.pack("<H", 0x0100) + b"IM"
    flags = struct.pack("<IIII", 6, 8, 6, 0)
    dims = struct.pack("<IIii", 5, 8, rows, 1)
    name = struct.pack("<HH4s", 1, 1, b"a")
    body = flags + dims + name + struct.pack("<II", 9, rows * 8)
    packer = zlib.compressobj(9)
    parts = [packer.compress(struct.pack("<II", 14, len(body) + rows * 8) + body)]
    parts += [packer.compress(bytes(2**20)) for _ in range(megabytes)]
    parts.append(packer.flush())
    packed = b"".join(parts)
    path.write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)


def test_bombs_are_refused_by_what_they_declare(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mat_bomb(tmp_path / "a.mat", 1)
    assert read_mat(tmp_path / "a.mat")["a"].size == 2**17
    header = np.lib.format.magic(1, 0)
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 100000), }"
    text += b" " * (117 - len(text)) + b"\n"
    (tmp_path / "a.npy").write_bytes(header + struct.pack("<H", len(text)) + text)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", (60_000, 60_000), "f8", chunks=(1000, 1000), compression="gzip")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        for k in range(5):
            file.create_dataset(str(k), (6_000, 6_000), "f8", chunks=(1000, 1000))
    for name, says in (
        ("a.npy", "not an array"),
        ("a.h5", "declares 28800000000 bytes"),
        ("b.h5", "more than can be read"),
    ):
        with pytest.raises(InputError, match=says):
            read_arrays(tmp_path / name)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 300_000  # KiB


def test_a_mat_bomb_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(arrays, "MOST_BYTES", 1000)
    mat_bomb(tmp_path / "a.mat", 1)
    with pytest.raises(InputError, match="declares 131072 values, more than can be read"):
        read_mat(tmp_path / "a.mat")
    savemat(tmp_path / "b.mat", {"s": {"a": np.zeros(10_000)}})  # it declares one structure
    with pytest.raises(InputError, match="holds more than can be read"):
        read_mat(tmp_path / "b.mat")
    np.save(tmp_path / "c.npy", np.zeros(1000))
    with pytest.raises(InputError, match="8000 bytes, more than can be read"):
        read_npy(tmp_path / "c.npy")


def test_hdf5_gives_nothing_of_other_files(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["map"] = np.eye(3)
    np.eye(3).tofile(tmp_path / "raw")
    layout = h5py.VirtualLayout((3, 3), "f8")
    layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "map", (3, 3))
    for name, says, make in (
        (
            "external",
            "is a link",
            lambda f: f.__setitem__("m", h5py.ExternalLink("secret.h5", "map")),
        ),
        ("soft", "is a link", lambda f: f.__setitem__("m", h5py.SoftLink("/x/map"))),
        ("virtual", "from other files", lambda f: f.create_virtual_dataset("m", layout)),
        (
            "raw",
            "from other files",
            lambda f: f.create_dataset("m", (3, 3), "f8", external=[("raw", 0, 72)]),
        ),
    ):
        path = tmp_path / f"{name}.h5"
        with h5py.File(path, "w") as file:
            make(file)
        with pytest.raises(InputError, match=says):
            read_hdf5(path)


def test_maps_are_read_with_the_same_care(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "1.h5", "w") as file:
        file["m"] = h5py.ExternalLink("secret.h5", "map")
    image = Stimulus(id=1, file_name="1.png", width=4, height=3)
    folder = MapFolder(tmp_path, Stimuli(tmp_path, (image,)))
    with pytest.raises(InputError, match=r"1\.h5: 'm' is a link; expected the data themselves$"):
        folder(image)


@pytest.mark.parametrize("name", ["a.npy", "a.mat", "a.h5"])
def test_a_pickle_or_nothing_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(InputError, match="no such file"):
        read_arrays(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="the file is empty"):
        read_arrays(path)
    path.write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(InputError, match=r"not an array|cannot be read"):
        read_arrays(path)
    assert not Path("pwned").exists()


def test_parquet_bombs_are_refused(tmp_path: Path, monkeypatch) -> None:
    """Equal texts take a few bytes in the file, and gigabytes as a table."""
    Image.new("L", (40, 30)).save(tmp_path / "a.png")
    rows = 300_000
    place = pa.array(np.zeros(rows, np.int32))
    sevens = pa.array(np.full(rows, 7.0))
    image, long, short = (
        pa.DictionaryArray.from_arrays(place, pa.array([text])) for text in ("a", "x" * 10_000, "7")
    )
    path = tmp_path / "t.parquet"
    columns = {"image": image, "subject": image, "x": sevens, "y": short, "more": long}
    parquet.write_table(pa.table(columns), path)
    assert path.stat().st_size < 300_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(load_folder(tmp_path, path, 20).fixations) == rows
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB
    parquet.write_table(pa.table(columns | {"subject": long}), path)
    with pytest.raises(InputError, match=r"row 1: subject has 10000 characters"):
        load_folder(tmp_path, path, 20)
    monkeypatch.setattr(tables, "LARGEST", 8 * 4 * rows - 1)
    with pytest.raises(InputError, match=r"300000 rows of \d+ bytes, more than can be read"):
        load_folder(tmp_path, path, 20)
    parquet.write_table(pa.table({"a": [list(range(10))]}), path)
    with pytest.raises(InputError, match="'a' holds lists"):
        read_parquet(path, "a")


def test_a_parquet_file_that_lies_about_its_size_is_refused(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "t.parquet"
    texts = [f"{number:1000}" for number in range(1000)]
    parquet.write_table(pa.table({"a": texts}), path, compression="zstd", use_dictionary=False)
    size = parquet.ParquetFile(path).metadata.row_group(0).total_byte_size
    monkeypatch.setattr(tables, "LARGEST", 200_000)
    with pytest.raises(InputError, match=f"1000 rows of {size} bytes"):
        read_parquet(path, "a")
    content = path.read_bytes()
    true = _varint(size)
    assert true in content
    lie = bytearray(_varint(1000).ljust(len(true), b"\0"))
    lie[:-1] = bytes(one | 128 for one in lie[:-1])  # the same length
    path.write_bytes(content.replace(true, lie))
    assert parquet.ParquetFile(path).metadata.row_group(0).total_byte_size == 1000
    with pytest.raises(InputError, match="holds more than can be read"):
        read_parquet(path, "a")


def _varint(number: int) -> bytes:
    """Return a number as Parquet's metadata holds it."""
    number, made = 2 * number, bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    return bytes([*made, number])


def test_pillow_opens_named_formats_only(tmp_path: Path, monkeypatch) -> None:
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *a, **k: started.append(a))
    picture = Image.new("RGB", (8, 6), "red")
    for form in ("EPS", "GIF", "PPM", "PCX", "ICO", "TGA"):
        path = tmp_path / f"{form}.png"
        picture.save(path, format=form)
        for reader in (image_size, read_picture, lambda p: read_values(p, str(p))):
            with pytest.raises(InputError, match="not a readable image"):
                reader(path)
    assert not started
    for form in ("JPEG", "PNG", "BMP", "TIFF", "WEBP"):
        picture.save(tmp_path / f"a.{form}", format=form)
        assert image_size(tmp_path / f"a.{form}") == (6, 8)


def test_a_giant_picture_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch) -> None:
    """Also where another library has switched off Pillow's own limit."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    with pytest.raises(InputError, match="60000×60000 is more than can be read"):
        read_picture(tmp_path / "a.png")

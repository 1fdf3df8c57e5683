"""Files of TensorFlow read without it: real ones of a small network, made-up ones, damaged ones."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_files import DATA, GRAPH, INDEX, real

from salprobe.datasets.errors import InputError
from salprobe.probe.sources.tensorflow import tensorflow_states
from salprobe.probe.sources.weights import read_states
from salprobe.probe.sources.wire import fields


def check_real(states: dict) -> None:
    assert list(states) == [""]
    kernel = torch.arange(18.0).view(3, 3, 1, 2).permute(3, 2, 0, 1)
    assert states[""].keys() == {"one.weight", "one.bias"}
    assert torch.equal(states[""]["one.weight"], kernel)
    assert states[""]["one.bias"].tolist() == [1, 1]


def number(value: int) -> bytes:
    """Return a varint."""
    out = []
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(key: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return number(key << 3) + number(value)
    value = value.encode() if isinstance(value, str) else value
    return number(key << 3 | 2) + number(len(value)) + value


def tensor(values: np.ndarray, listed: np.ndarray | None = None, kind: int = 1) -> bytes:
    shape = b"".join(field(2, field(1, side)) for side in values.shape)
    content = field(4, values.tobytes()) if listed is None else field(5, listed.tobytes())
    return field(1, kind) + field(2, shape) + content


def node(name: str, operation: str, *inputs: str, value: bytes | None = None) -> bytes:
    message = field(1, name) + field(2, operation) + b"".join(field(3, one) for one in inputs)
    if value is not None:
        message += field(5, field(1, "value") + field(2, field(8, value)))
    return message


KERNEL = np.arange(24, dtype="<f4").reshape(1, 2, 3, 4)
BIAS = np.array([0, 0, 0, 0], "<f4")


def nodes(bias: bytes | None = None) -> list[bytes]:
    return [
        node("a/kernel", "Const", value=tensor(KERNEL)),
        node("shared", "Const", value=bias or tensor(BIAS)),
        node("a/kernel/read", "Identity", "a/kernel"),
        node("a/Conv2D", "Conv2D", "input", "a/kernel/read"),
        node("a/BiasAdd", "BiasAdd", "a/Conv2D", "shared:0"),
    ]


def graph(parts: list[bytes]) -> bytes:
    return b"".join(field(1, part) for part in parts)


def states_of(tmp_path: Path, content: bytes) -> dict:
    path = tmp_path / "m.pb"
    path.write_bytes(content)
    return read_states(path)[0]


def test_a_frozen_graph_of_tensorflows(tmp_path: Path) -> None:
    check_real(states_of(tmp_path, real(GRAPH)))


def test_a_checkpoint_of_tensorflows(tmp_path: Path) -> None:
    path = tmp_path / "m.ckpt.index"
    path.write_bytes(real(INDEX))
    with pytest.raises(InputError, match=r"m\.ckpt\.data-00000-of-00001 is not beside it"):
        read_states(path)
    (tmp_path / "m.ckpt.data-00000-of-00001").write_bytes(real(DATA))
    check_real(read_states(path)[0])
    (tmp_path / "m.ckpt.data-00000-of-00001").write_bytes(real(DATA)[:-200])
    with pytest.raises(InputError, match=r"m\.ckpt\.index: cannot be read"):
        read_states(path)


def test_a_bias_that_another_name_stands_for_is_followed(tmp_path: Path) -> None:
    state = states_of(tmp_path, graph(nodes()))[""]
    assert torch.equal(state["a.weight"], torch.from_numpy(KERNEL).permute(3, 2, 0, 1))
    assert state["a.bias"].tolist() == [0, 0, 0, 0]


def test_a_functions_constants_in_a_saved_model(tmp_path: Path) -> None:
    def function(name: str) -> bytes:
        body = [part.replace(b"shared:0", b"shared:output:0"[:8]) for part in nodes()]
        return field(1, field(1, field(1, name)) + b"".join(field(3, part) for part in body))

    library = field(2, function("first") + function("again"))
    saved = field(1, 1) + field(2, field(2, library))
    states = states_of(tmp_path, saved)
    assert list(states) == ["first"]  # the same weights once more are no other network
    assert states["first"].keys() == {"a.weight", "a.bias"}


def test_a_list_of_values_ends_in_the_one_that_goes_on(tmp_path: Path) -> None:
    listed = tensor(BIAS, np.array([3, 5], "<f4"))
    assert states_of(tmp_path, graph(nodes(listed)))[""]["a.bias"].tolist() == [3, 5, 5, 5]


def test_half_and_double_precision(tmp_path: Path) -> None:
    for kind, dtype in ((19, "<f2"), (2, "<f8")):
        bias = tensor(np.array([1, 2, 3, 4], dtype), kind=kind)
        found = states_of(tmp_path, graph(nodes(bias)))[""]["a.bias"]
        assert found.dtype == torch.float32
        assert found.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no convolution"),
        (graph(nodes()[:3]), "holds no convolution"),
        (graph(nodes())[:-3], "are left"),
        (b"\x0a" + b"\xff" * 11, "a number that does not end"),
        (b"\x0b", "unknown kind 3"),
        (graph(nodes(tensor(BIAS, kind=3))), "expected floating point"),
        (graph(nodes(tensor(BIAS, BIAS[:0]))), "holds 0"),
        (graph(nodes(field(1, 1) + field(2, field(2, field(1, 2**40))) + field(5, b""))), "values"),
        (
            graph(nodes(field(1, 1) + field(2, field(2, field(1, 1)) * 9) + field(4, b"abcd"))),
            "axes",
        ),
        (
            graph(nodes(field(1, 1) + field(2, field(2, field(1, 3))) + field(4, b"abcd"))),
            "reshape",
        ),
        (graph([*nodes()[2:], node("a/kernel", "Identity", "a/kernel/read")]), "no convolution"),
    ],
)
def test_malformed_graphs_are_refused(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(InputError, match=rf"m\.pb: .*{says}"):
        states_of(tmp_path, content)


def test_constants_that_unpack_to_too_much_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("salprobe.probe.sources.tensorflow.LARGEST", 4000)
    large = field(1, 1) + field(2, field(2, field(1, 400)))
    large += field(5, np.array([1], "<f4").tobytes())
    parts = [node(f"c{k}", "Const", value=large) for k in range(3)]
    users = [node(f"a{k}/b", "BiasAdd", "x", f"c{k}") for k in range(3)]
    with pytest.raises(InputError, match="unpack to more than can be read"):
        states_of(tmp_path, graph(parts + users))
    shared = [node(f"a{k}/b", "BiasAdd", "x", "c0") for k in range(9)]
    assert len(states_of(tmp_path, graph(parts + shared))[""]) == 9  # unpacked once


def test_too_large_a_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("salprobe.probe.sources.tensorflow.LARGEST", 100)
    with pytest.raises(InputError, match="bytes, more than can be read"):
        states_of(tmp_path, graph(nodes()))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda index: index[:-1], "not the index"),
        (lambda index: index[-48:], "cannot be read"),
        (lambda index: index[:40], "not the index"),
        (lambda index: b"", "not the index"),
    ],
)
def test_malformed_checkpoints_are_refused(tmp_path: Path, change, says: str) -> None:
    path = tmp_path / "m.index"
    path.write_bytes(change(real(INDEX)))
    (tmp_path / "m.data-00000-of-00001").write_bytes(real(DATA))
    with pytest.raises(InputError, match=says):
        read_states(path)


@pytest.mark.parametrize(
    ("text", "suffix"), [(GRAPH, "pb"), (INDEX, "index")], ids=["graph", "checkpoint"]
)
def test_whatever_byte_is_changed_it_is_read_or_refused(
    tmp_path: Path, text: str, suffix: str
) -> None:
    path, content = tmp_path / f"m.{suffix}", real(text)
    (tmp_path / "m.data-00000-of-00001").write_bytes(real(DATA))
    refused = 0
    for place in range(0, len(content), 3):
        for value in (0, 255, content[place] ^ 1):
            path.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
            try:
                read_states(path)
            except InputError:
                refused += 1
    assert refused > 100


@given(st.lists(st.tuples(st.integers(1, 2**28), st.integers(0, 2**63) | st.binary(max_size=300))))
@settings(max_examples=200)
def test_fields_come_back_as_they_were_written(written: list) -> None:
    message = b"".join(field(key, value) for key, value in written)
    found = [
        (key, one if isinstance(one, int) else bytes(one))
        for key, one in fields(memoryview(message))
    ]
    assert found == written
    fixed = number(3 << 3 | 5) + struct.pack("<f", 1) + number(4 << 3 | 1) + struct.pack("<d", 1)
    assert [(key, len(one)) for key, one in fields(memoryview(fixed))] == [(3, 4), (4, 8)]  # type: ignore[arg-type]


def test_nothing_but_convolutions_is_taken_from_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "m.data-00000-of-00001").write_bytes(real(DATA))
    (tmp_path / "m.index").write_bytes(real(INDEX))
    assert b"Adam" in real(INDEX)
    assert len(tensorflow_states(tmp_path / "m.index")[""]) == 2

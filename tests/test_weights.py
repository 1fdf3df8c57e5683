"""Files of weights as people have them: wrapped, partial, of several networks, trained."""

import argparse
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from nets import Small
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import salprobe as sp
from salprobe.datasets.errors import InputError
from salprobe.probe.cli.main import app
from salprobe.probe.layers.trace import trace
from salprobe.probe.layers.uses import used_keys
from salprobe.probe.networks.heads import SaliencyModel
from salprobe.probe.networks.load import load_model
from salprobe.probe.sources.weights import fill, find, read_states


def saved(path: Path, content: object) -> str:
    torch.save(content, path)
    return str(path)


def small(weights: str, **options) -> sp.Model:
    return load_model("nets:small", weights, input_size=(36, 48), **options)


def with_prefix(prefix: str, state: dict) -> dict:
    return {f"{prefix}{key}": value for key, value in state.items()}


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return Small().state_dict()


WRAPPINGS = {
    "DataParallel": lambda s: with_prefix("module.", s),
    "compiled, parallel": lambda s: {"epoch": 3, "state_dict": with_prefix("_orig_mod.module.", s)},
    "parallel, compiled": lambda s: {"model": with_prefix("module._orig_mod.", s)},
    "averaged (SWA)": lambda s: {"n_averaged": torch.tensor(5), **with_prefix("module.", s)},
    "averaged within": lambda s: {
        "swa": {"n_averaged": torch.tensor(5), **with_prefix("module.module.", s)}
    },
    "teacher": lambda s: {"teacher": with_prefix("backbone.", s), "epoch": 9},
    "EMA, with an optimizer": lambda s: {
        "ema": {"module": s},
        "optimizer": {"state": {0: {"exp_avg": s["one.0.weight"]}}, "param_groups": [{"lr": 1}]},
        "loss": {"center": torch.zeros(1, 9)},
    },
    "a Namespace": lambda s: {"args": argparse.Namespace(lr=0.1), "model_state_dict": s},
    "half precision": lambda s: {key: value.half() for key, value in s.items()},
    "another's classifier": lambda s: {**s, "classifier.weight": torch.zeros(9, 8)},
    "another head": lambda s: {
        **{key: value for key, value in s.items() if not key.startswith("classifier")},
        "projector.0.weight": torch.zeros(3, 8),
    },
    "without counters": lambda s: {k: v for k, v in s.items() if "num_batches" not in k},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_wrapped(wrapping: str, state: dict, tmp_path: Path) -> None:
    model = small(saved(tmp_path / "w.pth", WRAPPINGS[wrapping](state)))
    for key in ("one.0.weight", "two.1.running_var", "three.0.bias"):
        got = model.network.state_dict()[key]
        torch.testing.assert_close(got, state[key], atol=1e-3, rtol=1e-3)
    assert (model.weights.source, model.weights.file) == ("file", "w.pth")


def test_safetensors_are_unwrapped_too(state: dict, tmp_path: Path) -> None:
    save_file(with_prefix("module.", state), tmp_path / "w.safetensors")
    model = small(str(tmp_path / "w.safetensors"))
    torch.testing.assert_close(model.network.state_dict()["one.0.weight"], state["one.0.weight"])


def test_several_networks_are_not_guessed(state: dict, tmp_path: Path) -> None:
    other = {key: value + 1 for key, value in state.items()}
    path = saved(tmp_path / "w.pth", {"student": other, "teacher": with_prefix("module.", state)})
    with pytest.raises(
        InputError, match=r"w\.pth: holds several networks; choose one by --weights-key: student, t"
    ):
        small(path)
    model = small(path, weights_key="teacher")
    torch.testing.assert_close(model.network.state_dict()["one.0.weight"], state["one.0.weight"])
    assert model.weights.key == "teacher"
    with pytest.raises(InputError, match=r"--weights-key ema: expected one of student, teacher"):
        small(path, weights_key="ema")
    headless = {key: value for key, value in state.items() if not key.startswith("classifier")}
    with pytest.raises(InputError, match="choose one by --weights-key: model, ema"):
        small(saved(tmp_path / "ema.pth", {"model": state, "ema": headless}))
    flat = {**with_prefix("module.encoder_q.", state), **with_prefix("module.encoder_k.", other)}
    path = saved(tmp_path / "flat.pth", {"state_dict": flat})
    with pytest.raises(InputError, match=r"--weights-prefix: module\.encoder_q\., module\.encod"):
        small(path)
    model = small(path, weights_prefix="module.encoder_q.")
    torch.testing.assert_close(model.network.state_dict()["one.0.weight"], state["one.0.weight"])
    assert model.weights.prefix == "module.encoder_q."
    with pytest.raises(InputError, match=r"such as one\.0\.weight after --weights-prefix 'x\.', g"):
        small(path, weights_prefix="x.")
    with pytest.raises(InputError, match="are for --weights FILE"):
        load_model("nets:small", weights_key="teacher")


def test_only_what_the_layers_need_must_be_there(state: dict, tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pth", {k: v for k, v in state.items() if k.startswith("one.")})
    model = small(path, layers=["one*"])
    assert [layer.name for layer in model.layers()][:2] == ["one.0", "one.1"]
    with pytest.raises(
        InputError,
        match=r"w\.pth: weights do not fit nets:small up to two\.2; missing: two\.0\.weight \(and",
    ):
        small(path, layers=["one.1", "two.2"])
    with pytest.raises(InputError, match=r"up to three\.1; missing: two"):
        small(path)  # by default all blocks are read
    # What is not there is no number: it cannot be taken for one.
    assert model.network.state_dict()["two.0.weight"].isnan().all()
    with pytest.raises(InputError, match=r"up to two\.0; missing: two\.0\.weight"):
        model.layer("two.0")
    assert model.layer("one.1").units == 6


def test_a_run_needs_what_its_layers_need(state: dict, tmp_path: Path, small_world: Path) -> None:
    path = saved(tmp_path / "w.pth", {k: v for k, v in state.items() if k.startswith("one.")})
    backbone = sp.Backbone("nets:small", path, input_size=(36, 48))
    masks = small_world / "masks.json"
    run = sp.probe(masks, model=backbone, layers="one.1", root=small_world, out=tmp_path / "run")
    assert np.isfinite(run.scores).all()
    with pytest.raises(InputError, match=r"missing: two\.0\.weight"):
        sp.probe(masks, model=backbone, layers="three.1", root=small_world, out=tmp_path / "no")
    assert not (tmp_path / "no").exists()
    from salprobe.probe.runs.inputs import model_of

    sp.trust("nets:small")
    assert model_of(run).weights == run.info.parameters.weights


def test_what_is_used_is_measured() -> None:
    """A weight of attention that no module is called for counts, and a buffer; no later layer."""

    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(3, 8, 4, 4)
            self.register_buffer("shift", torch.ones(8, 1, 1))
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.last = nn.Conv2d(8, 4, 1)
            self.unused = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            maps = self.patch(x) + self.shift
            tokens = maps.flatten(2).transpose(1, 2)
            tokens = self.attention(tokens, tokens, tokens, need_weights=False)[0]
            return self.last(tokens.transpose(1, 2).unflatten(2, maps.shape[2:]))

    network = Attends().eval()
    layers = {layer.name: layer for layer in trace(network, (16, 16))}
    patch = {"patch.weight", "patch.bias"}
    attention = {"in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"}
    whole = {
        *patch,
        "shift",
        *(f"attention.{key}" for key in attention),
        "last.weight",
        "last.bias",
    }
    assert used_keys(network, [layers["patch"]], (16, 16)) == patch
    assert used_keys(network, [layers["last"]], (16, 16)) == whole
    assert used_keys(network, None, (16, 16)) == whole


def test_other_parts_in_the_same_modules_are_refused(state: dict, tmp_path: Path) -> None:
    """A network with more in its blocks than ours is another network, though every key fits."""
    path = saved(tmp_path / "w.pth", {**state, "two.squeeze.weight": torch.zeros(6, 6)})
    with pytest.raises(InputError, match=r"up to three\.1; unexpected: two\.squeeze\.weight$"):
        small(path)
    assert small(path, layers=["one.1"])  # which does not depend on it
    path = saved(tmp_path / "v.pth", {**state, "pos_embed": torch.zeros(1, 2)})
    with pytest.raises(InputError, match=r"unexpected: pos_embed$"):
        small(path)
    assert small(saved(tmp_path / "m.pth", {**state, "mask_token": torch.zeros(1, 2)}))


def test_a_layer_more_in_the_same_block_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where all blocks are named alike within, and where one module is around them all."""

    def blocks() -> nn.Sequential:
        parts = [nn.Sequential(nn.Conv2d(3, 3, 3, bias=False), nn.ReLU()) for _ in range(2)]
        return nn.Sequential(*parts)

    for name, network, prefix in (
        ("bare", blocks(), ""),
        ("within", nn.Sequential(blocks()), "0."),
    ):
        monkeypatch.setattr(sys.modules[__name__], name, lambda made=network: made, raising=False)
        monkeypatch.setitem(sys.modules, "mine", sys.modules[__name__])
        state = {**network.state_dict(), f"{prefix}0.0.scale": torch.ones(3)}
        with pytest.raises(InputError, match=rf"unexpected: {prefix}0\.0\.scale$"):
            load_model(f"mine:{name}", saved(tmp_path / "w.pth", state), input_size=(9, 9))
        state = {**network.state_dict(), f"{prefix}2.0.weight": torch.ones(3)}
        load_model(f"mine:{name}", saved(tmp_path / "w.pth", state), input_size=(9, 9))


def test_tied_parameters_may_be_in_the_file_once(tmp_path: Path) -> None:
    network = nn.Module()
    network.a, network.b = nn.Linear(2, 2), nn.Linear(2, 2)
    network.b.weight = network.a.weight
    state = {key: value + 1 for key, value in network.state_dict().items() if key != "a.weight"}
    fill(network, state, "no")
    torch.testing.assert_close(network.a.weight.data, state["b.weight"])


class _Evil:
    def __reduce__(self):
        return (print, ("unpickled!",))


class Settings:
    pass


def test_bad_weights_are_named(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    path = tmp_path / "w.pth"
    with pytest.raises(InputError, match="no such file"):
        read_states(path)
    with pytest.raises(InputError, match="is a folder"):
        read_states(tmp_path)
    path.write_bytes(b"hello")
    with pytest.raises(InputError, match="not a file of weights"):
        read_states(path)
    for content, named in ((_Evil(), "print"), (Settings(), "Settings"), (sys.exit, "sys.exit")):
        torch.save({"x": content, "weight": torch.ones(1)}, path)
        with pytest.raises(
            InputError, match=rf"{named}, which is not unpickled; save the"
        ) as error:
            read_states(path)
        assert "weights_only" not in str(error.value)
        assert len(str(error.value)) < 300
        assert "unpickled!" not in capfd.readouterr().out
    torch.save([1, 2], path)
    with pytest.raises(InputError, match="not a state dict"):
        read_states(path)
    torch.save(torchvision.models.squeezenet1_1().state_dict(), path)
    with pytest.raises(
        InputError,
        match=r"do not fit squeezenet1_0 up to .*features\.0\.weight is \(64, 3, 3, 3\), ",
    ):
        load_model("squeezenet1_0", str(path))
    with pytest.raises(InputError, match=r"expected keys such as conv1\.weight, got features\.0"):
        load_model("resnet18", str(path))
    broken = Small().state_dict()
    broken["three.0.bias"][0] = torch.nan
    with pytest.raises(InputError, match=r"three\.0\.bias is not finite"):
        small(saved(path, broken))
    for kind in (torch.complex64, torch.int64):
        odd = Small().state_dict()
        odd["three.0.bias"] = odd["three.0.bias"].to(kind)
        name = str(kind).removeprefix("torch.")
        with pytest.raises(InputError, match=rf"three\.0\.bias holds {name}, expected floating"):
            small(saved(path, odd))
    loop: dict = {"weight": torch.ones(1)}
    loop["again"] = loop
    with pytest.raises(InputError, match="expected keys such as"):
        small(saved(path, loop))


def test_a_script_archive_is_named(tmp_path: Path) -> None:
    from nets import compiled

    path = tmp_path / "w.pt"
    compiled().save(path)
    with pytest.raises(InputError, match="not a file of weights") as error:
        read_states(path)
    assert "weights_only" not in str(error.value)


@pytest.fixture(scope="module")
def authors(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of the form of He et al.'s trained model, with random numbers."""
    torch.manual_seed(2)
    vgg = torchvision.models.vgg16(weights=None).features.state_dict()
    state = {f"encoder.{key}": value for key, value in vgg.items()}
    assert len(state) == 26
    state["decoder.weight"] = torch.rand(1, 512, 1, 1)
    return saved(tmp_path_factory.mktemp("authors") / "4000.pt", state)


@pytest.fixture
def quick(authors: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out random weights, which take most of VGG's time and are replaced."""
    for name in ("kaiming_normal_", "kaiming_uniform_", "normal_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *_, **__: tensor.data.zero_())


@pytest.mark.usefixtures("quick")
def test_the_authors_model_is_a_trained_saliency_model(authors: str) -> None:
    model = load_model("vgg16", authors, input_size=(64, 64))
    assert isinstance(model.network, SaliencyModel)
    assert [layer.name for layer in model.layers()][-2:] == ["conv5_3", "readout"]
    state = torch.load(authors, weights_only=True)
    image = torch.rand(1, 3, 64, 64)
    vgg = torchvision.models.vgg16(weights=None).features[:30].eval()
    vgg.load_state_dict({k.removeprefix("encoder."): v for k, v in state.items() if "enc" in k})
    with torch.inference_mode():
        expected = nn.functional.conv2d(vgg(image), state["decoder.weight"])
        torch.testing.assert_close(model.network(image), expected)
    with pytest.raises(
        InputError, match=r"readout takes 512 units, and \S+ of vgg11 has|do not fit"
    ):
        load_model("vgg11", authors)
    with pytest.raises(InputError, match=r"such as features\.0\.0\.weight"):
        load_model("mobilenet_v3_small", authors)


@pytest.mark.usefixtures("quick")
def test_the_authors_model_in_commands(authors: str, gaze_world: Path, tmp_path: Path) -> None:
    backbone = sp.Backbone("vgg16", authors, input_size=(32, 32))
    masks = gaze_world / "masks.json"
    run = sp.probe(masks, model=backbone, layers=["conv5_3", "readout"], out=tmp_path / "authors")
    assert [layer.name for layer in run.layers] == ["conv5_3", "readout"]
    assert sp.output(run).layer == "conv5_3"
    dataset = sp.load_dataset(str(gaze_world))
    from salprobe.probe.saliency.maps import maps_of

    maps = maps_of(["vgg16"], dataset.stimuli, dataset, {"vgg16": authors})
    scores = sp.score(dataset, maps, 3)
    assert scores["model"].unique().tolist() == ["vgg16"]
    # Training goes on from its readout; the sweep's steps are compared with it.
    info = sp.train(dataset, sp.Recipe(epochs=1), tmp_path / "tune-0", model=backbone)
    assert info.parameters.backbone.weights.file == "4000.pt"
    assert info.parameters.model_extra["readout"] == "continued"
    trained = sp.probe(
        masks, model=str(tmp_path / "tune-0"), layers=["conv5_3", "readout"], out=tmp_path / "run"
    )
    difference = sp.compare(run, trained)
    assert set(difference["layer"]) == {"conv5_3", "readout"}
    frozen = difference[difference["layer"] == "conv5_3"]
    assert (frozen["difference"].dropna() == 0).all()


@pytest.mark.usefixtures("quick")
def test_of_two_networks_in_a_file_the_named_one_makes_the_maps(
    authors: str, gaze_world: Path, tmp_path: Path
) -> None:
    state = torch.load(authors, weights_only=True)
    other = state | {"decoder.weight": -state["decoder.weight"]}
    both = tmp_path / "both.pth"
    torch.save({"student": state, "teacher": other}, both)
    command = ["maps", str(gaze_world), "--models", "vgg16", "--weights", f"vgg16={both}"]

    def made(*more: str) -> np.ndarray:
        app([*command, *more, "-o", str(tmp_path / "maps")], standalone_mode=False)
        return np.load(next((tmp_path / "maps" / "vgg16").rglob("*.npy")))

    with pytest.raises(InputError, match="--weights-key"):
        made()  # which of them?
    student = made("--weights-key", "student")
    # In the same folder: what another network made is not kept.
    np.testing.assert_allclose(made("--weights-key", "teacher"), -student, atol=1e-6)
    with pytest.raises(InputError, match="are for --weights NAME=FILE"):
        app(["score", str(gaze_world), "--models", "gbvs", "--weights-key", "student"])


def test_best_says_what_it_holds_and_fits_plain_torchvision(
    gaze_world: Path, tmp_path: Path
) -> None:
    dataset = sp.load_dataset(str(gaze_world))
    backbone = sp.Backbone("squeezenet1_0", "random", input_size=(64, 64), layer="features.5")
    sp.train(dataset, sp.Recipe(epochs=1), tmp_path / "t", model=backbone)
    path = tmp_path / "t" / "best.safetensors"
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert list(metadata) == ["salprobe"]
    about = json.loads(metadata["salprobe"])
    assert (about["task"], about["model"], about["layer"]) == (
        *("saliency", "squeezenet1_0", "features.5"),
    )
    assert (about["input_size"], about["keys"]["head"]) == ([64, 64], "readout.")
    state = load_file(path)
    start = about["keys"]["backbone"]
    plain = torchvision.models.squeezenet1_0(weights=None)
    own = {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
    missing, unexpected = plain.load_state_dict(own, strict=False)
    assert not unexpected
    assert {key.split(".")[0] for key in missing} == {"features", "classifier"}
    assert min(int(k.split(".")[1]) for k in missing if k.startswith("feat")) > 5
    # By name, the file alone is the trained model, cut where it says.
    model = load_model("squeezenet1_0", str(path), input_size=(64, 64))
    image = torch.rand(1, 3, 64, 64)
    trained = load_model(str(tmp_path / "t"))
    with torch.inference_mode():
        torch.testing.assert_close(model.network(image), trained.network(image))


def test_real_weights_up_to_the_last_layer() -> None:
    import os

    path = Path(os.environ.get("SALPROBE_DATA", "")) / "weights/vgg16_edges_fp16.pth"
    if not path.is_file():
        pytest.skip("SALPROBE_DATA has no weights/vgg16_edges_fp16.pth")
    model = load_model("vgg16", str(path))
    assert set(model.lacking) == {
        f"classifier.{n}.{w}" for n in (0, 3, 6) for w in ("weight", "bias")
    }
    assert model.layer("conv5_3").units == 512
    found = find(path, model.network.state_dict(), key=None, prefix=None)
    assert found.readout is None
    with pytest.raises(InputError, match=r"as a whole; missing: classifier\.0\.weight"):
        model.check()


def test_weights_that_would_unpack_to_more_than_their_file_are_refused(tmp_path: Path) -> None:
    path, packed = tmp_path / "w.pth", tmp_path / "packed.pth"
    torch.save({"w": torch.zeros(10_000)}, path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    assert torch.load(packed, weights_only=True)["w"].shape == (10_000,)  # torch takes it
    with pytest.raises(InputError, match=r"unpacks to \d+ bytes, more than the file has"):
        read_states(packed)
    assert read_states(path)[0][""]["w"].shape == (10_000,)

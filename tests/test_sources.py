"""Networks of other libraries and of one's own, and how each is fed."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from nets import Colours
from PIL import Image
from torch import nn

import salprobe as sp
from salprobe.datasets.errors import InputError
from salprobe.probe.networks.load import load_model
from salprobe.probe.networks.model import network_input
from salprobe.probe.runs.inputs import model_of
from salprobe.probe.saliency.maps import maps_of
from salprobe.probe.sources.description import Resize
from salprobe.probe.sources.libraries import is_factory

RUN = {"size": (36, 48), "mean": (0, 0, 0), "sd": (1, 1, 1)}


def parameters(run: sp.Run) -> dict:
    return json.loads((run.folder / "run.json").read_text())["parameters"]


def test_names_of_sources_are_no_factories() -> None:
    names = ("timm:resnet18", "hf:facebook/dinov2-small", "open_clip:RN50", "vgg16", "runs/a")
    assert not any(map(is_factory, names))
    assert is_factory("mynets:build")
    assert is_factory("timm_nets:build")


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("timm:resnet18", "timm", "timm"), ("hf:a/b", "transformers", "hf"),
     ("open_clip:RN50", "open_clip", "clip")],
)  # fmt: skip
def test_a_missing_extra_is_named(
    name: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        InputError, match=rf"needs {package}, which is not installed: .*'salprobe\[{extra}\]'$"
    ):
        load_model(name, "random")


def test_timm_brings_how_it_is_fed(small_world: Path, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    name = "timm:tf_efficientnet_lite0"
    model = load_model(name, "random", input_size=(64, 96))
    assert (model.mean, model.sd, model.range) == ((0.5,) * 3, (0.5,) * 3, 1.0)
    assert model.resize == Resize((64, 96), "bicubic")
    assert model.weights.source == "random"
    assert load_model(name, "random").input_size == (224, 224)
    assert model.weights == load_model(name, "random").weights  # of seed 0
    assert model.weights != load_model(name, "random", seed=1).weights
    torch.manual_seed(4)
    state = timm.create_model("tf_efficientnet_lite0").state_dict()
    path = tmp_path / "w.pth"
    torch.save({"state_dict_ema": {f"module.{key}": value for key, value in state.items()}}, path)
    backbone = sp.Backbone(name, str(path), input_size=(64, 96))
    masks = small_world / "masks.json"
    run = sp.probe(masks, model=backbone, layers="blocks.1.1", root=small_world, out=tmp_path / "r")
    got = parameters(run)
    assert (got["mean"], got["interpolation"], got["range"]) == ([0.5] * 3, "bicubic", 1.0)
    assert "timm" in json.loads((run.folder / "run.json").read_text())["versions"]
    loaded = model_of(run)
    torch.testing.assert_close(loaded.network.conv_stem.weight.data, state["conv_stem.weight"])
    with pytest.raises(InputError, match=r"^timm:nothing: timm has no such model"):
        load_model("timm:nothing", "random")


def test_timm_at_another_size() -> None:
    pytest.importorskip("timm")
    model = load_model("timm:vit_tiny_patch16_224", "random", input_size=(96, 96))
    layer = next(one for one in model.layers() if one.name == "blocks.0")
    assert (layer.units, layer.height, layer.width) == (192, 6, 6)


def test_timm_trains(gaze_world: Path, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    dataset = sp.load_dataset(str(gaze_world))
    backbone = sp.Backbone("timm:tf_efficientnet_lite0", "random", (64, 64), layer="blocks.1.1")
    sp.train(dataset, sp.Recipe(epochs=1), tmp_path / "t", model=backbone)
    model = load_model(str(tmp_path / "t"))
    assert (model.mean, model.interpolation) == ((0.5,) * 3, "bicubic")
    assert model.layers()[-1].name == "readout"


def test_hugging_face(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="needs salprobe[hf]")
    config = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14
    )
    torch.manual_seed(5)
    network = transformers.AutoModel.from_config(config)
    network.save_pretrained(tmp_path)
    processor = {
        **{"size": {"shortest_edge": 64}, "crop_size": {"height": 56, "width": 56}},
        **{"do_center_crop": True, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]},
        **{"resample": 3, "rescale_factor": 1 / 255},
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    name = f"hf:{tmp_path}"
    model = load_model(name)
    assert (model.mean, model.sd, model.range) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), 1.0)
    assert model.resize == Resize((56, 56), "bicubic")
    for key, value in model.network.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[key])
    assert load_model(name, "random").weights.sha256 != model.weights.sha256
    torch.save({"teacher": network.state_dict()}, tmp_path / "w.pth")
    file = load_model(name, str(tmp_path / "w.pth"))
    torch.testing.assert_close(dict(file.network.state_dict()), dict(model.network.state_dict()))
    processor |= {"do_normalize": False, "do_rescale": False, "do_center_crop": False}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    model = load_model(name)
    assert (model.mean, model.sd, model.range) == ((0, 0, 0), (1, 1, 1), 255.0)
    assert model.input_size == (64, 64)
    del processor["size"]
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    with pytest.raises(InputError, match="does not say the size"):
        load_model(name)
    with pytest.raises(InputError, match=r"^hf:: expected hf:OWNER/NAME"):
        load_model("hf:")


def test_hugging_face_runs_no_code_of_a_folder(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs salprobe[hf]")
    where = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(where)!r}, 'w')\n")
    maps = dict.fromkeys(("AutoConfig", "AutoModel"), "evil.Evil")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": maps}))
    with pytest.raises(InputError, match=r"^hf:"):
        load_model(f"hf:{tmp_path}")
    assert not where.exists()


def test_open_clip() -> None:
    pytest.importorskip("open_clip", reason="needs salprobe[clip]")
    model = load_model("open_clip:RN50/openai", "random", input_size=(64, 64))
    assert model.mean[0] == pytest.approx(0.48145466)
    assert model.interpolation == "bicubic"
    assert model.layer("layer4.2").units == 2048
    with pytest.raises(InputError, match=r"expected weights, as in open_clip:RN50/TAG: openai"):
        load_model("open_clip:RN50")
    with pytest.raises(InputError, match=r"no such architecture"):
        load_model("open_clip:RN49")


def test_a_module_is_probed_as_it_is(small_world: Path, tmp_path: Path) -> None:
    masks, module = small_world / "masks.json", Colours().train()
    network = sp.Network(module, **RUN)
    run = sp.probe(masks, model=network, layers="units", root=small_world, out=tmp_path / "a")
    named = sp.Backbone("nets:colours", input_size=(36, 48))
    same = sp.probe(masks, model=named, layers="units", root=small_world, out=tmp_path / "b")
    # NSS does not depend on the normalisation of one colour.
    np.testing.assert_allclose(run.scores, same.scores, atol=2e-5)
    assert module.training  # the caller's network is left as it was
    got = parameters(run)
    assert (got["model"], got["weights"]["source"]) == ("Colours", "module")
    assert (got["mean"], got["sd"], got["input_size"]) == ([0, 0, 0], [1, 1, 1], [36, 48])
    assert len(got["code"]) == 64
    again = sp.probe(masks, model=network, layers="units", root=small_world, out=tmp_path / "a")
    assert again.info.finished == run.info.finished
    module.units.weight.data[0, 0] = 2
    with pytest.raises(InputError, match=r"other parameters \(weights\.sha256: "):
        sp.probe(masks, model=network, layers="units", root=small_world, out=tmp_path / "a")
    with pytest.raises(InputError, match=r"a: its network was a Module of the caller's, Colours"):
        model_of(run)
    plain = sp.probe(masks, model=module, layers="units", root=small_world, out=tmp_path / "c")
    assert parameters(plain)["input_size"] == [224, 224]
    assert parameters(plain)["mean"] == [0.485, 0.456, 0.406]


def test_older_runs_are_resumed_without_the_new_parameters(
    small_world: Path, tmp_path: Path
) -> None:
    masks = small_world / "masks.json"
    options = {"model": "nets:colours", "root": small_world, "out": tmp_path / "run"}
    run = sp.probe(masks, **options)
    content = json.loads((run.folder / "run.json").read_text())
    for name in ("range", "interpolation", "centre_bias"):
        del content["parameters"][name]
    (run.folder / "run.json").write_text(json.dumps(content))
    assert sp.probe(masks, **options).info.finished == run.info.finished
    content["parameters"]["interpolation"] = "bicubic"
    (run.folder / "run.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"\(interpolation: bicubic, now bilinear\)"):
        sp.probe(masks, **options)


def test_pictures_are_resized_whole() -> None:
    """No crop: a mark in each corner is still in its corner."""
    picture = np.zeros((60, 90, 3), np.uint8)
    picture[:10, :10], picture[-10:, -10:] = 255, 255
    for interpolation in ("nearest", "bilinear", "bicubic", "lanczos"):
        small = network_input(Image.fromarray(picture), Resize((30, 30), interpolation))
        assert small[0, 0, 0] == small[-1, -1, 0] == 255
        assert small[0, -1, 0] == small[-1, 0, 0] == 0
        expected = Image.fromarray(picture).resize(
            (30, 30), Image.Resampling[interpolation.upper()]
        )
        np.testing.assert_array_equal(small, np.asarray(expected))


def test_values_are_of_the_networks_range(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[__name__]
    network = sp.Network(Colours(), mean=(1, 2, 3), sd=(2, 2, 2), range=255, size=(2, 2))
    monkeypatch.setattr(module, "build", lambda: network, raising=False)
    monkeypatch.setitem(sys.modules, "mine", module)
    model = load_model("mine:build")
    picture = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    expected = (picture.transpose(0, 3, 1, 2) - np.array([1, 2, 3])[:, None, None]) / 2
    np.testing.assert_allclose(model.images(picture).numpy(), expected, atol=1e-6)
    plain = load_model("gabor").images(picture)
    np.testing.assert_array_equal(plain.numpy(), picture.transpose(0, 3, 1, 2) / np.float32(255))


class Biased(nn.Module):
    """A saliency model that takes a centre bias, as DeepGaze does."""

    def __init__(self) -> None:
        super().__init__()
        self.grey = nn.Conv2d(3, 1, 1, bias=False)
        self.grey.weight.data.fill_(1 / 3)

    def forward(self, images: torch.Tensor, centre_bias: torch.Tensor) -> torch.Tensor:
        return self.grey(images)[:, 0] + centre_bias


def test_a_saliency_model_with_a_centre_bias_and_a_resolution(
    small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bias = np.log(np.arange(1, 7, dtype=float).reshape(2, 3))
    network = sp.Network(
        Biased(),
        *((0, 0, 0), (1, 1, 1)),
        range=255,
        centre_bias=bias,
        px_per_degree=20,
        interpolation="nearest",
    )
    module = sys.modules[__name__]
    monkeypatch.setattr(module, "build", lambda: network, raising=False)
    monkeypatch.setitem(sys.modules, "mine", module)
    masks = sp.load_masks(small_world / "masks.json")
    stimuli = sp.Stimuli(small_world, tuple(masks.images))
    maps = maps_of(["mine:build"], stimuli, px_per_degree=10)
    stimulus = stimuli[0]
    picture = np.asarray(stimuli.read(stimulus), dtype=float).mean(2)
    # Pictures of 10 pixels per degree are shown at 20: twice as large.
    large = np.kron(picture, np.ones((2, 2)))
    density = np.kron(bias, np.ones((72, 64)))
    expected = large + density - np.log(np.exp(density).sum())
    got = maps["mine:build"](stimulus)
    halved = expected.reshape(72, 2, 96, 2).mean((1, 3))
    np.testing.assert_allclose(got, halved, atol=1e-3)
    with pytest.raises(InputError, match=r"expects 20 pixels per degree, and those of the stimuli"):
        maps_of(["mine:build"], stimuli)
    content = masks.to_dict()
    content["info"]["salprobe"]["px_per_degree"] = 10.0
    (tmp_path / "masks.json").write_text(json.dumps(content))
    run = sp.probe(tmp_path / "masks.json", model=network, root=small_world, out=tmp_path / "run")
    got = parameters(run)
    assert got["input_size"] == [144, 192]
    assert len(got["centre_bias"]) == 64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"module": "vgg"}, "module is a str, expected a torch.nn.Module"),
        ({"mean": (0, 0)}, r"mean is \(0, 0\), expected 3 numbers"),
        ({"mean": 0.5}, "mean is 0.5, expected 3 numbers"),
        ({"sd": (1, 0, 1)}, r"sd is \(1, 0, 1\), expected 3 numbers above 0"),
        ({"size": (2.5, 3)}, r"size is \(2.5, 3\), expected 2 whole numbers above 0"),
        ({"range": "255"}, "range is '255', expected a number above 0"),
        ({"px_per_degree": -1}, "px_per_degree is -1, expected a number above 0"),
        ({"interpolation": "sinc"}, "interpolation is 'sinc', expected nearest, bil"),
        ({"centre_bias": np.full((2, 2), -np.inf)}, r"centre_bias is \(2, 2\), expected finite"),
    ],
)
def test_a_description_is_checked(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        sp.Network(**{"module": nn.Conv2d(3, 1, 1), **options})

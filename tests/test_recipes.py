"""The recipes for saliency models from elsewhere, on stand-ins that take the same inputs."""

import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import nn

import salprobe as sp
from salprobe.probe.saliency.maps import maps_of

PAGE = Path(__file__).parents[1] / "docs" / "howto" / "saliency-recipes.md"


class StandIn(nn.Module):
    """Takes what DeepGaze takes, and keeps it."""

    def __init__(self, pretrained: bool = False) -> None:
        super().__init__()
        assert pretrained
        self.scale = nn.Conv2d(3, 1, 1)
        self.got: tuple = ()

    def forward(self, x: torch.Tensor, centerbias: torch.Tensor) -> torch.Tensor:
        self.got = x, centerbias
        return self._density(x, centerbias)

    def _density(self, x: torch.Tensor, centerbias: torch.Tensor) -> torch.Tensor:
        out = self.scale(x)[:, 0] / 255 + centerbias
        return out - out.logsumexp((1, 2), keepdim=True)


class Scanpath(StandIn):
    def forward(  # type: ignore[override]
        self, x: torch.Tensor, centerbias: torch.Tensor, x_hist: torch.Tensor, y_hist: torch.Tensor
    ) -> torch.Tensor:
        self.got = x, centerbias, x_hist, y_hist
        return self._density(x, centerbias)[:, None]  # as the mixture of III returns it


class Scaled(StandIn):
    def forward(  # type: ignore[override]
        self,
        x: torch.Tensor,
        centerbias: torch.Tensor,
        pixel_per_dva: float,
        dataset: int | None,
    ) -> torch.Tensor:
        assert dataset is None
        self.got = x, centerbias, pixel_per_dva
        return self._density(x, centerbias)


class Padded(nn.Module):
    """Takes what TranSalNet takes."""

    got: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Padded.got = x
        return self.scale * x.mean(1, keepdim=True)


@pytest.fixture
def mynets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The page's code as a module, in a folder with the files that it names."""
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    assert len(code) == 3
    (tmp_path / "mynets.py").write_text("\n".join(code))
    bias = np.random.default_rng(0).normal(size=(64, 64))
    np.save(tmp_path / "centerbias_mit1003.npy", bias)
    (tmp_path / "pretrained_models").mkdir()
    torch.save(Padded().state_dict(), tmp_path / "pretrained_models" / "TranSalNet_Res.pth")
    for name, content in (
        (
            "deepgaze_pytorch",
            {
                "DeepGazeI": StandIn,
                "DeepGazeIIE": StandIn,
                "DeepGazeIII": Scanpath,
                "DeepGazeMSDB": Scaled,
            },
        ),
        ("TranSalNet_Res", {"TranSalNet": Padded}),
    ):
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mynets", raising=False)
    import mynets  # type: ignore[import-not-found]

    return mynets


@pytest.mark.parametrize(
    ("factory", "resolution"),
    [("deepgaze1", 35), ("deepgaze2e", 35), ("deepgaze3", 35), ("deepgazemsdb", 24)],
)
def test_deepgaze_is_given_what_it_expects(
    mynets: ModuleType, factory: str, resolution: float, small_world: Path, monkeypatch
) -> None:
    network = getattr(mynets, factory)()
    monkeypatch.setattr(mynets, factory, lambda: network)
    stimuli = sp.Stimuli(small_world, tuple(sp.load_masks(small_world / "masks.json").images))
    stimulus, name = stimuli[0], f"mynets:{factory}"
    density = maps_of([name], stimuli, px_per_degree=20)[name](stimulus)
    assert density.shape == stimulus.size
    module = network.module if isinstance(network.module, StandIn) else network.module.module
    images, bias, *rest = module.got
    height, width = (round(side * resolution / 20) for side in stimulus.size)
    assert images.shape == (1, 3, height, width)
    assert 200 < images.max() <= 255
    assert images.min() >= 0
    assert bias.shape == (1, height, width)
    assert logsumexp(bias.double().numpy()) == pytest.approx(0, abs=1e-3)
    if factory == "deepgaze3":
        assert [one.tolist() for one in rest] == [[[width / 2] * 4], [[height / 2] * 4]]
    if factory == "deepgazemsdb":
        assert rest == [24.0]


@pytest.mark.parametrize("size", [(60, 120), (90, 60), (288, 384)])
def test_transalnet_is_padded_and_cut_again(mynets: ModuleType, size: tuple[int, int]) -> None:
    rows, columns = np.mgrid[: size[0], : size[1]]
    grey = (40 + 150 * rows / size[0] + 60 * columns / size[1]).astype(np.uint8)
    found = sp.saliency_map("mynets:transalnet", np.stack([grey] * 3, -1))
    assert Padded.got.shape == (1, 3, 288, 384)
    assert Padded.got.max() <= 1
    assert (Padded.got[..., 0, 0].max() > 0) == (size == (288, 384))
    np.testing.assert_allclose(found * 255, grey, atol=4)

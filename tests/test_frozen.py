"""What training does not change is computed once for each stimulus, and changes no bit."""

from functools import partial
from pathlib import Path

import pytest
import torch
from test_training import same, trained
from torch import nn

from salprobe.datasets.sources.load import load_dataset
from salprobe.datasets.stimuli import Dataset
from salprobe.probe.choices import Precision
from salprobe.probe.layers.layers import layer_named
from salprobe.probe.layers.trace import trace
from salprobe.probe.networks.device import Execution
from salprobe.probe.networks.heads import SaliencyModel, Tune
from salprobe.probe.networks.load import Backbone
from salprobe.probe.networks.trainable import trainable
from salprobe.probe.training import trainer
from salprobe.probe.training.frozen import Frozen
from salprobe.probe.training.recipe import Recipe
from salprobe.probe.training.train import train

SIZE = (36, 48)


@pytest.fixture
def dataset(gaze_world: Path) -> Dataset:
    return load_dataset(str(gaze_world))


class Around(nn.Module):
    """A residual block whose last convolution is trained: its input goes around it, too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.inner = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.outer = nn.Conv2d(4, 4, 3, padding=1)
        self.end = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.end(x + self.outer(self.relu(self.inner(x))))


def tuned(backbone: nn.Module, layer: str, tune: Tune) -> SaliencyModel:
    torch.manual_seed(0)
    found = layer_named(trace(backbone.eval(), SIZE), layer)
    network = SaliencyModel(backbone, found, SIZE).eval()
    network.tune(tune)
    return network


def name_of(frozen: Frozen, network: SaliencyModel) -> str | None:
    names = {module: name for name, module in network.backbone.named_modules()}
    return None if frozen._frontier is None else names[frozen._frontier]


@pytest.mark.parametrize(
    ("tune", "frontier"), [(0, "end"), (1, "stem"), (2, "stem"), (3, None), ("all", None)]
)
def test_nothing_goes_around_the_frontier(tune: Tune, frontier: str | None) -> None:
    network = tuned(Around(), "end", tune)
    assert name_of(Frozen(network, SIZE, 10), network) == frontier


@pytest.mark.parametrize("tune", [0, 1])
def test_a_batch_of_known_stimuli_needs_no_pictures(tune: Tune) -> None:
    network = tuned(Around(), "end", tune)
    frozen = Frozen(network, SIZE, 10)
    pictures = torch.rand(3, 3, *SIZE).contiguous(memory_format=torch.channels_last)
    ids = [4, 5, 6]
    with torch.no_grad():
        expected = network(pictures)
        assert torch.equal(frozen.forward(network, ids, lambda: pictures), expected)
        again = frozen.forward(network, ids[::-1], lambda: pytest.fail("the maps are known"))
        assert torch.equal(again, expected.flip(0))
        # A new stimulus in a batch has the whole batch computed.
        found = frozen.forward(network, [4, 5, 7], lambda: pictures)
        assert torch.equal(found, expected)
        # So has a batch of another size, in which an image may be rounded otherwise.
        asked = []
        frozen.forward(network, [4, 5], lambda: (asked.append(1), pictures[:2])[1])
        assert asked


class Noisy(Around):
    """A network that changes its pictures at random."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x + torch.rand(()))


class Counting(Around):
    """Reads the number of pictures from the picture itself, after its first convolution."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = len(x)
        return self.end(self.outer(self.inner(self.stem(x)).reshape(n, 4, *x.shape[2:])))


class Borrowing(Around):
    """Uses a weight before the module that it belongs to is called."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x) * self.outer.weight.mean()
        return self.end(self.outer(self.relu(self.inner(x))))


def test_networks_that_count_pictures_or_borrow_weights_are_not_fooled() -> None:
    network = tuned(Counting(), "end", 1)
    assert name_of(Frozen(network, SIZE, 10), network) is None
    network = tuned(Borrowing(), "end", 1)
    assert name_of(Frozen(network, SIZE, 10), network) == "stem"


def test_random_maps_are_not_kept() -> None:
    network = tuned(Noisy(), "end", 0)
    assert name_of(Frozen(network, SIZE, 10), network) is None


def test_maps_that_do_not_fit_are_not_kept() -> None:
    network = tuned(Around(), "end", 1)
    size = 4 * SIZE[0] * SIZE[1] * 4
    for limit, known in ((20 * size - 1, False), (20 * size, True)):
        frozen, asked = Frozen(network, SIZE, 10, limit), []
        for _ in range(2):
            frozen.forward(network, [1], lambda: (asked.append(1), torch.rand(1, 3, *SIZE))[1])  # noqa: B023
        assert len(asked) == 2 - known


@pytest.mark.parametrize(
    ("tune", "precision", "batch_size"),
    # 12 stimuli to train on: an epoch's last batch has four of them, or a single one.
    [(0, "fp32", 4), (1, "fp32", 4), (2, "bf16", 4), (0, "fp32", 11), (1, "fp32", 11)],
)
def test_training_comes_to_the_same_bit_for_bit(
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tune: Tune,
    precision: Precision,
    batch_size: int,
) -> None:
    recipe = Recipe(tune=tune, epochs=3, rate=0.05, backbone_rate=0.01)
    options: dict = {"precision": precision, "batch_size": batch_size}
    trained(dataset, tmp_path / "kept", recipe, **options)
    monkeypatch.setattr(trainer, "Frozen", partial(Frozen, limit=0))
    trained(dataset, tmp_path / "anew", recipe, **options)
    assert same(tmp_path / "kept", tmp_path / "anew")


@pytest.mark.slow
@pytest.mark.parametrize("tune", [0, 1, 3])
def test_a_real_network_comes_to_the_same(
    gaze_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tune: Tune
) -> None:
    dataset, recipe = load_dataset(str(gaze_world)), Recipe(tune=tune, epochs=3)
    model, execution = Backbone("squeezenet1_0", "random", (64, 64)), Execution(batch_size=5)
    for name, limit in (("kept", 2**30), ("anew", 0)):
        monkeypatch.setattr(trainer, "Frozen", partial(Frozen, limit=limit))
        train(dataset, recipe, tmp_path / name, model=model, execution=execution)
    assert same(tmp_path / "kept", tmp_path / "anew")


@pytest.mark.parametrize(
    ("model", "tune", "frontier"),
    [
        ("squeezenet1_0", 1, "features.12.squeeze_activation"),
        ("resnet18", 3, "layer3"),
        ("mobilenet_v3_small", 0, "features.12.2"),
    ],
)
def test_frontiers_of_real_networks(model: str, tune: Tune, frontier: str) -> None:
    loaded, network = trainable(Backbone(model, "random", (64, 64)), 0, None)
    network.tune(tune)
    assert isinstance(network, SaliencyModel)
    assert name_of(Frozen(network, loaded.input_size, 10), network) == frontier

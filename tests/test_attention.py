"""Attention heads as units: their maps against attention computed slowly, however it is written."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from salprobe.datasets.errors import InputError
from salprobe.probe.layers.layers import layer_named, reading
from salprobe.probe.layers.layouts import NO_ORDER, Reading, pictures, read
from salprobe.probe.layers.trace import survey
from salprobe.probe.networks.heads import SaliencyModel
from salprobe.probe.runs.probing import probe

UNITS, HEADS, SIZE = 12, 3, (64, 96)
CELLS = (8, 12)


class Attention(nn.Module):
    """Attention in one of the ways that networks write it."""

    def __init__(self, way: str, mask: torch.Tensor | None = None) -> None:
        super().__init__()
        self.way, self.mask = way, mask
        self.qkv = nn.Linear(UNITS, 3 * UNITS)
        self.whole = nn.MultiheadAttention(UNITS, HEADS, batch_first=True)
        self.soft = nn.Softmax(dim=-1)
        with torch.no_grad():  # the same weights, large enough for heads to differ
            self.qkv.weight.mul_(4)
            self.whole.in_proj_weight.copy_(self.qkv.weight)
            self.whole.in_proj_bias.copy_(self.qkv.bias)

    def parts(self, tokens: torch.Tensor) -> tuple[torch.Tensor, ...]:
        n, count, _ = tokens.shape
        return self.qkv(tokens).reshape(n, count, 3, HEADS, -1).permute(2, 0, 3, 1, 4).unbind()

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        if self.way == "module":
            return self.whole(tokens, tokens, tokens, need_weights=False)[0]
        q, k, v = self.parts(tokens)
        if self.way == "product":
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask)
        else:
            out = self.soft(q @ k.transpose(-2, -1) / math.sqrt(UNITS // HEADS)) @ v
        return out.transpose(1, 2).flatten(2)


class Transformer(nn.Module):
    """Patches, tokens that differ from picture to picture, and attention twice."""

    def __init__(self, way: str = "product", prefix: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, UNITS, 8, stride=8)
        self.prefix = prefix
        self.one, self.two = Attention(way), Attention(way)

    def tokens(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.patches(images)
        more = maps.mean((2, 3))[:, None].expand(-1, self.prefix, -1)
        return torch.cat([more, maps.flatten(2).mT], 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.tokens(images)
        tokens = tokens + self.one(tokens)
        return (tokens + self.two(tokens)).mean(1)


def transformer(way: str = "product", prefix: int = 2) -> Transformer:
    torch.manual_seed(3)
    return Transformer(way, prefix).eval()


def slowly(network: Transformer, images: torch.Tensor, query: str) -> np.ndarray:
    """Compute the first attention's maps in float64, one head and token after another."""
    tokens = network.tokens(images)
    q, k, _ = (part.double().numpy() for part in network.one.parts(tokens))
    n, heads, count, width = q.shape
    found = np.zeros((n, heads, count))
    asking = [0] if query == "class" else range(count)
    for image in range(n):
        for head in range(heads):
            for row in asking:
                products = [q[image, head, row] @ k[image, head, t] for t in range(count)]
                powers = np.exp(np.array(products) / math.sqrt(width))
                found[image, head] += powers / powers.sum() / len(asking)
    return found[:, :, network.prefix :].reshape(n, heads, *CELLS)


def maps_of(network: nn.Module, name: str, images: torch.Tensor) -> torch.Tensor:
    layer = layer_named(survey(network, SIZE).layers, name)
    seen = []
    with torch.inference_mode(), reading(network, [layer]) as forward:
        forward(images, lambda _layer, maps: seen.append(maps.clone()))
    return seen[0]


@pytest.mark.parametrize("query", ["class", "mean"])
@pytest.mark.parametrize("way", ["product", "softmax", "module"])
def test_maps_are_the_heads_attention(way: str, query: str) -> None:
    network, images = transformer(way), torch.randn(3, 3, *SIZE)
    name = f"one{'.whole' if way == 'module' else ''}#{query}"
    with torch.inference_mode():
        expected = slowly(network, images, query)
    np.testing.assert_allclose(maps_of(network, name, images), expected, atol=1e-6)


@pytest.mark.parametrize("boolean", [True, False])
def test_a_mask_of_attention_counts(boolean: bool) -> None:
    network, images = transformer(prefix=0), torch.randn(2, 3, *SIZE)
    count = math.prod(CELLS)
    open_to = torch.rand(count, count) < 0.5
    network.one.mask = open_to if boolean else torch.where(open_to, 0.0, -math.inf)
    layer = layer_named(survey(transformer(prefix=0), SIZE).layers, "one#mean")
    seen = []
    with torch.inference_mode(), reading(network, [layer]) as forward:
        forward(images, lambda _layer, maps: seen.append(maps))
        q, k, _ = network.one.parts(network.tokens(images))
        products = (q @ k.mT).double() / math.sqrt(UNITS // HEADS)
        weights = products.masked_fill(~open_to, -math.inf).softmax(-1).mean(2)
    torch.testing.assert_close(seen[0].flatten(2).double(), weights, atol=1e-6, rtol=0)


def test_heads_are_listed_after_their_module_and_are_no_default() -> None:
    layers = survey(transformer(), SIZE).layers
    heads = [layer for layer in layers if "#" in layer.name]
    names = [layer.name for layer in heads]
    assert names == ["one#class", "one#mean", "two#class", "two#mean"]
    assert {(one.units, one.height, one.width, one.prefix) for one in heads} == {(HEADS, 8, 12, 2)}
    assert not any(layer.default for layer in heads)


def test_heads_are_never_taken_for_cells() -> None:
    """Six heads that happen to answer to the picture's quarters, as two tokens and 2×2 cells do."""
    generator = torch.Generator().manual_seed(0)
    quarters = F.adaptive_avg_pool2d(pictures((64, 64)), 2).flatten(2)
    cells = torch.einsum("tc,nck->nkt", torch.randn(98, 3, generator=generator), quarters)
    output = torch.cat([cells.mean(1, keepdim=True).expand(-1, 2, -1), cells], 1)
    same = (64, 64), (64, 64)
    misread = read((1, 6, 98), output, *same)
    assert isinstance(misread, Reading) and misread.layout == "NTC"
    assert read((1, 6, 98), output, *same, tokens=2) == NO_ORDER


def test_without_a_token_before_the_cells_there_is_no_class_token() -> None:
    names = [layer.name for layer in survey(transformer(prefix=0), SIZE).layers]
    assert "one#mean" in names and "one#class" not in names


class Shuffled(Transformer):
    """Attends to its cells in another order than the picture's."""

    def tokens(self, images: torch.Tensor) -> torch.Tensor:
        tokens = super().tokens(images)
        order = torch.randperm(tokens.shape[1], generator=torch.Generator().manual_seed(1))
        return tokens[:, order]


class Windowed(Transformer):
    """Attends within windows of 4×4 cells."""

    def tokens(self, images: torch.Tensor) -> torch.Tensor:
        cut = self.patches(images).unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 4, 5, 1)
        return cut.reshape(-1, 16, UNITS)


@pytest.mark.parametrize("kind", [Shuffled, Windowed])
def test_heads_whose_tokens_are_not_the_pictures_cells_are_left_out(kind: type) -> None:
    torch.manual_seed(3)
    found = survey(kind(prefix=0).eval(), SIZE)
    assert not [layer for layer in found.layers if "#" in layer.name]
    assert {"one#mean", "two#mean"} <= {one.module for one in found.left_out}
    with pytest.raises(InputError, match="one#mean gives no maps that can be read"):
        found.select(["one#mean"])


@pytest.mark.parametrize("way", ["product", "module"])
def test_the_networks_output_and_the_modules_are_left_alone(way: str) -> None:
    network, images = transformer(way), torch.randn(2, 3, *SIZE)
    with torch.inference_mode():
        before = network(images)
        maps_of(network, f"two{'.whole' if way == 'module' else ''}#mean", images)
        assert torch.equal(network(images), before)
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in network.modules())


def test_a_readout_can_be_trained_on_heads() -> None:
    model = SaliencyModel(
        transformer("module"),
        layer_named(survey(transformer("module"), SIZE).layers, "one.whole#class"),
        SIZE,
    )
    model.tune("all")
    assert model.weight_layers == ["patches", "one.whole"]
    model(torch.randn(2, 3, *SIZE)).square().sum().backward()
    assert float(model.backbone.one.whole.in_proj_weight.grad.abs().sum()) > 0


def test_a_run_scores_heads_as_units(small_world: Path, tmp_path: Path) -> None:
    run = probe(
        small_world / "masks.json",
        root=small_world,
        model=transformer(),
        layers=["*#class"],
        out=tmp_path / "run",
    )
    assert [(layer.name, layer.units) for layer in run.info.layers] == [
        ("one#class", HEADS),
        ("two#class", HEADS),
    ]
    assert np.isfinite(run.scores[run.regions["n_fixations"] > 0]).all()

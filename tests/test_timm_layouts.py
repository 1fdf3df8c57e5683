"""Networks of timm: a bright corner stands out in that corner of each layer, or it is left out.

In the output of attention alone, which all cells share, a corner stands out by answering less than
the others do. With random weights, some layers answer alike everywhere: they say nothing for or
against a reading.
"""

import re

import pytest
import torch

from salprobe.probe.layers.layers import Layer, reading
from salprobe.probe.layers.trace import survey

timm = pytest.importorskip("timm", reason="timm is not installed")
pytestmark = pytest.mark.slow

ALIKE = 0.35  # a logarithm: quadrants that differ by less answer alike
SHARED = re.compile("attn|attention")  # what all cells share: there a corner may answer less

NAMES = """
    efficientnet_b0 convnext_atto focalnet_tiny_srf edgenext_xx_small pvt_v2_b0 nest_tiny davit_tiny
    tiny_vit_5m_224 maxvit_tiny_tf_224 mobilevit_xxs swin_tiny_patch4_window7_224
    deit_tiny_distilled_patch16_224 vit_small_patch14_reg4_dinov2 cait_xxs24_224 levit_128s
    mixer_s32_224 coat_tiny mvitv2_tiny
"""
"""Of every kind; their weights are random."""


def answers(network: torch.nn.Module, layers: list[Layer], size: tuple[int, int]) -> dict:
    """Return how much each quadrant changes when each corner brightens, by layer.

    The logarithm, shape (corners, quadrants), less what a corner or a quadrant has in all cases.
    """
    height, width = (side // 2 for side in size)
    random = torch.Generator().manual_seed(7)
    pictures = torch.randn(1, 3, *size, generator=random).repeat(5, 1, 1, 1)
    corners = [(rows, columns) for rows in (0, -height) for columns in (0, -width)]
    for picture, (row, column) in zip(pictures[1:], corners, strict=True):
        picture[:, row:, column:][:, :height, :width] += 2
    found = {}

    def keep(layer: Layer, maps: torch.Tensor) -> None:
        changes = (maps[1:] - maps[:1]).double()
        changes = (changes - changes.mean((2, 3), keepdim=True)).square().sum(1)
        down, across = (side // 2 for side in changes.shape[1:])
        each = [
            half[:, :, columns].mean((1, 2))
            for half in (changes[:, :down], changes[:, -down:])
            for columns in (slice(0, across), slice(-across, None))
        ]
        answer = torch.stack(each, 1).clamp_min(1e-30).log()
        answer = answer - answer.mean(0)
        found[layer.name] = answer - answer.mean(1, keepdim=True)

    with torch.inference_mode(), reading(network, layers) as forward:
        forward(pictures, keep)
    return found


@pytest.mark.parametrize("name", NAMES.split())
def test_a_corner_that_changes_stands_out_in_that_corner(name: str) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False).eval()
    size = tuple(network.default_cfg["input_size"][1:])
    found = survey(network, size)
    assert found.layers
    layers = [layer for layer in found.layers if min(layer.height, layer.width) > 1]
    elsewhere = {
        (layer, corner): answer.tolist()
        for layer, corners in answers(network, layers, size).items()
        for corner, answer in enumerate(corners)
        if int(answer.argmax()) != corner and float(answer.max()) > ALIKE
        if not (SHARED.search(layer) and int(answer.argmin()) == corner)
    }
    assert elsewhere == {}

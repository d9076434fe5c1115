"""Alignment against a loop with its own bilinear sampler; the alternatives against torch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig, CrossFeatureAlignment
from sdcl_neuro.hybrid.bridge.fusion import CrossAttention, Fusion


def randomised(module: nn.Module, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.3)
    return module


def bilinear(image: Tensor, x: float, y: float) -> Tensor:
    """Value of ``[C, h, w]`` at (x, y) in cells, centres at whole numbers, zero outside."""
    total = torch.zeros(image.shape[0])
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < image.shape[1] and 0 <= column < image.shape[2]:
                share = (1 - abs(y - row)) * (1 - abs(x - column))
                total = total + share * image[:, row, column]
    return total


def linear(layer: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    return layer.weight[:, :, 0, 0] @ x + layer.bias.view(-1, *[1] * (x.ndim - 1))


def test_equation_13_in_a_loop() -> None:
    heads, points, channels, height, width = 2, 3, 8, 4, 3
    module = CrossFeatureAlignment(channels, heads=heads, points=points)
    randomised(module, 0)
    module.projection.copy_(torch.tensor([[0.9, 0.1, 0.2], [-0.1, 1.1, -0.3]]))
    own, other = torch.randn(1, channels, height, width), torch.randn(1, channels, height, width)
    found = module(own, other)
    flat = other[0].flatten(1)
    value = linear(module.value, flat).view(channels, height, width)
    for row in range(height):
        for column in range(width):
            query = own[0, :, row, column] * other[0, :, row, column]
            offset = linear(module.offset, query).view(heads, points, 2)
            hidden = torch.relu(linear(module.score[0], query))
            score = linear(module.score[2], hidden).view(heads, points).softmax(1)
            at = torch.tensor([(2 * column + 1) / width - 1, (2 * row + 1) / height - 1, 1.0])
            x, y = (module.projection @ at).tolist()
            x, y = (x + 1) * width / 2 - 0.5, (y + 1) * height / 2 - 0.5
            gathered = []
            for m in range(heads):
                part = value.view(heads, -1, height, width)[m]
                gathered.append(
                    sum(
                        score[m, i]
                        * bilinear(part, x + offset[m, i, 0].item(), y + offset[m, i, 1].item())
                        for i in range(points)
                    )
                )
            wanted = own[0, :, row, column] + linear(module.output, torch.cat(gathered))
            torch.testing.assert_close(found[0, :, row, column], wanted, atol=1e-5, rtol=1e-4)


def test_zero_offsets_attend_at_the_reference_point() -> None:
    module = CrossFeatureAlignment(16, heads=4, points=4)
    with torch.no_grad():
        module.offset.bias.zero_()
    own, other = torch.randn(3, 16, 16, 8), torch.randn(3, 16, 16, 8)
    torch.testing.assert_close(module(own, other), own + module.output(module.value(other)))


def test_points_start_apart() -> None:
    module = CrossFeatureAlignment(16, heads=4, points=2)
    assert module.offset.bias.view(4, 2, 2).unique(dim=0).shape[0] == 4
    steps = module.offset.bias.view(4, 2, 2).abs().amax(-1)
    torch.testing.assert_close(steps, torch.tensor([[1.0, 2.0]]).expand(4, 2))


def test_projection_goes_both_ways() -> None:
    bridge = Bridge(BridgeConfig(channels=16))
    shift = torch.tensor([[2.0, 0.0, 0.5], [0.0, 1.0, -0.25]])
    bridge.set_projection(shift)
    fusion = bridge.fusion
    assert isinstance(fusion, Fusion)
    assert isinstance(fusion.f2e, CrossFeatureAlignment)
    assert isinstance(fusion.e2f, CrossFeatureAlignment)
    assert torch.equal(fusion.f2e.projection, shift)
    back = torch.tensor([[0.5, 0.0, -0.25], [0.0, 1.0, 0.25]])
    torch.testing.assert_close(fusion.e2f.projection, back)
    assert "fusion.e2f.projection" in bridge.state_dict()
    with pytest.raises(InputError, match="not an invertible"):
        bridge.set_projection(torch.zeros(2, 3))
    with pytest.raises(InputError, match="projects nothing"):
        Bridge(BridgeConfig(channels=16, fusion="add")).set_projection(shift)


def test_a_shifted_projection_reads_the_neighbour() -> None:
    module = CrossFeatureAlignment(8, heads=2, points=2)
    with torch.no_grad():
        module.offset.bias.zero_()
    module.projection[0, 2] = 2 / 8  # one cell to the right on a map 8 wide
    own, other = torch.zeros(1, 8, 16, 8), torch.randn(1, 8, 16, 8)
    found, value = module(own, other), module.value(other)
    moved = torch.zeros_like(value)
    moved[..., :-1] = value[..., 1:]
    torch.testing.assert_close(found, module.output(moved), atol=1e-5, rtol=1e-5)


def test_attention_is_torchs() -> None:
    module = CrossAttention(8, heads=2)
    randomised(module, 1)
    twin = nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        parts = (module.query, module.key, module.value)
        twin.in_proj_weight.copy_(torch.cat([p.weight.flatten(1) for p in parts]))
        zero = torch.zeros(8)
        twin.in_proj_bias.copy_(torch.cat([module.query.bias, zero, module.value.bias]))
        twin.out_proj.weight.copy_(module.output.weight.flatten(1))
        twin.out_proj.bias.copy_(module.output.bias)
    own, other = torch.randn(2, 8, 4, 3), torch.randn(2, 8, 4, 3)
    query, key = own.flatten(2).transpose(1, 2), other.flatten(2).transpose(1, 2)
    wanted = twin(query, key, key)[0].transpose(1, 2).view_as(own) + own
    torch.testing.assert_close(module(own, other), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("fusion", ["add", "concat", "attention", "alignment"])
@pytest.mark.parametrize("direction", ["e2f", "f2e", "both"])
def test_direction_says_which_side_is_written(fusion: str, direction: str) -> None:
    config = BridgeConfig.from_dict({"channels": 16, "fusion": fusion, "direction": direction})
    frames, events = torch.rand(2, 16, 16, 8), torch.rand(2, 16, 16, 8)
    new_frames, new_events = Fusion(config)(frames, events)
    assert torch.equal(new_frames, frames) == (direction == "f2e")
    assert torch.equal(new_events, events) == (direction == "e2f")
    assert new_frames.shape == new_events.shape == frames.shape

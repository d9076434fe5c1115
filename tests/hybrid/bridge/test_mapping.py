"""The deformable convolution against torch's plain one and a loop over taps."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from sdcl_neuro.hybrid.bridge import (
    BridgeConfig,
    DeformableConvolution,
    EventMapping,
    active_cells,
    nearest_event_offsets,
)
from sdcl_neuro.hybrid.bridge.offsets import kernel_grid
from sdcl_neuro.hybrid.bridge.sampling import sampling_index


@pytest.mark.parametrize("k", [1, 3, 5])
def test_zero_offsets_are_the_plain_convolution(k: int) -> None:
    torch.manual_seed(k)
    conv = DeformableConvolution(4, 6, kernel=k)
    x = torch.randn(2, 4, 7, 5)
    index = sampling_index(torch.zeros(2, 7, 5, k * k, 2, dtype=torch.int64), k)
    plain = functional.conv2d(x, conv.weight, padding=k // 2)
    torch.testing.assert_close(conv(x, index), plain)


def test_dense_events_are_the_plain_convolution_inside() -> None:
    torch.manual_seed(0)
    conv = DeformableConvolution(3, 3, kernel=3)
    x = torch.randn(1, 3, 9, 8)
    index = sampling_index(nearest_event_offsets(torch.ones(1, 9, 8, dtype=torch.bool), 3), 3)
    plain = functional.conv2d(x, conv.weight, padding=1)
    torch.testing.assert_close(conv(x, index)[..., 1:-1, 1:-1], plain[..., 1:-1, 1:-1])


def test_scattered_events_against_a_loop() -> None:
    torch.manual_seed(1)
    conv = DeformableConvolution(2, 3, kernel=3)
    x = torch.randn(2, 2, 8, 6)
    offsets = nearest_event_offsets(torch.rand(2, 8, 6) < 0.4, 3)
    found = conv(x, sampling_index(offsets, 3))
    place = offsets + kernel_grid(3)
    for n in range(2):
        for y in range(8):
            for column in range(6):
                total = torch.zeros(3)
                for tap, (dy, dx) in enumerate(place[n, y, column].tolist()):
                    if 0 <= y + dy < 8 and 0 <= column + dx < 6:
                        value = x[n, :, y + dy, column + dx]
                        total += conv.weight[:, :, tap // 3, tap % 3] @ value
                torch.testing.assert_close(found[n, :, y, column], total, atol=1e-5, rtol=1e-5)


def test_gradients_are_right() -> None:
    torch.manual_seed(2)
    conv = DeformableConvolution(2, 2, kernel=3).double()
    x = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    index = sampling_index(nearest_event_offsets(torch.rand(1, 4, 5) < 0.7, 3), 3)
    assert torch.autograd.gradcheck(lambda value: conv(value, index), (x,))
    assert torch.autograd.gradcheck(
        lambda weight: torch.func.functional_call(conv, {"weight": weight}, (x, index)),
        (conv.weight,),
    )


@pytest.mark.parametrize("layers", range(5))
@pytest.mark.parametrize("size", [(16, 8), (64, 32)])
def test_shapes(layers: int, size: tuple[int, int]) -> None:
    config = BridgeConfig(channels=32, event_channels=4, event_size=size, deformable_layers=layers)
    mapping = EventMapping(config)
    assert len(mapping.layers) == layers
    counts = (torch.rand(3, 64, 32) < 0.1).float()
    assert mapping(torch.rand(3, 4, *size), counts).shape == (3, 32, 16, 8)


def test_events_decide_where_is_sampled() -> None:
    torch.manual_seed(3)
    mapping = EventMapping(BridgeConfig(channels=16, event_channels=4)).eval()
    x = torch.rand(1, 4, 16, 8)
    sparse = (torch.rand(1, 64, 32) < 0.02).float()
    assert 9 < int(active_cells(sparse, (16, 8)).sum()) < 100
    plain = mapping(x, torch.zeros_like(sparse))
    assert not torch.equal(mapping(x, sparse), plain)
    assert torch.equal(mapping(x, 5 * sparse), mapping(x, sparse))  # where, not how many

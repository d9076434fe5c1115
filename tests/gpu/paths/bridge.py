"""Every switch of the bridge, there and back: equal to the CPU's, without a wait."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from device import PretendedGpu

from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig, PstaBridge
from sdcl_neuro.hybrid.bridge.offsets import nearest_event_offsets
from sdcl_neuro.hybrid.bridge.sampling import nearest_event_index, sampling_index

FRAMES = 2
BASE: dict[str, Any] = {
    "channels": 16,
    "frame_channels": 8,
    "frames": FRAMES,
    "heads": 2,
    "map_size": (8, 4),
    "event_size": (16, 8),
    "points": 2,
}
SWITCHES = [
    {"inputs": "v", "fusion": "none"},
    {"inputs": "e", "fusion": "none"},
    *({"fusion": way, "direction": "both"} for way in ("attention", "alignment")),
    *({"fusion": "alignment", "direction": one} for one in ("e2f", "f2e")),
    {"fusion": "add"},
    {"fusion": "concat"},
    {"fusion": "none"},
    {"pyramid": "none"},
    {"pyramid": "residual"},
    {"deformable_layers": 0},
    {"gate": True},
]


def given(config: BridgeConfig) -> list[torch.Tensor | None]:
    """Maps, features and counts of two tracklets; in float64, where rounding is no matter."""
    torch.manual_seed(1)
    kind = torch.float64
    maps = torch.randn(2, FRAMES, config.frame_channels, *config.map_size, dtype=kind)
    features = torch.rand(2, FRAMES, config.event_channels, *config.event_size, dtype=kind)
    rows, columns = config.event_size
    counts = (torch.rand(2, FRAMES, 2 * rows, 2 * columns) < 0.05).float()
    return [
        maps if config.uses_frames else None,
        features if config.uses_events else None,
        counts if config.uses_events else None,
    ]


def learnt(bridge: torch.nn.Module, inputs: list[torch.Tensor | None]) -> list[torch.Tensor]:
    """The embedding and every gradient."""
    embedding = bridge(*inputs).embedding
    embedding.square().sum().backward()
    gradients = [one.grad for one in bridge.parameters() if one.grad is not None]
    return [embedding.detach(), *gradients]


@pytest.mark.slow
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("switch", SWITCHES, ids=str)
def test_every_switch(switch: dict[str, Any], train: bool, outside: type[PretendedGpu]) -> None:
    config = BridgeConfig(**{**BASE, **switch})
    torch.manual_seed(0)
    bridge = Bridge(config).double().train(train)
    with torch.no_grad():  # away from whole cells, where samples have a kink
        for parameter in bridge.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    twin = copy.deepcopy(bridge)
    inputs = given(config)
    wanted = learnt(bridge, inputs)
    with outside() as gpu:
        twin.to("cuda")
        there = [None if one is None else one.to("cuda") for one in inputs]
        learnt(twin, there)  # tables are sent once
        for parameter in twin.parameters():
            parameter.grad = None
        twin.load_state_dict(copy.deepcopy(bridge.state_dict()), strict=True)
        gpu.reset()
        found = learnt(twin, there)
        assert not gpu.waits, gpu.waits
        assert not gpu.copies, gpu.copies
        assert len(found) == len(wanted)
        for one, two in zip(found, wanted, strict=True):
            torch.testing.assert_close(one.cpu(), two, rtol=1e-6, atol=1e-8)


def test_pstas_bridge(outside: type[PretendedGpu]) -> None:
    config = BridgeConfig(channels=32, frame_channels=8, frames=FRAMES, identities=4, inputs="v+e")
    torch.manual_seed(0)
    bridge = PstaBridge(config).double().eval()
    inputs = given(config)
    wanted = bridge(*inputs).embedding.detach()
    twin = copy.deepcopy(bridge)
    with outside() as gpu:
        twin.to("cuda")
        there = [None if one is None else one.to("cuda") for one in inputs]
        gpu.reset()
        found = twin(*there).embedding
        assert not gpu.waits, gpu.waits
    torch.testing.assert_close(found.detach().held, wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("density", [0.0, 0.03, 0.3, 1.0])
def test_the_nearest_events(density: float, outside: type[PretendedGpu]) -> None:
    torch.manual_seed(2)
    active = torch.rand(3, 20, 14) < density
    wanted = sampling_index(nearest_event_offsets(active, 3), 3)
    with outside() as gpu:
        there = active.to("cuda")
        nearest_event_index(there, 3)
        gpu.reset()
        found = nearest_event_index(there, 3)
        assert sum(gpu.launches.values()) <= 16, gpu.launches
        assert not gpu.waits
        assert torch.equal(found.held, wanted)

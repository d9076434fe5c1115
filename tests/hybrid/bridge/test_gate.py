"""The gate from zero: a bridge that has learnt nothing ranks as its frame branch does."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig
from sdcl_neuro.reid.configuration import load_configuration
from sdcl_neuro.reid.configuration.checks import bridge_config


def inputs(config: BridgeConfig, seed: int = 0) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(seed)
    return (
        torch.rand(5, config.frames, config.frame_channels, *config.map_size),
        torch.rand(5, config.frames, config.event_channels, *config.event_size),
        (torch.rand(5, config.frames, 64, 32) < 0.1).float(),
    )


@pytest.mark.parametrize(("channels", "frame_channels"), [(16, 32), (32, 16), (16, 16)])
def test_it_begins_as_the_frame_branchs_own_feature(channels: int, frame_channels: int) -> None:
    config = BridgeConfig(channels=channels, frame_channels=frame_channels, identities=3, gate=True)
    bridge = Bridge(config).eval()
    maps, events, counts = inputs(config)
    said = bridge(maps, events, counts)
    assert said.embedding.shape == (5, config.embedding_size)
    own = functional.normalize(maps.mean((1, 3, 4)))
    found = functional.normalize(said.embedding)
    torch.testing.assert_close(found @ found.T, own @ own.T)
    # Whatever comes in by the events: nothing changes yet.
    other = bridge(maps, 1 - events, counts)
    torch.testing.assert_close(other.embedding, said.embedding)
    with torch.no_grad():
        bridge.gated.gate.fill_(0.5)
    opened = bridge(maps, events, counts)
    plain = Bridge(BridgeConfig(**{**config.__dict__, "gate": False})).eval()
    plain.load_state_dict({k: v for k, v in bridge.state_dict().items() if "gated" not in k})
    fused = functional.normalize(plain(maps, events, counts).embedding)
    width = config.embedding_size
    wanted = functional.pad(own, (0, width - frame_channels)) + 0.5 * functional.pad(
        fused, (0, width - channels)
    )
    torch.testing.assert_close(opened.embedding, wanted)


def test_without_events_it_is_the_frame_branch_however_open_the_gate() -> None:
    config = BridgeConfig(channels=16, frame_channels=16, identities=3, gate=True)
    bridge = Bridge(config).eval()
    with torch.no_grad():
        bridge.gated.gate.fill_(0.7)
    maps, events, counts = inputs(config)
    counts[:2], events[:2] = 0, 0  # two tracklets of five without a single event
    said = bridge(maps, events, counts)
    own = functional.normalize(maps.mean((1, 3, 4)))
    assert torch.equal(said.embedding[:2], own[:2])
    assert not torch.isclose(said.embedding[2:], own[2:]).all(1).any()


def test_the_gate_learns_from_the_first_step() -> None:
    config = BridgeConfig(channels=16, frame_channels=16, identities=3, gate=True)
    bridge = Bridge(config).train()
    said = bridge(*inputs(config))
    assert len(said.level_features) == config.levels + 1
    assert len(said.necked) == config.levels + 1
    assert torch.equal(said.necked[-1], said.embedding)
    assert len(said.logits) == config.levels
    said.level_features[-1][:, 3].sum().backward()
    assert bridge.gated.gate.grad.abs() > 0


def test_it_is_on_where_the_frame_branch_was_trained_before() -> None:
    def gate(*more: str) -> bool:
        overrides = ["frame_branch.name=osnet_x0_25", *more]
        return bridge_config(load_configuration("generated-small", overrides)).gate

    assert not gate()
    assert gate("frame_branch.weights=osnet.safetensors")
    assert not gate("frame_branch.weights=osnet.safetensors", "bridge.gate=off")
    assert gate("bridge.gate=on")
    frames = ("bridge.inputs=v", "bridge.fusion=none", "data.events=none")
    assert not gate("frame_branch.weights=osnet.safetensors", *frames)
    with pytest.raises(InputError, match="gate is True"):
        BridgeConfig(inputs="e", fusion="none", gate=True)

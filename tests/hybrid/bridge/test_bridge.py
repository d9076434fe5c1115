"""The bridge as a whole: every switch, its shapes, its gradients, its errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig, Output

TINY = {
    "channels": 16,
    "frame_channels": 8,
    "event_channels": 4,
    "event_size": (8, 4),
    "map_size": (4, 2),
    "identities": 5,
    "heads": 2,
    "points": 2,
}


def combinations() -> Iterator[dict[str, object]]:
    for pyramid in ("none", "residual", "stam"):
        for inputs in ("v", "e", "v+e"):
            yield {"pyramid": pyramid, "inputs": inputs, "fusion": "none"}
        for fusion in ("concat", "add", "attention", "alignment"):
            for direction in ("e2f", "f2e", "both"):
                yield {"pyramid": pyramid, "fusion": fusion, "direction": direction}
    for layers in range(5):
        yield {"deformable_layers": layers}
        yield {"deformable_layers": layers, "inputs": "e", "fusion": "none"}


def inputs(config: BridgeConfig, *, batch: int = 3, frames: int = 4) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(7)

    def rand(*shape: int) -> Tensor:
        return torch.rand(batch, frames, *shape, generator=generator)

    height, width = config.event_size
    counts = (rand(2 * height, 2 * width) < 0.2).float()
    return (
        rand(config.frame_channels, *config.map_size),
        rand(config.event_channels, *config.event_size),
        counts,
    )


def loss(output: Output) -> Tensor:
    """Something that each part of the output matters to."""
    parts = [x.logsumexp(1).mean() for x in output.logits]
    parts += [x.pow(2).mean() for x in output.level_features]
    return torch.stack(parts).sum() + output.embedding.pow(3).mean()


@pytest.mark.parametrize(
    "switches", list(combinations()), ids=lambda s: "-".join(map(str, s.values()))
)
def test_every_switch_trains_every_parameter(switches: dict[str, object]) -> None:
    torch.manual_seed(0)
    config = BridgeConfig(**TINY, **switches)  # type: ignore[arg-type]
    bridge = Bridge(config)
    output = bridge(*inputs(config))
    assert output.embedding.shape == (3, 16)
    assert [x.shape for x in output.level_features] == [(3, 16)] * config.levels
    assert [x.shape for x in output.logits] == [(3, 5)] * config.levels
    assert config.levels == (1 if config.pyramid == "none" else 2)
    loss(output).backward()
    idle = [
        name
        for name, parameter in bridge.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert not idle


def test_a_step_makes_it_better() -> None:
    torch.manual_seed(0)
    config = BridgeConfig(**TINY)  # type: ignore[arg-type]
    bridge, given = Bridge(config), inputs(config, batch=4)
    labels = torch.tensor([0, 1, 2, 3])
    optimiser = torch.optim.Adam(bridge.parameters(), lr=1e-2)
    values = []
    for _ in range(15):
        logits = bridge(*given).logits
        total = sum(torch.nn.functional.cross_entropy(x, labels) for x in logits)
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        values.append(total.item())
    assert values[-1] < 0.5 * values[0]


@pytest.mark.parametrize(("frames", "levels"), [(2, 1), (4, 2), (8, 3), (16, 3)])
def test_levels_follow_the_frames(frames: int, levels: int) -> None:
    config = BridgeConfig(**TINY, frames=frames)  # type: ignore[arg-type]
    assert config.levels == levels
    output = Bridge(config)(*inputs(config, frames=frames))
    assert len(output.level_features) == len(output.logits) == levels


def test_level_features_are_running_means() -> None:
    config = BridgeConfig(**TINY, frames=8)  # type: ignore[arg-type]
    bridge = Bridge(config).eval()
    frames, events = torch.rand(2, 8, 16, 4, 2), torch.rand(2, 8, 16, 4, 2)
    found = bridge.pyramid(frames, events)
    pooled = []
    for level in bridge.pyramid.levels:
        frames, events, joint = level(frames, events)
        assert frames.shape == events.shape == joint.shape
        pooled.append(joint.mean((1, 3, 4)))
    torch.testing.assert_close(found[0], pooled[0])
    torch.testing.assert_close(found[2], (pooled[0] + pooled[1] + pooled[2]) / 3)


def test_pairs_are_neighbours() -> None:
    """A change of frame 2 reaches the first level's second step and no other."""
    config = BridgeConfig(**TINY, inputs="v", fusion="none", frames=4)  # type: ignore[arg-type]
    level = Bridge(config).eval().pyramid.levels[0]
    steps = torch.rand(1, 4, 16, 4, 2)
    other = steps.clone()
    other[:, 2] += 1
    before, after = level(steps, None)[2], level(other, None)[2]
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.equal(before[:, 1], after[:, 1])


def test_same_seed_same_numbers() -> None:
    config = BridgeConfig(**TINY)  # type: ignore[arg-type]
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        bridge = Bridge(config)
        output = bridge(*inputs(config))
        loss(output).backward()
        results.append([output.embedding, *(p.grad for p in bridge.parameters())])
    for one, two in zip(*results, strict=True):
        assert (one is None and two is None) or torch.equal(one, two)


def test_tracklets_do_not_mix_in_evaluation() -> None:
    config = BridgeConfig(**TINY)  # type: ignore[arg-type]
    bridge, given = Bridge(config).eval(), inputs(config)
    together = bridge(*given).embedding
    alone = torch.cat([bridge(*(x[n : n + 1] for x in given)).embedding for n in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_paper_size() -> None:
    """Shapes at 256x128, 8 frames; on the meta device, where nothing is computed."""
    config = replace(BridgeConfig.paper(identities=89), deformable_layers=0)
    with torch.device("meta"):
        bridge = Bridge(config)
        maps, features = torch.empty(2, 8, 2048, 16, 8), torch.empty(2, 8, 8, 256, 128)
        output = bridge(maps, features, None)
    assert config.levels == 3
    assert output.embedding.shape == (2, 1024)
    assert [x.shape for x in output.logits] == [(2, 89)] * 3
    count = sum(p.numel() for p in bridge.parameters())
    assert count == pytest.approx(33.0e6, rel=0.01)  # docs/model.md has it with more classes


def test_config_round_trip() -> None:
    config = BridgeConfig(**TINY, pyramid="residual", direction="e2f")  # type: ignore[arg-type]
    assert BridgeConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(InputError, match="unknown key"):
        BridgeConfig.from_dict({"chanels": 3})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fusion": "sum"}, "fusion is 'sum'"),
        ({"inputs": "v"}, "needs frames and events"),
        ({"frames": 6}, "6 frames cannot be halved"),
        ({"frames": 1}, "frames is 1"),
        ({"channels": 20}, "channels is 20"),
        ({"channels": 24, "heads": 5}, "a multiple of heads"),
        ({"deformable_layers": 5}, "deformable_layers is 5"),
        ({"kernel": 4}, "kernel is 4"),
        ({"event_size": (20, 8)}, "event_size"),
        ({"event_size": 16}, "event_size"),
        ({"points": 2.5}, "points is 2.5"),
    ],
)
def test_wrong_configurations(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message.replace("(", "\\(")):
        BridgeConfig(**wrong)  # type: ignore[arg-type]


def test_wrong_inputs() -> None:
    config = BridgeConfig(**TINY)  # type: ignore[arg-type]
    bridge = Bridge(config)
    maps, features, counts = inputs(config)
    with pytest.raises(InputError, match="frame_maps is absent"):
        bridge(None, features, counts)
    with pytest.raises(InputError, match=r"give \[B, F, 8, 4, 2\]"):
        bridge(features, features, counts)
    with pytest.raises(InputError, match="event_counts is absent"):
        bridge(maps, features, None)
    with pytest.raises(InputError, match="coarser than the event map"):
        bridge(maps, features, counts[..., :3])
    with pytest.raises(InputError, match="same tracklets"):
        bridge(maps[:, :2], features, counts)
    with pytest.raises(InputError, match="3 frames cannot be halved"):
        bridge(maps[:, :3], features[:, :3], counts[:, :3])
    with pytest.raises(InputError, match="2 frames cannot be halved"):
        bridge(maps[:, :2], features[:, :2], counts[:, :2])

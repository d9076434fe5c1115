"""The bridge made ready for inference, against the bridge itself, for every switch."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig, PstaBridge
from sdcl_neuro.hybrid.bridge.rows_bridge import rows_bridge

SMALL = BridgeConfig(
    channels=32, frame_channels=24, event_channels=6, event_size=(16, 8), map_size=(8, 4), frames=4
)
CASES = {
    "as the paper has it": {},
    "one cell of events a cell of the map": {"event_size": (8, 4)},
    "without deformable layers": {"deformable_layers": 0},
    "one direction": {"direction": "f2e"},
    "attention": {"fusion": "attention"},
    "concat": {"fusion": "concat"},
    "add": {"fusion": "add"},
    "no fusion": {"fusion": "none"},
    "residual": {"pyramid": "residual"},
    "no pyramid": {"pyramid": "none"},
    "frames alone": {"inputs": "v", "fusion": "none"},
    "events alone": {"inputs": "e", "fusion": "none"},
    "eight frames, classes": {"frames": 8, "identities": 5},
    "gate": {"gate": True, "frame_channels": 48},
}  # fmt: skip


def grown(module: nn.Module) -> nn.Module:
    """Give a module weights and statistics that no folding leaves as they are."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            nn.init.normal_(part.running_mean, std=0.2)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.2)
    for name, value in module.named_parameters():
        if name.endswith(("gate.gate", "offset.weight")):
            nn.init.normal_(value, std=0.5)
    return module


def given(config: BridgeConfig, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random maps, features and counts; of the last frame there is no event."""
    maps = torch.randn(batch, config.frames, config.frame_channels, *config.map_size).relu()
    shape = (batch, config.frames, config.event_channels, *config.event_size)
    features = torch.randint(0, 4, shape) / 4
    counts = (torch.rand(batch, config.frames, *(4 * n for n in config.event_size)) < 0.1).float()
    counts[:, -1] = 0
    return maps, features, counts


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("half", [False, True])
def test_rows_say_what_the_bridge_says(case: str, half: bool) -> None:
    torch.manual_seed(0)
    bridge = grown(Bridge(replace(SMALL, **CASES[case])))
    before = copy.deepcopy(bridge.state_dict())
    ready = rows_bridge(bridge, half=half)
    assert ready is not None
    assert bridge.training  # left as it was
    assert all(torch.equal(value, before[name]) for name, value in bridge.state_dict().items())
    bridge.eval()
    for batch in (1, 3):
        inputs = given(bridge.config, batch)
        with torch.no_grad():
            wanted = bridge(*inputs)
        found = ready(*inputs)
        assert not found.embedding.requires_grad
        assert found.embedding.dtype == torch.float32
        likeness = functional.cosine_similarity(found.embedding, wanted.embedding)
        assert likeness.min() > (0.995 if half else 0.999999)
        if half:
            continue
        torch.testing.assert_close(found.embedding, wanted.embedding, rtol=1e-4, atol=1e-4)
        for ours, theirs in zip(found.level_features, wanted.level_features, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
        for ours, theirs in zip(found.necked, wanted.necked, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("inputs", ["v", "e", "v+e"])
@pytest.mark.parametrize("half", [False, True])
def test_rows_of_psta(inputs: str, half: bool) -> None:
    torch.manual_seed(1)
    config = replace(SMALL, inputs=inputs, fusion="none")
    if inputs == "e":
        config = replace(config, event_channels=24, event_size=config.map_size)
    bridge = grown(PstaBridge(config).eval())
    ready = rows_bridge(bridge, half=half)
    assert ready is not None
    assert ready.embedding_size == bridge.embedding_size
    maps, features, counts = given(config, 2)
    with torch.no_grad():
        wanted = bridge(maps, features, counts).embedding
    found = ready(maps, features, counts).embedding
    likeness = functional.cosine_similarity(found, wanted)
    assert likeness.min() > (0.995 if half else 0.999999)
    if not half:
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_inputs_are_left_as_they_are() -> None:
    torch.manual_seed(2)
    ready = rows_bridge(Bridge(SMALL))
    assert ready is not None
    inputs = given(SMALL, 2)
    copies = [value.clone() for value in inputs]
    first = ready(*inputs).embedding
    assert all(map(torch.equal, inputs, copies))
    assert torch.equal(ready(*inputs).embedding, first)


def test_what_cannot_be_fused_is_refused_as_by_the_bridge() -> None:
    ready = rows_bridge(Bridge(SMALL))
    assert ready is not None
    maps, features, counts = given(SMALL, 2)
    with pytest.raises(InputError, match="event_counts is absent"):
        ready(maps, features, None)
    with pytest.raises(InputError, match="frame_maps is"):
        ready(maps[:, :, :5], features, counts)
    with pytest.raises(InputError, match="frames are"):
        ready(maps[:1], features, counts)
    with pytest.raises(InputError, match="cannot be halved"):
        ready(maps[:, :3], features[:, :3], counts[:, :3])


def test_other_bridges_have_no_such_form() -> None:
    assert rows_bridge(nn.Identity()) is None

"""Parameters and MACs against layers counted by hand and figures published for known networks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sdcl_neuro.conversion import quantize
from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig, PstaBridge
from sdcl_neuro.hybrid.frame_branch import make_frame_branch
from sdcl_neuro.hybrid.mac_counts import count_macs
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.model_table import ModelPart, ModelTable, describe_model
from sdcl_neuro.hybrid.voxels import VoxelBranch
from sdcl_neuro.network.activity import count_activity
from sdcl_neuro.snn.event_branch import COMPACT, BranchDescription, ConvolutionSpec, EventBranch

C, CELLS, FRAMES, BINS, SIZE = 16, 128, 2, 3, (64, 32)
CONFIG = BridgeConfig(channels=C, frames=FRAMES, identities=5, heads=2, points=3)


def patches() -> nn.Module:
    """A frame branch of one layer: 16x16 patches to 128 channels."""
    return nn.Conv2d(3, 128, 16, stride=16, bias=False)


PATCHES = ModelPart("frame branch", 128 * 3 * 256, FRAMES * CELLS * 128 * 3 * 256)


def table(kind: str = "sdcl", **changes: Any) -> ModelTable:
    torch.manual_seed(0)
    config = replace(CONFIG, **changes)
    bridge = Bridge(config) if kind == "sdcl" else PstaBridge(config)
    branch: nn.Module | None = EventBranch(COMPACT) if config.uses_events else None
    if kind == "psta" and config.inputs == "e":
        branch = VoxelBranch(patches(), bins=BINS)
    model = Sdcl(patches() if config.uses_frames else None, branch, bridge=bridge)
    return describe_model(model, bins=BINS, size=SIZE)


def test_by_hand() -> None:
    found = table()
    per_frame = {
        "frame entry": 128 * C * CELLS,
        # three 3x3 deformable layers on 16x8, then a 1x1 convolution
        "event mapping": 3 * 9 * 16 * 16 * CELLS + 16 * C * CELLS,
        # each way: value, output, offsets, scores, the bilinear samples; and the projection of
        # the cells' centres, once for all frames
        "fusion": 2 * CELLS * (2 * C * C + C * 2 * 3 * 2 + C * 16 + 16 * 2 * 3 + 4 * C * 3 + 2),
        "event branch": BINS * (2 * 8 * 25 * 32 * 16 + 8 * 16 * 9 * CELLS),
    }
    for name, macs in per_frame.items():
        assert found.part(name).macs == FRAMES * macs, name
    assert found.part("heads").macs == C * 5
    assert found.part("heads").parameters == 2 * C + C * 5 + 5
    assert found.part("event branch").parameters == 2 * 8 * 25 + 8 * 16 * 9
    assert found.part("frame entry").parameters == 128 * C + 2 * C
    assert found.part("frame branch") == PATCHES
    assert found.part("other").macs == 0
    assert found.macs == sum(part.macs for part in found.parts)


def test_stam_by_hand() -> None:
    """One block on one pair, width 16 everywhere (the least)."""
    w = 16
    embed = 2 * (C * w + w * w)
    attention = 2 * (2 * C * w + 2 * CELLS * w + 2 * w * w)  # query, key, relation, joint
    temporal = attention + 2 * (2 * w) + 2 * CELLS * w  # weights of 2w channels, two affinities
    spatial = attention + 2 * w + 2 * CELLS * w
    bottleneck = C * w + 9 * w * w + w * C
    vectors = 2 * C * w + 2 * (2 * w * w + w * C) + 2 * (C * w + w * C)  # theta, both gates
    block = CELLS * (embed + temporal + spatial + bottleneck) + vectors
    assert table().part("pyramid").macs == 3 * block  # frames, events, joint
    assert table(inputs="v", fusion="none").part("pyramid").macs == block


def test_attention_by_hand() -> None:
    each_way = CELLS * (4 * C * C + 2 * CELLS * C)  # four projections; scores and their sum
    assert table(fusion="attention").part("fusion").macs == FRAMES * 2 * each_way
    assert table(fusion="attention", direction="e2f").part("fusion").macs == FRAMES * each_way
    assert table(fusion="concat").part("fusion").macs == FRAMES * 2 * CELLS * 2 * C * C
    assert table(fusion="add").part("fusion") == ModelPart("fusion", 0, 0)


def test_baseline_by_hand() -> None:
    both = table(kind="psta", inputs="v+e", fusion="none")
    assert both.part("fusion").macs == FRAMES * CELLS * (16 * C + 2 * C)
    voxels = table(kind="psta", inputs="e", fusion="none", event_channels=128)
    alone = table(kind="psta", inputs="v", fusion="none")
    assert alone.part("frame branch") == PATCHES
    assert voxels.part("network on event voxels") == replace(
        PATCHES, name="network on event voxels"
    )
    assert (voxels.macs, voxels.parameters) == (alone.macs, alone.parameters)


def macs_of(network: nn.Module, size: tuple[int, int]) -> int:
    with torch.device("meta"):
        return count_macs(lambda: network.to("meta").eval()(torch.empty(1, 3, *size)))


@pytest.mark.parametrize(
    ("name", "published"),
    # torchreid's model zoo, in millions, the 512-dimensional layer included (1000 classes not).
    [("osnet_x1_0", 978.9e6), ("osnet_x0_25", 82.3e6)],
)
def test_osnet_as_published(name: str, published: float) -> None:
    network = make_frame_branch(name)
    dense = network.channels * 512
    assert macs_of(network, (256, 128)) + dense == pytest.approx(published, rel=2e-3)


def test_resnet_as_published() -> None:
    """torchvision's ResNet-50 at 224x224: 4.09 G with its classifier, and the last stride 2."""
    with torch.device("meta"):
        network = make_frame_branch("resnet50")
    first = network.get_submodule("layer4.0")
    for convolution in (first.conv2, first.downsample[0]):
        convolution.stride = (2, 2)
    assert macs_of(network, (224, 224)) + 2048 * 1000 == 4_089_184_256


def test_synops_are_those_of_the_engine() -> None:
    torch.manual_seed(0)
    description = BranchDescription((ConvolutionSpec(4, 5, 2, 2), ConvolutionSpec(6, 3, 1, 0)))
    branch = EventBranch(description)
    config = replace(
        CONFIG, event_channels=6, event_size=(16, 8), inputs="e", fusion="none", deformable_layers=0
    )
    model = Sdcl(None, branch, bridge=Bridge(config))
    shape = (4, 3, 2, 36, 20)
    spikes = (np.random.default_rng(0).random(shape) < 0.2).astype(np.uint8)
    found = describe_model(model, bins=2, size=(36, 20), spikes=spikes).synops
    assert found is not None
    with torch.no_grad():
        layers: Sequence[torch.Tensor] = branch(torch.from_numpy(spikes).float())
    activity = count_activity(
        quantize(branch.float_network((36, 20))),
        spikes,
        [layer.to(torch.uint8).numpy() for layer in layers],
    )
    assert found.count == pytest.approx(sum(np.sum(one.synops) for one in activity) / 3)
    assert found.spikes_in == spikes.sum() / 3
    assert found.rates == pytest.approx([float(layer.mean()) for layer in layers], rel=1e-5)


def test_the_model_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    model = Sdcl(patches(), EventBranch(COMPACT), bridge=Bridge(CONFIG))
    model.train()
    frames, spikes = torch.randn(2, FRAMES, 3, 256, 128), torch.rand(FRAMES * BINS, 2, 2, *SIZE)
    model(frames, (spikes < 0.1).float()).embedding.sum().backward()  # leaves a state and a graph
    model.bridge.pyramid.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    describe_model(model, bins=BINS, size=SIZE)
    assert model.training
    assert not model.bridge.pyramid.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_text_and_json() -> None:
    found = table()
    lines = str(found).splitlines()
    assert lines[0].split() == ["part", "parameters", "MACs/tracklet", "MACs/frame"]
    assert lines[-2].startswith("all")
    assert lines[-1] == "a tracklet: 2 frames, 3 bins each, events 64x32"
    stored = json.loads(json.dumps(found.to_dict()))
    assert stored["schema"] == {"name": "sdcl_neuro.model_table", "version": 1}
    assert sum(part["macs"] for part in stored["parts"]) == stored["macs"] == found.macs
    assert sum(part["parameters"] for part in stored["parts"]) == stored["parameters"]
    assert stored["synops"] is None

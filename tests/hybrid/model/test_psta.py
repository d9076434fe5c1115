"""The baseline: its pyramid, its spatial fusion, its event voxels, and its way to disk and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sdcl_neuro.conversion.model_reading import load
from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import BridgeConfig, PstaBridge
from sdcl_neuro.hybrid.composition import compose, kind_of
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.sdcl_checkpoint import ClipFormat, load_sdcl, save_sdcl
from sdcl_neuro.hybrid.voxels import VoxelBranch, event_voxels
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch

CLIP = ClipFormat(frames=2, bins=3, size=(64, 32))
CONFIG = BridgeConfig(
    channels=16, frames=2, identities=3, inputs="v", fusion="none", event_channels=16
)


def voxels_cell_by_cell(spikes: np.ndarray, bins: int) -> np.ndarray:
    """ON minus OFF in thirds of each interval, ``[F, B, 3, H, W]``."""
    steps, batch, _, height, width = spikes.shape
    found = np.zeros((steps // bins, batch, 3, height, width))
    for step in range(steps):
        frame, k = divmod(step, bins)
        found[frame, :, (3 * k) // bins] += spikes[step, :, 1].astype(float) - spikes[step, :, 0]
    return found


@pytest.mark.parametrize("bins", [1, 2, 3, 4, 6, 7])
def test_voxels(bins: int) -> None:
    spikes = np.random.default_rng(bins).integers(0, 2, (2 * bins, 2, 2, 64, 32), dtype=np.uint8)
    found = event_voxels(torch.from_numpy(spikes), bins=bins)
    assert found.shape == (2, 2, 3, 256, 128)
    expected = voxels_cell_by_cell(spikes, bins).repeat(4, -1).repeat(4, -2)
    assert np.array_equal(found.numpy(), expected)


def test_all_events_go_into_some_slice() -> None:
    spikes = torch.zeros(4, 1, 2, 256, 128)
    spikes[:, 0, 1] = 1
    assert event_voxels(spikes, bins=4).sum() == 4 * 256 * 128


def test_a_level_is_the_mean_of_the_pooled_levels_so_far() -> None:
    """No sum goes past a block: what a block gives is all that the next one sees."""
    torch.manual_seed(0)
    config = replace(CONFIG, frames=8, frame_channels=24)
    bridge = PstaBridge(config).eval()
    maps = torch.randn(2, 8, 24, 16, 8)
    with torch.no_grad():
        output = bridge(maps, None, None)
        steps = bridge.entry(maps.flatten(0, 1)).unflatten(0, (2, 8))
        pooled = []
        for block in bridge.pyramid:
            pairs = [steps[:, k : k + 2] for k in range(0, steps.shape[1], 2)]
            steps = torch.stack([block(pair) for pair in pairs], 1)
            pooled.append(steps.mean((1, 3, 4)))
        assert steps.shape[1] == 1
        expected = [sum(pooled[: k + 1]) / (k + 1) for k in range(3)]
    for found, wanted in zip(output.level_features, expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    assert [one.shape for one in output.logits] == [(2, 3)] * 3
    assert torch.equal(output.embedding, bridge.heads[2].neck(output.level_features[2]))


def test_spatial_fusion_adds_events_where_it_says() -> None:
    torch.manual_seed(0)
    bridge = PstaBridge(replace(CONFIG, inputs="v+e", event_size=(32, 16), frame_channels=8)).eval()
    fusion = bridge.fusion
    assert fusion is not None
    frames, events = torch.randn(3, 16, 16, 8), torch.rand(3, 16, 32, 16)
    with torch.no_grad():
        found = fusion(frames, events)
        entered = fusion.entry(events)
        weight = (found - frames) / entered
    seen = weight[(entered > 0.1).all(1, keepdim=True).expand_as(weight)]
    assert ((seen > 0) & (seen < 1)).all()  # one weight for all channels of a cell
    spread = weight.masked_fill(entered <= 0.1, torch.nan)
    low, high = spread.nan_to_num(9).amin(1), spread.nan_to_num(-9).amax(1)
    assert (high - low)[high > -9].max() < 1e-4


def test_without_events_it_is_the_network_of_frames() -> None:
    torch.manual_seed(0)
    both = PstaBridge(replace(CONFIG, inputs="v+e", event_size=(32, 16), frame_channels=8)).eval()
    alone = PstaBridge(replace(CONFIG, frame_channels=8)).eval()
    alone.load_state_dict({k: v for k, v in both.state_dict().items() if "fusion" not in k})
    maps, events = torch.randn(3, 2, 8, 16, 8), torch.rand(3, 2, 16, 32, 16)
    events[0] = 0
    with torch.no_grad():
        found, wanted = both(maps, events, None).embedding, alone(maps, None, None).embedding
    torch.testing.assert_close(found[0], wanted[0])
    assert not torch.isclose(found[1:], wanted[1:]).all(1).any()


def model_of(inputs: str) -> Sdcl:
    torch.manual_seed(1)
    config = replace(CONFIG, inputs=inputs)
    if inputs == "e":
        config = replace(config, event_channels=128)
    branch = EventBranch(COMPACT) if inputs == "v+e" else None
    return compose(
        "psta", config, frame_branch="osnet_x0_25", event_branch=branch, bins=CLIP.bins
    ).eval()


def inputs_for(model: Sdcl) -> tuple[Tensor | None, Tensor | None]:
    generator = torch.Generator().manual_seed(2)
    frames = torch.randn(2, 2, 3, 256, 128, generator=generator)
    spikes = (torch.rand(6, 2, 2, 64, 32, generator=generator) < 0.1).float()
    config = model.bridge.config
    return (frames if config.uses_frames else None), (spikes if config.uses_events else None)


@pytest.mark.parametrize("inputs", ["v", "e", "v+e"])
def test_to_disk_and_back(inputs: str, tmp_path: Path) -> None:
    model = model_of(inputs)
    folder = save_sdcl(tmp_path / "model", model, clip=CLIP, frame_branch="osnet_x0_25")
    assert (folder / "event_branch").is_dir() == (inputs == "v+e")
    loaded = load_sdcl(folder)
    assert kind_of(loaded.model) == "psta"
    assert loaded.clip == CLIP
    with torch.no_grad():
        expected, found = model(*inputs_for(model)), loaded.model(*inputs_for(model))
    assert torch.equal(expected.embedding, found.embedding)
    assert list(loaded.model.state_dict()) == list(model.state_dict())


def test_voxels_stand_where_the_event_branch_stands() -> None:
    model = model_of("e")
    assert model.frame_branch is None
    assert isinstance(model.event_branch, VoxelBranch)
    _, spikes = inputs_for(model)
    assert spikes is not None
    with torch.no_grad():
        (maps,) = model.event_branch(spikes)
        voxels = event_voxels(spikes, bins=3)
        alone = model.event_branch.network(voxels[1])
    assert maps.shape == (2, 2, 128, 16, 8)
    torch.testing.assert_close(maps[1], alone, atol=1e-5, rtol=1e-4)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="kind 'vit'"):
        compose("vit", CONFIG, frame_branch="osnet_x0_25")
    with pytest.raises(InputError, match="without a network"):
        compose("psta", CONFIG, frame_branch=None)
    model = model_of("v+e")
    with pytest.raises(InputError, match="frame_maps is absent"):
        model(None, inputs_for(model)[1])
    with pytest.raises(InputError, match="event_features is absent"):
        model(inputs_for(model)[0], None)
    with pytest.raises(InputError, match="3 frames cannot be halved"):
        PstaBridge(CONFIG)(torch.randn(1, 3, 128, 16, 8), None, None)
    with pytest.raises(InputError, match=r"give \[F\*3, B, 2, H, W\]"):
        VoxelBranch(nn.Identity(), bins=3)(torch.zeros(4, 1, 2, 8, 8))
    other = replace(CLIP, bins=2)
    with pytest.raises(InputError, match="voxels of 3 bins, tracklets of 2"):
        save_sdcl(tmp_path / "m", model_of("e"), clip=other, frame_branch="osnet_x0_25")
    lacking = Sdcl(model.frame_branch, None, bridge=model.bridge)
    with pytest.raises(InputError, match="no event branch to save"):
        save_sdcl(tmp_path / "m", lacking, clip=CLIP, frame_branch="osnet_x0_25")


def test_frames_alone_need_no_event_branch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = compose("sdcl", CONFIG, frame_branch="osnet_x0_25").eval()
    folder = save_sdcl(tmp_path / "model", model, clip=CLIP, frame_branch="osnet_x0_25")
    loaded = load_sdcl(folder).model
    assert (loaded.event_branch, kind_of(loaded)) == (None, "sdcl")
    with pytest.raises(InputError, match="the model has no event branch; give one"):
        load(folder)
    frames, _ = inputs_for(model)
    with torch.no_grad():
        assert torch.equal(model(frames, None).embedding, loaded(frames, None).embedding)

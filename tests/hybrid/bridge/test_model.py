"""The composed network, and the same thing taken apart as the hybrid runtime takes it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig
from sdcl_neuro.hybrid.frame_branch import OSNet, ResNet50
from sdcl_neuro.hybrid.model import Sdcl, event_counts, event_features
from sdcl_neuro.snn.event_branch import COMPACT, PAPER, EventBranch

BINS = 3


@pytest.fixture(scope="module")
def model() -> Sdcl:
    torch.manual_seed(0)
    config = BridgeConfig(channels=16, identities=4, frames=2)
    return Sdcl(OSNet("x0_25"), EventBranch(COMPACT), bridge=Bridge(config)).eval()


@pytest.fixture(scope="module")
def clip() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(2, 2, 3, 256, 128, generator=generator)
    spikes = torch.rand(2 * BINS, 2, 2, 64, 32, generator=generator) < 0.3
    return frames, spikes.to(torch.uint8)


def test_whole_and_parts_agree(model: Sdcl, clip: tuple[Tensor, Tensor]) -> None:
    frames, spikes = clip
    with torch.no_grad():
        whole = model(frames, spikes)
        assert model.event_branch is not None
        layers = model.event_branch(spikes.float())
        # A backend gives uint8 arrays, some of which may not be written.
        record = layers[-1].to(torch.uint8).numpy()
        record.setflags(write=False)
        parts = model.fuse(
            model.frame_maps(frames),
            event_features(record, frames=2),
            event_counts(spikes.numpy(), frames=2),
        )
    assert layers[-1].any()
    assert whole.embedding.shape == (2, 16)
    assert torch.equal(whole.embedding, parts.embedding)


def test_features_are_means_of_a_frames_bins() -> None:
    spikes = np.zeros((6, 1, 1, 1, 2), dtype=np.uint8)
    spikes[[0, 2, 5], 0, 0, 0, 0] = 1  # twice in frame 0, once in frame 1
    found = event_features(spikes, frames=2)
    torch.testing.assert_close(found[0, :, 0, 0, 0], torch.tensor([2 / 3, 1 / 3]))
    assert found.shape == (1, 2, 1, 1, 2)


def test_counts_add_bins_and_polarities() -> None:
    spikes = np.ones((4, 3, 2, 5, 6), dtype=np.uint8)
    assert torch.equal(event_counts(spikes, frames=2), torch.full((3, 2, 5, 6), 4.0))


def test_bins_that_do_not_divide() -> None:
    with pytest.raises(InputError, match="cannot be shared among 4 frames"):
        event_features(np.zeros((6, 1, 1, 1, 1), dtype=np.uint8), frames=4)
    with pytest.raises(InputError, match="cannot be shared"):
        event_features(np.zeros((6, 1), dtype=np.uint8), frames=2)


def test_gradients_reach_both_branches(clip: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(0)
    config = BridgeConfig(channels=16, identities=4, frames=2)
    model = Sdcl(OSNet("x0_25"), EventBranch(COMPACT), bridge=Bridge(config))
    output = model(*clip)
    sum(x.logsumexp(1).mean() for x in output.logits).backward()
    for branch in (model.frame_branch, model.event_branch):
        assert branch is not None
        assert next(branch.parameters()).grad.any()


@pytest.mark.parametrize("inputs", ["v", "e"])
def test_one_sided(inputs: str, clip: tuple[Tensor, Tensor], model: Sdcl) -> None:
    given = {"inputs": inputs, "fusion": "none", "channels": 16, "frames": 2}
    bridge = Bridge(BridgeConfig.from_dict(given))
    frames, spikes = clip
    if inputs == "v":
        alone: nn.Module = Sdcl(model.frame_branch, None, bridge=bridge).eval()
        assert alone(frames, None).embedding.shape == (2, 16)
    else:
        alone = Sdcl(None, model.event_branch, bridge=bridge).eval()
        assert alone(None, spikes).embedding.shape == (2, 16)


def test_papers_size() -> None:
    """ResNet-50, the paper's event branch and bridge: 8 frames of 256x128 go through."""
    bridge = Bridge(BridgeConfig.paper(identities=89))
    with torch.no_grad():
        model = Sdcl(ResNet50(), EventBranch(PAPER), bridge=bridge).eval()
        spikes = (torch.rand(8, 1, 2, 256, 128) < 0.05).to(torch.uint8)
        output = model(torch.randn(1, 8, 3, 256, 128), spikes)
    assert output.embedding.shape == (1, 1024)
    assert [x.shape for x in output.logits] == [(1, 89)] * 3
    assert output.embedding.isfinite().all()


def test_absent_branches(clip: tuple[Tensor, Tensor], model: Sdcl) -> None:
    frames, spikes = clip
    with pytest.raises(InputError, match="no frame branch"):
        Sdcl(None, model.event_branch, bridge=model.bridge)(frames, spikes)
    with pytest.raises(InputError, match="no event branch"):
        Sdcl(model.frame_branch, None, bridge=model.bridge)(frames, spikes)

"""Every switch of the paper's ablations trains a step and evaluates; shapes at the paper's size."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import Output
from sdcl_neuro.hybrid.frame_branch import FRAME_SIZE, make_frame_branch, save_weights
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.voxels import VoxelBranch
from sdcl_neuro.reid.configuration import bridge_config, build_model, load_configuration
from sdcl_neuro.reid.metrics import distance_matrix, rank
from sdcl_neuro.reid.metrics.losses import batch_hard_triplet, cross_entropy
from sdcl_neuro.snn.event_branch import EventBranch

TINY = (
    "clip.frames=2",
    "clip.bins=2",
    "bridge.channels=16",
    "bridge.heads=2",
    "bridge.points=2",
    "event_branch.channels=[4]",
    "event_branch.kernels=[5, 3]",
    "event_branch.strides=[2, 2, 1]",
    "clip.size=[64, 32]",
    "frame_branch.name=small",
)
LABELS = torch.tensor([0, 0, 1, 1])
ALL, ONE_EACH = slice(None), slice(None, None, 2)
# OSNet's own embedding is not used; a BNNeck's shift is fixed (see `bridge.heads`).
WITHOUT_GRADIENT = (".fc.", "neck.bias")

INPUTS = [
    ("bridge.inputs=v", "bridge.fusion=none"),
    ("bridge.inputs=e", "bridge.fusion=none"),
    ("bridge.inputs=v+e",),
]
FUSIONS = [("bridge.fusion=none",)] + [
    (f"bridge.fusion={fusion}", f"bridge.direction={direction}")
    for fusion in ("concat", "add", "attention", "alignment")
    for direction in ("e2f", "f2e", "both")
]
PYRAMIDS = [(f"bridge.pyramid={pyramid}",) for pyramid in ("none", "residual", "stam")]
SPIKING = [(f"event_branch.layers={layers}",) for layers in (1, 2, 3)]
DEFORMABLE = [(f"bridge.deformable_layers={layers}",) for layers in range(5)]
FRAME_BRANCHES = [
    (f"frame_branch.name={name}", "bridge.inputs=v", "bridge.fusion=none")
    for name in ("resnet50", "osnet_x1_0", "osnet_x0_25", "small")
]
BASELINE = [("model=psta", f"bridge.inputs={inputs}") for inputs in ("v", "e", "v+e")]
SWITCHES = INPUTS + FUSIONS + PYRAMIDS + SPIKING + DEFORMABLE + FRAME_BRANCHES + BASELINE


@cache
def tracklets() -> tuple[Tensor, Tensor]:
    """Four tracklets of two persons: noise, each person's own."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(2, 2, 3, *FRAME_SIZE, generator=generator)
    chance = torch.rand(4, 2, 2, 64, 32, generator=generator) * 0.4
    spikes = torch.rand(4, 4, 2, 64, 32, generator=generator) < chance[:, LABELS]
    noise = torch.randn(4, 2, 3, *FRAME_SIZE, generator=generator)
    return frames[LABELS] + 0.3 * noise, spikes.float()


def run(model: Sdcl, chosen: slice = ALL) -> Output:
    frames, spikes = tracklets()
    config = model.bridge.config
    output = model(
        frames[chosen] if config.uses_frames else None,
        spikes[:, chosen] if config.uses_events else None,
    )
    assert isinstance(output, Output)
    return output


def ids(switches: tuple[str, ...]) -> str:
    return ",".join(switches)


@pytest.mark.parametrize("switches", SWITCHES, ids=ids)
def test_a_step_and_an_evaluation(switches: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    configuration = load_configuration("generated-small", [*TINY, *switches])
    model = build_model(configuration, identities=2).train()
    assert model.bridge.config == bridge_config(configuration, identities=2)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    chosen = ONE_EACH if "frame_branch.name=resnet50" in switches else ALL  # for time's sake
    labels, output = LABELS[chosen], run(model, chosen)
    losses = [cross_entropy(logits, labels, smoothing=0.1) for logits in output.logits]
    losses += [batch_hard_triplet(one, labels, margin=0.3) for one in output.level_features]
    torch.stack(losses).sum().backward()
    optimiser.step()
    for name, value in model.named_parameters():
        spared = any(part in name for part in WITHOUT_GRADIENT)
        assert (value.grad is None) == spared, name
        # Where a gradient is zero, Adam stays: a unit of OSNet's smallest gates may be dead.
        moved = value.grad is not None and bool(value.grad.any())
        assert torch.equal(value, before[name]) != moved, name
    still = [n for n, v in model.named_parameters() if v.grad is not None and not v.grad.any()]
    # Behind a batch norm of two samples the gradients of the classifier's biases cancel.
    assert all(".gate." in name or name.endswith("classifier.bias") for name in still), still
    with torch.no_grad():
        embedding = run(model.eval()).embedding.numpy()
    assert np.isfinite(embedding).all()
    query, gallery = np.array([0, 2]), np.array([1, 3])
    persons = LABELS.numpy()
    ranked = rank(
        distance_matrix(embedding[query], embedding[gallery]),
        persons[query],
        persons[gallery],
        np.zeros(2, np.int64),
        np.ones(2, np.int64),
    )
    assert 0.5 <= ranked.metrics.mean_ap <= 1


@pytest.mark.parametrize(
    "switches", [*FUSIONS[::3], *PYRAMIDS, DEFORMABLE[0], DEFORMABLE[4], *BASELINE], ids=ids
)
def test_shapes_at_the_papers_size(switches: tuple[str, ...]) -> None:
    """256x128 and 8 frames, on the device meta: shapes without values."""
    configuration = load_configuration("prid2011", switches)
    with torch.device("meta"):
        model = build_model(configuration, identities=89).eval()
        config = model.bridge.config
        maps = features = counts = None
        if config.uses_frames:
            maps = model.frame_maps(torch.empty(1, 8, 3, 256, 128))
            assert maps.shape == (1, 8, 2048, 16, 8)
        if config.uses_events:
            branch = model.event_branch
            assert branch is not None
            if isinstance(branch, EventBranch):
                assert branch.description.shapes((256, 128)) == [(8, 256, 128)] * 2
                features = torch.empty(1, 8, 8, 256, 128)
            else:
                features = branch(torch.empty(24, 1, 2, 256, 128))[-1].transpose(0, 1)
            counts = torch.empty(1, 8, 256, 128)
        output = model.fuse(maps, features, counts)
    levels = 1 if "bridge.pyramid=none" in switches else 3
    assert output.embedding.shape == (1, 1024)
    assert [one.shape for one in output.level_features] == [(1, 1024)] * levels
    assert [one.shape for one in output.logits] == [(1, 89)] * levels


@pytest.mark.parametrize("switches", [(), *BASELINE], ids=ids)
def test_weights_of_a_file(switches: tuple[str, ...], tmp_path: Path) -> None:
    torch.manual_seed(3)
    trained = make_frame_branch("small")
    save_weights(trained, tmp_path / "small.safetensors")
    named = f"frame_branch.weights={tmp_path / 'small.safetensors'}"
    model = build_model(load_configuration("generated-small", [*TINY, *switches, named]))
    dense = model.frame_branch
    if isinstance(model.event_branch, VoxelBranch):
        dense = model.event_branch.network
    assert dense is not None
    for name, value in dense.state_dict().items():
        assert torch.equal(value, trained.state_dict()[name]), name


def test_weights_that_are_not_there_or_not_needed(tmp_path: Path) -> None:
    absent = f"frame_branch.weights={tmp_path / 'absent.safetensors'}"
    with pytest.raises(InputError, match=r"absent\.safetensors"):
        build_model(load_configuration("generated-small", [*TINY, absent]))
    alone = load_configuration("generated-small", [*TINY, *INPUTS[1], absent])
    assert build_model(alone).frame_branch is None

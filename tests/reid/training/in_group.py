"""Run as torchrun does: gradients and statistics of one joint batch, in each process."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn.parallel import DistributedDataParallel

from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.reid.training.distributed import Group, joint_batch_norms, process_group
from sdcl_neuro.reid.training.objective import Batch, Objective
from sdcl_neuro.reid.training.settings import Settings
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch

PERSONS, TRACKLETS, FRAMES, BINS = 2, 4, 2, 2


class Little(torch.nn.Module):
    """Two convolutions with batch norm before the bridge."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, stride=4, padding=1, bias=False),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            torch.nn.Conv2d(8, 8, 3, stride=4, padding=1, bias=False),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.layers(frames)


def model() -> Sdcl:
    torch.manual_seed(0)
    config = BridgeConfig(
        channels=16, frame_channels=8, frames=FRAMES, identities=3, heads=2, points=2
    )
    return Sdcl(Little(), EventBranch(COMPACT), bridge=Bridge(config))


def batch() -> Batch:
    rng = np.random.default_rng(1)
    count = PERSONS * TRACKLETS
    frames = rng.integers(0, 256, (count, FRAMES, 256, 128, 3), dtype=np.uint8)
    spikes = (rng.random((FRAMES * BINS, count, 2, 64, 32)) < 0.2).astype(np.uint8)
    labels = np.repeat([0, 2], TRACKLETS)
    return Batch(torch.from_numpy(frames), None, torch.from_numpy(spikes), torch.from_numpy(labels))


def part(whole: Batch, group: Group) -> Batch:
    share = group.share(PERSONS * TRACKLETS)
    assert whole.frames is not None
    assert whole.spikes is not None
    return Batch(
        whole.frames[share], None, whole.spikes[:, share].contiguous(), whole.labels[share]
    )


def learn(group: Group) -> dict[str, torch.Tensor]:
    """Loss, figures, gradients and buffers after one step."""
    network = model()
    network.train()
    with joint_batch_norms(network, group):
        objective = Objective(network, Settings(persons=PERSONS, tracklets=TRACKLETS), group=group)
        wrapped = objective
        if group.size > 1:
            wrapped = DistributedDataParallel(objective, find_unused_parameters=True)
        judged = wrapped(part(batch(), group))
        judged.loss.backward()
    found = {"loss": judged.loss.detach(), "figures": judged.figures}
    found |= {
        f"gradient.model.{n}": p.grad for n, p in network.named_parameters() if p.grad is not None
    }
    found |= {f"buffer.{n}": value.clone() for n, value in network.named_buffers()}
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    with process_group() as mine:
        save_file(learn(mine), Path(sys.argv[1]) / f"{mine.rank}-of-{mine.size}.safetensors")

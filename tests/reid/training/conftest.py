"""A tiny set of persons, and a model small enough to train on it in a test."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.reid.datasets import Clip, TrackletsInMemory
from sdcl_neuro.reid.training import Augmentation, Settings, Stage
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch

FRAMES, BINS, PERSONS = 2, 2, 3


class Little(torch.nn.Module):
    """A frame branch small enough for a test, with running statistics like the big ones."""

    channels = 8

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = torch.nn.BatchNorm2d(8)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        pooled = torch.nn.functional.avg_pool2d(frames, 16)
        return torch.relu(self.norm(self.convolution(pooled)))


def tracklet(person: int, index: int) -> Tracklet:
    """A colour and a band of activity that tell the person, under noise."""
    rng = np.random.default_rng([person, index])
    frames = rng.integers(0, 80, (FRAMES, 256, 128, 3), dtype=np.uint8)
    frames[:, :, :, person % 3] += 120
    rate = np.full((64, 32), 0.02)
    rate[(20 * person) % 60 : (20 * person) % 60 + 20] = 0.4
    spikes = rng.random((FRAMES * BINS, 2, 64, 32)) < rate
    return Tracklet(
        name=f"p{person}-{index}",
        person=10 * person,
        camera=index % 2,
        frames=frames,
        spikes=spikes.astype(np.uint8),
        times_us=np.arange(1, FRAMES + 1) * 1000,
        boxes=np.tile(np.array([0, 0, 10, 20]), (FRAMES, 1)),
    )


class Tiny:
    """What the tests of training share."""

    clip = Clip(FRAMES, BINS, (64, 32))
    config = BridgeConfig(
        channels=16, frame_channels=8, frames=FRAMES, identities=PERSONS, heads=2, points=2
    )
    settings = Settings(
        persons=PERSONS,
        tracklets=2,
        float_stage=Stage(steps=3, learning_rate=3e-3, learns_frames=False),
        int_stage=Stage(steps=3, learning_rate=1e-3, learns_frames=False),
        augmentation=Augmentation(flip=0.5, pad=0, erasing=0.0),
        variants=2,
        firing_rate=0.1,
        device="cpu",
        checkpoint_every=2,
        seed=4,
    )
    tracklet = staticmethod(tracklet)

    @staticmethod
    def held(tracklets: list[Tracklet]) -> TrackletsInMemory:
        return TrackletsInMemory(tuple(tracklets), train=tuple(range(len(tracklets))))

    @staticmethod
    def model(config: BridgeConfig = config, seed: int = 2) -> Sdcl:
        torch.manual_seed(seed)
        frames = Little() if config.uses_frames else None
        events = EventBranch(COMPACT) if config.uses_events else None
        return Sdcl(frames, events, bridge=Bridge(config))

    @staticmethod
    def with_stages(floats: Stage | None = None, ints: Stage | None = None) -> Settings:
        return replace(Tiny.settings, float_stage=floats or Stage(), int_stage=ints or Stage())

    @staticmethod
    def state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
        return copy.deepcopy(module.state_dict())

    @staticmethod
    def changed(before: dict[str, torch.Tensor], module: torch.nn.Module) -> set[str]:
        now = module.state_dict()
        return {name for name, value in before.items() if not torch.equal(value, now[name])}


@pytest.fixture(scope="session")
def tiny() -> type[Tiny]:
    return Tiny


@pytest.fixture(scope="session")
def lessons() -> TrackletsInMemory:
    return Tiny.held([tracklet(person, index) for person in range(PERSONS) for index in range(3)])


@pytest.fixture(scope="session")
def spikes_of() -> Callable[[TrackletsInMemory], torch.Tensor]:
    return lambda held: torch.from_numpy(np.stack([t.spikes for t in held.entries], 1)).float()

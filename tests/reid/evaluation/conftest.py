"""Small models of every kind, and a made-up folder of Event-ReId's layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.hybrid.bridge import BridgeConfig
from sdcl_neuro.hybrid.composition import compose
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.sdcl_checkpoint import ClipFormat, save_sdcl
from sdcl_neuro.reid.datasets import Clip
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch

CLIP = ClipFormat(frames=2, bins=2, size=(64, 32))


def noise(name: str, person: int, camera: int, clip: Clip, seed: int) -> Tracklet:
    """A person is a rate of events and a grey level, and much noise."""
    rng = np.random.default_rng(seed)
    rate = 0.02 + 0.02 * person
    spikes = rng.random((clip.frames * clip.bins, 2, *clip.size)) < rate
    frames = rng.integers(0, 20 + 30 * person, (clip.frames, 256, 128, 3), dtype=np.uint8)
    return Tracklet(
        name,
        person,
        camera,
        frames,
        spikes.astype(np.uint8),
        np.arange(clip.frames, dtype=np.int64),
        np.zeros((clip.frames, 4), np.int64),
    )


@dataclass(frozen=True)
class Entry:
    name: str
    person: int
    camera: int


@dataclass(frozen=True)
class Noise:
    """A data set whose loads are counted; what it has loaded is no part of what it is."""

    persons: int = 4
    cameras: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "loaded", [])

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(
            Entry(f"p{person}-c{camera}", person, camera)
            for person in range(1, self.persons + 1)
            for camera in range(self.cameras)
        )

    train = ()

    @property
    def query(self) -> tuple[int, ...]:
        return tuple(k for k, entry in enumerate(self.entries) if entry.camera == 1)

    @property
    def gallery(self) -> tuple[int, ...]:
        return tuple(range(len(self.entries)))

    def load(self, position: int, clip: Clip, *, seed: int | None = None) -> Tracklet:
        self.loaded.append(position)
        entry = self.entries[position]
        return noise(entry.name, entry.person, entry.camera, clip, position)


def make_model(inputs: str = "v+e", *, kind: str = "sdcl", integers: bool = True) -> Sdcl:
    torch.manual_seed(1)
    voxels = kind == "psta" and inputs == "e"
    config = BridgeConfig(
        channels=16,
        frames=2,
        heads=2,
        points=2,
        inputs=inputs,  # type: ignore[arg-type]
        fusion="alignment" if inputs == "v+e" and kind == "sdcl" else "none",
        **({"event_channels": 128} if voxels else {}),
    )
    branch = None
    if inputs != "v" and not voxels:
        branch = EventBranch(COMPACT)
        branch.calibrate_rates((torch.rand(4, 4, 2, *CLIP.size) < 0.08).float(), rate=0.15)
        if integers:
            branch.prepare_quantization()
    frames = "osnet_x0_25" if inputs != "e" or voxels else None
    model = compose(kind, config, frame_branch=frames, event_branch=branch, bins=CLIP.bins)
    model.train()
    with torch.no_grad():  # batch norms that have seen something
        for _ in range(3):
            model(torch.randn(4, 2, 3, 256, 128), (torch.rand(4, 4, 2, 64, 32) < 0.08).float())
    return model.eval()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Saved models by their arguments, each made once."""
    made: dict[str, Path] = {}

    def get(inputs: str = "v+e", *, kind: str = "sdcl", integers: bool = True) -> Path:
        key = f"{kind}-{inputs}-{integers}"
        if key not in made:
            frames = "osnet_x0_25" if inputs != "e" or kind == "psta" else None
            model = make_model(inputs, kind=kind, integers=integers)
            folder = tmp_path_factory.mktemp("models") / key
            made[key] = save_sdcl(folder, model, clip=CLIP, frame_branch=frames)
        return made[key]

    return get


@pytest.fixture(scope="session")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Event-ReId's layout: 3 persons before 3 cameras, and two lists."""
    root = tmp_path_factory.mktemp("event-reid")
    (root / "test").mkdir()
    rng = np.random.default_rng(0)
    names = []
    for person in (1, 2, 3):
        for camera in (1, 2, 3):
            count = 300 * person + 40 * camera
            t = np.sort(rng.integers(0, 333, count))
            x, y = rng.integers(200, 280, count), rng.integers(100, 260, count)
            p = rng.integers(0, 2, count)
            name = f"test/{person:03}_c{camera}_000.txt"
            np.savetxt(root / name, np.stack([t, x, y, p], 1), fmt="%d")
            names.append(name)
    (root / "query.txt").write_text("".join(f"{name}\n" for name in names[::3]))
    (root / "gallery.txt").write_text("".join(f"{name}\n" for name in names))
    return root


@pytest.fixture(scope="session")
def noise_data() -> type[Noise]:
    """The made-up data set; each object counts its own loads."""
    return Noise

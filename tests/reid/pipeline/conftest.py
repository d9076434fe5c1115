"""Another film than the demo's: three textured figures that walk, and a tiny untrained SDCL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from sdcl_neuro.events import SimulatorConfig
from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig
from sdcl_neuro.hybrid.frame_branch import make_frame_branch
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.sdcl_checkpoint import ClipFormat, save_sdcl
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch

WIDTH, HEIGHT, COUNT, FPS = 160, 96, 11, 20
CLIP = ClipFormat(frames=2, bins=2, size=(64, 32), simulator=SimulatorConfig(threshold_on=0.15))
# First frame from 0, how many frames, left and top of the first box, pixels a frame.
WALKS = {7: (0, 10, 4, 12, 3), 2: (1, 8, 60, 20, 2), 5: (2, 9, 120, 6, -2)}
BOX = (28, 64)


def boxes(identity: int) -> list[tuple[int, int, int, int, int]]:
    """Frame from 0, left, top, width, height of one figure."""
    first, count, left, top, step = WALKS[identity]
    return [(first + k, left + step * k, top, *BOX) for k in range(count)]


@dataclass(frozen=True)
class Material:
    """Paths of a film and its tracks."""

    video: Path
    tracks: Path

    def arguments(self, checkpoint: Path, out: Path) -> list[str]:
        """Of the command line."""
        return [
            *("infer", str(checkpoint), "--video", str(self.video), "--tracks", str(self.tracks)),
            *("--out", str(out)),
        ]


def make_material(folder: Path) -> Material:
    """Draw the film and write its tracks."""
    rng = np.random.default_rng(5)
    scene = rng.integers(90, 110, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    film = np.repeat(scene[None], COUNT, axis=0)
    lines = []
    for identity in WALKS:
        coarse = rng.integers(0, 256, (8, 4, 3), dtype=np.uint8)
        figure = cv2.resize(coarse, BOX, interpolation=cv2.INTER_NEAREST)
        for frame, left, top, width, height in boxes(identity):
            film[frame, top : top + height, left : left + width] = figure
            lines.append(f"{frame + 1},{identity},{left},{top},{width},{height},1,-1,-1,-1\n")
    video = folder / "walk.avi"
    writer = cv2.VideoWriter(
        str(video), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), FPS, (WIDTH, HEIGHT)
    )
    for picture in film:
        writer.write(picture)
    writer.release()
    tracks = folder / "tracks.txt"
    tracks.write_text("".join(lines))
    return Material(video, tracks)


def make_model() -> Sdcl:
    """Build a tiny SDCL without training, ready to be deployed."""
    torch.manual_seed(1)
    config = BridgeConfig(channels=16, frames=2, identities=0, heads=2, points=2)
    branch = EventBranch(COMPACT)
    spikes = (torch.rand(4, 2, 2, *CLIP.size) < 0.1).float()
    branch.calibrate_rates(spikes, rate=0.1)
    branch.prepare_quantization()
    return Sdcl(make_frame_branch("osnet_x0_25"), branch, bridge=Bridge(config)).eval()


def make_checkpoint(folder: Path, model: Sdcl) -> Path:
    """Save it as `sdcl-neuro train` would."""
    return save_sdcl(folder / "sdcl", model, clip=CLIP, frame_branch="osnet_x0_25")


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make_material(tmp_path_factory.mktemp("film"))


@pytest.fixture(scope="session")
def model() -> Sdcl:
    return make_model()


@pytest.fixture(scope="session")
def checkpoint(model: Sdcl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("model"), model)

"""What the demonstration is made of; every number that shapes its result stands here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sdcl_neuro.events.simulator import SimulatorConfig
from sdcl_neuro.files import file_sha256
from sdcl_neuro.hybrid.bridge import BridgeConfig
from sdcl_neuro.hybrid.sdcl_checkpoint import ClipFormat
from sdcl_neuro.network.spec import Pair
from sdcl_neuro.reid.training import Augmentation, Settings, Stage
from sdcl_neuro.snn.event_branch import COMPACT

from . import clip_path, tracks_path

FRAME_BRANCH = "osnet_x0_25"
PAPER_SIZE: Pair = (128, 64)
RATE = 0.05
"""Spikes per neuron and step to which both event branches are calibrated before training."""
CLIP = ClipFormat(
    frames=4,
    bins=4,
    size=(64, 32),
    simulator=SimulatorConfig(threshold_on=0.25, threshold_off=0.25, log_eps=0.02),
    sensor_scale=0.5,
)
"""Ten frames a second are few: higher thresholds than a sensor's keep the background silent."""
HARDWARE = ("loihi1", "loihi2")
STEPS = (50, 30)


@dataclass(frozen=True)
class DemoSettings:
    """Choices of whoever runs the demonstration.

    Attributes:
        out: folder of everything it writes.
        frame_weights: safetensors of OSNet x0.25; without them the frame branch learns from the
            clip alone, together with the rest.
        backend: of the event branch in hybrid inference.
        seed: of weights and batches.
        retrain: train even if the folder holds a finished training of these settings.
        steps: of training in float, then in the chip's integers.
        prove_again: compute certificates that an earlier run of the same files has left.
    """

    out: Path
    frame_weights: Path | None = None
    backend: str = "loihi"
    seed: int = 0
    retrain: bool = False
    steps: tuple[int, int] = STEPS
    prove_again: bool = False

    @property
    def training(self) -> Settings:
        """Stages: in float first, then in the chip's integers with the frame branch frozen."""
        learns = self.frame_weights is None
        return Settings(
            persons=6,
            tracklets=2,
            float_stage=Stage(steps=self.steps[0], learning_rate=1e-3, learns_frames=learns),
            int_stage=Stage(steps=self.steps[1], learning_rate=5e-4, learns_frames=False),
            augmentation=Augmentation(pad=0, erasing=0.0),
            variants=2,
            firing_rate=RATE,
            device="cpu",
            seed=self.seed,
        )

    @property
    def bridge(self) -> BridgeConfig:
        """A small bridge for six persons."""
        channels, height, width = COMPACT.output_shape(CLIP.size)
        return BridgeConfig(
            channels=64,
            frames=CLIP.frames,
            event_channels=channels,
            event_size=(height, width),
            identities=6,
        )

    def fingerprint(self) -> str:
        """Return a hash that changes with everything that training depends on."""
        weights = None if self.frame_weights is None else file_sha256(self.frame_weights)
        parts = {
            "clip": [file_sha256(clip_path()), file_sha256(tracks_path())],
            "format": [asdict(CLIP), RATE],
            "event_branch": COMPACT.to_dict(),
            "bridge": self.bridge.to_dict(),
            "training": asdict(self.training),
            "frame_weights": weights,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

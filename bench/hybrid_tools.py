"""The hybrid and its parts, each alone, on the same random tracklets."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from sdcl_neuro.conversion import from_snntorch
from sdcl_neuro.conversion.event_side import event_backend
from sdcl_neuro.conversion.model_reading import as_model
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig
from sdcl_neuro.hybrid.frame_branch import make_frame_branch, normalise
from sdcl_neuro.hybrid.model import Sdcl, event_counts, event_features
from sdcl_neuro.hybrid.runtime import infer, sharing
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch

FRAMES, BINS, SIZE = 4, 4, (64, 32)
Call = Callable[[], Any]


@functools.cache
def material(backbone: str, count: int) -> tuple[Sdcl, Any, list[Tracklet]]:
    """A quantised, untrained SDCL whose neurons fire at 10 %, its event backend, tracklets."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    shape = (FRAMES * BINS, 2, *SIZE)
    tracklets = [
        Tracklet(
            name=f"t{n}",
            person=n,
            camera=0,
            frames=rng.integers(0, 256, (FRAMES, 256, 128, 3), dtype=np.uint8),
            spikes=(rng.random(shape) < 0.05).astype(np.uint8),
            times_us=np.arange(1, FRAMES + 1) * 40_000,
            boxes=np.tile(np.array([0, 0, 10, 20]), (FRAMES, 1)),
        )
        for n in range(count)
    ]
    spikes = torch.from_numpy(np.stack([t.spikes for t in tracklets], axis=1)).float()
    branch = EventBranch(COMPACT)
    branch.calibrate_rates(spikes, rate=0.1)
    branch.prepare_quantization()
    frames = make_frame_branch(backbone)
    config = BridgeConfig(frames=FRAMES, frame_channels=frames.channels)
    model = Sdcl(frames, branch, bridge=Bridge(config)).eval()
    chip = as_model(from_snntorch(branch, spikes))
    return model, event_backend(chip, "loihi"), tracklets


def hybrid(backbone: str, count: int, batch: int, decided: bool = True) -> Call:
    """Both branches at once, as `infer` runs them; in as many threads as it decides, or as told."""
    model, backend, tracklets = material(backbone, count)
    if not decided:
        sharing.LIGHT = 0  # type: ignore[misc]
    return lambda: infer(model, tracklets, backend, device="cpu", batch=batch).embeddings


def in_turn(backbone: str, count: int, batch: int) -> Call:
    """Event branch, then frame branch, then bridge: the sum of the parts."""
    model, backend, tracklets = material(backbone, count)

    def call() -> np.ndarray:
        parts = []
        with torch.inference_mode():
            for start in range(0, count, batch):
                some = tracklets[start : start + batch]
                spikes = np.stack([t.spikes for t in some], axis=1)
                record = backend(spikes)
                output = model.fuse(
                    _maps(model, some),
                    event_features(record.spikes[max(record.spikes)], frames=FRAMES),
                    event_counts(spikes, frames=FRAMES),
                )
                parts.append(functional.normalize(output.embedding).numpy())
        return np.concatenate(parts)

    return call


def frames_alone(backbone: str, count: int, batch: int) -> Call:
    """The frame branch, from bytes to maps."""
    model, _, tracklets = material(backbone, count)

    def call() -> np.ndarray:
        with torch.inference_mode():
            for start in range(0, count, batch):
                maps = _maps(model, tracklets[start : start + batch])
        return maps.numpy()

    return call


def events_alone(backbone: str, count: int, batch: int) -> Call:
    """The event branch, from spikes to the last layer's spikes."""
    _, backend, tracklets = material(backbone, count)

    def call() -> np.ndarray:
        for start in range(0, count, batch):
            spikes = np.stack([t.spikes for t in tracklets[start : start + batch]], axis=1)
            record = backend(spikes)
        return record.spikes[max(record.spikes)]

    return call


def _maps(model: Sdcl, tracklets: list[Tracklet]) -> torch.Tensor:
    pixels = normalise(np.concatenate([tracklet.frames for tracklet in tracklets]))
    return model.frame_maps(pixels.unflatten(0, (len(tracklets), -1)))

"""Tools of test_dense_side.py: frames, bridge and heads, in each of their ahead-of-time forms."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from frame_branch_tools import crops
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig
from sdcl_neuro.hybrid.dense_backends import made_ready
from sdcl_neuro.hybrid.frame_branch import load_weights, make_frame_branch, normalise
from sdcl_neuro.hybrid.model import Sdcl

SIZES: dict[str, tuple[BridgeConfig, tuple[int, int]]] = {
    "resnet50": (BridgeConfig.paper(), (256, 128)),
    "osnet_x0_25": (BridgeConfig(), (64, 32)),
}
"""Bridge (the paper's and the small one) and pixels of the event counts."""
RATE, DENSITY = 0.1, 0.05
"""Shares of event features and of pixels with events."""
CALIBRATION = 16


@functools.cache
def clips(frames: int) -> NDArray[np.uint8]:
    """Persons of the packaged clip, uint8 ``[N, F, 256, 128, 3]``, a person's frames in order."""
    pictures, persons, when = crops()
    order = np.lexsort((when, persons))
    found = []
    for person in np.unique(persons):
        own = pictures[order][persons[order] == person]
        whole = len(own) // frames * frames
        found.append(own[:whole].reshape(-1, frames, *own.shape[1:]))
    return np.concatenate(found)


def model(network: str, weights: str | None) -> Sdcl:
    """Network and bridge whose batch norms have seen the clip; random but for given weights."""
    torch.manual_seed(0)
    config, pixels = SIZES[network]
    branch = make_frame_branch(network).eval()
    if weights is not None:
        load_weights(branch, Path(weights))
    made = Sdcl(branch, None, bridge=Bridge(config))
    for norm in made.bridge.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.momentum = 1.0  # what is seen once is what is kept
    with torch.no_grad():
        maps = made.frame_maps(normalise_clips(clips(config.frames)[::8]))
        made.bridge.train()
        made.fuse(maps, *events(config, pixels, len(maps)))
    return made.eval()


def normalise_clips(frames: NDArray[np.uint8]) -> Tensor:
    return normalise(frames.reshape(-1, *frames.shape[2:])).unflatten(0, frames.shape[:2])


def events(config: BridgeConfig, pixels: tuple[int, int], batch: int) -> tuple[Tensor, Tensor]:
    """Event features of four bins and counts, random."""
    shape = (batch, config.frames, config.event_channels, *config.event_size)
    features = (torch.rand(4, *shape) < RATE).float().mean(0)
    counts = (torch.rand(batch, config.frames, *pixels) < DENSITY).float()
    return features, counts


def made(
    *, network: str, kind: str, weights: str | None = None, every: bool = False
) -> Callable[[], NDArray[np.float32]]:
    """One tracklet from bytes to its embedding; with `every`, all of the clip's, one by one."""
    config, pixels = SIZES[network]
    given, ready = _ready(network, kind, weights)
    torch.manual_seed(1)
    seen = [events(config, pixels, 1) for _ in given]

    def one(frames: NDArray[np.uint8], what: Any) -> Tensor:
        maps = ready.frame_maps(normalise(frames)[None])
        return functional.normalize(ready.fuse(maps, *what).embedding)

    def call() -> NDArray[np.float32]:
        with torch.inference_mode():
            number = len(given) if every else 1
            return torch.cat([one(given[n], seen[n]) for n in range(number)]).numpy()

    return call


def _ready(network: str, kind: str, weights: str | None) -> tuple[NDArray[np.uint8], Sdcl]:
    """The clip's tracklets and the dense side in one form, on one thread."""
    torch.set_num_threads(1)
    sdcl = model(network, weights)
    given = clips(SIZES[network][0].frames)
    return given, made_ready(sdcl, kind, tracklets=_calibration(given))


def _calibration(given: NDArray[np.uint8]) -> list[Tracklet]:
    """Tracklets of all persons, evenly spread."""
    return [_tracklet(one) for one in given[:: max(1, len(given) // CALIBRATION)]]


def _tracklet(frames: NDArray[np.uint8]) -> Tracklet:
    number = len(frames)
    return Tracklet(
        name="", person=0, camera=0, frames=frames, spikes=np.zeros((number, 2, 1, 1), np.uint8),
        times_us=np.arange(1, number + 1), boxes=np.tile(np.array([0, 0, 1, 1]), (number, 1)),
    )  # fmt: skip


def parts(*, network: str, kind: str, part: str) -> Callable[[], NDArray[np.float32]]:
    """Frame branch or bridge alone, in one form."""
    config, pixels = SIZES[network]
    given, ready = _ready(network, kind, None)
    torch.manual_seed(1)
    what = events(config, pixels, 1)
    with torch.inference_mode():
        maps = ready.frame_maps(normalise(given[0])[None])

    def call() -> NDArray[np.float32]:
        with torch.inference_mode():
            if part == "bridge":
                return ready.fuse(maps, *what).embedding.numpy()
            return ready.frame_maps(normalise(given[0])[None]).numpy()

    return call

"""Figure 2 of the poster: frames, events, and what each part of a model makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.hybrid.composition import kind_of
from sdcl_neuro.hybrid.frame_branch import normalise
from sdcl_neuro.hybrid.model import Sdcl, event_counts, event_features
from sdcl_neuro.profiling.report import event_image, on_white
from sdcl_neuro.snn.event_branch import EventBranch

from .drawing import SMALL, new_figure

Heat = NDArray[np.float32]
INCH = 0.75
"""Width of one frame in the figure."""


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """What a model sees in one tracklet, frame by frame.

    Attributes:
        name: of the tracklet.
        frames: uint8 ``[F, H, W, 3]``; None for a model without frames.
        events: counts ``[F, 2, H, W]``; None for a model without events.
        rows: title and heat ``[F, h, w]``, the length of each cell's feature vector, in units of
            the largest of its row.
    """

    name: str
    frames: NDArray[np.uint8] | None
    events: NDArray[np.float32] | None
    rows: tuple[tuple[str, Heat], ...]


def feature_maps(model: Sdcl, tracklet: Tracklet) -> FeatureMaps:
    """Run a model on one tracklet and keep its maps.

    Args:
        model: any; rows that it lacks are left out.
        tracklet: of the shape that it was trained on.
    """
    model = model.eval()
    config = model.bridge.config
    count = len(tracklet.times_us)
    rows: list[tuple[str, Heat]] = []
    maps = features = counts = None
    with torch.inference_mode(), _kept(getattr(model.bridge, "fusion", None)) as fused:
        if config.uses_events and model.event_branch is not None:
            spikes = torch.from_numpy(np.ascontiguousarray(tracklet.spikes[:, None]))
            features = event_features(model.event_branch(spikes.float())[-1], frames=count)
            counts = event_counts(spikes, frames=count)
            spiking = isinstance(model.event_branch, EventBranch)
            title = "spikes of the\nevent branch" if spiking else "network on\nevent voxels"
            rows.append((title, _heat(features[0])))
        if config.uses_frames:
            maps = model.frame_maps(normalise(tracklet.frames)[None])
            rows.append(("frame network", _heat(maps[0, :, : _plain(model)])))
        model.fuse(maps, features, counts)
    whole = kind_of(model).upper()
    if len(fused) == 2:
        rows += [
            (f"{whole}: frames\nwith events", _heat(fused[0])),
            (f"{whole}: events\nwith frames", _heat(fused[1])),
        ]
    elif fused:
        rows.append((f"{whole}: frames\nwith events", _heat(fused[0])))
    bins = tracklet.spikes.reshape(count, -1, *tracklet.spikes.shape[1:])
    return FeatureMaps(
        tracklet.name,
        np.asarray(tracklet.frames) if config.uses_frames else None,
        bins.sum(1, dtype=np.float32) if config.uses_events else None,
        tuple(rows),
    )


def _plain(model: Sdcl) -> int:
    """Return channels of the frame network's own map; some methods append others to it."""
    config = model.bridge.config
    return config.frame_channels if kind_of(model) in ("sdcl", "psta") else config.channels


@contextmanager
def _kept(module: Any) -> Iterator[list[Tensor]]:
    """Yield what a module says while this is open, map by map; nothing where there is none."""
    said: list[Tensor] = []
    if not isinstance(module, nn.Module):
        yield said
        return

    def keep(own: nn.Module, given: Any, output: Any) -> None:
        del own, given
        said.extend(output if isinstance(output, tuple) else (output,))

    handle = module.register_forward_hook(keep)
    try:
        yield said
    finally:
        handle.remove()


def _heat(maps: Tensor) -> Heat:
    """Map ``[F, C, h, w]`` to ``[F, h, w]`` in units of the largest."""
    lengths = maps.float().square().sum(1).sqrt()
    heat: Heat = (lengths / lengths.amax().clamp_min(1e-12)).cpu().numpy()
    return heat


def maps_figure(found: FeatureMaps) -> Any:
    """Draw a row for each kind of picture, a column for each frame."""
    rows: list[tuple[str, NDArray[Any], str | None]] = []
    if found.frames is not None:
        rows.append(("frames", found.frames, None))
    if found.events is not None:
        full = max(1.0, float(np.quantile(found.events.max((1, 2, 3)), 0.5)) / 2)
        pictures = np.stack([on_white(event_image(one, full=full)) for one in found.events])
        rows.append(("events\n(red ON, blue OFF)", pictures, None))
    rows += [(title, heat, "viridis") for title, heat in found.rows]
    columns = len(rows[0][1])
    figure = new_figure(1.1 + INCH * columns, 0.35 + 2 * INCH * len(rows))
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, (title, pictures, colours) in enumerate(rows):
        limits = {} if colours is None else {"vmin": 0.0, "vmax": 1.0}
        for column, (ax, picture) in enumerate(zip(axes[row], pictures, strict=True)):
            ax.imshow(picture, cmap=colours, interpolation="nearest", extent=(0, 1, 2, 0), **limits)
            ax.set(xticks=[], yticks=[])
            if row == 0:
                ax.set_title(f"frame {column + 1}", fontsize=SMALL)
        axes[row][0].set_ylabel(title, fontsize=SMALL)
    figure.suptitle(f"{found.name}: length of each cell's feature", fontsize=SMALL + 1)
    return figure

"""What a bridge asks of its inputs' shapes."""

from __future__ import annotations

from torch import Tensor

from sdcl_neuro.errors import InputError

from .config import BridgeConfig


def checked(value: Tensor | None, name: str, shape: tuple[int, int, int]) -> Tensor:
    """Return `value` if it is ``[B, F, *shape]``; else InputError."""
    if value is None or value.ndim != 5 or tuple(value.shape[2:]) != shape:
        raise InputError(
            f"{name} is {'absent' if value is None else tuple(value.shape)}",
            where="Bridge",
            hint=f"give [B, F, {', '.join(map(str, shape))}]",
        )
    return value


def same_tracklets(frames: Tensor, events: Tensor) -> None:
    """Raise InputError unless both are of the same B tracklets and F frames."""
    if frames.shape[:2] != events.shape[:2]:
        raise InputError(
            f"frames are [B, F] = {tuple(frames.shape[:2])}, events {tuple(events.shape[:2])}",
            where="Bridge",
            hint="give both for the same tracklets and frames",
        )


def bridge_inputs(
    config: BridgeConfig, maps: Tensor | None, features: Tensor | None, counts: Tensor | None
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return inputs that `config` uses, the others None.

    Args:
        config: of the bridge.
        maps: ``[B, F, frame_channels, *map_size]``.
        features: ``[B, F, event_channels, *event_size]``.
        counts: ``[B, F, H, W]``; zeros in their place where nothing asks where events are.

    Raises:
        InputError: an input that `config` needs is absent or of another shape.
    """
    if config.uses_frames:
        maps = checked(maps, "frame_maps", (config.frame_channels, *config.map_size))
    if not config.uses_events:
        return maps, None, None
    features = checked(features, "event_features", (config.event_channels, *config.event_size))
    counts = _checked_counts(config, features, counts)
    if not config.uses_frames or maps is None:
        return None, features, counts
    same_tracklets(maps, features)
    return maps, features, counts


def _checked_counts(config: BridgeConfig, features: Tensor, counts: Tensor | None) -> Tensor:
    batch, frames = features.shape[:2]
    if counts is None and config.deformable_layers == 0:
        return features.new_zeros(batch, frames, 1, 1)
    if counts is not None and any(
        given < cells for given, cells in zip(counts.shape[2:], config.event_size, strict=False)
    ):
        raise InputError(
            f"event_counts of {tuple(counts.shape[2:])} pixels are coarser than the event map",
            where="Bridge",
            hint=f"give at least {config.event_size}",
        )
    if counts is None or counts.ndim != 4 or counts.shape[:2] != features.shape[:2]:
        raise InputError(
            f"event_counts is {'absent' if counts is None else tuple(counts.shape)}",
            where="Bridge",
            hint=f"give [{batch}, {frames}, H, W]",
        )
    return counts

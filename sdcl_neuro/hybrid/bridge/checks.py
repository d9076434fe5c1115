"""What a bridge asks of its inputs' shapes."""

from __future__ import annotations

from torch import Tensor

from sdcl_neuro.errors import InputError


def checked(value: Tensor | None, name: str, shape: tuple[int, int, int]) -> Tensor:
    """`value` if it is ``[B, F, *shape]``; else InputError."""
    if value is None or value.ndim != 5 or tuple(value.shape[2:]) != shape:
        raise InputError(
            f"{name} is {'absent' if value is None else tuple(value.shape)}",
            where="Bridge",
            hint=f"give [B, F, {', '.join(map(str, shape))}]",
        )
    return value


def same_tracklets(frames: Tensor, events: Tensor) -> None:
    """InputError unless both are of the same B tracklets and F frames."""
    if frames.shape[:2] != events.shape[:2]:
        raise InputError(
            f"frames are [B, F] = {tuple(frames.shape[:2])}, events {tuple(events.shape[:2])}",
            where="Bridge",
            hint="give both for the same tracklets and frames",
        )

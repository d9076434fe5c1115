"""Every switch of the bridge in one frozen description, to and from plain JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public_class

Inputs = Literal["v", "e", "v+e"]
Fusion = Literal["none", "concat", "add", "attention", "alignment"]
Direction = Literal["e2f", "f2e", "both"]
Pyramid = Literal["none", "residual", "stam"]
Size = tuple[int, int]

MAX_LEVELS = 3  # paper, Section 3.5
MAX_DEFORMABLE_LAYERS = 4  # the range of the paper's Fig. 6
_CHOICES = {"inputs": Inputs, "fusion": Fusion, "direction": Direction, "pyramid": Pyramid}
_LEAST = {
    "channels": 1,
    "frame_channels": 1,
    "event_channels": 1,
    "frames": 2,
    "identities": 0,
    "heads": 1,
    "points": 1,
    "kernel": 1,
    "window": 1,
    "deformable_layers": 0,
}


@public_class
@dataclass(frozen=True)
class BridgeConfig:
    """What the bridge is made of. The defaults are the small bridge for a CPU.

    Attributes:
        channels: width C of everything behind the two entries; the embedding's dimension. The
            paper's is 1024.
        frame_channels: channels of the frame branch's map (OSNet x0.25: 128, x1.0: 512,
            ResNet-50: 2048).
        event_channels, event_size: channels and (height, width) of the event branch's map.
        map_size: (height, width) of the frame branch's map.
        frames: frames F of a clip, from 2; with a pyramid a power of two, which fixes the number of
            levels. A longer clip (again a power of two) can be given to the finished bridge, a
            shorter one only down to 2 ** levels.
        identities: classes of each level's classifier; 0 builds none.
        inputs: ``v`` frames alone, ``e`` events alone, ``v+e`` both.
        fusion: how the two sides meet before the pyramid; needs both inputs unless ``none``.
        direction: ``e2f`` writes to the frames' side, ``f2e`` to the events' side, or both.
        heads, points: M and I of Eq. 13; the heads also of ``attention``.
        deformable_layers: layers of the event deformable mapping, 0 to 4 (paper: 3).
        kernel: side k of its kernel, odd; N = k * k nearest events.
        window: largest Manhattan distance, in cells of the event map, at which events are sought.
        pyramid: what a level is made of; ``none`` averages over time instead.
        gate: begin as the frame branch's own feature, and let what is fused in by a gate that is 0
            at first; for a frame branch that was trained before. See `gate.Gated`.

    Raises:
        InputError: a value outside its range, or values that do not go together.
    """

    channels: int = 128
    frame_channels: int = 128
    event_channels: int = 16
    event_size: Size = (16, 8)
    map_size: Size = (16, 8)
    frames: int = 4
    identities: int = 0
    inputs: Inputs = "v+e"
    fusion: Fusion = "alignment"
    direction: Direction = "both"
    heads: int = 4
    points: int = 4
    deformable_layers: int = 3
    kernel: int = 3
    window: int = 8
    pyramid: Pyramid = "stam"
    gate: bool = False

    def __post_init__(self) -> None:
        for name, kind in _CHOICES.items():
            _require(getattr(self, name) in get_args(kind), self, name, _listed(get_args(kind)))
        for name, least in _LEAST.items():
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            _require(whole and value >= least, self, name, f"a whole number from {least}")
        for name in ("event_size", "map_size"):
            pair = getattr(self, name)
            good = isinstance(pair, tuple) and len(pair) == 2 and all(_positive(n) for n in pair)
            _require(good, self, name, "a pair of whole numbers from 1, (height, width)")
        _require(self.kernel % 2 == 1, self, "kernel", "an odd number")
        _require(
            self.deformable_layers <= MAX_DEFORMABLE_LAYERS,
            self,
            "deformable_layers",
            f"0 to {MAX_DEFORMABLE_LAYERS}",
        )
        if self.pyramid != "none":
            require_power_of_two(self.frames)
        self._check_combinations()

    def _check_combinations(self) -> None:
        if self.inputs != "v+e" and self.fusion != "none":
            raise InputError(
                f"fusion {self.fusion!r} needs frames and events, and inputs is {self.inputs!r}",
                where="BridgeConfig",
                hint="set fusion='none' or inputs='v+e'",
            )
        if self.fusion in ("attention", "alignment"):
            _require(self.channels % self.heads == 0, self, "channels", "a multiple of heads")
        _require(not self.gate or self.uses_frames, self, "gate", "inputs with frames, or no gate")
        _require(self.channels % 8 == 0, self, "channels", "a multiple of 8")
        for event, frame in zip(self.event_size, self.map_size, strict=True):
            _require(event % frame == 0, self, "event_size", f"a whole multiple of {self.map_size}")

    @property
    def levels(self) -> int:
        """Levels of the pyramid: log2 of the frames, at most 3; one without a pyramid."""
        return 1 if self.pyramid == "none" else min(MAX_LEVELS, self.frames.bit_length() - 1)

    @property
    def embedding_size(self) -> int:
        """Dimension of the embedding."""
        return max(self.channels, self.frame_channels) if self.gate else self.channels

    @property
    def uses_frames(self) -> bool:
        """Return whether there is a frame side."""
        return self.inputs != "e"

    @property
    def uses_events(self) -> bool:
        """Return whether there is an event side."""
        return self.inputs != "v"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; the pairs become lists."""
        values = asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BridgeConfig:
        """Return the inverse of `to_dict`; absent keys take their defaults, unknown ones are an
        error.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InputError(
                f"unknown {'key' if len(unknown) == 1 else 'keys'} {', '.join(unknown)}",
                where="BridgeConfig",
                hint=f"use {', '.join(sorted(known))}",
            )
        given: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**given)

    @classmethod
    def paper(cls, *, identities: int = 0) -> BridgeConfig:
        """Return the paper's size: ResNet-50, 8 event channels at 256x128, 8 frames, width 1024.

        Heads and points are not given in the paper; 8 and 4 are Deformable DETR's.
        """
        return cls(
            channels=1024,
            frame_channels=2048,
            event_channels=8,
            event_size=(256, 128),
            frames=8,
            heads=8,
            identities=identities,
        )


def require_power_of_two(frames: int, *, least: int = 2) -> None:
    """Raise `InputError` unless `frames` is a power of two from `least`."""
    if frames < least or frames & (frames - 1):
        raise InputError(
            f"{frames} frames cannot be halved level by level",
            where="frames of a clip",
            hint=f"give a power of two from {least}, for example {max(4, least)} or 8",
        )


def _positive(value: object) -> bool:
    return isinstance(value, int) and value >= 1


def _listed(choices: tuple[str, ...]) -> str:
    return "one of " + ", ".join(choices)


def _require(condition: bool, config: BridgeConfig, name: str, limit: str) -> None:
    if not condition:
        raise InputError(
            f"{name} is {getattr(config, name)!r}", where="BridgeConfig", hint=f"give {limit}"
        )

"""How a live session works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public_class

from ..dense_backends import CALIBRATED
from .queue import Policy

Mode = Literal["latency", "throughput"]
MODES: tuple[str, ...] = get_args(Mode)


@public_class
@dataclass(frozen=True)
class LiveSettings:
    """How a live session works.

    Attributes:
        mode: ``latency`` embeds what waits, at once; ``throughput`` waits until a batch is full,
            and runs one batch's events beside the batch before.
        batch: tracklets at a time, at most.
        queue: tracklets that may wait; from `batch`.
        policy: see `DropQueue`. ``block`` holds the source up, which a recording can bear.
        device: of the dense side; None takes a GPU where there is one.
        dense_backend: one of `hybrid.dense_backends.DENSE_BACKENDS` but ``onnx-int8``, which takes
            its ranges from tracklets that a stream has not brought yet; None takes ``folded`` on a
            CPU and ``eager`` on a GPU.

    Raises:
        InputError: an unknown mode, a batch below 1, a queue that holds no batch, a dense backend
            that needs tracklets before it begins.
    """

    mode: Mode = "latency"
    batch: int = 4
    queue: int = 16
    policy: Policy = "oldest"
    device: str | None = None
    dense_backend: str | None = None

    def __post_init__(self) -> None:
        if self.dense_backend in CALIBRATED:
            raise InputError(
                f"dense backend {self.dense_backend!r} takes its ranges from tracklets, and a "
                "stream has brought none",
                hint="give another, for example onnx",
            )
        if self.mode not in MODES:
            raise InputError(f"mode {self.mode!r}", hint=f"give one of {', '.join(MODES)}")
        if not 1 <= self.batch <= self.queue:
            raise InputError(
                f"batches of {self.batch} from a queue of {self.queue}",
                hint="give a batch from 1 and a queue that holds it",
            )

"""From tracklets to ranked lists: hybrid inference on a backend of choice, priced and ranked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.conversion.event_side import event_backend
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.hybrid.frame_branch import normalise
from sdcl_neuro.hybrid.frame_branch.ahead import ahead_of_time
from sdcl_neuro.hybrid.model import Sdcl, takes_clips
from sdcl_neuro.hybrid.runtime import HybridResult, infer
from sdcl_neuro.profiling import Profile, profile

from ..metrics import RankedLists, distance_matrix, rank

CALIBRATION_FRAMES = 64
BATCH = 8


@dataclass(frozen=True, eq=False)
class Session:
    """What a session of hybrid inference leaves.

    Attributes:
        tracklets: as given; row n of the embeddings is tracklet n.
        result: embeddings and ledger.
        profile: the event branch's counts, and what they cost on each target.
    """

    tracklets: tuple[Tracklet, ...]
    result: HybridResult
    profile: Profile

    def ranked(self, queries: NDArray[np.int64], gallery: NDArray[np.int64]) -> RankedLists:
        """Rank `gallery` for each of `queries`, both indices into the tracklets, by cosine."""
        embeddings = self.result.embeddings
        picked = [[self.tracklets[n] for n in part] for part in (queries, gallery)]
        ids, cameras = (
            [np.array([getattr(t, name) for t in part]) for part in picked]
            for name in ("person", "camera")
        )
        return rank(
            distance_matrix(embeddings[queries], embeddings[gallery]),
            ids[0],
            ids[1],
            cameras[0],
            cameras[1],
        )


def hold_session(
    sdcl: Sdcl,
    events: Model,
    tracklets: Sequence[Tracklet],
    *,
    backend: str = "loihi",
    device: str | None = None,
    frame_backend: str = "eager",
    hardware: Sequence[str] = ("loihi1", "loihi2"),
    batch: int = BATCH,
    on_batch: Callable[[int], None] = lambda count: None,
) -> Session:
    """Embed tracklets and price what the event branch did.

    Args:
        sdcl: the dense side.
        events: the event branch in the chip's integers.
        tracklets: at least one.
        backend: of the event branch.
        device: of the dense side; None takes a GPU where there is one.
        frame_backend: one of `frame_branch.ahead.FRAME_BACKENDS`; all but ``eager`` take the CPU
            where no device is given.
        hardware: profiles to price the counts on.
        batch: tracklets at a time.
        on_batch: called with the number of tracklets just done.
    """
    if frame_backend != "eager":
        device = device or "cpu"
        sdcl = made_ready(sdcl, tracklets, frame_backend, device=device)
    result = infer(
        sdcl,
        tracklets,
        event_backend(events, backend),
        device=device,
        batch=batch,
        on_batch=on_batch,
    )
    priced = profile(events.need_integer(), record=result.record, hw=list(hardware))
    result.ledger.costs(priced)
    return Session(tuple(tracklets), result, priced)


def made_ready(
    sdcl: Sdcl, tracklets: Sequence[Tracklet], kind: str, *, device: str = "cpu"
) -> Sdcl:
    """The same model with its frame branch made ready ahead of time on a device.

    Raises:
        InputError: an unknown kind or one for another device, or a model without a frame branch.
        EnvironmentFault: what the kind needs is not installed.
    """
    if sdcl.frame_branch is None:
        raise InputError("the model has no frame branch", hint="leave --frame-backend out")
    if takes_clips(sdcl.frame_branch):
        raise InputError(
            f"frame backend {kind!r} takes frames one by one, and this model's frames see each "
            "other",
            hint="leave --frame-backend out",
        )
    # Every tracklet has its say in the ranges of 8-bit values, as far as there is room.
    step = -(-len(tracklets) // CALIBRATION_FRAMES)
    frames = normalise(np.stack([tracklet.frames[0] for tracklet in tracklets[::step]]))
    branch = ahead_of_time(sdcl.frame_branch.to(device), kind, calibration=frames)
    return Sdcl(branch, sdcl.event_branch, bridge=sdcl.bridge)

"""From tracklets to ranked lists: hybrid inference on a backend of choice, priced and ranked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

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
from sdcl_neuro.network.record import LayerActivity
from sdcl_neuro.profiling import Profile, profile

from ..metrics import RankedLists, distance_matrix, rank
from .glimpse import Glimpse

CALIBRATION_FRAMES = 64
BATCH = 8


@dataclass(frozen=True, eq=False)
class Session:
    """What a session of hybrid inference leaves.

    Attributes:
        tracklets: what is kept of them; row n of the embeddings is tracklet n.
        result: embeddings and ledger.
        profile: the event branch's counts, and what they cost on each target.
        passage: which tracklet after which went through the network; ``passage[n]`` of them
            before tracklet n.
    """

    tracklets: tuple[Glimpse, ...]
    result: HybridResult
    profile: Profile
    passage: tuple[int, ...]

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
    tracklets: Iterable[Tracklet],
    *,
    order: Sequence[str] | None = None,
    keep_crops: bool = False,
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
        tracklets: at least one; not kept, so that more may come than memory would hold.
        order: names of all of them in the order wanted; as they come if left out.
        keep_crops: keep the middle picture of each at full size.
        backend: of the event branch.
        device: of the dense side; None takes a GPU where there is one.
        frame_backend: one of `frame_branch.ahead.FRAME_BACKENDS`; all but ``eager`` take the CPU
            where no device is given.
        hardware: profiles to price the counts on.
        batch: tracklets at a time.
        on_batch: called with the number of tracklets just done.
    """
    rest = iter(tracklets)
    if frame_backend != "eager":
        device = device or "cpu"
        first = list(islice(rest, CALIBRATION_FRAMES))
        sdcl = made_ready(sdcl, first, frame_backend, device=device)
        rest = chain(first, rest)
    seen: list[Glimpse] = []
    result = infer(
        sdcl,
        _looked_at(rest, seen, keep_crops),
        event_backend(events, backend),
        device=device,
        batch=batch,
        on_batch=on_batch,
    )
    priced = profile(events.need_integer(), record=result.record, hw=list(hardware))
    result.ledger.costs(priced)
    passage = list(range(len(seen)))
    if order is not None:
        place = {name: n for n, name in enumerate(result.names)}
        passage = [place[name] for name in order]
        result = _arranged(result, passage)
    return Session(tuple(seen[n] for n in passage), result, priced, tuple(passage))


def _looked_at(
    tracklets: Iterable[Tracklet], seen: list[Glimpse], keep_crops: bool
) -> Iterator[Tracklet]:
    """Pass tracklets on, and leave in `seen` what is kept of each."""
    for tracklet in tracklets:
        seen.append(Glimpse.of(tracklet, keep_crop=keep_crops))
        yield tracklet


def _arranged(result: HybridResult, passage: Sequence[int]) -> HybridResult:
    """The same result with tracklet ``passage[n]`` at place n; the ledger stays as it was."""
    index = np.asarray(passage)

    def arranged(layer: LayerActivity) -> LayerActivity:
        moved: dict[str, Any] = {
            name: None if one is None else one[index] for name, one in layer.counts().items()
        }
        return replace(layer, **moved)

    record = replace(result.record, activity=tuple(map(arranged, result.record.activity)))
    names = tuple(result.names[n] for n in passage)
    return replace(result, names=names, embeddings=result.embeddings[index], record=record)


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
    # The ranges of 8-bit values follow from these; later tracklets have no say in them.
    frames = normalise(np.stack([tracklet.frames[0] for tracklet in tracklets]))
    branch = ahead_of_time(sdcl.frame_branch.to(device), kind, calibration=frames)
    return Sdcl(branch, sdcl.event_branch, bridge=sdcl.bridge)

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
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.hybrid.dense_backends import (
    CALIBRATED,
    CALIBRATION_TRACKLETS,
    decided,
    made_ready,
)
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.runtime import HybridResult, infer
from sdcl_neuro.network.record import LayerActivity
from sdcl_neuro.profiling import Profile, profile

from ..metrics import RankedLists, distance_matrix, rank
from .glimpse import Glimpse

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
        dense_backend: how the dense side was computed, one of `DENSE_BACKENDS`.
    """

    tracklets: tuple[Glimpse, ...]
    result: HybridResult
    profile: Profile
    passage: tuple[int, ...]
    dense_backend: str = "eager"

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
    dense_backend: str | None = None,
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
        dense_backend: one of `hybrid.dense_backends.DENSE_BACKENDS`, which takes the CPU where no
            device is given; None takes ``folded`` on a CPU and ``eager`` on a GPU.
        hardware: profiles to price the counts on.
        batch: tracklets at a time.
        on_batch: called with the number of tracklets just done.
    """
    rest = iter(tracklets)
    kind = decided(dense_backend, sdcl, device)
    if kind != "eager":
        device = device or "cpu"
        first = list(islice(rest, CALIBRATION_TRACKLETS)) if kind in CALIBRATED else []
        sdcl = made_ready(sdcl, kind, device=device, tracklets=first)
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
    return Session(tuple(seen[n] for n in passage), result, priced, tuple(passage), kind)


def _looked_at(
    tracklets: Iterable[Tracklet], seen: list[Glimpse], keep_crops: bool
) -> Iterator[Tracklet]:
    """Pass tracklets on, and leave in `seen` what is kept of each."""
    for tracklet in tracklets:
        seen.append(Glimpse.of(tracklet, keep_crop=keep_crops))
        yield tracklet


def _arranged(result: HybridResult, passage: Sequence[int]) -> HybridResult:
    """Return the same result with tracklet ``passage[n]`` at place n; the ledger stays as it
    was.
    """
    index = np.asarray(passage)

    def arranged(layer: LayerActivity) -> LayerActivity:
        moved: dict[str, Any] = {
            name: None if one is None else one[index] for name, one in layer.counts().items()
        }
        return replace(layer, **moved)

    record = replace(result.record, activity=tuple(map(arranged, result.record.activity)))
    names = tuple(result.names[n] for n in passage)
    return replace(result, names=names, embeddings=result.embeddings[index], record=record)

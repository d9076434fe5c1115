"""Hybrid inference: dense frame branch and spiking event branch at once, fused by the bridge.

The two branches share nothing until the bridge, so a worker thread drives the event backend
(compiled code, or another process: both outside the interpreter's lock) while this thread drives
the frame branch. The worker is one batch ahead, no more; the first batch waits for no second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdcl_neuro.devices import gpu_uuid, torch_threads
from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.network.arguments import public
from sdcl_neuro.network.record import LayerActivity, Record
from sdcl_neuro.profiling.counters import EnergyMeter, find_counters
from sdcl_neuro.profiling.ledger import Ledger

from ..model import Sdcl
from .dense import DenseSide
from .sharing import share_out
from .worker import EventBackend, EventWorker


@dataclass(frozen=True, eq=False)
class HybridResult:
    """Result of hybrid inference on N tracklets.

    Attributes:
        names: of the tracklets, in order.
        embeddings: float32 ``[N, D]``, of unit length: compare by cosine.
        ledger: latency by stage, counts, and what counters of energy saw.
        record: the event branch's counts over all tracklets; no spikes.
    """

    names: tuple[str, ...]
    embeddings: NDArray[np.float32]
    ledger: Ledger
    record: Record


@public
def infer(
    model: Sdcl,
    tracklets: Iterable[Tracklet],
    event_backend: EventBackend,
    *,
    device: str | None = None,
    batch: int = 8,
    on_batch: Callable[[int], None] = lambda count: None,
) -> HybridResult:
    """Embed tracklets, the event branch on a backend of choice.

    Args:
        model: SDCL; its own event branch is not used.
        tracklets: at least one, all of one shape; taken two batches at a time, so that more may
            come than memory would hold.
        event_backend: runs the event branch on spikes; see `EventBackend`.
        device: of the dense side, as torch names it; None takes a GPU where there is one.
        batch: tracklets at a time.
        on_batch: called with the number of tracklets just done, for a progress bar.

    Raises:
        InputError: no tracklets, tracklets of different shapes, an unknown device.
        EnvironmentFault: a GPU that is not there.
    """
    if batch < 1:
        raise InputError(f"batches of {batch} tracklets", where="infer", hint="give at least 1")
    if isinstance(tracklets, Sequence):
        _check_shapes(tracklets)  # before any work
    chunks = _batches(tracklets, batch)
    chunk = next(chunks, None)
    if chunk is None:
        raise InputError("no tracklets", where="infer", hint="give at least one")
    dense = DenseSide(model, device)
    ledger = dense.new_ledger()
    frames = sum(len(tracklet.frames) for tracklet in chunk)
    shares = share_out(model, dense.device, frames=frames)
    ledger.threads = shares.to_dict()
    embeddings: list[Tensor] = []
    records: list[Record] = []
    names: list[str] = []

    def finish(chunk: Sequence[Tracklet], events: Future[Record]) -> None:
        if events.done():
            events.result()  # a failure is told before more work is done
        embedded, record = dense.embed(chunk, events, ledger)
        embeddings.append(embedded)
        records.append(replace(record, spikes={}))
        names.extend(tracklet.name for tracklet in chunk)
        on_batch(len(chunk))

    with (
        EnergyMeter(find_counters(gpu=gpu_uuid(dense.device))) as meter,
        torch_threads(shares.dense.count),
        torch.inference_mode(),
        EventWorker(event_backend, ledger, threads=shares.events) as worker,
    ):
        finish(chunk, worker.submit(chunk))  # at once: the next may still be cut
        begun: tuple[Sequence[Tracklet], Future[Record]] | None = None
        for chunk in chunks:
            following = chunk, worker.submit(chunk)
            if begun is not None:
                finish(*begun)
            begun = following
        if begun is not None:
            finish(*begun)
    merged = merge_records(records)
    ledger.activity(merged.activity, backend=merged.backend)
    ledger.readings(meter.readings)
    return HybridResult(
        tuple(names),
        torch.cat(embeddings).cpu().numpy(),
        ledger,
        merged,
    )


@public
def merge_records(records: Sequence[Record]) -> Record:
    """Return one record of batches that ran one after another: counts side by side, times
    summed.
    """
    if not records:
        raise InputError("no records", where="merge_records", hint="give at least one")
    first = records[0]
    elapsed = [record.elapsed_s for record in records]
    layers_of = [record.activity for record in records]
    return replace(
        first,
        samples=sum(record.samples for record in records),
        spikes={},
        activity=tuple(_merge(layers) for layers in zip(*layers_of, strict=True)),
        elapsed_s=None if None in elapsed else sum(s for s in elapsed if s is not None),
    )


def _merge(layers: Sequence[LayerActivity]) -> LayerActivity:
    parts = [layer.counts() for layer in layers]
    joined: dict[str, Any] = {}
    for name in parts[0]:
        known = [one for part in parts if (one := part[name]) is not None]
        joined[name] = np.concatenate(known) if len(known) == len(parts) else None
    return replace(layers[0], **joined)


def _batches(tracklets: Iterable[Tracklet], size: int) -> Iterator[Sequence[Tracklet]]:
    """Yield so many at a time, all of the first one's shape."""
    rest = iter(tracklets)
    first: Tracklet | None = None
    while chunk := list(islice(rest, size)):
        first = first or chunk[0]
        _check_shapes([first, *chunk])
        yield chunk


def _check_shapes(tracklets: Sequence[Tracklet]) -> None:
    shapes = {(tracklet.frames.shape, tracklet.spikes.shape) for tracklet in tracklets}
    if len(shapes) > 1:
        raise InputError(
            f"tracklets of {len(shapes)} different shapes",
            where="infer",
            hint="cut all of them with the same frames, bins and size",
        )

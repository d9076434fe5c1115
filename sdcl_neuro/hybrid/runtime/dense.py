"""The dense side of hybrid inference: frame branch and bridge on one device."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sdcl_neuro.devices import device_or_default, moved
from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.network.record import Record
from sdcl_neuro.profiling.device_clock import DeviceClock
from sdcl_neuro.profiling.ledger import Ledger

from ..dense_backends import bound_to
from ..frame_branch.images import frame_bytes, normalised
from ..model import Sdcl, event_counts, event_features
from .recorded import RecordedShapes


class DenseSide:
    """Frame branch and bridge, in evaluation mode on their device.

    Args:
        model: SDCL; its own event branch is not used.
        device: as torch names it; None takes that of a frame branch made ready ahead of time, else
            a GPU where there is one.

    Raises:
        InputError: an unknown device, or one for which the frame branch was not made ready.
        EnvironmentFault: a GPU that is not there.
    """

    def __init__(self, model: Sdcl, device: str | None = None) -> None:
        self.device = _device(model, device)
        self.model = model.to(self.device).eval()
        bound = bound_to(self.model)
        # What torch has compiled for a GPU replays a graph of its own.
        compiled = bound is not None and bound[1] == "compiled"
        self._recorded = RecordedShapes(
            self.device, None if compiled else self._frame_maps, self._embeddings
        )

    def new_ledger(self, *, keep: int | None = None) -> Ledger:
        """Return a ledger with this device's clock; `keep` as in `Ledger`."""
        clock = DeviceClock(self.device) if self.device.type == "cuda" else None
        return Ledger(device_clock=clock, keep=keep)

    def embed(
        self, tracklets: Sequence[Tracklet], events: Future[Record], ledger: Ledger
    ) -> tuple[Tensor, Record]:
        """Embed one batch while its event branch runs elsewhere.

        Args:
            tracklets: all of one shape.
            events: the event branch's record of them, from `EventWorker.submit`.
            ledger: the stages are entered in it.

        Returns:
            float32 ``[B, D]`` of unit length, on the device, and the record.
        """
        if events.done():
            events.result()  # a failure is told before more work is done
        config, shape = self.model.bridge.config, (len(tracklets), *tracklets[0].frames.shape)
        recorded = self._recorded.find(shape)
        first, maps = None, None
        if config.uses_frames:
            with ledger.stage("frame branch"):
                first = frame_bytes(np.concatenate([tracklet.frames for tracklet in tracklets]))
                first = first.unflatten(0, (len(tracklets), -1))
                if recorded is not None and recorded.frames is not None:
                    maps = recorded.maps(first)
                else:
                    first = moved(first, self.device)
                    maps = self._frame_maps(first)
        with ledger.stage("waiting for events"):
            record = events.result()
        with ledger.stage("bridge"):
            features, counts = _event_side(tracklets, record)
            if recorded is not None:
                return recorded.embeddings(maps, features, counts), record
            there = [None if one is None else moved(one, self.device) for one in (features, counts)]
            embedded = self._embeddings(maps, *there)
            given = first if self._recorded.takes_frames else maps
            self._recorded.offer(shape, embedded, given, *there)
            return embedded, record

    def _frame_maps(self, frames: Tensor) -> Tensor:
        """Map uint8 ``[B, F, 256, 128, 3]`` to maps."""
        pixels = normalised(frames.flatten(0, 1))
        return self.model.frame_maps(pixels.unflatten(0, frames.shape[:2]))

    def _embeddings(
        self, maps: Tensor | None, features: Tensor | None, counts: Tensor | None
    ) -> Tensor:
        return functional.normalize(self.model.fuse(maps, features, counts).embedding)


def _event_side(tracklets: Sequence[Tracklet], record: Record) -> tuple[Tensor, Tensor]:
    """Return event features and event counts of a batch, in the host's memory."""
    count = len(tracklets[0].frames)
    spikes = np.stack([tracklet.spikes for tracklet in tracklets], axis=1)
    features = event_features(record.spikes[max(record.spikes)], frames=count)
    return features, event_counts(spikes, frames=count)


def _device(model: Sdcl, name: str | None) -> torch.device:
    """Return where the dense side computes; one made ready ahead of time stays where it is."""
    ready = bound_to(model)
    if name is None and ready is not None:
        return ready[0]
    device = device_or_default(name)
    if ready is not None and device.type != ready[0].type:
        raise InputError(
            f"a dense side made ready for {ready[0]} ({ready[1]}) on {device}",
            where="device",
            hint=f"give the device {ready[0]}, or make it ready on {device}",
        )
    return device

"""The dense side of hybrid inference: frame branch and bridge on one device."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sdcl_neuro.devices import moved, named_device, wait_for
from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.network.record import Record
from sdcl_neuro.profiling.ledger import Ledger

from ..dense_backends import bound_to
from ..frame_branch import normalise
from ..model import Sdcl, event_counts, event_features


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

    def new_ledger(self, *, keep: int | None = None) -> Ledger:
        """A ledger whose clock waits for this device; `keep` as in `Ledger`."""
        return Ledger(synchronise=partial(wait_for, self.device), keep=keep)

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
        maps = self._maps(tracklets, ledger)
        with ledger.stage("waiting for events"):
            record = events.result()
        with ledger.stage("bridge"):
            return self._fuse(tracklets, maps, record), record

    def _maps(self, tracklets: Sequence[Tracklet], ledger: Ledger) -> Tensor | None:
        if not self.model.bridge.config.uses_frames:
            return None
        with ledger.stage("frame branch"):
            frames = np.concatenate([tracklet.frames for tracklet in tracklets])
            pixels = normalise(frames, self.device)
            return self.model.frame_maps(pixels.unflatten(0, (len(tracklets), -1)))

    def _fuse(self, tracklets: Sequence[Tracklet], maps: Tensor | None, record: Record) -> Tensor:
        count = len(tracklets[0].frames)
        spikes = np.stack([tracklet.spikes for tracklet in tracklets], axis=1)
        features = event_features(record.spikes[max(record.spikes)], frames=count)
        counts = event_counts(spikes, frames=count)
        output = self.model.fuse(maps, moved(features, self.device), moved(counts, self.device))
        return functional.normalize(output.embedding)


def _device(model: Sdcl, name: str | None) -> torch.device:
    """Where the dense side computes; one made ready ahead of time stays where it is."""
    ready = bound_to(model)
    if name is None and ready is not None:
        return ready[0]
    device = named_device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    if ready is not None and device.type != ready[0].type:
        raise InputError(
            f"a dense side made ready for {ready[0]} ({ready[1]}) on {device}",
            where="device",
            hint=f"give the device {ready[0]}, or make it ready on {device}",
        )
    return device

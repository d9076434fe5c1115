"""A recording to a file of spikes, part by part; what ``sdcl-neuro events encode`` does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import Events, StreamEncoder
from sdcl_neuro.events.array import Box
from sdcl_neuro.events.encoding import MAX_BYTES
from sdcl_neuro.events.times import EvenFrames
from sdcl_neuro.network.spike_file import write_spike_blocks, write_spikes


def summary(events: Events) -> dict[str, Any]:
    """What is in them, as JSON values."""
    t = events.array["t"]
    on = int(np.count_nonzero(events.array["p"]))
    return {
        "format": events.source,
        "events": len(events),
        "on": on,
        "off": len(events) - on,
        "width": events.width,
        "height": events.height,
        "first_us": int(t[0]) if len(t) else None,
        "last_us": int(t[-1]) if len(t) else None,
        "mended": dict(events.mended),
    }


def joined(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The summary of two parts that follow each other; the first may be empty of keys."""
    if not before:
        return after
    added = {key: before[key] + after[key] for key in ("events", "on", "off")}
    mended = {
        key: before["mended"].get(key, 0) + after["mended"].get(key, 0)
        for key in [*before["mended"], *(set(after["mended"]) - set(before["mended"]))]
    }
    first = after["first_us"] if before["first_us"] is None else before["first_us"]
    last = before["last_us"] if after["last_us"] is None else after["last_us"]
    return {**before, **added, "mended": mended, "first_us": first, "last_us": last}


@dataclass
class Encoding:
    """How to encode, and then what was seen and how many spikes came out of it.

    Attributes:
        frame_times, bins, start_us, binary: see `StreamEncoder`.
        box, size: part of the sensor in pixels, and rows and columns to map it to.
        seen: `summary` of the events.
        spikes: their sum.
    """

    frame_times: NDArray[np.int64] | EvenFrames
    bins: int
    start_us: int | None
    binary: bool
    box: Box | None
    size: tuple[int, int] | None
    seen: dict[str, Any] = field(default_factory=dict)
    spikes: int = 0

    def write(self, out: Path, parts: Iterable[Events]) -> tuple[int, ...]:
        """Encode `parts` to ``.npz``, in memory, or ``.h5``, of any length; return the shape.

        Raises:
            InputError: as `StreamEncoder` does, or more spikes than an ``.npz`` may have.
        """
        blocks = self._blocks(parts)
        if out.suffix == ".h5":
            return write_spike_blocks(out, blocks)
        held, total = [], 0
        for block in blocks:
            held.append(block)
            total += block.nbytes
            if total > MAX_BYTES:
                raise InputError(
                    f"a tensor of more than {MAX_BYTES / 2**30:.1f} GiB",
                    where=str(out),
                    mend="write an .h5, or crop the events to a smaller size",
                )
        spikes = np.concatenate(held)
        write_spikes(out, spikes)
        return spikes.shape

    def _blocks(self, parts: Iterable[Events]) -> Iterator[NDArray[np.uint8]]:
        """Blocks ``[t, 1, 2, H, W]``."""
        encoder: StreamEncoder | None = None
        begun = False
        for part in parts:
            self.seen = joined(self.seen, summary(part))
            if encoder is None or not begun:
                encoder, begun = self._encoder(part), len(part) > 0
            yield from map(self._counted, encoder.add(self._cropped(part)))
        if encoder is None:
            raise InputError("no events to encode", mend="give a recording")
        encoder.reach(self.seen["last_us"])
        yield from map(self._counted, encoder.finish())

    def _encoder(self, part: Events) -> StreamEncoder:
        """Even frames lie over all events of a recording, also those that a crop leaves out."""
        times = self.frame_times
        if isinstance(times, EvenFrames) and len(part):
            times = times.from_first(int(part.array["t"][0]))
        seen = self._cropped(part.slice(0, 0))
        return StreamEncoder(
            (seen.width, seen.height),
            frame_times_us=times,
            bins=self.bins,
            start_us=self.start_us,
            binary=self.binary,
        )

    def _cropped(self, events: Events) -> Events:
        if not (self.box or self.size):
            return events
        part = self.box or (0.0, 0.0, float(events.width), float(events.height))
        return events.crop(part, self.size or (round(part[3]), round(part[2])))

    def _counted(self, block: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.spikes += int(block.sum(dtype=np.int64))
        return block[:, None]

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

from .event_info import joined, summary

# Sides may differ by this part, which rounding to whole pixels explains, before it is said.
PROPORTION_SLACK = 0.02


def stretched(part: tuple[float, float], size: tuple[int, int]) -> str:
    """In words, how a part of `part` (width, height) changes its proportions on a grid of `size`.

    Args:
        part: of the sensor, in pixels.
        size: rows and columns.

    Returns:
        Empty if the proportions stay, but for what rounding explains.
    """
    across, down = size[1] / part[0], size[0] / part[1]
    if abs(across / down - 1) <= PROPORTION_SLACK + 0.5 / min(size):
        return ""
    times, side = max(across / down, down / across), "width" if across > down else "height"
    return (
        f"proportions change: {part[0]:g}x{part[1]:g} pixels become {size[1]}x{size[0]}, "
        f"stretched {times:.2f} times in {side}"
    )


@dataclass
class Encoding:
    """How to encode, and then what was seen and how many spikes came out of it.

    Attributes:
        frame_times, bins, start_us, binary: see `StreamEncoder`.
        box, size: part of the sensor in pixels, and rows and columns to map it to.
        seen: `summary` of the events.
        spikes: their sum.
        assumed: what is to be said of the encoding.
    """

    frame_times: NDArray[np.int64] | EvenFrames
    bins: int
    start_us: int | None
    binary: bool
    box: Box | None
    size: tuple[int, int] | None
    seen: dict[str, Any] = field(default_factory=dict)
    spikes: int = 0
    assumed: list[str] = field(default_factory=list)

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
        whole = (0.0, 0.0, float(part.width), float(part.height))
        said = stretched((self.box or whole)[2:], (seen.height, seen.width))
        self.assumed = [said] if said else []
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

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
from sdcl_neuro.events.alignment import (
    Alignment,
    EventSpan,
    Fitted,
    FrameSpan,
    fit,
    read_frame_stamps,
)
from sdcl_neuro.events.array import Box
from sdcl_neuro.events.columns import Size
from sdcl_neuro.events.encoding import MAX_BYTES
from sdcl_neuro.events.times import SECOND_US, EvenFrames
from sdcl_neuro.network.spike_file import write_spike_blocks, write_spikes

from .event_info import joined, summary

MAX_ENCODED_BYTES = 32 << 30
"""Spikes that are written unless more are asked for, one byte each before they are compressed."""
# Sides may differ by this part, which rounding to whole pixels explains, before it is said.
PROPORTION_SLACK = 0.02


def stretched(part: tuple[float, float], size: tuple[int, int]) -> str:
    """Say how a part of `part` (width, height) changes its proportions on a grid of `size`.

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


def encoding_times(alignment: Alignment) -> NDArray[np.int64] | EvenFrames:
    """Return frame times that an alignment states.

    Raises:
        InputError: neither times nor a rate, or an offset for frames that are laid over the events.
    """
    if alignment.frame_times is not None:
        stamps = read_frame_stamps(alignment.frame_times, unit_us=alignment.frame_time_unit_us)
        return stamps.times_us + alignment.shift_of_stamps_us
    if alignment.fps is None:
        raise InputError("the times of the frames are unknown", hint="give --frame-times or --fps")
    if alignment.offset_us or alignment.event_clock != "frame":
        raise InputError(
            "frames of --fps are laid over the events, whatever their clock",
            where="--event-offset or --event-clock",
            hint="give --frame-times, or leave it out",
        )
    return EvenFrames(alignment.fps)


@dataclass
class Encoding:
    """How to encode, and then what was seen and how many spikes came out of it.

    Attributes:
        frame_times, bins, start_us, binary: see `StreamEncoder`.
        max_bytes: of spikes; more are refused before they are written.
        where: the recording, for messages.
        box, size: part in pixels, of the sensor or, where a view is stated, of the frame; and rows
            and columns to map it to.
        alignment: of the events' clock and view to the frames.
        picture: width and height of the frames, where a view is stated.
        seen: `summary` of the events.
        spikes: their sum.
        assumed: what nothing states, in words.
        said: what a user should know besides.
        fitted: how the recording lies to the frames, as soon as its first event is known.
    """

    frame_times: NDArray[np.int64] | EvenFrames
    bins: int
    start_us: int | None
    binary: bool
    max_bytes: int = field(default=MAX_ENCODED_BYTES, kw_only=True)
    where: str = field(default="", kw_only=True)
    box: Box | None
    size: tuple[int, int] | None
    alignment: Alignment = field(default_factory=Alignment)
    picture: Size | None = None
    said: tuple[str, ...] = ()
    fitted: Fitted | None = None
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
                    hint="write an .h5, or crop the events to a smaller size",
                )
        spikes = np.concatenate(held)
        write_spikes(out, spikes)
        return spikes.shape

    def _blocks(self, parts: Iterable[Events]) -> Iterator[NDArray[np.uint8]]:
        """Yield blocks ``[t, 1, 2, H, W]``."""
        encoder: StreamEncoder | None = None
        begun = False
        for part in parts:
            before = self.seen.get("events", 0)
            self.seen = joined(self.seen, summary(part))
            if encoder is None or not begun:
                self.fitted = self._fitted(part)
                encoder, begun = self._encoder(part), len(part) > 0
            self._check_span(part, before)
            yield from map(self._counted, encoder.add(self._cropped(part)))
        if encoder is None:
            raise InputError("no events to encode", hint="give a recording")
        last = self.seen["last_us"]
        encoder.reach(None if last is None or self.fitted is None else last + self.fitted.shift_us)
        yield from map(self._counted, encoder.finish())

    def _check_span(self, part: Events, before: int) -> None:
        """Refuse a far event before the empty frames up to it are written.

        Args:
            part: events that come next.
            before: events before them.

        Raises:
            InputError: more spikes than `max_bytes`; the first event that would make them so.
        """
        times = self.frame_times
        if not isinstance(times, EvenFrames) or not len(part):
            return
        seen = self._cropped(part.slice(0, 0))
        frames = max(1, self.max_bytes // (2 * self.bins * seen.width * seen.height))
        first, t = int(self.seen["first_us"]), part.array["t"]
        limit = first + int(frames * SECOND_US / times.fps)
        if limit < int(t[-1]):
            index = int(np.searchsorted(t, limit, "right"))
            far = int(t[index])
            raise InputError(
                f"event {before + index} is at {far} us, {(far - first) / 1e6:,.1f} s after the "
                f"first: more than {frames:,} frames, {self.max_bytes / 2**30:g} GiB of spikes",
                where=self.where,
                hint="check the unit of time; else encode a part (--between), or give --max-gib",
            )

    def _encoder(self, part: Events) -> StreamEncoder:
        """Lay even frames over all events of a recording, also those that a crop leaves out."""
        times = self.frame_times
        if isinstance(times, EvenFrames) and len(part):
            shift = 0 if self.fitted is None else self.fitted.shift_us
            times = times.from_first(int(part.array["t"][0]) + shift)
        seen = self._cropped(part.slice(0, 0))
        whole = (0.0, 0.0, float(part.width), float(part.height))
        viewed = self.alignment.mapping is not None or self.alignment.crop is not None
        said = "" if viewed else stretched((self.box or whole)[2:], (seen.height, seen.width))
        self.assumed += [said] if said else []
        return StreamEncoder(
            (seen.width, seen.height),
            frame_times_us=times,
            bins=self.bins,
            start_us=self.start_us,
            binary=self.binary,
        )

    def _fitted(self, part: Events) -> Fitted:
        """Return how the recording lies to the frames, as soon as its first event is known."""
        even = isinstance(self.frame_times, EvenFrames)
        sensor = (part.width, part.height)
        viewed = self.alignment.mapping is not None or self.alignment.crop is not None
        mapping = self.alignment.mapping
        picture = self.picture or (None if mapping is None else mapping.frame_size)
        if viewed and picture is None:
            raise InputError(
                "the size of the frames that events are mapped to is unknown",
                where="--homography or --crop",
                hint="give --frame-size WxH",
            )
        first = int(part.array["t"][0]) if len(part) else None
        begun = 0 if even or first is None else int(np.asarray(self.frame_times)[0])
        before = begun if self.start_us is None else self.start_us
        frames = FrameSpan(picture or sensor, before, begun, None, "--frame-times", True)
        if even and first is not None:  # the frames are laid over the events
            frames = FrameSpan(picture or sensor, first - 1, first, None, "--fps", True)
        fitted = fit(self.alignment, frames, EventSpan(sensor, first, None))
        clock = (line for line in fitted.assumed if not (even and "clock" in line))
        self.assumed = [line for line in clock if viewed or "same view" not in line]
        self.said = fitted.said
        return fitted

    def _cropped(self, events: Events) -> Events:
        fitted = self.fitted
        if fitted is not None and fitted.shift_us:
            array = events.array.copy()
            array["t"] += fitted.shift_us
            events = events.with_array(array)
        stated = self.alignment.mapping or self.alignment.crop
        if fitted is not None and stated is not None:
            mapping = self.alignment.mapping
            picture = self.picture or (None if mapping is None else mapping.frame_size)
            whole = (0.0, 0.0, *map(float, picture or (events.width, events.height)))
            part = self.box or (whole[0], whole[1], whole[2], whole[3])
            return fitted.view.crop(events, part, self.size or (round(part[3]), round(part[2])))
        if not (self.box or self.size):
            return events
        part = self.box or (0.0, 0.0, float(events.width), float(events.height))
        return events.crop(part, self.size or (round(part[3]), round(part[2])))

    def _counted(self, block: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.spikes += int(block.sum(dtype=np.int64))
        return block[:, None]

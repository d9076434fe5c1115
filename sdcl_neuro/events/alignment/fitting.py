"""An `Alignment` laid on one recording and one video, checked; what was assumed is in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sdcl_neuro.errors import InputError

from ..columns import Size
from .alignment import Alignment
from .view import MappedView, StretchedView, View

# Unix time in microseconds of 2001-09-09: earlier ones are clocks of their own.
UNIX_US = 1_000_000_000_000_000
SAME_PROPORTIONS = 0.02
FULL_COVERAGE = 0.95


@dataclass(frozen=True)
class FrameSpan:
    """What an alignment has to know of the frames.

    Attributes:
        size: width and height.
        before_us: where the first frame's interval begins.
        first_us, last_us: times of the first and the last frame; the last None in a stream.
        name: of the video, for errors.
        stamps_are_middles: the times are known to be of the middle of the exposure.
    """

    size: Size
    before_us: int
    first_us: int
    last_us: int | None
    name: str
    stamps_are_middles: bool = False


@dataclass(frozen=True)
class EventSpan:
    """First and last time of a recording on its own clock; None without events or in a stream."""

    sensor: Size
    first_us: int | None
    last_us: int | None


@dataclass(frozen=True, eq=False)
class Fitted:
    """How one recording lies to one video.

    Attributes:
        shift_us: added to event times to have them on the frames' clock.
        view: cuts boxes of the frame out of the events.
        coverage: part of the frames' time during which the recording ran; None in a stream.
        assumed: what nothing states, in words.
        said: what a user should know besides.
    """

    shift_us: int
    view: View
    coverage: float | None
    assumed: tuple[str, ...]
    said: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"shift_us": self.shift_us, "coverage": self.coverage, "said": list(self.said)}


def fit(alignment: Alignment, frames: FrameSpan, events: EventSpan) -> Fitted:
    """Check that an alignment goes with a video and a recording.

    Raises:
        InputError: two sizes without a stated view, a mapping for other sizes, clocks that share no
            time, or a Unix clock without the time of the first frame.
    """
    assumed: list[str] = []
    said: list[str] = []
    view = view_of(alignment, frames.size, events.sensor, assumed, said, where=frames.name)
    if alignment.stamp is None and not frames.stamps_are_middles:
        assumed.append("a frame's time is of the middle of its exposure (--stamp)")
    shift = _shift(alignment, frames, events, assumed)
    coverage = None
    if frames.last_us is not None and events.first_us is not None and events.last_us is not None:
        coverage = _coverage(frames, events, shift)
        if coverage < FULL_COVERAGE:
            said.append(
                f"events from {events.first_us + shift} to {events.last_us + shift} us cover "
                f"{coverage:.0%} of the frames' time ({frames.before_us} to {frames.last_us} us)"
            )
    return Fitted(shift, view, coverage, tuple(assumed), tuple(said))


def view_of(
    alignment: Alignment,
    picture: Size,
    sensor: Size,
    assumed: list[str],
    said: list[str],
    *,
    where: str,
) -> View:
    """Return the view that an alignment states, or that sizes allow to assume."""
    mapping = alignment.mapping
    if mapping is not None:
        for name, stated, found in (
            ("events", mapping.event_size, sensor),
            ("frames", mapping.frame_size, picture),
        ):
            if stated is not None and stated != found:
                raise InputError(
                    f"the mapping is for {name} of {stated[0]}x{stated[1]}, not "
                    f"{found[0]}x{found[1]}",
                    where="--homography",
                    hint="give the one of these cameras and sizes",
                )
        return MappedView(mapping, sensor)
    if alignment.crop is not None:
        return StretchedView(sensor, picture, alignment.crop)
    sizes = f"events of {sensor[0]}x{sensor[1]} and frames of {picture[0]}x{picture[1]}"
    if sensor == picture:
        assumed.append(f"events and frames, both {sensor[0]}x{sensor[1]}, show the same view")
    elif not alignment.assume_same_view:
        raise InputError(
            f"{sizes} do not say that they show the same view",
            where=where,
            hint="give --homography FILE or --crop X,Y,W,H (`sdcl-neuro events align` finds them), "
            "or --assume-same-view",
        )
    wide, high = sensor[0] * picture[1], sensor[1] * picture[0]
    if abs(wide - high) > SAME_PROPORTIONS * high:
        said.append(
            f"{sizes} have other proportions: pixels are stretched by {wide / high:.3f} in width"
        )
    return StretchedView(sensor, picture)


def _shift(alignment: Alignment, frames: FrameSpan, events: EventSpan, assumed: list[str]) -> int:
    shift = alignment.offset_us
    if alignment.event_clock == "first":
        if events.first_us is not None:
            shift += frames.first_us - events.first_us
    elif alignment.event_clock == "unix":
        if alignment.start_us is not None:
            shift += frames.first_us - alignment.start_us
        elif frames.first_us < UNIX_US:
            raise InputError(
                f"events in Unix time, but the first frame is at {frames.first_us} us",
                where=frames.name,
                hint="give --start TIME of the first frame, --frame-times in Unix time, or "
                "--event-clock first",
            )
    elif alignment.offset_us == 0:
        assumed.append("events and frames share one clock (--event-clock, --event-offset)")
    return shift


def _coverage(frames: FrameSpan, events: EventSpan, shift: int) -> float:
    """Return part of the frames' time that the events span; InputError if it is nothing."""
    if events.first_us is None or events.last_us is None or frames.last_us is None:
        raise ValueError("no span to compare")
    first, last = events.first_us + shift, events.last_us + shift
    low, high = max(first, frames.before_us), min(last, frames.last_us)
    if first > frames.last_us or last <= frames.before_us:
        raise InputError(
            f"events from {first} to {last} us, but the frames are from {frames.first_us} to "
            f"{frames.last_us} us",
            where=frames.name,
            hint=_clock_advice(first, frames.first_us, last - first, frames),
        )
    return min(1.0, (high - low) / max(1, frames.last_us - frames.before_us))


def _clock_advice(first: int, frame_us: int, length: int, frames: FrameSpan) -> str:
    """Return what to do about two clocks that share no time."""
    if (first >= UNIX_US) != (frame_us >= UNIX_US):
        which = "events" if first >= UNIX_US else "frames"
        return (
            f"the {which} are in Unix time: give --event-clock unix with --start TIME, "
            "--event-clock first, --event-offset US, or what `sdcl-neuro events align` finds"
        )
    return (
        f"give --event-clock first or --event-offset US (first on first: {frame_us - first}), or "
        "what `sdcl-neuro events align` finds"
    )

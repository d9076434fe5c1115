"""Options on how events and frames lie to each other, the same in every verb that has both."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from sdcl_neuro.events.alignment import CLOCKS, STAMPS, Alignment, read_alignment, read_mapping
from sdcl_neuro.events.alignment.written_times import (
    frame_rate,
    unit_microseconds,
    unix_microseconds,
)

from .event_values import box


def add_alignment_arguments(
    parser: argparse.ArgumentParser, *, events: bool = True, rate: bool = True
) -> None:
    """Declare the options of `Alignment`.

    Args:
        parser: of the verb.
        events: whether it has events to lay on frames, not frames alone.
        rate: declare ``--fps``, unless the verb has one of its own.
    """
    group = parser.add_argument_group("clocks and views (docs/alignment.md)")
    if events:
        _event_arguments(group)
    _frame_arguments(group, rate=rate)


def _event_arguments(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--alignment",
        metavar="FILE.toml",
        type=Path,
        help="file that `events align` wrote; options given with it take precedence",
    )
    add("--event-offset", metavar="US", type=int, help="microseconds to add to the events' times")
    add(
        "--event-clock",
        choices=CLOCKS,
        help="what event times count from: the frames' clock (default), the first event is at the "
        "first frame, or Unix time",
    )
    add(
        "--start",
        metavar="TIME",
        help="time of the first frame, for --event-clock unix and the gallery: "
        "2026-11-22T10:30:00+01:00 (UTC if no zone is given)",
    )
    add(
        "--homography",
        metavar="FILE",
        type=Path,
        help="map from event to frame pixels: 3x3 numbers, or both cameras' calibration in TOML",
    )
    add("--crop", metavar="X,Y,W,H", help="part of the event sensor that shows the frame's view")
    add(
        "--assume-same-view",
        action="store_true",
        help="take events and frames of different sizes as the same view, stretched",
    )


def _frame_arguments(group: argparse._ArgumentGroup, *, rate: bool) -> None:
    add = group.add_argument
    add(
        "--frame-times",
        metavar="FILE",
        type=Path,
        help="one time per frame in place of the video's own: text or .npy",
    )
    add(
        "--frame-time-unit",
        metavar="UNIT",
        help="time unit of --frame-times: ns, us (default), ms or s",
    )
    if rate:
        add("--fps", metavar="N", help="frames are evenly spaced at N a second, as 25 or 30/1")
    add(
        "--stamp",
        choices=STAMPS,
        help="part of the exposure that a frame's time refers to (middle)",
    )
    add(
        "--exposure",
        metavar="US",
        type=int,
        help="length of the exposure, for --stamp start and end",
    )


def alignment_of(args: argparse.Namespace) -> Alignment:
    """Return the clocks and views that the command line states.

    Raises:
        InputError: a value that cannot be read, or options that exclude each other.
    """
    file = getattr(args, "alignment", None)
    begun = Alignment() if file is None else read_alignment(file)
    changes: dict[str, Any] = {}
    for field, option in (
        ("offset_us", "event_offset"),
        ("event_clock", "event_clock"),
        ("stamp", "stamp"),
        ("exposure_us", "exposure"),
    ):
        if getattr(args, option, None) is not None:
            changes[field] = getattr(args, option)
    if getattr(args, "start", None) is not None:
        changes["start_us"] = unix_microseconds(args.start)
    return replace(begun, **changes, **_view(args), **_frames(args))


def _view(args: argparse.Namespace) -> dict[str, Any]:
    """Return a view on the command line replaces the file's; two of them are refused."""
    given: dict[str, Any] = {}
    if getattr(args, "homography", None) is not None:
        given["mapping"] = read_mapping(args.homography)
    if getattr(args, "crop", None) is not None:
        given["crop"] = box(args.crop, name="--crop")
    if getattr(args, "assume_same_view", False):
        given["assume_same_view"] = True
    blank = {"mapping": None, "crop": None, "assume_same_view": False}
    return blank | given if given else {}


def _frames(args: argparse.Namespace) -> dict[str, Any]:
    """Return frame times on the command line replace the file's."""
    given: dict[str, Any] = {}
    times, fps = getattr(args, "frame_times", None), getattr(args, "fps", None)
    if times is not None:
        given |= {"frame_times": times, "frame_time_unit_us": None, "fps": None}
    if isinstance(fps, str):  # of raw frames it is a number, and not ours
        given |= {"fps": frame_rate(fps)}
        if times is None:
            given |= {"frame_times": None, "frame_time_unit_us": None}
    if getattr(args, "frame_time_unit", None) is not None:
        unit = unit_microseconds(args.frame_time_unit, name="--frame-time-unit")
        given["frame_time_unit_us"] = unit
    return given


def alignment_overrides(args: argparse.Namespace) -> list[str]:
    """Return the same as ``KEY=VALUE`` of a configuration's ``[data.alignment]``."""
    alignment_of(args)  # a value that cannot be read is told in the option's name
    given: dict[str, Any] = {
        "file": _path(args.alignment),
        "event_offset_us": args.event_offset,
        "event_clock": args.event_clock,
        "start": args.start,
        "homography": _path(args.homography),
        "crop": None if args.crop is None else list(box(args.crop, name="--crop")),
        "assume_same_view": "true" if args.assume_same_view else None,
        "frame_times": _path(args.frame_times),
        "frame_time_unit": args.frame_time_unit,
        "fps": args.fps,
        "stamp": args.stamp,
        "exposure_us": args.exposure,
    }
    quoted = ("start", "frame_time_unit", "fps")
    return [
        f'data.alignment.{name}="{value}"' if name in quoted else f"data.alignment.{name}={value}"
        for name, value in given.items()
        if value is not None
    ]


def _path(path: Path | None) -> str | None:
    """Return a configuration's relative paths start at its root, those of a command where one
    stands.
    """
    return None if path is None else str(path.resolve())

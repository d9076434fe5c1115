"""Event files: say what is in one, encode one as spikes, simulate one from frames."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import EVENT_DTYPE, Events, read_parts
from sdcl_neuro.events.writing import event_writer
from sdcl_neuro.extras import need
from sdcl_neuro.files import keep_apart, write_json

from . import common_arguments, event_aligning, event_viewing
from .alignment_options import add_alignment_arguments, alignment_of
from .event_encoding import MAX_ENCODED_BYTES, Encoding, encoding_times, stretched
from .event_info import described, joined, look, summary
from .event_options import add_reading_arguments, reading_of
from .event_values import box, pair
from .renamed import add_renamed

if TYPE_CHECKING:
    from sdcl_neuro.events.tracklets import Video

SUMMARY = "event files: info, encode, simulate, view, align"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text, declare in (
        ("info", "show what an event file holds", _info_arguments),
        ("encode", "encode an event file as a tensor of spikes", _encode_arguments),
        ("simulate", "simulate events from a video or a folder of pictures", _simulate_arguments),
        (
            "view",
            "show a recording as HTML, MP4, GIF or PNG",
            event_viewing.add_arguments,
        ),
        ("align", "find the offset and view of events from a video", event_aligning.add_arguments),
    ):
        action = actions.add_parser(name, help=text, description=text)
        common_arguments(action)
        declare(action)
        action.add_argument("--json", metavar="FILE", type=Path, help="the result as JSON")


def execute(args: argparse.Namespace) -> int:
    """Run one action; print its result; return 0."""
    run = {
        "info": _info,
        "encode": _encode,
        "simulate": _simulate,
        "view": event_viewing.execute,
        "align": event_aligning.execute,
    }
    text, result = run[args.action](args)
    print(text)
    if args.json:
        schema = {"name": f"sdcl_neuro.events-{args.action}", "version": 1}
        write_json(args.json, {"schema": schema, **result})
    return 0


def _reader_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="a recording, of any kind")
    add_reading_arguments(parser)


def _info_arguments(parser: argparse.ArgumentParser) -> None:
    _reader_arguments(parser)


def _encode_arguments(parser: argparse.ArgumentParser) -> None:
    _reader_arguments(parser)
    parser.add_argument(
        "--out",
        metavar="SPIKES",
        type=Path,
        required=True,
        help="SPIKES.npz, or SPIKES.h5 for a recording of any length",
    )
    parser.add_argument(
        "--fps", metavar="N", help="evenly spaced frames over all events, as 25 or 30/1"
    )
    parser.add_argument("--bins", metavar="K", type=int, required=True, help="steps per frame")
    parser.add_argument(
        "--start-us", metavar="T", type=int, help="start of frame 0's interval, in microseconds"
    )
    parser.add_argument("--box", metavar="X,Y,W,H", help="part of the sensor, in pixels")
    parser.add_argument("--size", metavar="HxW", help="rows x columns of the spikes, as 128x64")
    parser.add_argument(
        "--max-gib",
        metavar="N",
        type=float,
        help="largest size of the spikes before compression (32)",
    )
    parser.add_argument(
        "--counts", action="store_true", help="count events instead of marking them"
    )
    parser.add_argument(
        "--frame-size", metavar="WxH", help="size of the frames that --homography or --crop maps to"
    )
    add_alignment_arguments(parser, rate=False)


_PIXELS = {
    "threshold-on": "contrast threshold of ON events only",
    "threshold-off": "contrast threshold of OFF events only",
    "mismatch": "standard deviation of the thresholds over the pixels, as a share",
    "leak-hz": "rate of ON events that a pixel sends without any change",
    "shot-noise-hz": "rate of noise events of a pixel in the dark",
    "log-eps": "added to the light, 0 to 1, before the logarithm",
}
"""Options of the simulated pixels, with what each means."""


def _simulate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", metavar="VIDEO_OR_FOLDER", type=Path, help="a video, or a folder of pictures"
    )
    parser.add_argument(
        "--out", metavar="EVENTS.npz", type=Path, required=True, help="file for the events"
    )
    add_alignment_arguments(parser, events=False)
    add_renamed(
        parser, "--resize", "--size", metavar="HxW", help="resize frames to rows x columns first"
    )
    parser.add_argument(
        "--threshold", type=float, metavar="C", help="contrast threshold, log intensity"
    )
    for name, meaning in _PIXELS.items():
        parser.add_argument(f"--{name}", type=float, metavar="X", help=meaning)
    meaning = "time for which a pixel sends nothing after an event"
    parser.add_argument("--refractory-us", type=int, metavar="N", help=meaning)
    parser.add_argument("--seed", type=int, metavar="N", help="seed of thresholds and noise")


def _info(args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    return look(args.file, reading_of(args))


def _encode(args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    if args.out.suffix not in (".npz", ".h5"):
        raise InputError("spikes are written as .npz or .h5", where=str(args.out))
    keep_apart(args.out, args.file)
    alignment = alignment_of(args)
    encoding = Encoding(
        frame_times=encoding_times(alignment),
        alignment=alignment,
        picture=pair(args.frame_size, "--frame-size"),
        bins=args.bins,
        start_us=args.start_us,
        binary=not args.counts,
        max_bytes=_bytes(args.max_gib),
        where=str(args.file),
        box=box(args.box) if args.box else None,
        size=pair(args.size, "--size"),
    )
    parts = read_parts(args.file, **reading_of(args).arguments())
    shape = encoding.write(args.out, parts)
    text = (
        f"{args.out}: {encoding.spikes:,} {'events counted' if args.counts else 'spikes'} in "
        f"{list(shape)} [T, B, 2, H, W], from {encoding.seen['events']:,} events"
    )
    said = [*encoding.assumed, *encoding.seen["assumed"]]
    told = [*(f"  assumed: {line}" for line in said), *(f"  {line}" for line in encoding.said)]
    result = {
        "input": encoding.seen,
        "shape": list(shape),
        "spikes": encoding.spikes,
        "alignment": alignment.to_dict(),
        "assumed": said,
        "said": list(encoding.said),
    }
    return "\n".join([text, *told]), result


def _bytes(gib: float | None) -> int:
    if gib is None:
        return MAX_ENCODED_BYTES
    if not 0 < gib < 1 << 20:
        raise InputError(f"expected a positive number (got {gib:g})", where="--max-gib")
    return int(gib * 2**30)


def _simulate(args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    from sdcl_neuro.events import Simulator, SimulatorConfig
    from sdcl_neuro.events.tracklets import open_video

    if args.out.suffix != ".npz":
        raise InputError("events are written as .npz", where=str(args.out))
    names = [field.name for field in fields(SimulatorConfig)]
    chosen = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.threshold is not None:
        chosen = {"threshold_on": args.threshold, "threshold_off": args.threshold, **chosen}
    config = SimulatorConfig(**chosen)
    simulator = Simulator(config)
    video = open_video(args.source, alignment_of(args))
    said = list(video.assumed)
    seen: dict[str, Any] = summary(Events(np.empty(0, EVENT_DTYPE), 1, 1, "simulated"))
    count = 0
    with event_writer(args.out) as write:
        for time_us, frame in _frames(args, video, said):
            part = simulator.advance(frame, time_us)
            events = Events(part, frame.shape[1], frame.shape[0], "simulated")
            write(events)
            seen = {**joined(seen, summary(events)), "width": events.width, "height": events.height}
            if not args.quiet and count % 100 == 0:
                print(f"\rframe {count}", end="", file=sys.stderr, flush=True)
            count += 1
    if not args.quiet:
        print(f"\r{count} frames", file=sys.stderr)
    settings = {name: getattr(config, name) for name in names}
    result = {
        "frames": count,
        "frame_times": video.timing,
        "config": settings,
        **seen,
        "assumed": said,
    }
    text = f"{args.out}: {described(seen)}"
    return "\n".join([text, *(f"  {line}" for line in said)]), result


def _frames(
    args: argparse.Namespace, video: Video, said: list[str]
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield time in us and RGB picture of each frame, at the size that was asked for.

    A change of proportions goes into `said`, once.
    """
    size = pair(args.resize, "--resize")
    for _, time_us, frame in video:
        if size and frame.shape[:2] != size:
            cv2 = need("cv2", "resizing frames")

            change = stretched((frame.shape[1], frame.shape[0]), size)
            if change and change not in said:
                said.append(change)
            small = cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)
            frame = np.asarray(small, dtype=np.uint8)
        yield time_us, frame

"""Event files: say what is in one, encode one as spikes, simulate one from frames."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import EVENT_DTYPE, Events, read_parts, write_events
from sdcl_neuro.events.times import EvenFrames, read_frame_times
from sdcl_neuro.files import keep_apart, write_json

from . import common_arguments
from .event_encoding import Encoding, stretched
from .event_info import look, summary
from .event_options import add_reading_arguments, reading_of
from .event_values import box, pair, rate

SUMMARY = "event files: info, encode, simulate"
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text, declare in (
        ("info", "what an event file holds", _info_arguments),
        ("encode", "an event file to a tensor of spikes", _encode_arguments),
        ("simulate", "a video or a folder of pictures to events", _simulate_arguments),
    ):
        action = actions.add_parser(name, help=text, description=text)
        common_arguments(action)
        declare(action)
        action.add_argument("--json", metavar="FILE", type=Path, help="the result as JSON")


def execute(args: argparse.Namespace) -> int:
    """Run one action; print its result; return 0."""
    action = {"info": _info, "encode": _encode, "simulate": _simulate}[args.action]
    text, result = action(args)
    print(text)
    if args.json:
        schema = {"name": f"sdcl_neuro.events-{args.action}", "version": 1}
        write_json(args.json, {"schema": schema, **result})
    return 0


def _reader_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path)
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
    times = parser.add_mutually_exclusive_group(required=True)
    times.add_argument(
        "--frame-times", metavar="FILE", type=Path, help="us per frame: a text line each, or .npy"
    )
    times.add_argument("--fps", metavar="N", help="steady frames over all events, as 25 or 30/1")
    parser.add_argument("--bins", metavar="K", type=int, required=True, help="steps per frame")
    parser.add_argument("--start-us", metavar="T", type=int, help="where frame 0's interval begins")
    parser.add_argument("--box", metavar="X,Y,W,H", help="part of the sensor, in pixels")
    parser.add_argument("--size", metavar="HxW", help="rows x columns of the spikes, as 128x64")
    parser.add_argument("--counts", action="store_true", help="count events instead of binary")


def _simulate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="VIDEO_OR_FOLDER", type=Path)
    parser.add_argument("--out", metavar="EVENTS.npz", type=Path, required=True)
    parser.add_argument("--fps", metavar="N", help="frames a second; needed for a folder")
    parser.add_argument("--size", metavar="HxW", help="resize frames to rows x columns first")
    parser.add_argument("--threshold", type=float, metavar="C", help="ON and OFF, log intensity")
    for name in ("threshold-on", "threshold-off", "mismatch", "leak-hz", "shot-noise-hz"):
        parser.add_argument(f"--{name}", type=float, metavar="X")
    parser.add_argument("--log-eps", type=float, metavar="X")
    parser.add_argument("--refractory-us", type=int, metavar="N")
    parser.add_argument("--seed", type=int, metavar="N")


def _info(args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    return look(args.file, reading_of(args))


def _encode(args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    if args.out.suffix not in (".npz", ".h5"):
        raise InputError("spikes are written as .npz or .h5", where=str(args.out))
    keep_apart(args.out, args.file)
    encoding = Encoding(
        frame_times=read_frame_times(args.frame_times)
        if args.frame_times
        else EvenFrames(rate(args.fps)),
        bins=args.bins,
        start_us=args.start_us,
        binary=not args.counts,
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
    return "\n".join([text, *(f"  {line}" for line in said)]), {
        "input": encoding.seen,
        "shape": list(shape),
        "spikes": encoding.spikes,
        "assumed": encoding.assumed,
    }


def _simulate(args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    from sdcl_neuro.events import Simulator, SimulatorConfig

    if args.out.suffix != ".npz":
        raise InputError("events are written as .npz", where=str(args.out))
    names = [field.name for field in fields(SimulatorConfig)]
    chosen = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.threshold is not None:
        chosen = {"threshold_on": args.threshold, "threshold_off": args.threshold, **chosen}
    config = SimulatorConfig(**chosen)
    simulator, parts, size = Simulator(config), [np.empty(0, EVENT_DTYPE)], (0, 0)
    said: list[str] = []
    for index, (time_us, frame) in enumerate(_frames(args, said)):
        parts.append(simulator.advance(frame, time_us))
        size = (frame.shape[1], frame.shape[0])
        if not args.quiet and index % 100 == 0:
            print(f"\rframe {index}", end="", file=sys.stderr, flush=True)
    if not args.quiet:
        print(f"\r{len(parts) - 1} frames", file=sys.stderr)
    events = Events(np.concatenate(parts), *size, "simulated")
    write_events(args.out, events)
    settings = {name: getattr(config, name) for name in names}
    result = {"frames": len(parts) - 1, "config": settings, **summary(events), "assumed": said}
    return "\n".join([f"{args.out}: {events}", *(f"  {line}" for line in said)]), result


def _frames(args: argparse.Namespace, said: list[str]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Time in us and RGB picture of each frame, at the size that was asked for.

    A change of proportions goes into `said`, once.
    """
    size = pair(args.size, "--size")
    fps = rate(args.fps) if args.fps else None
    for time_us, frame in _folder(args.source, fps) if args.source.is_dir() else _video(
        args.source, fps
    ):  # fmt: skip
        if size and frame.shape[:2] != size:
            import cv2

            change = stretched((frame.shape[1], frame.shape[0]), size)
            if change and change not in said:
                said.append(change)
            small = cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)
            frame = np.asarray(small, dtype=np.uint8)
        yield time_us, frame


def _video(path: Path, fps: Fraction | None) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    from sdcl_neuro.events.tracklets.video import Video

    for _, time_us, frame in Video(path, fps=None if fps is None else float(fps)):
        yield time_us, frame


def _folder(path: Path, fps: Fraction | None) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    import cv2

    pictures = sorted(item for item in path.iterdir() if item.suffix.lower() in PICTURES)
    if not pictures or fps is None:
        what = (
            "a folder has no frame rate"
            if pictures
            else f"no pictures ({', '.join(sorted(PICTURES))})"
        )
        raise InputError(what, where=str(path), mend="give --fps and a folder of pictures")
    for index, picture in enumerate(pictures):
        image = cv2.imread(str(picture), cv2.IMREAD_COLOR)
        if image is None:
            raise InputError("not a picture", where=str(picture), mend="remove or replace it")
        yield (
            round(index * 1_000_000 / fps),
            np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8),
        )

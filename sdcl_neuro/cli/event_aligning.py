"""``events align``: how a recording lies to a video, found in the two alone."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import keep_apart

from .alignment_options import add_alignment_arguments, alignment_of
from .event_options import add_reading_arguments, reading_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    parser.add_argument("video", metavar="VIDEO", type=Path, help="a file or a folder of pictures")
    parser.add_argument("file", metavar="EVENTS", type=Path, help="the recording to align")
    add_reading_arguments(parser)
    add_alignment_arguments(parser, events=False)
    parser.add_argument(
        "--out",
        metavar="FILE.toml",
        type=Path,
        required=True,
        help="file to write, to be given as --alignment",
    )
    parser.add_argument(
        "--same-view",
        action="store_true",
        help="assume that both show the same view, and estimate the time offset only",
    )
    parser.add_argument(
        "--overlay",
        metavar="FILE.png",
        type=Path,
        help="picture of events drawn over six frames (default: next to --out)",
    )


def execute(args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Estimate, write alignment and picture; return the text and the result."""
    from sdcl_neuro.events.aligning import draw_overlay, estimate_alignment
    from sdcl_neuro.events.alignment import write_alignment
    from sdcl_neuro.events.options import ReadingOptions
    from sdcl_neuro.events.tracklets import open_video
    from sdcl_neuro.events.tracklets.event_source import RecordedEvents

    overlay = args.overlay or args.out.with_suffix(".png")
    if args.out.suffix != ".toml" or overlay.suffix != ".png":
        raise InputError(
            f"{args.out} and {overlay}", where="--out", hint="name them .toml and .png"
        )
    if not args.video.is_dir():
        keep_apart(args.out, args.video)
    keep_apart(args.out, args.file)
    given = alignment_of(args)
    reading = reading_of(args)
    video = open_video(args.video, given, ReadingOptions(mend=reading.mend))
    events = reading.read(args.file)

    def say(line: str) -> None:
        if not args.quiet:
            print(line, file=sys.stderr, flush=True)

    estimate = estimate_alignment(video, events, same_view=args.same_view, say=say)
    same_size = video.size == (events.width, events.height)
    found = replace(
        given,
        offset_us=estimate.alignment.offset_us,
        mapping=None if args.same_view else estimate.alignment.mapping,
        assume_same_view=args.same_view and not same_size,
        frame_times=None if given.frame_times is None else given.frame_times.resolve(),
    )
    fitted = RecordedEvents(video, events, found).fitted
    write_alignment(args.out, found, estimate=estimate.to_dict())
    draw_overlay(overlay, video, events, fitted)
    assumed = (*video.assumed, *fitted.assumed)
    lines = [str(estimate), *fitted.said, *(f"assumed: {line}" for line in assumed)]
    lines.append(f"{args.out}: for --alignment; {overlay}: events over frames, ON red, OFF blue")
    result = {
        "alignment": found.to_dict(),
        "estimate": estimate.to_dict(),
        "coverage": fitted.coverage,
        "assumed": list(assumed),
    }
    return "\n".join(lines), result

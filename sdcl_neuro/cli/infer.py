"""Hybrid re-identification on your own video and tracks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..atomic import write_json
from ..errors import InputError
from .event_values import pair
from .progress import progress_bars


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", type=Path, help="the folder of a whole SDCL"
    )
    parser.add_argument(
        "--video", metavar="FILE", type=Path, required=True, help="of a camera that stands still"
    )
    parser.add_argument(
        "--tracks", metavar="MOT.txt", type=Path, required=True, help="in MOTChallenge format"
    )
    parser.add_argument(
        "--events",
        metavar="FILE",
        type=Path,
        help="of the same view, 0 us at the video's first frame; else they are simulated",
    )
    parser.add_argument(
        "--sensor",
        metavar="WxH",
        help="of the event file where it does not say; without --events the size to simulate at "
        "(the video's own)",
    )
    parser.add_argument(
        "--backend",
        default="loihi",
        help="of the event branch: loihi (default), snntorch-int, lava, snntorch or norse",
    )
    parser.add_argument(
        "--device", help="of the dense side, as torch names it; a GPU where there is one"
    )
    parser.add_argument(
        "--clip-boxes", action="store_true", help="cut boxes that reach outside the picture"
    )
    parser.add_argument(
        "--limit", metavar="N", type=int, help="at most N tracklets of each track, spread evenly"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("infer-out"))
    parser.add_argument("--json", metavar="FILE", type=Path, help="all figures, as JSON")


def execute(args: argparse.Namespace) -> int:
    """Compare the video's tracks; print the summary and where the report is."""
    from ..pipeline.infer_video import check_folder, compare_tracks, write_comparison
    from ..pipeline.video import Source

    check_folder(args.out)
    if args.json is not None and args.out.resolve() in args.json.resolve().parents:
        raise InputError(
            f"{args.json} lies in the folder of the results, which is replaced as a whole",
            where="--json",
            mend="give another place, or take infer.json in it",
        )
    source = Source(
        video=args.video,
        tracks=args.tracks,
        events=args.events,
        sensor=pair(args.sensor, "--sensor"),
        clip_boxes=args.clip_boxes,
        limit=args.limit,
    )

    def say(line: str) -> None:
        if not args.quiet:
            print(line, file=sys.stderr, flush=True)

    comparison = compare_tracks(
        args.checkpoint,
        source,
        progress=progress_bars(quiet=args.quiet),
        say=say,
        backend=args.backend,
        device=args.device,
    )
    report = write_comparison(comparison, args.out)
    if args.json is not None:
        write_json(args.json, comparison.to_dict())
    print(comparison)
    print(f"report: {report}")
    return 0

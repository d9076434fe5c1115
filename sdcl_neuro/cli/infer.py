"""Hybrid re-identification on your own video and tracks."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sdcl_neuro.conversion.backends.table import BACKENDS, BASE
from sdcl_neuro.errors import InputError
from sdcl_neuro.files import write_json

from .event_values import pair
from .progress import progress_bars

if TYPE_CHECKING:
    from sdcl_neuro.reid.pipeline.gallery_hits import GalleryUse


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
        default=BASE,
        help=f"of the event branch: {', '.join(BACKENDS)} (default: {BASE})",
    )
    parser.add_argument(
        "--device", help="of the dense side, as torch names it; a GPU where there is one"
    )
    parser.add_argument(
        "--frame-backend",
        default="eager",
        metavar="NAME",
        help="of the frame branch: eager (default); on a CPU folded, bf16, onnx or onnx-int8; on a "
        "CPU and a GPU compiled",
    )
    parser.add_argument(
        "--clip-boxes", action="store_true", help="cut boxes that reach outside the picture"
    )
    parser.add_argument(
        "--limit", metavar="N", type=int, help="at most N tracklets of each track, spread evenly"
    )
    _gallery_arguments(parser)
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("infer-out"))
    parser.add_argument("--json", metavar="FILE", type=Path, help="all figures, as JSON")


def _gallery_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gallery", metavar="FILE", type=Path, help="search every tracklet in this gallery"
    )
    parser.add_argument(
        "--enrol", action="store_true", help="then add them to it; the gallery is made if absent"
    )
    parser.add_argument(
        "--top", metavar="K", type=int, help="entries looked for, of each tracklet (5)"
    )
    parser.add_argument("--camera", metavar="NAME", help="enrolled with them")
    parser.add_argument(
        "--start",
        metavar="TIME",
        help="of the video's first frame, enrolled with them: 2026-11-22T10:30:00+01:00; UTC where "
        "no zone is given",
    )


def execute(args: argparse.Namespace) -> int:
    """Compare the video's tracks; print the summary and where the report is."""
    from sdcl_neuro.reid.pipeline.infer_video import check_folder, compare_tracks, write_comparison
    from sdcl_neuro.reid.pipeline.video import Source

    check_folder(args.out)
    gallery = _gallery(args)
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
        frame_backend=args.frame_backend,
        gallery=gallery,
    )
    report = write_comparison(comparison, args.out)
    if args.json is not None:
        write_json(args.json, comparison.to_dict())
    print(comparison)
    print(f"report: {report}")
    return 0


def _gallery(args: argparse.Namespace) -> GalleryUse | None:
    """What is asked of a gallery; None if nothing is."""
    from sdcl_neuro.reid.pipeline.gallery_hits import GalleryUse

    if args.gallery is None:
        for name in ("enrol", "top", "camera", "start"):
            given = getattr(args, name)
            if given is not None and given is not False:
                raise InputError(f"--{name} without a gallery", mend="give --gallery FILE, too")
        return None
    for name in ("camera", "start"):
        if getattr(args, name) is not None and not args.enrol:
            raise InputError(f"--{name} is enrolled, and nothing is", mend="give --enrol, too")
    if args.out.resolve() in args.gallery.resolve().parents:
        raise InputError(
            f"{args.gallery} lies in the folder of the results, which is replaced as a whole",
            where="--gallery",
            mend="give another place",
        )
    return GalleryUse(
        args.gallery,
        enrol=args.enrol,
        top=5 if args.top is None else args.top,
        camera=args.camera,
        start_us=None if args.start is None else _microseconds(args.start),
    )


def _microseconds(text: str) -> int:
    """Microseconds since 1970 (UTC) of a time in ISO 8601."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"{text!r} is no time", where="--start", mend="write it as 2026-11-22T10:30:00+01:00"
        ) from None
    zoned = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (zoned - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

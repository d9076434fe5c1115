"""Hybrid re-identification on your own video and tracks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sdcl_neuro.conversion.backends.table import BACKENDS, BASE
from sdcl_neuro.errors import InputError
from sdcl_neuro.events.alignment.written_times import unix_microseconds
from sdcl_neuro.extras import LABORATORY
from sdcl_neuro.files import check_place, write_json

from . import checkpoint_argument, threads_argument
from .alignment_options import add_alignment_arguments, alignment_of
from .event_options import add_reading_arguments, reading_of
from .event_values import pair
from .progress import progress_bars
from .renamed import add_renamed

if TYPE_CHECKING:
    from sdcl_neuro.events.tracklets.detecting import DetectionOptions
    from sdcl_neuro.reid.pipeline.gallery_hits import GalleryUse


EXTRA = LABORATORY
FIRST = "loading libraries and the model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    checkpoint_argument(parser)
    parser.add_argument(
        "--video",
        metavar="FILE",
        type=Path,
        required=True,
        help="video of a fixed camera: a file, or a folder of pictures",
    )
    parser.add_argument(
        "--tracks",
        metavar="FILE",
        type=Path,
        help="tracks as MOTChallenge, a tracker or py-motmetrics writes "
        "them; with --detect, the tracks to compare with",
    )
    _detection_arguments(parser)
    parser.add_argument(
        "--events",
        metavar="FILE",
        type=Path,
        help="an event recording (default: simulated from the frames)",
    )
    add_reading_arguments(
        parser,
        sensor_help="size of the sensor, if the event file does not state it; without --events "
        "the size to simulate at (default: the video's)",
    )
    parser.add_argument(
        "--backend",
        default=BASE,
        help=f"backend of the event branch: {', '.join(BACKENDS)} (default: {BASE})",
    )
    parser.add_argument(
        "--device",
        help="device of the dense side, as torch names it (default: a GPU if there is one)",
    )
    add_renamed(
        parser,
        "--dense-backend",
        "--frame-backend",
        metavar="NAME",
        help="how frame branch and bridge run: eager (default on a GPU); on a CPU folded "
        "(default), onnx or onnx-int8; on a CPU and a GPU bf16 or compiled",
    )
    parser.add_argument(
        "--clip-boxes", action="store_true", help="cut boxes that reach outside the picture"
    )
    parser.add_argument(
        "--limit", metavar="N", type=int, help="at most N tracklets per track, evenly spread"
    )
    add_alignment_arguments(parser)
    parser.add_argument(
        "--false-match-rate",
        metavar="R",
        type=float,
        help="false-match rate from which the threshold for unknown persons follows (0.01, if the "
        "checkpoint was trained with validation persons)",
    )
    _gallery_arguments(parser)
    parser.add_argument(
        "--per-tracklet",
        action="store_true",
        help="run one tracklet at a time and report spikes, sparsity and latency of each; slower",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("infer-out"),
        help="folder for the report, the figures and the embeddings (default: infer-out)",
    )
    threads_argument(parser)
    parser.add_argument("--json", metavar="FILE", type=Path, help="all figures, as JSON")


def _detection_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("finding persons (docs/detection.md)")
    add = group.add_argument
    add(
        "--detect",
        action="store_true",
        help="find and follow the persons, so that --tracks is not needed",
    )
    add(
        "--detector",
        metavar="FILE.onnx",
        type=Path,
        help="an ONNX person detector (default: background subtraction)",
    )
    add(
        "--detector-score",
        metavar="S",
        type=float,
        help="score from which a detection counts as a person, 0 to 1",
    )
    add(
        "--person-class",
        metavar="N",
        type=int,
        help="number of the detector's class for persons, where its file does not state it",
    )
    add(
        "--tiles",
        metavar="CxR",
        help="also look at CxR tiles of the frame, for example 2x2; 1x1: only the whole frame "
        "(default: tiles where the network would squeeze the frame)",
    )


def _detection(args: argparse.Namespace) -> DetectionOptions | None:
    from sdcl_neuro.events.tracklets.detecting import DetectionOptions

    given = [args.detector, args.detector_score, args.person_class, args.tiles]
    if not args.detect and args.detector is None:
        if any(one is not None for one in given):
            raise InputError("options of a detector", hint="give --detect, too")
        return None
    return DetectionOptions(
        detector=args.detector,
        score=args.detector_score,
        person=args.person_class,
        tiles=pair(args.tiles, "--tiles"),
    )


def _gallery_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gallery",
        metavar="GALLERY",
        help="search every tracklet in this gallery: a file, or postgresql://HOST/DATABASE",
    )
    parser.add_argument(
        "--enrol",
        action="store_true",
        help="then add them to the gallery, which is created if absent",
    )
    parser.add_argument(
        "--top", metavar="K", type=int, help="entries returned for each tracklet (5)"
    )
    parser.add_argument("--camera", metavar="NAME", help="camera name to enrol them with")
    parser.add_argument(
        "--keep-crops", action="store_true", help="store a picture of each tracklet in the gallery"
    )
    parser.add_argument(
        "--retain", metavar="AGE", help="erase entries of the gallery after 12h, 30d, 4w"
    )


def execute(args: argparse.Namespace) -> int:
    """Compare the video's tracks; print the summary and where the report is."""
    from sdcl_neuro.reid.pipeline.infer_video import (
        check_folder,
        compare_tracks,
        write_comparison,
    )
    from sdcl_neuro.reid.pipeline.video import Source

    check_folder(args.out)
    check_place(args.out)
    gallery = _gallery(args)
    if args.json is not None and args.out.resolve() in args.json.resolve().parents:
        raise InputError(
            f"{args.json} is inside the folder of results, which is replaced as a whole",
            where="--json",
            hint="give another place, or take infer.json in it",
        )
    source = Source(
        video=args.video,
        tracks=args.tracks,
        events=args.events,
        reading=reading_of(args),
        alignment=alignment_of(args),
        clip_boxes=args.clip_boxes,
        limit=args.limit,
        detection=_detection(args),
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
        dense_backend=args.dense_backend,
        gallery=gallery,
        false_match_rate=args.false_match_rate,
        one_by_one=args.per_tracklet,
    )
    report = write_comparison(comparison, args.out)
    if args.json is not None:
        write_json(args.json, comparison.to_dict())
    print(comparison)
    print(f"report: {report}")
    return 0


def _gallery(args: argparse.Namespace) -> GalleryUse | None:
    """Return what is asked of a gallery; None if nothing is."""
    from sdcl_neuro.reid.gallery.stores import is_file
    from sdcl_neuro.reid.pipeline.gallery_hits import GalleryUse

    from .gallery import age

    if args.gallery is None:
        for name in ("enrol", "top", "camera", "keep-crops", "retain"):
            given = getattr(args, name.replace("-", "_"))
            if given is not None and given is not False:
                raise InputError(f"--{name} without a gallery", hint="give --gallery FILE, too")
        return None
    if args.camera is not None and not args.enrol:
        raise InputError("--camera without --enrol", hint="give --enrol, too")
    if args.keep_crops and not args.enrol:
        raise InputError("--keep-crops without --enrol", hint="give --enrol, too")
    if is_file(args.gallery) and args.out.resolve() in Path(args.gallery).resolve().parents:
        raise InputError(
            f"{args.gallery} is inside the folder of results, which is replaced as a whole",
            where="--gallery",
            hint="give another place",
        )
    return GalleryUse(
        args.gallery,
        enrol=args.enrol,
        top=5 if args.top is None else args.top,
        camera=args.camera,
        start_us=None if args.start is None else unix_microseconds(args.start),
        keep_crops=args.keep_crops,
        retain=None if args.retain is None else age(args.retain),
    )

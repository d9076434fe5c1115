"""See a recording: what ``sdcl-neuro events view`` does."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import Events, holds_both
from sdcl_neuro.files import keep_apart

from .alignment_options import add_alignment_arguments, alignment_of
from .event_info import summary
from .event_options import add_reading_arguments, reading_of
from .event_values import duration_us
from .progress import progress_bars
from .renamed import add_renamed

if TYPE_CHECKING:
    from sdcl_neuro.events.viewing import Scene


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    parser.add_argument("file", metavar="FILE", type=Path, help="the event file")
    parser.add_argument(
        "--video",
        metavar="FILE",
        type=Path,
        help="video to draw the events over (default: the recording's own frames, if it has any)",
    )
    parser.add_argument(
        "--no-video", action="store_true", help="do not draw the recording's own frames"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        required=True,
        help=".html (play, speed, time window), .mp4, .gif, or .png (six moments)",
    )
    parser.add_argument(
        "--speed",
        metavar="X",
        type=float,
        help="playback speed of .mp4 and .gif: 0.1 is ten times slower (1)",
    )
    add_renamed(
        parser,
        "--picture-rate",
        "--rate",
        metavar="N",
        type=float,
        help="frames per second of .mp4 and .gif (25)",
    )
    parser.add_argument(
        "--window",
        metavar="TIME",
        help="how long an event stays visible, for example 20ms; in .html the initial value",
    )
    parser.add_argument("--width", metavar="PX", type=int, help="width of the pictures")
    parser.add_argument(
        "--max-events",
        metavar="N",
        type=int,
        help="largest number of events in an .html; beyond it, every n-th is kept (2000000)",
    )
    add_reading_arguments(parser)
    add_alignment_arguments(parser)


def execute(args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Write the picture; return what was said and the result."""
    from sdcl_neuro.events.viewing import Look, write_view

    keep_apart(args.out, args.file)
    given = {
        "speed": args.speed,
        "rate": args.picture_rate,
        "window_us": None if args.window is None else duration_us(args.window, "--window"),
        "width": args.width,
        "most_events": args.max_events,
    }
    look = Look(**{name: value for name, value in given.items() if value is not None})
    events = reading_of(args).read(args.file)
    scene = _scene(args, events)
    with progress_bars(quiet=args.quiet)("drawing", 0) as advance:
        said = write_view(args.out, scene, look, advance=advance)
    lines = [f"{args.out}: {said}", *(f"  assumed: {note}" for note in scene.notes)]
    result = {**summary(events), "shown": said, "assumed": list(scene.notes)}
    return "\n".join(lines), result


def _scene(args: argparse.Namespace, events: Events) -> Scene:
    from sdcl_neuro.events.tracklets import open_video
    from sdcl_neuro.events.tracklets.event_source import RecordedEvents
    from sdcl_neuro.events.viewing import open_scene

    if args.video is not None and args.no_video:
        raise InputError("--video and --no-video", hint="give one of them")
    path = args.video
    if path is None and not args.no_video and holds_both(args.file):
        path = args.file
    if path is None:
        return open_scene(args.file.name, events)
    if path.is_file():
        keep_apart(args.out, path)
    alignment = alignment_of(args)
    video = open_video(path, alignment, reading_of(args))
    fitted = RecordedEvents(video, events, alignment).fitted
    return open_scene(args.file.name, events, video, fitted)

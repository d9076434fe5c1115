"""Hybrid re-identification on a stream, as it comes."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sdcl_neuro.conversion.backends.table import BACKENDS, BASE
from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import LABORATORY
from sdcl_neuro.files import write_json

from . import checkpoint_argument, threads_argument
from .alignment_options import add_alignment_arguments, alignment_of
from .event_options import add_reading_arguments, reading_of
from .event_values import pair
from .renamed import add_renamed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sdcl_neuro.hybrid.live import Seen
    from sdcl_neuro.reid.pipeline.live_source import LiveSource


EXTRA = LABORATORY
FIRST = "loading libraries and the model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    checkpoint_argument(parser)
    add_source_arguments(parser)
    how = parser.add_argument_group("how")
    how.add_argument(
        "--mode",
        choices=("latency", "throughput"),
        default="latency",
        help="latency: embed waiting tracklets immediately (default); throughput: wait until a "
        "batch is full",
    )
    how.add_argument("--batch", metavar="N", type=int, default=4, help="tracklets per batch (4)")
    how.add_argument(
        "--queue",
        metavar="N",
        type=int,
        default=16,
        help="largest number of tracklets that may wait (16)",
    )
    how.add_argument(
        "--drop",
        choices=("oldest", "newest", "none"),
        default="oldest",
        help="which tracklet is dropped when the queue is full; none: the source waits",
    )
    how.add_argument(
        "--backend",
        default=BASE,
        help=f"backend of the event branch: {', '.join(BACKENDS)} (default: {BASE})",
    )
    threads_argument(how)
    how.add_argument(
        "--device",
        help="device of the dense side, as torch names it (default: a GPU if there is one)",
    )
    how.add_argument(
        "--dense-backend",
        metavar="NAME",
        help="how frame branch and bridge run: eager (default on a GPU); on a CPU folded "
        "(default) or onnx; on a CPU and a GPU bf16 or compiled",
    )
    parser.add_argument(
        "--out",
        metavar="FILE.jsonl",
        type=Path,
        help="file for one JSON line per tracklet, with its embedding, written as each is done",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="summary of the session, as JSON")


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where frames, boxes and events come from; `source_of` reads it."""
    sources = parser.add_argument_group("sources")
    sources.add_argument(
        "--frames",
        metavar="SOURCE",
        required=True,
        help="a video file, a camera (0, /dev/video0, rtsp://...), or with --frame-size raw RGB "
        "pictures from a pipe (- is standard input)",
    )
    sources.add_argument(
        "--tracks", metavar="SOURCE", required=True, help="MOTChallenge text; see --growing"
    )
    sources.add_argument(
        "--events",
        metavar="SOURCE",
        help="a recording, a stream (--event-format), camera or camera:SERIAL (Prophesee's and "
        "iniVation's, through neuromorphic-drivers), or play:FILE, a recording in real time; else "
        "they are simulated",
    )
    sources.add_argument(
        "--event-format",
        choices=("text", "records"),
        help="--events is being written: lines 't x y p', or 13-byte records (see docs/live.md)",
    )
    add_reading_arguments(sources)
    sources.add_argument(
        "--growing", action="store_true", help="--tracks is a pipe or is still being written"
    )
    add_renamed(sources, "--frame-size", "--size", metavar="WxH", help="size of the raw pictures")
    sources.add_argument(
        "--fps",
        type=float,
        help="frames per second of raw pictures; for a video, take its frames as evenly spaced",
    )
    sources.add_argument(
        "--speed",
        type=float,
        default=1.0,
        help="playback speed of a video file; 0 for no pauses (1)",
    )
    sources.add_argument(
        "--patience",
        metavar="MS",
        type=float,
        default=100.0,
        help="how long a frame waits for its events and boxes (100)",
    )
    sources.add_argument(
        "--idle",
        metavar="S",
        type=float,
        default=5.0,
        help="seconds without growth after which a growing file counts as complete (5)",
    )
    add_alignment_arguments(parser, rate=False)


def execute(args: argparse.Namespace) -> int:
    """Print each tracklet as it is done, and the sum at the end or after Ctrl-C."""
    from sdcl_neuro.hybrid.live import LiveSettings
    from sdcl_neuro.reid.pipeline.live_stream import watch

    source = source_of(args)
    settings = LiveSettings(
        mode=args.mode,
        batch=args.batch,
        queue=args.queue,
        policy="block" if args.drop == "none" else args.drop,
        device=args.device,
        dense_backend=args.dense_backend,
    )

    def say(line: str) -> None:
        if not args.quiet:
            print(line, file=sys.stderr, flush=True)

    with _opened(args.out) as lines, _stopped_by_interrupt() as stop:

        def on_seen(seen: Seen, embedding: NDArray[np.float32]) -> None:
            if not args.quiet:
                print(seen, file=sys.stderr, flush=True)
            if lines is not None:
                _write(lines, {**seen.to_dict(), "embedding": embedding.tolist()})

        report = watch(
            args.checkpoint,
            source,
            backend=args.backend,
            settings=settings,
            on_seen=on_seen,
            stop=stop,
            say=say,
        )
    if args.json is not None:
        write_json(args.json, report.to_dict())
    print(report)
    return 0


def source_of(args: argparse.Namespace) -> LiveSource:
    """Return the stream that the options of `add_source_arguments` describe."""
    from sdcl_neuro.reid.pipeline.live_source import LiveSource

    return LiveSource(
        frames=args.frames,
        tracks=args.tracks,
        events=args.events,
        growing=args.growing,
        raw_size=pair(args.frame_size, "--frame-size"),
        fps=args.fps,
        reading=reading_of(args),
        alignment=alignment_of(args),
        event_format=args.event_format,
        speed=args.speed,
        patience_s=args.patience / 1e3,
        idle_s=args.idle,
    )


def _opened(path: Path | None) -> AbstractContextManager[IO[str] | None]:
    """Return a new file for the results; an old one is another session's, and is left alone."""
    if path is None:
        return nullcontext()
    try:
        return path.open("x", encoding="utf-8")
    except FileExistsError:
        raise InputError("exists already", where=str(path), hint="give a new --out") from None
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror})", where=str(path), hint="give another --out"
        ) from None


def _write(lines: IO[str], values: dict[str, Any]) -> None:
    # Flushed line by line: what was reported is in the file whatever happens next.
    lines.write(json.dumps(values) + "\n")
    lines.flush()


@contextmanager
def _stopped_by_interrupt() -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C sets; the second one interrupts as usual."""
    stop = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def first(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        stop.set()

    # Only the main thread may; elsewhere the caller's own handling holds.
    mine = threading.current_thread() is threading.main_thread()
    if mine:
        signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        if mine:
            signal.signal(signal.SIGINT, before)

"""Many cameras, one gallery, one page."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sdcl_neuro.conversion.backends.table import BACKENDS, BASE
from sdcl_neuro.extras import LABORATORY, require_extra

from . import checkpoint_argument, threads_argument
from .hardware_names import listed
from .serve_cameras import cameras_of
from .serve_demo import demo_cameras, demo_gallery, explain_demo, threshold_of
from .serve_options import add_cameras, add_door, add_gallery, door_of, gallery_of

if TYPE_CHECKING:
    from sdcl_neuro.reid.serve.settings import ServeSettings

EXTRA = LABORATORY
FIRST = "loading libraries and the model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    checkpoint_argument(parser)
    add_cameras(parser)
    add_gallery(parser)
    add_door(parser)
    how = parser.add_argument_group("how")
    how.add_argument(
        "--batch", metavar="N", type=int, default=8, help="tracklets per batch, of all cameras (8)"
    )
    how.add_argument(
        "--queue", metavar="N", type=int, default=64, help="tracklets that may wait (64)"
    )
    how.add_argument(
        "--drop",
        choices=("oldest", "newest", "none"),
        default="oldest",
        help="which tracklet is dropped when the queue is full: the oldest of the camera that has "
        "most waiting (default), the newest; none: cameras wait",
    )
    how.add_argument(
        "--false-match-rate",
        metavar="R",
        type=float,
        help="share of wrong pairs taken for one person that sets the threshold (0.001, or what "
        "the checkpoint's validation persons can tell)",
    )
    how.add_argument(
        "--threshold",
        metavar="COSINE",
        type=float,
        help="cosine from which two are one person, in place of the false match rate's",
    )
    how.add_argument(
        "--backend",
        default=BASE,
        help=f"backend of the event branch: {', '.join(BACKENDS)} (default: {BASE})",
    )
    how.add_argument(
        "--hw",
        metavar="NAMES",
        default="loihi1,loihi2",
        help="chips that the event branch is priced on (loihi1,loihi2)",
    )
    threads_argument(how)
    how.add_argument(
        "--device",
        help="device of the dense side, as torch names it (default: a GPU if there is one)",
    )
    how.add_argument(
        "--log", metavar="FILE", type=Path, help="structured log, one JSON object per line"
    )


def execute(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    require_extra("serve", "sdcl-neuro serve")
    from sdcl_neuro.reid.serve.server import PageServer

    def say(line: str) -> None:
        if not args.quiet:
            print(line, file=sys.stderr, flush=True)

    def ready(address: str) -> None:
        print(f"page: {address}", flush=True)
        say("Ctrl-C ends it")

    with _settings(args, say=say) as settings:
        server = PageServer(settings, say=say, log=args.log)
        server.run(ready)
        print(summary(server.service.state()))
    return 0


def summary(state: dict[str, object]) -> str:
    """Return the sum of a session, in one line."""
    totals = state["totals"]
    assert isinstance(totals, dict)
    counts = {name: int(totals.get(name, 0)) for name in ("frames", "embedded", "enrolled")}
    return (
        f"{counts['frames']:,} frames, {counts['embedded']:,} tracklets embedded, "
        f"{state['dropped']:,} dropped, {counts['enrolled']:,} enrolled"
    )


@contextmanager
def _settings(args: argparse.Namespace, *, say: Callable[[str], None]) -> Iterator[ServeSettings]:
    """Yield all that was asked for; the demonstration's gallery lives as long as the block."""
    from sdcl_neuro.hybrid.live import LiveSettings
    from sdcl_neuro.reid.serve.settings import ServeSettings

    with tempfile.TemporaryDirectory(prefix="sdcl-neuro-serve-") as folder:
        door = door_of(args)
        cameras = demo_cameras(args) if args.demo else cameras_of(args)
        if args.demo:
            explain_demo(args, Path(folder), say)
        yield ServeSettings(
            cameras=cameras,
            gallery=demo_gallery(args, Path(folder)) if args.demo else gallery_of(args),
            door=door,
            checkpoint=args.checkpoint,
            backend=args.backend,
            live=LiveSettings(
                batch=args.batch,
                queue=args.queue,
                policy="block" if args.drop == "none" else args.drop,
                device=args.device,
            ),
            false_match_rate=args.false_match_rate,
            threshold=threshold_of(args),
            hardware=tuple(listed(args.hw)),
        )

"""Many cameras, one gallery, one page."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from sdcl_neuro.conversion.backends.table import BACKENDS, BASE
from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import LABORATORY, require_extra

from . import checkpoint_argument, threads_argument
from .gallery import age
from .live import add_source_arguments, source_of

if TYPE_CHECKING:
    from sdcl_neuro.reid.serve.settings import CameraSpec, Door, GalleryPlan, ServeSettings

EXTRA = LABORATORY
FIRST = "loading libraries and the model"
TOKEN = "SDCL_NEURO_TOKEN"
LARGEST_LIST = 1 << 20
DEMO_CAMERAS, DEMO_DELAY_S = ("entrance", "hall"), 20.0
DEMO_THRESHOLD = 0.99
"""The packaged model has learned rendered persons only: tracklets of different real ones in the
same pose reach a cosine of 0.98, the same footage 1.00."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    checkpoint_argument(parser)
    _add_cameras(parser)
    _add_gallery(parser)
    _add_door(parser)
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
        "--device", help="of the dense side, as torch names it (a GPU if there is one)"
    )
    how.add_argument("--log", metavar="FILE", type=Path, help="structured log, one JSON a line")


def _add_cameras(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("cameras")
    group.add_argument(
        "--camera",
        metavar="'NAME OPTIONS'",
        action="append",
        default=[],
        help="a camera and its sources, with the options of `live`, and for a recording --loop, to "
        "begin again at its end, and --delay S, to begin later: "
        "'door --frames rtsp://10.0.0.5/1 --tracks door.txt --growing'",
    )
    group.add_argument(
        "--cameras",
        metavar="FILE",
        type=Path,
        help="a text file with such a line for each camera; # begins a remark",
    )
    group.add_argument(
        "--demo",
        action="store_true",
        help="show the packaged clip live, over and over, with a gallery that is erased at the end",
    )


def _add_gallery(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("gallery (docs/gallery.md)")
    group.add_argument("--gallery", metavar="GALLERY", help="a file, or postgresql://HOST/DATABASE")
    group.add_argument(
        "--enrol",
        action="store_true",
        help="store embeddings of who is seen; the gallery is created if absent",
    )
    group.add_argument("--keep-crops", action="store_true", help="store a picture of each, too")
    group.add_argument("--retain", metavar="AGE", help="erase entries after 12h, 30d, 4w")


def _add_door(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("who may look (docs/serve.md)")
    group.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (127.0.0.1: this machine only); any other needs a token",
    )
    group.add_argument(
        "--port", metavar="N", type=int, default=8765, help="0 takes a free one (8765)"
    )
    group.add_argument(
        "--token-file",
        metavar="FILE",
        type=Path,
        help=f"its first line is the token that is asked for (or set {TOKEN})",
    )
    group.add_argument(
        "--name",
        metavar="HOST",
        action="append",
        default=[],
        help="a host name under which the server is reached",
    )
    group.add_argument("--tls-certificate", metavar="FILE.pem", type=Path, help="for https")
    group.add_argument("--tls-key", metavar="FILE.pem", type=Path, help="its key")


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
        door = _door(args)
        cameras = _demo_cameras(args) if args.demo else cameras_of(args)
        if args.demo:
            say(
                f"demonstration: one clip as two cameras, {' and '.join(DEMO_CAMERAS)}, the "
                f"second {DEMO_DELAY_S:g} s late, so that it sees the same persons again; the "
                f"gallery, with pictures, is erased at the end ({folder})"
            )
            if args.threshold is None and args.false_match_rate is None:
                say(
                    f"assumed: a threshold of {DEMO_THRESHOLD}, at which the packaged model takes "
                    "only the same footage for the same person; it was not trained on real persons"
                )
        yield ServeSettings(
            cameras=cameras,
            gallery=_demo_gallery(args, Path(folder)) if args.demo else _gallery(args),
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
            threshold=_threshold(args),
            hardware=tuple(name.strip() for name in args.hw.split(",") if name.strip()),
        )


def cameras_of(args: argparse.Namespace) -> tuple[CameraSpec, ...]:
    """Return the cameras of the command line and of the file.

    Raises:
        InputError: a line that cannot be read.
    """
    lines = [(f"--camera {number}", text) for number, text in enumerate(args.camera, 1)]
    if args.cameras is not None:
        lines += _listed(args.cameras)
    if not lines:
        raise InputError("no camera", hint="give --camera, --cameras FILE or --demo")
    return tuple(_camera(where, text) for where, text in lines)


def _listed(path: Path) -> list[tuple[str, str]]:
    """Return lines of a file of cameras, each with its place."""
    from sdcl_neuro.files.reading import reading, regular_file

    what, hint = "a list of cameras", "write one camera a line: NAME and the options of live"
    if regular_file(path, what=what, hint=hint).stat().st_size > LARGEST_LIST:
        raise InputError("is too large for a list of cameras", where=str(path), hint=hint)
    with reading(path, what, hint=hint):
        text = path.read_text(encoding="utf-8")
    rows = enumerate(text.splitlines(), 1)
    return [
        (f"{path}, line {number}", line)
        for number, line in rows
        if line.strip() and not line.lstrip().startswith("#")
    ]


class _LineParser(argparse.ArgumentParser):
    """Reports a wrong line where it stands, instead of ending the process."""

    where = ""

    def error(self, message: str) -> NoReturn:
        raise InputError(message, where=self.where, hint="give NAME and the options of live")


def _camera(where: str, text: str) -> CameraSpec:
    from sdcl_neuro.reid.serve.settings import CameraSpec

    parser = _LineParser(prog="camera", add_help=False, allow_abbrev=False)
    parser.where = where
    parser.add_argument("name")
    parser.add_argument("--loop", action="store_true")
    parser.add_argument("--delay", type=float, default=0.0)
    add_source_arguments(parser)
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InputError(f"{error}", where=where, hint="close every quotation mark") from None
    given = parser.parse_args(words)
    try:
        return CameraSpec(given.name, source_of(given), loop=given.loop, delay_s=given.delay)
    except InputError as error:
        place = f"{where}, {error.where}" if error.where else where
        raise InputError(error.what, where=place, hint=error.hint) from None


def _gallery(args: argparse.Namespace) -> GalleryPlan:
    from sdcl_neuro.reid.serve.settings import GalleryPlan

    if args.gallery is None:
        raise InputError(
            "no gallery", hint="give --gallery FILE, and --enrol if it is to be filled"
        )
    if args.keep_crops and not args.enrol:
        raise InputError("--keep-crops without --enrol", hint="give --enrol, too")
    return GalleryPlan(
        args.gallery,
        enrol=args.enrol,
        keep_crops=args.keep_crops,
        retain=None if args.retain is None else age(args.retain),
    )


def _threshold(args: argparse.Namespace) -> float | None:
    """Return the stated threshold; the demonstration has one of its own, unless a rate is
    stated.
    """
    if args.threshold is None and args.demo and args.false_match_rate is None:
        return DEMO_THRESHOLD
    given: float | None = args.threshold
    return given


def _demo_cameras(args: argparse.Namespace) -> tuple[CameraSpec, ...]:
    from sdcl_neuro.demo import clip_path, tracks_path
    from sdcl_neuro.reid.pipeline.live_stream import LiveSource
    from sdcl_neuro.reid.serve.settings import CameraSpec

    if args.camera or args.cameras is not None:
        raise InputError("--demo brings its own cameras", hint="leave --camera and --cameras out")
    source = LiveSource(str(clip_path()), str(tracks_path()))
    return tuple(
        CameraSpec(name, source, loop=True, delay_s=number * DEMO_DELAY_S)
        for number, name in enumerate(DEMO_CAMERAS)
    )


def _demo_gallery(args: argparse.Namespace, folder: Path) -> GalleryPlan:
    from sdcl_neuro.reid.serve.settings import GalleryPlan

    if args.gallery is not None or args.enrol or args.keep_crops or args.retain is not None:
        raise InputError(
            "--demo has a gallery of its own, which is erased at the end",
            hint="leave --gallery, --enrol, --keep-crops and --retain out",
        )
    return GalleryPlan(str(folder / "demo.gallery"), enrol=True, keep_crops=True)


def _door(args: argparse.Namespace) -> Door:
    from sdcl_neuro.reid.serve.settings import Door

    return Door(
        host=args.host,
        port=args.port,
        token=_token(args.token_file),
        names=tuple(args.name),
        certificate=args.tls_certificate,
        key=args.tls_key,
    )


def _token(path: Path | None) -> str | None:
    """Return the token of the file or the environment; None without one."""
    if path is None:
        return os.environ.get(TOKEN) or None
    from sdcl_neuro.files.reading import reading, regular_file

    what, hint = "a file with a token", "write the token into its first line"
    if regular_file(path, what=what, hint=hint).stat().st_size > 4096:
        raise InputError("is too large for a token", where=str(path), hint=hint)
    with reading(path, what, hint=hint):
        lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0].strip():
        raise InputError("an empty file", where=str(path), hint=hint)
    return lines[0].strip()

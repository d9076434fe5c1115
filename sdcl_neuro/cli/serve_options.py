"""Options of `serve` on cameras, the gallery and who may look, declared and read."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sdcl_neuro.errors import InputError

from .gallery import age

if TYPE_CHECKING:
    from sdcl_neuro.reid.serve.settings import Door, GalleryPlan

TOKEN = "SDCL_NEURO_TOKEN"


def add_cameras(parser: argparse.ArgumentParser) -> None:
    """Declare the options that name cameras."""
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
        help="a text file with such a line for each camera; # begins a comment",
    )
    group.add_argument(
        "--demo",
        action="store_true",
        help="show the packaged clip live, over and over, with a gallery that is erased at the end",
    )


def add_gallery(parser: argparse.ArgumentParser) -> None:
    """Declare the options on the gallery."""
    group = parser.add_argument_group("gallery (docs/gallery.md)")
    group.add_argument("--gallery", metavar="GALLERY", help="a file, or postgresql://HOST/DATABASE")
    group.add_argument(
        "--enrol",
        action="store_true",
        help="store embeddings of who is seen; the gallery is created if absent",
    )
    group.add_argument("--keep-crops", action="store_true", help="store a picture of each, too")
    group.add_argument("--retain", metavar="AGE", help="erase entries after 12h, 30d, 4w")


def add_door(parser: argparse.ArgumentParser) -> None:
    """Declare the options on who may look."""
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
        help=f"its first line is the token that visitors must give (or set {TOKEN})",
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


def gallery_of(args: argparse.Namespace) -> GalleryPlan:
    """Return the gallery that was asked for.

    Raises:
        InputError: none, or options that contradict each other.
    """
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


def door_of(args: argparse.Namespace) -> Door:
    """Return where the server listens, and what it asks for.

    Raises:
        InputError: a token file that cannot be used.
    """
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

"""`serve --demo`: the packaged clip as two cameras, and a gallery that is erased."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sdcl_neuro.errors import InputError

if TYPE_CHECKING:
    from sdcl_neuro.reid.serve.settings import CameraSpec, GalleryPlan

DEMO_CAMERAS, DEMO_DELAY_S = ("entrance", "hall"), 20.0
DEMO_THRESHOLD = 0.99
"""The packaged model has learned rendered persons only: tracklets of different real ones in the
same pose reach a cosine of 0.98, the same footage 1.00."""


def explain_demo(args: argparse.Namespace, folder: Path, say: Callable[[str], None]) -> None:
    """Say what the demonstration shows, and what it assumes."""
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


def threshold_of(args: argparse.Namespace) -> float | None:
    """Return the stated threshold; the demonstration has one of its own, unless a rate is
    stated.
    """
    if args.threshold is None and args.demo and args.false_match_rate is None:
        return DEMO_THRESHOLD
    given: float | None = args.threshold
    return given


def demo_cameras(args: argparse.Namespace) -> tuple[CameraSpec, ...]:
    """Return the packaged clip as two cameras.

    Raises:
        InputError: other cameras were given, too.
    """
    from sdcl_neuro.demo import clip_path, tracks_path
    from sdcl_neuro.reid.pipeline.live_source import LiveSource
    from sdcl_neuro.reid.serve.settings import CameraSpec

    if args.camera or args.cameras is not None:
        raise InputError("--demo brings its own cameras", hint="leave --camera and --cameras out")
    source = LiveSource(str(clip_path()), str(tracks_path()))
    return tuple(
        CameraSpec(name, source, loop=True, delay_s=number * DEMO_DELAY_S)
        for number, name in enumerate(DEMO_CAMERAS)
    )


def demo_gallery(args: argparse.Namespace, folder: Path) -> GalleryPlan:
    """Return a gallery in a folder that is erased at the end.

    Raises:
        InputError: another gallery was given, too.
    """
    from sdcl_neuro.reid.serve.settings import GalleryPlan

    if args.gallery is not None or args.enrol or args.keep_crops or args.retain is not None:
        raise InputError(
            "--demo has a gallery of its own, which is erased at the end",
            hint="leave --gallery, --enrol, --keep-crops and --retain out",
        )
    return GalleryPlan(str(folder / "demo.gallery"), enrol=True, keep_crops=True)

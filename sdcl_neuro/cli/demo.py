"""The whole way on the packaged clip."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sdcl_neuro.conversion.backends.table import BACKENDS, BASE
from sdcl_neuro.errors import CheckFailed, InputError
from sdcl_neuro.extras import LABORATORY, require_extra
from sdcl_neuro.files import check_place

from .progress import progress_bars

FIRST = "loading libraries"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("demo-out"), help="(default: demo-out)"
    )
    parser.add_argument(
        "--frame-weights",
        metavar="FILE",
        type=Path,
        help="safetensors of OSNet x0.25 (see `sdcl-neuro weights`); without them the frame "
        "branch learns from the clip alone",
    )
    parser.add_argument(
        "--backend",
        choices=[name for name, row in BACKENDS.items() if row.arithmetic == "exact"],
        default=BASE,
        help="backend that runs the event branch in inference",
    )
    parser.add_argument(
        "--seed", metavar="N", type=int, default=0, help="seed of the weights and batches (0)"
    )
    parser.add_argument(
        "--retrain", action="store_true", help="train again even if DIR holds a finished training"
    )
    parser.add_argument(
        "--prove-again",
        action="store_true",
        help="compute the certificates again even if an earlier run of the same files left them",
    )
    parser.add_argument(
        "--steps",
        metavar="FLOAT,INT",
        help="steps of training in float and in chip integers (default 50,30)",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="all figures, as JSON")
    parser.add_argument(
        "--clip",
        metavar="DIR",
        type=Path,
        help="only copy the packaged clip and its tracks to DIR, as walk.mp4 and walk.txt, to try "
        "other verbs on",
    )


def execute(args: argparse.Namespace) -> int:
    """Run the demonstration; print the summary and where the report is."""
    if args.clip is not None:
        return _copy_clip(args.clip)
    require_extra(LABORATORY, "demo")
    from sdcl_neuro.demo.demonstration import tell
    from sdcl_neuro.demo.report import write_report
    from sdcl_neuro.demo.settings import STEPS, DemoSettings
    from sdcl_neuro.demo.summary import next_commands, summary_text, write_summary

    if args.out.exists() and not args.out.is_dir():
        raise InputError(
            "is not a folder", where=str(args.out), hint="give another folder for --out"
        )
    check_place(args.out)
    settings = DemoSettings(
        out=args.out,
        frame_weights=args.frame_weights,
        backend=args.backend,
        seed=args.seed,
        retrain=args.retrain,
        prove_again=args.prove_again,
        steps=STEPS if args.steps is None else _steps(args.steps),
    )

    def say(line: str) -> None:
        if not args.quiet:
            print(line, file=sys.stderr, flush=True)

    story = tell(settings, progress=progress_bars(quiet=args.quiet), say=say)
    report = write_report(story)
    write_summary(story, settings.out / "demo.json")
    if args.json:
        write_summary(story, args.json)
    print(summary_text(story))
    print(f"report: {report}")
    if not all(certificate.holds for certificate in story.certificates.values()):
        raise CheckFailed(
            "a parity certificate does not hold", where=str(report), hint="see its parity table"
        )
    if not args.quiet:
        print(next_commands(story))
    return 0


def _copy_clip(folder: Path) -> int:
    from sdcl_neuro.demo import copy_clip

    for path in copy_clip(folder):
        print(path)
    return 0


def _steps(text: str) -> tuple[int, int]:
    try:
        first, second = (int(part) for part in text.split(","))
    except ValueError:
        first, second = 0, 0
    if min(first, second) < 1:
        raise InputError(
            f"expected two numbers of steps, got {text!r}",
            where="--steps",
            hint="give --steps 50,30",
        )
    return first, second

"""Convert a model to the file another tool reads."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import NetworkRefused


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a checkpoint folder, .nir or .net")
    parser.add_argument("out", metavar="OUT", help="a .net file (chip integers) or a .nir file")
    parser.add_argument(
        "--calibrate",
        metavar="SPIKES",
        type=Path,
        help="input spikes, .npz or .h5, that choose the scales of a float network",
    )


def execute(args: argparse.Namespace) -> int:
    """Convert, print what was folded, rounded or refused, and return 0."""
    from ..conversion.transfer import transfer

    calibration = None
    if args.calibrate is not None:
        from ..spike_file import read_spikes

        calibration = read_spikes(args.calibrate)
    if not args.quiet:
        print(f"converting {args.model}", file=sys.stderr)
    try:
        done = transfer(args.model, args.out, calibration=calibration)
    except NetworkRefused as error:
        for reason in error.refusals:
            print(f"refused  {reason}")
        raise
    print(done)
    if not args.quiet:
        print(f"account in {done.report_path}", file=sys.stderr)
    return 0

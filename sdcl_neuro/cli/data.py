"""Data sets: look a folder over, and simulate its events, before anything is trained on it."""

from __future__ import annotations

import argparse
from pathlib import Path

from sdcl_neuro.extras import LABORATORY
from sdcl_neuro.files import write_json

from . import common_arguments
from .data_cache import add_cache, execute_cache
from .progress import progress_bars

EXTRA = LABORATORY


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    text = "report all faults of a folder at once, and compare its counts with the published ones"
    check = actions.add_parser("check", help=text, description=text)
    common_arguments(check)
    check.add_argument("root", metavar="ROOT", type=Path, help="the folder of the data set")
    check.add_argument(
        "--kind", metavar="NAME", help="which data set (default: recognised from the folder)"
    )
    check.add_argument(
        "--protocol", metavar="NAME", default="", help="protocol of the data set, if it has several"
    )
    check.add_argument(
        "--events", metavar="DIR", default="auto", help="folder of the event files, or none"
    )
    check.add_argument("--split", metavar="N", type=int, default=0, help="which split, from 0")
    check.add_argument(
        "--subset",
        action="store_true",
        help="do not report counts that differ from the published ones",
    )
    check.add_argument("--read", action="store_true", help="also open every file")
    check.add_argument("--json", metavar="FILE", type=Path, help="the result as JSON")
    add_cache(actions)


def execute(args: argparse.Namespace) -> int:
    """Do the action; return 1 if `check` found a fault, or a count that is not as published."""
    if args.action == "cache":
        return execute_cache(args)
    from sdcl_neuro.reid.datasets.checking import check_data
    from sdcl_neuro.reid.datasets.table import Choices

    report = check_data(
        args.root,
        kind=args.kind,
        choices=Choices(split=args.split, events=args.events, protocol=args.protocol),
        read=args.read,
        progress=progress_bars(quiet=args.quiet),
    )
    print(report)
    if args.json:
        write_json(args.json, report.to_dict())
    return 1 if report.faults or (report.differing and not args.subset) else 0

"""What is installed here, what is missing for what, and where caches lie."""

from __future__ import annotations

import argparse
from pathlib import Path

from sdcl_neuro.files import write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--json", metavar="FILE", type=Path, help="the findings, as JSON")


def execute(args: argparse.Namespace) -> int:
    """Print what was found, and return 0: what is missing is no fault."""
    from .doctor_findings import examine

    found = examine()
    print(found)
    if args.json is not None:
        write_json(args.json, found.to_dict())
    return 0

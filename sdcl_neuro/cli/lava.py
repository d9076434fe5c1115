"""Lava on this Python: install it, or say whether it is there."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from sdcl_neuro.files import write_json

from . import common_arguments

SCHEMA = {"name": "sdcl_neuro.lava", "version": 1}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    summaries = {
        "install": "install lava-nc and lava-dl into this environment, past their metadata's pins",
        "status": "say what is installed; exit code 3 if Lava cannot run",
    }
    for name, summary in summaries.items():
        action = actions.add_parser(name, help=summary, description=summary)
        common_arguments(action)
        action.add_argument("--json", metavar="FILE", type=Path, help="the state, as JSON")


def execute(args: argparse.Namespace) -> int:
    """Install or look; return 0 if Lava is ready, 3 if it is not."""
    from sdcl_neuro.conversion.backends.lava.installation import install, require_lava, status

    found = install(quiet=args.quiet) if args.action == "install" else status()
    print(found)
    if args.json:
        write_json(args.json, {"schema": SCHEMA, "ready": found.ready, **asdict(found)})
    require_lava()
    return 0

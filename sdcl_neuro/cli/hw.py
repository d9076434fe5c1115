"""Hardware profiles: which there are, and what is in one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..atomic import write_json
from ..hardware import HardwareProfile, list_profiles, load_profile
from . import common_arguments

SCHEMA = {"name": "sdcl_neuro.hw_list", "version": 1}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    summaries = {
        "list": "name every profile that comes with the package",
        "show": "print one profile with the source of every figure",
    }
    for name, summary in summaries.items():
        action = actions.add_parser(name, help=summary, description=summary)
        common_arguments(action)
        action.add_argument("--json", metavar="FILE", type=Path, help="the same, as JSON")
        if name == "show":
            action.add_argument("name", metavar="NAME", help="a profile's name, or a .toml file")


def execute(args: argparse.Namespace) -> int:
    """Print what was asked for and return 0."""
    if args.action == "show":
        profile = load_profile(args.name)
        print(profile)
        if args.json:
            write_json(args.json, profile.to_dict())
        return 0
    profiles = [load_profile(name) for name in list_profiles()]
    width = max(len(profile.name) for profile in profiles)
    for profile in profiles:
        print(f"{profile.name:<{width}}  {profile.family:<12}  {profile.title}")
    if args.json:
        write_json(args.json, {"schema": SCHEMA, "profiles": [_brief(p) for p in profiles]})
    return 0


def _brief(profile: HardwareProfile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "title": profile.title,
        "family": profile.family,
        "summary": profile.summary,
        "variants": list(profile.variants),
    }

"""Models that come with the package, and public ones: list, card, path, get."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from sdcl_neuro.files import write_json

from . import common_arguments

SCHEMA = {"name": "sdcl_neuro.models", "version": 1}
_ACTIONS = {
    "list": "list every model, what it is and where it is stored",
    "card": "print a model's card: data, seeds, figures, limits",
    "path": "print the folder of a packaged model's checkpoint",
    "get": "copy a packaged model to a folder; fetch a public one from its address and check it",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary in _ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=summary)
        common_arguments(action)
        if name != "list":
            action.add_argument("name", metavar="NAME", help="name of the model, see models list")
        if name == "get":
            action.add_argument(
                "--out", metavar="DIR", type=Path, default=Path(), help="(default: this folder)"
            )
        if name in ("list", "card"):
            action.add_argument("--json", metavar="FILE", type=Path, help="the same, as JSON")


def execute(args: argparse.Namespace) -> int:
    """Print what was asked for, and return 0."""
    from sdcl_neuro.models import library

    if args.action == "list":
        return _list(args)
    if args.action == "card":
        return _card(args)
    if args.action == "path":
        print(library.model_folder(args.name) / library.CHECKPOINT)
        return 0
    row = library.find_model(args.name)
    print(library.get(args.name, args.out))
    if row.note:
        print(row.note)
    return 0


def _list(args: argparse.Namespace) -> int:
    from sdcl_neuro.models.library import ROWS, model_folder

    rows = []
    for row in ROWS:
        place = str(model_folder(row.name)) if row.packaged else row.address
        rows.append({"name": row.name, "title": row.title, "packaged": row.packaged, "at": place,
                     "sha256": row.sha256 or None, "note": row.note})  # fmt: skip
        print(f"{row.name}: {row.title}")
        print(f"  {'comes with the package, in' if row.packaged else 'public, at'} {place}")
        if not row.packaged:
            print(f"  SHA-256 {row.sha256}; {row.note}")
    if args.json is not None:
        write_json(args.json, {"schema": SCHEMA, "models": rows})
    return 0


def _card(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from sdcl_neuro.models.library import find_model, read_card

    row = find_model(args.name)
    card: dict[str, Any] = read_card(args.name) if row.packaged else asdict(row)
    for key, value in card.items():
        if key == "schema":
            continue
        if isinstance(value, dict):
            print(f"{key}")
            for name, one in value.items():
                print(f"  {name}: {one if isinstance(one, str) else json.dumps(one)}")
        elif isinstance(value, list):
            print(f"{key}")
            for one in value:
                print(f"  - {one}")
        else:
            print(f"{key}: {value}")
    if args.json is not None:
        write_json(args.json, card)
    return 0

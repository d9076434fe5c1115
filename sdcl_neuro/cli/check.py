"""Check a JSON file that a verb wrote against its schema, or print the schema."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sdcl_neuro.errors import CheckFailed, InputError, number_of
from sdcl_neuro.files import write_json

SCHEMA = {"name": "sdcl_neuro.check", "version": 1}
_LARGEST = 256 * 2**20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "file", metavar="FILE", nargs="?", type=Path, help="JSON that a verb wrote with --json"
    )
    parser.add_argument("--list", action="store_true", help="list the schemas and their versions")
    parser.add_argument(
        "--schema",
        metavar="NAME",
        help="print a schema: profile, for example, or certificate-2 for one version of it",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="what was found, as JSON")


def execute(args: argparse.Namespace) -> int:
    """Say what the file is; 0, or an error that names the first fault after listing all."""
    from sdcl_neuro.schemas import SCHEMAS, check_document, load_schema

    given = [args.file is not None, args.list, args.schema is not None]
    if sum(given) != 1:
        raise InputError(
            "expected one of FILE, --list and --schema NAME", where="check", hint="give one of them"
        )
    if args.list:
        for name, versions in SCHEMAS.items():
            print(f"{name:<20} {', '.join(map(str, versions))}")
        return 0
    if args.schema is not None:
        name, _, version = args.schema.rpartition("-")
        known = name and version.isdecimal()
        schema = load_schema(name, int(version)) if known else load_schema(args.schema)
        print(json.dumps(schema, indent=2))
        return 0
    named, faults = check_document(_read(args.file), where=str(args.file))
    if args.json is not None:
        write_json(
            args.json,
            {
                "schema": SCHEMA,
                "file": str(args.file),
                "checked_as": named,
                "valid": not faults,
                "faults": [fault.to_dict() for fault in faults],
            },
        )
    for fault in faults:
        print(fault)
    if faults:
        raise CheckFailed(
            f"{number_of(len(faults), 'fault')} as {named}",
            where=str(args.file),
            hint="see above; write it again with the verb that made it",
        )
    print(f"{args.file}: {named}, as its schema says")
    return 0


def _read(path: Path) -> object:
    if path.stat().st_size > _LARGEST:
        raise InputError(f"larger than {_LARGEST >> 20} MiB", where=str(path))
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise InputError("nested too deeply", where=str(path)) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        hint = _HINTS.get(path.suffix, "give what a verb's --json wrote")
        raise InputError(f"not JSON ({error})", where=str(path), hint=hint) from None


def _refuse(name: str) -> object:
    raise json.JSONDecodeError(f"{name} is not JSON", name, 0)


_HINTS = {
    **dict.fromkeys((".net", ".nir"), "a model: sdcl-neuro verify FILE proves it"),
    **dict.fromkeys((".npz", ".h5"), "spikes: sdcl-neuro run takes them"),
    **dict.fromkeys((".raw", ".aedat", ".dat"), "a recording: sdcl-neuro events info FILE"),
    ".toml": "a configuration or a chip's profile: sdcl-neuro hw show FILE",
}

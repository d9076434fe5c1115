"""Weights of the frame branch: convert an ONNX file to safetensors, once."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import write_json

from . import common_arguments

SUMMARY = "weights of the frame branch: convert"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    summary = "convert an ONNX OSNet to a safetensors file (needs the extra onnx)"
    convert = actions.add_parser("convert", help=summary, description=summary)
    common_arguments(convert)
    convert.add_argument("source", metavar="IN.onnx", type=Path, help="OSNet, as ONNX")
    convert.add_argument(
        "target",
        metavar="OUT.safetensors",
        type=Path,
        help="file to write, for frame_branch.weights and demo",
    )
    convert.add_argument("--json", metavar="FILE", type=Path, help="what was converted, as JSON")


def execute(args: argparse.Namespace) -> int:
    """Convert, say what was written, and return 0."""
    from sdcl_neuro.hybrid.frame_branch.onnx_weights import convert_onnx

    if args.target.suffix != ".safetensors":
        raise InputError(
            f"{args.target.name} does not end in .safetensors",
            where="OUT",
            hint="name the file OUT.safetensors",
        )
    converted = convert_onnx(args.source, args.target)
    print(converted)
    if args.json:
        schema = {"name": "sdcl_neuro.weights", "version": 1}
        write_json(args.json, {"schema": schema, **asdict(converted)})
    return 0

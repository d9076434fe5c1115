"""Convert a model to the file another tool reads, or say how two models differ."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sdcl_neuro.errors import InputError, NetworkRefused

from .model_options import add_model_options, model_options

if TYPE_CHECKING:
    from sdcl_neuro.conversion.bundle.writer import Bundle

_READING = {
    "dt": "dt",
    "writer": "writer",
    "reader": "for",
    "input_shape": "input-shape",
    "skip_input": "skip-input",
}
"""Options on reading and for whom to write, with their spelling."""
"""Options that concern a ``.nir`` only, by their names in the code."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a checkpoint folder, .nir or .net")
    parser.add_argument(
        "out",
        metavar="OUT",
        nargs="?",
        help="a .net file (chip integers), .nir, .c (C99), .speck (Speck's integers), or .onnx "
        "with --part; none with --hdl",
    )
    parser.add_argument(
        "--part",
        metavar="NAME",
        help="what to write to OUT.onnx, checked in onnxruntime: event, the spiking network in "
        "chip integers; frame-branch or bridge, of the dense side of a whole SDCL",
    )
    parser.add_argument(
        "--hdl",
        metavar="DIR",
        type=Path,
        help="instead of OUT: a folder of SystemVerilog with its testbench; simulated where "
        "Verilator is installed, counted where yosys is",
    )
    parser.add_argument(
        "--calibrate",
        metavar="SPIKES",
        type=Path,
        help="input spikes, .npz or .h5, from which the scales of a float network are chosen",
    )
    parser.add_argument(
        "--approximate",
        action="store_true",
        help="accept layers that can only be approximated, and measure "
        "the error on the spikes of --calibrate",
    )
    parser.add_argument(
        "--relays",
        choices=("auto", "ceiling", "copies"),
        help="for graphs: how spikes are relayed past a layer whose threshold is above 253: a "
        "ceiling on its scale, copies, or the cheaper of the two (auto, the default)",
    )
    parser.add_argument(
        "--growth",
        metavar="TIMES",
        type=float,
        help="for graphs: largest number of neurons in the chain, as a multiple of the graph's own "
        "(default 64)",
    )
    parser.add_argument(
        "--hw",
        metavar="NAME",
        help="check a chip's limits first (a profile's name or .toml): if one is exceeded, "
        "nothing is written and the exit code is 1",
    )
    parser.add_argument(
        "--bundle",
        metavar="DIR",
        type=Path,
        help="also write a folder to carry to a Loihi board: OUT.net, input and expected spikes, "
        "and a script that needs only lava-dl",
    )
    parser.add_argument(
        "--spikes",
        metavar="IN",
        type=Path,
        help="input spikes for the bundle or the test vectors, .npz or .h5 (default: random); also "
        "give the input's shape where a .net does not state it",
    )
    parser.add_argument(
        "--diff",
        action="store_true",
        help="write nothing; report how the models MODEL and OUT differ "
        "in meaning, and exit with 1 if they do",
    )
    parser.add_argument(
        "--for",
        metavar="LIBRARY",
        dest="reader",
        help="write OUT.nir as this library reads it, its step included: snntorch, norse, "
        "spikingjelly, sinabs (docs/nir.md); default: by NIR's own definitions",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result as JSON")
    add_model_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Convert, print what was folded, rounded or refused, and return 0; or compare."""
    if args.diff:
        return _diff(args)
    target = _target(args)
    if args.part is not None and target is None:
        return _dense(args)
    from sdcl_neuro.conversion.transfer import transfer
    from sdcl_neuro.hardware import load_profile

    _check_bundle(args)
    vectors = None
    open_shape = Path(args.model).suffix == ".net"
    if args.spikes is not None and (args.bundle is None or open_shape):
        from sdcl_neuro.network.spike_file import read_inputs

        vectors = read_inputs(args.spikes)
    hw = None if args.hw is None else load_profile(args.hw)
    calibration = None
    if args.calibrate is not None:
        from sdcl_neuro.network.spike_file import read_inputs

        calibration = read_inputs(args.calibrate)
    if not args.quiet:
        print(f"converting {args.model}", file=sys.stderr)
    try:
        done = transfer(
            args.model,
            args.out if args.hdl is None else args.hdl,
            calibration=calibration,
            approximate=args.approximate,
            hw=hw,
            reader=args.reader,
            target=target,
            vectors=vectors,
            relays=args.relays,
            growth=args.growth,
            **model_options(args),
        )
    except NetworkRefused as error:
        for reason in error.refusals:
            print(f"refused  {reason}")
        raise
    print(done)
    if args.bundle is not None:
        print(_bundle(args))
    if args.json is not None:
        from sdcl_neuro.files import write_json

        write_json(args.json, done.to_json())
    if not args.quiet:
        print(f"account in {done.report_path}", file=sys.stderr)
    return 0


def _target(args: argparse.Namespace) -> str | None:
    """Return the target's name where the ending alone does not say it; None where it does."""
    if args.hdl is not None:
        if args.out is not None or args.part is not None:
            what = "--hdl DIR stands instead of OUT and --part"
            raise InputError(what, hint="give one of them, once each")
        return "verilog"
    if args.out is None:
        raise InputError("no output is named", where="convert", hint="give OUT, or --hdl DIR")
    if args.part == "event":
        if Path(args.out).suffix != ".onnx":
            raise InputError(
                "--part event is written as ONNX", where=args.out, hint="name the output OUT.onnx"
            )
        return "onnx"
    if args.part is None and Path(args.out).suffix == ".onnx":
        raise InputError(
            "no part is named",
            where=args.out,
            hint="give --part event, --part frame-branch or --part bridge",
        )
    return None


def _dense(args: argparse.Namespace) -> int:
    """Write a part of the dense side as ONNX, print how it compares with torch, return 0."""
    names = ("calibrate", "approximate", "relays", "growth", "hw", "bundle", "spikes", *_READING)
    for name in names:
        if getattr(args, name):
            what = f"--{_READING.get(name, name)} with the dense side, which has no spikes"
            raise InputError(what, hint="leave it out, or name the output OUT.net or OUT.nir")
    from sdcl_neuro.conversion.targets.onnx_export import export_onnx

    if not args.quiet:
        print(f"converting the {args.part} of {args.model}", file=sys.stderr)
    done = export_onnx(args.model, args.out, part=args.part)
    print(done)
    if args.json is not None:
        from sdcl_neuro.files import write_json

        write_json(args.json, done.to_json())
    if not args.quiet:
        print(f"account in {done.report_path}", file=sys.stderr)
    return 0


def _diff(args: argparse.Namespace) -> int:
    """Compare two models; 0 if they compute the same, 1 if not."""
    for name in (
        "calibrate",
        "approximate",
        "relays",
        "growth",
        "hw",
        "bundle",
        "spikes",
        "part",
        "reader",
        "input_shape",
        "skip_input",
        "hdl",
    ):
        if getattr(args, name):
            what = f"--{_READING.get(name, name)} with --diff, which writes nothing"
            raise InputError(what, hint="leave one out")
    if args.out is None:
        raise InputError("--diff compares two models", hint="give both: MODEL OTHER")
    from sdcl_neuro.conversion.difference import difference

    found = difference(args.model, args.out, dt=args.dt, writer=args.writer)
    print(found)
    if args.json is not None:
        from sdcl_neuro.files import write_json

        write_json(args.json, found.to_json())
    if not found.same:
        print(f"sdcl-neuro: {args.model} and {args.out} differ; see above", file=sys.stderr)
    return 0 if found.same else 1


def _check_bundle(args: argparse.Namespace) -> None:
    """Find what would stop the bundle before anything is written."""
    if args.bundle is None:
        return
    if args.out is None or Path(args.out).suffix != ".net":
        where = args.out or "--hdl"
        raise InputError("a bundle holds a .net", where=where, hint="name the output OUT.net")
    from sdcl_neuro.conversion.bundle.writer import check_bundle_folder

    check_bundle_folder(args.bundle)


def _bundle(args: argparse.Namespace) -> Bundle:
    """Write the bundle of what was converted."""
    from sdcl_neuro.conversion.bundle.writer import to_bundle

    spikes = None
    if args.spikes is not None:
        from sdcl_neuro.network.spike_file import read_inputs

        spikes = read_inputs(args.spikes)
    return to_bundle(args.out, spikes, args.bundle, name=Path(args.out).name)

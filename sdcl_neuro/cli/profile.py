"""What a network does on a file of spikes, and what that costs on given hardware."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import write_json

from .hardware_names import hardware_names
from .model_options import add_model_options, open_with_spikes
from .renamed import add_renamed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a checkpoint folder, .nir or .net")
    parser.add_argument(
        "--spikes",
        metavar="IN",
        type=Path,
        required=True,
        help=".npz or .h5, 'spikes' [T, B, ...], or an array for each input by its name; .nirdata",
    )
    parser.add_argument(
        "--hw",
        metavar="NAMES",
        default="loihi1,loihi2",
        help="hardware profiles, names or .toml paths, separated by commas (hw list names them)",
    )
    parser.add_argument(
        "--step-us", metavar="US", type=float, help="time of a step, if known (default: modelled)"
    )
    parser.add_argument(
        "--host-us", metavar="US", type=float,
        help=
        "time that the host adds to every step, if known (0: the "
        "chip receives its input by itself; default: unknown)",
    )  # fmt: skip
    add_renamed(
        parser,
        "--inference-rate",
        "--rate",
        metavar="HZ",
        type=float,
        help="inferences per second, for the mean power",
    )
    parser.add_argument("--device", default="cpu", help="cpu (default) or a GPU, as torch names it")
    parser.add_argument(
        "--simulate", metavar="NAME", choices=("sanafe",),
        help="compare the model's times, energies and messages with another simulator's, step by "
        "step: sanafe (Loihi 1; loihi1 must be among --hw)",
    )  # fmt: skip
    parser.add_argument(
        "--sanafe", metavar="PYTHON",
        help="for --simulate: the Python that has it (else $SDCL_NEURO_SANAFE, or one on the path)",
    )  # fmt: skip
    parser.add_argument(
        "--baseline", metavar="FILE", type=Path,
        help=
        "JSON of an earlier profile to compare with; exit code 1 if "
        "a figure moved by more than the tolerance",
    )  # fmt: skip
    parser.add_argument(
        "--tolerance", metavar="PERCENT", type=float, default=5.0,
        help="for --baseline: largest change that passes, up or down (default: 5)",
    )  # fmt: skip
    parser.add_argument("--json", metavar="FILE", type=Path, help="the profile as JSON")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="every figure as a row")
    parser.add_argument("--html", metavar="FILE", type=Path, help="one page, no network needed")
    add_model_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Run, price, print, write what was asked for, and return 0."""
    from sdcl_neuro.conversion.costs import profile
    from sdcl_neuro.hardware import load_profile
    from sdcl_neuro.profiling.baseline import compare, read_baseline

    names = hardware_names(args.hw)
    targets = [load_profile(name) for name in names]
    baseline = read_baseline(args.baseline) if args.baseline else {}
    model, spikes = open_with_spikes(args)
    model.need_integer()
    _check_simulator(args, [target.name for target in targets])
    if not args.quiet:
        print(f"profiling {args.model} on {', '.join(names)}", file=sys.stderr)
    result = profile(
        model,
        spikes,
        simulate=args.simulate,
        sanafe=args.sanafe,
        hw=targets,
        step_us=args.step_us,
        host_us=args.host_us,
        rate_hz=args.inference_rate,
        device=args.device,
    )
    print(result)
    compared = None
    if args.baseline:
        compared = compare(
            result, baseline, path=str(args.baseline), tolerance=args.tolerance / 100
        )
        print("", compared, sep="\n")
    if args.json:
        extra = {} if compared is None else {"baseline": compared.to_dict()}
        write_json(args.json, result.to_dict() | extra)
    if args.csv:
        result.to_csv(args.csv)
    if args.html:
        result.to_html(args.html)
    if compared is not None:
        compared.require()
    return 0


def _check_simulator(args: argparse.Namespace, targets: list[str]) -> None:
    """Raise InputError for options of a simulator that does not run, or lacks its target."""
    if args.sanafe is not None and args.simulate is None:
        raise InputError(
            "--sanafe without --simulate", where="--sanafe", hint="add --simulate sanafe"
        )
    if args.simulate is not None and "loihi1" not in targets:
        raise InputError(
            f"SANA-FE simulates loihi1, which is not among {', '.join(targets)}",
            where="--simulate",
            hint="add loihi1 to --hw",
        )

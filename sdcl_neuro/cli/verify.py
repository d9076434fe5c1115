"""Prove backends equal, spike for spike, and write the certificate."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdcl_neuro.conversion.backends.table import help_line
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.backend_names import labels

from .model_options import add_model_options, open_model, open_with_spikes
from .renamed import add_renamed

if TYPE_CHECKING:
    from sdcl_neuro.conversion.model import Model

_RANDOM = {"steps": "steps", "samples": "samples", "rate": "spike_rate", "seed": "seed"}
"""Fields of `RandomInput`, and the options that give them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a checkpoint folder, .nir or .net")
    parser.add_argument(
        "--against",
        metavar="NAME,...",
        help=help_line("lava, or none with --recorded"),
    )
    parser.add_argument(
        "--recorded",
        metavar="FILE",
        type=Path,
        help="compare with spikes recorded elsewhere, on a board or in another simulator: "
        ".npz, .h5 or .nirdata with layer_0, layer_1, ... as `run --out` writes, and the input as "
        "spikes or --spikes",
    )
    parser.add_argument(
        "--recorded-shift",
        metavar="N,...",
        help="steps by which the recorded spikes are late, for all layers or for each recorded one "
        "(default: found and reported)",
    )
    parser.add_argument(
        "--spikes", metavar="IN", type=Path, help="input, .npz, .h5 or .nirdata; random if left out"
    )
    parser.add_argument("--steps", metavar="T", type=int, help="steps of random input (16)")
    parser.add_argument("--samples", metavar="B", type=int, help="samples of random input (1)")
    add_renamed(
        parser,
        "--spike-rate",
        "--rate",
        metavar="R",
        type=float,
        help="spikes per input and step of random input (0.1)",
    )
    parser.add_argument("--seed", metavar="S", type=int, help="seed of random input (0)")
    parser.add_argument("--layers", metavar="I,J", help="layers to compare, from 0; default: all")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the certificate as JSON")
    parser.add_argument(
        "--strict", action="store_true", help="exit with 1 if anything is listed as not checked"
    )
    add_model_options(parser)
    parser.add_argument(
        "--no-cache", action="store_true", help="compute the certificate again and keep no copy"
    )


def execute(args: argparse.Namespace) -> int:
    """Verify, print the certificate, write it, and return 0, or 1 if a verdict does not hold."""
    names = _names(args)
    layers = _numbers(args.layers, "--layers")
    shift = _numbers(args.recorded_shift, "--recorded-shift")
    if shift is not None and args.recorded is None:
        raise InputError("--recorded-shift without --recorded", hint="give --recorded FILE")
    model, spikes = _model_and_spikes(args)
    from sdcl_neuro.conversion.parity.verify import verify

    if not args.quiet:
        with_file = [] if args.recorded is None else [str(args.recorded)]
        print(f"comparing {args.model} with {', '.join(names + with_file)}", file=sys.stderr)
    certificate = verify(
        model,
        spikes=spikes,
        against=names,
        layers=layers,
        cache=False if args.no_cache else None,
        recorded=args.recorded,
        recorded_shift=shift,
    )
    print(certificate)
    if args.json is not None:
        from sdcl_neuro.files import write_json

        write_json(args.json, certificate.to_json())
    if not certificate.holds:
        broken = [labels(p.backends, " and ") for p in certificate.pairs if p.holds is False]
        print(
            f"sdcl-neuro: {args.model}: parity is broken between {'; '.join(broken)}; "
            "see the first mismatch and its cause above",
            file=sys.stderr,
        )
        return certificate.exit_code
    if args.strict and not certificate.complete:
        some = "; ".join(note.what for note in certificate.not_checked[:3])
        more = "; ..." if len(certificate.not_checked) > 3 else ""
        print(
            f"sdcl-neuro: {args.model}: not checked: {some}{more}; see the reasons above",
            file=sys.stderr,
        )
        return 1
    return certificate.exit_code


def _names(args: argparse.Namespace) -> list[str]:
    """Return the backends to compare; none of their own accord where spikes were recorded."""
    if args.against is None:
        return [] if args.recorded is not None else ["lava"]
    return [name for name in (part.strip() for part in args.against.split(",")) if name]


def _model_and_spikes(args: argparse.Namespace) -> tuple[Model, Any]:
    """Return the model, and the file's spikes, or random input as described."""
    described = {
        name: value
        for name, option in _RANDOM.items()
        if (value := getattr(args, option)) is not None
    }
    if args.spikes is not None:
        if described:
            names = ", ".join(f"--{_RANDOM[name].replace('_', '-')}" for name in described)
            raise InputError(f"{names} describe random input", hint="leave them or --spikes out")
        return open_with_spikes(args)
    if args.recorded is not None and not described:
        return open_model(args), None  # the input that was recorded
    from sdcl_neuro.conversion.parity.verify import RandomInput

    return open_model(args), RandomInput(**described)


def _numbers(text: str | None, option: str) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        what = f"expected whole numbers, got {text!r}"
        raise InputError(what, where=option, hint=f"give {option} 0,1") from None

"""Run a network on a file of spikes."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdcl_neuro.conversion.backends.table import BACKENDS, BASE, find_backend, help_line
from sdcl_neuro.errors import InputError
from sdcl_neuro.files import file_sha256, keep_apart, write_json
from sdcl_neuro.network.backend_names import label
from sdcl_neuro.network.record import LayerActivity, Record
from sdcl_neuro.processors import settle

from . import threads_argument
from .model_options import (
    add_model_options,
    open_model,
    open_with_spikes,
    print_provenance,
    provenance_json,
)

if TYPE_CHECKING:
    from sdcl_neuro.conversion.model import Model

SCHEMA = {"name": "sdcl_neuro.run", "version": 1}
ENDINGS = (".npz", ".h5", ".nirdata")
OPTIONS = {"timeout_s": "--timeout", "run_cfg": "--run-cfg", "sanafe": "--sanafe"}
"""Options of single backends: keyword and spelling."""


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
        "--out",
        metavar="OUT",
        type=Path,
        required=True,
        help=".npz, .h5 or .nirdata: layer_0, layer_1, ...",
    )
    parser.add_argument("--backend", choices=list(BACKENDS), default=BASE, help=help_line())
    parser.add_argument(
        "--layers", metavar="I,J", help="layers to keep, counted from 0; all if left out"
    )
    parser.add_argument("--device", default="cpu", help="cpu (default) or a GPU, as torch names it")
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=float,
        dest="timeout_s",
        help="lava and sanafe: give up after S s",
    )
    parser.add_argument(
        "--sanafe",
        metavar="PYTHON",
        help="sanafe only: the Python that has it (else $SDCL_NEURO_SANAFE, or one on the path)",
    )
    parser.add_argument(
        "--run-cfg", choices=("sim", "loihi2hw"), help="lava only: where Lava runs (sim)"
    )
    threads_argument(parser)
    parser.add_argument("--json", metavar="FILE", type=Path, help="counts and versions, as JSON")
    add_model_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Run, write the spikes, print the counts, and return 0."""
    layers = _layers(args.layers)
    if args.out.suffix not in ENDINGS:
        raise InputError(
            f"{args.out.name} ends in none of {', '.join(ENDINGS)}", where="--out", hint="rename it"
        )
    keep_apart(args.out, args.spikes)
    if not args.quiet:
        print(f"{label(args.backend)}: running {args.model}", file=sys.stderr)
    threads = settle()
    in_pieces = args.backend == BASE and {args.spikes.suffix, args.out.suffix} == {".h5"}
    record, model = (_run_in_pieces if in_pieces else _run_at_once)(args, layers)
    print(record)
    print_provenance(model)
    if args.json:
        write_json(
            args.json,
            {
                **_summary(record, args.out, layers),
                "threads": threads.to_dict(),
                **provenance_json(model),
            },
        )
    return 0


def _run_at_once(args: argparse.Namespace, layers: list[int] | None) -> tuple[Record, Model]:
    """Run through any backend, all spikes in memory."""
    from sdcl_neuro.conversion.backends.run import run
    from sdcl_neuro.network.spike_file import write_spikes

    model, spikes = open_with_spikes(args)
    record = run(
        model,
        spikes,
        backend=args.backend,
        layers=layers,
        device=args.device,
        **_options(args),
    )
    write_spikes(args.out, record, step_s=_step(args, model, record))
    return record, model


def _step(args: argparse.Namespace, model: Model, record: Record) -> float | None:
    """Return the step that a ``.nirdata`` states; said where none is known, and what it leaves
    out.
    """
    if args.out.suffix != ".nirdata":
        return None
    if record.readouts:
        raise InputError(
            "it holds no read-outs", where=args.out.name, hint="write .npz or .h5 in its place"
        )
    seconds = None if model.step is None else model.step.seconds
    if seconds is None:
        print("assumed  dt of the .nirdata: 1 (time in steps): the model states no step")
    return seconds


def _run_in_pieces(args: argparse.Namespace, layers: list[int] | None) -> tuple[Record, Model]:
    """Run through the engine, from one ``.h5`` file into another, in bounded memory."""
    from sdcl_neuro.conversion.backends import loihi
    from sdcl_neuro.conversion.backends.graph_found import graph_model

    _options(args)
    model = open_model(args)
    if graph_model(model) is not None:
        return _run_at_once(args, layers)
    done = loihi.run_file(model, args.spikes, args.out, layers=layers, device=args.device)
    return done, model


def _layers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        hint = "give layer numbers, such as 0,1"
        raise InputError(f"{text!r} is not a list of layers", where="--layers", hint=hint) from None


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options that were given; InputError for one that the backend does not have."""
    given = {name: value for name in OPTIONS if (value := getattr(args, name)) is not None}
    for name in given:
        if name not in find_backend(args.backend).options:
            having = [row.name for row in BACKENDS.values() if name in row.options]
            raise InputError(
                f"{OPTIONS[name]} is not an option of the backend {args.backend}",
                hint=f"leave it out, or use --backend {' or '.join(having)}",
            )
    return given


def _summary(record: Record, out: Path, layers: list[int] | None) -> dict[str, Any]:
    """Return the record without its spikes, as plain JSON."""
    kept = range(len(record.activity)) if layers is None else sorted(set(layers))
    return {
        "schema": SCHEMA,
        "backend": record.backend,
        "steps": record.steps,
        "samples": record.samples,
        "input_shape": list(record.input_shape),
        "layers_kept": sorted(record.spikes) or list(kept),
        "readouts": {
            f"readout_{index}": {"unit": unit, "clipped": record.saturations.get(index)}
            for index, unit in record.readout_units.items()
        },
        "activity": [_counts(layer) for layer in record.activity],
        "elapsed_s": record.elapsed_s,
        "versions": dict(record.versions),
        "out": {"file": str(out), "sha256": file_sha256(out)},
    }


def _counts(layer: LayerActivity) -> dict[str, Any]:
    values = {field.name: getattr(layer, field.name) for field in fields(layer)}
    return {
        name: value.tolist() if hasattr(value, "tolist") else value
        for name, value in values.items()
    }

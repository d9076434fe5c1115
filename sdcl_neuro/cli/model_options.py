"""Options on reading a model, shared by every verb that takes one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sdcl_neuro.errors import InputError

if TYPE_CHECKING:
    from sdcl_neuro.conversion.model import Model
    from sdcl_neuro.network.spike_file import InputSpikes


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Declare what a ``.nir`` or ``.net`` may leave open."""
    options = parser.add_argument_group(
        "reading a .nir", "a file of another program does not state its step; give one of these"
    )
    options.add_argument(
        "--dt",
        metavar="SECONDS",
        type=float,
        help="length of a step of the .nir, such as 1e-4",
    )
    options.add_argument(
        "--writer",
        metavar="NAME",
        help="library whose exporter wrote the .nir: nir (NIR's own definitions), snntorch, norse, "
        "spikingjelly, sinabs, sinabs-unnormed, rockpool, spyx; fixes its step, decays and "
        "resets (docs/nir.md)",
    )

    options = parser.add_argument_group("reading a .net")
    options.add_argument(
        "--input-shape",
        metavar="C,H,W",
        help="shape of the input, for a file that begins with a "
        "convolution and has no input layer (spikes state it, too)",
    )
    options.add_argument(
        "--skip-input",
        action="store_true",
        help="leave out the file's input neurons; the spikes given are their output",
    )


def model_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options as keyword arguments of `load`."""
    return {
        "dt": args.dt,
        "writer": args.writer,
        "input_shape": _shape(args.input_shape),
        "skip_input": args.skip_input,
    }


def options_given(args: argparse.Namespace) -> list[str]:
    """Return the names of those that were given, as the command line spells them."""
    given = {name: value for name, value in model_options(args).items() if value}
    return [f"--{name.replace('_', '-')}" for name in given]


def open_model(args: argparse.Namespace, spikes: InputSpikes | None = None) -> Model:
    """Read the model of a verb that has these options; spikes say what its file leaves open."""
    from sdcl_neuro.conversion.model_reading import as_model

    return as_model(args.model, sample=spikes, **model_options(args))


def open_with_spikes(args: argparse.Namespace) -> tuple[Model, InputSpikes]:
    """Read a verb's model and its input spikes, those of several inputs by name.

    An array says the shape that a model's file leaves open. In ``.nirdata`` neurons are flat and
    events have times, so there the model says shape and step.
    """
    from sdcl_neuro.network.nirdata import read_input
    from sdcl_neuro.network.spike_file import is_nirdata, read_inputs

    if not is_nirdata(args.spikes):
        spikes = read_inputs(args.spikes)
        return open_model(args, spikes), spikes
    model = open_model(args)
    step_s = None if model.step is None else model.step.seconds
    return model, read_input(args.spikes, shape=model.input_shape, step_s=step_s)


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = text.lower().replace("x", ",").split(",")
    if len(parts) not in (1, 3) or not all(part.strip().isdecimal() for part in parts):
        raise InputError(
            f"expected C,H,W or N, got {text!r}", where="--input-shape", hint="give one as 2,34,34"
        )
    return tuple(int(part) for part in parts)


def print_provenance(model: Model) -> None:
    """Print for which step a model was read, and what was assumed of it."""
    if model.step is not None:
        print(f"step     {model.step}")
    for note in model.assumed:
        print(f"assumed  {note}")


def provenance_json(model: Model) -> dict[str, Any]:
    """Return the same as plain values."""
    return {
        "step": None if model.step is None else model.step.to_json(),
        "assumed": [note.to_json() for note in model.assumed],
    }

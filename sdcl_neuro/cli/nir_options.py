"""Options on reading a ``.nir``, shared by every verb that takes a model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sdcl_neuro.conversion.model import Model


def add_nir_options(parser: argparse.ArgumentParser) -> None:
    """Declare ``--dt`` and ``--writer``."""
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
        help="whose exporter wrote the .nir: nir (its own words), snntorch, norse, spikingjelly, "
        "sinabs, sinabs-unnormed, rockpool, spyx; says its step, decays and resets (docs/nir.md)",
    )


def nir_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return ``dt`` and ``writer`` as keyword arguments."""
    return {"dt": args.dt, "writer": args.writer}


def open_model(args: argparse.Namespace) -> Model:
    """Read the model of a verb that has these options."""
    from sdcl_neuro.conversion.model import load_model

    return load_model(args.model, **nir_options(args))


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

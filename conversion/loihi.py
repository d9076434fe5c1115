"""The engine as a backend: a network in Loihi's exact integers, ours, on CPU or GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..engine import run_network
from ..errors import InputError
from ..record import Record
from ..spec import IntNetwork


def run(
    model: Any, spikes: object, *, layers: Sequence[int] | None = None, device: str = "cpu"
) -> Record:
    """Run `model` (a `Model`, or an `IntNetwork`) in the engine; see `engine.run_network`."""
    net = model if isinstance(model, IntNetwork) else getattr(model, "integer", None)
    if not isinstance(net, IntNetwork):
        mend = "quantise it first: sdcl_neuro.conversion.quantize"
        raise InputError("a network without chip integers", where="loihi", mend=mend)
    return run_network(net, spikes, layers=layers, device=device)

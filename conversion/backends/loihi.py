"""The engine as a backend: a network in Loihi's exact integers, ours, on CPU or GPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdcl_neuro import engine
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork

if TYPE_CHECKING:
    from ..model import Model


def run(
    model: Model | IntNetwork,
    spikes: object,
    *,
    layers: Sequence[int] | None = None,
    device: str = "cpu",
) -> Record:
    """Run a network in the engine; see `engine.run_network`."""
    net = model if isinstance(model, IntNetwork) else model.need_integer()
    return engine.run_network(net, spikes, layers=layers, device=device)


def run_file(
    model: Model | IntNetwork,
    source: Path,
    target: Path,
    *,
    layers: Sequence[int] | None = None,
    device: str = "cpu",
) -> Record:
    """Run a ``.h5`` file of spikes into another, piece by piece; see `engine.run_file`."""
    net = model if isinstance(model, IntNetwork) else model.need_integer()
    return engine.run_file(net, source, target, layers=layers, device=device)

"""NIR as a row of the table of targets."""

from __future__ import annotations

from pathlib import Path

from sdcl_neuro.network.spec import FloatNetwork, IntNetwork
from sdcl_neuro.network.spike_file import Spikes

from ...lowering.graph.nodes import FloatGraph
from ..written import Written
from .writer import to_nir


def write(
    net: FloatNetwork | IntNetwork | FloatGraph,
    out: Path,
    *,
    spikes: Spikes | None = None,
    reader: str | None = None,
) -> Written:
    """Write a ``.nir`` for a reader; it holds no test vectors."""
    del spikes
    return Written("nir", out, to_nir(net, out, reader=reader), (out,))

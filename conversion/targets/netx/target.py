"""netx as a row of the table of targets."""

from __future__ import annotations

from pathlib import Path

from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import Spikes

from ..written import Written
from .file import to_netx


def write(net: IntNetwork, out: Path, *, spikes: Spikes | None = None) -> Written:
    """Write a ``.net``; it holds no test vectors."""
    del spikes
    return Written("netx", out, to_netx(net, out), (out,))

"""The targets that are one file: netx and NIR."""

from __future__ import annotations

from pathlib import Path

from sdcl_neuro.network.spec import FloatNetwork, IntNetwork
from sdcl_neuro.network.spike_file import Spikes

from ..sources.nir.graph import to_nir
from .netx.file import to_netx
from .written import Written


def write_netx(net: IntNetwork, out: Path, *, spikes: Spikes | None = None) -> Written:
    """Write a ``.net``; it holds no test vectors."""
    del spikes
    return Written("netx", out, to_netx(net, out), (out,))


def write_nir(
    net: FloatNetwork | IntNetwork, out: Path, *, spikes: Spikes | None = None
) -> Written:
    """Write a ``.nir``; it holds no test vectors."""
    del spikes
    return Written("nir", out, to_nir(net, out), (out,))

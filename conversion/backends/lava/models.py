"""Which process model Lava takes for each process of a netx network in fixed point.

Lava finds them by executing every module beside the process: seconds in all, and among them is
one that imports torch. What it chooses under ``Loihi2SimCfg(select_tag="fixed_pt")`` is always
this (a test asks Lava); processes not named here are left to its search.
"""

from __future__ import annotations

from typing import Any

from lava.lib.dl.netx.hdf5 import Network, PyNetworkModel
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv
from lava.proc.dense.models import PyDelayDenseModelBitAcc, PyDenseModelBitAcc
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.lif.models import PyLifModelBitAcc, PyLifResetModelBitAcc
from lava.proc.lif.process import LIF, LIFReset

FIXED_POINT: dict[type, type] = {
    Conv: PyConvModelFixed,
    Dense: PyDenseModelBitAcc,
    DelayDense: PyDelayDenseModelBitAcc,
    LIF: PyLifModelBitAcc,
    LIFReset: PyLifResetModelBitAcc,
    Network: PyNetworkModel,
}


class Models(dict[Any, type]):
    """A run configuration's ``exception_proc_model_map`` that also looks up by type."""

    def __contains__(self, process: object) -> bool:
        return super().__contains__(process) or type(process) in FIXED_POINT

    def __missing__(self, process: object) -> type:
        return FIXED_POINT[type(process)]

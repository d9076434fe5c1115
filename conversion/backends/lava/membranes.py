"""Lava's neurons of a read-out layer, which write their membranes to a file after each step.

Lava's own probes read one variable an element at a time. This is Lava's process model with one
copy more; only the worker imports it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import PyLifResetModelBitAcc
from lava.proc.lif.process import LIFReset

KEY = "membranes"


def write_membranes(neuron: Any, *, path: str, first: int, count: int, delay: int) -> type:
    """Let a `LIFReset` write its membranes; return the model that does so.

    Args:
        neuron: the process.
        path: raw int32 file of rows of one value a neuron, which exists already; neurons in
            torch's order (c, y, x).
        first, count: the rows to fill.
        delay: steps from the first row's input to its effect here.
    """
    neuron.proc_params[KEY] = {"path": path, "first": first, "count": count, "delay": delay}
    return PyLifResetWithMembranes


@implements(proc=LIFReset, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyLifResetWithMembranes(PyLifResetModelBitAcc):
    """`PyLifResetModelBitAcc`, with a copy of ``v`` after every step."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._where = proc_params[KEY]
        width = int(np.prod(proc_params["shape"]))
        rows = np.memmap(self._where["path"], dtype=np.int32, mode="r+")
        self._rows = rows.reshape(-1, width)

    def run_spk(self) -> None:
        """Run the step, then store the membranes, if the step belongs to the rows asked for."""
        super().run_spk()
        row = self.time_step - 1 - self._where["delay"]
        if 0 <= row < self._where["count"]:
            self._rows[self._where["first"] + row] = self.v.T.reshape(-1)

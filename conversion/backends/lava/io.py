"""Processes that feed spikes into Lava and take them out, through files mapped into memory.

Lava's own sinks are read with ``Var.get()``, which sends every element as a message of its own
(12 us each). Here the processes, which Lava runs as forks of the worker, map files that the
parent can read: a step costs one copy. Only the worker imports this module.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import PyLifResetModelBitAcc
from lava.proc.lif.process import LIFReset


class FileSource(AbstractProcess):
    """Sends one row of a file each step, then silence.

    Args:
        shape: of the port, in Lava's order (x, y, c), or (N,).
        path: ``.npy`` file, uint8 ``[rows, ...]``, in torch's order.
        first, count: the rows to send.
    """

    def __init__(self, *, shape: tuple[int, ...], path: str, first: int, count: int) -> None:
        super().__init__(shape=shape, path=path, first=first, count=count)
        self.s_out = OutPort(shape=shape)


class FileSink(AbstractProcess):
    """Writes each step's spikes as packed bits into a row of a file.

    Args:
        shape: of the port, in Lava's order (x, y, c), or (N,).
        path: raw file of ``rows`` rows of ``ceil(N / 8)`` bytes, which exists already; neurons
            in torch's order (c, y, x).
        first, count: the rows to fill.
        delay: steps from the first row's input to its output here.
    """

    def __init__(
        self, *, shape: tuple[int, ...], path: str, first: int, count: int, delay: int
    ) -> None:
        super().__init__(shape=shape, path=path, first=first, count=count, delay=delay)
        self.a_in = InPort(shape=shape)


def drive_from_file(
    neurons: AbstractProcess, *, path: str, first: int, count: int, weight: int, bias: int
) -> None:
    """Let input neurons be driven by a file; see `PyFileDriven`."""
    given = {"path": path, "first": first, "count": count, "weight": weight, "bias": bias}
    neurons.proc_params["drive"] = given


@implements(proc=LIFReset, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFileDriven(PyLifResetModelBitAcc):
    """Runs Lava's neurons, their bias set in each step to ``weight * x + bias`` of a file's row."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._drive = proc_params["drive"]
        self._inputs = np.load(self._drive["path"], mmap_mode="r")

    def run_spk(self) -> None:
        """Set the bias of this step, then step; the first step is 1."""
        step = self.time_step - 1
        row = np.zeros(self._inputs.shape[1:], np.int32)
        if step < self._drive["count"]:
            row = self._inputs[self._drive["first"] + step].astype(np.int32)
        # Lava's axes run backwards.
        self.bias_mant = self._drive["weight"] * row.T + self._drive["bias"]
        super().run_spk()


@implements(proc=FileSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFileSource(PyLoihiProcessModel):
    """Runs `FileSource`."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._rows = np.load(proc_params["path"], mmap_mode="r")
        self._shape = proc_params["shape"]
        self._silence = np.zeros(self._shape, np.int32)

    def run_spk(self) -> None:
        """Send the row of this step; the first step is 1."""
        step = self.time_step - 1
        if step >= self.proc_params["count"]:
            self.s_out.send(self._silence)
            return
        row = self._rows[self.proc_params["first"] + step].astype(np.int32)
        # Lava's axes run backwards; in front of a dense layer torch's order is flattened as it is.
        self.s_out.send(row.T if row.ndim == len(self._shape) else row.reshape(-1))


@implements(proc=FileSink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFileSink(PyLoihiProcessModel):
    """Runs `FileSink`."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        width = -(-int(np.prod(proc_params["shape"])) // 8)
        path = proc_params["path"]
        self._rows = np.memmap(path, dtype=np.uint8, mode="r+").reshape(-1, width)

    def run_spk(self) -> None:
        """Store the spikes of this step, if they belong to the rows asked for."""
        spikes = self.a_in.recv()
        row = self.time_step - 1 - self.proc_params["delay"]
        if 0 <= row < self.proc_params["count"]:
            self._rows[self.proc_params["first"] + row] = np.packbits(spikes.T.reshape(-1) != 0)

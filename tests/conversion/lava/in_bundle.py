"""Runs a bundle's own script in this Python: ``in_bundle.py FOLDER LATE ARGUMENTS``.

``FOLDER/run_on_loihi.py`` is run as it is, after Lava has been mended. LATE stands for a board:
adapters that pass spikes on, that many steps late on each way, and simulation in the board's
place; ``-`` is not a board.
"""

from __future__ import annotations

import runpy
import sys
import types
import warnings
from pathlib import Path
from typing import Any

from sdcl_neuro.conversion.backends.lava import compat as lava_compat


def stand_in_for_a_board(late: int) -> None:
    """Put adapters where Intel's extension has them, and the simulation's configuration."""
    import numpy as np
    from lava.magma.core import run_configs
    from lava.magma.core.decorator import implements, requires, tag
    from lava.magma.core.model.py.model import PyLoihiProcessModel
    from lava.magma.core.model.py.ports import PyInPort, PyOutPort
    from lava.magma.core.model.py.type import LavaPyType
    from lava.magma.core.process.ports.ports import InPort, OutPort
    from lava.magma.core.process.process import AbstractProcess
    from lava.magma.core.resources import CPU
    from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

    class Adapter(AbstractProcess):
        def __init__(self, *, shape: Any, num_message_bits: int = 0) -> None:
            super().__init__(shape=shape, num_message_bits=num_message_bits)
            self.inp = InPort(shape=shape)
            self.out = OutPort(shape=shape)

    @implements(proc=Adapter, protocol=LoihiProtocol)
    @requires(CPU)
    @tag("fixed_pt")
    class Model(PyLoihiProcessModel):
        inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
        out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

        def __init__(self, proc_params: Any) -> None:
            super().__init__(proc_params)
            self.waiting = [np.zeros(proc_params["shape"], np.int32) for _ in range(late)]

        def run_spk(self) -> None:
            self.waiting.append(self.inp.recv())
            self.out.send(self.waiting.pop(0))

    class Models(dict[Any, type]):
        """Also finds the model of an adapter, whichever it is."""

        def __contains__(self, process: object) -> bool:
            return super().__contains__(process) or isinstance(process, Adapter)

        def __missing__(self, process: object) -> type:
            return Model

    def configuration(*, exception_proc_model_map: dict[Any, type]) -> Any:
        models = Models(exception_proc_model_map)
        return run_configs.Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=models)

    module = types.ModuleType("lava.proc.embedded_io.spike")
    names = ("PyToN3ConvAdapter", "PyToNxAdapter", "NxToPyAdapter")
    vars(module).update(dict.fromkeys(names, Adapter))
    sys.modules[module.__name__] = module
    run_configs.Loihi2HwCfg = configuration


if __name__ == "__main__":
    folder, late, *arguments = sys.argv[1:]
    warnings.simplefilter("ignore")
    lava_compat.apply()
    if late != "-":
        stand_in_for_a_board(int(late))
    sys.argv = [str(Path(folder, "run_on_loihi.py")), *arguments]
    runpy.run_path(sys.argv[0], run_name="__main__")

"""The table of backends: what runs a network, one row each.

To add one: a file with a function ``run(model, spikes, *, layers, device, **options) -> Record``,
and a row here. The command line, certificates, evaluation and inference read this table;
docs/how-to/add-a-backend.md follows the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, cast

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.backend_names import label

if TYPE_CHECKING:
    from sdcl_neuro.network.record import Record

_ROOT = __package__.rpartition(".")[0]


@dataclass(frozen=True)
class Backend:
    """One way to run a network.

    Attributes:
        name: in options, files and certificates.
        title: as a person reads it.
        function: ``module:function`` below `sdcl_neuro.conversion`, imported when it is run.
        arithmetic: ``exact`` computes the chip's integers and must agree with every other exact
            backend, spike for spike; ``float`` computes the float network.
        help: one clause for ``--help`` and tables.
        from_file: runs what was written to a ``.net`` file, so an evaluation writes one first.
        slow_layers: reading a layer's spikes costs seconds, so only those asked for are read.
        cpu_only: takes no other device.
        check: ``module:function`` below `sdcl_neuro.conversion` that raises `EnvironmentFault`
            where the backend cannot run; called before long work. None if it always can.
        libraries: distributions that compute, for certificates.
        programs: ``module:function`` below `sdcl_neuro.conversion` that returns the programs that
            compute and their versions, for certificates; None if there are none.
        extra: of the package, that brings them; None if nothing does.
        options: keywords of its function besides ``layers`` and ``device``.
    """

    name: str
    title: str
    function: str
    arithmetic: Literal["exact", "float"]
    help: str
    from_file: bool = False
    slow_layers: bool = False
    cpu_only: bool = False
    check: str | None = None
    libraries: tuple[str, ...] = ()
    programs: str | None = None
    extra: str | None = None
    options: tuple[str, ...] = ()

    def load(self) -> Callable[..., Record]:
        """Import and return the function."""
        return cast("Callable[..., Record]", _imported(self.function))

    def require(self) -> None:
        """Raise `EnvironmentFault` if it cannot run on this machine."""
        if self.check is not None:
            _imported(self.check)()

    def program_versions(self) -> dict[str, str]:
        """Return the programs that compute, with their versions."""
        return {} if self.programs is None else dict(_imported(self.programs)())


ROWS = (
    Backend(
        name="loihi",
        title=label("loihi"),
        function="backends.loihi:run",
        arithmetic="exact",
        help="the Loihi engine (software), integers on CPU and GPU",
        from_file=True,
        libraries=("numba", "llvmlite"),
    ),
    Backend(
        name="snntorch-int",
        title="snnTorch in chip integers",
        function="backends.snntorch_run:run_integer",
        arithmetic="exact",
        help="the modules that train, in the chip's integers",
        libraries=("torch", "snntorch"),
    ),
    Backend(
        name="lava",
        title="Lava (netx, fixed point)",
        function="backends.lava.backend:run",
        arithmetic="exact",
        help="lava-dl's netx in Lava's fixed point",
        from_file=True,
        slow_layers=True,
        cpu_only=True,
        check="backends.lava.installation:require_lava",
        libraries=("lava-nc", "lava-dl"),
        extra="lava",
        options=("timeout_s", "run_cfg"),
    ),
    Backend(
        name="sanafe",
        title="SANA-FE (Loihi 1)",
        function="backends.sanafe.backend:run",
        arithmetic="exact",
        help="SANA-FE's simulator of Loihi 1, a program of its own",
        cpu_only=True,
        check="backends.sanafe.interpreter:require_sanafe",
        programs="backends.sanafe.interpreter:programs",
        options=("sanafe", "timeout_s"),
    ),
    Backend(
        name="onnx",
        title="ONNX (onnxruntime)",
        function="backends.onnx:run",
        arithmetic="exact",
        help="the ONNX file, run by onnxruntime",
        cpu_only=True,
        check="targets.onnx_event.writer:require_onnx",
        libraries=("onnx", "onnxruntime"),
        extra="onnx",
    ),
    Backend(
        name="c",
        title="C99",
        function="backends.c:run",
        arithmetic="exact",
        help="the C file, compiled here and run",
        cpu_only=True,
        check="targets.c.build:find_compiler",
        programs="backends.c:programs",
    ),
    Backend(
        name="verilog",
        title="SystemVerilog (Verilator)",
        function="backends.verilog:run",
        arithmetic="exact",
        help="the SystemVerilog design, simulated by Verilator",
        cpu_only=True,
        check="targets.verilog.simulate:find_verilator",
        programs="targets.verilog.simulate:programs",
    ),
    Backend(
        name="snntorch",
        title="snnTorch as trained",
        function="backends.snntorch_run:run_float",
        arithmetic="float",
        help="the float module",
        libraries=("torch", "snntorch"),
    ),
    Backend(
        name="norse",
        title="Norse",
        function="backends.norse:run",
        arithmetic="float",
        help="the float network through NIR",
        check="backends.norse:require_norse",
        libraries=("norse", "nir", "nirtorch"),
        extra="norse",
    ),
)
BACKENDS: dict[str, Backend] = {row.name: row for row in ROWS}
BASE = "loihi"
"""What every other exact backend is compared with, and what runs where none is named."""


def find_backend(name: str) -> Backend:
    """Return the row of a backend.

    Raises:
        InputError: there is no such backend.
    """
    if not isinstance(name, str) or name not in BACKENDS:
        raise InputError(f"unknown backend {name!r}", hint=f"use one of {', '.join(BACKENDS)}")
    return BACKENDS[name]


def help_line(default: str | None = BASE) -> str:
    """Return the backends and what they compute, for ``--help``."""
    listed = "; ".join(f"{row.name}: {row.help}, {row.arithmetic}" for row in ROWS)
    return listed if default is None else f"{listed} (default: {default})"


def _imported(address: str) -> Any:
    module, name = address.split(":")
    return getattr(import_module(f"{_ROOT}.{module}"), name)

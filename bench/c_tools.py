"""A network as C beside the engine: the same steps on one core, every layer's spikes kept.

Timed are the steps alone in both: the engine's own clock around them, and the C program's
processor time in its step function. Set-up, compilation, reading and writing are left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from engine_case import prepared

from sdcl_neuro.network.record import Record

Call = Callable[[], Any]


def engine(**case: Any) -> Call:
    """The engine, by its own choice of path."""
    from sdcl_neuro.engine import run_network

    net, spikes = prepared(**case)
    return lambda: _timed(run_network(net, spikes))


def compiled(compiler: str, options: Iterable[str] = ("-O2",), **case: Any) -> Call:
    """Compile what `convert OUT.c` writes by one compiler, and run it."""
    from sdcl_neuro.conversion.backends.c import build, run_program

    net, spikes = prepared(**case)
    folder = tempfile.TemporaryDirectory(prefix="bench_c")
    program = build(net, Path(folder.name), options=tuple(options), compiler=compiler)

    def call() -> Any:
        assert folder  # kept as long as the program is run
        return _timed(run_program(program, net, spikes))

    return call


def _timed(record: Record) -> Any:
    from harness import Timed

    spikes = {
        f"layer_{index}": np.ascontiguousarray(values) for index, values in record.spikes.items()
    }
    return Timed(record.elapsed_s, spikes)

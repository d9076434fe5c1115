"""One network in Lava: built from its netx file, stepped, stopped. Only the worker imports this."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lava.lib.dl.netx import hdf5
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg

from .io import (
    FileSink,
    FileSource,
    PyFileDriven,
    PyFileSink,
    PyFileSource,
    drive_from_file,
)
from .membranes import write_membranes
from .models import Models

# Messages a channel can hold; Lava takes 64, which for one full-size layer is 17 MB of shared
# memory (containers often have 64 MB). In lockstep hardly more than one waits at a time.
CHANNEL_SIZE = 4


def run_job(job: Mapping[str, Any], *, folder: Path, run_cfg: str) -> dict[str, float]:
    """Run one network over all samples of a job (`backend.Job` says what it holds).

    Returns:
        ``elapsed_s``: seconds of stepping; ``setup_s``: of building, compiling and stopping.
    """
    elapsed = setup = 0.0
    rounds = range(job["samples"]) if job["fresh"] else (0,)
    count = job["steps"] * (1 if job["fresh"] else job["samples"])
    for number in rounds:
        start = time.perf_counter()
        stepping = _run_rows(job, folder, run_cfg, first=number * count, count=count)
        elapsed += stepping
        setup += time.perf_counter() - start - stepping
    return {"elapsed_s": elapsed, "setup_s": setup}


def _run_rows(
    job: Mapping[str, Any], folder: Path, run_cfg: str, *, first: int, count: int
) -> float:
    """Run rows ``first`` to ``first + count`` of the input through a fresh network."""
    shape, drive = job["input_shape"], job["drive"]
    net = hdf5.Network(
        net_config=job["net"],
        input_message_bits=job["message_bits"],
        input_shape=tuple(shape[::-1]) if len(shape) == 3 else None,
        reset_interval=job["steps"],
        # Input neurons are driven in the first step; what comes through a synapse, in the second.
        reset_offset=1 if drive is None else 0,
    )
    rows: dict[str, Any] = {"path": str(folder / job["spikes"]), "first": first, "count": count}
    board = run_cfg == "loihi2hw"
    models: dict[AbstractProcess, type] = {}
    if drive is None:
        source = FileSource(shape=net.inp.shape, **rows)
        into = "PyToN3ConvAdapter" if len(net.inp.shape) == 3 else "PyToNxAdapter"
        _connect(source.s_out, net.inp, into if board else "", bits=job["message_bits"])
        models[source] = PyFileSource
    else:
        weight, bias = drive
        drive_from_file(net.in_layer.neuron, **rows, weight=weight, bias=bias)
        models[net.in_layer.neuron] = PyFileDriven
    synapses = 1 if drive is None else 0
    for index, path in job["sinks"]:
        out = net.layers[index].out
        # Layer k answers as many steps after its input as there are synapses on the way.
        delay = index + synapses
        sink = FileSink(
            shape=out.shape, path=str(folder / path), first=first, count=count, delay=delay
        )
        _connect(out, sink.a_in, "NxToPyAdapter" if board else "")
        models[sink] = PyFileSink
    for index, path in job["membranes"]:
        neuron = net.layers[index].neuron
        models[neuron] = write_membranes(
            neuron, path=str(folder / path), first=first, count=count, delay=index + synapses
        )
    config = _configuration(models, board=board)
    return _step(net, config, job, steps=count + len(net.layers))


def _connect(source: Any, target: Any, adapter: str, *, bits: int = 0) -> None:
    """Connect two ports, on a board through one of the spike adapters of Lava's Loihi extension."""
    if not adapter:
        source.connect(target)
        return
    from lava.proc.embedded_io import spike  # part of Intel's extension, not of lava-nc

    bridge = getattr(spike, adapter)(shape=target.shape, num_message_bits=bits)
    source.connect(bridge.inp)
    bridge.out.connect(target)


def _configuration(models: dict[AbstractProcess, type], *, board: bool) -> Any:
    if board:
        return Loihi2HwCfg(exception_proc_model_map=models)
    return Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=Models(models))


def _step(net: Any, config: Any, job: Mapping[str, Any], *, steps: int) -> float:
    """Compile, run `steps` steps and stop; return the seconds spent stepping.

    Before its first input a layer with a bias may spike. The reset clears what that leaves in the
    neurons, not the spikes under way through recurrent and delayed synapses: those are cleared by
    hand, between the steps that ``job["clear"]`` names.
    """
    clears: dict[int, list[Any]] = {}
    for after, index, synapse in job["clear"]:
        clears.setdefault(after, []).append(getattr(net.layers[index], synapse).a_buff)
    try:
        net.create_runtime(run_cfg=config, compile_config={"pypy_channel_size": CHANNEL_SIZE})
        elapsed, done = 0.0, 0
        for stop in [*sorted(after for after in clears if 0 < after < steps), steps]:
            start = time.perf_counter()
            net.run(condition=RunSteps(num_steps=stop - done), run_cfg=config)
            elapsed += time.perf_counter() - start
            done = stop
            for buffer in clears.get(stop, ()):
                buffer.set(np.zeros(buffer.shape, np.int32))
        return elapsed
    finally:
        if net.runtime is not None:
            net.stop()

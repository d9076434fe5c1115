"""`to_verilog`: a network as a folder of SystemVerilog, with its testbench and its vectors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np

from sdcl_neuro.engine import run_network
from sdcl_neuro.engine.check import check_network
from sdcl_neuro.errors import CheckFailed, InputError
from sdcl_neuro.files import scratch_folder
from sdcl_neuro.network.arguments import need_integers, need_path, public
from sdcl_neuro.network.identity import path_sha256
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import Spikes, SpikesLike

from ..vectors import sample_spikes
from ..written import Written
from .design import HERE, TOP, constant_bits, files, state_bits
from .simulate import build, expected_text, input_text, simulate
from .synthesise import synthesise

MAX_WEIGHTS = 1 << 22
"""Weights beyond which hex files and simulators take minutes."""


@public
def to_verilog(net: IntNetwork, out: Path | str, *, spikes: SpikesLike | None = None) -> Written:
    """Fill a folder with the design, its memories, a testbench, vectors and a Makefile.

    Where Verilator is installed the design is simulated on the vectors before it is kept, where
    yosys is its cells and memories are counted; the facts say so, or why not.

    Args:
        net: the network, in integers.
        out: the folder, made if it is not there.
        spikes: input of the testbench, uint8 ``[T, B, *input_shape]``; None draws 8 random steps.

    Returns:
        The files that were written, SHA-256 and sizes; prints itself.

    Raises:
        InputError: `out` is a file; more weights than a hex file and a simulator take.
        CheckFailed: a spike differs in the simulation.

    Examples:
        >>> from sdcl_neuro import conversion
        >>> from sdcl_neuro.testing import random_network, random_spikes
        >>> net = random_network(0)
        >>> written = conversion.to_verilog(net, "design")
        >>> "Makefile" in [path.name for path in written.files]
        True
    """
    net = need_integers(net, "to_verilog")
    out = need_path(out, "to_verilog", "name a folder")
    if out.exists() and not out.is_dir():
        what = "is a file, where a folder is to be written"
        raise InputError(what, where=str(out), hint="name a folder")
    check_network(net)
    refuse_size(net)
    values = sample_spikes(net, spikes)
    record = run_network(net, values)
    texts = files(net, TOP) | {"Makefile": (HERE / "Makefile.design").read_text("utf-8")}
    texts["input.txt"] = input_text(net, values)
    texts |= {f"expected_{index}.txt": expected_text(s) for index, s in record.spikes.items()}
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    cycles = simulated_cycles(net, texts, values, record.spikes) if which("verilator") else None
    found = synthesise(out) if which("yosys") else None
    steps = values.shape[0] * values.shape[1]
    facts: dict[str, Any] = {
        "top": TOP,
        "constant_bits": constant_bits(net),
        "state_bits": state_bits(net),
        "steps": steps,
        "synops": sum(int(layer.synops.sum()) for layer in record.activity),
        "updates": sum(int(layer.updates.sum()) for layer in record.activity),
        "compared": sum(layer.size for layer in record.spikes.values()),
        "cycles": cycles,
        "cycles_reason": None if cycles is not None else "verilator is not installed",
        "yosys": None if found is None else found.to_json(),
        "yosys_reason": None if found is not None else "yosys is not installed",
    }
    return Written(
        target="verilog",
        out=out,
        sha256=path_sha256(out),
        files=tuple(out / name for name in texts),
        facts=facts,
        lines=tuple(_lines(facts, None if found is None else str(found))),
    )


def simulated_cycles(
    net: IntNetwork, texts: Mapping[str, str], values: Spikes, expected: Mapping[int, Spikes]
) -> int:
    """Simulate the design on its vectors; return the cycles.

    Raises:
        CheckFailed: a spike differs from the engine's.
    """
    with scratch_folder("sdcl_neuro_verilog") as folder:
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
        done = simulate(net, folder, build(folder), values)
    wrong = sum(int(np.count_nonzero(done.spikes[k] != s)) for k, s in expected.items())
    if wrong:
        raise CheckFailed(
            f"{wrong:,} neuron steps differ in Verilator",
            where="verilog",
            hint="report it with the network; nothing was written",
        )
    return done.cycles


def refuse_size(net: IntNetwork) -> None:
    """Raise InputError where there are more weights than `MAX_WEIGHTS`."""
    total = sum(
        layer.weight.size + (0 if layer.recurrent_weight is None else layer.recurrent_weight.size)
        for layer in net.layers
    )
    if total > MAX_WEIGHTS:
        raise InputError(
            f"{total:,} weights; the memories of a design hold at most {MAX_WEIGHTS:,}",
            where="verilog",
            hint="use fewer or smaller dense layers",
        )


def _lines(facts: Mapping[str, Any], cells: str | None) -> list[str]:
    counts = f"{facts['synops']:,} synops and {facts['updates']:,} updates"
    simulated = facts["cycles_reason"]
    if facts["cycles"] is not None:
        simulated = (
            f"0 of {facts['compared']:,} neuron steps differ, {facts['cycles']:,} cycles for "
            f"{facts['steps']} steps of {counts}"
        )
    return [
        f"memories: {facts['constant_bits']:,} bits of constants, "
        f"{facts['state_bits']:,} bits of state",
        f"Verilator: {simulated}",
        f"yosys: {cells or facts['yosys_reason']}",
        "there: make check (Verilator), make synth (yosys), make ecp5",
    ]

"""The design in Verilator: built, fed with spikes, every layer's events read back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from sdcl_neuro.errors import EnvironmentFault
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import Spikes

TIMEOUT_S = 3600.0
OPTIONS = ("--binary", "--timing", "-O3", "-Wno-fatal", "--top-module", "testbench")


@dataclass(frozen=True)
class Simulated:
    """A simulation's outcome.

    Attributes:
        spikes: of every layer, uint8 ``[T, B, *out_shape]``.
        cycles: of all steps, from their first event to the end of the last layer's step; clearing
            the states between samples is not in them.
        elapsed_s: of the simulator, without building it.
    """

    spikes: dict[int, Spikes]
    cycles: int
    elapsed_s: float


def find_verilator() -> str:
    """Return the program ``verilator``.

    Raises:
        EnvironmentFault: it is not installed.
    """
    found = shutil.which("verilator")
    if found is None:
        raise EnvironmentFault(
            "verilator is not installed",
            where="verilog",
            hint="install it (Debian: apt-get install verilator), version 5 or later",
        )
    return found


def programs() -> dict[str, str]:
    """Return the simulator and what it says of itself."""
    done = subprocess.run(
        [find_verilator(), "--version"], capture_output=True, text=True, check=False
    )
    return {"verilator": done.stdout.strip()}


def build(folder: Path) -> Path:
    """Build the testbench of the design in `folder`; return the program, to be run there.

    Raises:
        EnvironmentFault: Verilator is not installed, or failed.
    """
    sources = sorted(path.name for path in folder.glob("*.sv"))
    command = [find_verilator(), *OPTIONS, *sources]
    done = _run(command, folder, dict(os.environ, MAKEFLAGS=""))
    program = folder / "obj_dir" / "Vtestbench"
    if done.returncode != 0 or not program.is_file():
        lines = [line for line in done.stderr.splitlines() if "rror" in line] or ["no message"]
        raise EnvironmentFault(
            f"verilator failed: {lines[0].strip()}",
            where="verilog",
            hint="it takes Verilator 5 and a C++20 compiler; report it with the network",
        )
    return program


def simulate(net: IntNetwork, folder: Path, program: Path, spikes: Spikes) -> Simulated:
    """Run the built design in `folder` on spikes ``[T, B, *input_shape]``, sample by sample."""
    (folder / "input.txt").write_text(input_text(net, spikes), encoding="ascii")
    began = perf_counter()
    done = _run([str(program.resolve()), "+write"], folder)
    elapsed_s = perf_counter() - began
    found = re.search(r"(\d+) steps, \d+ spikes, (\d+) cycles", done.stdout)
    if done.returncode != 0 or found is None:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise EnvironmentFault(f"the simulation failed: {' '.join(last)}", where="verilog")
    read = {index: _read(net, folder, index, spikes.shape[:2]) for index in range(len(net.layers))}
    return Simulated(read, int(found.group(2)), elapsed_s)


def input_text(net: IntNetwork, spikes: Spikes) -> str:
    """Return the lines of ``input.txt``: events in order, the end of each step, a new sample."""
    shape = net.input_shape if len(net.input_shape) == 3 else (*net.input_shape, 1, 1)
    steps, samples = spikes.shape[:2]
    lines: list[str] = []
    for sample in range(samples):
        if sample:
            lines.append("2 0 0 0 0\n")
        for step in range(steps):
            given = spikes[step, sample].reshape(shape)
            places = np.argwhere(given)
            counts = given[tuple(places.T)]
            lines += [
                f"0 {c} {y} {x} {n}\n"
                for (c, y, x), n in zip(places.tolist(), counts.tolist(), strict=True)
            ]
            lines.append("1 0 0 0 0\n")
    return "".join(lines)


def expected_text(layer_spikes: Spikes) -> str:
    """Return the lines of ``expected_K.txt`` for a layer's spikes ``[T, B, *out_shape]``."""
    lines: list[str] = []
    for sample in range(layer_spikes.shape[1]):
        for step in layer_spikes[:, sample]:
            lines += [f"{n}\n" for n in np.flatnonzero(step).tolist()]
            lines.append("-1\n")
    return "".join(lines)


def _read(net: IntNetwork, folder: Path, index: int, leading: tuple[int, ...]) -> Spikes:
    """Return a layer's spikes from ``spikes_K.txt``, uint8 ``[T, B, *out_shape]``."""
    steps, samples = leading
    seen = np.loadtxt(folder / f"spikes_{index}.txt", np.int64, ndmin=1)
    layer = net.layers[index]
    ends = np.flatnonzero(seen < 0)
    if len(ends) != steps * samples:
        raise EnvironmentFault(
            f"layer {index} ended {len(ends)} steps of {steps * samples}", where="verilog"
        )
    row = np.searchsorted(ends, np.flatnonzero(seen >= 0))
    fired = np.zeros((samples * steps, layer.neurons), np.uint8)
    fired[row, seen[seen >= 0]] = 1
    whole = fired.reshape(samples, steps, *layer.out_shape)
    return np.ascontiguousarray(whole.swapaxes(0, 1))


def _run(
    command: Sequence[str], folder: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            list(command),
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        what = f"{Path(command[0]).name} took more than {TIMEOUT_S:g} s"
        raise EnvironmentFault(what, where="verilog", hint="give fewer steps or samples") from error

"""Cells and memories of a design on an FPGA, counted by yosys."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

from sdcl_neuro.errors import EnvironmentFault

from .design import TOP

TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class Synthesised:
    """What yosys mapped a design to on a Lattice ECP5 (``synth_ecp5``).

    Attributes:
        cells: by the device's name: ``LUT4``, ``TRELLIS_FF``, ``DP16KD`` (18 kbit of memory),
            ``MULT18X18D`` and so on.
        version: of yosys.
    """

    cells: dict[str, int]
    version: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"device": "ecp5", "version": self.version, "cells": self.cells}

    def __str__(self) -> str:
        named = ("LUT4", "TRELLIS_FF", "DP16KD", "MULT18X18D")
        listed = ", ".join(f"{self.cells.get(name, 0):,} {name}" for name in named)
        return f"{listed} on an ECP5 ({self.version})"


def synthesise(folder: Path) -> Synthesised:
    """Map the design in `folder` to an ECP5 and count its cells.

    Raises:
        EnvironmentFault: yosys is not installed, or failed.
    """
    program = which("yosys")
    if program is None:
        raise EnvironmentFault(
            "yosys is not installed",
            where="verilog",
            hint="install it (Debian: apt-get install yosys)",
        )
    sources = sorted(path.name for path in folder.glob("*.sv") if path.name != "testbench.sv")
    script = f"read_verilog -sv {' '.join(sources)}; synth_ecp5 -top {TOP}; stat"
    try:
        done = subprocess.run(
            [program, "-p", script],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFault(f"yosys took more than {TIMEOUT_S:g} s", where="verilog") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or ["no message"]
        raise EnvironmentFault(f"yosys failed: {lines[0]}", where="verilog")
    statistics = done.stdout[done.stdout.rindex("Number of cells") :]
    cells = {name: int(count) for name, count in re.findall(r"^ +(\w+) +(\d+)$", statistics, re.M)}
    version = re.search(r"Yosys (\d\S*)", done.stdout)
    return Synthesised(cells, f"yosys {version.group(1) if version else 'unknown'}")

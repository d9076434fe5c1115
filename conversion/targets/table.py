"""The table of targets: what a network is written for, one row each.

To add one: a file or folder beside this one with ``write(net, out, *, spikes) -> Written``, and a
row here; where the result can be run, a row in the table of backends, too.
docs/how-to/add-a-target.md follows the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from sdcl_neuro.errors import InputError

from .written import Written

_ROOT = __package__.rpartition(".")[0]


@dataclass(frozen=True)
class Target:
    """One form that a network is written in.

    Attributes:
        name: as its backend is called, if it has one.
        ending: of the output; empty for a folder of files.
        function: ``module:function`` below `sdcl_neuro.conversion`: ``write(net, out, *, spikes)``
            with `out` of the right ending, or an empty folder, and spikes for test vectors, which
            may be None.
        integer: whether it takes the chip's integers; else the float network, where there is one.
        vectors: whether test vectors are written from spikes.
        options: other keywords of the function.
        help: one clause for ``--help`` and tables.
    """

    name: str
    ending: str
    function: str
    integer: bool
    vectors: bool
    help: str
    options: tuple[str, ...] = ()

    def write(self) -> Callable[..., Written]:
        """Import and return the writer."""
        module, name = self.function.split(":")
        found = getattr(import_module(f"{_ROOT}.{module}"), name)
        return cast("Callable[..., Written]", found)


ROWS = (
    Target(
        name="netx",
        ending=".net",
        function="targets.netx.target:write",
        integer=True,
        vectors=False,
        help="Lava-DL's netx file, for Loihi",
    ),
    Target(
        name="nir",
        ending=".nir",
        function="targets.nir.target:write",
        integer=False,
        vectors=False,
        help="a NIR graph, for Norse, Sinabs, SpikingJelly",
        options=("reader",),
    ),
    Target(
        name="c",
        ending=".c",
        function="targets.c.writer:to_c",
        integer=True,
        vectors=True,
        help="C99 without dependencies, for microcontrollers",
    ),
    Target(
        name="onnx",
        ending=".onnx",
        function="targets.onnx_event.writer:to_onnx",
        integer=True,
        vectors=True,
        help="the integer step as ONNX, alone and as a sequence",
    ),
    Target(
        name="verilog",
        ending="",
        function="targets.verilog.writer:to_verilog",
        integer=True,
        vectors=True,
        help="synthesizable SystemVerilog with a testbench",
    ),
    Target(
        name="speck",
        ending=".speck",
        function="targets.speck.writer:to_speck",
        integer=True,
        vectors=True,
        help="Speck's 8-bit integers as JSON, with what the chip does otherwise",
    ),
)
TARGETS: dict[str, Target] = {row.name: row for row in ROWS}
ENDINGS = tuple(row.ending for row in ROWS if row.ending)


def find_target(out: Path, name: str | None = None) -> Target:
    """Return the row of an output: by name, or by the output's ending.

    Raises:
        InputError: there is no such target, or no target has that ending.
    """
    if name is not None:
        if name not in TARGETS:
            raise InputError(f"unknown target {name!r}", hint=f"use one of {', '.join(TARGETS)}")
        return TARGETS[name]
    for row in TARGETS.values():
        if row.ending and out.suffix == row.ending:
            return row
    raise InputError(
        f"unknown ending {out.suffix!r} of an output",
        where=str(out),
        hint=f"use {' or '.join(ENDINGS)}",
    )

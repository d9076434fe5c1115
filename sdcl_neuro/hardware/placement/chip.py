"""A profile's limits in the terms of placement; what the profile does not know stays unknown."""

from __future__ import annotations

from dataclasses import dataclass

from .. import HardwareProfile, Quantity
from .compiled import CompilerRule
from .packing import DenseFormat, SynapseFormat
from .usage import Core

WIDEST_WEIGHT_BITS = 8
COLUMNS = "columns by powers of two"
"""The one rule of a compiler that a profile may name (`limits.cutting`)."""


@dataclass(frozen=True)
class Mesh:
    """Tiles of cores that share a router, in columns from west to east and rows."""

    columns: int
    rows: int
    cores_per_tile: int


@dataclass(frozen=True)
class Chip:
    """One kind of chip.

    Attributes:
        core: what a core holds.
        cores: usable ones of a chip; None if unknown.
        chips: of the system that the profile describes.
        mesh: where its routers are; None if unknown.
        rule: how its compiler cuts layers, where that is known; else the fewest cores are sought.
    """

    core: Core
    cores: int | None
    chips: int
    mesh: Mesh | None
    rule: CompilerRule | None = None


def capacity(quantity: Quantity | None) -> float | None:
    """Return what surely is there: the lower end of an interval, else the single figure."""
    if quantity is None or quantity.unknown:
        return None
    return quantity.low if quantity.low else quantity.high


def most(quantity: Quantity | None) -> float | None:
    """Return the largest allowed value of a range or of a set."""
    if quantity is None or quantity.unknown:
        return None
    return max(quantity.values) if quantity.values else quantity.high


def why_unknown(hw: HardwareProfile, *names: str) -> str:
    """Return the profile's own reason, else that it has no such figure."""
    reasons = [hw.limits[name].unknown for name in names if name in hw.limits]
    return next(filter(None, reasons), f"the profile has no figure for {' or '.join(names)}")


def shares_kernels(hw: HardwareProfile) -> bool:
    """Return whether a core may store a kernel once: stated, or by Loihi 1's population axons."""
    return "convolution_sharing" in hw.limits or "index_bits" in hw.limits


def chip_of(hw: HardwareProfile, *, shared_kernels: bool | None = None) -> Chip:
    """Return what a profile says about placing.

    Args:
        hw: the profile.
        shared_kernels: whether convolutions store their kernel once in a core; None does where
            the chip can.
    """
    limits = {}
    for name, key in (
        ("neurons", "neurons_per_core"),
        ("axons_in", "axons_in_per_core"),
        ("axons_out", "axons_out_per_core"),
        ("synapse_bits", "synapse_memory_per_core"),
    ):
        value = capacity(hw.limits.get(key))
        if value is not None:
            limits[name] = value
    memory = capacity(hw.limits.get("memory_per_core"))
    if memory is not None:
        limits.setdefault("synapse_bits", 8 * memory)
    widths = hw.limits.get("weight_bits")
    weight_bits = int(most(widths) or WIDEST_WEIGHT_BITS)
    indices = hw.limits.get("index_bits")
    packing = None
    if indices is not None and indices.values:
        packing = SynapseFormat(weight_bits, tuple(int(value) for value in indices.values))
    can = shares_kernels(hw)
    dense = hw.limits.get("dense_synapse_bits")
    dense_bits = None if dense is None or dense.unknown else dense.bounds
    core = Core(
        limits,
        packing,
        shared=can if shared_kernels is None else shared_kernels and can,
        weight_bits=weight_bits,
        dense_format=None if dense_bits is None else DenseFormat(dense_bits[0]),
    )
    cores = capacity(hw.chip.get("usable_cores")) or capacity(hw.chip.get("cores"))
    return Chip(
        core,
        None if cores is None else int(cores),
        int(capacity(hw.chip.get("chips")) or 1),
        _mesh(hw),
        _rule(hw, dense_bits) if core.shared else None,
    )


def _rule(hw: HardwareProfile, dense_bits: tuple[float, float] | None) -> CompilerRule | None:
    """Return the compiler's rule, where the profile names it and its figures."""
    rule, neurons = hw.limits.get("cutting"), capacity(hw.limits.get("conv_neurons_per_core"))
    if rule is None or rule.text != COLUMNS or neurons is None or dense_bits is None:
        return None
    return CompilerRule(int(neurons), dense_bits, f"{rule.source}; {rule.note}")


def _mesh(hw: HardwareProfile) -> Mesh | None:
    names = ("mesh_columns", "mesh_rows", "cores_per_tile")
    found = [capacity(hw.chip.get(name)) for name in names]
    if None in found:
        return None
    columns, rows, cores = (int(value or 1) for value in found)
    return Mesh(columns, rows, cores)

"""Bytes of code, weights and state, and which microcontrollers hold them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from sdcl_neuro.engine.check import largest_input
from sdcl_neuro.network.fixed_point import DECAY_UNITY
from sdcl_neuro.network.spec import IntNetwork

from ..bounds import bounds
from ..scatter import stored, width_of


@dataclass(frozen=True)
class Controller:
    """A microcontroller; both sizes in bytes, from its data sheet."""

    name: str
    flash: int
    ram: int
    source: str


KIB = 1024
CONTROLLERS = (
    Controller("STM32F103C8 (Cortex-M3)", 64 * KIB, 20 * KIB, "ST DS5319"),
    Controller("nRF52840 (Cortex-M4F)", 1024 * KIB, 256 * KIB, "Nordic nRF52840 PS v1.7"),
    Controller("RP2040 (Cortex-M0+), 2 MB flash", 2048 * KIB, 264 * KIB, "Raspberry Pi RP-008371"),
    Controller("STM32H743ZI (Cortex-M7)", 2048 * KIB, 1024 * KIB, "ST DS12110"),
    Controller("i.MX RT1062 (Cortex-M7), 8 MB flash", 8192 * KIB, 1024 * KIB, "NXP IMXRT1060CEC"),
)


@dataclass(frozen=True)
class Sizes:
    """What a network takes in memory, in bytes.

    Attributes:
        weights: of weights, recurrent weights, delays and biases; constant, in flash.
        state: of sums, currents, membranes and spikes; in RAM.
        code: of the compiled functions; None if nothing was compiled.
        compiler: which compiler, for which machine, made `code`; or why there is none.
    """

    weights: int
    state: int
    code: int | None
    compiler: str

    def fits(self) -> dict[str, bool | None]:
        """Return what fits by controller; None where the code's size is needed and unknown."""
        found: dict[str, bool | None] = {}
        for one in CONTROLLERS:
            if self.state > one.ram or self.weights > one.flash:
                found[one.name] = False
            else:
                found[one.name] = None if self.code is None else (
                    self.weights + self.code <= one.flash
                )  # fmt: skip
        return found

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "weights_bytes": self.weights,
            "state_bytes": self.state,
            "code_bytes": self.code,
            "code_from": self.compiler,
            "fits": self.fits(),
        }

    def __str__(self) -> str:
        code = "unknown" if self.code is None else f"{self.code:,} bytes"
        held = [name for name, fits in self.fits().items() if fits is not False]
        return (
            f"weights {self.weights:,} bytes, state {self.state:,} bytes, code {code} "
            f"({self.compiler}); fits: {', '.join(held) or 'none of the microcontrollers listed'}"
        )


def memory(net: IntNetwork) -> tuple[int, int]:
    """Return bytes of a network's constants and of its state, as `source` declares them."""
    constants = state = 0
    largest = largest_input(net)
    for index, layer in enumerate(net.layers):
        kept = stored(layer)
        bound = bounds(layer, largest=largest if index == 0 else 1)
        constants += kept.weight.size * kept.bits // 8
        if kept.recurrent is not None:
            constants += kept.recurrent.size * kept.bits // 8
        slots = 1
        if layer.delay is not None and layer.delay.any():
            constants += layer.delay.size
            slots = int(layer.delay.max()) + 1
            state += 4
        if layer.bias is not None and layer.bias.any():
            low, high = int(layer.bias.min()), int(layer.bias.max())
            constants += len(layer.bias) * max(16, width_of(low, high)) // 8
        total = (1 << 30) if bound.wraps_total else bound.total >> kept.shift
        neurons = prod(layer.out_shape)
        state += slots * neurons * max(16, width_of(-total, total)) // 8 + 4 * neurons
        state += 4 * neurons * (layer.neuron.current_decay < DECAY_UNITY)
        state += 4 * -(-neurons // 32)
    return constants, state


def code_bytes(path: Path) -> int | None:
    """Return bytes of executable sections of an ELF object file; None if it is none.

    Layout: ELF-64 and ELF-32 little endian, "Tool Interface Standard, ELF Specification 1.2".
    """
    data = path.read_bytes()
    if data[:4] != b"\x7fELF" or data[5] != 1:
        return None
    wide = data[4] == 2
    at, size, count = (
        struct.unpack_from("<Q", data, 0x28)[0]
        if wide
        else struct.unpack_from("<I", data, 0x20)[0],
        *struct.unpack_from("<HH", data, 0x3A if wide else 0x2E),
    )
    total = 0
    for index in range(count):
        start = at + index * size
        if wide:
            kind, flags = struct.unpack_from("<IQ", data, start + 4)
            (length,) = struct.unpack_from("<Q", data, start + 32)
        else:
            kind, flags = struct.unpack_from("<II", data, start + 4)
            (length,) = struct.unpack_from("<I", data, start + 20)
        executable = 4  # SHF_EXECINSTR
        if kind == 1 and flags & executable:  # SHT_PROGBITS
            total += length
    return total

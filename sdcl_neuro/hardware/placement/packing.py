"""How chips pack synapses into a core's memory.

Loihi 1's formula is nengo-loihi's, `nengo_loihi/block.py` (``bits_per_axon``, ``Synapse``): an
axon's synapses are stored in groups of at most 64, each with a head of 4 + 6 bits, each rounded
up to words of 64 bits; a synapse has its weight, its delay and, unless the axon reaches every
neuron in order (compression 3), an index.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf

GROUP = 64
"""Synapses of one group (``n_synapses`` is 63)."""
HEAD_BITS = 4 + 6
WORD_BITS = 64
DELAY_BITS = 6
"""Width of a delay, where there is any (Davies et al. 2018)."""
POPULATION_16_AXON_BITS, POPULATION_16_ATOM_BITS = 10, 5
"""A 16-bit population axon: ten bits of axon; atoms above five bits take from them."""
POPULATION_16_ATOM_BITS_MAX = 9


@dataclass(frozen=True)
class SynapseFormat:
    """Widths of one synapse in Loihi 1's memory; `index_widths` are those the chip stores."""

    weight_bits: int
    index_widths: tuple[int, ...]
    delay_bits: int = 0

    def index_bits(self, largest: int) -> float:
        """Return the narrowest stored width for indices up to `largest`; infinite if none is."""
        needed = largest.bit_length()
        return min((width for width in self.index_widths if width >= needed), default=inf)

    def axon_bits(self, synapses: int, index_bits: float = 0) -> float:
        """Return memory of one axon with so many synapses."""
        each = self.weight_bits + self.delay_bits + index_bits
        if each == inf:
            return inf
        full, rest = divmod(synapses, GROUP)
        return full * _words(GROUP * each) + (_words(rest * each) if rest else 0)


@dataclass(frozen=True)
class DenseFormat:
    """A dense layer's synapses in Loihi 2's memory: one axon after another, in whole words.

    Attributes:
        synapse_bits: of one synapse, its index included.
    """

    synapse_bits: float

    def axon_bits(self, synapses: int, *, delayed: bool = False) -> int:
        """Return memory of one axon with so many synapses; a delay takes bits as on Loihi 1."""
        each = self.synapse_bits + (DELAY_BITS if delayed else 0)
        return _words(synapses * each)


def _words(bits: float) -> int:
    return WORD_BITS * ceil((bits + HEAD_BITS) / WORD_BITS)


def population_slots(axons: int, atoms: int) -> int:
    """Return output slots of one population axon: 1 if 16 bits address it, else 2.

    Args:
        axons: input axons of the core it goes to.
        atoms: input channels, which the axon tells apart.
    """
    bits = (atoms - 1).bit_length()
    left = POPULATION_16_AXON_BITS - max(0, bits - POPULATION_16_ATOM_BITS)
    return 1 if bits <= POPULATION_16_ATOM_BITS_MAX and axons <= 1 << left else 2


def speck_kernel_entries(channels: int, filters: int, kernel: tuple[int, int]) -> int:
    """Return ``c 2^(ceil log2(kh kw) + ceil log2 f)`` (sinabs 3, DYNAP-CNN overview)."""
    return int(channels << (_log2(kernel[0] * kernel[1]) + _log2(filters)))


def speck_neuron_entries(filters: int, size: tuple[int, int]) -> int:
    """Return ``f 2^(ceil log2 H + ceil log2 W)`` (sinabs 3, DYNAP-CNN overview)."""
    return int(filters << (_log2(size[0]) + _log2(size[1])))


def _log2(value: int) -> int:
    return (value - 1).bit_length()

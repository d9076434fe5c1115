"""A layer's synapses laid out for `window_kernels`: by target, in windows of bits.

Where many inputs spike, most of a window's sums change in every step; then each neuron looks its
window up instead of each spike adding to its neurons. A row of input pixels is a stream of bits,
the channels of a pixel side by side. What a neuron sees of one row is a window of that stream; it
is cut into chunks, and tables hold the sum of the weights for every pattern of a chunk. The work is
the same for any number of spikes, and nothing is read back that was just written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.activity import reach
from sdcl_neuro.network.spec import Convolution

from .population import TABLE_BYTES, RowLayout, Weights, pattern_sums
from .vectors import PIECES

Index = NDArray[np.uint64]

CHUNK_MAX = 10
"""Bits of a chunk at most: a table of more patterns leaves the first cache for little."""
ROW_NS, PIECE_NS, LINE_NS = 1.0, 0.95, 0.31
"""Time for each piece of a pixel to turn to a row of bits, to look a chunk up, and to add 64 bytes;
see `synapses.WORD_NS`."""
WORD_BYTES = 8
"""What is read at once, and may be read beyond a window's end."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Synapses between two populations, by target.

    Attributes:
        weight: ``[kH, window bits, lanes of a pixel]``, zeros where a bit has no synapse; nothing
            where no table would fit.
        chunk: bits of a chunk; 0 where no table would fit.
        chunks: of a window.
        starts: uint64 ``[H + 1]``, where an output row's entries of `taps` begin.
        taps: uint64 ``[2 n]``: of each pair of an output and an input row, first byte of the input
            row in the stream; then of each, which part of the table.
        shape: uint64 ``[9]``, see `window_kernels.lay_out`.
        stream_bytes: of the streams of all input rows.
    """

    weight: Weights
    chunk: int
    chunks: int
    starts: Index
    taps: Index
    shape: Index
    stream_bytes: int
    _table: list[Weights] = field(default_factory=list)

    @cached_property
    def nanoseconds(self) -> float:
        """Return what the sums of a step cost, by measurement."""
        size = int(self.weight.shape[2] * self.weight.itemsize)
        pieces = sum(size % (2 * piece) // piece for piece in PIECES[1:]) + size // PIECES[0]
        rows = len(self.taps) / 2 * float(self.shape[8])
        lookup = PIECE_NS * pieces + LINE_NS * size / 64
        return rows * (ROW_NS * pieces + self.chunks * lookup)

    def arguments(self) -> tuple[Any, ...]:
        """Return what `window_kernels.sum_windows` takes; the table is made on first use."""
        if not self._table:
            self._table.append(self._sums())
        return (self._table[0], self.starts, self.taps, self.shape)

    def none(self) -> tuple[Any, ...]:
        """Return the same without a table: windows are not used."""
        return (self.weight.reshape(-1)[:0], self.starts, self.taps, self.shape)

    def _sums(self) -> Weights:
        """Return sums for every pattern, flat ``[kH, chunks, patterns, lanes]``."""
        taps, bits, lanes = self.weight.shape
        padded = np.zeros((taps, self.chunks * self.chunk, lanes), self.weight.dtype)
        padded[:, :bits] = self.weight
        return pattern_sums(padded.reshape(taps, self.chunks, self.chunk, lanes)).reshape(-1)


def windows_of(
    source: RowLayout,
    target: RowLayout,
    weight: NDArray[np.int64],
    geometry: Convolution,
    dtype: type[np.int16] | type[np.int32],
) -> Windows:
    """Lay out ungrouped weights ``[C_out, C_in, kH, kW]`` of a convolution."""
    outputs, channels, height, width = weight.shape
    pixel, lanes, dilation = stream_bits(channels), 8 * target.octets, geometry.dilation[1]
    window = ((width - 1) * dilation + 1) * pixel
    chunk = _chunk(window, height * lanes * np.dtype(dtype).itemsize)
    laid = np.zeros((height if chunk else 0, window // pixel, pixel, lanes), dtype)
    if chunk:
        laid[:, ::dilation, :channels, :outputs] = weight.transpose(2, 3, 1, 0)
    chunks = -(-window // chunk) if chunk else 0
    margin = -(-geometry.padding[1] * pixel // 8)
    first_bit = 8 * margin - geometry.padding[1] * pixel
    last = first_bit + (target.width - 1) * geometry.stride[1] * pixel + chunks * chunk
    row_bytes = max(margin + source.words * min(pixel, 8), -(-last // 8)) + WORD_BYTES
    pairs = reach(source.height, height, axis=0, convolution=geometry)
    pairs = pairs[np.argsort(pairs[:, 1], kind="stable")]
    part = chunks * lanes << chunk
    return Windows(
        laid.reshape(-1, window, lanes),
        chunk,
        chunks,
        starts=np.searchsorted(pairs[:, 1], np.arange(target.height + 1)).astype(np.uint64),
        taps=np.concatenate([pairs[:, 0] * row_bytes, pairs[:, 2] * part]).astype(np.uint64),
        shape=np.array(
            [
                *(pixel, margin, row_bytes, first_bit, geometry.stride[1] * pixel),
                *(chunks, chunk, lanes, target.width),
            ],
            np.uint64,
        ),
        stream_bytes=source.height * row_bytes,
    )


def stream_bits(channels: int) -> int:
    """Return bits of a pixel in the stream: narrow pixels are moved together."""
    return next((bits for bits in (1, 2, 4) if channels <= bits), -(-channels // 8) * 8)


def _chunk(window: int, row_bytes: int) -> int:
    """Return bits of a chunk: as few chunks as the tables' room allows; 0 if even single bits do
    not fit.

    Args:
        window: bits.
        row_bytes: bytes of a pattern's row, times the rows of the kernel.
    """
    best = 0
    for chunk in range(1, CHUNK_MAX + 1):
        chunks = -(-window // chunk)
        fits = chunks * row_bytes << chunk <= TABLE_BYTES
        if fits and (best == 0 or chunks < -(-window // best)):
            best = chunk
    return best

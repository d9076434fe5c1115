"""A file of spikes through a network into another file, in memory that depends on neither.

Samples are run a few at a time, each from a clean state, and their steps in pieces between which
the states are kept. What is in memory at once: the network, the states of those samples, one piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_checks import check_input_shape
from sdcl_neuro.network.spike_file import Spikes
from sdcl_neuro.network.spike_stream import SpikeReader, SpikeWriter, read_pieces, write_pieces
from sdcl_neuro.processors import processors

from .check import check_input, check_layers, check_memory, check_network
from .known_networks import Known
from .run import record_of
from .totals import TOTALS, Outcome

PIECE_BYTES = 16 << 20
"""Spikes in and out that are in memory at once; states come on top."""


class RunInPieces(Protocol):
    """A run in pieces: `event.EventStream` or `reference.ReferenceStream`."""

    elapsed_s: float

    def advance(self, spikes: Spikes) -> dict[int, NDArray[np.uint8]]:
        """Run checked spikes on; return the kept layers' spikes."""

    def totals(self) -> NDArray[np.int64]:
        """Return int64 ``[layers, B, 8]`` of all pieces so far."""

    def close(self) -> None:
        """Hand the states back."""


def run_file(
    net: IntNetwork,
    source: Path | str,
    target: Path | str,
    *,
    layers: Sequence[int] | None = None,
    device: str = "cpu",
    piece_bytes: int = PIECE_BYTES,
) -> Record:
    """Run the spikes of a ``.h5`` file; write the layers' spikes to another as ``layer_K``.

    Args:
        net: the network.
        source: ``spikes``, ``[T, B, *input_shape]``; best in chunks of few samples, as
            `spike_file.write_spikes` writes them.
        target: ends in ``.h5``; whole or not at all.
        layers, device: as in `run.run_network`.
        piece_bytes: of spikes in memory at once; it never changes the result.

    Returns:
        The record `run.run_network` would give, without the spikes.
    """
    entry = check_network(net)
    keep = check_layers(net, layers)
    with read_pieces(source) as reader:
        steps, samples = reader.shape[:2]
        check_input_shape(reader.shape, net.input_shape, where=str(source))
        together, piece = _pieces(net, keep, reader, device=device, piece_bytes=piece_bytes)
        check_memory(net, steps=piece, samples=together, keep=keep)
        totals = np.zeros((len(net.layers), samples, TOTALS), dtype=np.int64)
        elapsed = 0.0
        shapes = {index: net.layers[index].out_shape for index in keep}
        with write_pieces(target, shapes, steps=steps, samples=samples) as writer:
            for first in range(0, samples, together):
                block = slice(first, min(first + together, samples))
                count = block.stop - first
                stream = _stream(net, entry, count, keep=keep, device=device)
                _run_block(net, stream, reader, writer, block, piece)
                totals[:, block] = stream.totals()
                elapsed += stream.elapsed_s
                stream.close()
    library = "numba" if device == "cpu" else "torch"
    outcome = Outcome({}, totals, elapsed)
    return record_of(net, outcome, steps=steps, samples=samples, library=library)


def _run_block(
    net: IntNetwork,
    stream: RunInPieces,
    reader: SpikeReader,
    writer: SpikeWriter,
    samples: slice,
    piece: int,
) -> None:
    """Run all steps of some samples."""
    for start in range(0, reader.shape[0], piece):
        now = slice(start, min(start + piece, reader.shape[0]))
        spikes = check_input(net, reader.read(now, samples), where=str(reader.path))
        writer.write(stream.advance(spikes), now, samples)


def _pieces(
    net: IntNetwork, keep: Sequence[int], reader: SpikeReader, *, device: str, piece_bytes: int
) -> tuple[int, int]:
    """Return samples, and steps, to work on at a time.

    On the CPU a few samples for each processor, or those that share the file's chunks, since a
    chunk is decompressed as a whole; a GPU wants more of them.
    """
    steps, samples = reader.shape[:2]
    step_bytes = prod(net.input_shape) + sum(net.layers[index].neurons for index in keep)
    wanted = max(2 * processors(), reader.samples_together, 1 if device == "cpu" else 64)
    together = max(1, min(samples, wanted, piece_bytes // step_bytes))
    return together, max(1, min(steps, piece_bytes // (step_bytes * together)))


def _stream(
    net: IntNetwork, entry: Known, samples: int, *, keep: Sequence[int], device: str
) -> RunInPieces:
    if device == "cpu":
        from .event.machine import machine_of
        from .event.stream import EventStream

        return EventStream(net, machine_of(net, entry), samples, keep=keep)
    from sdcl_neuro.devices import named_device

    from .dense import ReferenceStream

    return ReferenceStream(net, samples, keep=keep, device=named_device(device))

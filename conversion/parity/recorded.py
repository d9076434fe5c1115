"""Spikes recorded elsewhere (a board, another simulator), compared with our own run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.files import file_sha256
from sdcl_neuro.network.arguments import kind_of
from sdcl_neuro.network.identity import array_sha256
from sdcl_neuro.network.notes import Note
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import Shape
from sdcl_neuro.network.spike_checks import check_spikes
from sdcl_neuro.network.spike_file import SpikesLike, read_layers

from .alignment import Aligned, align, find_shift
from .certificate import PairParity

Spikes = NDArray[np.uint8]
Source: TypeAlias = Path | str | Record | Mapping[int, SpikesLike]

NAME = "recorded"
"""What the side of a recording is called in a certificate."""


@dataclass(frozen=True)
class RecordedSpikes:
    """Spikes recorded elsewhere.

    Attributes:
        where: the file, or what to call it in a message.
        name, sha256: of the file; of its arrays if there is no file.
        layers: layer index to uint8 ``[t, B, ...]``.
        given: the input, if it is known.
        stated: the shift that the user states: of all layers, of each recorded one, or None.
    """

    where: str
    name: str | None
    sha256: str
    layers: Mapping[int, Spikes]
    given: Spikes | None
    stated: tuple[int, ...] | None

    def to_json(self) -> dict[str, Any]:
        """Return its entry in a certificate."""
        stated = None if self.stated is None else list(self.stated)
        return {"name": self.name, "sha256": self.sha256, "shift": stated}


@dataclass(frozen=True)
class Placed:
    """A recording on our own time axis, ready to be compared.

    Attributes:
        record: its spikes; ours at the steps that it lacks.
        layers: how each of its layers was aligned.
        not_checked: what it does not cover.
        assumed: what was taken for granted.
    """

    record: Record
    layers: Mapping[int, Aligned]
    not_checked: tuple[Note, ...]
    assumed: tuple[Note, ...]

    @property
    def windows(self) -> dict[int, tuple[int, int]]:
        """Return per layer the first recorded step and the one after the last."""
        return {index: (aligned.first, aligned.stop) for index, aligned in self.layers.items()}

    def name_shifts(self, pair: PairParity) -> PairParity:
        """Say in the outcome of a comparison how each layer was aligned."""
        layers = (replace(layer, shift=self.layers[layer.index].shift) for layer in pair.layers)
        return replace(pair, layers=tuple(layers))


def read_recording(source: Source, shift: int | Sequence[int] | None = None) -> RecordedSpikes:
    """Read spikes recorded elsewhere.

    Args:
        source: a ``.npz`` or ``.h5`` file with ``layer_0``, ``layer_1``, ... as ``run --out``
            writes, and maybe the input as ``spikes``; a record; layer index to array.
        shift: steps by which they come late, of all layers or of each recorded one; None finds it.

    Raises:
        InputError: no layers, or something else than spikes.
    """
    stated = None
    if shift is not None:
        steps = (shift,) if isinstance(shift, int) else shift
        if not isinstance(steps, Sequence) or not all(isinstance(n, int) for n in steps):
            what = f"expected whole steps, got {shift!r}"
            raise InputError(what, where="recorded_shift", hint="give a number, or one a layer")
        stated = tuple(steps)
    if isinstance(source, Path | str):
        layers, given = read_layers(source)
        name: str | None = Path(source).name
        where, digest = str(source), file_sha256(source)
    else:
        if not _has_layers(source):
            what = f"expected a file, a record, or spikes by layer, got {kind_of(source)}"
            raise InputError(what, where=NAME, hint="give {0: spikes of layer 0, ...}")
        found = source.spikes if isinstance(source, Record) else source
        layers = {k: check_spikes(found[k], where=f"recorded layer {k}") for k in sorted(found)}
        where, name, given = NAME, None, None
        hashes = "".join(f"{k} {array_sha256(values)}\n" for k, values in layers.items())
        digest = hashlib.sha256(hashes.encode()).hexdigest()
    if not layers:
        raise InputError("no layers", where=where, hint="give {0: spikes of layer 0, ...}")
    stated = None
    if shift is not None:
        stated = (shift,) if isinstance(shift, int) else tuple(shift)
        if len(stated) not in (1, len(layers)):
            what = f"{len(stated)} shifts for {len(layers)} recorded layers"
            raise InputError(what, where=where, hint="give one, or one for each recorded layer")
    return RecordedSpikes(where, name, digest, layers, given, stated)


def _has_layers(source: object) -> bool:
    return isinstance(source, Record | Mapping)


def place(
    recording: RecordedSpikes,
    ours: Record,
    layers: Sequence[int],
    *,
    names: Sequence[str],
    shapes: Sequence[Shape],
) -> Placed:
    """Align a recording with our own run.

    Args:
        recording: spikes recorded elsewhere.
        ours: the network's own run, on the same input.
        names, shapes: of the network's layers.
        layers: the layers to compare; those that were not recorded are named in `not_checked`.

    Raises:
        InputError: a layer that the network does not have, another shape, or no step in common.
    """
    assumed: list[Note] = []
    not_checked: list[Note] = []
    aligned: dict[int, Aligned] = {}
    shift = 0
    fitting = {k: _fit(recording, shapes, ours, k, assumed) for k in recording.layers}
    stated = dict(zip(fitting, _stated(recording), strict=True))
    for index in layers:
        name = f"layer {index} ({names[index]})"
        if index not in fitting:
            not_checked.append(Note(name, f"not in {recording.where}"))
            continue
        theirs, own = fitting[index], ours.spikes[index]
        known = stated[index]
        shift = find_shift(own, theirs, before=shift) if known is None else known
        aligned[index] = align(own, theirs, shift)
        not_checked.extend(_uncovered(name, aligned[index], recording.where))
        if shift and known is None:
            late = f"{number_of(abs(shift), 'step')} {'late' if shift > 0 else 'early'}"
            why = "found by alignment; state it as recorded shift"
            assumed.append(Note(f"{name} was recorded {late}", why))
    if not any(one.stop > one.first for one in aligned.values()):
        what = f"no step in common with our run of {number_of(ours.steps, 'step')}"
        raise InputError(what, where=recording.where, hint="give its input and its shift")
    spikes = {index: one.spikes for index, one in aligned.items()}
    record = replace(ours, backend=NAME, spikes=spikes, activity=())
    return Placed(record, aligned, tuple(not_checked), tuple(assumed))


def _stated(recording: RecordedSpikes) -> tuple[int | None, ...]:
    """Return the stated shift of each recorded layer."""
    count = len(recording.layers)
    if recording.stated is None:
        return (None,) * count
    return recording.stated if len(recording.stated) == count else recording.stated * count


def _fit(
    recording: RecordedSpikes,
    shapes: Sequence[Shape],
    ours: Record,
    index: int,
    assumed: list[Note],
) -> Spikes:
    """Return a recorded layer in the shape that the network's has."""
    where = f"{recording.where}: layer_{index}"
    if index >= len(shapes):
        what = f"the network has layers 0 to {len(shapes) - 1}"
        raise InputError(what, where=where, hint="give the network that was recorded")
    values, shape = recording.layers[index], shapes[index]
    if values.shape[2:] == (prod(shape),) != shape and values.shape[1] == ours.samples:
        axes = ", ".join(map(str, shape))
        assumed.append(Note(f"layer_{index} is flat", f"taken in the order of [{axes}]"))
        return values.reshape(*values.shape[:2], *shape)
    if values.shape[1:] != (ours.samples, *shape):
        expected = ", ".join(map(str, (ours.samples, *shape)))
        what = f"shape {list(values.shape)}, expected [T, {expected}]"
        raise InputError(what, where=where, hint="give the input that was recorded, or reshape it")
    return values


def _uncovered(name: str, aligned: Aligned, where: str) -> Iterator[Note]:
    """Yield what a recording of a layer leaves out, and what it has beyond our run."""
    steps = len(aligned.spikes)
    if aligned.first:
        yield Note(
            f"{name}, its first {number_of(aligned.first, 'step')}", f"before {where} begins"
        )
    if aligned.stop < steps:
        yield Note(
            f"{name}, its last {number_of(steps - aligned.stop, 'step')}", f"after {where} ends"
        )
    if aligned.outside:
        yield Note(
            f"{number_of(aligned.outside, 'spike')} of {name}",
            "recorded outside of our run's steps",
        )

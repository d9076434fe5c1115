"""Record of a run of a network: the spikes of its layers and what they cost in counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, number_of

from .backend_names import label
from .content import Result
from .display import table_html
from .spec import Kind, Shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LayerActivity(Result):
    """Counts of one layer, each an int64 array ``[B]``, one entry per sample.

    Attributes:
        name, kind: of the layer.
        neurons: size of its population.
        synapses: existing synapses, borders and strides counted exactly, zero weights included
            (Lava's Dense and Conv processes store them).
        spikes_in: spikes received (a graded spike counts once).
        spikes_out: spikes sent.
        synops: spikes delivered to existing synapses, recurrent ones included.
        synops_nonzero: of `synops`, those at weights that are not zero, which is what a chip
            counts; None if it was not counted.
        updates: neuron updates, ``neurons`` times steps.
        saturations: neuron steps in which the membrane was clipped; None if the backend
            cannot see it.
        wraps: neuron steps in which the current wrapped around; None if it cannot be seen.
        accumulates: of `synops`, those at weights that are not zero, of spikes that arrive within
            the run (a recurrent spike arrives a step later); None if it was not counted.
        multiplies: the same where a step's input holds counts above one; such a step's operations
            are all here and none in `accumulates`.
        membrane_updates: neuron steps that changed the membrane, every neuron's first step
            included; None if it cannot be seen.
    """

    name: str
    kind: Kind
    neurons: int
    synapses: int
    spikes_in: Counts
    spikes_out: Counts
    synops: Counts
    updates: Counts
    saturations: Counts | None = None
    wraps: Counts | None = None
    accumulates: Counts | None = None
    multiplies: Counts | None = None
    membrane_updates: Counts | None = None
    synops_nonzero: Counts | None = None

    def counts(self) -> dict[str, Counts | None]:
        """Return every count by its name, ``[B]``; None where it was not counted."""
        return {one.name: getattr(self, one.name) for one in fields(self)[4:]}


@dataclass(frozen=True, eq=False)
class Record(Result):
    """The result of `run`.

    Attributes:
        backend: which backend ran, a name in `sdcl_neuro.conversion.backends.table.BACKENDS`.
        steps: number of time steps T.
        samples: batch size B.
        input_shape: of one step.
        spikes: layer index to uint8 ``[T, B, *out_shape]``, aligned in time with the input
            (the pipeline delay of one step per layer is taken out); only the layers asked for.
        activity: one entry per layer, in order; empty if the backend gives no counts.
        elapsed_s: wall-clock seconds of the run without set-up and read-out; None if unknown.
        versions: library versions that took part.
        readouts: read-out index to the membrane after each step, ``[T, B, *shape]``, aligned as
            the spikes: int64 in the chip's integers, or float where the backend computes so.
        readout_units: read-out index to how many of its integers make one unit of the model; 1
            for a backend in float.
        saturations: read-out index to neuron steps in which the membrane was clipped.
        readout_names: names of the read-outs, whose neurons never fire, by their index.
    """

    backend: str
    steps: int
    samples: int
    input_shape: Shape
    spikes: Mapping[int, NDArray[np.uint8]]
    activity: tuple[LayerActivity, ...] = ()
    elapsed_s: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    readouts: Mapping[int, NDArray[Any]] = field(default_factory=dict)
    readout_units: Mapping[int, float] = field(default_factory=dict)
    saturations: Mapping[int, int] = field(default_factory=dict)
    readout_names: tuple[str, ...] = ()

    def readout(self, index: int = 0) -> NDArray[np.float64]:
        """Return a read-out's membrane after each step, ``[T, B, *shape]``, in units of the
        model.
        """
        if index not in self.readouts:
            known = ", ".join(map(str, self.readouts))
            what = f"there is no read-out {index!r}"
            hint = f"use {known}" if known else "the network has none: take record.spikes"
            raise InputError(what, where="readout", hint=hint)
        values: NDArray[np.float64] = self.readouts[index] / self.readout_units[index]
        return values

    def plot_raster(
        self, layer: int | None = None, *, sample: int = 0, ax: Axes | None = None
    ) -> Axes:
        """Draw the spikes of a layer, steps to the right and neurons upwards (extra ``plot``).

        Args:
            layer: its index; None is the last layer that was kept.
            sample: index of the sample.
            ax: matplotlib axes to draw on; None makes a figure.

        Returns:
            The axes.

        Raises:
            InputError: a layer that was not kept, or a sample that is not there.
            EnvironmentFault: matplotlib is not installed.
        """
        from .pictures import raster

        return raster(self, layer, sample, ax)

    def _repr_html_(self) -> str:
        head = ("layer", "name", "spikes", "shape", "synaptic operations", "neuron updates")
        rows = []
        for index in sorted({*self.spikes, *range(len(self.activity))}):
            counts = self.activity[index] if index < len(self.activity) else None
            kept = self.spikes.get(index)
            sent = "" if kept is None else f"{int(kept.sum(dtype=np.int64)):,}"
            rows.append(
                (
                    str(index),
                    "" if counts is None else counts.name,
                    sent if counts is None else f"{int(counts.spikes_out.sum()):,}",
                    "not kept" if kept is None else "x".join(map(str, kept.shape)),
                    "" if counts is None else f"{int(counts.synops.sum()):,}",
                    "" if counts is None else f"{int(counts.updates.sum()):,}",
                )
            )
        took = "" if self.elapsed_s is None else f", {1e3 * self.elapsed_s:.1f} ms"
        return table_html(f"Record of {self._title()}{took}", head, rows)

    def _title(self) -> str:
        steps, samples = number_of(self.steps, "step"), number_of(self.samples, "sample")
        return f"{label(self.backend)}: {steps}, {samples}"

    def __str__(self) -> str:
        head = self._title()
        for index, count in self.saturations.items():
            if count:
                head += f"\n  readout_{index}: clipped in {count:,} neuron steps"
        if not self.activity:
            return head
        width = max(len(layer.name) for layer in self.activity)
        rows = [
            f"  {layer.name:<{width}}  {int(layer.spikes_in.sum()):>12,} in "
            f"{int(layer.spikes_out.sum()):>12,} out {int(layer.synops.sum()):>14,} synops"
            f"{_nonzero(layer)}"
            for layer in self.activity
        ]
        silent = silence(self.activity, self.readout_names)
        return "\n".join([head, *rows, *(f"  warning: {line}" for line in silent)])


def silence(layers: Iterable[Any], readouts: Iterable[str] = ()) -> list[str]:
    """Say which layers sent no spike although they received some; those after them are left out.

    Args:
        layers: with ``name``, ``spikes_in`` and ``spikes_out``, as numbers or arrays.
        readouts: names of neurons that never fire; several in one layer are joined by ``+``.
    """
    said, never = [], set(readouts)
    for layer in layers:
        if never.issuperset(layer.name.split("+")):
            continue
        received, sent = int(np.sum(layer.spikes_in)), int(np.sum(layer.spikes_out))
        if received and not sent:
            said.append(
                f"layer {layer.name} received {received:,} spikes and sent none, so that nothing "
                "after it is tried: lower its threshold, or calibrate on input like this"
            )
    return said


def _nonzero(layer: LayerActivity) -> str:
    """Return the second count of synaptic operations, where it is known."""
    if layer.synops_nonzero is None:
        return ""
    return f", {int(layer.synops_nonzero.sum()):,} at weights that are not zero"

"""Time of a chip's steps from the loads of its cores and one set of constants.

What a core does overlaps: reading synapses, taking messages in, updating neurons, sending. At
best a core takes as long as the longest of these. At worst it takes its messages and reads their
synapses in series, and likewise updates and sends; where the constants price messages, the
core that hears the last one may have to wait for the slowest sender, and a sender for each of its
receivers in turn (`turns`). A step ends in a barrier.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.hardware import HardwareProfile, Variant
from sdcl_neuro.network.spec import Kind

from .cost import Constant, find, path, why_not
from .interval import ONE, ZERO, Interval, hull
from .steps import LayerLoads
from .turns import in_turn

Times = NDArray[np.float64]


@dataclass(frozen=True)
class StepModel:
    """The times of one set of constants, in ns.

    Attributes:
        barrier: of a step, the longest way of a message included.
        synop: by the kind of layer.
        inactive, active: update of a neuron.
        messages: whether taking in or sending a message is priced.
        factor: what the work of a core is multiplied with.
        constants: all that went in.
    """

    barrier: Interval
    synop: dict[Kind, Interval]
    inactive: Interval
    active: Interval
    axon_in: Interval
    axon_out: Interval
    spike_out: Interval
    factor: Interval
    constants: tuple[Constant, ...]

    @property
    def messages(self) -> bool:
        """Return whether messages take time of their own."""
        return self.axon_in.high > 0 or self.axon_out.high > 0

    def step(
        self, kinds: Iterable[Kind], loads: Iterable[LayerLoads], *, uneven: float = 1.0
    ) -> tuple[Times, Times]:
        """Return shortest and longest time of every step in ns, each ``[steps, B]``.

        Args:
            kinds, loads: of every layer.
            uneven: how many times the mean load the slowest core may have, where the loads are
                means; the shortest time does not use it.
        """
        low: Times = np.zeros(())
        sending: Times = np.zeros(())
        receiving: Times = np.zeros(())
        for kind, load in zip(kinds, loads, strict=True):
            low = np.maximum(low, self._least(kind, load).max(axis=2))
            receive, send = self._most(kind, load, uneven)
            receiving = np.maximum(receiving, receive.max(axis=2))
            if self.messages:
                receiving = np.maximum(receiving, self._queued(kind, load))
            sending = np.maximum(sending, send.max(axis=2))
        high = receiving + sending if self.messages else np.maximum(receiving, sending)
        return (
            self.barrier.low + self.factor.low * low,
            self.barrier.high + self.factor.high * high,
        )

    def _least(self, kind: Kind, load: LayerLoads) -> Times:
        """Return, per core, all that it does at once."""
        active = self.active.low - self.inactive.low
        parts = (
            self.synop[kind].low * (load.synops + load.own_synops),
            self.axon_in.low * (load.heard + load.own_heard),
            self.inactive.low * load.neurons + (active + self.spike_out.low) * load.fired,
            self.axon_out.low * load.sent_least,
        )
        longest: Times = np.maximum.reduce([np.asarray(part, dtype=np.float64) for part in parts])
        return longest

    def _most(self, kind: Kind, load: LayerLoads, uneven: float) -> tuple[Times, Times]:
        """Return, per core, what it takes in and gives out, each one thing after another."""
        receive = uneven * (
            self.synop[kind].high * (load.synops + load.own_synops)
            + self.axon_in.high * (load.arriving + load.own_heard)
        )
        send = self.active.high * load.neurons + uneven * (
            self.spike_out.high * load.fired + self.axon_out.high * load.sent
        )
        return np.asarray(receive, dtype=np.float64), np.asarray(send, dtype=np.float64)

    def _queued(self, kind: Kind, load: LayerLoads) -> Times:
        """Return what a layer's cores take in, if their senders wait for each of them in turn."""
        if load.turn_synops is None or load.turn_arriving is None:
            return np.zeros(())
        synop, message = self.synop[kind].high, self.axon_in.high
        received = in_turn(synop * load.turn_synops + message * load.turn_arriving)
        own = (synop * load.own_synops + message * load.own_heard).max(axis=2)
        return np.asarray(received + own, dtype=np.float64)


def step_model(
    variant: Variant, hw: HardwareProfile, kinds: Iterable[Kind], *, chips: int
) -> StepModel | str:
    """Return the times of a variant, or which of them is missing."""
    table, name = variant.time, variant.name
    stated = next((q.unknown for q in table.values() if q.unknown), "")
    if not table:
        return "no times"
    found: dict[Kind, Constant] = {}
    for kind in dict.fromkeys(kinds):
        own = "synop_conv" if kind == "conv" else "synop_dense"
        constant = find(table, name, own, "synop")
        if constant is None:
            return stated or _missing(variant, own, "synop")
        found[kind] = constant
    active = find(table, name, "neuron_update_active", "neuron_update")
    inactive = find(table, name, "neuron_update_inactive", "neuron_update")
    if active is None or inactive is None:
        return _missing(variant, "neuron_update_active", "neuron_update")
    barrier = find(table, name, "barrier")
    if barrier is None:
        return _missing(variant, "barrier")
    wait, used = barrier.interval, [barrier, *found.values(), inactive, active]
    wide = find(table, name, "barrier_many_chips") if chips > 1 else None
    if wide is not None:
        wait, used = hull([wait, wide.interval]), [*used, wide]
    way, hops = path(table, name, hw)
    optional = {
        key: find(table, name, key) for key in ("axon_in", "axon_out", "spike_out", "model_factor")
    }
    used += [*hops, *(constant for constant in optional.values() if constant is not None)]
    times = {key: ZERO if value is None else value.interval for key, value in optional.items()}
    factor = optional["model_factor"]
    return StepModel(
        barrier=wait + way,
        synop={kind: constant.interval for kind, constant in found.items()},
        inactive=inactive.interval,
        active=active.interval,
        axon_in=times["axon_in"],
        axon_out=times["axon_out"],
        spike_out=times["spike_out"],
        factor=ONE if factor is None else factor.interval,
        constants=tuple(dict.fromkeys(used)),
    )


def _missing(variant: Variant, *names: str) -> str:
    """Return which time a set of constants lacks, and what to do about it."""
    reason = why_not(variant.time, *names)
    if any(name in variant.time for name in names):
        return reason
    return (
        f"[variants.{variant.name}.time] has no '{names[-1]}', which a step needs: "
        "add it, or give --step-us"
    )

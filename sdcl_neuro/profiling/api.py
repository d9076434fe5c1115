"""`profile`: run a network, or take the record of a run, and price it on every target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from math import inf, prod
from pathlib import Path
from typing import Protocol

import numpy as np

from sdcl_neuro.errors import InputError
from sdcl_neuro.hardware import HardwareProfile, load_profile
from sdcl_neuro.hardware.placement import Fit, fit
from sdcl_neuro.network.arguments import need_number
from sdcl_neuro.network.backend_names import label
from sdcl_neuro.network.graph_picture import stored_nodes
from sdcl_neuro.network.notes import Note
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork

from .dense import REFERENCE, dense_energy, dense_twin
from .energy import energy
from .latency import EVEN, Latency, latency, times_of
from .neurobench import neurobench
from .rate import check_rate, power
from .readouts import with_readouts
from .result import Profile, TargetCost, figures
from .simulated import SideBySide, SimulatedRun
from .step_costs import step_costs
from .steps import LayerLoads, layer_loads
from .workload import Workload, estimated, workload

KEPT_BYTES = 1 << 29
"""Spikes of all layers that are kept to count the work core by core; beyond it is spread evenly."""
Hardware = str | Path | HardwareProfile


class HasInteger(Protocol):
    """Anything that carries an integer network, such as a loaded model file."""

    @property
    def integer(self) -> IntNetwork | None:
        """The integer network, None for a float-only model."""


def profile(
    net: IntNetwork | HasInteger,
    spikes: object = None,
    *,
    hw: Hardware | Sequence[Hardware] = ("loihi1", "loihi2"),
    record: Record | None = None,
    step_us: float | None = None,
    host_us: float | None = None,
    rate_hz: float | None = None,
    device: str = "cpu",
    simulated: SimulatedRun | None = None,
) -> Profile:
    """Count what a network does on spikes, and model what that costs.

    Args:
        net: an integer network, or an object with one in ``.integer``; what that says in ``.step``
            and ``.assumed`` is told along.
        spikes: uint8 ``[T, B, *input_shape]``; not needed beside a record, though with them, and
            every layer's spikes in the record, the work is counted core by core.
        hw: targets: names (`sdcl_neuro.hardware.list_profiles`), TOML paths, or profiles.
        record: of a run of `net`, with counts; None runs the engine on `spikes`.
        step_us: time of one step in microseconds, if it is known; None models it.
        host_us: what the host adds to every step in microseconds, if it is known.
        rate_hz: inferences (samples) a second, for the mean power; None leaves that out.
        device: where the engine runs, as torch names it.
        simulated: another simulator's figures of the same spikes, to be shown with the model's.

    Raises:
        InputError: a float-only model, an unknown target, a rate that is not a positive number,
            neither spikes nor record, a record without counts, no sample at all.
    """
    integer = _integer(net)
    targets = load_targets(hw)
    if step_us is not None and not need_number(step_us, "step_us", "give it in us") > 0:
        raise InputError(f"a step of {step_us} us", where="step_us", hint="give a positive time")
    if host_us is not None and not 0 <= need_number(host_us, "host_us", "give it in us") < inf:
        raise InputError(
            f"a host's time of {host_us} us a step",
            where="host_us",
            hint="give a time that is not negative",
        )
    check_rate(rate_hz)
    if record is None:
        record = _run(integer, spikes, device)
    elif spikes is not None:
        _expect_same_run(spikes, record)
    work = workload(integer, record)
    seen = _Seen(integer, spikes, record)
    options = _Options(step_us, host_us, rate_hz)
    priced = {target.name: _price(integer, work, target, seen, options) for target in targets}
    energies = {
        name: target.energy for name, target in priced.items() if target.hw.family == "neuromorphic"
    }
    return Profile(
        step=getattr(net, "step", None),
        simulated=None if simulated is None else _side_by_side(simulated, work, priced, seen),
        backend=record.backend,
        steps=record.steps,
        samples=record.samples,
        input_shape=tuple(integer.input_shape),
        input_spikes=int(record.activity[0].spikes_in.sum()),
        layers=tuple(
            figures(layer, activity)
            for layer, activity in zip(integer.layers, record.activity, strict=True)
        ),
        assumed=(*getattr(net, "assumed", ()), *_assumed(integer, record, seen)),
        targets=priced,
        neurobench=neurobench(integer, record),
        rate_hz=rate_hz,
        ann=dense_twin(work, load_profile(REFERENCE), energies),
        elapsed_s=record.elapsed_s,
        versions=dict(record.versions),
        graph=stored_nodes(integer.meta),
    )


def _integer(net: object) -> IntNetwork:
    if isinstance(net, str | Path):
        raise InputError(
            f"{str(net)!r} is a path, not a network",
            hint="call sdcl_neuro.profile, which takes paths, or give sdcl_neuro.load(path)",
        )
    found = net if isinstance(net, IntNetwork) else getattr(net, "integer", None)
    if not isinstance(found, IntNetwork):
        raise InputError(
            "the network is not in a chip's integers, so it has no exact counts",
            hint="convert it first (sdcl-neuro convert, or conversion.quantize)",
        )
    return found


def load_targets(hw: Hardware | Sequence[Hardware]) -> list[HardwareProfile]:
    """Return the profiles of chips by name, TOML file or profile, each once.

    Raises:
        InputError: an unknown chip, one that is given twice, or no such list.
    """
    listed = [hw] if isinstance(hw, (str, Path, HardwareProfile)) else hw
    if not isinstance(listed, Sequence | Set) or not all(
        isinstance(entry, (str, Path, HardwareProfile)) for entry in listed
    ):
        what = f"expected names of chips, got {hw!r}"
        raise InputError(what, where="hw", hint="give a list such as ['loihi1', 'loihi2']")
    found = [
        entry if isinstance(entry, HardwareProfile) else load_profile(entry) for entry in listed
    ]
    names = [entry.name for entry in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"hardware {', '.join(twice)} given twice", hint="name each once")
    return found


def _run(net: IntNetwork, spikes: object, device: str) -> Record:
    if spikes is None:
        raise InputError("neither spikes nor a record to profile", hint="give one of them")
    from sdcl_neuro.engine import run_network

    leading = tuple(getattr(spikes, "shape", ()))[:2]  # of anything else the engine judges
    neurons = sum(layer.neurons for layer in net.layers)
    kept = None if prod(leading) * neurons <= KEPT_BYTES else ()
    return run_network(net, spikes, layers=kept, device=device)


def _expect_same_run(spikes: object, record: Record) -> None:
    found = tuple(getattr(spikes, "shape", ()))[:2]
    if found != (record.steps, record.samples):
        raise InputError(
            f"the record is of {record.steps} steps and {record.samples} samples, the spikes of "
            f"{' and '.join(map(str, found)) or 'no shape'}",
            where="record",
            hint="give the spikes that were run, or the record alone",
        )


@dataclass(frozen=True)
class _Options:
    """What the caller knows of the target."""

    step_us: float | None
    host_us: float | None
    rate_hz: float | None


@dataclass(frozen=True)
class _Seen:
    """The run that was counted: its spikes say what each core did in each step."""

    net: IntNetwork
    inputs: object
    record: Record

    @property
    def complete(self) -> bool:
        """Return whether input and every layer's spikes are at hand.

        The record of a graph holds the spikes of the user's layers, which need not be the chain's.
        """
        spikes, activity = self.record.spikes, self.record.activity
        if self.inputs is None or len(spikes) != len(self.net.layers):
            return False
        return all(
            tuple(spikes[index].shape[2:]) == tuple(layer.out_shape)
            and int(spikes[index].sum()) == int(activity[index].spikes_out.sum())
            for index, layer in enumerate(self.net.layers)
        )

    def loads(self, placed: Fit) -> list[LayerLoads] | None:
        """Return what each core did; None without spikes or cores."""
        if not self.complete or placed.placement is None:
            return None
        inputs = np.asarray(self.inputs, dtype=np.uint8)
        return layer_loads(self.net, inputs, self.record.spikes, placed.placement)


def _assumed(net: IntNetwork, record: Record, seen: _Seen) -> tuple[Note, ...]:
    """Return what was taken for granted because the run does not say it."""
    found = []
    guessed = estimated(net, record)
    if guessed:
        what = f"operations at weights that are not zero, in {', '.join(guessed)}: by their share"
        found.append(Note(what, f"the record of {label(record.backend)} did not count them"))
    if not seen.complete:
        found.append(Note(f"times: {EVEN}", "no spikes of the layers were kept"))
    return tuple(found)


def _side_by_side(
    simulated: SimulatedRun, work: Workload, priced: Mapping[str, TargetCost], seen: _Seen
) -> SideBySide:
    """Return a simulator's figures with the model's of every step."""
    target = priced.get(simulated.target)
    if target is None or target.fit is None:
        raise InputError(
            f"{simulated.simulator} simulates {simulated.target}, which is not among the targets",
            where="hw",
            hint=f"add {simulated.target}",
        )
    loads = seen.loads(target.fit)
    if loads is None or len(simulated.samples) != seen.record.samples:
        raise InputError(
            f"no spikes of every layer to compare with {simulated.simulator}'s figures",
            where="spikes",
            hint="give the spikes that were simulated, fewer samples or steps at a time",
        )
    inputs = np.asarray(seen.inputs, dtype=np.uint8)
    entered = np.count_nonzero(inputs.reshape(*inputs.shape[:2], -1), axis=2)
    return SideBySide(simulated, step_costs(work, target.hw, target.fit, loads, entered))


def _price(
    net: IntNetwork, work: Workload, hw: HardwareProfile, seen: _Seen, options: _Options
) -> TargetCost:
    if hw.family == "dense":
        time = Latency(reason="a dense reference has no time per operation here")
        return _with_power(work, TargetCost(hw, dense_energy(work, hw), time), options)
    placed = fit(net, hw)
    loads = seen.loads(placed) if options.step_us is None and times_of(hw) else None
    time = latency(
        work, hw, step_us=options.step_us, host_us=options.host_us, fit=placed, loads=loads
    )
    alone, stream = (energy(work, hw, time, fit=placed, stream=each) for each in (False, True))
    target = TargetCost(
        hw,
        with_readouts(alone, net, seen.record.steps),
        time,
        placed,
        stream=with_readouts(stream, net, seen.record.steps),
    )
    return _with_power(work, target, options)


def _with_power(work: Workload, target: TargetCost, options: _Options) -> TargetCost:
    if options.rate_hz is None:
        return target
    found = power(
        work, target.hw, target.energy, target.latency,
        rate_hz=options.rate_hz, fit=target.fit, stream=target.stream,
    )  # fmt: skip
    return replace(target, power=found)

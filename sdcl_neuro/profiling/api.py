"""`profile`: run a network, or take the record of a run, and price it on every target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from sdcl_neuro.errors import InputError
from sdcl_neuro.hardware import HardwareProfile, load_profile
from sdcl_neuro.hardware.placement import fit
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork

from .dense import REFERENCE, dense_energy, dense_twin
from .energy import energy
from .latency import Latency, latency
from .neurobench import neurobench
from .rate import check_rate, power
from .result import Profile, Target, figures
from .workload import Workload, workload

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
    rate_hz: float | None = None,
    device: str = "cpu",
) -> Profile:
    """Count what a network does on spikes, and model what that costs.

    Args:
        net: an integer network, or an object with one in ``.integer``.
        spikes: uint8 ``[T, B, *input_shape]``; not needed beside a record.
        hw: targets: names (`sdcl_neuro.hardware.list_profiles`), TOML paths, or profiles.
        record: of a run of `net`, with counts; None runs the engine on `spikes`.
        step_us: time of one step in microseconds, if it is known; None models it.
        rate_hz: inferences (samples) a second, for the mean power; None leaves that out.
        device: where the engine runs, as torch names it.

    Raises:
        InputError: a float-only model, an unknown target, a rate that is no positive number,
            neither spikes nor record, a record without counts, no sample at all.
    """
    integer = _integer(net)
    targets = _targets(hw)
    if step_us is not None and not step_us > 0:
        raise InputError(f"a step of {step_us} us", where="step_us", mend="give a positive time")
    check_rate(rate_hz)
    if record is None:
        record = _run(integer, spikes, device)
    work = workload(integer, record)
    priced = {target.name: _price(integer, work, target, step_us, rate_hz) for target in targets}
    energies = {
        name: target.energy for name, target in priced.items() if target.hw.family == "neuromorphic"
    }
    return Profile(
        backend=record.backend,
        steps=record.steps,
        samples=record.samples,
        input_shape=tuple(integer.input_shape),
        input_spikes=int(record.activity[0].spikes_in.sum()),
        layers=tuple(figures(activity) for activity in record.activity),
        targets=priced,
        neurobench=neurobench(integer, record),
        rate_hz=rate_hz,
        ann=dense_twin(work, load_profile(REFERENCE), energies),
        elapsed_s=record.elapsed_s,
        versions=dict(record.versions),
    )


def _integer(net: object) -> IntNetwork:
    if isinstance(net, str | Path):
        raise InputError(
            f"{str(net)!r} is a path, not a network",
            mend="call sdcl_neuro.profile, which takes paths, or give sdcl_neuro.load(path)",
        )
    found = net if isinstance(net, IntNetwork) else getattr(net, "integer", None)
    if not isinstance(found, IntNetwork):
        raise InputError(
            "the network is not in a chip's integers, so it has no exact counts",
            mend="convert it first (sdcl-neuro convert, or conversion.quantize)",
        )
    return found


def _targets(hw: Hardware | Sequence[Hardware]) -> list[HardwareProfile]:
    listed = [hw] if isinstance(hw, (str, Path, HardwareProfile)) else list(hw)
    found = [
        entry if isinstance(entry, HardwareProfile) else load_profile(entry) for entry in listed
    ]
    names = [entry.name for entry in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"hardware {', '.join(twice)} given twice", mend="name each target once")
    return found


def _run(net: IntNetwork, spikes: object, device: str) -> Record:
    if spikes is None:
        raise InputError("neither spikes nor a record to profile", mend="give one of them")
    from sdcl_neuro.engine import run_network

    return run_network(net, spikes, layers=(), device=device)


def _price(
    net: IntNetwork,
    work: Workload,
    hw: HardwareProfile,
    step_us: float | None,
    rate_hz: float | None,
) -> Target:
    if hw.family == "dense":
        placed = None
        time = Latency(reason="a dense reference has no time per operation here")
        cost = dense_energy(work, hw)
    else:
        placed = fit(net, hw)
        time = latency(work, hw, step_us=step_us, fit=placed)
        cost = energy(work, hw, time, fit=placed)
    if rate_hz is None:
        return Target(hw, cost, time, placed)
    return Target(
        hw, cost, time, placed, power=power(work, hw, cost, time, rate_hz=rate_hz, fit=placed)
    )

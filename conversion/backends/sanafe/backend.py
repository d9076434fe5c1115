"""The SANA-FE backend: a network, placed as `hw fit` places it on Loihi 1, run by SANA-FE."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sdcl_neuro import __version__
from sdcl_neuro.engine import run_network
from sdcl_neuro.engine.check import check_input, check_layers
from sdcl_neuro.engine.check import check_network as check_sound
from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.files import scratch_folder
from sdcl_neuro.network.arguments import public
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import Spikes, SpikesLike

from .interpreter import find_interpreter
from .job import place, recurrent_synapses, synapses, write_job
from .refusals import check_network, check_run

if TYPE_CHECKING:
    from ...model import Model

DRIVER = Path(__file__).with_name("driver.py")


@dataclass(frozen=True)
class Performance:
    """What SANA-FE says of one sample, step by step; each list has steps + layers entries.

    A sample's last input passes through one layer a step, so that many steps follow its own.

    Attributes:
        time_s: simulated time of each step, its barrier included.
        energy_j: of each step, by part: ``synapse``, ``dendrite``, ``soma``, ``network``.
        messages: sent in each step, one a spike and core that reads it.
        hops: of all messages of each step.
        synops: spikes delivered to synapses of each step.
    """

    time_s: tuple[float, ...]
    energy_j: dict[str, tuple[float, ...]]
    messages: tuple[int, ...]
    hops: tuple[int, ...]
    synops: tuple[int, ...]

    @property
    def total_s(self) -> float:
        """Simulated time of the sample."""
        return sum(self.time_s)

    @property
    def total_j(self) -> float:
        """Simulated energy of the sample, without static power."""
        return sum(sum(values) for values in self.energy_j.values())

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "time_us": [1e6 * value for value in self.time_s],
            "energy_uj": {k: [1e6 * v for v in values] for k, values in self.energy_j.items()},
            "messages": list(self.messages),
            "hops": list(self.hops),
            "synops": list(self.synops),
            "total_us": 1e6 * self.total_s,
            "total_uj": 1e6 * self.total_j,
        }


@dataclass(frozen=True)
class Simulation:
    """A run in SANA-FE.

    Attributes:
        record: the spikes, aligned with the input.
        performance: one entry a sample.
        cores: that hold neurons or inputs.
        version: of SANA-FE.
    """

    record: Record
    performance: tuple[Performance, ...]
    cores: int
    version: str


def run(
    model: Model | IntNetwork,
    spikes: SpikesLike,
    *,
    layers: Sequence[int] | None = None,
    device: str = "cpu",
    sanafe: str | Path | None = None,
    timeout_s: float | None = None,
) -> Record:
    """Run a network in SANA-FE; every sample starts from a clean state.

    Args:
        model: a model with an integer network, or the network.
        spikes: uint8 ``[T, B, *input_shape]``, binary.
        layers: layers whose spikes to keep; None keeps all.
        device: ``cpu``: SANA-FE has no other.
        sanafe: the Python interpreter that has it; None looks for one.
        timeout_s: seconds after which it is ended; None waits indefinitely.

    Raises:
        NetworkRefused: its neuron model differs there, every reason at once.
        EnvironmentFault: SANA-FE is missing, failed or timed out.
    """
    if device != "cpu":
        raise InputError(f"device {device!r}", where="sanafe", hint="use cpu")
    net = model if isinstance(model, IntNetwork) else model.need_integer()
    return simulate(net, spikes, layers=layers, sanafe=sanafe, timeout_s=timeout_s).record


@public
def simulate(
    net: IntNetwork,
    spikes: SpikesLike,
    *,
    layers: Sequence[int] | None = None,
    sanafe: str | Path | None = None,
    timeout_s: float | None = None,
) -> Simulation:
    """Run a network in SANA-FE, a simulator of Loihi 1.

    Args:
        net: the network, in integers.
        spikes: uint8 ``[T, B, *input_shape]``, binary.
        layers: indices of the layers whose spikes to keep; None keeps all.
        sanafe: an interpreter that has SANA-FE; None looks for one.
        timeout_s: seconds after which it is stopped; None waits.

    Returns:
        Spikes; and for each sample and step the time in seconds, energies in joules, messages,
        hops and synaptic operations.

    Raises:
        InputError: a network or spikes that cannot be used.
        NetworkRefused: what SANA-FE does not compute, such as delays.
        EnvironmentFault: SANA-FE is not installed, failed, or took too long.
    """
    check_sound(net)
    values = check_input(net, spikes)
    keep = check_layers(net, layers)
    parts = [part for layer in net.layers for part in (synapses(layer), recurrent_synapses(layer))]
    check_network(net, sum(len(part.weight) for part in parts if part is not None))
    check_run(net, run_network(net, values, layers=()))
    interpreter, version = find_interpreter(sanafe)
    if timeout_s is not None and not timeout_s > 0:
        raise InputError(f"timeout_s {timeout_s}", where="sanafe", hint="give seconds, above 0")
    with scratch_folder("sdcl_neuro_sanafe") as folder:
        write_job(net, values, place(net), folder)
        _execute(interpreter, folder, timeout_s)
        result = json.loads((folder / "result.json").read_text("utf-8"))
        job = json.loads((folder / "job.json").read_text("utf-8"))
        fired = np.fromfile(folder / "spikes.bin", np.intc).reshape(-1, 4)
        used = {core for core, _ in job["inputs"]}
        for index in range(len(net.layers)):
            used |= set(np.fromfile(folder / f"cores_{index}.bin", np.intc).tolist())
    record = Record(
        backend="sanafe",
        steps=values.shape[0],
        samples=values.shape[1],
        input_shape=net.input_shape,
        spikes=_spikes(net, fired, values.shape[:2], keep),
        elapsed_s=float(result["elapsed_s"]),
        versions={"sdcl-neuro": __version__, "sanafe": version},
    )
    performance = tuple(_performance(sample) for sample in result["samples"])
    return Simulation(record, performance, len(used), version)


def _execute(interpreter: str, folder: Path, timeout_s: float | None) -> None:
    try:
        done = subprocess.run(
            [interpreter, "-E", str(DRIVER), str(folder)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFault(
            f"no result after {timeout_s:g} s",
            where="sanafe",
            hint="allow more time, or give fewer steps or samples",
        ) from error
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
        fault = EnvironmentFault(f"it ended with {done.returncode}: {lines[-1]}", where="sanafe")
        fault.add_note(done.stderr)
        raise fault


def _spikes(
    net: IntNetwork, fired: np.ndarray, leading: tuple[int, ...], keep: Sequence[int]
) -> dict[int, Spikes]:
    """Return spikes ``[T, B, *out_shape]`` from (sample, step, layer, neuron), the pipeline taken
    out.
    """
    steps, samples = leading
    found = {}
    for index in keep:
        layer = net.layers[index]
        mine = fired[fired[:, 2] == index]
        step = mine[:, 1] - (index + 1)
        inside = (step >= 0) & (step < steps)
        whole = np.zeros((steps, samples, layer.neurons), np.uint8)
        whole[step[inside], mine[inside, 0], mine[inside, 3]] = 1
        found[index] = whole.reshape(steps, samples, *layer.out_shape)
    return found


def _performance(sample: Sequence[dict[str, Any]]) -> Performance:
    def column(name: str) -> tuple[Any, ...]:
        return tuple(step[name] for step in sample)

    parts = ("synapse", "dendrite", "soma", "network")
    return Performance(
        time_s=column("sim_time"),
        energy_j={part: column(f"{part}_energy") for part in parts},
        messages=column("messages"),
        hops=column("hops"),
        synops=column("spikes"),
    )

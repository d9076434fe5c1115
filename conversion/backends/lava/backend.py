"""The Lava backend: the very same netx file, run by lava-dl in fixed point, in a child process.

Lava patches, forks and prints: none of it happens in the user's process. Jobs and spikes go
through files of a temporary folder (JSON, ``.npy``, packed bits).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.engine.check import check_input, check_layers
from sdcl_neuro.errors import InputError
from sdcl_neuro.files import scratch_folder
from sdcl_neuro.network.activity import count_activity
from sdcl_neuro.network.identity import versions_of
from sdcl_neuro.network.record import LayerActivity, Record
from sdcl_neuro.network.spec import IntNetwork

from ...targets.netx.file import from_netx, to_netx
from ...targets.netx.input_neurons import drive
from .child import run_worker
from .installation import require_lava

if TYPE_CHECKING:
    from ...model import Model

Spikes = NDArray[np.uint8]
RunConfig = Literal["sim", "loihi2hw"]
RUN_CONFIGS: tuple[RunConfig, ...] = ("sim", "loihi2hw")


def run(
    model: Model | IntNetwork | str | Path,
    spikes: object,
    *,
    layers: Sequence[int] | None = None,
    device: str = "cpu",
    timeout_s: float | None = None,
    run_cfg: RunConfig = "sim",
    membranes: Sequence[int] = (),
) -> Record:
    """Run a network in Lava; every sample starts from a clean state.

    Args:
        model: a `Model` with an integer network, an `IntNetwork`, or the path of a netx file. A
            file is run as it is; anything else is written to one first.
        spikes: uint8 ``[T, B, *input_shape]``; counts only if the network has message bits.
        layers: layers whose spikes are read out; None reads all. Each costs time.
        device: ``cpu``: Lava has no other.
        timeout_s: seconds after which Lava is ended; None waits indefinitely.
        run_cfg: ``sim`` is ``Loihi2SimCfg(select_tag="fixed_pt")``; ``loihi2hw`` is
            ``Loihi2HwCfg``, which needs Intel's extension and a board.
        membranes: layers whose membranes to keep after each step, in ``Record.readouts``.

    Returns:
        The record; `elapsed_s` covers stepping only. Activity is counted if all layers are read.

    Raises:
        NetworkRefused: Lava could not run the network exactly.
        EnvironmentFault: Lava is missing, failed or timed out.
    """
    (record,) = run_many(
        [(model, spikes)],
        layers=layers,
        device=device,
        timeout_s=timeout_s,
        run_cfg=run_cfg,
        membranes=membranes,
    )
    return record


def run_many(
    pairs: Sequence[tuple[Model | IntNetwork | str | Path, object]],
    *,
    layers: Sequence[int] | None = None,
    device: str = "cpu",
    timeout_s: float | None = None,
    run_cfg: RunConfig = "sim",
    membranes: Sequence[int] = (),
) -> list[Record]:
    """Run several networks one after another in one child; start-up is paid once.

    Args:
        pairs: model and spikes, as `run` takes them.
        layers, device, timeout_s, run_cfg, membranes: as in `run`; the timeout is for all
            together.
    """
    if device != "cpu":
        raise InputError(f"device {device!r}", where="lava", hint="Lava runs on the CPU: use cpu")
    if run_cfg not in RUN_CONFIGS:
        raise InputError(f"run_cfg {run_cfg!r}", hint=f"use one of {', '.join(RUN_CONFIGS)}")
    if timeout_s is not None and not timeout_s > 0:
        raise InputError(f"timeout_s {timeout_s}", where="lava", hint="give seconds, above 0")
    if membranes and run_cfg != "sim":
        what = "membranes are read in simulation only; a board needs a probe of its own"
        raise InputError(what, where="lava", hint="use run_cfg='sim', or end in spiking neurons")
    require_lava()
    with scratch_folder("sdcl_neuro_lava") as folder:
        jobs = [
            _Job.prepare(
                model,
                spikes,
                layers=layers,
                membranes=membranes,
                folder=folder,
                name=f"job{index}",
            )
            for index, (model, spikes) in enumerate(pairs)
        ]
        request = {"run_cfg": run_cfg, "jobs": [job.request(folder) for job in jobs]}
        (folder / "jobs.json").write_text(json.dumps(request), encoding="utf-8")
        run_worker(folder, timeout_s=timeout_s)
        return [job.record(folder) for job in jobs]


@dataclass(frozen=True)
class _Job:
    """One network over some samples, as the parent sees it."""

    name: str
    net: IntNetwork
    path: Path
    spikes: Spikes
    layers: tuple[int, ...]
    membranes: tuple[int, ...] = ()

    @classmethod
    def prepare(
        cls,
        model: Model | IntNetwork | str | Path,
        spikes: object,
        *,
        layers: Sequence[int] | None,
        membranes: Sequence[int],
        folder: Path,
        name: str,
    ) -> _Job:
        """Check the network and its input, and see that there is a netx file."""
        net, path = _network(model)
        if path is None:
            path = folder / f"{name}.net"
            to_netx(net, path)
        values = check_input(net, spikes)
        kept = check_layers(net, tuple(membranes))
        return cls(name, net, path, values, check_layers(net, layers), kept)

    def request(self, folder: Path) -> dict[str, Any]:
        """Write the input and reserve the outputs; return what the worker is told."""
        steps, samples = self.spikes.shape[:2]
        # One sample after another: row = sample * steps + step.
        rows = np.ascontiguousarray(self.spikes.swapaxes(0, 1))
        np.save(folder / f"{self.name}.npy", rows.reshape(samples * steps, *self.net.input_shape))
        sinks = [(index, f"{self.name}_{index}.bits") for index in self.layers]
        for index, file in sinks:
            width = -(-self.net.layers[index].neurons // 8)
            with (folder / file).open("wb") as stream:
                stream.truncate(steps * samples * width)
        states = [(index, f"{self.name}_{index}.v") for index in self.membranes]
        for index, file in states:
            with (folder / file).open("wb") as stream:
                stream.truncate(steps * samples * self.net.layers[index].neurons * 4)
        return {
            "name": self.name,
            "net": str(self.path.resolve()),
            "spikes": f"{self.name}.npy",
            "steps": steps,
            "samples": samples,
            "input_shape": self.net.input_shape,
            "message_bits": self.net.message_bits,
            "drive": drive(self.net),
            "sinks": sinks,
            "membranes": states,
            "fresh": needs_fresh_network(self.net),
            "clear": list(clears(self.net)),
        }

    def record(self, folder: Path) -> Record:
        """Return the worker's output."""
        result = json.loads((folder / f"{self.name}.json").read_text(encoding="utf-8"))
        kept = {index: self._read(folder, index) for index in self.layers}
        steps, samples = self.spikes.shape[:2]
        return Record(
            backend="lava",
            steps=steps,
            samples=samples,
            input_shape=self.net.input_shape,
            spikes=kept,
            activity=self._activity(kept),
            elapsed_s=result["elapsed_s"],
            versions=versions(),
            readouts={index: self._read_membranes(folder, index) for index in self.membranes},
        )

    def _read_membranes(self, folder: Path, index: int) -> NDArray[np.int64]:
        """Return membranes of one layer, int64 ``[T, B, *out_shape]``."""
        steps, samples = self.spikes.shape[:2]
        values = np.fromfile(folder / f"{self.name}_{index}.v", np.int32).astype(np.int64)
        rows = values.reshape(samples, steps, *self.net.layers[index].out_shape)
        return np.ascontiguousarray(rows.swapaxes(0, 1))

    def _read(self, folder: Path, index: int) -> Spikes:
        """Return spikes of one layer, uint8 ``[T, B, *out_shape]``."""
        layer = self.net.layers[index]
        steps, samples = self.spikes.shape[:2]
        packed = np.fromfile(folder / f"{self.name}_{index}.bits", np.uint8)
        bits = np.unpackbits(packed.reshape(steps * samples, -1), axis=1, count=layer.neurons)
        rows = bits.reshape(samples, steps, *layer.out_shape)
        return np.ascontiguousarray(rows.swapaxes(0, 1))

    def _activity(self, kept: Mapping[int, Spikes]) -> tuple[LayerActivity, ...]:
        if len(kept) < len(self.net.layers):
            return ()  # a layer's input is the spikes of the one before it
        return count_activity(self.net, self.spikes, kept)


def needs_fresh_network(net: IntNetwork) -> bool:
    """Return whether a sample's late spikes would reach the next: by recurrence or by a delay."""
    return any(
        layer.kind == "dense_rec" or (layer.delay is not None and bool(layer.delay.any()))
        for layer in net.layers
    )


def clears(net: IntNetwork) -> Iterator[tuple[int, int, str]]:
    """Yield buffers of spikes to clear: (after which step, in which layer, of which synapse).

    Until its first input arrives, at step k + 2, layer k may spike of its own biases. Its own
    recurrence, and a delay behind it, would carry these spikes past the reset.
    """
    driven = drive(net) is not None  # no synapse before the first layer: all is a step earlier
    biased = False
    for index, layer in enumerate(net.layers):
        arrival = index if driven else index + 1
        if layer.delay is not None and biased:
            yield arrival - 1, index, "synapse"
        if not (driven and index == 0):
            biased = biased or (layer.bias is not None and bool((layer.bias > 0).any()))
        if layer.kind == "dense_rec" and biased:
            yield arrival, index, "synapse_rec"


def _network(model: Model | IntNetwork | str | Path) -> tuple[IntNetwork, Path | None]:
    """Return the integer network, and the netx file to run: None where one has to be written."""
    if isinstance(model, IntNetwork):
        return model, None
    if isinstance(model, str | Path):
        return from_netx(model), Path(model)
    net: IntNetwork = model.need_integer()
    if model.path is None or model.path.suffix != ".net" or drive(net) is not None:
        return net, None  # of input neurons Lava takes weight and bias as scalars only
    # Read on behind input neurons, the file holds more than the network.
    return net, model.path if from_netx(model.path, input_shape=net.input_shape) == net else None


def versions() -> dict[str, str]:
    """Return versions that took part in a run."""
    return versions_of("sdcl-neuro", "numpy", "lava-nc", "lava-dl")

"""Runs a job in SANA-FE: executed by the interpreter that has it, never imported by this package.

SANA-FE is under the GPL. This file is the only one that imports it; it needs nothing but Python's
library and reads and writes plain files: ``job.json`` and raw arrays in, ``result.json`` and
``spikes.bin`` out. The chip is SANA-FE's own description of Loihi, with as many columns of tiles as
the placement needs.
"""

from __future__ import annotations

import json
import re
import sys
from array import array
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import Any

import sanafe

CHUNK = 1 << 18  # connections handed over at a time, to bound the memory of Python's lists


def main(folder: Path) -> None:
    """Build the network of a job, run its samples, write what they did."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    arch = _architecture(folder, job)
    chip = sanafe.SpikingChip(arch)
    chip.load(_network(folder, job, arch))
    began = perf_counter()
    fired = array("i")
    samples = [_sample(chip, job, folder, number, fired) for number in range(job["samples"])]
    with (folder / "spikes.bin").open("wb") as file:
        fired.tofile(file)
    result = {
        "sanafe": version("sanafe"),
        "elapsed_s": perf_counter() - began,
        "samples": samples,
    }
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


def _architecture(folder: Path, job: dict[str, Any]) -> Any:
    """Return SANA-FE's Loihi; wider where one chip's mesh is too small."""
    columns, rows, per_tile = job["columns"], job["rows"], job["cores_per_tile"]
    units = [unit for _, unit in job["inputs"]]
    text = (files("sanafe.examples") / "loihi.yaml").read_text(encoding="utf-8")
    for pattern, wanted in (
        (r"\bwidth: 8\b", f"width: {columns}"),
        (r"\bheight: 4\b", f"height: {rows}"),
        (r"loihi_tile\[0\.\.31\]", f"loihi_tile[0..{columns * rows - 1}]"),
        (r"loihi_core\[0\.\.3\]", f"loihi_core[0..{per_tile - 1}]"),
        # Unused input units cost nothing on the chip and most of the time that loading takes.
        (r"loihi_inputs\[0\.\.1023\]", f"loihi_inputs[0..{max(units, default=0)}]"),
    ):
        text, found = re.subn(pattern, wanted, text)
        if found != 1:
            raise RuntimeError(f"loihi.yaml of this SANA-FE has another form: {pattern}")
    path = folder / "loihi.yaml"
    path.write_text(text, encoding="utf-8")
    return sanafe.load_arch(str(path))


def _network(folder: Path, job: dict[str, Any], arch: Any) -> Any:
    """Return populations on their cores, and their synapses."""
    cores = arch.cores()
    net = sanafe.Network()
    groups = [_inputs(net, folder, job, cores)]
    for index, layer in enumerate(job["layers"]):
        group = net.create_neuron_group(
            f"layer_{index}",
            layer["neurons"],
            model_attributes=layer["attributes"],
            soma_hw_name="loihi_lif",
            default_synapse_hw_name=layer["synapse"],
            default_dendrite_hw_name="loihi_dendrites",
            log_spikes=True,
        )
        for neuron, core in zip(group, _ints(folder / f"cores_{index}.bin"), strict=True):
            neuron.map_to_core(cores[core])
        groups.append(group)
    for link in job["links"]:
        _connect(folder, groups[link["source"]], groups[link["target"]], link["file"])
    return net


def _inputs(net: Any, folder: Path, job: dict[str, Any], cores: Any) -> Any:
    """Return one input unit an input that spikes at all; the others would only take room."""
    group = net.create_neuron_group(
        "input", len(job["inputs"]), soma_hw_name="loihi_inputs[0]", log_spikes=False
    )
    trains = (folder / "inputs.bin").read_bytes()
    width = job["input_steps"]
    for number, (neuron, (core, unit)) in enumerate(zip(group, job["inputs"], strict=True)):
        train = [byte != 0 for byte in trains[number * width : (number + 1) * width]]
        neuron.set_attributes(
            soma_hw_name=f"loihi_inputs[{unit}]", model_attributes={"spikes": train}
        )
        neuron.map_to_core(cores[core])
    return group


def _connect(folder: Path, source: Any, target: Any, name: str) -> None:
    """Connect two groups by lists of neurons before, neurons after, and weights."""
    before, after, weight = (_ints(folder / f"{name}_{part}.bin") for part in "abw")
    for start in range(0, len(weight), CHUNK):
        part = slice(start, start + CHUNK)
        pairs = list(zip(before[part], after[part], strict=True))
        source.connect_neurons_sparse(target, {"weight": [float(w) for w in weight[part]]}, pairs)


def _sample(
    chip: Any, job: dict[str, Any], folder: Path, number: int, fired: array[int]
) -> list[dict[str, Any]]:
    """Run one sample from rest; append (sample, step, layer, neuron) of every spike."""
    chip.reset()
    names = {f"layer_{index}": index for index in range(len(job["layers"]))}
    biased = [
        (index, _ints(folder / f"bias_{index}.bin"))
        for index, layer in enumerate(job["layers"])
        if layer["biased"]
    ]
    for index, values in biased:
        _set_bias(chip, index, [0] * len(values))
    performance = []
    for step in range(job["steps"] + len(job["layers"])):
        for index, values in biased:
            # Layer k takes its first input in its step k + 1; until then it must stay at rest.
            if step == index + 1:
                _set_bias(chip, index, values)
        result = chip.sim(1, spike_trace=True, perf_trace=True, processing_threads=1)
        for address in result["spike_trace"][0]:
            fired.extend((number, step, names[address.group_name], address.neuron_offset))
        one = {name: values[0] for name, values in result["perf_trace"].items()}
        performance.append({**one, "messages": result["packets_sent"]})
    return performance


def _set_bias(chip: Any, index: int, values: Sequence[int]) -> None:
    neurons = chip.mapped_neuron_groups[f"layer_{index}"]
    for neuron, value in zip(neurons, values, strict=True):
        neuron.set_attributes(model_attributes={"bias": float(value)})


def _ints(path: Path) -> array[int]:
    values = array("i")
    with path.open("rb") as file:
        values.fromfile(file, path.stat().st_size // values.itemsize)
    return values


if __name__ == "__main__":
    main(Path(sys.argv[1]))

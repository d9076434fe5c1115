#!/usr/bin/env python3
"""Run the network of this folder in Lava and compare every spike with what is expected.

    python run_on_loihi.py               in Lava's fixed-point simulation
    python run_on_loihi.py --board       on a Loihi 2 board (Loihi2HwCfg, spike adapters)

It needs lava-dl and what that brings (Python 3.8 to 3.10); torch only if it is there anyway. The
files are held against manifest.json first; the outcome goes to certificate.json, the spikes of
every layer to recorded.npz, for `sdcl-neuro verify NETWORK --recorded recorded.npz`. Exit code 0:
every spike is equal; 1: not so; 2: a file is missing or altered; 3: Lava is missing or failed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
import tempfile
import traceback
import types
from importlib import import_module
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

try:
    import numpy as np
except ImportError as missing:
    print(f"run_on_loihi: {missing}; install lava-dl", file=sys.stderr)
    raise SystemExit(3) from None

BUNDLE = {"name": "sdcl_neuro.bundle", "version": 3}
CERTIFICATE = {"name": "sdcl_neuro.certificate", "version": 2}
RECORDED = "recorded.npz"
CAUSE = "not sought here: sdcl-neuro verify NETWORK --recorded recorded.npz finds it by experiment"
LIMITS = "Lava 0.10 runs on Python 3.8 to 3.10 and this is {}; use an environment of its own"
UNREAD = "membranes are read in simulation only; on a board the spikes of the layer are compared"
SILENT = "no spikes on either side, so that equality proves little; give livelier input"


class Refused(Exception):
    """The bundle cannot be used as it is."""


def checked_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest, once every file has its hash."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
        schema, files = manifest["schema"], dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"manifest.json: not readable ({error}); copy the folder again") from error
    if schema != BUNDLE:
        raise Refused(f"manifest.json: {schema} is not {BUNDLE}; use the script next to it")
    for name, expected in files.items():
        try:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError as error:
            raise Refused(f"{name}: {error.strerror}; copy the folder again") from error
        if found != expected and name == Path(__file__).name:
            print(f"note: {name} was edited", file=sys.stderr)
        elif found != expected:
            raise Refused(f"{name}: sha256 {found[:16]}, not {expected[:16]}; copy it again")
    return manifest


def import_netx() -> Any:
    """Return lava-dl's reader; where torch is missing, without what would import it and is not
    used.
    """
    if find_spec("torch") is None and "lava.lib.dl.slayer" not in sys.modules:
        roots = getattr(find_spec("lava.lib.dl"), "submodule_search_locations", None) or ()
        for name in ("slayer", "slayer.neuron", "slayer.neuron.rf", "netx"):
            module = types.ModuleType(f"lava.lib.dl.{name}")
            vars(module).update(__path__=[], neuron_params=None)
            sys.modules[module.__name__] = module
        vars(module)["__path__"] = [str(Path(root) / "netx") for root in roots]
    return import_module("lava.lib.dl.netx.hdf5")


def run(folder: Path, manifest: dict[str, Any], spikes: Any, *, board: bool, late: Any) -> Any:
    """Return arrays by name, [T, B, ...], aligned with the input: spikes of every layer, uint8, as
    layer_0 and so on; in simulation also int32 membranes of the layers that are read out.

    Samples follow one another in one network that resets itself; where spikes under way would
    reach the next sample (recurrence, delays), each has a network of its own.
    """
    hdf5, (steps, samples), parts = import_netx(), spikes.shape[:2], []
    together = 1 if manifest["run"]["fresh"] else samples
    for first in range(0, samples, together):
        rows = spikes[:, first : first + together].swapaxes(0, 1).reshape(-1, *spikes.shape[2:])
        with tempfile.TemporaryDirectory(prefix="run_on_loihi_") as name:
            parts.append(run_rows(hdf5, folder, manifest, rows, Path(name), board, late))
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {
        name: rows.reshape(samples, steps, *rows.shape[1:]).swapaxes(0, 1)
        for name, rows in whole.items()
    }


def run_rows(
    hdf5: Any, folder: Path, manifest: Any, rows: Any, place: Path, board: bool, late: Any
) -> dict[str, Any]:
    """Run rows of input, one a step, through a fresh network; arrays by name, [rows, ...]."""
    from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg
    from lava.proc.io import sink, source

    network = manifest["network"]
    net = hdf5.Network(
        net_config=str(folder / network["file"]),
        input_message_bits=network["message_bits"],
        reset_interval=manifest["run"]["steps"],
        reset_offset=1 + late[0],
    )
    steps = len(rows) + len(net.layers) + sum(late)
    image = len(net.inp.shape) == 3
    data = np.zeros((*net.inp.shape, steps), np.int32)
    # Lava's axes run (x, y, c), time last; in front of a dense layer (c, y, x) is flattened.
    data[..., : len(rows)] = (rows if image else rows.reshape(len(rows), -1)).T
    sender = source.RingBuffer(data=data)
    adapter = "PyToN3ConvAdapter" if image else "PyToNxAdapter"
    connect(sender.s_out, net.inp, adapter if board else "", network["message_bits"])
    models = {sender: source.PySendModelFixed}
    for index, layer in enumerate(net.layers):
        receiver = sink.RingBuffer(shape=layer.out.shape, buffer=steps)
        connect(layer.out, receiver.a_in, "NxToPyAdapter" if board else "", 0)
        models[receiver] = saving_model(place / f"{index}.npy", steps)
    readouts = [] if board else [entry["layer"] for entry in manifest["readouts"]]
    for index in readouts:
        models[net.layers[index].neuron] = reading_model(place / f"membranes_{index}.npy", steps)
    if board:
        config = Loihi2HwCfg(exception_proc_model_map=models)
    else:
        models[net] = hdf5.PyNetworkModel  # or Lava looks for it in modules that import torch
        config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=models)
    clears = [(after + late[0], k, name) for after, k, name in manifest["run"]["clear"]]
    step(net, config, clears, steps)
    found = {}
    for index, layer in enumerate(network["layers"]):
        # Each synapse takes a step: layer k answers k + 1 steps after its input.
        first = index + 1 + sum(late)
        shape, span = (len(rows), *layer["shape"]), slice(first, first + len(rows))
        kept = np.load(place / f"{index}.npy")[..., span]
        found[f"layer_{index}"] = kept.T.reshape(shape).astype(np.uint8)
        if index in readouts:
            kept = np.load(place / f"membranes_{index}.npy")[span]
            found[f"membranes_{index}"] = kept.reshape(shape)
    return found


def saving_model(path: Path, steps: int) -> Any:
    """Return the model of Lava's sink, but saving its buffer: reading it takes 12 us an element."""
    from lava.proc.io.sink import PyReceiveModelFixed

    class Saving(PyReceiveModelFixed):
        def run_spk(self) -> None:
            super().run_spk()
            if self.time_step == steps:
                np.save(path, self.data != 0)

    return Saving


def reading_model(path: Path, steps: int) -> Any:
    """Return the model of Lava's neurons, but saving their membranes after every step."""
    from lava.magma.core.decorator import implements, requires, tag
    from lava.magma.core.resources import CPU
    from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
    from lava.proc.lif.models import PyLifResetModelBitAcc
    from lava.proc.lif.process import LIFReset

    @implements(proc=LIFReset, protocol=LoihiProtocol)
    @requires(CPU)
    @tag("fixed_pt")
    class MembraneReading(PyLifResetModelBitAcc):
        def __init__(self, proc_params: Any) -> None:
            super().__init__(proc_params)
            self.kept: list[Any] = []

        def run_spk(self) -> None:
            super().run_spk()
            self.kept.append(self.v.T.reshape(-1).astype(np.int32))
            if self.time_step == steps:
                np.save(path, np.stack(self.kept))

    return MembraneReading


def connect(source: Any, target: Any, adapter: str, bits: int) -> None:
    """Connect two ports, on a board through a spike adapter of Intel's Loihi extension."""
    if adapter:
        adapters = import_module("lava.proc.embedded_io.spike")
        bridge = getattr(adapters, adapter)(shape=target.shape, num_message_bits=bits)
        source.connect(bridge.inp)
        source = bridge.out
    source.connect(target)


def step(net: Any, config: Any, clears: Any, steps: int) -> None:
    """Run and stop; at the steps given, clear what biases sent round before the first input."""
    from lava.magma.core.run_conditions import RunSteps

    try:
        # Lava's channels hold 64 messages: more shared memory than small machines have.
        net.create_runtime(run_cfg=config, compile_config={"pypy_channel_size": 4})
        done = 0
        for stop in sorted({steps, *(at for at, _, _ in clears if 0 < at < steps)}):
            net.run(condition=RunSteps(num_steps=stop - done), run_cfg=config)
            done = stop
            for buffer in [getattr(net.layers[k], s).a_buff for at, k, s in clears if at == stop]:
                buffer.set(np.zeros(buffer.shape, np.int32))
    except RuntimeError as error:  # Lava's own word is "1 Exception(s) occurred"
        actors = net.runtime._messaging_infrastructure.actors if net.runtime else ()
        found = [actor.exception[1].strip() for actor in actors if actor.exception]
        raise RuntimeError(found[0].splitlines()[-1] if found else str(error)) from error
    finally:
        if net.runtime is not None:
            net.stop()


def compared(layer: dict[str, Any], expected: Any, found: Any, other: str) -> dict[str, Any]:
    """Return one layer's entry in the certificate."""
    differ, first = expected != found, None
    if differ.any():
        place = tuple(int(n) for n in np.unravel_index(int(np.argmax(differ)), differ.shape))
        first = {"step": place[0], "sample": place[1], "neuron": list(place[2:]), "cause": CAUSE}
        first["values"] = {"loihi": int(expected[place]), other: int(found[place])}
    return {
        "index": layer["index"],
        "name": layer["name"],
        "spikes": {"loihi": int((expected != 0).sum()), other: int((found != 0).sum())},
        "compared": int(differ.size),
        "mismatches": int(differ.sum()),
        "first": first,
        "rounding": None,
        "shift": None,
    }


def record(folder: Path, spikes: Any, found: dict[str, Any]) -> None:
    """Write the input and what every layer sent, under the names that sdcl-neuro reads."""
    arrays = {name: values for name, values in found.items() if name.startswith("layer_")}
    with tempfile.TemporaryDirectory(prefix=".recorded_", dir=str(folder)) as name:
        np.savez_compressed(Path(name) / RECORDED, spikes=spikes, **arrays)
        (Path(name) / RECORDED).replace(folder / RECORDED)


def membranes_of(entry: dict[str, Any]) -> str:
    """Return the name of a layer's membranes in the certificate."""
    return "membranes of {}".format(", ".join(entry["names"]))


def certify(manifest: dict[str, Any], layers: list[Any], other: str) -> dict[str, Any]:
    """Return the certificate, in the schema of sdcl-neuro's own."""
    wrong = sum(layer["mismatches"] for layer in layers)
    total = sum(layer["compared"] for layer in layers)
    verdict = f"{'DIFFERENT' if wrong else 'equal'}, {wrong:,} of {total:,} neuron steps differ"
    versions: dict[str, Any] = {**manifest["versions"], "python": platform.python_version()}
    here = {str(entry.metadata["Name"]).lower(): entry.version for entry in distributions()}
    for name in ("numpy", "h5py", "lava-nc", "lava-dl", "lava-loihi", "torch"):
        versions[name] = here.get(name)
    pair = {"backends": ["loihi", other], "kind": "exact", "holds": not wrong, "verdict": verdict}
    about = {"model": manifest["model"], "spikes": manifest["spikes"], "versions": versions}
    read = {entry["layer"] for entry in manifest["readouts"]}  # their neurons never fire
    quiet = [e for e in layers if not any(e["spikes"].values()) and e["index"] not in read]
    notes = [{"what": "layer {index} ({name})".format(**e), "reason": SILENT} for e in quiet]
    compared_layers = {e["name"] for e in layers}
    for entry in manifest["readouts"]:
        if membranes_of(entry) not in compared_layers:
            notes.append({"what": membranes_of(entry), "reason": UNREAD})
    rest = {
        "pairs": [{**pair, "layers": layers}],
        "recorded": None,
        "not_checked": manifest["not_checked"] + notes,
        "assumed": manifest["assumed"],
    }
    return {"schema": CERTIFICATE, "holds": not wrong, **about, **rest}


def main() -> int:
    """Check, run, compare, write; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--board", action="store_true", help="run on a Loihi 2 board")
    text = "steps that the board's adapters add on the way in and out (0 0)"
    parser.add_argument("--late", type=int, nargs=2, default=(0, 0), metavar="N", help=text)
    args, folder = parser.parse_args(), Path(__file__).resolve().parent
    try:
        manifest = checked_manifest(folder)
        spikes = np.load(folder / "input.npz", allow_pickle=False)["spikes"]
        expected = np.load(folder / "expected.npz", allow_pickle=False)
        found = run(folder, manifest, spikes, board=args.board, late=args.late)
        record(folder, spikes, found)
    except Refused as error:
        print(f"run_on_loihi: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        if not (3, 8) <= sys.version_info[:2] <= (3, 10):
            print(f"run_on_loihi: {LIMITS.format(platform.python_version())}", file=sys.stderr)
        else:
            traceback.print_exc()
        print(f"run_on_loihi: lava: {type(error).__name__}: {error}", file=sys.stderr)
        return 3
    other = "loihi2-board" if args.board else "lava"
    layers = []
    for index, layer in enumerate(manifest["network"]["layers"]):
        entry = compared(layer, expected[f"layer_{index}"], found[f"layer_{index}"], other)
        layers.append(entry)
    for readout in manifest["readouts"]:
        name = f"membranes_{readout['layer']}"
        if name in found:
            about = {"index": len(layers), "name": membranes_of(readout)}
            layers.append(compared(about, expected[name], found[name], other))
    for entry in layers:
        print("{name}: {spikes}, {mismatches:,} of {compared:,} differ".format(**entry))
        if entry["first"]:
            text = "  first at step {step}, sample {sample}, neuron {neuron}: {values}"
            print(text.format(**entry["first"]))
    certificate, target = certify(manifest, layers, other), folder / "certificate.json"
    target.write_text(json.dumps(certificate, indent=2) + "\n", encoding="utf-8")
    for note in certificate["not_checked"]:
        print("not checked: {what}: {reason}".format(**note))
    print(
        f"Loihi engine (software) and {other}: {certificate['pairs'][0]['verdict']}; see {target}"
    )
    print(f"recorded: {folder / RECORDED}")
    return 0 if certificate["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())

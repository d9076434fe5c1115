"""What the tests ask Lava itself, in a process of its own: ``in_lava.py PART ARGUMENTS``."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sdcl_neuro.conversion.backends.lava import compat as lava_compat


def slayer(folder: str) -> None:
    """Write networks with slayer's own blocks and its own export."""
    lava_compat.apply(slayer=True)
    import torch

    torch.manual_seed(0)
    for name, (shape, blocks) in _slayer_networks().items():
        for _ in range(3):  # shapes and running means are learnt from data
            values = (torch.rand(2, *shape, 12) < 0.4).float()
            for layer in blocks:
                with torch.no_grad():
                    values = layer(values)
        if name == "delayed":
            delay = blocks[0].delay.delay
            delay.data = torch.arange(6.0).reshape(delay.shape)
        with h5py.File(Path(folder, f"{name}.net"), "w") as file:
            group = file.create_group("layer")
            for index, layer in enumerate(blocks):
                layer.export_hdf5(group.create_group(str(index)))


def _slayer_networks() -> dict[str, tuple[tuple[int, ...], list[Any]]]:
    """Name to input shape and blocks."""
    from lava.lib.dl.slayer import neuron
    from lava.lib.dl.slayer.block import cuba

    plain = {"threshold": 1.0, "current_decay": 0.5, "voltage_decay": 0.1}
    instant = {**plain, "current_decay": 1.0, "voltage_decay": 0.03}
    normed = {**plain, "norm": neuron.norm.MeanOnlyBatchNorm}
    image, flat, two = (2, 9, 7), (20,), {"weight_scale": 2}
    grouped = {"stride": (2, 1), "padding": (0, 2), "groups": 2, **two}
    strided = {"stride": 2, "padding": 2, "groups": 3}
    return {
        "conv": (
            image,
            [
                cuba.Conv(plain, 2, 4, 3, padding=1, **two),
                cuba.Conv(instant, 4, 4, (3, 5), **grouped),
                cuba.Flatten(),
                cuba.Dense(plain, 4 * 4 * 7, 6, **two),
            ],
        ),
        "dilated": (
            image,
            [
                cuba.Conv(instant, 2, 3, (2, 3), dilation=(2, 1), weight_scale=4),
                cuba.Conv(plain, 3, 6, 3, weight_scale=4, **strided),
            ],
        ),
        "biased": (
            flat,
            [
                cuba.Dense(normed, 20, 8, weight_scale=4),
                cuba.Recurrent(plain, 8, 5, weight_scale=4),
            ],
        ),
        "delayed": (
            flat,
            [
                cuba.Dense(plain, 20, 6, weight_scale=4, delay=True),
                cuba.Dense(plain, 6, 4, weight_scale=8),
            ],
        ),
        "pooled": (image, [cuba.Conv(plain, 2, 4, 3, **two), cuba.Pool(plain, 2)]),
    }


def weights(cases: str, out: str) -> None:
    """What netx and Lava make of matrices: what one spike of each input delivers."""
    warnings.simplefilter("ignore")  # netx divides by zero where all weights have one sign
    lava_compat.apply()
    from lava.lib.dl.netx.utils import optimize_weight_bits
    from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights

    found = {}
    with np.load(cases) as arrays:
        for name in arrays.files:
            joint = arrays[name].astype(int)
            packed, bits, exponent, _ = optimize_weight_bits(joint.copy())
            parts = [packed] if not name.startswith("rec") else [packed[:, :-4], packed[:, -4:]]
            delivered = []
            for part in parts:
                stored = part.astype(np.int32)
                sign = determine_sign_mode(stored)
                stored = truncate_weights(clip_weights(stored, sign, num_bits=8), sign, bits)
                # Lava shifts the sum, not its terms: a term counts with its fraction.
                delivered.append(stored * 2.0**exponent)
            found[name] = np.hstack(delivered)
    np.savez(out, **found)


def ring(net_file: str, spikes_file: str, out: str) -> None:
    """Run one sample with Lava's own source and sinks, read with ``Var.get``."""
    warnings.simplefilter("ignore")
    lava_compat.apply()
    from lava.lib.dl.netx import hdf5
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    spikes = np.load(spikes_file)  # [T, C, H, W]
    net = hdf5.Network(net_file, reset_interval=len(spikes), reset_offset=1)
    steps = len(spikes) + len(net.layers)
    # Lava's axes are (x, y, c), time last.
    data = np.zeros((*net.inp.shape, steps), np.int32)
    data[..., : len(spikes)] = spikes.transpose(3, 2, 1, 0)
    source = Source(data=data)
    source.s_out.connect(net.inp)
    sinks = [Sink(shape=layer.out.shape, buffer=steps) for layer in net.layers]
    for layer, sink in zip(net.layers, sinks, strict=True):
        layer.out.connect(sink.a_in)
    try:
        net.run(RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
        found = [sink.data.get() for sink in sinks]
    finally:
        net.stop()
    aligned = {
        f"layer_{index}": np.moveaxis(values, -1, 0)[index + 1 : index + 1 + len(spikes)]
        for index, values in enumerate(found)
    }
    np.savez(out, **{name: values.swapaxes(1, -1) for name, values in aligned.items()})


def models(out: str) -> None:
    """The process models that Lava's own search and run configuration choose."""
    warnings.simplefilter("ignore")
    lava_compat.apply()
    from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs
    from lava.magma.core.run_configs import Loihi2SimCfg

    from sdcl_neuro.conversion.backends.lava.models import FIXED_POINT

    config = Loihi2SimCfg(select_tag="fixed_pt")
    chosen = {}
    for process, ours in FIXED_POINT.items():
        blank = process.__new__(process)  # the search looks at nothing but the type
        blank._runtime = None
        found = ProcGroupDiGraphs._find_proc_models(proc=blank)
        chosen[process.__name__] = [config.select(blank, found).__name__, ours.__name__]
    Path(out).write_text(json.dumps(chosen), encoding="utf-8")


def own_run(folder: str) -> None:
    """Write the layout of lava-dl's Oxford network, and what slayer itself makes of an input."""
    lava_compat.apply(slayer=True)
    import torch
    from lava.lib.dl.slayer.block import cuba

    torch.manual_seed(0)
    constants = {"threshold": 0.1, "current_decay": 1.0, "voltage_decay": 0.1}
    first = cuba.Dense(constants, 200, 256, weight_norm=True, delay=True, weight_scale=2)
    second = cuba.Dense(constants, 256, 200, weight_norm=True, weight_scale=2)
    values = (torch.rand(1, 200, 500) < 0.02).float()
    with torch.no_grad():
        second(first(values[..., :50]))  # shapes are learnt from data
        first.delay.delay.data = 10 * torch.rand(first.delay.delay.shape)
        hidden = first(values)
        layers = {"layer_0": hidden, "layer_1": second(hidden)}
    with h5py.File(Path(folder, "oxford.net"), "w") as file:
        group = file.create_group("layer")
        for index, layer in enumerate((first, second)):
            layer.export_hdf5(group.create_group(str(index)))
    arrays = {name: (array[0].numpy().T > 0)[:, None] for name, array in layers.items()}
    arrays["spikes"] = values[0].numpy().T[:, None]
    stored = {name: array.astype(np.uint8) for name, array in arrays.items()}
    np.savez(Path(folder, "oxford.npz"), **stored)


if __name__ == "__main__":
    part, *arguments = sys.argv[1:]
    parts = {"slayer": slayer, "own_run": own_run, "weights": weights, "ring": ring}
    {**parts, "models": models}[part](*arguments)

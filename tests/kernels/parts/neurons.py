"""The dense path's kernels in Triton's interpreter, against the event path; and their launches.

`SDCL_NEURO_NETWORKS` says which seeds of random networks are compared, as ``first:last``.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.launches import Launches
from sdcl_neuro import gpu_kernels
from sdcl_neuro.engine import dense_kernels, run_network
from sdcl_neuro.engine.check import largest_input, largest_sum
from sdcl_neuro.engine.totals import COUNTED
from sdcl_neuro.network.spec import IntLayer, IntNetwork
from sdcl_neuro.testing import KINDS, random_network, random_spikes

FIRST, LAST = map(int, os.environ.get("SDCL_NEURO_NETWORKS", "0:40").split(":"))
STEPS = 5


@pytest.fixture(autouse=True)
def no_kernel_fails():
    assert gpu_kernels.usable(torch.device("cpu"))
    yield
    assert not gpu_kernels._refused


def heavier(layer: IntLayer, rng: np.random.Generator, largest: int) -> IntLayer:
    """A layer whose sums may come near 32 bits: registers wrap, membranes clip."""
    room = (1 << 31) // (largest_sum(layer, largest) + 1)
    factor = int(min(room - 1, 2 ** rng.integers(0, 18)))
    if factor < 2:
        return layer
    more = {"weight": layer.weight * factor}
    if layer.recurrent_weight is not None:
        more["recurrent_weight"] = layer.recurrent_weight * factor
    if layer.bias is not None:
        more["bias"] = layer.bias * min(factor, 4096)
    return replace(layer, **more)


def drawn(seed: int) -> IntNetwork:
    net = random_network(
        seed,
        kind=KINDS[seed % len(KINDS)],
        layers=1 + seed % 2,
        extreme=seed % 3 == 0,
        message_bits=(0, 0, 2, 8)[seed // 5 % 4],
    )
    if seed % 4 == 1:
        rng = np.random.default_rng(seed)
        bounds = [largest_input(net), *[1] * len(net.layers)]
        layers = zip(net.layers, bounds, strict=False)
        net = replace(net, layers=tuple(heavier(layer, rng, bound) for layer, bound in layers))
    return net


def test_random_networks_equal_the_event_path(monkeypatch):
    """Every spike and every count, in any chunks, of layers in one program and in several."""
    seen: Counter[str] = Counter()
    for seed in range(FIRST, LAST):
        monkeypatch.setattr(dense_kernels, "RECURRENT_MOST", 512 if seed % 3 else 8)
        monkeypatch.setattr(dense_kernels, "BLOCK", 128 if seed % 2 else 16)
        net = drawn(seed)
        spikes = random_spikes(net, seed, steps=STEPS, samples=1 + seed % 2, rate=0.3)
        expected = run_network(net, spikes, path="event")
        found = run_network(net, spikes, path="reference", chunk=(None, 1, 2)[seed % 3])
        for index in expected.spikes:
            np.testing.assert_array_equal(
                found.spikes[index], expected.spikes[index], err_msg=f"seed {seed} layer {index}"
            )
        for layer, one, two in zip(net.layers, found.activity, expected.activity, strict=True):
            for name in COUNTED:
                what = f"seed {seed} {layer.name} {name}"
                a, b = getattr(one, name), getattr(two, name)
                np.testing.assert_array_equal(a, b, err_msg=what)
            seen.update(
                layers=1, spikes=int(two.spikes_out.sum()), wraps=int(two.wraps.sum()),
                saturations=int(two.saturations.sum()), multiplies=int(two.multiplies.sum()),
            )  # fmt: skip
            seen[layer.kind if layer.delay is None else "delay"] += 1
            seen["beyond 32 bits"] += largest_sum(layer, 1) << 6 >= 1 << 31
            seen["beyond 24 bits in a convolution"] += (
                layer.kind == "conv" and largest_sum(layer, 1) >= 1 << 23
            )
            seen["slow currents"] += layer.neuron.current_decay < 4096
    print(f"{LAST - FIRST} networks: {dict(seen)}")
    assert len(seen) == 12
    assert all(seen.values()), seen


BEFORE = {"conv": 1799, "dense": 1808, "dense_rec": 1920, "delay": 1818}
"""Launches of the same runs up to commit 573609c, counted in the same way."""
WITHOUT = {"conv": 285, "dense": 286, "dense_rec": 635, "delay": 287}
"""Launches of torch's operations where there is no Triton, counted once."""
NAMES = {
    "conv": "convolutions",
    "dense": "dense",
    "dense_rec": "dense, recurrent",
    "delay": "dense, with axonal delays",
}


def test_at_most_eight_launches_a_layer_and_chunk(monkeypatch, root, expect_sections):
    rows = [
        "| two layers, 16 steps | each step by itself | without Triton | with it |",
        "|---|---|---|---|",
    ]
    for kind, before in BEFORE.items():
        net = random_network(3, kind=kind, layers=2)
        spikes = random_spikes(net, 1, steps=16)
        with Launches().of(monkeypatch, dense_kernels) as launches:
            run_network(net, spikes, path="reference", layers=[1])
        assert launches.kernels == {"_neurons": 2, "_inputs": 2}
        # The zeros of totals, states and pending sums, once a run, are among them.
        assert launches.total <= 8 * len(net.layers) + 4
        assert launches.total - launches.operations["zeros"] <= 6 * len(net.layers)
        rows.append(f"| {NAMES[kind]} | {before:,} | {WITHOUT[kind]} | {launches.total} |")
    expect_sections(root / "docs/engine.md", {"launches": "\n".join(rows) + "\n"})


def test_launches_do_not_grow_with_the_steps(monkeypatch):
    net = random_network(2, kind="conv", layers=2)
    totals = []
    for steps in (2, 64):
        with Launches().of(monkeypatch, dense_kernels) as launches:
            run_network(net, random_spikes(net, 1, steps=steps), path="reference")
        totals.append(launches.total)
    assert totals[0] == totals[1]

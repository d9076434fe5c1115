"""The engine's dense path: every spike and count of the CPU's, in few launches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from device import PretendedGpu
from plugin import KERNELS

from sdcl_neuro.conversion import from_snntorch
from sdcl_neuro.conversion.model_reading import as_model
from sdcl_neuro.engine import run_network
from sdcl_neuro.engine.totals import COUNTED
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch
from sdcl_neuro.testing import KINDS, random_network, random_spikes

LAUNCHES = 8
"""Of a layer and chunk, by Triton's kernels."""
WAITS = 2
"""Of a run."""


@pytest.mark.parametrize("kind", KINDS)
def test_equal_to_the_cpus(kind: str, outside: type[PretendedGpu]) -> None:
    for seed in range(4):
        net = random_network(seed, kind=kind, extreme=seed % 2 == 0, message_bits=seed % 3)
        spikes = random_spikes(net, seed, steps=7, samples=3)
        own = run_network(net, spikes)
        with outside():
            other = run_network(net, spikes, device="cuda")
        for index in own.spikes:
            np.testing.assert_array_equal(own.spikes[index], other.spikes[index])
        for one, two in zip(own.activity, other.activity, strict=True):
            for name in COUNTED:
                np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@pytest.mark.skipif(not KERNELS, reason="Triton is not installed: pip install triton")
@pytest.mark.parametrize("steps", [4, 16])
def test_few_launches(steps: int, gpu: PretendedGpu) -> None:
    branch = EventBranch(COMPACT)
    branch.prepare_quantization()
    spikes = (np.random.default_rng(0).random((steps, 2, 2, 64, 32)) < 0.05).astype(np.uint8)
    net = as_model(from_snntorch(branch, torch.from_numpy(spikes).float())).need_integer()
    run_network(net, spikes, device="cuda")
    gpu.reset()
    last = len(net.layers) - 1
    run_network(net, spikes, device="cuda", layers=[last])
    launches = sum(gpu.launches.values())
    assert launches <= LAUNCHES * len(net.layers) + 4, gpu.places.most_common()
    assert sum(gpu.waits.values()) <= WAITS, gpu.waits


def test_tf32_changes_no_spike(outside: type[PretendedGpu]) -> None:
    net = random_network(5, kind="conv", message_bits=8)
    spikes = random_spikes(net, 5, steps=6, samples=2)
    own = run_network(net, spikes)
    with outside(tf32=True):
        other = run_network(net, spikes, device="cuda")
    for index in own.spikes:
        np.testing.assert_array_equal(own.spikes[index], other.spikes[index])

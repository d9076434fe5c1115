"""The dense path on a GPU, where there is one."""

from __future__ import annotations

import numpy as np
import pytest

from sdcl_neuro import gpu_kernels
from sdcl_neuro.engine import run_network
from sdcl_neuro.engine.totals import COUNTED
from sdcl_neuro.testing import KINDS, random_network, random_spikes


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS)
def test_gpu_equals_cpu(kind, monkeypatch):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    for seed in range(10):
        net = random_network(seed, kind=kind, extreme=seed % 2 == 0, message_bits=seed % 3)
        spikes = random_spikes(net, seed, steps=9, samples=3)
        own = run_network(net, spikes)
        for refused in ([], ["not now"]):  # Triton's kernels, and torch's operations
            monkeypatch.setattr(gpu_kernels, "_refused", refused)
            other = run_network(net, spikes, device="cuda", chunk=None if seed % 2 else 4)
            # A kernel that fails is put on this list, too.
            assert refused in ([], ["not now"])
            for index in own.spikes:
                np.testing.assert_array_equal(own.spikes[index], other.spikes[index])
            for one, two in zip(own.activity, other.activity, strict=True):
                for name in COUNTED:
                    np.testing.assert_array_equal(getattr(one, name), getattr(two, name))

"""Every backend that takes a device, on the first GPU and on the second."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from device import PretendedGpu

from sdcl_neuro import run
from sdcl_neuro.errors import EnvironmentFault, NetworkRefused, SdclNeuroError
from sdcl_neuro.testing import KINDS, random_network, random_spikes

SEEDS = (1, 2, 3)


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
@pytest.mark.parametrize("backend", ["loihi", "snntorch", "snntorch-int", "norse"])
def test_equal_to_the_cpus(backend: str, device: str, outside: type[PretendedGpu]) -> None:
    if backend == "norse" and find_spec("norse") is None:
        pytest.skip("Norse is not installed: pip install 'sdcl-neuro[norse]'")
    compared = 0
    for kind in KINDS:
        for seed in SEEDS:
            net = random_network(seed, kind=kind)
            spikes = random_spikes(net, seed, steps=3, samples=2)
            try:
                own = run(net, spikes, backend=backend)
            except NetworkRefused:
                continue
            with outside(2):
                other = run(net, spikes, backend=backend, device=device)
            for index in own.spikes:
                np.testing.assert_array_equal(own.spikes[index], other.spikes[index])
            compared += 1
    assert compared >= (2 if backend == "norse" else len(KINDS))


@pytest.mark.slow
def test_tf32_changes_no_spike_of_the_integers(outside: type[PretendedGpu]) -> None:
    compared = 0
    for seed in range(12):
        net = random_network(seed, kind="conv", message_bits=8)
        rng = np.random.default_rng(seed)
        shape = (4, 2, *net.input_shape)
        spikes = (rng.integers(0, 1 << 8, shape) * (rng.random(shape) < 0.3)).astype(np.uint8)
        try:
            own = run(net, spikes, backend="snntorch-int")
        except SdclNeuroError:
            continue
        with outside(tf32=True):
            other = run(net, spikes, backend="snntorch-int", device="cuda")
        for index in own.spikes:
            np.testing.assert_array_equal(own.spikes[index], other.spikes[index])
        compared += 1
    assert compared


def test_a_gpu_that_is_not_there(gpu: PretendedGpu) -> None:
    net = random_network(1, kind="dense", layers=1)
    spikes = random_spikes(net, steps=2, samples=1, seed=1)
    with pytest.raises(EnvironmentFault, match="no GPU for device 'cuda:1'"):
        run(net, spikes, device="cuda:1")

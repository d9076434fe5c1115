"""What the dense path would launch on a GPU without Triton: few operations of torch a step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.launches import Launches
from sdcl_neuro.devices import uploaded
from sdcl_neuro.engine import dense, run_network
from sdcl_neuro.gpu_kernels import usable
from sdcl_neuro.network.spec import IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.testing import random_network, random_spikes

pytestmark = pytest.mark.skipif(usable(torch.device("cpu")), reason="Triton takes these steps")


def launched(net: IntNetwork, steps: int) -> int:
    spikes = random_spikes(net, 1, steps=steps)
    with Launches() as launches:
        run_network(net, spikes, path="reference")
    return launches.total


def layer(neuron: tuple[int, int, int], *, kind: str = "dense") -> IntNetwork:
    rng = np.random.default_rng(0)
    weight = (2 * rng.integers(-9, 10, (5, 6))).astype(np.int32)
    recurrent = (2 * rng.integers(-9, 10, (5, 5))).astype(np.int32) if kind == "dense_rec" else None
    made = IntLayer(
        "only", kind, weight, IntNeuron(*neuron), (6,), (5,), recurrent_weight=recurrent
    )
    return IntNetwork((6,), (made,))


@pytest.mark.parametrize(
    ("neuron", "kind", "most"),
    [((4096, 300, 9), "dense", 6), ((900, 300, 9), "dense", 12), ((4096, 300, 9), "dense_rec", 20)],
)
def test_operations_a_step(neuron, kind, most):
    """Of a step's own: the rest is done for a chunk at once, in as many for 3 steps as for 35."""
    net = layer(neuron, kind=kind)
    launched(net, 2)
    assert launched(net, 35) - launched(net, 3) <= 32 * most
    assert launched(net, 3) <= 3 * most + 60


def test_kept_spikes_are_fetched_together(monkeypatch):
    """Each fetch from a GPU waits for it."""
    net = random_network(0, layers=3)
    spikes = random_spikes(net, 0, steps=12)
    expected = run_network(net, spikes, path="reference", chunk=2)
    fetches = []
    fetch = dense._KeptSpikes.fetch

    def counted(self):
        fetches.append(len(self._held))
        fetch(self)

    init = dense._KeptSpikes.__init__

    def roomy(self, shapes, device):
        init(self, shapes, device)
        self._room = 1 << 28

    monkeypatch.setattr(dense._KeptSpikes, "fetch", counted)
    monkeypatch.setattr(dense._KeptSpikes, "__init__", roomy)
    found = run_network(net, spikes, path="reference", chunk=2)
    assert fetches == [3 * 6]
    for index, one in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[index], one)


def test_arrays_go_to_a_device_in_one_copy(monkeypatch):
    arrays = [np.arange(5, dtype=np.int32), np.ones((2, 3)), np.zeros((0, 4), np.float32)]
    arrays += [np.arange(6, dtype=np.int64).reshape(2, 3).T]
    copies = []

    def moved(tensor, device):
        copies.append(tensor.numel())
        return tensor.clone()

    monkeypatch.setattr("sdcl_neuro.devices.moved", moved)
    there = uploaded(arrays, torch.device("cuda"))
    assert len(copies) == 1
    for array, tensor in zip(arrays, there, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), array)
        assert tensor.dtype == torch.from_numpy(array).dtype

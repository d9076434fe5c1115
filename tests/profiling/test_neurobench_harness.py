"""Our figures beside those of NeuroBench's own harness, on the same snnTorch network and spikes.

The networks are exact in float32: weights are whole numbers, and the decay keeps all or half of a
membrane over no more steps than it has binary places. What the two define differently is pinned
here, too, with the size of the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sdcl_neuro.engine import run_network
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.profiling.neurobench import NeuroBench, neurobench

WHERE = "tests/profiling/peers.txt says how to install it"
SCALARS = 20
"""Bytes of one snnTorch 1.0 Leaky: threshold, decay, spike factor, and a 64-bit reset mode."""
HALF = IntNeuron(current_decay=4096, voltage_decay=2048, threshold=50)
WHOLE = IntNeuron(current_decay=4096, voltage_decay=0, threshold=90)

Harness = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def harness() -> Harness:
    """Run the harness on a module and spikes ``[T, B, ...]``, `batch` samples at a time."""
    pytest.importorskip("neurobench", reason=WHERE)
    from neurobench.benchmarks import Benchmark
    from neurobench.metrics import static, workload
    from neurobench.models import SNNTorchModel

    metrics = [
        [static.Footprint, static.ConnectionSparsity, static.ParameterCount],
        # The last one asks for hooks only if another one has.
        [
            workload.ActivationSparsity, workload.SynapticOperations, workload.MembraneUpdates,
            workload.ActivationSparsityByLayer,
        ],
    ]  # fmt: skip

    def run(module: nn.Module, spikes: NDArray[np.uint8], *, batch: int) -> dict[str, Any]:
        data = torch.from_numpy(spikes).transpose(0, 1).float()
        loader = DataLoader(TensorDataset(data, torch.zeros(len(data))), batch_size=batch)
        with torch.no_grad():
            found = Benchmark(SNNTorchModel(module), loader, [], [], metrics).run(quiet=True)
        return dict(found)

    return run


def _neuron(layer: IntLayer, *, last: bool, **options: Any) -> nn.Module:
    values = {
        "beta": (4096 - layer.neuron.voltage_decay) / 4096,
        "threshold": float(layer.neuron.threshold),
        "reset_mechanism": "zero",
        "init_hidden": True,
        "output": last,
        **options,
    }
    if layer.recurrent_weight is None:
        return snn.Leaky(**values)
    neuron = snn.RLeaky(**values, linear_features=layer.neurons, reset_delay=False)
    neuron.recurrent.weight.data = torch.from_numpy(layer.recurrent_weight).float()
    nn.init.zeros_(neuron.recurrent.bias)
    return neuron


def _module(net: IntNetwork, **options: Any) -> nn.Sequential:
    """The network as its author would write it in snnTorch."""
    stages: list[nn.Module] = []
    for index, layer in enumerate(net.layers):
        where = layer.convolution
        synapse: nn.Conv2d | nn.Linear
        if where is None:
            stages += [nn.Flatten()] if len(layer.in_shape) > 1 else []
            synapse = nn.Linear(layer.weight.shape[1], layer.neurons, bias=layer.bias is not None)
        else:
            synapse = nn.Conv2d(
                layer.in_shape[0], layer.out_shape[0], layer.kernel, where.stride, where.padding,
                where.dilation, where.groups, bias=layer.bias is not None,
            )  # fmt: skip
        synapse.weight.data = torch.from_numpy(layer.weight).float()
        if layer.bias is not None:
            synapse.bias.data = torch.from_numpy(layer.bias).float()
        stages += [synapse, _neuron(layer, last=index + 1 == len(net.layers), **options)]
    return nn.Sequential(*stages)


def _weights(rng: np.random.Generator, *shape: int, zeros: float) -> NDArray[np.int32]:
    drawn = 2 * rng.integers(-20, 40, shape)
    return np.where(rng.random(shape) < zeros, 0, drawn).astype(np.int32)


def _network(neuron: IntNeuron, *, zeros: float) -> IntNetwork:
    """Two convolutions, strides, borders and groups in them, and a dense layer."""
    rng = np.random.default_rng(3)
    first = IntLayer(
        "first", "conv", _weights(rng, 4, 2, 3, 3, zeros=zeros), neuron, (2, 8, 7), (4, 4, 4),
        bias=np.array([1, 0, -2, 3], np.int32),
        convolution=Convolution(stride=(2, 2), padding=(1, 1)),
    )  # fmt: skip
    second = IntLayer(
        "second", "conv", _weights(rng, 6, 2, 2, 3, zeros=zeros), neuron, (4, 4, 4), (6, 4, 2),
        convolution=Convolution(padding=(1, 1), dilation=(2, 2), groups=2),
    )  # fmt: skip
    head = IntLayer(
        "head", "dense", _weights(rng, 5, 48, zeros=zeros), neuron, (6, 4, 2), (5,),
    )  # fmt: skip
    return IntNetwork((2, 8, 7), (first, second, head))


def _ours(net: IntNetwork, spikes: NDArray[np.uint8]) -> NeuroBench:
    return neurobench(net, run_network(net, spikes, layers=()))


def _spikes(steps: int, samples: int, *shape: int, rate: float = 0.15) -> NDArray[np.uint8]:
    draw = np.random.default_rng(7).random((steps, samples, *shape))
    return (draw < rate).astype(np.uint8)


def _same_height(module: nn.Sequential, spikes: NDArray[np.uint8]) -> int:
    """Times that a neuron fires as high as in the step before, which the harness takes for rest."""
    neurons = [stage for stage in module if isinstance(stage, snn.Leaky)]
    found, before = 0, [torch.zeros(0)] * len(neurons)
    with torch.no_grad():
        for step in torch.from_numpy(spikes).float():
            module(step)
            heights = [neuron.mem.clone() for neuron in neurons]
            for neuron, now, then in zip(neurons, heights, before, strict=True):
                if then.numel():
                    found += int(((now == then) & (now > neuron.threshold)).sum())
            before = heights
    return found


@pytest.mark.parametrize(("neuron", "steps"), [(HALF, 6), (WHOLE, 15)])
@pytest.mark.parametrize("zeros", [0.0, 0.3])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_equal_where_both_define_the_same(
    harness: Harness, neuron: IntNeuron, steps: int, zeros: float, batch: int
) -> None:
    net = _network(neuron, zeros=zeros)
    spikes = _spikes(steps, 3, 2, 8, 7)
    theirs = harness(_module(net), spikes, batch=batch)
    ours = _ours(net, spikes).to_dict()
    assert 0.3 < ours["ActivationSparsity"] < 0.95
    assert ours["ConnectionSparsity"] == theirs["ConnectionSparsity"]
    assert ours["ParameterCount"] == theirs["ParameterCount"]
    assert ours["ActivationSparsity"] == pytest.approx(theirs["ActivationSparsity"], rel=1e-12)
    by_layer = [theirs["ActivationSparsityByLayer"][name] for name in ("1", "3", "6")]
    assert list(ours["ActivationSparsityByLayer"].values()) == pytest.approx(by_layer, rel=1e-12)
    operations = ours["SynapticOperations"]
    assert operations == pytest.approx(theirs["SynapticOperations"], rel=1e-12)
    assert operations["Effective_ACs"] > 100
    assert operations["Effective_MACs"] == 0
    unseen = _same_height(_module(net), spikes) / 3
    assert ours["MembraneUpdates"] == pytest.approx(theirs["MembraneUpdates"] + unseen, rel=1e-12)
    assert unseen < 0.01 * ours["MembraneUpdates"] < 0.01 * steps * (64 + 48 + 5)


def test_zero_weights_are_the_difference_to_our_synops(harness: Harness) -> None:
    net = _network(HALF, zeros=0.5)
    spikes = _spikes(6, 2, 2, 8, 7)
    record = run_network(net, spikes, layers=())
    synops = sum(int(layer.synops.sum()) for layer in record.activity) / 2
    theirs = harness(_module(net), spikes, batch=2)["SynapticOperations"]["Effective_ACs"]
    assert theirs == neurobench(net, record).effective_acs
    assert theirs < 0.8 * synops


def test_recurrent_spikes_count_when_they_arrive(harness: Harness) -> None:
    """The harness counts calls, and snnTorch 1.0's RLeaky calls its recurrence twice a step."""
    rng = np.random.default_rng(5)
    layer = IntLayer(
        "loop", "dense_rec", _weights(rng, 7, 9, zeros=0.2), HALF, (9,), (7,),
        recurrent_weight=_weights(rng, 7, 7, zeros=0.4),
    )  # fmt: skip
    net = IntNetwork((9,), (layer,))
    spikes = _spikes(6, 3, 9, rate=0.3)
    theirs = harness(_module(net), spikes, batch=3)
    ours = _ours(net, spikes).to_dict()
    assert ours["ActivationSparsity"] == pytest.approx(theirs["ActivationSparsity"], rel=1e-12)
    sent = run_network(net, spikes).spikes[0][:-1].sum(axis=(0, 1))
    again = int(sent @ np.count_nonzero(layer.recurrent_weight, axis=0)) / 3
    assert again > 10
    operations = ours["SynapticOperations"]
    once = {
        "Effective_MACs": theirs["SynapticOperations"]["Effective_MACs"],
        "Effective_ACs": theirs["SynapticOperations"]["Effective_ACs"] - again,
        "Dense": theirs["SynapticOperations"]["Dense"] - 6 * 7 * 7,
    }
    assert operations == pytest.approx(once, rel=1e-12)
    assert ours["ConnectionSparsity"] == theirs["ConnectionSparsity"]
    # snnTorch's recurrence has a bias of its own, which the chip has not.
    assert ours["ParameterCount"] == theirs["ParameterCount"] - 7


def _counts() -> tuple[IntNetwork, NDArray[np.uint8]]:
    """A dense layer on counts, some steps of some samples being binary."""
    rng = np.random.default_rng(11)
    layer = IntLayer("only", "dense", _weights(rng, 4, 6, zeros=0.2), WHOLE, (6,), (4,))
    spikes = (rng.integers(0, 4, (8, 3, 6)) * (rng.random((8, 3, 6)) < 0.3)).astype(np.uint8)
    spikes[::2] = spikes[::2] > 0
    return IntNetwork((6,), (layer,), message_bits=2), spikes


def test_counts_in_the_input_are_macs(harness: Harness) -> None:
    net, spikes = _counts()
    theirs = harness(_module(net), spikes, batch=1)["SynapticOperations"]
    ours = _ours(net, spikes).to_dict()["SynapticOperations"]
    assert ours == pytest.approx(theirs, rel=1e-12)
    assert min(ours.values()) > 0


def test_the_harness_judges_a_whole_batch_by_its_largest_count(harness: Harness) -> None:
    net, spikes = _counts()
    together = harness(_module(net), spikes, batch=3)["SynapticOperations"]
    ours = _ours(net, spikes).to_dict()["SynapticOperations"]
    assert together["Effective_MACs"] > ours["Effective_MACs"]
    both = ("Effective_MACs", "Effective_ACs")
    assert sum(together[name] for name in both) == pytest.approx(sum(ours[name] for name in both))


def _constant_drive() -> tuple[IntNetwork, NDArray[np.uint8]]:
    layer = IntLayer("only", "dense", np.array([[100]], np.int32), HALF, (1,), (1,))
    return IntNetwork((1,), (layer,)), np.ones((5, 1, 1), np.uint8)


def test_a_neuron_that_fires_at_the_same_height_again(harness: Harness) -> None:
    """It was reset and filled again, which the harness cannot see."""
    net, spikes = _constant_drive()
    assert harness(_module(net), spikes, batch=1)["MembraneUpdates"] == 1
    assert _ours(net, spikes).membrane_updates == 5


def test_membranes_are_compared_before_their_reset(harness: Harness) -> None:
    """As the harness sees snnTorch's default; an immediate reset hides an update there."""
    net, spikes = _constant_drive()
    spikes[1::2] = 0
    assert _ours(net, spikes).membrane_updates == 5
    assert harness(_module(net), spikes, batch=1)["MembraneUpdates"] == 5
    assert harness(_module(net, reset_delay=False), spikes, batch=1)["MembraneUpdates"] == 1


def test_a_float_never_comes_to_rest(harness: Harness) -> None:
    layer = IntLayer("only", "dense", np.array([[2]], np.int32), HALF, (1,), (1,))
    net = IntNetwork((1,), (layer,))
    spikes = np.zeros((40, 1, 1), np.uint8)
    spikes[0] = 1
    assert harness(_module(net), spikes, batch=1)["MembraneUpdates"] == 40
    # 128, 64, ... 1, then 0 for good: the first step, seven halvings, and the last one to zero.
    assert _ours(net, spikes).membrane_updates == 9


def test_footprint_in_float_but_for_the_neurons_scalars(harness: Harness) -> None:
    net = _network(HALF, zeros=0.0)
    module = _module(net)
    fresh = harness(module, _spikes(2, 2, 2, 8, 7), batch=2)["Footprint"]
    ours = _ours(net, _spikes(2, 2, 2, 8, 7)).footprint
    assert fresh == ours.float32 + len(net.layers) * SCALARS
    # After a run the harness counts the membranes that the last batch left behind.
    used = harness(module, _spikes(2, 2, 2, 8, 7), batch=2)["Footprint"]
    assert used == fresh + 2 * ours.states


class _Integers(nn.Module):
    """The chip's integers, each array in the narrowest type that torch has."""

    def __init__(self, net: IntNetwork) -> None:
        super().__init__()
        for index, layer in enumerate(net.layers):
            neuron = layer.neuron
            decays = (neuron.current_decay, neuron.voltage_decay)
            self._keep(f"weight_{index}", layer.weight // 2, torch.int8)
            self._keep(f"decays_{index}", np.array(decays), torch.int16)
            self._keep(f"threshold_{index}", np.array(neuron.threshold), torch.int32)
            if layer.bias is not None:
                self._keep(f"bias_{index}", layer.bias, torch.int16)

    def _keep(self, name: str, values: NDArray[Any], kind: torch.dtype) -> None:
        held = torch.from_numpy(values).to(kind)
        assert np.array_equal(held.numpy(), values)
        self.register_buffer(name, held)


def test_footprint_of_the_chips_integers() -> None:
    pytest.importorskip("neurobench", reason=WHERE)
    from neurobench.metrics.static import Footprint
    from neurobench.models import SNNTorchModel

    net = _network(HALF, zeros=0.1)
    ours = _ours(net, _spikes(2, 1, 2, 8, 7)).to_dict()["Footprint"]
    assert Footprint()(SNNTorchModel(_Integers(net))) == ours

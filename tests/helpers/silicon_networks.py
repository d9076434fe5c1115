"""Networks that somebody ran on a chip, rebuilt from what was published of them.

Shapes and counts are the published ones; weights and the places of spikes are drawn, since they are
not published in a form that can be shipped. What was not published is said beside each network.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.activity import count_activity, nonzero_fan_out
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron, Pair

NEURON = IntNeuron(current_decay=4096, voltage_decay=1024, threshold=25)
PILOTNET_STEPS = 16
# Non-zero synaptic operations of a step that layers receive: the chip's counters in lava-dl's
# notebook (conv1 to conv4); conv0 gets no input, its biases drive the run.
PILOTNET_SYNOPS = {"conv1": 1.614e6, "conv2": 0.4515e6, "conv3": 0.154e6, "conv4": 0.068e6}
# Non-zero over all synaptic operations there, which is the share of weights that are not zero.
PILOTNET_SHARE = {
    "conv1": 1.605 / 2.024, "conv2": 0.4521 / 0.617, "conv3": 0.1446 / 0.211,
    "conv4": 0.0639 / 0.105, "dense1": 12 * 7253 / 256_000,
}  # fmt: skip


def pilotnet() -> tuple[IntNetwork, NDArray[np.uint8], Record]:
    """lava-dl's PilotNet LIF on no input: network, input and a record of its published activity.

    Ten populations, the 39,600 input neurons among them: the compiler puts those on the chip, as a
    layer of one weight a neuron. Spikes lie evenly over each layer and step, of which the notebook
    does not tell.
    """
    rng = np.random.default_rng(0)
    layers = [
        _conv("input", (3, 66, 200), 3, 1, groups=3),
        _conv("conv0", (3, 66, 200), 24, 3, stride=(2, 2)),
        _conv("conv1", (24, 32, 99), 36, 3, stride=(2, 2)),
        _conv("conv2", (36, 15, 49), 48, 3, stride=(2, 2)),
        _conv("conv3", (48, 7, 24), 64, 3, stride=(2, 1), padding=(1, 0)),
        _conv("conv4", (64, 4, 22), 64, 3),
        *(dense(f"dense{i + 1}", *size) for i, size in
          enumerate(((2560, 100), (100, 50), (50, 10), (10, 1)))),
    ]  # fmt: skip
    for index, layer in enumerate(layers):
        share = PILOTNET_SHARE.get(layer.name)
        if share is not None:
            weight = np.where(rng.random(layer.weight.shape) < share, layer.weight, 0)
            layers[index] = replace(layer, weight=weight.astype(np.int32))
    net = IntNetwork((3, 66, 200), tuple(layers))
    spikes = {}
    for index, layer in enumerate(layers):
        rate = 0.0
        if index + 1 < len(layers) and layers[index + 1].name in PILOTNET_SYNOPS:
            reader = layers[index + 1]
            reached = float(nonzero_fan_out(reader).mean())
            rate = PILOTNET_SYNOPS[reader.name] / reached / layer.neurons
        drawn = rng.random((PILOTNET_STEPS, 1, *layer.out_shape)) < rate
        spikes[index] = drawn.astype(np.uint8)
    inputs = np.zeros((PILOTNET_STEPS, 1, 3, 66, 200), dtype=np.uint8)
    activity = count_activity(net, inputs, spikes)
    record = Record("loihi", PILOTNET_STEPS, 1, (3, 66, 200), spikes, activity)
    return net, inputs, record


def oxford() -> IntNetwork:
    """lava-dl's Oxford network: 200 inputs, 256 hidden, 200 outputs."""
    return IntNetwork((200,), (dense("hidden", 200, 256), dense("output", 256, 200)))


def keyword_spotter(rate: float) -> tuple[IntNetwork, NDArray[np.uint8], Record]:
    """ABR's keyword spotter: 390 inputs, two layers of 256 neurons, ten steps an inference.

    How often its neurons fire is not published: every one of them fires with the rate given.
    """
    rng = np.random.default_rng(0)
    net = IntNetwork((390,), (dense("hidden1", 390, 256), dense("hidden2", 256, 256)))
    steps = 10
    inputs = (rng.random((steps, 1, 390)) < rate).astype(np.uint8)
    spikes = {
        index: (rng.random((steps, 1, layer.neurons)) < rate).astype(np.uint8)
        for index, layer in enumerate(net.layers)
    }
    record = Record("loihi", steps, 1, (390,), spikes, count_activity(net, inputs, spikes))
    return net, inputs, record


def dense(name: str, inputs: int, outputs: int) -> IntLayer:
    """A dense layer whose weights are all two."""
    weight = np.full((outputs, inputs), 2, dtype=np.int32)
    return IntLayer(name, "dense", weight, NEURON, (inputs,), (outputs,))


def _conv(
    name: str,
    shape: tuple[int, int, int],
    channels: int,
    kernel: int,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    groups: int = 1,
) -> IntLayer:
    geometry = Convolution(stride, padding, groups=groups)
    size = geometry.output_size(shape[1:], (kernel, kernel))
    weight = np.full((channels, shape[0] // groups, kernel, kernel), 2, dtype=np.int32)
    return IntLayer(name, "conv", weight, NEURON, shape, (channels, *size), convolution=geometry)


def temporal_mnist(steps: int, rate: float) -> tuple[IntNetwork, NDArray[np.uint8], Record]:
    """Quartz's MNIST network: values are times of spikes, so a neuron fires at most once a sample.

    Its triggers and other helpers (a few compartments a layer) are left out: how many the measured
    version had is not published. A part `rate` of all neurons fires, in random steps.
    """
    rng = np.random.default_rng(0)
    layers = [_conv("conv1", (1, 28, 28), 6, 5)]
    layers.append(_conv("pool1", layers[-1].out_shape, 6, 2, stride=(2, 2), groups=6))
    layers.append(_conv("conv2", layers[-1].out_shape, 12, 5))
    layers.append(_conv("pool2", layers[-1].out_shape, 12, 2, stride=(2, 2), groups=12))
    layers.append(_conv("conv3", layers[-1].out_shape, 120, 4))
    layers.append(dense("head", 120, 10))
    net = IntNetwork((1, 28, 28), tuple(layers))

    def once(count: int) -> NDArray[np.uint8]:
        spikes = np.zeros((steps, count), np.uint8)
        fired = np.flatnonzero(rng.random(count) < rate)
        spikes[rng.integers(0, steps, len(fired)), fired] = 1
        return spikes[:, None]

    inputs = once(28 * 28).reshape(steps, 1, 1, 28, 28)
    spikes = {
        index: once(layer.neurons).reshape(steps, 1, *layer.out_shape)
        for index, layer in enumerate(net.layers)
    }
    record = Record("loihi", steps, 1, net.input_shape, spikes, count_activity(net, inputs, spikes))
    return net, inputs, record


MOBILENET = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1),
    (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
"""Channels and stride of MobileNet's 13 pairs of a depthwise and a pointwise convolution."""


def mobilenet() -> IntNetwork:
    """MobileNet v1 on 128 x 128: 28 layers and the pooling between, 4.2 M weights."""
    layers = [_conv("conv", (3, 128, 128), 32, 3, stride=(2, 2), padding=(1, 1))]
    for index, (channels, stride) in enumerate(MOBILENET):
        shape = layers[-1].out_shape
        assert len(shape) == 3
        layers.append(
            _conv(
                f"depthwise{index + 1}", shape, shape[0], 3, stride=(stride, stride),
                padding=(1, 1), groups=shape[0],
            )
        )  # fmt: skip
        shape = layers[-1].out_shape
        assert len(shape) == 3
        layers.append(_conv(f"pointwise{index + 1}", shape, channels, 1))
    layers.append(_conv("pool", (1024, 4, 4), 1024, 4, groups=1024))
    return IntNetwork((3, 128, 128), (*layers, dense("head", 1024, 1000)))


def odin_mnist(spikes_in: int) -> tuple[IntNetwork, NDArray[np.uint8], Record]:
    """ODIN's network: 16 x 16 pixels that fire at most once, in the order of their brightness."""
    net = IntNetwork((256,), (dense("digits", 256, 10),))
    inputs = np.zeros((256, 1, 256), np.uint8)
    inputs[np.arange(spikes_in), 0, np.arange(spikes_in)] = 1
    spikes = {0: np.zeros((256, 1, 10), np.uint8)}
    record = Record("loihi", 256, 1, (256,), spikes, count_activity(net, inputs, spikes))
    return net, inputs, record


def nmnist_on_speck() -> IntNetwork:
    """The N-MNIST network of the NIR paper, which ran on a Speck 2f: sum pooling twice.

    Written as lowering leaves it, the poolings in the weights behind them; weights are drawn.
    """
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> NDArray[np.int32]:
        return rng.integers(-8, 8, shape).astype(np.int32) * 2

    def kernel(layer: IntLayer, size: int, *, pooled: int = 1) -> IntLayer:
        outputs, inputs = layer.weight.shape[:2]
        weight = drawn(outputs, inputs, size, size)
        return replace(layer, weight=np.kron(weight, np.ones((pooled, pooled), dtype=np.int32)))

    first = kernel(_conv("conv1", (2, 34, 34), 16, 5, stride=(2, 2), padding=(1, 1)), 5)
    second = kernel(_conv("conv2", (16, 16, 16), 16, 3, padding=(1, 1)), 3)
    third = _conv("conv3", (16, 16, 16), 8, 6, stride=(2, 2), padding=(2, 2))
    third = kernel(third, 3, pooled=2)
    matrix = np.kron(drawn(256, 8, 4, 4), np.ones((2, 2), dtype=np.int32)).reshape(256, -1)
    head = replace(dense("fc1", 512, 256), weight=matrix)
    return IntNetwork((2, 34, 34), (first, second, third, head, dense("fc2", 256, 10)))

"""Networks and inputs that cannot be run end in one line, before any work."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron

NEURON = IntNeuron(4096, 400, 60)


def convolution(**changes):
    layer = IntLayer(
        "c",
        "conv",
        np.full((2, 2, 3, 3), 2, np.int32),
        NEURON,
        (2, 6, 5),
        (2, 6, 5),
        convolution=Convolution(padding=(1, 1)),
    )
    return replace(layer, **changes)


def dense(**changes):
    layer = IntLayer("d", "dense", np.full((3, 60), 2, np.int32), NEURON, (2, 6, 5), (3,))
    return replace(layer, **changes)


def network(*layers, **changes):
    return replace(IntNetwork((2, 6, 5), layers or (convolution(), dense())), **changes)


SPIKES = np.zeros((4, 1, 2, 6, 5), np.uint8)


def test_the_sound_network_runs():
    assert run_network(network(), SPIKES).spikes[1].shape == (4, 1, 3)
    flat = network(convolution(), dense(in_shape=(60,)))
    assert run_network(flat, SPIKES).spikes[1].shape == (4, 1, 3)


@pytest.mark.parametrize(
    ("spikes", "words"),
    [
        (SPIKES[0], "got shape"),
        (SPIKES.reshape(4, 1, 60), "takes"),
        (SPIKES[..., :4], "takes"),
        (SPIKES[:0], "empty"),
        (SPIKES[:, :0], "empty"),
        (SPIKES.astype(np.int16) - 1, "from -1"),
        (SPIKES + 2, "count of 2"),
        (SPIKES + 0.5, "whole"),
        (np.full(SPIKES.shape, np.nan), "nan"),
        (np.full(SPIKES.shape, np.inf), "inf"),
        (SPIKES.astype(np.int64) + 300, "300"),
        (SPIKES.astype(complex), "expected numbers"),
        (SPIKES.astype(str), "expected numbers"),
        (None, "got None"),
    ],
)
def test_bad_spikes(spikes, words):
    with pytest.raises(InputError, match=words):
        run_network(network(), spikes)


def test_counts_need_message_bits():
    graded = network(message_bits=2)
    assert run_network(graded, SPIKES + 3).steps == 4
    with pytest.raises(InputError, match="at most 3"):
        run_network(graded, SPIKES + 4)


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (network(layers=()), "no layers"),
        (network(message_bits=-1), "message_bits"),
        (network(input_shape=(2, 6)), "not \\(C, H, W\\)"),
        (network(input_shape=(2, 0, 5)), "not \\(C, H, W\\)"),
        (network(input_shape=(1 << 20, 1 << 20, 5)), "exceeds"),
        (network(convolution(in_shape=(2, 5, 5))), "receives"),
        (network(convolution(), dense(in_shape=(61,))), "receives"),
        (network(convolution(), convolution(), dense(in_shape=(1, 2, 3))), "receives"),
        (network(convolution(out_shape=(2, 6, 6))), "declares"),
        (network(convolution(convolution=None)), "geometry"),
        (network(convolution(convolution=Convolution(stride=(0, 1)))), "geometry"),
        (network(convolution(convolution=Convolution(padding=(-1, 1)))), "geometry"),
        (network(convolution(convolution=Convolution(padding=(1, 1), groups=3))), "divide"),
        (network(convolution(weight=np.full((2, 2, 3, 3), 0.5))), "not integer"),
        (network(convolution(weight=np.full((2, 3, 3, 3), 2))), "shape"),
        (network(convolution(weight=np.full((2, 18), 2))), "rank 4"),
        (network(convolution(bias=np.zeros(3, np.int32))), "bias"),
        (network(convolution(bias=np.full(2, 1 << 25))), "25 bits"),
        (network(convolution(delay=np.zeros((2, 2, 3, 3), np.int32))), "delay"),
        (network(dense(weight=np.zeros((3, 59), np.int32))), "shape"),
        (network(dense(weight=np.full((3, 60), 1 << 27))), "32 bits"),
        (network(dense(out_shape=(3, 1, 1))), "flat"),
        (network(dense(kind="pool")), "unknown kind"),
        (network(dense(kind="dense_rec")), "recurrent"),
        (network(dense(recurrent_weight=np.zeros((3, 3), np.int32))), "recurrent"),
        (network(dense(delay=np.full((3, 60), 63))), "0 to 62"),
        (network(dense(delay=np.full((3, 60), -1))), "0 to 62"),
        (network(dense(neuron=IntNeuron(0, 400, 60))), "current_decay"),
        (network(dense(neuron=IntNeuron(4097, 400, 60))), "current_decay"),
        (network(dense(neuron=IntNeuron(4096, -1, 60))), "voltage_decay"),
        (network(dense(neuron=IntNeuron(4096, 4, 1 << 17))), "threshold"),
        (network(dense(neuron=IntNeuron(4096, 4, -1))), "threshold"),
    ],
)
def test_bad_networks(net, words):
    with pytest.raises(InputError, match=words) as caught:
        run_network(net, SPIKES)
    assert "\n" not in str(caught.value)


def test_absurd_sizes_are_refused_before_memory_is_touched():
    side = 1 << 24
    huge = replace(
        convolution(),
        in_shape=(2, 6, 5),
        out_shape=(2, 6 + 2 * side - 2, 5 + 2 * side - 2),
        convolution=Convolution(padding=(side, side)),
    )
    with pytest.raises(InputError, match="exceeds"):
        run_network(network(huge), SPIKES)
    many = np.broadcast_to(np.uint8(0), (1 << 14, 1 << 12, 1))
    wide = IntLayer("d", "dense", np.ones((1 << 20, 1), np.int32), NEURON, (1,), (1 << 20,))
    with pytest.raises(InputError, match="GiB"):
        run_network(IntNetwork((1,), (wide,)), many)


@pytest.mark.parametrize("layers", [[2], [-1], [0.0], [True], ["0"]])
def test_bad_layers(layers):
    with pytest.raises(InputError, match="layer"):
        run_network(network(), SPIKES, layers=layers)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"path": "fast"}, InputError),
        ({"chunk": 0}, InputError),
        ({"device": "tpu"}, InputError),
        ({"device": "meta"}, InputError),
        ({"device": "cuda", "path": "event"}, InputError),
    ],
)
def test_bad_options(options, error):
    with pytest.raises(error):
        run_network(network(), SPIKES, **options)


def test_a_missing_gpu_is_the_environments_fault():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(EnvironmentFault, match="GPU"):
        run_network(network(), SPIKES, device="cuda")

"""Every entry of the support table's rows on the chip's integers, tried on its target."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro import run
from sdcl_neuro.conversion import from_netx, to_netx
from sdcl_neuro.conversion.backends.sanafe.interpreter import require_sanafe
from sdcl_neuro.conversion.support import INTEGERS, TARGETS
from sdcl_neuro.conversion.targets.c.build import COMPILERS
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import EnvironmentFault, NetworkRefused
from sdcl_neuro.network.identity import network_sha256
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron

FAST = IntNeuron(4096, 300, 150)


def _even(*shape: int, seed: int = 0) -> np.ndarray:
    return (2 * np.random.default_rng(seed).integers(-30, 45, shape)).astype(np.int32)


def _dense(neuron: IntNeuron = FAST, **fields: object) -> IntLayer:
    return IntLayer("dense", "dense", _even(6, 9), neuron, (9,), (6,), **fields)


def _chain(*layers: IntLayer, bits: int = 0) -> IntNetwork:
    return IntNetwork(layers[0].in_shape, layers, bits)


def _conv(weight: np.ndarray, geometry: Convolution) -> IntNetwork:
    size = geometry.output_size((7, 8), weight.shape[2:])
    out = (len(weight), *size)
    return _chain(IntLayer("conv", "conv", weight, FAST, (2, 7, 8), out, None, geometry))


def _loop() -> IntNetwork:
    layer = replace(_dense(), kind="dense_rec", recurrent_weight=_even(6, 6, seed=1))
    return _chain(layer)


def _delayed() -> IntNetwork:
    delay = np.random.default_rng(2).integers(0, 4, (6, 9)).astype(np.int32)
    return _chain(_dense(delay=delay))


def _clipping() -> IntNetwork:
    weight = np.full((2, 9), -256, np.int32)
    weight[1] = 254
    neuron = IntNeuron(4096, 0, (1 << 17) - 1)
    return _chain(IntLayer("clip", "dense", weight, neuron, (9,), (2,)))


def _wrapping() -> IntNetwork:
    slowest = IntNeuron(1, 0, 100)
    return _chain(IntLayer("wrap", "dense", np.full((1, 9), 254, np.int32), slowest, (9,), (1,)))


NETWORKS: dict[str, Callable[[], IntNetwork]] = {
    "convolution: strides, padding, dilation, groups": lambda: _conv(
        _even(4, 1, 3, 2), Convolution((2, 1), (1, 2), (1, 2), 2)
    ),
    "dense": lambda: _chain(_dense()),
    "recurrence": _loop,
    "bias": lambda: _chain(
        _dense(bias=_even(6)),
        replace(
            _dense(), name="b", weight=_even(4, 6), in_shape=(6,), out_shape=(4,), bias=_even(4)
        ),
    ),
    "membranes that clip": _clipping,
    "axonal delays": _delayed,
    "slower current": lambda: _chain(_dense(IntNeuron(900, 300, 150))),
    "input counts": lambda: _chain(_dense(), bits=4),
    "currents that wrap around": _wrapping,
    "odd or large weights in a convolution": lambda: _conv(
        3 * _even(4, 2, 3, 3) + 1, Convolution()
    ),
}


def _input(name: str, net: IntNetwork) -> np.ndarray:
    steps = 600 if name in {"membranes that clip", "currents that wrap around"} else 12
    rng = np.random.default_rng(3)
    shape = (steps, 2, *net.input_shape)
    largest = (1 << net.message_bits) - 1 if net.message_bits else 1
    rate = 0.95 if steps > 12 else 0.4
    return np.where(rng.random(shape) < rate, rng.integers(1, largest + 1, shape), 0).astype("u1")


def test_every_row_has_a_network() -> None:
    assert NETWORKS.keys() == INTEGERS.keys()
    for verdicts, _ in INTEGERS.values():
        assert tuple(verdicts) == TARGETS


def test_the_rows_do_what_they_say() -> None:
    """The networks of the rows on clipping and wrapping really clip and wrap."""
    clipped = run_network(_clipping(), _input("membranes that clip", _clipping())).activity
    assert any(layer.saturations.any() for layer in clipped)
    wrapped = run_network(_wrapping(), _input("currents that wrap around", _wrapping())).activity
    assert all(layer.wraps.any() for layer in wrapped)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("target", [name for name in TARGETS if name != "verilog"])
def test_row(name: str, target: str, tmp_path: Path) -> None:
    _try(name, target, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("verilator") is None, reason="Verilator is not installed (Debian: verilator)"
)
@pytest.mark.parametrize("name", NETWORKS)
def test_row_in_verilog(name: str, tmp_path: Path) -> None:
    _try(name, "verilog", tmp_path)


def _try(name: str, target: str, tmp_path: Path) -> None:
    verdict, net = INTEGERS[name][0][target], NETWORKS[name]()
    spikes = _input(name, net)
    if verdict == "refused" and target == "sanafe" and name == "currents that wrap around":
        fast = replace(net.layers[0], neuron=FAST, weight=np.full((1, 9), 60_000, np.int32))
        net = _chain(fast)  # so that nothing but the run is a reason
    if target == "netx":
        if verdict == "refused":
            with pytest.raises(NetworkRefused):
                to_netx(net, tmp_path / "m.net")
            return
        to_netx(net, tmp_path / "m.net")
        assert network_sha256(None, from_netx(tmp_path / "m.net")) == network_sha256(None, net)
        return
    if target == "speck":
        _try_speck(net, spikes, verdict, tmp_path)
        return
    if verdict == "refused":
        with pytest.raises(NetworkRefused):
            run(net, spikes, backend=target)
        return
    _require(target)
    expected, found = run_network(net, spikes).spikes, run(net, spikes, backend=target).spikes
    assert sum(int(layer.sum()) for layer in expected.values()) > 0
    for index, layer in expected.items():
        assert np.array_equal(layer, found[index])


def _try_speck(net: IntNetwork, spikes: np.ndarray, verdict: str, tmp_path: Path) -> None:
    from sdcl_neuro.conversion.targets.speck.layers import speck_layers
    from sdcl_neuro.conversion.targets.speck.writer import to_speck

    if verdict == "refused":
        with pytest.raises(NetworkRefused):
            speck_layers(net)
        return
    assert len(speck_layers(net)) == len(net.layers)
    if importlib.util.find_spec("sinabs") is not None:
        written = to_speck(net, tmp_path / "m.speck", spikes=spikes)
        assert any(one["differ"] for one in written.facts["differences"])


def _require(target: str) -> None:
    if target == "c" and all(shutil.which(name) is None for name in COMPILERS):
        pytest.skip("no C compiler is installed")
    if target == "sanafe":
        try:
            require_sanafe()
        except EnvironmentFault as error:
            pytest.skip(str(error))

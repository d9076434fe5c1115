"""The engine equals Lava, spike for spike in every layer: random networks, and every corner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sdcl_neuro.conversion import from_netx, to_netx
from sdcl_neuro.conversion.backends.lava import backend as lava
from sdcl_neuro.conversion.backends.run import run
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.engine import run_network
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.testing import random_network, random_spikes

pytestmark = pytest.mark.lava

Maker = Callable[..., IntLayer]
Chain = Callable[..., IntNetwork]
Spikes = NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """A network, what goes in, and what the engine is expected to have met on the way."""

    net: IntNetwork
    spikes: Spikes
    wraps: bool = False
    saturates: bool = False


def draw(net: IntNetwork, *, rate: float = 0.3, steps: int = 10, samples: int = 1) -> Spikes:
    return random_spikes(net, 11, rate=rate, steps=steps, samples=samples)


def agree(net: IntNetwork, spikes: Spikes, record: Record) -> Record:
    """The engine's record, after it has been found equal to Lava's."""
    ours = run_network(net, spikes)
    assert sorted(record.spikes) == sorted(ours.spikes)
    for index, theirs in record.spikes.items():
        assert theirs.dtype == np.uint8
        assert np.array_equal(theirs, ours.spikes[index]), net.layers[index].name
    for a, b in zip(record.activity, ours.activity, strict=True):
        assert np.array_equal(a.synops, b.synops)
        assert np.array_equal(a.spikes_out, b.spikes_out)
    return ours


def test_random_networks() -> None:
    """Kernels 1 to 7, strides, paddings, groups, dilation, biases, recurrence, delays, counts."""
    nets = [random_network(seed, kind="conv") for seed in range(12)]
    nets += [
        random_network(seed, message_bits=bits) for seed, bits in enumerate([0, 0, 1, 3, 8, 12])
    ]
    nets += [random_network(20 + seed, kind="dense_rec", layers=2) for seed in range(2)]
    nets += [random_network(30 + seed, kind="delay", layers=2) for seed in range(2)]
    nets += [random_network(40 + seed, extreme=True) for seed in range(4)]
    pairs = [(net, random_spikes(net, 1, steps=8, samples=2)) for net in nets]
    spikes = 0
    for (net, values), record in zip(pairs, lava.run_many(pairs), strict=True):
        ours = agree(net, values, record)
        spikes += sum(int(kept.sum()) for kept in ours.spikes.values())
        assert record.elapsed_s is not None
        assert record.elapsed_s > 0
    assert spikes > 2000


def neuron(current: int = 4096, voltage: int = 400, threshold: int = 60) -> IntNeuron:
    return IntNeuron(current, voltage, threshold)


SLOW = neuron(900, 200, 300)
TOP = (1 << 17) - 1


def weight_corners(rng: np.random.Generator, dense: Maker, chain: Chain) -> dict[str, Any]:
    """Dense matrices for which netx finds different exponents: name to network and rate."""

    def alone(weight: Any, unit: IntNeuron = SLOW, bias: int | None = None) -> IntNetwork:
        biases = None if bias is None else [bias] * 9
        return chain(dense("a", (20,), 9, weight=weight, neuron=unit, bias=biases))

    size = (9, 20)
    return {
        "excitatory to 255": (alone(rng.integers(0, 256, size)), 0.3),
        "inhibitory to -255": (alone(-rng.integers(1, 256, size), bias=2000), 0.2),
        "small odd, both signs": (alone(rng.integers(-127, 128, size), neuron()), 0.3),
        "zeros and ones": (alone(rng.integers(0, 2, size), neuron(threshold=2)), 0.3),
        "greatest weight 0": (alone(-2 * rng.integers(0, 120, size), bias=2000), 0.3),
        "threshold 0": (alone(2 * rng.integers(-30, 60, size), neuron(4096, 0, 0)), 0.3),
    }


def state_corners(conv: Maker, dense: Maker, chain: Chain) -> dict[str, Any]:
    """Networks whose states leave their 24 bits, and sizes beyond 8 bits."""
    signs = np.where(np.arange(8)[:, None] < 4, 254, -256) * np.ones((8, 600), int)
    down = dense("a", (40,), 6, weight=np.full((6, 40), -200), neuron=neuron(1, 1, TOP))
    wide = conv("a", (300, 4, 4), 2, (4, 4), span=(126, 128))
    graded = conv("a", (2, 6, 6), 3, (3, 3), padding=(1, 1), neuron=neuron(4096, 100, 3000))
    return {
        "current wraps": (
            chain(dense("a", (600,), 8, weight=signs, neuron=neuron(1, 0, TOP))),
            1.0,
        ),
        "membrane clips": (chain(down, dense("b", (6,), 3, bias=[4095, 0, -4096])), 0.9),
        "convolution wraps": (chain(wide, message_bits=8), 1.0),
        "counts": (chain(graded, dense("b", (3, 6, 6), 4), message_bits=8), 0.3),
        "more than 127 channels and pixels": (
            chain(conv("a", (130, 1, 140), 2, (1, 7), stride=(1, 9), padding=(0, 70))),
            0.02,
        ),
    }


def pipeline_corners(rng: np.random.Generator, dense: Maker, chain: Chain) -> dict[str, Any]:
    """Networks that spike before their first input, with synapses that remember it."""
    mutual = 2 * rng.integers(-60, 60, (5, 5))
    biases = [400, 100, -20, 0, 70]
    return {
        "delays and biases": (
            chain(
                dense("a", (20,), 5, bias=[90] * 5, delay=rng.integers(0, 63, (5, 20))),
                dense("b", (5,), 4, bias=[200, 10, 0, -5], delay=rng.integers(0, 6, (4, 5))),
            ),
            0.3,
        ),
        "recurrence and biases": (
            chain(
                dense("a", (20,), 5, neuron=SLOW, bias=biases, recurrent=mutual),
                dense("b", (5,), 5, neuron=SLOW, bias=biases, recurrent=-mutual),
                dense("c", (5,), 4, bias=[100, 0, 1, 7]),
            ),
            0.3,
        ),
    }


@pytest.fixture(scope="module")
def corners(conv: Maker, dense: Maker, chain: Chain) -> dict[str, Case]:
    """Networks at the limits of the arithmetic, and at those of the pipeline."""
    rng = np.random.default_rng(5)
    nets = {
        **weight_corners(rng, dense, chain),
        **state_corners(conv, dense, chain),
        **pipeline_corners(rng, dense, chain),
    }
    return {
        name: Case(
            net,
            draw(net, rate=rate, samples=2 if name.startswith("delays") else 1),
            wraps=name == "current wraps",
            saturates="clips" in name,
        )
        for name, (net, rate) in nets.items()
    }


def test_corners(corners: dict[str, Case]) -> None:
    records = lava.run_many([(case.net, case.spikes) for case in corners.values()])
    for (name, case), record in zip(corners.items(), records, strict=True):
        ours = agree(case.net, case.spikes, record)
        assert any(kept.any() for kept in ours.spikes.values()), name
        if case.wraps:
            assert ours.activity[0].wraps is not None
            assert ours.activity[0].wraps.sum() > 0
        if case.saturates:
            assert ours.activity[0].saturations is not None
            assert ours.activity[0].saturations.sum() > 0


@pytest.mark.parametrize("part", ["delays and biases", "recurrence and biases"])
def test_spikes_under_way_before_the_first_input_are_cleared(
    part: str, corners: dict[str, Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the clearing Lava differs: so the cases above do test it."""
    case = corners[part]
    monkeypatch.setattr(lava, "clears", lambda net: ())
    record = lava.run(case.net, case.spikes)
    ours = run_network(case.net, case.spikes)
    assert any(not np.array_equal(record.spikes[k], ours.spikes[k]) for k in ours.spikes)


def test_samples_follow_one_another(conv: Maker, dense: Maker, chain: Chain) -> None:
    """However short they are, and however deep the network."""
    slow = IntNeuron(700, 30, 90)
    first = conv("a", (1, 5, 4), 3, (3, 3), padding=(1, 1), bias=[40, 3, -3], neuron=slow)
    layers = [first, dense("b", first.out_shape, 6, bias=[90, 1, 2, 0, -9, 5], neuron=slow)]
    layers += [
        dense(f"c{i}", (6,), 6, bias=[9, 1, 80, 0, -9, 5], neuron=slow, seed=i) for i in range(3)
    ]
    net = chain(*layers)
    pairs = [(net, draw(net, steps=steps, samples=6)) for steps in (1, 2, 3, 7)]
    for (_, spikes), record in zip(pairs, lava.run_many(pairs), strict=True):
        agree(net, spikes, record)


def test_files_that_slayer_wrote(slayer_files: Path) -> None:
    """Run as they are, without an input layer."""
    shapes = {"conv": (2, 9, 7), "dilated": (2, 9, 7), "biased": None, "delayed": None}
    pairs = []
    for name, shape in shapes.items():
        path = slayer_files / f"{name}.net"
        net = from_netx(path, input_shape=shape)
        model = Model(path, integer=net)
        pairs.append((model, draw(net, rate=0.5, samples=2)))
    for (model, spikes), record in zip(pairs, lava.run_many(pairs), strict=True):
        assert model.integer is not None
        ours = agree(model.integer, spikes, record)
        assert ours.spikes[0].any()


def test_same_as_with_lavas_own_source_and_sinks(
    in_lava: Callable[..., None], conv: Maker, chain: Chain, tmp_path: Path
) -> None:
    first = conv("a", (2, 5, 4), 3, (3, 3), padding=(1, 1))
    net = chain(first, conv("b", first.out_shape, 2, (2, 3), bias=[20, -7]))
    spikes = draw(net, steps=6)
    to_netx(net, tmp_path / "a.net")
    np.save(tmp_path / "in.npy", spikes[:, 0])
    in_lava("ring", tmp_path / "a.net", tmp_path / "in.npy", tmp_path / "out.npz")
    record = lava.run(tmp_path / "a.net", spikes)
    with np.load(tmp_path / "out.npz") as theirs:
        for index, kept in record.spikes.items():
            assert kept.any()
            assert np.array_equal(theirs[f"layer_{index}"], kept[:, 0])


def test_only_the_layers_asked_for(chain: Chain, dense: Maker) -> None:
    net = chain(dense("a", (6,), 5), dense("b", (5,), 4, seed=1), dense("c", (4,), 3, seed=2))
    spikes = draw(net)
    record = run(net, spikes, backend="lava", layers=[2])
    assert list(record.spikes) == [2]
    assert record.activity == ()
    assert np.array_equal(record.spikes[2], run_network(net, spikes).spikes[2])
    assert record.versions["lava-nc"] == "0.10.0"
    assert record.backend == "lava"

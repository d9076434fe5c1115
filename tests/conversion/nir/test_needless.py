"""What was refused without need: each is exact, and equals the float64 reference."""

from __future__ import annotations

import nir
import numpy as np
import pytest

from helpers.nir_peers import drive
from sdcl_neuro.cli import main
from sdcl_neuro.conversion import from_nir, quantize
from sdcl_neuro.conversion.backends.snntorch_run import run_float
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.conversion.sources.nir.reference import reference_run
from sdcl_neuro.errors import NetworkRefused

DT = 1e-3


def each(shape, value):
    return np.broadcast_to(np.asarray(value, np.float32), shape).copy()


def lif(shape, *, tau=4e-3, r=4.0, leak=0.0, threshold=1.0, reset=0.0):
    return nir.LIF(*(each(shape, v) for v in (tau, r, leak, threshold, reset)))


def cuba(shape, *, leak=0.0, reset=0.0, tau_mem=4e-3, r=4.0):
    named = {"tau_syn": 2e-3, "tau_mem": tau_mem, "r": r, "v_leak": leak, "v_threshold": 1.0}
    named |= {"v_reset": reset, "w_in": 2.0}
    return nir.CubaLIF(**{key: each(shape, value) for key, value in named.items()})


def chain(first, *nodes, last):
    named = {"input": nir.Input(np.array(first))}
    named |= {f"n{index}": node for index, node in enumerate(nodes)}
    named["output"] = nir.Output(np.array(last))
    edges = list(zip(named, list(named)[1:], strict=False))
    return nir.NIRGraph(named, edges, metadata={}, type_check=False)


def dense(neurons, *, scale=1.0, bias=0.0):
    weight = np.random.default_rng(0).normal(0.1, 0.5, (6, 10)).astype(np.float32) * scale
    affine = nir.Affine(weight.astype(np.float32), each((6,), bias))
    return chain((10,), affine, neurons, last=(6,))


def image(neurons, **geometry):
    weight = np.random.default_rng(1).normal(0.1, 0.6, (3, 2, *geometry.pop("kernel", (3, 3))))
    named = {"stride": 1, "padding": "same", "dilation": 1, "groups": 1, **geometry}
    bias = np.array([0.0, 0.1, -0.1], np.float32)
    conv = nir.Conv2d((6, 5), weight.astype(np.float32), bias=bias, **named)
    return chain((2, 6, 5), conv, neurons, last=(3, 6, 5))


def expect_exact(graph, shape, *, dt=DT):
    net, spikes = from_nir(graph, dt=dt), drive(shape)
    assert "approximate" not in net.meta
    ours = run_float(Model(floating=net), spikes).spikes
    theirs = reference_run(graph, spikes, dt=dt).spikes
    assert 0.02 < ours[0].mean() < 0.6
    for index, own in ours.items():
        assert np.array_equal(own, theirs[index].reshape(own.shape))
    return net


EACH = np.linspace(-0.5, 0.4, 6)
ROWS = np.linspace(-0.2, 0.3, 3).reshape(3, 1, 1)
EXACT = {
    "v_leak alike in all": (dense(lif((6,), leak=0.3)), (10,)),
    "v_leak below zero": (dense(lif((6,), leak=-0.4)), (10,)),
    "v_leak for each neuron": (dense(lif((6,), leak=np.linspace(-0.3, 0.5, 6))), (10,)),
    "v_leak beside a bias": (dense(lif((6,), leak=0.3), bias=0.05), (10,)),
    "v_leak of a current": (dense(cuba((6,), leak=0.3), scale=0.5), (10,)),
    "v_leak for each channel": (image(lif((3, 6, 5), leak=ROWS)), (2, 6, 5)),
    "v_leak beside thresholds that differ": (
        dense(lif((6,), leak=0.3, threshold=np.linspace(0.6, 1.4, 6))),
        (10,),
    ),
    "v_leak = v_reset": (dense(lif((6,), leak=-0.5, reset=-0.5)), (10,)),
    "v_leak = v_reset, one each": (dense(lif((6,), leak=EACH, reset=EACH)), (10,)),
    "v_leak = v_reset of a current": (dense(cuba((6,), leak=0.2, reset=0.2), scale=0.5), (10,)),
    "v_leak = v_reset for each channel": (
        image(lif((3, 6, 5), leak=ROWS, reset=ROWS)),
        (2, 6, 5),
    ),
    "tau and r infinite": (dense(lif((6,), tau=np.inf, r=np.inf)), (10,)),
    "tau infinite behind a current": (
        dense(cuba((6,), tau_mem=np.inf, r=np.inf), scale=0.3),
        (10,),
    ),
    "'same' of an even kernel": (image(lif((3, 6, 5)), kernel=(2, 4)), (2, 6, 5)),
    "'same' of an even, dilated kernel": (
        image(lif((3, 6, 5)), kernel=(2, 2), dilation=(3, 2)),
        (2, 6, 5),
    ),
    "'same' of an odd kernel": (image(lif((3, 6, 5)), kernel=(3, 1)), (2, 6, 5)),
}


@pytest.mark.parametrize("name", EXACT)
def test_what_is_exact(name):
    graph, shape = EXACT[name]
    net = expect_exact(graph, shape)
    chip = quantize(net, calibration=drive(shape), check=False)
    assert len(chip.layers) == len(net.layers)


def test_what_they_become():
    leaking = from_nir(dense(lif((6,), leak=0.3)), dt=DT).layers[0]
    np.testing.assert_allclose(leaking.bias, 0.25 * 0.3, rtol=1e-6)
    shifted = from_nir(dense(lif((6,), leak=-0.5, reset=-0.5)), dt=DT).layers[0]
    assert shifted.bias is None
    assert shifted.neuron.threshold == 1.5
    endless = from_nir(dense(lif((6,), tau=np.inf, r=np.inf))).layers[0]
    assert endless.neuron.beta == 1
    even = from_nir(image(lif((3, 6, 5)), kernel=(2, 4)), dt=DT).layers[0]
    assert even.weight.shape == (3, 2, 3, 5)
    assert even.convolution.padding == (1, 2)
    assert not even.weight[:, :, 0].any()
    assert not even.weight[:, :, :, 0].any()


def test_an_infinite_tau_with_a_finite_r_hears_nothing():
    """dt / tau of r is nothing; Norse, too, never moves it."""
    net = from_nir(dense(lif((6,), tau=np.inf, r=1.0)))
    assert net.layers[0].neuron.beta == 1
    assert not net.layers[0].weight.any()
    assert "no input ever reaches it" in net.meta["lowered"][0]


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (dense(lif((6,), leak=0.0, reset=-0.5)), "v_reset is not zero; use a reset to zero, or"),
        (dense(lif((6,), leak=np.nan)), "v_leak holds not-a-number"),
        (dense(lif((6,), threshold=-0.5)), "v_threshold is not above v_reset"),
        (dense(lif((6,), r=np.inf)), "the gain of its input, r dt / tau, is inf"),
        (image(lif((3, 6, 5)), stride=2), "padding 'same' at a stride of"),
        (dense(cuba((6,), leak=0.2), bias=0.1), "would pass through the current's decay"),
    ],
)
def test_what_stays_refused(graph, said):
    with pytest.raises(NetworkRefused, match=said):
        from_nir(graph, dt=DT)


def faulty():
    """A fault of every kind in one graph: structure, values, shapes, lowering, the chip's."""
    weight = np.ones((4, 4), np.float32)
    broken = weight.copy()
    broken[0, 0] = np.nan
    nodes = {
        "input": nir.Input(np.array([4])),
        "thin": nir.Linear(weight),
        "slow": lif((4,), tau=1e3),
        "broken": nir.Linear(broken),
        "uneven": lif((4,), tau=np.linspace(2e-3, 5e-3, 4)),
        "wide": nir.Linear(np.ones((4, 9), np.float32)),
        "elsewhere": lif((4,), reset=-0.5),
        "delay": nir.Delay(np.ones(4)),
        "last": nir.Linear(weight),
        "late": lif((4,), tau=1e-5),
        "output": nir.Output(np.array([4])),
    }
    edges = [*zip(nodes, list(nodes)[1:], strict=False), ("slow", "wide")]
    return nir.NIRGraph(nodes, edges, metadata={}, type_check=False)


WORDS = (
    "weight holds not-a-number",
    "tau differs between neurons",
    "it leads to 2 nodes (broken, wide)",
    "it has several inputs (uneven, slow)",
    "it reads 9 inputs or channels, but 4 come",
    "v_reset is not zero",
    "Delay is not supported",
    "tau of 1e-05 s is shorter than the step",
)


def test_all_faults_come_at_once_and_once_each(tmp_path, capsys):
    with pytest.raises(NetworkRefused) as caught:
        from_nir(faulty(), dt=DT)
    said = [str(refusal) for refusal in caught.value.refusals]
    assert len(said) == len(set(said))
    for words in WORDS:
        assert sum(words in each for each in said) == 1, words
    assert len(said) == len(WORDS)
    with pytest.raises(NetworkRefused) as caught:
        from_nir(faulty())
    stepless = [str(refusal) for refusal in caught.value.refusals]
    assert sum("states no step" in each for each in stepless) == 1
    assert any("weight holds not-a-number" in each for each in stepless)
    nir.write(tmp_path / "m.nir", faulty())
    assert main(["convert", str(tmp_path / "m.nir"), str(tmp_path / "m.net"), "--dt", "1e-3"]) == 2
    shown = capsys.readouterr().out
    assert shown.count("refused  ") == len(WORDS) + 1
    assert "a membrane decay that rounds to nothing" in shown


def test_hints_name_what_the_interface_has(tmp_path, capsys):
    graph = dense(lif((6,), reset=-0.5))
    with pytest.raises(NetworkRefused, match=r"or from_nir\(path, approximate=True, calibration"):
        from_nir(graph, dt=DT)
    nir.write(tmp_path / "m.nir", graph)
    arguments = ["convert", str(tmp_path / "m.nir"), str(tmp_path / "m.net")]
    assert main([*arguments, "--dt", "1e-3"]) == 2
    said = capsys.readouterr().err
    assert "or sdcl-neuro convert MODEL OUT --approximate --calibrate SPIKES" in said
    assert "approximate=True" not in said
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "give --dt SECONDS" in said
    assert "dt=SECONDS" not in said

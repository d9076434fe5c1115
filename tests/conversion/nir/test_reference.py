"""The float64 reference: by hand, in Norse, and 1,000 random graphs against the description."""

from __future__ import annotations

import nir
import numpy as np
import pytest

from helpers.nir_graphs import random_graph
from helpers.nir_peers import missing, read_and_run
from sdcl_neuro import run
from sdcl_neuro.conversion import from_nir, to_nir
from sdcl_neuro.conversion.backends.snntorch_run import run_float
from sdcl_neuro.conversion.lowering.graph.nodes import FloatGraph
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.conversion.parity.rounding import explain_mismatches
from sdcl_neuro.conversion.sources.nir.reference import reference_run
from sdcl_neuro.errors import InputError, NetworkRefused


def _values(value, count=1):
    return np.full(count, value, np.float32)


def _graph(neurons, *, weight, bias=None, more=()):
    weight = np.asarray(weight, np.float32)
    bias = np.zeros(len(weight)) if bias is None else np.asarray(bias)
    nodes = {
        "input": nir.Input(np.array([weight.shape[1]])),
        "fc": nir.Affine(weight, bias.astype(np.float32)),
        "neurons": neurons,
        "output": nir.Output(np.array([len(weight)])),
    }
    edges = list(zip(nodes, list(nodes)[1:], strict=False))
    for name, node in more:
        nodes[name] = node
        edges += [("neurons", name), (name, "neurons")]
    return nir.NIRGraph(nodes, edges, metadata={}, type_check=False)


TRAIN = np.array([1, 0, 1, 1, 0, 1, 0, 0, 1, 1], np.uint8).reshape(-1, 1, 1)


def test_a_leaky_neuron_by_hand():
    """tau v' = v_leak - v + r x at dt / tau = 1/4, from v_leak = v_reset."""
    lif = nir.LIF(*(_values(v) for v in (4e-3, 8.0, 0.25, 2.0, 0.25)))
    found = reference_run(_graph(lif, weight=[[0.75]]), TRAIN, dt=1e-3, margins=True)
    v, spikes, margins = 0.25, [], []
    for x in TRAIN[:, 0, 0]:
        v = v + 0.25 * (0.25 - v + 8.0 * 0.75 * x)
        margins.append(v - 2.0)
        spikes.append(v > 2.0)
        v = 0.25 if spikes[-1] else v
    assert found.spikes[0][:, 0, 0].tolist() == spikes
    assert 2 <= sum(spikes) < 6
    np.testing.assert_allclose(found.margins[0][:, 0, 0], margins, rtol=1e-6)
    assert found.names == ("neurons",)
    assert found.step.seconds == 1e-3


def test_a_recurrent_current_by_hand():
    """A cycle arrives one step later, its bias from the first step on."""
    names = ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in")
    constants = (2e-3, 4e-3, 4.0, 0.0, 1.0, 0.0, 2.0)
    cuba = nir.CubaLIF(**{k: _values(v) for k, v in zip(names, constants, strict=True)})
    back = nir.Affine(_values(-0.5).reshape(1, 1), _values(0.125))
    found = reference_run(_graph(cuba, weight=[[0.5]], more=[("back", back)]), TRAIN, dt=1e-3)
    i = v = 0.0
    spikes, last = [], 0
    for x in TRAIN[:, 0, 0]:
        i = i + 0.5 * (2.0 * (0.5 * x - 0.5 * last + 0.125) - i)
        v = v + 0.25 * (4.0 * i - v)
        last = int(v > 1)
        spikes.append(last)
        v = 0.0 if last else v
    assert found.spikes[0][:, 0, 0].tolist() == spikes
    assert sum(spikes) > 1


@pytest.mark.skipif(missing("norse"), reason="Norse is not installed")
def test_a_random_network_by_norse(random_float, tmp_path):
    """What Norse runs of our file is what the reference does."""
    fired = 0
    for seed in (0, 6, 10, 12):
        net = random_float(seed)
        to_nir(net, tmp_path / "net.nir", reader="norse")
        spikes = (np.random.default_rng(seed).random((12, 2, *net.input_shape)) < 0.3).astype("u1")
        theirs = read_and_run("norse", tmp_path / "net.nir", spikes)
        ours = reference_run(tmp_path / "net.nir", spikes)
        fired += int(ours.spikes[-1].sum())
        assert np.array_equal(ours.spikes[-1].reshape(theirs.shape), theirs)
    assert fired > 30


def test_what_the_reference_cannot_run():
    lif = nir.LIF(*(_values(v) for v in (4e-3, 1.0, 0.0, 1.0, 0.0)))
    with pytest.raises(NetworkRefused, match="states no step"):
        reference_run(_graph(lif, weight=[[1.0]]), TRAIN)
    odd = _graph(nir.Threshold(_values(1.0)), weight=[[1.0]])
    with pytest.raises(InputError, match="Threshold is not run by the float64 reference"):
        reference_run(odd, TRAIN, dt=1e-3)


def expect_same_graph(net, spikes, reference):
    """A network that is not a chain: its populations by name; spikes sent, neuron steps."""
    ours = run(net, spikes, backend="snntorch").spikes
    named = dict(zip(reference.names, reference.spikes, strict=True))
    for index, node in enumerate(net.populations):
        assert np.array_equal(ours[index], named[node.name].reshape(ours[index].shape))
    sizes = [each.size for each in ours.values()]
    return sum(int(each.sum()) for each in ours.values()), sum(sizes)


def compared(seeds):
    """Random graphs: how many are taken, and what the reference makes of those."""
    taken = spikes_sent = neuron_steps = within_rounding = 0
    reasons = []
    for seed in seeds:
        graph, dt, spikes = random_graph(seed)
        try:
            net = from_nir(graph, dt=dt)
        except NetworkRefused as refused:
            reasons.append(refused.refusals)
            continue
        reference = reference_run(graph, spikes, dt=dt)
        if isinstance(net, FloatGraph):
            sent, steps = expect_same_graph(net, spikes, reference)
            taken, neuron_steps = taken + 1, neuron_steps + steps
            spikes_sent += sent
            continue
        ours = run_float(Model(floating=net), spikes).spikes
        assert len(reference.spikes) == len(net.layers)
        theirs = {k: each.reshape(ours[k].shape) for k, each in enumerate(reference.spikes)}
        taken += 1
        neuron_steps += sum(each.size for each in ours.values())
        spikes_sent += sum(int(each.sum()) for each in ours.values())
        if all(np.array_equal(ours[k], theirs[k]) for k in ours):
            continue
        judged = explain_mismatches(net, spikes, ours, theirs)
        assert [layer.unexplained for layer in judged] == [0] * len(judged), f"seed {seed}"
        within_rounding += sum(layer.neurons for layer in judged)
    assert all(each.where and each.what and each.hint for some in reasons for each in some)
    assert all(len(set(some)) == len(some) for some in reasons), "a fault is named once"
    return taken, neuron_steps, spikes_sent, within_rounding


def test_a_few_random_graphs_are_what_they_mean():
    taken, neuron_steps, sent, within = compared(range(40))
    assert taken >= 25
    assert sent > 0.1 * neuron_steps
    assert within <= 2


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_random_graphs_are_what_they_mean():
    """Steps from 1e-5 to 1 s."""
    taken, neuron_steps, sent, within = compared(range(1000))
    print(f"{taken} taken, {neuron_steps} neuron steps, {sent} spikes, {within} within rounding")
    assert taken >= 750
    assert sent > 0.1 * neuron_steps
    assert within <= 20

"""Graphs that others write, read as they mean them."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import snntorch as snn
import torch
from snntorch.export_nir import export_to_nir

from sdcl_neuro.conversion import from_nir
from sdcl_neuro.conversion.backends import norse
from sdcl_neuro.errors import NetworkRefused

# snnTorch 1.0.0 and Norse 1.1.0 call nirtorch's older entry point.
pytestmark = pytest.mark.filterwarnings("ignore:nirtorch.extract_nir_graph:DeprecationWarning")


def _lif(shape, tau, *, r=1.0, threshold=1.0, v_reset=0.0, v_leak=0.0):
    def full(value):
        return np.full(shape, value, np.float32)

    return nir.LIF(full(tau), full(r), full(v_leak), full(threshold), full(v_reset))


def _file(tmp_path, nodes, edges, metadata=None):
    graph = nir.NIRGraph(nodes, edges, metadata=metadata or {}, type_check=False)
    nir.write(tmp_path / "s.nir", graph)
    return tmp_path / "s.nir"


def _chain(tmp_path, *nodes, metadata=None):
    named = {str(index): node for index, node in enumerate(nodes)}
    return _file(tmp_path, named, list(zip(named, list(named)[1:], strict=False)), metadata)


def _dense(tmp_path, neurons, *, metadata=None, weight=((4.0, -2.0),)):
    weight = np.array(weight, np.float32)
    return _chain(
        tmp_path,
        nir.Input(np.array([2])),
        nir.Linear(weight),
        neurons,
        nir.Output(np.array([len(weight)])),
        metadata=metadata,
    )


def _leaky(*shape, beta, **more):
    return snn.Leaky(
        beta=torch.full(shape, beta),
        threshold=torch.full(shape, 0.7),
        init_hidden=True,
        reset_mechanism="zero",
        **more,
    )


def test_snntorchs_own_export_means_the_module(tmp_path):
    """snnTorch 1.0.0 writes r = tau / 1e-4 and never its step."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1),
        _leaky(4, 6, 5, beta=0.9),
        torch.nn.Flatten(),
        torch.nn.Linear(4 * 6 * 5, 7),
        _leaky(7, beta=0.8, output=True),
    )
    graph = export_to_nir(net, torch.zeros(1, 2, 6, 5), ignore_dims=[0])
    nir.write(tmp_path / "s.nir", graph)
    read = from_nir(tmp_path / "s.nir", writer="snntorch")
    assert (read.meta["dt_s"], read.meta["dt_source"][:8]) == (1e-4, "snnTorch")
    assert read.input_shape == (2, 6, 5)
    first, second = read.layers
    assert (first.kind, first.convolution.padding) == ("conv", (1, 1))
    assert first.neuron.beta == float(np.float32(0.9))
    assert second.neuron.beta == float(np.float32(0.8))
    assert first.neuron.threshold == float(np.float32(0.7))
    assert np.array_equal(first.weight, net[0].weight.detach().numpy())
    assert np.array_equal(first.bias, net[0].bias.detach().numpy())
    assert np.array_equal(second.weight, net[3].weight.detach().numpy())
    from_memory = from_nir(graph, writer="snntorch")
    assert np.array_equal(from_memory.layers[0].weight, first.weight)


def test_snntorchs_recurrent_export(tmp_path):
    """RLeaky comes as a subgraph whose Linear has a bias; both biases enter every step."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(5, 6),
        snn.RLeaky(
            beta=0.8, linear_features=6, init_hidden=True, output=True, reset_mechanism="zero"
        ),
    )
    graph = export_to_nir(net, torch.zeros(1, 5), ignore_dims=[0])
    nir.write(tmp_path / "s.nir", graph)
    (layer,) = from_nir(tmp_path / "s.nir", writer="snntorch").layers
    recurrent = net[1].recurrent
    assert layer.kind == "dense_rec"
    assert layer.neuron.beta == pytest.approx(0.8, rel=1e-7)
    np.testing.assert_allclose(layer.recurrent_weight, recurrent.weight.detach(), rtol=1e-6)
    np.testing.assert_allclose(
        layer.bias, (net[0].bias + recurrent.bias).detach(), rtol=1e-5, atol=1e-7
    )


def test_snntorchs_synaptic_export(tmp_path):
    net = torch.nn.Sequential(
        torch.nn.Linear(5, 3, bias=False),
        snn.Synaptic(
            alpha=torch.full((3,), 0.7),
            beta=torch.full((3,), 0.9),
            threshold=torch.ones(3),
            init_hidden=True,
            output=True,
        ),
    )
    graph = export_to_nir(net, torch.zeros(1, 5), ignore_dims=[0])
    (layer,) = from_nir(graph, writer="snntorch").layers
    assert layer.neuron.alpha == float(np.float32(0.7))
    assert layer.neuron.beta == float(np.float32(0.9))
    assert np.array_equal(layer.weight, net[0].weight.detach().numpy())


def test_norses_own_export_needs_its_writer_named():
    """Norse 1.1.0 exports tau = dt tau (not tau)."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import norse.torch as nt
        from norse.torch.utils.export_nir import to_nir as norse_to_nir

        module = nt.SequentialState(torch.nn.Linear(6, 5), nt.LIFBoxCell())
        graph = norse_to_nir(module, torch.zeros(1, 6))
    with pytest.raises(NetworkRefused, match=r"shorter than the step of 0\.001 s; give the step"):
        from_nir(graph, dt=1e-3)
    read = from_nir(graph, writer="norse")
    (layer,) = read.layers
    # Norse's default: tau_mem_inv 100 / s at 1 ms, so a tenth leaks in each step.
    assert layer.neuron.beta == pytest.approx(0.9)
    np.testing.assert_allclose(layer.weight, 0.1 * module[0].weight.detach(), rtol=1e-5)
    assert read.input_shape == (6,)


def test_r_used_or_not_is_the_same_network(tmp_path):
    """tau = dt / (1 - beta): weights divided by 1 - beta with r = 1, or r = 1 / (1 - beta)."""
    meta = {"dt": 1e-3}
    a = from_nir(_dense(tmp_path, _lif((1,), 4e-3), metadata=meta, weight=[[8, 4]]))
    b = from_nir(_dense(tmp_path, _lif((1,), 4e-3, r=4), metadata=meta, weight=[[2, 1]]))
    for net in (a, b):
        assert net.layers[0].neuron.beta == pytest.approx(0.75)
        np.testing.assert_allclose(net.layers[0].weight, [[2, 1]], rtol=1e-6)


def test_the_step_is_given_or_stated_and_never_assumed(tmp_path):
    path = _dense(tmp_path, _lif((1,), 4e-3))
    with pytest.raises(NetworkRefused, match=r"keeps 0\.975 in a step of 0\.0001 s and 0\.75 in"):
        from_nir(path)
    given = from_nir(path, dt=2e-3)
    assert given.layers[0].neuron.beta == pytest.approx(0.5)
    assert (given.meta["dt_s"], given.meta["dt_source"]) == (2e-3, "given")
    stated = from_nir(_dense(tmp_path, _lif((1,), 4e-3), metadata={"dt": 1e-3}))
    assert stated.layers[0].neuron.beta == pytest.approx(0.75)
    assert stated.meta["dt_source"] == "stated by the file's metadata"


@pytest.mark.parametrize(("r", "dt"), [(1.0, 1e-3), (1000.0, 1e-3), (10000.0, 1e-4)])
def test_an_integrator_takes_its_input_whole(r, dt, tmp_path):
    """Norse and Sinabs write r = 1 for IF and ignore it; in NIR's words it is 1 / dt."""
    neurons = nir.IF(np.full(1, r, np.float32), np.ones(1, np.float32))
    (layer,) = from_nir(_dense(tmp_path, neurons), dt=dt).layers
    assert (layer.neuron.beta, layer.weight.tolist()) == (1.0, [[4, -2]])


def test_scalars_stand_for_whole_populations(tmp_path):
    scalar = np.float32
    neurons = nir.LIF(*(np.array([v], scalar) for v in (2e-3, 1.0, 0.0, 1.5, 0.0)))
    path = _dense(tmp_path, neurons, weight=np.ones((3, 2)))
    (layer,) = from_nir(path, dt=1e-3).layers
    assert (layer.out_shape, layer.neuron.threshold) == ((3,), 1.5)


@pytest.mark.parametrize(("padding", "wanted"), [("same", (2, 1)), ("valid", (0, 0))])
def test_paddings_in_words(padding, wanted, tmp_path):
    conv = nir.Conv2d(
        (6, 6), np.ones((1, 1, 3, 3), np.float32), 1, padding, (2, 1), 1, np.zeros(1, np.float32)
    )
    size = (6, 6) if padding == "same" else (2, 4)
    path = _chain(
        tmp_path,
        nir.Input(np.array([1, 6, 6])),
        conv,
        _lif((1, *size), 2e-3),
        nir.Output(np.array([1, *size])),
    )
    (layer,) = from_nir(path, dt=1e-3).layers
    assert layer.convolution.padding == wanted
    assert layer.out_shape == (1, *size)


def test_a_read_network_runs_as_norse_runs_the_graph(tmp_path):
    """The meaning we read is the meaning Norse runs."""
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 8, (5, 6)).astype(np.float32)
    path = _chain(
        tmp_path,
        nir.Input(np.array([6])),
        nir.Affine(weight, np.full(5, 1.0, np.float32)),
        _lif((5,), 12e-3, threshold=0.8),
        nir.Output(np.array([5])),
    )
    spikes = (rng.random((40, 3, 6)) < 0.3).astype(np.uint8)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from norse.torch.utils.import_nir import from_nir as norse_from_nir

        module, state, out = norse_from_nir(nir.read(path)), None, []
        with torch.no_grad():
            for frame in spikes:
                fired, state = module(torch.from_numpy(frame).float(), state)
                out.append(fired.numpy())
    ours = norse.run(from_nir(path, dt=1e-3), spikes).spikes[0]
    assert 50 < ours.sum() < ours.size
    assert np.array_equal(ours, np.stack(out).astype(np.uint8))


LIF1 = _lif((1,), 4e-3)
REFUSED = {
    "v_reset is not zero": _lif((1,), 4e-3, v_reset=-0.5),
    "shorter than the step": _lif((1,), 2e-4),
    "a v_leak; give a read-out": nir.LI(*(np.ones(1, np.float32) for _ in range(3))),
    "Threshold is not supported": nir.Threshold(np.ones(1, np.float32)),
    "v_threshold holds not-a-number": _lif((1,), 4e-3, threshold=np.nan),
    "the gain": _lif((1,), 4e-3, r=-1.0),
    "a constant has the shape": _lif((4,), 4e-3),
}


@pytest.mark.parametrize("said", REFUSED)
def test_neurons_that_cannot_be_lowered(said, tmp_path):
    with pytest.raises(NetworkRefused, match=said):
        from_nir(_dense(tmp_path, REFUSED[said]), dt=1e-3)


@pytest.mark.parametrize("key", ["tau", "r"])
def test_constants_that_differ_between_neurons(key, tmp_path):
    neurons = _lif((2,), 4e-3)
    setattr(neurons, key, np.array([1.0, 2.0], np.float32))
    graph = from_nir(_dense(tmp_path, neurons, weight=np.ones((2, 2))), dt=1e-3)
    (population,) = graph.populations
    differ = population.beta if key == "tau" else population.threshold
    assert differ.shape == (2,)
    assert differ[0] != differ[1]


@pytest.mark.parametrize(
    ("node", "hint"),
    [
        (nir.Scale(np.ones(2, np.float32)), "multiply the scale into"),
        (nir.Delay(np.ones(2, np.float32)), "remove the delay"),
        (nir.Conv1d(4, np.ones((1, 1, 2), np.float32), 1, 0, 1, 1, np.zeros(1)), "Conv2d with"),
    ],
)
def test_nodes_that_are_not_supported_say_what_to_do(node, hint, tmp_path):
    path = _chain(
        tmp_path,
        nir.Input(np.array([2])),
        node,
        nir.Linear(np.ones((1, 2))),
        LIF1,
        nir.Output(np.array([1])),
    )
    with pytest.raises(NetworkRefused, match=hint):
        from_nir(path)


def test_all_refusals_come_at_once(tmp_path):
    path = _chain(
        tmp_path,
        nir.Input(np.array([2])),
        nir.Linear(np.full((3, 2), np.nan)),
        _lif((3,), 4e-3, v_reset=1.0),
        nir.Linear(np.ones((1, 9))),
        _lif((1,), 1e-5),
        nir.Output(np.array([1])),
    )
    with pytest.raises(NetworkRefused) as caught:
        from_nir(path, dt=1e-3)
    said = [str(refusal) for refusal in caught.value.refusals]
    assert len(said) == 4
    assert "it reads 9 inputs" in "".join(said)
    assert "weight holds not-a-number" in "".join(said)
    assert "v_reset is not zero" in "".join(said)
    assert "shorter than the step" in "".join(said)
    assert "\n" not in str(caught.value)

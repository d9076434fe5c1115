"""Each row of the table of writers, proved by the library itself where it installs."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from torch import nn

from helpers.nir_peers import RUN, dense, drive, export, missing, quietly
from helpers.nir_writers import CASES, MODULES
from sdcl_neuro.conversion import from_nir
from sdcl_neuro.conversion.backends.snntorch_run import run_float
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.conversion.parity.rounding import explain_mismatches
from sdcl_neuro.conversion.sources.nir.reference import reference_run
from sdcl_neuro.conversion.sources.nir.writers import WRITERS
from sdcl_neuro.errors import NetworkRefused

WHERE = "tests/conversion/nir/peers.txt says how to install it"


def expect_same(net, spikes, own, reference):
    """Their run, the description's and the float64 reference's: equal but for rounding."""
    last = len(net.layers) - 1
    ours = run_float(Model(floating=net), spikes).spikes
    own = own.reshape(ours[last].shape)
    assert own.sum() > 40
    assert own.sum() < 0.6 * own.size
    if len(net.layers) == 1:
        judged = explain_mismatches(net, spikes, ours, {0: own})
        assert [layer.unexplained for layer in judged] == [0]
    assert (ours[last] != own).mean() <= 0.002
    assert (reference.spikes[-1].reshape(own.shape) != own).mean() <= 0.002


@pytest.mark.parametrize(
    ("writer", "name"), [(writer, name) for writer, names in CASES.items() for name in names]
)
def test_a_writers_row_is_what_its_library_computes(writer, name, tmp_path):
    library = writer.split("-")[0]
    if missing(library):
        pytest.skip(WHERE)
    module = MODULES[writer]()[name]
    spikes = drive((10,))
    own = RUN[library](module, spikes)
    graph = export(library, module, (10,))
    # Constants without an axis, which Norse and Sinabs write, cannot be compressed.
    nir.write(tmp_path / "theirs.nir", graph, compression=None)
    for source in (graph, tmp_path / "theirs.nir"):
        net = from_nir(source, writer=writer)
        expect_same(net, spikes, own, reference_run(source, spikes, writer=writer))
    row = WRITERS[writer]
    assert net.meta["dt_s"] == (None if row.step == "none" else row.step_s)
    assert row.proof == "run"


@pytest.mark.parametrize("writer", CASES)
def test_every_neuron_of_a_row_has_a_case(writer):
    if missing(writer.split("-")[0]):
        pytest.skip(WHERE)
    assert list(MODULES[writer]()) == CASES[writer]


def test_every_row_that_says_it_was_run_is():
    assert {name for name, row in WRITERS.items() if row.proof == "run"} == CASES.keys()
    assert all(row.source and row.exporter and row.library for row in WRITERS.values())


@pytest.mark.parametrize(("writer", "steps"), [("norse", 2e-3), ("spikingjelly", 1e-3)])
def test_a_step_other_than_the_default_is_given(writer, steps):
    """The exporter's argument dt is not in the file."""
    if missing(writer):
        pytest.skip(WHERE)
    spikes = drive((10,))
    if writer == "norse":
        with quietly():
            import norse.torch as nt
            from norse.torch.utils.export_nir import to_nir

        module = nt.SequentialState(dense(nn.Identity(), gain=12.0)[0], nt.LIFBoxCell(dt=steps))
        with quietly():
            graph = to_nir(module, torch.zeros(1, 10), dt=steps)
    else:
        from spikingjelly.activation_based import layer, neuron
        from spikingjelly.activation_based.nir_exchange import export_to_nir

        module = dense(neuron.LIFNode(tau=3.0, decay_input=False), linear=layer.Linear)
        graph = export_to_nir(module, torch.zeros(1, 10), dt=steps)
    own = RUN[writer](module, spikes)
    options = {"writer": writer, "dt": steps}
    expect_same(from_nir(graph, **options), spikes, own, reference_run(graph, spikes, **options))
    if writer == "spikingjelly":
        with pytest.raises(NetworkRefused, match=r"its r would be that of a step of 0\.001 s"):
            from_nir(graph, writer=writer)


def test_a_membrane_on_the_threshold_fires_where_its_writer_lets_it():
    """Quarters of the threshold add up to it exactly; SpikingJelly fires there, NIR does not."""
    if missing("spikingjelly"):
        pytest.skip(WHERE)
    from spikingjelly.activation_based import layer, neuron

    module = dense(neuron.IFNode(), linear=layer.Linear)
    quarters = np.random.default_rng(0).integers(-2, 4, (8, 10)) / 4
    module[0].weight.data = torch.from_numpy(quarters).float()
    spikes = drive((10,))
    own, graph = RUN["spikingjelly"](module, spikes), export("spikingjelly", module, (10,))
    net = from_nir(graph, writer="spikingjelly")
    assert np.array_equal(run_float(Model(floating=net), spikes).spikes[0], own)
    plain = run_float(Model(floating=from_nir(graph)), spikes).spikes[0]
    assert not np.array_equal(plain, own)


def _rockpool(tau_mem, tau_syn, dt, count=8):
    """A file of Rockpool, by its exporter's formula (rockpool 3.1.0, nn/modules/torch/nir.py)."""
    weight = np.random.default_rng(0).normal(0.05, 0.4, (count, 10)).astype(np.float32)

    def each(value):
        return np.full(count, value, np.float32)

    lif = nir.CubaLIF(
        tau_syn=each(tau_syn),
        tau_mem=each(tau_mem),
        r=each(tau_mem * np.exp(-dt / tau_mem) / dt),
        v_leak=each(0),
        v_threshold=each(1),
    )
    nodes = {"input": nir.Input(np.array([10])), "fc": nir.Linear(weight), "lif": lif}
    nodes["output"] = nir.Output(np.array([count]))
    edges = [("input", "fc"), ("fc", "lif"), ("lif", "output")]
    return nir.NIRGraph(nodes, edges, metadata={}, type_check=False), weight


def _rockpools_own_run(weight, spikes, tau_mem, tau_syn, dt):
    """LIFTorch.forward's loop, in float64 (rockpool 3.1.0, lif_torch.py)."""
    v = i = np.zeros((spikes.shape[1], len(weight)))
    alpha, beta, out = np.exp(-dt / tau_mem), np.exp(-dt / tau_syn), []
    for frame in spikes:
        i = beta * (i + frame @ weight.T.astype(np.float64))
        v = alpha * v + i
        out.append(np.where(v >= 1, np.floor(v), 0))
        v = v - out[-1]
    return np.stack(out)


@pytest.mark.parametrize("dt", [1e-3, 2.5e-4])
def test_rockpools_step_is_in_its_r_and_its_reset_cannot_be_had(dt):
    graph, weight = _rockpool(12e-3, 4e-3, dt)
    spikes = drive((10,))
    own = _rockpools_own_run(weight, spikes, 12e-3, 4e-3, dt)
    reference = reference_run(graph, spikes, writer="rockpool")
    assert reference.step.seconds == pytest.approx(dt, rel=1e-5)
    assert own.max() > 1
    assert (reference.spikes[0] != own).mean() <= 0.002
    with pytest.raises(NetworkRefused, match=r"Rockpool 3\.1\.0's neurons reset by subtraction"):
        from_nir(graph, writer="rockpool")
    net = from_nir(graph, writer="rockpool", approximate=True, calibration=spikes)
    assert "subtraction" in net.meta["approximate"][0]["approximated"][0]
    assert net.layers[0].neuron.alpha == pytest.approx(np.exp(-dt / 4e-3), rel=1e-5)


def test_spyx_takes_inputs_whole_and_subtracts():
    """spyx 1.0.0, nir.py: tau = dt / (1 - beta), r = beta; nn.py: V = beta V + x - s threshold."""
    beta = 0.8
    weight = np.random.default_rng(0).normal(0.1, 0.5, (8, 10)).astype(np.float32)

    def each(value):
        return np.full(8, value, np.float32)

    lif = nir.LIF(each(1 / (1 - beta)), each(beta), each(0), each(1), each(0))
    nodes = {"input": nir.Input(np.array([10])), "fc": nir.Linear(weight), "lif": lif}
    nodes["output"] = nir.Output(np.array([8]))
    edges = [("input", "fc"), ("fc", "lif"), ("lif", "output")]
    graph = nir.NIRGraph(nodes, edges, metadata={}, type_check=False)
    spikes = drive((10,))
    v, out = np.zeros((3, 8)), []
    for frame in spikes:
        fired = v > 1
        v = beta * v + frame @ weight.T.astype(np.float64) - fired
        out.append(fired)
    reference = reference_run(graph, spikes, writer="spyx").spikes[0]
    # Its spikes come one step late, and its reset with the next input: equal up to the first.
    first, theirs = reference.argmax(0), np.stack(out)[1:].argmax(0)
    assert np.array_equal(first, theirs)
    assert len(np.unique(first)) > 4
    with pytest.raises(NetworkRefused, match=r"Spyx 1\.0\.0's neurons reset by subtraction"):
        from_nir(graph, writer="spyx")


def test_what_sinabs_does_by_default_is_not_in_its_file():
    """Several spikes a step and reset by subtraction: listed as assumed, and wrong if so."""
    if missing("sinabs"):
        pytest.skip(WHERE)
    import sinabs.layers as sl

    module, spikes = dense(sl.IAFSqueeze(batch_size=3)), drive((10,))
    own = RUN["sinabs"](module, spikes)
    net = from_nir(export("sinabs", module, (10,)), writer="sinabs")
    assert own.max() > 1
    assert (run_float(Model(floating=net), spikes).spikes[0] != own).mean() > 0.05
    said = [note["what"] for note in net.meta["assumed"]]
    assert any(what.startswith("the reset of") for what in said)
    assert "spikes of a neuron in one step: at most one" in said

"""NIR's data files in and out: against the package nir, and as a stranger may write them."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import to_netx
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.nirdata import read_input, read_layer_nodes, read_nodes
from sdcl_neuro.network.spike_file import read_spikes, write_spikes
from sdcl_neuro.testing import random_network, random_spikes

DT = 1e-3


def file_of(path: Path, **nodes: object) -> Path:
    """A file that the package nir writes, one observable a node."""
    content = {
        name: nir.NIRNodeData({"spikes": value} if not isinstance(value, dict) else value)
        for name, value in nodes.items()
    }
    nir.write_data(path, nir.NIRGraphData(content))
    return path


def flat(spikes: np.ndarray) -> np.ndarray:
    """``[T, B, ...]`` as NIR has it, bool ``[B, T, N]``."""
    return spikes.reshape(*spikes.shape[:2], -1).swapaxes(0, 1).astype(bool)


@pytest.mark.parametrize("kind", ["conv", "dense"])
def test_a_run_reads_and_writes_what_nir_reads_and_writes(tmp_path: Path, kind: str) -> None:
    net = random_network(5, kind=kind, layers=2)
    spikes = random_spikes(net, 5, steps=6, samples=2)
    to_netx(net, tmp_path / "m.net")
    source = file_of(tmp_path / "in.nirdata", input=nir.TimeGriddedData(flat(spikes), DT))
    out = tmp_path / "out.nirdata"
    shape = ",".join(map(str, net.input_shape))
    options = ["--input-shape", shape] if kind == "conv" else []
    command = ["run", str(tmp_path / "m.net"), "--spikes", str(source), "--out", str(out)]
    assert main([*command, *options]) == 0
    theirs = nir.read_data(out)
    expected = run_network(net, spikes)
    assert len(theirs.nodes) == len(net.layers)
    for index, layer in enumerate(net.layers):
        found = theirs.nodes[layer.name].observables["spikes"]
        assert found.dt == 1.0  # a .net states no step, and the run says so
        assert found.data.dtype == bool
        np.testing.assert_array_equal(found.data, flat(expected.spikes[index]))
    layers, given = read_layer_nodes(out)
    assert given is None
    for index, values in layers.items():
        np.testing.assert_array_equal(values, expected.spikes[index])
    certificate = tmp_path / "c.json"
    command = ["verify", str(tmp_path / "m.net"), "--spikes", str(source), "--recorded", str(out)]
    assert main([*command, "--no-cache", "--json", str(certificate), *options]) == 0
    pairs = json.loads(certificate.read_text())["pairs"]
    assert any("recorded" in pair["backends"] for pair in pairs)


def test_events_are_put_into_their_steps(tmp_path: Path) -> None:
    spikes = (np.random.default_rng(0).random((300, 2, 7)) < 0.2).astype(np.uint8)
    spikes[0, 0, 0] = 1
    grid = nir.TimeGriddedData(flat(spikes), DT)
    for shift in (0.0, 0.4 * DT):
        events = grid.to_event(2000, time_shift=shift)
        path = file_of(tmp_path / "e.nirdata", input=events)
        np.testing.assert_array_equal(read_input(path, step_s=DT), spikes)
    with pytest.raises(InputError, match=r"nothing states the length of a step; give a \.nir"):
        read_spikes(path)


def test_two_events_of_a_neuron_in_a_step_are_counted(tmp_path: Path) -> None:
    index, time = np.array([[1, 1, -1]]), np.array([[0.1e-3, 0.7e-3, np.inf]])
    path = file_of(tmp_path / "e.nirdata", input=nir.EventData(index, time, 3, 2e-3))
    assert read_input(path, step_s=DT).tolist() == [[[0, 2, 0]], [[0, 0, 0]]]
    valued = nir.ValuedEventData(index, time, 3, 2e-3, value=np.array([[4.0, 0.0, 0.0]]))
    path = file_of(tmp_path / "v.nirdata", only=valued)
    assert read_input(path, step_s=DT)[0, 0].tolist() == [0, 4, 0]


def test_counts_and_shapes_come_back(tmp_path: Path) -> None:
    counts = np.random.default_rng(1).integers(0, 9, (4, 2, 2, 3, 5)).astype(np.uint8)
    path = tmp_path / "in.nirdata"
    write_spikes(path, counts, step_s=DT)
    np.testing.assert_array_equal(read_spikes(path), counts)
    (node,) = read_nodes(path)
    assert (node.name, node.step_s, node.layer) == ("input", DT, None)
    with pytest.raises(InputError, match=r"a grid of 0.001 s for a network of 0.002 s a step"):
        read_input(path, step_s=2e-3)
    with pytest.raises(InputError, match=r"30 neurons for a network that takes \[2, 4\]"):
        read_input(path, shape=(2, 4))


def test_layers_are_known_by_name_or_refused(tmp_path: Path) -> None:
    grid = nir.TimeGriddedData(np.zeros((1, 3, 4), bool), DT)
    path = file_of(tmp_path / "o.nirdata", lif1=grid, input=grid, layer_1=grid)
    layers, given = read_layer_nodes(path, names=("lif1", "lif2"))
    assert sorted(layers) == [0, 1]
    assert given is not None
    with pytest.raises(InputError, match="node 'lif1' is not a layer of the network"):
        read_layer_nodes(path)
    path = file_of(tmp_path / "o.nirdata", lif1=grid, layer_0=grid)
    with pytest.raises(InputError, match="is layer 0 again"):
        read_layer_nodes(path, names=("lif1",))


def test_what_is_not_spikes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.nirdata"
    grid = nir.TimeGriddedData(np.full((1, 2, 3), 0.5), DT)
    with pytest.raises(InputError, match="not whole numbers"):
        read_spikes(file_of(path, input=grid))
    whole = nir.TimeGriddedData(np.zeros((1, 2, 3), bool), DT)
    with pytest.raises(InputError, match="no node 'input' among a, b"):
        read_spikes(file_of(path, a=whole, b=whole))
    with pytest.raises(InputError, match="observables u, v, none is 'spikes'"):
        read_spikes(file_of(path, input={"u": whole, "v": whole}))
    late = nir.EventData(np.array([[0]]), np.array([[5e-3]]), 3, 2e-3)
    with pytest.raises(InputError, match=r"an event of neuron 0 at 0\.005 s, outside of 3 neurons"):
        read_input(file_of(path, input=late), step_s=DT)
    huge = nir.EventData(np.array([[0]]), np.array([[0.0]]), 1 << 20, 1e3)
    with pytest.raises(InputError, match="neuron steps"):
        read_input(file_of(path, input=huge), step_s=DT)
    with h5py.File(path, "w") as file:
        file["nodes"] = 3
    with pytest.raises(InputError, match="holds no NIRGraphData"):
        read_spikes(path)
    path.write_bytes(b"no HDF5")
    with pytest.raises(InputError, match="not a readable HDF5 file"):
        read_spikes(path)
    with pytest.raises(InputError, match="no such file"):
        read_spikes(tmp_path / "absent.nirdata")

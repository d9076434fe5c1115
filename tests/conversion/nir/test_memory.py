"""Graphs in memory, of whatever their values are made: read, or refused by our own error."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from torch import nn

from sdcl_neuro.conversion import from_nir
from sdcl_neuro.errors import InputError


def graph(weight, each=lambda value: torch.full((2,), value)):
    lif = nir.LIF(*(each(value) for value in (0.01, 1.0, 0.0, 1.0, 0.0)))
    nodes = {
        "input": nir.Input(np.array([2])),
        "fc": _linear(weight),
        "lif": lif,
        "output": nir.Output(np.array([2])),
    }
    edges = [("input", "fc"), ("fc", "lif"), ("lif", "output")]
    return nir.NIRGraph(nodes, edges, metadata={}, type_check=False)


def _linear(weight):
    node = nir.Linear(np.ones((2, 2), np.float32))
    node.weight = weight
    return node


ONES = torch.tensor([[0.5, 1.0], [2.0, -1.0]])
READ = {
    "array": ONES.numpy(),
    "tensor": ONES,
    "parameter": nn.Parameter(ONES),
    "part of a graph": nn.Parameter(ONES) * 1.0,
    "double": ONES.double(),
    "half": ONES.half(),
    "bfloat16": ONES.bfloat16(),
    "not contiguous": ONES.T.contiguous().T,
    "lists": ONES.tolist(),
}


@pytest.mark.parametrize("kind", READ)
def test_values_that_are_read(kind):
    net = from_nir(graph(READ[kind]), dt=1e-3)
    np.testing.assert_allclose(net.layers[0].weight, 0.1 * ONES, rtol=1e-6)
    assert net.layers[0].neuron.beta == pytest.approx(0.9)


@pytest.mark.parametrize("kind", ["tensor", "parameter", "number"])
def test_constants_that_are_read(kind):
    made = {
        "tensor": lambda value: torch.full((2,), value),
        "parameter": lambda value: nn.Parameter(torch.full((2,), value)),
        "number": lambda value: np.float64(value),
    }[kind]
    assert from_nir(graph(ONES, made), dt=1e-3).layers[0].neuron.threshold == 1


REFUSED = {
    "module": nn.Linear(2, 2),
    "sparse": ONES.to_sparse(),
    "complex": ONES.to(torch.complex64),
    "without data": ONES.to("meta"),
    "objects": [[object(), 1], [2, 3]],
    "ragged": [[1.0], [2.0, 3.0]],
}


@pytest.mark.parametrize("kind", REFUSED)
def test_values_that_are_refused(kind):
    with pytest.raises(
        InputError, match=r"node fc \(Linear\): weight: a .* plain numbers"
    ) as caught:
        from_nir(graph(REFUSED[kind]), dt=1e-3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (
            nn.Linear(2, 2),
            "node fc: expected a NIR node, got torch.nn.modules.linear.Linear; export",
        ),
        (None, "node fc: expected a NIR node, got builtins.NoneType"),
        ("Linear", "node fc: expected a NIR node, got builtins.str"),
    ],
)
def test_nodes_that_are_none(node, said):
    made = graph(ONES)
    made.nodes["fc"] = node
    with pytest.raises(InputError, match=said):
        from_nir(made, dt=1e-3)


@pytest.mark.parametrize("thing", [None, 3, {"nodes": {}}, nn.Linear(1, 1), np.ones(3)])
def test_what_is_no_graph(thing):
    with pytest.raises(InputError, match=r"expected the path of a \.nir file or a nir\.NIRGraph"):
        from_nir(thing)


def test_nodes_in_a_list():
    made = graph(ONES)
    made.nodes = list(made.nodes.values())
    with pytest.raises(InputError, match="its nodes are a list, not a dictionary"):
        from_nir(made, dt=1e-3)


def test_a_graph_that_contains_itself():
    made = graph(ONES)
    made.nodes["fc"] = made
    with pytest.raises(InputError, match="nest deeper than"):
        from_nir(made, dt=1e-3)


def test_tensors_do_not_change_and_keep_their_gradients():
    parameter = nn.Parameter(ONES.clone())
    made = graph(parameter)
    from_nir(made, dt=1e-3)
    assert made.nodes["fc"].weight is parameter
    assert parameter.requires_grad

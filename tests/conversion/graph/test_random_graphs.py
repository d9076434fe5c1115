"""Random graphs, laid out as chains: every spike and every read-out is the graph's own."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import graph_oracle
from helpers.random_graphs import random_graph
from sdcl_neuro import conversion, run
from sdcl_neuro.errors import NetworkRefused

REFUSED = ("decays slowly", "takes the maximum of a sum", "no weight exponent", "add up to")
"""What a random graph may be refused for: everything else has to be laid out."""


def compare(seed, backend="loihi"):
    """Spikes compared, in words; None where the graph is refused for a known reason."""
    graph, given = random_graph(seed)
    if not graph.outputs:
        return None
    try:
        chip = conversion.quantize(graph, check=False)
    except NetworkRefused as error:
        if any(word in str(error) for word in REFUSED):
            return None
        raise
    record = run(chip, given, backend=backend)
    spikes, membranes = graph_oracle.run(graph, given)
    for index, node in enumerate(graph.populations):
        np.testing.assert_array_equal(record.spikes[index], spikes[node.name], err_msg=node.name)
    for index, node in enumerate(graph.readouts):
        np.testing.assert_array_equal(record.readouts[index], membranes[node.name])
    assert sum(record.saturations.values()) == 0
    return sum(int(s.sum()) for s in spikes.values()), len(chip.layers), len(graph.readouts)


def check(seeds, backend="loihi"):
    found = [found for seed in seeds if (found := compare(seed, backend)) is not None]
    assert len(found) > 0.85 * len(seeds)
    spikes, layers, readouts = (sum(each[k] for each in found) for k in range(3))
    assert spikes > 40 * len(found)
    assert layers > 3 * len(found)
    assert readouts > 0.1 * len(found)


def test_dozens():
    check(range(40))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand():
    check(range(1000))


@pytest.mark.lava
def test_a_few_in_lava():
    """Four graphs, two of them with read-outs."""
    check((0, 2, 5, 11), backend="lava")


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_forty_in_lava():
    check(range(2000, 2046), backend="lava")

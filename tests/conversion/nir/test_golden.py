"""What becomes of each NIR graph, in a golden file; each exact one is proved.

Graphs by hand are proved against the float64 reference in every layer, those of a library against
the library's own run. After a change that is meant, SDCL_NEURO_OVERWRITE=1 writes the file again:
read its difference.
"""

from __future__ import annotations

import json
import os
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from helpers.nir_golden_graphs import golden_cases
from helpers.nir_peers import RUN, drive, export, missing
from helpers.nir_writers import CASES, MODULES
from sdcl_neuro import run
from sdcl_neuro.conversion import from_nir
from sdcl_neuro.conversion.backends.snntorch_run import run_float
from sdcl_neuro.conversion.lowering.graph.nodes import FloatGraph
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.conversion.sources.nir.reference import reference_run
from sdcl_neuro.errors import InputError, NetworkRefused

GOLDEN = Path(__file__).parent / "golden" / "outcomes.json"
LIBRARIES = [(writer, name) for writer, names in CASES.items() for name in names]


@cache
def cases():
    return golden_cases()


def outcome(source, options, spikes):
    """What reading gives, as plain JSON, and the network if it is exact."""
    try:
        net = from_nir(source, **options)
    except NetworkRefused as refused:
        return _refused(source, options, spikes, refused), None
    except InputError as error:
        return {"outcome": "refused", "reasons": [error.what]}, None
    step = net.meta["dt_s"]
    found = {"outcome": "exact", "step_s": None if step is None else float(f"{step:.6g}")}
    if isinstance(net, FloatGraph):
        found["populations"] = [node.name for node in net.populations]
        found["readouts"] = [node.name for node in net.readouts]
        return found, net
    return found | {"layers": [layer.kind for layer in net.layers]}, net


def _refused(source, options, spikes, refused):
    reasons = [f"{reason.where}: {reason.what}" for reason in refused.refusals]
    try:
        net = from_nir(source, **options, approximate=True, calibration=spikes)
    except InputError:
        return {"outcome": "refused", "reasons": reasons}
    what = [words for note in net.meta["approximate"] for words in note["approximated"]]
    return {"outcome": "approximate", "reasons": reasons, "approximated": what}


def by_hand(name):
    case = cases()[name]
    return case, drive(case.shape, steps=20)


def written():
    return json.loads(GOLDEN.read_text("utf-8"))


@pytest.fixture(scope="module", autouse=True)
def _overwritten():
    """Write the file again if that is asked for; graphs of libraries that are absent stay."""
    if os.environ.get("SDCL_NEURO_OVERWRITE") != "1":
        return
    found = written()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in cases():
            case, spikes = by_hand(name)
            found[name] = outcome(case.graph, case.options, spikes)[0]
        for writer, name in LIBRARIES:
            library = writer.split("-")[0]
            if not missing(library):
                graph = export(library, MODULES[writer]()[name], (10,))
                found[f"{writer}: {name}"] = outcome(graph, {"writer": writer}, drive((10,)))[0]
    GOLDEN.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")


@pytest.mark.parametrize("name", cases())
def test_a_graph_by_hand(name):
    case, spikes = by_hand(name)
    found, net = outcome(case.graph, case.options, spikes)
    assert found == written()[name]
    if net is None:
        return
    if isinstance(net, FloatGraph):
        expect_same_graph(case, net, spikes)
        return
    ours = run_float(Model(floating=net), spikes).spikes
    theirs = reference_run(case.graph, spikes, **case.options).spikes
    assert len(theirs) == len(ours)
    for index, own in ours.items():
        assert (own != theirs[index].reshape(own.shape)).mean() <= 0.002
    silent = {"tau infinite, r finite"}
    assert (ours[0].sum() > 0) == (name not in silent)


def expect_same_graph(case, net, spikes):
    """Spikes of every population, and the membranes that are read out."""
    given = spikes
    if len(net.inputs) > 1:
        given = {
            node.name: drive(node.shape, seed=k, steps=20) for k, node in enumerate(net.inputs)
        }
    ours, theirs = (
        run(net, given, backend="snntorch"),
        reference_run(case.graph, given, **case.options),
    )
    named = dict(zip(theirs.names, theirs.spikes, strict=True))
    assert sorted(named) == sorted(node.name for node in net.populations)
    for index, node in enumerate(net.populations):
        own = ours.spikes[index]
        assert own.sum() > 0
        assert (own != named[node.name].reshape(own.shape)).mean() <= 0.002
    if net.readouts:
        (read,) = ours.readouts.values()
        (sent,) = theirs.outputs.values()
        np.testing.assert_allclose(np.asarray(read).reshape(sent.shape), sent, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("writer", "name"), LIBRARIES)
def test_a_librarys_graph(writer, name):
    library = writer.split("-")[0]
    if missing(library):
        pytest.skip("tests/conversion/nir/peers.txt says how to install it")
    module, spikes = MODULES[writer]()[name], drive((10,))
    own = RUN[library](module, spikes)
    found, net = outcome(export(library, module, (10,)), {"writer": writer}, spikes)
    assert found == written()[f"{writer}: {name}"]
    assert net is not None
    ours = run_float(Model(floating=net), spikes).spikes[len(net.layers) - 1]
    assert (ours != own.reshape(ours.shape)).mean() <= 0.002


@pytest.mark.generated
def test_the_golden_file_has_every_graph_and_a_hundred():
    names = [*cases(), *(f"{writer}: {name}" for writer, name in LIBRARIES)]
    assert sorted(written()) == sorted(names)
    assert len(names) >= 100
    outcomes = [each["outcome"] for each in written().values()]
    assert min(outcomes.count(kind) for kind in ("exact", "approximate", "refused")) >= 3
    assert outcomes.count("exact") > 60

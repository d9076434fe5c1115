"""A NIR file run by its own words is the first link of what is made of it."""

from __future__ import annotations

import json
from pathlib import Path

import nir
import numpy as np
import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import from_nir, quantize, to_netx
from sdcl_neuro.conversion.parity.verify import verify
from sdcl_neuro.conversion.sources.nir.reference import reference_run
from sdcl_neuro.network.spike_file import write_spikes

STEP = 1e-3


@pytest.fixture
def spikes():
    return (np.random.default_rng(3).random((20, 3, 8)) < 0.4).astype(np.uint8)


def graph(*, v_reset=0.0, more=()):
    def each(value):
        return np.full(6, value, np.float32)

    weight = np.random.default_rng(0).normal(0.4, 1, (6, 8)).astype(np.float32)
    lif = nir.LIF(each(5e-3), each(1.0), each(0.0), each(0.3), each(v_reset))
    nodes = {
        "input": nir.Input(np.array([8])),
        "fc": nir.Affine(weight, each(0.1)),
        "lif": lif,
        "output": nir.Output(np.array([6])),
    }
    edges = list(zip(nodes, list(nodes)[1:], strict=False))
    for name, node, links in more:
        nodes[name] = node
        edges += links
    return nir.NIRGraph(nodes, edges, metadata={}, type_check=False)


@pytest.fixture
def file(tmp_path):
    nir.write(str(tmp_path / "g.nir"), graph())
    return tmp_path / "g.nir"


def test_reading_compares_on_the_spikes_given(file, spikes):
    net = from_nir(file, dt=STEP, spikes=spikes)
    (check,) = net.meta["source_checks"]
    expected = int(reference_run(file, spikes, dt=STEP).spikes[0].sum())
    assert check["pair"]["layers"][0]["spikes"] == {"nir g.nir": expected, "description": expected}
    assert check["pair"]["spikes"]["total"] == int(spikes.sum())
    assert expected > 20
    assert "source_checks" not in from_nir(file, dt=STEP, compare=False).meta


def test_reading_without_spikes_says_on_which(file):
    (check,) = from_nir(file, dt=STEP).meta["source_checks"]
    assert check["pair"]["spikes"]["source"] == "random, rate 0.3, seed 0"
    assert check["pair"]["holds"] is True


def test_python_and_the_command_give_the_file_its_source(file, spikes, tmp_path, capsys):
    to_netx(quantize(from_nir(file, dt=STEP, spikes=spikes)), tmp_path / "a.net")
    given = str(tmp_path / "in.npz")
    write_spikes(given, spikes)
    out = str(tmp_path / "b.net")
    assert main(["convert", str(file), out, "--dt", "1e-3", "--calibrate", given]) == 0
    assert "source   nir g.nir and description: equal, 0 of 360 neuron" in capsys.readouterr().out
    account = json.loads(Path(f"{out}.json").read_text())
    assert account["source"][0]["holds"] is True
    assert account["not_checked"] == []
    for path in (tmp_path / "a.net", out):
        certificate = verify(path, spikes=spikes, against=["snntorch-int"], cache=False)
        assert certificate.pairs[0].backends == ("nir g.nir", "description")
        assert certificate.pairs[0].spikes["sha256"] == certificate.spikes["sha256"]
        assert certificate.complete


def test_a_file_is_run_again_on_the_certificates_input(file, spikes):
    options = {"against": ["norse"], "cache": False, "dt": STEP}
    certificate = verify(file, spikes=spikes, **options)
    first = certificate.pairs[0]
    assert first.backends == ("nir g.nir", "description")
    assert first.spikes["sha256"] == certificate.spikes["sha256"]


def test_a_wrong_description_breaks_the_certificate(file, spikes, monkeypatch):
    """As a reader would that forgot a bias: the first link, and nothing else, shows it."""
    from dataclasses import replace

    from sdcl_neuro.conversion.sources.nir import graph as reading

    real = reading._read

    def forgetful(*arguments, **options):
        net = real(*arguments, **options)
        return replace(net, layers=(replace(net.layers[0], bias=None),))

    monkeypatch.setattr(reading, "_read", forgetful)
    certificate = verify(file, spikes=spikes, against=["norse"], cache=False, dt=STEP)
    assert certificate.exit_code == 1
    first, second = certificate.pairs
    assert first.holds is False
    assert "DIFFERENT beyond rounding" in first.verdict
    assert second.holds is True


def test_what_is_approximated_is_a_figure_and_noted(spikes, tmp_path):
    nir.write(str(tmp_path / "r.nir"), graph(v_reset=-0.2))
    net = from_nir(tmp_path / "r.nir", dt=STEP, approximate=True, calibration=spikes)
    (check,) = net.meta["source_checks"]
    assert check["pair"]["kind"] == "agreement"
    assert check["pair"]["holds"] is None
    (note,) = net.meta["not_checked"]
    assert "approximated on request" in note["reason"]


def test_a_graph_that_is_no_chain_is_compared_by_name(spikes):
    skip = nir.Affine(np.ones((6, 8), np.float32) * 0.1, np.zeros(6, np.float32))
    more = [("skip", skip, [("input", "skip"), ("skip", "lif")])]
    net = from_nir(graph(more=more), dt=STEP, spikes=spikes)
    (check,) = net.meta["source_checks"]
    assert check["source"] == "nir graph in memory"
    assert check["pair"]["holds"] is True
    chip = quantize(net, calibration=spikes)
    certificate = verify(chip, spikes=spikes, against=["snntorch-int"], cache=False)
    assert certificate.pairs[0].backends[0] == "nir graph in memory"

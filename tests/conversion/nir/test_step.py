"""A step is stated or given, never assumed; what is assumed otherwise is listed."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest

from sdcl_neuro import run, verify
from sdcl_neuro.cli import main
from sdcl_neuro.conversion import from_netx, from_nir, to_nir
from sdcl_neuro.conversion.difference import difference
from sdcl_neuro.conversion.model_reading import load
from sdcl_neuro.conversion.sources.nir.tables import readers_table, writers_table
from sdcl_neuro.conversion.sources.nir.writers import WRITERS
from sdcl_neuro.conversion.targets.nir.forms import FORMS
from sdcl_neuro.errors import InputError, NetworkRefused
from sdcl_neuro.network.spike_file import read_spikes, write_spikes

SPIKES_OF_THE_PAPER = [6, 15, 4, 3, 0, 2, 1, 2, 0, 1, *[0] * 10, 13, *[0] * 11, 5, 0]
"""NIR's first experiment: steps of 1 ms without a spike before each one; made for .1 ms a step."""


def values(value, count=1):
    return np.full(count, value, np.float32)


def lif(tau=2.5e-3, *, r=1.0, leak=0.0, threshold=0.1, reset=0.0, count=1):
    return nir.LIF(*(values(v, count) for v in (tau, r, leak, threshold, reset)))


def integrator(r, count=1):
    return nir.IF(values(r, count), values(1.0, count), values(0.0, count))


def graph(neurons, *, weight=((1.0,),), metadata=None):
    weight = np.array(weight, np.float32)
    nodes = {
        "input": nir.Input(np.array([weight.shape[1]])),
        "fc": nir.Affine(weight, np.zeros(len(weight), np.float32)),
        "neurons": neurons,
        "output": nir.Output(np.array([len(weight)])),
    }
    edges = list(zip(nodes, list(nodes)[1:], strict=False))
    return nir.NIRGraph(nodes, edges, metadata=metadata or {}, type_check=False)


@pytest.fixture
def paper(tmp_path):
    """The file and its input, ten steps of .1 ms for each of 1 ms."""
    train = np.zeros((1000, 1, 1), np.uint8)
    train[10 * (np.cumsum(np.array(SPIKES_OF_THE_PAPER) + 1) - 1)] = 1
    write_spikes(tmp_path / "in.npz", train)
    nir.write(tmp_path / "lif.nir", graph(lif()))
    return tmp_path / "lif.nir"


def arguments(verb, paper, out):
    """A verb on the paper's file, without its step."""
    spikes = ["--spikes", str(paper.parent / "in.npz")]
    return {
        "convert": ["convert", str(paper), str(out / "lif.net")],
        "diff": ["convert", "--diff", str(paper), str(paper)],
        "run": ["run", str(paper), *spikes, "--out", str(out / "out.npz"), "--backend", "norse"],
        "verify": ["verify", str(paper), *spikes, "--against", "norse", "--no-cache"],
        "profile": ["profile", str(paper), *spikes],
        "hw": ["hw", "fit", str(paper), "loihi2"],
    }[verb]


@pytest.mark.parametrize("verb", ["convert", "diff", "run", "verify", "profile", "hw"])
def test_every_verb_asks_for_the_step_in_one_line(verb, paper, tmp_path, capsys):
    assert main(arguments(verb, paper, tmp_path)) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    said = lines[-1]
    assert sum("states no step" in line for line in lines) == 1
    assert "keeps 0.96 in a step of 0.0001 s and 0.6 in a step of 0.001 s" in said
    assert "give --dt SECONDS, or --writer snntorch|norse|spikingjelly|sinabs|" in said
    assert not (tmp_path / "lif.net").exists()
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize("verb", ["convert", "diff", "run", "verify", "hw"])
def test_every_verb_takes_the_step(verb, paper, tmp_path, capsys):
    assert main([*arguments(verb, paper, tmp_path), "--dt", "1e-4"]) == 0
    shown = capsys.readouterr()
    assert verb == "diff" or "0.0001 s (given)" in shown.out
    assert verb == "diff" or "no writer was named" in shown.out


def test_what_needs_integers_takes_the_step_too(paper, tmp_path, capsys):
    """The file has no scales; that is the next thing said, and not the step again."""
    profiled = arguments("profile", paper, tmp_path)
    assert main([*profiled, "--writer", "nir", "--dt", "1e-4"]) == 2
    assert "no chip integers" in capsys.readouterr().err


def test_niras_first_lif_fires_four_times(paper, tmp_path):
    spikes = read_spikes(tmp_path / "in.npz")
    assert int(spikes.sum()) == 34
    assert main(["convert", str(paper), str(tmp_path / "lif.net"), "--dt", "1e-4"]) == 0
    assert int(run(tmp_path / "lif.net", spikes).spikes[0].sum()) == 4
    assert int(run(paper, spikes, backend="snntorch", dt=1e-4).spikes[0].sum()) == 4
    wrong = run(paper, spikes, backend="snntorch", dt=1e-3).spikes[0]
    assert int(wrong.sum()) == 34


def test_the_step_goes_along(paper, tmp_path, capsys):
    """Terminal, OUT.json, the .net's metadata, certificate, run's JSON."""
    out = tmp_path / "lif.net"
    assert main(["convert", str(paper), str(out), "--dt", "1e-4", "--quiet"]) == 0
    assert "step     0.0001 s (given)" in capsys.readouterr().out
    account = json.loads((tmp_path / "lif.net.json").read_text())
    assert account["step"] == {"seconds": 1e-4, "source": "given"}
    assert [entry["reason"] for entry in account["assumed"]] == ["no writer was named"]
    assert from_netx(out).meta["dt_s"] == 1e-4
    assert load(out).step.seconds == 1e-4
    spikes = ["--spikes", str(tmp_path / "in.npz")]
    certificate = tmp_path / "c.json"
    more = ["--against", "snntorch-int", "--no-cache", "--json", str(certificate)]
    assert main(["verify", str(out), *spikes, *more]) == 0
    assert "step    0.0001 s (given)" in capsys.readouterr().out
    model = json.loads(certificate.read_text())["model"]
    assert model["step"] == {"seconds": 1e-4, "source": "given"}
    ran = ["--out", str(tmp_path / "o.npz"), "--json", str(tmp_path / "r.json")]
    assert main(["run", str(out), *spikes, *ran]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["step"]["seconds"] == 1e-4


def test_python_takes_the_step(paper, tmp_path):
    spikes = read_spikes(tmp_path / "in.npz")
    certificate = verify(paper, spikes=spikes, against=["norse"], cache=False, dt=1e-4)
    assert certificate.holds
    assert certificate.model["step"]["seconds"] == 1e-4
    assert load(paper, dt=1e-4).floating.layers[0].neuron.beta == pytest.approx(0.96)
    for call in (run, verify):
        with pytest.raises(NetworkRefused, match="give dt=SECONDS, or writer= one of snntorch"):
            call(paper, spikes=spikes) if call is verify else call(paper, spikes)
    assert difference(paper, paper, dt=1e-4).same
    assert run(graph(lif()), spikes, backend="snntorch", dt=1e-4).spikes[0].sum() == 4


def test_one_step_for_two_files_goes_where_it_is_needed(paper, tmp_path):
    own = tmp_path / "own.nir"
    to_nir(from_nir(paper, dt=1e-4), own, dt=1e-3)
    assert difference(paper, own, dt=1e-4).same
    with pytest.raises(
        InputError, match=r"a step of 0\.0001 s for a file of ours that states 0\.001"
    ):
        difference(own, own, dt=1e-4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dt": 0}, "the step that was given is 0 s; give a positive"),
        ({"dt": -1e-3}, "positive"),
        ({"dt": float("nan")}, "positive"),
        ({"dt": "1e-3"}, "give a time in seconds"),
        ({"dt": True}, "give a time in seconds"),
        ({"writer": "tensorflow"}, "unknown writer 'tensorflow'; use one of nir, snntorch"),
        ({"writer": "snntorch", "dt": 1e-3}, "always writes for 0.0001 s"),
        ({"writer": "nir"}, "states no step"),
    ],
)
def test_steps_that_are_none(options, said):
    with pytest.raises(InputError, match=said):
        from_nir(graph(lif()), **options)


@pytest.mark.parametrize("stored", [0.0, -1.0, np.nan, "soon"])
def test_a_stated_step_that_is_none(stored):
    with pytest.raises(InputError, match=r"the step in the file's metadata is .* s; give"):
        from_nir(graph(lif(), metadata={"dt": stored}))


def test_a_given_step_is_named_beside_the_one_in_the_file():
    net = from_nir(graph(lif(), metadata={"dt": 1e-3}), dt=1e-4)
    assert net.meta["dt_source"] == "given (its metadata states 0.001 s)"
    assert from_nir(graph(lif(), metadata={"dt": 1e-3})).meta["dt_s"] == 1e-3


def test_a_step_for_what_is_no_nir(tmp_path, paper, capsys):
    main(["convert", str(paper), str(tmp_path / "m.net"), "--dt", "1e-4"])
    spikes = ["--spikes", str(tmp_path / "in.npz"), "--out", str(tmp_path / "o.npz")]
    capsys.readouterr()
    assert main(["run", str(tmp_path / "m.net"), *spikes, "--dt", "1e-4"]) == 2
    assert "--dt for a model that is not a .nir file; leave it out" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        main(["run", str(paper), *spikes, "--dt", "soon"])
    assert left.value.code == 2
    with pytest.raises(InputError, match="writer for a model that is not"):
        load(tmp_path / "m.net", writer="norse")


def test_own_files_take_neither(tmp_path):
    to_nir(from_nir(graph(lif()), dt=1e-4), tmp_path / "own.nir")
    net = from_nir(tmp_path / "own.nir")
    assert (net.meta["dt_s"], net.meta["dt_source"]) == (1e-4, "stated by the file's metadata")
    assert from_nir(tmp_path / "own.nir", dt=1e-4).meta["dt_s"] == 1e-4
    with pytest.raises(InputError, match="not by norse; leave writer out"):
        from_nir(tmp_path / "own.nir", writer="norse")


@pytest.mark.parametrize(("r", "whole"), [(1.0, True), (1e3, True), (1e4, True), (7.0, False)])
def test_integrators_need_no_step_unless_their_gain_does(r, whole):
    found = graph(integrator(r), weight=[[0.4]])
    if not whole:
        with pytest.raises(NetworkRefused, match=r"counts 0\.0007 times at 0\.0001 s and 0\.007"):
            from_nir(found)
        assert from_nir(found, dt=0.5).layers[0].weight == pytest.approx(1.4)
        return
    net = from_nir(found)
    assert net.layers[0].weight == pytest.approx(0.4)
    assert net.meta["dt_s"] is None
    assert net.meta["dt_source"].startswith("none needed")
    assert any("counted whole" in note["what"] for note in net.meta["assumed"])


def test_an_integrator_beside_a_leaky_one_needs_the_step():
    nodes = graph(integrator(1.0)).nodes | {"fc2": nir.Linear(np.ones((1, 1))), "lif": lif()}
    order = ["input", "fc", "neurons", "fc2", "lif", "output"]
    made = nir.NIRGraph(nodes, list(pairwise(order)), {}, type_check=False)
    with pytest.raises(NetworkRefused, match="states no step"):
        from_nir(made)


def notes(net):
    return [f"{note['what']}: {note['reason']}" for note in net.meta.get("assumed", ())]


def test_every_default_is_listed():
    neurons = lif(1e-2, leak=0.2, reset=0.2, threshold=1.0)
    found = graph(neurons)
    found.nodes["fc"] = nir.Linear(np.ones((1, 1), np.float32))
    found.nodes["input"] = nir.Input(np.array([1, 1]))
    said = " | ".join(notes(from_nir(found, dt=1e-3)))
    for words in (
        "NIR's own words",
        "where the membranes of neurons start: v_leak, which is v_reset",
        "the bias of fc: 0: the file states none",
        "node input (Input): its first axis is the batch",
    ):
        assert words in said
    neurons.v_reset = None
    neurons.v_leak = values(0.0)
    assert "v_reset of neurons: 0: the file states none" in notes(from_nir(found, dt=1e-3))


@pytest.mark.parametrize(
    ("writer", "said"),
    [
        ("snntorch", "the reset of neurons: to zero: snnTorch 1.0.0 writes v_reset = 0 whatever"),
        ("sinabs", "spikes of a neuron in one step: at most one: Sinabs 3.1.3 does not write"),
        ("norse", "the step: 0.001 s: the default of norse.torch.utils.export_nir.to_nir"),
        ("spikingjelly", "the step: 0.0001 s: the default of spikingjelly"),
    ],
)
def test_what_a_writer_leaves_out_is_listed(writer, said):
    r = 25.0 if writer == "snntorch" else 1.0
    tau = 4.0 if writer == "sinabs" else 2.5e-3
    assert any(said in note for note in notes(from_nir(graph(lif(tau, r=r)), writer=writer)))


def test_nothing_is_assumed_of_a_file_of_ours(tmp_path):
    net = from_nir(graph(lif(r=25.0)), writer="spikingjelly", dt=1e-4)
    assert notes(net) == []
    to_nir(net, tmp_path / "own.nir")
    assert notes(from_nir(tmp_path / "own.nir")) == []


@pytest.mark.parametrize(
    ("writer", "neurons", "said"),
    [
        ("snntorch", lif(r=1.0), r"r = tau / dt, as snnTorch 1.0.0 writes it, does not hold"),
        ("snntorch", integrator(1.0), "does not hold at a step of 0.0001 s"),
        ("spikingjelly", lif(r=2.5), r"its r would be that of a step of 0\.001 s"),
        ("spikingjelly", integrator(1e3), r"its r would be that of a step of 0\.001 s"),
        ("spikingjelly", lif(leak=0.5), "v_leak = v_reset"),
        ("norse", lif(r=25.0), "r = 1, as Norse 1.1.0 writes it"),
        ("sinabs", lif(r=25.0), "r = 1, as Sinabs 3.1.3 writes it"),
        ("spyx", lif(3.0), "r = 1 - dt / tau, as Spyx 1.0.0 writes it"),
        ("rockpool", lif(), "its r holds no one step, as a file of Rockpool 3.1.0 does"),
    ],
)
def test_a_file_that_cannot_be_of_the_writer_named_is_refused(writer, neurons, said):
    with pytest.raises(NetworkRefused, match=said):
        from_nir(graph(neurons), writer=writer)


def test_the_page_has_the_tables_of_writers_and_readers():
    """Written by ``python -m sdcl_neuro.conversion.sources.nir.tables``."""
    page = (Path(__file__).parents[3] / "docs" / "nir.md").read_text("utf-8")
    assert writers_table() in page
    assert readers_table() in page


def test_help_names_every_writer_and_reader(capsys):
    with pytest.raises(SystemExit):
        main(["convert", "--help"])
    said = re.sub(r"-\s+", "-", " ".join(capsys.readouterr().out.split()))  # wrapped at a hyphen
    for name in (*WRITERS, *FORMS):
        assert name in said, name

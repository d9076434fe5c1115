"""SANA-FE's times, energies and messages next to the model's: shown, stored, contained."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro import profile
from sdcl_neuro.cli import main
from sdcl_neuro.conversion import to_netx
from sdcl_neuro.conversion.backends.sanafe.simulated import simulated
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import write_spikes
from sdcl_neuro.profiling import profile as profile_network
from sdcl_neuro.profiling.simulated import SimulatedRun, SimulatedSample
from sdcl_neuro.snn.event_branch import COMPACT, PAPER
from sdcl_neuro.testing import random_spikes

from .conftest import branch, needs_sanafe, suited


def _expect_contained(net: IntNetwork, spikes: np.ndarray) -> None:
    found = profile(net, spikes, hw="loihi1", simulate="sanafe")
    side = found.simulated
    assert side is not None
    whole, latency = side.whole(), found.targets["loihi1"].latency.us
    assert latency is not None
    assert latency.low <= whole.time_us <= latency.high, (whole.time_us, latency)
    for figure in ("time", "energy"):
        held, of = side.contained(figure)
        assert held == of, (figure, whole)


@needs_sanafe
@pytest.mark.parametrize("seed", range(20))
def test_the_model_contains_it_on_random_networks(seed: int) -> None:
    net = suited(seed)
    rate = (0.05, 0.3, 0.6, 0.95)[seed % 4]
    _expect_contained(net, random_spikes(net, seed, steps=6, samples=1, rate=rate))


@needs_sanafe
@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3, 0.6, 0.9])
def test_the_model_contains_it_on_the_compact_branch(rate: float) -> None:
    net = branch(COMPACT, (64, 32))
    _expect_contained(net, random_spikes(net, 1, steps=4, samples=1, rate=rate))


@needs_sanafe
@pytest.mark.slow
def test_the_model_contains_it_on_the_papers_network() -> None:
    net = branch(PAPER, (128, 64))
    _expect_contained(net, random_spikes(net, 1, steps=3, samples=1, rate=0.05))


@needs_sanafe
def test_every_step_stands_in_terminal_json_csv_and_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = suited(4)
    to_netx(net, tmp_path / "m.net")
    spikes = random_spikes(net, 4, steps=5, samples=2)
    write_spikes(tmp_path / "in.npz", spikes)
    names = {"--json": "p.json", "--csv": "p.csv", "--html": "p.html"}
    outputs = [part for flag, name in names.items() for part in (flag, str(tmp_path / name))]
    command = ["profile", str(tmp_path / "m.net"), "--spikes", str(tmp_path / "in.npz")]
    assert main([*command, "--hw", "loihi1", "--simulate", "sanafe", *outputs]) == 0
    said = capsys.readouterr().out
    assert "and the model, step by step on loihi1, mean of 2 samples [modelled]" in said
    assert "time: contained in the model's interval in 2 of 2 samples" in said
    stored = json.loads((tmp_path / "p.json").read_text())["simulated"]
    theirs = simulated(net, spikes)
    steps = 5 + len(net.layers)
    for sample, own in zip(stored["samples"], theirs.samples, strict=True):
        assert sample["time_us"] == pytest.approx(own.time_us)
        assert sample["messages"] == list(own.messages)
        assert len(sample["modelled"]["time_us"]) == steps
        assert set(sample["energy_uj"]) == {"synapse", "dendrite", "soma", "network"}
        for inside, modelled in zip(
            own.messages[:5], sample["modelled"]["messages"][:5], strict=True
        ):
            assert modelled["low"] <= inside <= modelled["high"]
    with (tmp_path / "p.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["section"] == "simulated"]
    assert len(rows) == 2 * 3 * (steps + 1)
    page = (tmp_path / "p.html").read_text()
    assert "Simulated by SANA-FE" in page
    assert "Time of a sample by itself" in page


def test_what_cannot_be_simulated_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = suited(4)
    to_netx(net, tmp_path / "m.net")
    write_spikes(tmp_path / "in.npz", random_spikes(net, 4, steps=2, samples=1))
    command = ["profile", str(tmp_path / "m.net"), "--spikes", str(tmp_path / "in.npz")]
    assert main([*command, "--hw", "loihi2", "--simulate", "sanafe"]) == 2
    assert "add loihi1 to --hw" in capsys.readouterr().err
    assert main([*command, "--sanafe", "python3"]) == 2
    assert "--sanafe without --simulate" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"unknown simulator 'spice'.*use sanafe"):
        profile(net, random_spikes(net, 0), simulate="spice")


def test_a_simulation_of_other_samples_is_refused() -> None:
    net = suited(4)
    one = SimulatedSample((1.0,), {"soma": (1.0,)}, (1,), (0,), (1,))
    found = SimulatedRun("SANA-FE", "2", "loihi1", 1, (one,) * 3)
    with pytest.raises(InputError, match="no spikes of every layer to compare"):
        profile_network(net, random_spikes(net, 0), hw="loihi1", simulated=found)


def test_a_figure_outside_the_interval_is_said() -> None:
    net = suited(4)
    spikes = random_spikes(net, 0, steps=3, samples=1)
    steps = 3 + len(net.layers)
    one = SimulatedSample(
        (1e6,) * steps, {"soma": (1e-9,) * steps}, (0,) * steps, (0,) * steps, (0,) * steps
    )
    made = profile_network(
        net, spikes, hw="loihi1", simulated=SimulatedRun("X", "1", "loihi1", 1, (one,))
    )
    assert made.simulated is not None
    assert made.simulated.contained("time") == (0, 1)
    assert "time: NOT contained in the model's interval in 0 of 1 sample" in str(made)

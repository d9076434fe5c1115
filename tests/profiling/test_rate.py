"""Mean power at a rate: parts that add up, static power all the time, and who keeps up."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import to_netx
from sdcl_neuro.errors import InputError
from sdcl_neuro.hardware import list_profiles, load_profile
from sdcl_neuro.hardware.placement import fit
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.profiling import profile
from sdcl_neuro.profiling.energy import energy
from sdcl_neuro.profiling.interval import Interval
from sdcl_neuro.profiling.latency import latency
from sdcl_neuro.profiling.rate import Power, power, watts
from sdcl_neuro.profiling.workload import workload

Net = Callable[..., IntNetwork]
MakeRecord = Callable[..., Record]


def at(net: IntNetwork, record: Record, name: str, rate_hz: float) -> Power:
    found = profile(net, record=record, hw=name, rate_hz=rate_hz).targets[name].power
    assert found is not None
    return found


def test_static_power_is_drawn_all_the_time(make_net: Net, make_record: MakeRecord) -> None:
    """At one inference a second almost everything is idling: some 100 mW, and a few nanowatts."""
    found = at(make_net(), make_record(), "loihi1", 1)
    assert found.static_uw == Interval(96_000, 104_400)
    # Between a stream's four steps and a sample by itself, in pJ a second (see LOIHI1 in
    # test_energy_model); barriers leave the upper end open.
    assert found.dynamic_uw is not None
    assert found.dynamic_uw.low == pytest.approx(
        0.7 * (39 * 23.6 + 27 * 52 + 17 * 81 + 25.5) * 1e-6
    )
    assert math.isinf(found.dynamic_uw.high)
    assert found.busy is not None
    # Four steps of a stream: of Davies' 113 + 2.1 + 9 * 5.3 + 3.25 * 3.1 ns at the low end.
    assert found.busy.low == pytest.approx(4 * (113 + 2.1 + 47.7 + 10.075) * 1e-9)
    assert found.feasible is True
    entry = found.to_dict()
    assert entry["feasible_with_host"] is None
    assert "--host-us" in entry["host_reason"]


def test_a_chip_that_is_always_busy_spends_its_energy_an_inference(
    make_net: Net, make_record: MakeRecord
) -> None:
    """Where latency x rate is 1, power over rate is the energy with its static part."""
    net, record = make_net(), make_record()
    result = profile(net, record=record, hw="loihi2", step_us=2.0, rate_hz=1e6 / 8)
    target = result.targets["loihi2"]
    assert target.power is not None
    assert target.power.uw is not None
    assert target.stream is not None
    assert target.stream.uj is not None
    assert target.power.busy == Interval(1, 1)
    assert target.power.feasible is True
    assert target.power.to_dict()["feasible_with_host"] is True  # a stated step has the host in it
    assert target.power.uw.low / target.power.rate_hz == pytest.approx(target.stream.uj.low)
    # A sample by itself updates its neurons in more steps: that is the high end.
    assert target.power.uw.high / target.power.rate_hz > target.stream.uj.high


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    # The fixtures only hand out functions.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rate_hz=st.floats(1e-3, 1e7), factor=st.floats(1.0, 100.0))
def test_laws(make_net: Net, make_record: MakeRecord, rate_hz: float, factor: float) -> None:
    net, record = make_net(), make_record()
    hw = load_profile("loihi1")
    work, placed = workload(net, record), fit(net, hw)
    time = latency(work, hw, fit=placed)
    cost = energy(work, hw, time, fit=placed)
    slow = power(work, hw, cost, time, rate_hz=rate_hz, fit=placed)
    fast = power(work, hw, cost, time, rate_hz=rate_hz * factor, fit=placed)
    assert slow.static_uw == fast.static_uw
    assert slow.busy is not None
    assert slow.greatest_hz is not None
    assert fast.greatest_hz is not None
    assert fast.greatest_hz.low == pytest.approx(slow.greatest_hz.low)
    assert slow.feasible == (None if slow.busy.low <= 1 < slow.busy.high else slow.busy.high <= 1)
    if fast.uw is None:
        assert fast.feasible is False
        assert "at most" in fast.reasons["power"]
        return
    assert slow.uw is not None
    assert slow.dynamic_uw is not None
    assert fast.dynamic_uw is not None
    assert slow.static_uw is not None
    assert slow.uw.low == slow.dynamic_uw.low + slow.static_uw.low
    assert fast.dynamic_uw.high == pytest.approx(factor * slow.dynamic_uw.high)


@pytest.mark.parametrize(
    ("rate_hz", "feasible", "words"),
    [
        (1e4, True, "yes, the chip alone, busy"),
        (2e5, None, "open, the chip alone, busy"),
        (2e6, False, "no, the chip alone, busy"),
    ],
)
def test_who_keeps_up(
    make_net: Net, make_record: MakeRecord, rate_hz: float, feasible: bool | None, words: str
) -> None:
    found = at(make_net(), make_record(), "loihi1", rate_hz)
    assert found.feasible is feasible
    assert found.verdict().startswith(words)
    assert (found.uw is None) == (feasible is False)
    assert ("feasible_reason" in found.to_dict()) == (feasible is None)


def test_every_chip_of_a_placement_draws_static_power() -> None:
    layer = IntLayer(
        "wide", "conv", np.full((2, 1, 1, 1), 2, np.int32), IntNeuron(4096, 9, 9),
        (1, 250, 300), (2, 250, 300), convolution=Convolution(),
    )  # fmt: skip
    net = IntNetwork((1, 250, 300), (layer,))
    result = profile(net, np.zeros((1, 1, 1, 250, 300), np.uint8), hw="loihi1", rate_hz=10)
    target = result.targets["loihi1"]
    assert target.power is not None
    assert target.fit is not None
    assert target.fit.chips is not None
    assert target.fit.chips > 1
    assert target.power.chips == target.fit.chips
    assert target.power.static_uw is not None
    assert target.power.static_uw.low == pytest.approx(target.fit.chips * 96_000)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("speck2e", "no energy"),
        ("spinnaker2", "no static power: not among the figures at hand"),
        ("h200", "no static power"),
    ],
)
def test_unknown_is_null_with_a_reason(
    make_net: Net, make_record: MakeRecord, name: str, reason: str
) -> None:
    found = at(make_net(), make_record(), name, 10)
    entry = found.to_dict()
    assert entry["low_uw"] is None
    assert reason in entry["reason"]
    known = [part for part in entry["parts"].values() if part["low_uw"] is not None]
    assert len(known) == 1


def test_every_packaged_target_has_a_power_or_a_reason(
    make_net: Net, make_record: MakeRecord
) -> None:
    result = profile(make_net(), record=make_record(), hw=list_profiles(), rate_hz=30)
    data = json.loads(result.to_json())
    assert data["rate_hz"] == 30
    for entry in data["power"].values():
        assert (entry["low_uw"] is None) == ("reason" in entry) or entry["high_uw"] is None
        assert (entry["feasible"] is None) == ("feasible_reason" in entry)
        parts = [part["low_uw"] for part in entry["parts"].values()]
        if None not in parts:
            assert sum(parts) == entry["low_uw"]
    rows = [r for r in csv.DictReader(io.StringIO(result.to_csv())) if r["section"] == "power"]
    assert len(rows) == 4 * len(data["power"])
    assert all(row["low"] or row["reason"] for row in rows)


def test_without_a_rate_nothing_is_said(make_net: Net, make_record: MakeRecord) -> None:
    result = profile(make_net(), record=make_record())
    data = result.to_dict()
    assert data["rate_hz"] is None
    assert data["power"]["loihi1"] == {
        "low_uw": None, "high_uw": None, "reason": "no rate was given"
    }  # fmt: skip
    assert "mean power" not in str(result)
    assert "Power at a rate" not in result.to_html()
    assert "power" not in {row["section"] for row in csv.DictReader(io.StringIO(result.to_csv()))}


@pytest.mark.parametrize("rate_hz", [0, -1.0, math.inf, math.nan])
def test_a_rate_is_a_positive_number(
    make_net: Net, make_record: MakeRecord, rate_hz: float
) -> None:
    with pytest.raises(InputError, match="inferences a second"):
        profile(make_net(), record=make_record(), rate_hz=rate_hz)


def test_units_that_read_well() -> None:
    assert watts(Interval(1, 999)) == "1.00 to 999 uW"
    assert watts(Interval(1, 1000)) == "0.00100 to 1.00 mW"
    assert watts(Interval(2e6, math.inf)) == "at least 2.00 W"


def test_on_the_command_line(
    make_net: Net,
    spikes: NDArray[np.uint8],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    to_netx(make_net(), tmp_path / "model.net")
    np.savez(tmp_path / "in.npz", spikes=spikes)
    words = ["profile", str(tmp_path / "model.net"), "--spikes", str(tmp_path / "in.npz")]
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    options = ["--inference-rate", "25", "--json", str(out), "--html", str(page), "--quiet"]
    assert main([*words, *options]) == 0
    assert "mean power at 25 inferences a second: at least 96.0 mW" in capsys.readouterr().out
    assert json.loads(out.read_text())["power"]["loihi1"]["feasible"] is True
    assert "At 25 inferences a second" in page.read_text(encoding="utf-8")
    assert main([*words, "--inference-rate", "0", "--quiet"]) == 2
    assert "a rate of 0.0 inferences a second" in capsys.readouterr().err
